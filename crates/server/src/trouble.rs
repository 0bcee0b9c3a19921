//! What the terminal is told when a command fails: what could not be done, why, what to try; and the exit code.

use std::fmt;
use std::process::ExitCode;

use meshgate_model::Failure;

/// How the process ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// It was done.
    Success = 0,
    /// It could not be done, or findings say no.
    Failure = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The configuration is wrong (`EX_CONFIG`).
    Config = 78,
}

/// A command that failed.
#[derive(Debug)]
pub(crate) struct Trouble {
    exit: Exit,
    what: String,
    why: Vec<String>,
    hint: Option<String>,
}

/// What a command returns.
pub(crate) type Outcome<T = ()> = Result<T, Trouble>;

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Trouble {
    /// Something could not be done.
    pub(crate) fn failure(what: impl Into<String>) -> Self {
        Self { exit: Exit::Failure, what: what.into(), why: Vec::new(), hint: None }
    }

    /// The command line is wrong in a way that the parser cannot see.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, ..Self::failure(what) }
    }

    /// The configuration is wrong.
    pub(crate) fn config(what: impl Into<String>) -> Self {
        Self { exit: Exit::Config, ..Self::failure(what) }
    }

    /// A failure of one of the house's crates: here the operator reads, so the cause is shown and not the public text.
    pub(crate) fn of(what: impl Into<String>, error: &dyn Failure) -> Self {
        let mut trouble = Self::failure(what).because(error);
        trouble.hint = error.public().hint;
        trouble
    }

    /// The same as a wrong configuration.
    pub(crate) fn in_config(mut self) -> Self {
        self.exit = Exit::Config;
        self
    }

    /// The same as a wrong command line.
    pub(crate) fn in_usage(mut self) -> Self {
        self.exit = Exit::Usage;
        self
    }

    /// Adds an error and all its sources as the reason.
    pub(crate) fn because(mut self, error: &dyn std::error::Error) -> Self {
        let mut next = Some(error);
        while let Some(cause) = next {
            let text = cause.to_string();
            // Many errors repeat their source in their own text.
            if !self.why.last().is_some_and(|last| last.contains(&text)) {
                self.why.push(text);
            }
            next = cause.source();
        }
        self
    }

    /// Adds a reason in words.
    pub(crate) fn why(mut self, why: impl Into<String>) -> Self {
        self.why.push(why.into());
        self
    }

    /// Adds what to try.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// How the process ends.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }
}

impl From<anyhow::Error> for Trouble {
    fn from(error: anyhow::Error) -> Self {
        let mut chain = error.chain().map(ToString::to_string);
        let what = chain.next().unwrap_or_default();
        Self { why: chain.collect(), ..Self::failure(what) }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.what)?;
        for why in &self.why {
            write!(f, "\n  because: {}", why.replace('\n', "\n    "))?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\n  try: {}", hint.replace('\n', "\n    ")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Exit, Trouble};

    #[test]
    fn says_what_why_and_what_to_try() {
        let inner = std::io::Error::other("no such host");
        let trouble = Trouble::config("cannot start").because(&inner).hint("check the name");
        assert_eq!(trouble.to_string(), "error: cannot start\n  because: no such host\n  try: check the name");
        assert_eq!(trouble.exit(), Exit::Config);
        assert_eq!(Exit::Config as u8, 78);
    }

    #[test]
    fn context_comes_before_causes() {
        let error = anyhow::Error::msg("disk full").context("writing the ready file");
        assert_eq!(Trouble::from(error).to_string(), "error: writing the ready file\n  because: disk full");
    }
}
