//! The directory of a gateway's state.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::Error;

/// Where things lie: `state.db`, `audit/`, and the keys of its anchors.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Home {
    dir: PathBuf,
}

impl Home {
    /// The layout under a directory, which need not exist.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The directory itself.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The embedded database.
    pub fn database(&self) -> PathBuf {
        self.dir.join("state.db")
    }

    /// The directory of the audit trail.
    pub fn audit(&self) -> PathBuf {
        self.dir.join("audit")
    }

    /// The key that signs anchors of the audit trail.
    pub fn anchor_key(&self) -> PathBuf {
        self.dir.join("audit-anchor.key")
    }

    /// The key that checks them.
    pub fn anchor_public_key(&self) -> PathBuf {
        self.dir.join("audit-anchor.pub")
    }

    /// Makes the directory, for its owner only, unless it exists.
    pub fn create(&self) -> Result<(), Error> {
        create_dir(&self.dir)
    }
}

/// SECURITY: what is made here is for the owner only.
pub(crate) fn create_dir(dir: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|source| Error::File { path: dir.to_owned(), source })
}

/// Makes the database's file, so that SQLite never makes one that others can read. Its journals take over the mode.
pub(crate) fn create_file(path: &Path) -> Result<(), Error> {
    let attempt = || -> io::Result<()> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        let permissions = file.metadata()?.permissions();
        if permissions.mode() & 0o077 != 0 {
            file.set_permissions(PermissionsExt::from_mode(0o600))?;
        }
        Ok(())
    };
    attempt().map_err(|source| Error::File { path: path.to_owned(), source })
}
