//! What a person sees while a query runs.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::output;

/// A spinner with the time on stderr; nothing at all if nobody looks.
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Starts to turn.
    pub(super) fn start() -> Self {
        if !output::stderr_is_terminal() || !output::stdout_is_terminal() {
            return Self { bar: ProgressBar::hidden() };
        }
        let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}");
        let bar = ProgressBar::new_spinner().with_message("running; Ctrl-C cancels");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar }
    }

    /// Clears the line.
    pub(super) fn stop(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.stop();
    }
}
