//! What a person sees while the demo's tables are made: a bar on a terminal, plain lines elsewhere. On stderr.

use indicatif::{ProgressBar, ProgressStyle};

use crate::output;

/// The rows of all tables, made one after the other.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Starts a bar over so many rows.
    pub(super) fn start(rows: u64) -> Self {
        output::note("Making the demo's tables: TPC-H as Delta and Iceberg, three domains.");
        if !output::stderr_is_terminal() {
            return Self { bar: None };
        }
        let style = ProgressStyle::with_template("{msg:28} {bar:40} {human_pos}/{human_len} rows  {elapsed}");
        let bar = ProgressBar::new(rows);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar: Some(bar) }
    }

    /// A table begins.
    pub(super) fn table(&self, name: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(name.to_owned());
        }
    }

    /// Some rows are made.
    pub(super) fn rows(&self, rows: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(rows);
        }
    }

    /// A table is stored.
    pub(super) fn stored(&self, name: &str, format: &str, rows: u64) {
        let line = format!("  {name:28} {format:8} {rows:>9} rows");
        match &self.bar {
            Some(bar) => bar.println(line),
            None => output::note(line),
        }
    }

    /// Everything is there.
    pub(super) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
