//! The one place that writes to the terminal or the pipe.

use std::io::{self, IsTerminal, Write};

use crate::trouble::{Outcome, Trouble};

/// Writes a line to stdout.
pub(crate) fn line(text: impl AsRef<str>) -> Outcome {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", text.as_ref()).and_then(|()| out.flush()).map_err(|error| broken(&error))
}

/// Writes text as it is to stdout.
pub(crate) fn text(text: impl AsRef<str>) -> Outcome {
    let mut out = io::stdout().lock();
    out.write_all(text.as_ref().as_bytes()).and_then(|()| out.flush()).map_err(|error| broken(&error))
}

/// Writes JSON to stdout, for scripts and readable all the same.
pub(crate) fn json(value: &serde_json::Value) -> Outcome {
    line(format!("{value:#}"))
}

/// Tells something beside the output, on stderr.
pub(crate) fn note(text: impl AsRef<str>) {
    // Nobody is left to tell if stderr is gone.
    let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
}

/// Why stdout cannot be written to.
pub(crate) fn broken(error: &io::Error) -> Trouble {
    Trouble::failure("the output cannot be written").because(error)
}

/// Whether a person reads stdout.
pub(crate) fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether a person reads stderr.
pub(crate) fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Whether a person writes stdin.
pub(crate) fn stdin_is_terminal() -> bool {
    io::stdin().is_terminal()
}
