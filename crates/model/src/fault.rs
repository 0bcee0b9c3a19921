//! How errors say what kind they are and what a client may be told.

use std::fmt;

/// The kinds of failure. Each wire maps them in one exhaustive match.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fault {
    /// The request is wrong: syntax, types, options. Changing the request helps.
    Invalid,
    /// No valid credential.
    Unauthenticated,
    /// Known, but not allowed: a statement kind, a right that was lost.
    Denied,
    /// Absent, or forbidden in a way that must look absent.
    NotFound,
    /// The state does not allow it now: it already exists, it changed meanwhile.
    Conflict,
    /// A limit on size, number or memory was reached.
    Limited,
    /// Out of service for now: a broken document, a store that does not answer, draining.
    Unavailable,
    /// The caller or an operator ended it.
    Cancelled,
    /// The deadline passed.
    DeadlineExceeded,
    /// The feature is not built or not offered.
    Unsupported,
    /// A fault of ours. Nothing but the query id reaches the client.
    Internal,
}

/// What a client may read: never a cell value, a path, a plan or a name it may not see.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublicText {
    /// What could not be done, in one sentence.
    pub primary: String,
    /// More about why, if there is more to say.
    pub detail: Option<String>,
    /// What to try.
    pub hint: Option<String>,
}

/// Implemented by every crate's `Error`. [`std::fmt::Display`] of the error itself is for the operator's log.
pub trait Failure: std::error::Error + Send + Sync + 'static {
    /// What kind of failure this is.
    fn fault(&self) -> Fault;
    /// What the client is told.
    fn public(&self) -> PublicText;
}

impl PublicText {
    /// Just one sentence.
    pub fn new(primary: impl Into<String>) -> Self {
        Self { primary: primary.into(), detail: None, hint: None }
    }

    /// Adds what explains it.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds what to try.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What is said of every fault of ours.
    pub fn internal() -> Self {
        Self::new("the gateway could not finish this request because of a fault of its own")
            .hint("tell the operator the query id; the log has the cause")
    }
}

impl fmt::Display for PublicText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.primary)?;
        if let Some(detail) = &self.detail {
            write!(f, ": {detail}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, " (hint: {hint})")?;
        }
        Ok(())
    }
}
