//! Verdicts, counted; and `left-out.md`, which has to say the same.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use super::reason::Reason;
use super::verdict::Verdict;

/// The verdicts on one file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    answered: usize,
    failed: usize,
    in_these_words: usize,
    refused: usize,
    left_out: BTreeMap<Reason, usize>,
    wrong: Vec<String>,
}

impl Tally {
    /// What is left of a file whose run ended with a panic.
    pub(super) fn panicked(file: &str, panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied());
        Self { wrong: vec![format!("{file}: {}", text.unwrap_or("a panic"))], ..Self::default() }
    }

    pub(super) fn count(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Answered => self.answered += 1,
            Verdict::Failed { in_these_words } => {
                self.failed += 1;
                self.in_these_words += usize::from(*in_these_words);
            }
            Verdict::Refused => self.refused += 1,
            Verdict::LeftOut(reason) => self.left_out(*reason),
            Verdict::Wrong(problem) => self.wrong(problem.clone()),
        }
    }

    pub(super) fn left_out(&mut self, reason: Reason) {
        *self.left_out.entry(reason).or_default() += 1;
    }

    pub(super) fn wrong(&mut self, problem: String) {
        self.wrong.push(problem);
    }

    fn run(&self) -> usize {
        self.answered + self.failed + self.refused + self.wrong.len()
    }

    fn add(&mut self, other: &Self) {
        self.answered += other.answered;
        self.failed += other.failed;
        self.in_these_words += other.in_these_words;
        self.refused += other.refused;
        for (reason, count) in &other.left_out {
            *self.left_out.entry(*reason).or_default() += count;
        }
        self.wrong.extend(other.wrong.iter().cloned());
    }
}

/// The verdicts on all files, by name.
#[derive(Debug, Default)]
pub(super) struct Totals(BTreeMap<String, Tally>);

impl Totals {
    pub(super) fn add(&mut self, file: String, tally: Tally) {
        self.0.insert(file, tally);
    }

    fn all(&self) -> Tally {
        self.0.values().fold(Tally::default(), |mut all, tally| {
            all.add(tally);
            all
        })
    }

    pub(super) fn summary(&self) -> String {
        let all = self.all();
        let left_out = all.left_out.values().sum::<usize>();
        format!(
            "{} files: {} records run over the wire ({} answered, {} failed as expected, {} refused), {left_out} left out",
            self.0.len(),
            all.run(),
            all.answered,
            all.failed,
            all.refused
        )
    }

    /// Fails for each record that does not hold, and if other records are left out than is written down.
    pub(super) fn check(&self, whole: bool, remember: bool) {
        let all = self.all();
        assert!(all.wrong.is_empty(), "{} records do not hold\n\n{}", all.wrong.len(), all.wrong.join("\n\n"));
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("it/slt/left-out.md");
        if remember {
            assert!(whole, "only a run of all files can be written down");
            std::fs::write(&path, self.text()).expect("left-out.md");
            return;
        }
        let written = std::fs::read_to_string(&path).expect("left-out.md");
        let known = written.lines().collect::<Vec<_>>();
        let text = if whole { self.text() } else { self.lines() };
        let new = text.lines().filter(|line| !known.contains(line)).collect::<Vec<_>>();
        let gone = known.iter().filter(|line| whole && !text.lines().any(|other| other == **line)).collect::<Vec<_>>();
        assert!(
            new.is_empty() && gone.is_empty(),
            "left-out.md is not current; look at each change, then `cargo xtask slt --remember`\nnow: {new:#?}\nwas: {gone:#?}"
        );
    }

    /// `left-out.md`.
    fn text(&self) -> String {
        let all = self.all();
        let mut text = HEAD.to_owned();
        let rows = [
            ("files", self.0.len()),
            ("files of which no record is run", self.0.values().filter(|tally| tally.run() == 0).count()),
            ("records run", all.run()),
            ("of these, answered as the file says", all.answered),
            ("failed with an error, as the file says", all.failed),
            ("of these, in the words that the file says", all.in_these_words),
            ("refused because they change something", all.refused),
            ("records left out", all.left_out.values().sum()),
        ];
        text += "\n| | |\n|---|---|\n";
        for (what, count) in rows {
            let _ = writeln!(text, "| {what} | {count} |");
        }
        text += "\n## Why\n\n| | records | why |\n|---|---|---|\n";
        for reason in Reason::ALL {
            let count = all.left_out.get(&reason).copied().unwrap_or_default();
            let _ = writeln!(text, "| {} | {count} | {} |", reason.word(), reason.text());
        }
        text += "\n## By file\n\n| file | run | left out |\n|---|---|---|\n";
        text + &self.lines()
    }

    /// A line for each file.
    fn lines(&self) -> String {
        let mut lines = String::new();
        for (file, tally) in &self.0 {
            let left_out = tally.left_out.iter().map(|(reason, count)| format!("{} {count}", reason.word()));
            let _ = writeln!(lines, "| {file} | {} | {} |", tally.run(), left_out.collect::<Vec<_>>().join(", "));
        }
        lines
    }
}

const HEAD: &str = "# What of DataFusion's own tests is left out

The `.slt` files of the crate `datafusion-sqllogictest`, in the version of DataFusion that the gateway is built with, run over Flight SQL through a
mesh whose rules permit everything: `cargo xtask slt`. What a file makes is made in DataFusion, stored as Delta tables and
served as a product; what only reads is asked of the gateway and compared with what the file says; everything else has to be refused. A record
is left out for one of the reasons below. Some are known before it is asked, or by the gateway's refusal: it does not serve the
function or the form. Where the gateway gives another answer than the file, DataFusion is asked over the tables as they are stored
and with the gateway's settings: it has to say what the gateway says, or else the test fails. Listings are not compared, and
of EXPLAIN only that the gateway has no fault. This file is written by `cargo xtask slt --remember`, and the test fails
if it is not current.
";
