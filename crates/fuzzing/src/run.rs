//! The loop: inputs, what they must not do, and what is said if they do.

use std::cell::Cell;
use std::collections::HashSet;
use std::fs::File;
use std::io::{Seek, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Once, mpsc};
use std::time::{Duration, Instant};

use crate::memory::most_held;
use crate::mutate::{Kind, Mutator};
use crate::random::Random;
use crate::report::{shown, smallest};

/// The seed of a run that judges a change.
const SEED: u64 = 20_260_131;
/// The most inputs that are kept because they ended in a new way.
const KEPT_MAX: usize = 1_000;
/// What the threads of the product have.
const STACK: usize = 64 << 20;
/// How much longer than allowed an input may take before the process is given up.
const PATIENCE: u32 = 15;

/// A target: what is known about its inputs, and what they may cost.
#[derive(Debug)]
#[must_use = "a target that does not run finds nothing"]
pub struct Fuzz {
    name: &'static str,
    kind: Kind,
    corpus: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
    inputs: u64,
    bytes_max: usize,
    held_max: usize,
    time_max: Duration,
}

impl Fuzz {
    fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            corpus: Vec::new(),
            words: Vec::new(),
            inputs: 10_000,
            bytes_max: 64 * 1024,
            held_max: 64 << 20,
            time_max: Duration::from_secs(2),
        }
    }

    /// A target that reads bytes of no form that is known here.
    pub fn bytes(name: &'static str) -> Self {
        Self::new(name, Kind::Bytes)
    }

    /// A target that reads text: its inputs are UTF-8.
    pub fn text(name: &'static str) -> Self {
        Self::new(name, Kind::Text)
    }

    /// A target that reads protobuf.
    pub fn message(name: &'static str) -> Self {
        Self::new(name, Kind::Message)
    }

    /// An input to begin with: one that is accepted, or one that once did harm. It is fed as it is, then changed.
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.corpus.push(input.into());
        self
    }

    /// Several of them.
    pub fn all(mut self, inputs: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        self.corpus.extend(inputs.into_iter().map(Into::into));
        self
    }

    /// Words that mean something to the target.
    pub fn words(mut self, words: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        self.words.extend(words.into_iter().map(Into::into));
        self
    }

    /// How many inputs a run feeds that has no time of its own.
    pub fn inputs(mut self, inputs: u64) -> Self {
        self.inputs = inputs;
        self
    }

    /// The longest input.
    pub fn bytes_max(mut self, bytes_max: usize) -> Self {
        self.bytes_max = bytes_max;
        self
    }

    /// The most memory one input may make the target hold, if the test binary counts with [`crate::Counting`].
    pub fn held_max(mut self, held_max: usize) -> Self {
        self.held_max = held_max;
        self
    }

    /// The longest time one input may take.
    pub fn time_max(mut self, time_max: Duration) -> Self {
        self.time_max = time_max;
        self
    }

    /// Feeds inputs to a target. `Ok` says how one ended, such as `accepted` or the error's text: what ends in a new way is
    /// worth changing further. `Err` says what it should not have done; panics, slowness and large allocations are noticed
    /// here. Fails with the smallest input that still does it.
    pub fn run(self, check: impl Fn(&[u8]) -> Result<String, String> + Sync) {
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name(format!("fuzz_{}", self.name)).stack_size(STACK);
            let running = thread.spawn_scoped(scope, || self.run_here(&check)).expect("a thread");
            if let Err(panic) = running.join() {
                std::panic::resume_unwind(panic);
            }
        });
    }

    fn run_here(&self, check: &(impl Fn(&[u8]) -> Result<String, String> + Sync)) {
        let (seed, seconds) = (variable("MESHGATE_FUZZ_SEED"), variable("MESHGATE_FUZZ_SECONDS"));
        let seed = seed.unwrap_or_else(|| if seconds.is_some() { fresh() } else { SEED });
        let (started, until) = (Instant::now(), seconds.map(Duration::from_secs));
        let mut journal = Journal::open(self.name, self.time_max);
        silence(true);
        let mut mutator = Mutator {
            kind: self.kind,
            random: Random::new(seed),
            corpus: self.corpus.clone(),
            words: self.words.clone(),
            bytes_max: self.bytes_max,
        };
        let (mut fed, mut ends) = (0_u64, HashSet::new());
        for input in &self.corpus {
            ends.extend(self.feed(check, input, seed, &mut journal));
        }
        while until.map_or(fed < self.inputs, |until| started.elapsed() < until) {
            let input = mutator.input();
            let end = self.feed(check, &input, seed, &mut journal);
            fed += 1;
            if end.is_some_and(|end| ends.insert(end)) && mutator.corpus.len() < self.corpus.len() + KEPT_MAX {
                mutator.corpus.push(input);
            }
        }
        let each_second = fed as f64 / started.elapsed().as_secs_f64();
        silence(false);
        say(&format!(
            "fuzz_{}: {fed} inputs, {each_second:.0} each second, {} different ends, MESHGATE_FUZZ_SEED={seed}",
            self.name,
            ends.len()
        ));
    }

    /// How an input ended, without what differs from one to the next.
    fn feed(
        &self,
        check: &impl Fn(&[u8]) -> Result<String, String>,
        input: &[u8],
        seed: u64,
        journal: &mut Journal,
    ) -> Option<String> {
        journal.note(input);
        match self.judge(check, input) {
            Ok(end) => Some(outline(&end)),
            Err(wrong) => {
                let smallest = smallest(input, |input| {
                    journal.note(input);
                    self.judge(check, input).is_err()
                });
                journal.close();
                silence(false);
                panic!(
                    "fuzz_{}: {wrong}\nMESHGATE_FUZZ_SEED={seed} repeats it\nthe smallest input that fails: {}",
                    self.name,
                    shown(&smallest)
                );
            }
        }
    }

    fn judge(&self, check: &impl Fn(&[u8]) -> Result<String, String>, input: &[u8]) -> Result<String, String> {
        let mut slow = 0;
        loop {
            let begun = Instant::now();
            let (ended, held) = most_held(|| catch_unwind(AssertUnwindSafe(|| check(input))));
            let end = ended.map_err(|panic| format!("a panic: {}", message(panic.as_ref())))??;
            if held > self.held_max {
                return Err(format!("it held {held} bytes, {} are allowed", self.held_max));
            }
            if begun.elapsed() <= self.time_max {
                return Ok(end);
            }
            // The machine may be busy with something else.
            slow += 1;
            if slow == 3 {
                return Err(format!("it took {:?}, {:?} are allowed", begun.elapsed(), self.time_max));
            }
        }
    }
}

