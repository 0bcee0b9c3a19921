//! Notices that a mesh directory has changed.
//!
//! The operating system tells most changes at once; a fingerprint of all documents, taken twice a second, finds what it
//! does not tell (network file systems, mounted configuration that is swapped, a directory replaced by another).

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::error::Error;

/// How long the directory must be quiet before it counts as changed: editors and `git` write in several steps.
const QUIET: Duration = Duration::from_millis(120);
/// How many times quietness is waited for before a change is told all the same.
const NOISY_MAX: u32 = 4;
/// How often the fingerprint is taken.
const POLL: Duration = Duration::from_millis(500);
/// The deepest directory that is looked at: `domains/<domain>/products/<product>/policies/tests`.
const DEPTH_MAX: usize = 7;

/// Watches a mesh directory until it is dropped.
#[derive(Debug)]
pub struct Watcher {
    signals: Sender<Signal>,
    thread: Option<JoinHandle<()>>,
}

enum Signal {
    Touched,
    Stop,
}

impl Watcher {
    /// Starts to watch; `changed` is called on the watcher's own thread, once after each burst of changes, and may take
    /// its time: what changes meanwhile is told afterwards. Start before the first [`crate::load`], so that nothing is
    /// missed in between.
    pub fn start(directory: &Path, changed: impl Fn() + Send + 'static) -> Result<Self, Error> {
        let (signals, received) = channel();
        let directory = directory.to_owned();
        let known = fingerprint(&directory);
        let watch = Watch { native: Native::new(&directory, signals.clone()), directory, received, known };
        let thread = std::thread::Builder::new()
            .name("mesh-watcher".to_owned())
            .spawn(move || watch.run(&changed))
            .map_err(Error::Watch)?;
        Ok(Self { signals, thread: Some(thread) })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // The thread is gone only if `changed` panicked.
        let _ = self.signals.send(Signal::Stop);
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

struct Watch {
    directory: PathBuf,
    native: Option<Native>,
    received: Receiver<Signal>,
    known: u64,
}

impl Watch {
    fn run(mut self, changed: &dyn Fn()) {
        loop {
            let touched = match self.received.recv_timeout(POLL) {
                Ok(Signal::Touched) if self.settle() => true,
                Ok(_) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => false,
            };
            let found = fingerprint(&self.directory);
            if touched || found != self.known {
                if !touched && !self.settle() {
                    return;
                }
                self.known = fingerprint(&self.directory);
                if let Some(native) = &mut self.native {
                    native.watch(&self.directory);
                }
                changed();
            }
        }
    }

    /// Waits until the burst is over; false if the watcher is to stop.
    fn settle(&self) -> bool {
        for _ in 0..NOISY_MAX {
            match self.received.recv_timeout(QUIET) {
                Ok(Signal::Touched) => while let Ok(Signal::Touched) = self.received.try_recv() {},
                Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) => return true,
            }
        }
        true
    }
}

/// What the operating system offers, if it does.
struct Native {
    watcher: RecommendedWatcher,
}

impl Native {
    fn new(directory: &Path, signals: Sender<Signal>) -> Option<Self> {
        let told = move |event: notify::Result<Event>| {
            let matters = event.as_ref().map_or(true, |event| {
                let documents = event.paths.is_empty() || event.paths.iter().any(|path| is_document(path));
                documents && !matches!(event.kind, EventKind::Access(_))
            });
            if matters {
                // Nobody listens any more only while the watcher is being dropped.
                let _ = signals.send(Signal::Touched);
            }
        };
        let watcher = notify::recommended_watcher(told)
            .inspect_err(|error| tracing::warn!(%error, "changes of the mesh are found by polling only"))
            .ok()?;
        let mut native = Self { watcher };
        native.watch(directory);
        Some(native)
    }

