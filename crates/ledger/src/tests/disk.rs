//! A disk that fails on demand, that makes its writers wait, and that forgets what was not synced when its power is cut.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::disk::{Disk, Files};

/// No test waits longer for what must happen.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A disk writes these whole or not at all.
const SECTOR_LEN: usize = 512;

/// The calls of a writer, to name the one that fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Call {
    Create,
    Write,
    Cut,
    Sync,
    SyncDir,
    Remove,
}

/// Real files, whose calls fail as told.
#[derive(Debug, Default)]
pub(super) struct BadDisk {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// This call fails so, until further notice.
    failing: Option<(Call, io::ErrorKind)>,
    /// So many bytes still fit.
    room: Option<usize>,
    /// A write takes at most so many bytes at once.
    at_once: Option<usize>,
    /// Whoever syncs waits.
    is_hanging: bool,
    hanging: usize,
    files: BTreeMap<u64, Kept>,
    /// The names as they would be found after a power cut.
    names: BTreeMap<PathBuf, u64>,
    new_names: BTreeMap<PathBuf, u64>,
}

/// What of a file would be found after a power cut.
#[derive(Clone, Debug, Default)]
struct Kept {
    durable: Vec<u8>,
    /// Since the last sync, in order.
    pending: Vec<Pending>,
}

#[derive(Clone, Debug)]
enum Pending {
    Write(u64, Vec<u8>),
    Cut(u64),
}

impl BadDisk {
    pub(super) fn disk(self: &Arc<Self>) -> Disk {
        Disk::of(self.clone())
    }

    pub(super) fn fail(&self, call: Call, how: io::ErrorKind) {
        self.state.lock().failing = Some((call, how));
    }

    /// Only so many more bytes fit, and a write may be cut short by that.
    pub(super) fn fill_up(&self, room: usize) {
        self.state.lock().room = Some(room);
    }

    pub(super) fn write_at_once(&self, bytes: usize) {
        self.state.lock().at_once = Some(bytes);
    }

    /// Whoever syncs waits until the disk is mended, or the test ends.
    pub(super) fn hang(&self) -> impl Drop {
        struct Mend<'a>(&'a BadDisk);
        impl Drop for Mend<'_> {
            fn drop(&mut self) {
                self.0.mend();
            }
        }
        self.state.lock().is_hanging = true;
        Mend(self)
    }

    /// Everything works from now on.
    pub(super) fn mend(&self) {
        let mut state = self.state.lock();
        (state.failing, state.room, state.at_once, state.is_hanging) = (None, None, None, false);
        drop(state);
        self.changed.notify_all();
    }

    /// Waits until somebody hangs in a sync.
    pub(super) fn wait_for_hanging(&self) {
        let mut state = self.state.lock();
        let waited = self.changed.wait_while_for(&mut state, |state| state.hanging == 0, PATIENCE);
        assert!(!waited.timed_out(), "nobody syncs");
    }

    /// Writes into another directory what a power cut at this moment leaves of this one. What was not synced is there,
    /// is not there, or is there in parts, as chance has it.
    pub(super) fn cut_power(&self, dir: &Path, chance: &mut Chance) {
        let state = self.state.lock();
        let new = state.new_names.iter().filter(|_| chance.is_one_in(2));
        let names = state.names.iter().chain(new).map(|(name, file)| (name.clone(), *file)).collect::<BTreeMap<_, _>>();
        for (path, file) in names {
            let content = state.files.get(&file).map(|kept| kept.after_power_cut(chance)).unwrap_or_default();
            fs::write(dir.join(path.file_name().expect("a name")), content).expect("is written");
        }
    }

    fn fails(&self, call: Call) -> io::Result<()> {
        match self.state.lock().failing {
            Some((failing, how)) if failing == call => Err(how.into()),
            _ => Ok(()),
        }
    }

    fn note(&self, file: &File, note: impl FnOnce(&mut Kept)) {
        let file = file.metadata().expect("is there").ino();
        note(self.state.lock().files.entry(file).or_default());
    }
}

impl Kept {
    fn after_power_cut(&self, chance: &mut Chance) -> Vec<u8> {
        let mut content = self.durable.clone();
        for pending in &self.pending {
            match pending {
                Pending::Write(offset, bytes) => {
                    for (number, sector) in bytes.chunks(SECTOR_LEN).enumerate() {
                        let from = usize::try_from(*offset).expect("small") + number * SECTOR_LEN;
                        let has_size = chance.is_one_in(2);
                        if has_size && content.len() < from + sector.len() {
                            content.resize(from + sector.len(), 0);
                        }
                        if chance.is_one_in(2) && content.len() >= from + sector.len() {
                            content[from..from + sector.len()].copy_from_slice(sector);
                        }
                    }
                }
                Pending::Cut(len) => {
                    if chance.is_one_in(2) {
                        content.truncate(usize::try_from(*len).expect("small"));
                    }
                }
            }
        }
        content
    }
}

impl Files for BadDisk {
    fn create_new(&self, path: &Path) -> io::Result<File> {
        self.fails(Call::Create)?;
        let file = File::options().read(true).write(true).create_new(true).open(path)?;
        let number = file.metadata()?.ino();
        let mut state = self.state.lock();
        state.files.insert(number, Kept::default());
        state.new_names.insert(path.to_owned(), number);
        Ok(file)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.fails(Call::Remove)?;
        fs::remove_file(path)?;
        // The name may come back after a power cut, but only if it was durable.
        self.state.lock().new_names.remove(path);
        Ok(())
    }

    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.fails(Call::Write)?;
        let mut state = self.state.lock();
        let mut len = bytes.len().min(state.at_once.unwrap_or(usize::MAX));
        if let Some(room) = &mut state.room {
            if *room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            len = len.min(*room);
            *room -= len;
        }
        drop(state);
        file.write_all_at(&bytes[..len], offset)?;
        self.note(file, |kept| kept.pending.push(Pending::Write(offset, bytes[..len].to_vec())));
        Ok(len)
    }

    fn set_len(&self, file: &File, len: u64) -> io::Result<()> {
        self.fails(Call::Cut)?;
        file.set_len(len)?;
        self.note(file, |kept| kept.pending.push(Pending::Cut(len)));
        Ok(())
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        let mut state = self.state.lock();
        if state.is_hanging {
            state.hanging += 1;
            self.changed.notify_all();
            self.changed.wait_while(&mut state, |state| state.is_hanging);
            state.hanging -= 1;
        }
        drop(state);
        self.fails(Call::Sync)?;
        let mut durable = vec![0; usize::try_from(file.metadata()?.len()).expect("small")];
        file.read_exact_at(&mut durable, 0)?;
        self.note(file, |kept| *kept = Kept { durable, pending: Vec::new() });
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.fails(Call::SyncDir)?;
        let mut state = self.state.lock();
        let new = std::mem::take(&mut state.new_names);
        state.names.retain(|path, _| path.parent() != Some(dir) || path.exists());
        state.names.extend(new);
        Ok(())
    }
}

/// Does not sync: for tests that write again and again and cut no power.
#[derive(Debug)]
pub(super) struct Unsynced;

impl Files for Unsynced {
    fn sync(&self, _: &File) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

/// Chance that can be repeated.
#[derive(Clone, Debug)]
pub(super) struct Chance(pub(super) u64);

impl Chance {
    /// SplitMix64.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("below a usize")
    }

    pub(super) fn is_one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }
}