/// The input that is being read, on disk in case that it takes the process down, and a thread that does so if it never ends.
struct Journal {
    file: Option<File>,
    path: PathBuf,
    beats: Option<mpsc::Sender<()>>,
}

impl Journal {
    fn open(name: &str, time_max: Duration) -> Self {
        let path = std::env::temp_dir().join(format!("meshgate-fuzz-{name}-{}", std::process::id()));
        let (beats, heard) = mpsc::channel();
        let (limit, kept) = (time_max * PATIENCE, path.clone());
        let name = name.to_owned();
        std::thread::spawn(move || {
            loop {
                match heard.recv_timeout(limit) {
                    Ok(()) => {}
                    Err(mpsc::RecvTimeoutError::Disconnected) => return,
                    Err(mpsc::RecvTimeoutError::Timeout) => {
                        say(&format!("fuzz_{name}: an input does not end; it is in {}", kept.display()));
                        std::process::abort();
                    }
                }
            }
        });
        Self { file: File::create(&path).ok(), path, beats: Some(beats) }
    }

    fn note(&mut self, input: &[u8]) {
        if let Some(beats) = &self.beats {
            beats.send(()).ok();
        }
        if let Some(file) = &mut self.file {
            let written = file.rewind().and_then(|()| file.write_all(input));
            let length = u64::try_from(input.len()).unwrap_or_default();
            written.and_then(|()| file.set_len(length)).ok();
        }
    }

    fn close(&mut self) {
        self.beats = None;
        if self.file.take().is_some() {
            std::fs::remove_file(&self.path).ok();
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
    }
}

/// An end without numbers and names: letters outside of quotes, not too many.
fn outline(end: &str) -> String {
    let mut quoted = false;
    let letters = end.chars().filter(|c| {
        quoted ^= matches!(c, '`' | '"' | '\'');
        !quoted && c.is_alphabetic()
    });
    letters.take(120).collect()
}

fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

fn fresh() -> u64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    u64::try_from(since.as_nanos() % 1_000_000_007).unwrap_or(1)
}

#[expect(clippy::print_stdout, reason = "it runs in tests, which show what was printed if they fail")]
fn say(text: &str) {
    println!("{text}");
}

/// Whether panics of this thread are told: those that are caught are counted by the thousand, and the trace of one takes
/// more memory than most inputs may.
fn silence(on: bool) {
    static HOOK: Once = Once::new();
    thread_local! {
        static SILENT: Cell<bool> = const { Cell::new(false) };
    }
    HOOK.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !SILENT.get() {
                told(panic);
            }
        }));
    });
    SILENT.set(on);
}

#[cfg(test)]
mod tests {
    use super::{Fuzz, outline};

    #[test]
    fn what_is_wrong_is_found_and_made_small() {
        let run = |check: fn(&[u8]) -> Result<String, String>| {
            let fuzz = Fuzz::text("itself").input("a valid text").words(["BOMB"]).inputs(20_000);
            let failed = std::panic::catch_unwind(|| fuzz.run(check)).expect_err("it fails");
            failed.downcast_ref::<String>().cloned().expect("a text")
        };
        let told = run(|input| {
            assert!(!input.windows(4).any(|part| part == b"BOMB"), "it went off");
            Ok("accepted".to_owned())
        });
        assert!(told.contains("a panic: it went off") && told.contains("text: \"BOMB\""), "{told}");
        let told = run(|input| if input.contains(&b'B') { Err("a B".to_owned()) } else { Ok(String::new()) });
        assert!(told.contains("a B") && told.contains("1 bytes"), "{told}");
        let told = run(|input| Ok(vec![0_u8; if input.contains(&b'M') { 100 << 20 } else { 1 }].len().to_string()));
        assert!(told.contains("bytes, 67108864 are allowed"), "{told}");
    }

    #[test]
    fn outlines_have_no_names() {
        assert_eq!(outline("line 3: there is no `abc` in 'x'"), "linethereisnoin");
    }
}