    /// Watches what there is to watch. Not the whole directory: the data may lie in it. Watching twice does no harm and
    /// finds directories that were made or replaced since.
    fn watch(&mut self, directory: &Path) {
        let deep = ["governance", "domains"].map(|name| (directory.join(name), RecursiveMode::Recursive));
        for (path, mode) in [(directory.to_owned(), RecursiveMode::NonRecursive)].into_iter().chain(deep) {
            if path.exists()
                && let Err(error) = self.watcher.watch(&path, mode)
            {
                tracing::debug!(%error, path = %path.display(), "changes here are found by polling only");
            }
        }
    }
}

/// Whether a change of this path can change a release: documents, policies and directories.
fn is_document(path: &Path) -> bool {
    path.extension().is_none_or(|extension| ["yaml", "yml", "cedar"].iter().any(|known| extension == *known))
}

/// A number that is another one when a document was added, removed, renamed or written.
fn fingerprint(directory: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    look(&directory.join("mesh.yaml"), 0, &mut hasher);
    look(&directory.join("governance"), 0, &mut hasher);
    look(&directory.join("domains"), 0, &mut hasher);
    hasher.finish()
}

fn look(path: &Path, depth: usize, hasher: &mut DefaultHasher) {
    path.hash(hasher);
    let Ok(metadata) = fs::metadata(path) else { return 0_u8.hash(hasher) };
    if !metadata.is_dir() {
        return (metadata.len(), metadata.modified().ok(), inode(&metadata)).hash(hasher);
    }
    let Ok(entries) = fs::read_dir(path) else { return 1_u8.hash(hasher) };
    let mut paths: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| is_document(path)).collect();
    paths.sort();
    if depth < DEPTH_MAX {
        paths.iter().for_each(|path| look(path, depth + 1, hasher));
    }
}

/// Tells a file that was replaced from the one before, even with the same size and time.
#[cfg(unix)]
fn inode(metadata: &fs::Metadata) -> (u64, i64, i64) {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata) {}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc::channel;
    use std::time::{Duration, Instant};

    use super::{Watcher, fingerprint};

    #[test]
    fn every_kind_of_change_is_told() {
        let mesh = tempfile::tempdir().expect("a temporary directory");
        let root = mesh.path();
        fs::write(root.join("mesh.yaml"), "name: a\n").expect("written");
        let (told, tellings) = channel();
        let watcher = Watcher::start(root, move || told.send(()).expect("the test listens")).expect("a watcher");
        let policies = root.join("domains/sales/products/orders/policies");
        let changes: [(&str, &dyn Fn()); 5] = [
            ("a file is written", &|| fs::write(root.join("mesh.yaml"), "name: b\n").expect("written")),
            ("directories are made", &|| fs::create_dir_all(&policies).expect("made")),
            ("a file is added", &|| fs::write(policies.join("a.cedar"), "permit(").expect("written")),
            ("a file is replaced", &|| {
                fs::write(root.join("new"), "permit)").expect("written");
                fs::rename(root.join("new"), policies.join("a.cedar")).expect("renamed");
            }),
            ("a tree is removed", &|| fs::remove_dir_all(root.join("domains")).expect("removed")),
        ];
        for (what, change) in changes {
            let start = Instant::now();
            change();
            tellings.recv_timeout(Duration::from_secs(20)).unwrap_or_else(|_| panic!("{what}: nothing was told"));
            assert!(start.elapsed() < Duration::from_secs(10), "{what}: told after {:?}", start.elapsed());
            // A burst may be told twice: wait until all of it is.
            while tellings.recv_timeout(super::POLL + super::QUIET * 2).is_ok() {}
        }
        drop(watcher);
        assert!(tellings.try_recv().is_err());
    }

    #[test]
    fn the_fingerprint_sees_documents_and_no_data() {
        let mesh = tempfile::tempdir().expect("a temporary directory");
        let root = mesh.path();
        let policies = root.join("domains/d/products/p/policies");
        fs::create_dir_all(&policies).expect("made");
        fs::create_dir_all(root.join("data")).expect("made");
        let mut seen = vec![fingerprint(root)];
        let mut write = |path: &str, text: &str, changes: bool| {
            fs::write(root.join(path), text).expect("written");
            let found = fingerprint(root);
            assert_eq!(!seen.contains(&found), changes, "{path} {text}");
            seen.push(found);
        };
        write("mesh.yaml", "a", true);
        write("data/x.parquet", "a", false);
        write("domains/d/products/p/policies/a.cedar", "a", true);
        write("domains/d/products/p/policies/a.cedar", "ab", true);
        write("domains/d/products/p/notes.txt", "a", false);
    }
}
