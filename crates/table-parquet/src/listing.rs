//! Which files a table has.

use futures::TryStreamExt;
use meshgate_table::{Error, Layout, Located};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};
use sha2::{Digest, Sha256};

/// How deep directories are looked into: a link to a directory above goes on for ever.
const DEPTH_MAX: usize = 32;

/// The log of a Delta table.
const DELTA_LOG: &str = "_delta_log";

/// One listing.
#[derive(Debug)]
pub(crate) struct Listing {
    /// By path.
    pub(crate) files: Vec<File>,
}

/// A data file.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) meta: ObjectMeta,
    /// The directories between the table's and the file.
    pub(crate) directories: Vec<String>,
}

/// Lists the files of a table: whose, and how many at most.
pub(crate) struct Lister<'a> {
    pub(crate) root: &'a Located,
    /// Whether the location may be that of one file.
    pub(crate) may_be_file: bool,
    pub(crate) layout: &'a Layout,
    pub(crate) files_max: usize,
}

impl Listing {
    /// What tells it from every other: names, sizes, and what the store says of contents.
    pub(crate) fn id(&self) -> String {
        let mut digest = Sha256::new();
        for File { meta, .. } in &self.files {
            let made = meta.last_modified.timestamp_micros().to_string();
            let size = meta.size.to_string();
            for part in [meta.location.as_ref(), &size, meta.e_tag.as_deref().unwrap_or(&made)] {
                digest.update((part.len() as u64).to_le_bytes());
                digest.update(part);
            }
        }
        hex::encode(&digest.finalize()[..16])
    }
}

impl Lister<'_> {
    /// Asks the store. There is no table where there is no file.
    pub(crate) async fn list(&self) -> Result<Listing, Error> {
        if let Some(file) = self.one_file().await? {
            return Ok(Listing { files: vec![file] });
        }
        let mut files = Vec::new();
        if self.root.local {
            self.walk(&mut files).await?
        } else {
            self.list_flat(&mut files).await?
        }
        if files.is_empty() {
            return Err(Error::NotFound { format: "Parquet", place: self.root.url.clone() });
        }
        files.sort_by(|one, other| one.meta.location.cmp(&other.meta.location));
        Ok(Listing { files })
    }

    async fn one_file(&self) -> Result<Option<File>, Error> {
        if !self.may_be_file {
            return Ok(None);
        }
        match self.root.store.head(&self.root.path).await {
            Ok(meta) if meta.size == 0 => Ok(None),
            Ok(_) if !self.layout.partitions.is_empty() => {
                Err(self.misfit(self.root.path.as_ref(), "one file has no partitions"))
            }
            Ok(meta) => Ok(Some(File { meta, directories: Vec::new() })),
            // Spark calls directories like this too.
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Directory by directory, so that neither what is hidden nor what lies behind a link out of the domain is looked into.
    async fn walk(&self, files: &mut Vec<File>) -> Result<(), Error> {
        let mut seen = 0;
        let mut open = vec![(self.root.path.clone(), Vec::new())];
        while let Some((path, directories)) = open.pop() {
            let found = match self.root.store.list_with_delimiter(Some(&path)).await {
                Ok(found) => found,
                // Gone since its parent was read, or never there.
                Err(object_store::Error::NotFound { .. }) => continue,
                Err(error) => return Err(error.into()),
            };
            seen += found.objects.len() + found.common_prefixes.len();
            self.limit(seen)?;
            for meta in found.objects {
                self.take(meta, &directories, files)?;
            }
            for path in found.common_prefixes {
                let Some(name) = path.filename().map(str::to_owned) else { continue };
                if self.enters(&path, &name, directories.len())? {
                    let directories = directories.iter().cloned().chain([name]).collect();
                    open.push((path, directories));
                }
            }
        }
        Ok(())
    }

    /// All at once: every request to an object store is a journey.
    async fn list_flat(&self, files: &mut Vec<File>) -> Result<(), Error> {
        let mut seen = 0;
        let mut found = self.root.store.list(Some(&self.root.path));
        while let Some(meta) = found.try_next().await? {
            seen += 1;
            self.limit(seen)?;
            let parts = meta.location.prefix_match(&self.root.path).into_iter().flatten();
            let mut directories: Vec<String> = parts.map(|part| part.as_ref().to_owned()).collect();
            directories.pop();
            let mut enters = true;
            for (depth, name) in directories.iter().enumerate() {
                enters = enters && self.enters(&meta.location, name, depth)?;
            }
            if enters {
                self.take(meta, &directories, files)?;
            }
        }
        Ok(())
    }

    /// Whether files in a directory belong to the table.
    fn enters(&self, path: &Path, name: &str, depth: usize) -> Result<bool, Error> {
        // SECURITY: without the log, rows that were deleted would be back.
        if name == DELTA_LOG {
            return Err(self.misfit(path.as_ref(), "it is the log of a Delta table"));
        }
        if depth >= DEPTH_MAX {
            return Err(self.misfit(path.as_ref(), "directories lie too deep"));
        }
        let partition = self.layout.partitions.get(depth);
        // A column may be called as a hidden name begins.
        let declared =
            partition.is_some_and(|(key, _)| name.strip_prefix(key.as_str()).is_some_and(|r| r.starts_with('=')));
        Ok(declared || !is_hidden(name))
    }

    fn take(&self, meta: ObjectMeta, directories: &[String], files: &mut Vec<File>) -> Result<(), Error> {
        let name = meta.location.filename().unwrap_or_default();
        if is_hidden(name) || meta.size == 0 {
            return Ok(());
        }
        if !is_data(name) {
            return Err(self.misfit(meta.location.as_ref(), "it is neither hidden nor a Parquet file by its name"));
        }
        files.push(File { meta, directories: directories.to_vec() });
        Ok(())
    }

    fn limit(&self, seen: usize) -> Result<(), Error> {
        if seen <= self.files_max {
            return Ok(());
        }
        let (table, place) = (self.layout.table.clone(), self.root.url.clone());
        Err(Error::TooManyFiles { table, place, max: self.files_max })
    }

    fn misfit(&self, file: &str, reason: &str) -> Error {
        Error::Misfit { table: self.layout.table.clone(), file: file.to_owned(), reason: reason.to_owned() }
    }
}

fn is_hidden(name: &str) -> bool {
    name.starts_with(['_', '.'])
}

fn is_data(name: &str) -> bool {
    match name.rsplit_once('.') {
        Some((_, ending)) => ending.eq_ignore_ascii_case("parquet") || ending.eq_ignore_ascii_case("parq"),
        None => true,
    }
}
