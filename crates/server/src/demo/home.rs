//! The demo's directory: `mesh/`, `state/`, and a note of what was made.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::trouble::{Outcome, Trouble};

const NOTE: &str = "demo.json";

/// A directory that is the demo's own.
#[derive(Debug)]
pub(super) struct Home {
    directory: PathBuf,
    is_new: bool,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Note {
    /// The version of meshgate that made it.
    made_by: String,
    scale: f64,
    /// Whether it was made to the end.
    finished: bool,
}

impl Home {
    /// Takes over a demo of the same version and scale; makes room for a new one otherwise. Never touches a directory
    /// that is not the demo's.
    pub(super) fn prepare(directory: &Path, scale: f64) -> Outcome<Self> {
        let failed = |what: &str, error: &std::io::Error| {
            Trouble::failure(format!("the directory {} cannot be {what}", directory.display()))
                .because(error)
                .hint("name another one with --dir")
        };
        fs::create_dir_all(directory).map_err(|error| failed("made", &error))?;
        let directory = directory.canonicalize().map_err(|error| failed("found", &error))?;
        let note = fs::read(directory.join(NOTE)).ok().and_then(|text| serde_json::from_slice::<Note>(&text).ok());
        let is_empty = fs::read_dir(&directory).map_err(|error| failed("read", &error))?.next().is_none();
        if note.is_none() && !is_empty {
            return Err(Trouble::failure(format!("the directory {} is not empty", directory.display()))
                .why("it holds something that is not a demo")
                .hint("name an empty or new directory with --dir"));
        }
        let home = Self { is_new: note != Some(Note::new(scale, true)), directory };
        if home.is_new {
            home.write(&Note::new(scale, false))?;
            match fs::remove_dir_all(home.mesh()) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed("cleared", &error)),
                _ => {}
            }
        }
        Ok(home)
    }

    /// Whether the mesh has yet to be made.
    pub(super) fn is_new(&self) -> bool {
        self.is_new
    }

    /// Notes that everything is there.
    pub(super) fn finished(&self, scale: f64) -> Outcome {
        self.write(&Note::new(scale, true))
    }

    pub(super) fn mesh(&self) -> PathBuf {
        self.directory.join("mesh")
    }

    pub(super) fn state(&self) -> PathBuf {
        self.directory.join("state")
    }

    /// The tokens of the three users: the demo has to print them again when it is started again.
    pub(super) fn tokens(&self) -> PathBuf {
        self.state().join("demo-tokens.json")
    }

    fn write(&self, note: &Note) -> Outcome {
        let file = self.directory.join(NOTE);
        let written =
            serde_json::to_vec_pretty(note).map_err(std::io::Error::from).and_then(|text| fs::write(&file, text));
        written.map_err(|error| Trouble::failure(format!("{} cannot be written", file.display())).because(&error))
    }
}

impl Note {
    fn new(scale: f64, finished: bool) -> Self {
        Self { made_by: env!("CARGO_PKG_VERSION").to_owned(), scale, finished }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Home;

    #[test]
    fn a_finished_demo_is_used_again_and_anything_else_is_made_anew() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("demo");
        let first = Home::prepare(&path, 0.1).expect("a new directory is fine");
        assert!(first.is_new());
        fs::create_dir_all(first.mesh()).expect("a directory");
        // It was interrupted before it was finished.
        assert!(Home::prepare(&path, 0.1).expect("our own").is_new());
        assert!(!first.mesh().exists());
        first.finished(0.1).expect("writes");
        assert!(!Home::prepare(&path, 0.1).expect("our own").is_new());
        assert!(Home::prepare(&path, 0.2).expect("our own").is_new());
    }

    #[test]
    fn what_is_not_the_demos_is_left_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(directory.path().join("mesh")).expect("a directory");
        let said = Home::prepare(directory.path(), 0.1).expect_err("not ours").to_string();
        assert!(said.contains("not empty"), "{said}");
        assert!(directory.path().join("mesh").exists());
    }
}
