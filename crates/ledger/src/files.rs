//! The files of an audit directory.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::Error;
use crate::disk::Disk;

/// A line of more bytes is none of ours.
const LINE_LEN_MAX: u64 = 64 * 1024 * 1024;

/// Makes the directory, for its owner only, and its name as durable as what will be in it.
pub(crate) fn create_dir(dir: &Path, disk: &Disk) -> Result<(), Error> {
    let new = dir.ancestors().take_while(|ancestor| !ancestor.as_os_str().is_empty() && !ancestor.exists());
    let new = new.collect::<Vec<_>>();
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(Error::file("make", dir))?;
    for parent in new.into_iter().filter_map(Path::parent) {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        disk.sync_dir(parent).map_err(Error::file("make the name durable of a directory in", parent))?;
    }
    Ok(())
}

/// Takes the writer's lock, which ends with the file or the process.
pub(crate) fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join("lock");
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
    let file = file.map_err(Error::file("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked(dir.to_owned())),
        Err(TryLockError::Error(source)) => Err(Error::file("lock", &path)(source)),
    }
}

/// A segment's file.
pub(crate) fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("audit-{number:08}.jsonl"))
}

/// The numbers of all segments, ascending.
pub(crate) fn segments(dir: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let digits = name.to_str().and_then(|name| name.strip_prefix("audit-")?.strip_suffix(".jsonl"));
        numbers.extend(digits.and_then(|digits| digits.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// One line of a segment.
pub(crate) struct Line {
    /// From 1.
    pub(crate) number: u64,
    /// Where it begins in the file.
    pub(crate) offset: u64,
    /// Without the newline.
    pub(crate) bytes: Vec<u8>,
    /// Whether the newline was there.
    pub(crate) is_whole: bool,
}

/// The lines of a segment, read as a stream.
pub(crate) struct Lines {
    reader: BufReader<File>,
    number: u64,
    offset: u64,
}

impl Lines {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { reader: BufReader::with_capacity(1 << 18, File::open(path)?), number: 0, offset: 0 })
    }
}

impl Iterator for Lines {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut bytes = Vec::new();
        match self.reader.by_ref().take(LINE_LEN_MAX).read_until(b'\n', &mut bytes) {
            Ok(0) => None,
            Ok(len) => {
                let offset = self.offset;
                self.number += 1;
                self.offset += len as u64;
                let is_whole = bytes.pop_if(|last| *last == b'\n').is_some();
                Some(Ok(Line { number: self.number, offset, bytes, is_whole }))
            }
            Err(error) => Some(Err(error)),
        }
    }
}
