//! Records of what happened, kept so that nobody can quietly change them.
//!
//! * [`Record`] and its kinds ([`Intent`], [`Outcome`], [`Denial`], ...): what is recorded. Never a cell value.
//! * [`Ledger`]: the one writer of an audit directory. [`Ledger::append`] answers when the record is on disk,
//!   [`Ledger::append_lazy`] does not keep anybody waiting.
//! * [`verify`]: reads a whole trail, also beside a running gateway, and says what is wrong with it: [`Problem`].
//! * [`Error`]: why nothing can be recorded.
//!
//! On disk an audit directory holds segments `audit-<number>.jsonl`, one record per line, each with its number, the hash
//! of the record before it and its own; `head`, which says how far the trail goes, so that its end cannot be cut off
//! unnoticed; and `lock`, held by the writer. What a crash left unfinished behind the head is put aside in `.torn` files.
//!
//! SECURITY: the chain has no key. It finds every change short of rewriting all that follows and the head with it; who
//! wants to exclude that too notes [`Verified::last_hash`] in another place now and then.
//!
//! Not here: logs and traces for operators (`tracing`), decisions about who may do what (`policy`).

mod chain;
mod disk;
mod error;
mod files;
mod head;
mod ledger;
mod queue;
mod record;
mod recover;
mod trail;
mod verify;

pub use error::Error;
pub use ledger::{Ledger, Options, Receipt};
pub use record::{Client, Denial, End, Intent, MaskUse, Outcome, Record, Released, Started, Stopped, TableUse, Who};
pub use verify::{Problem, Verified, verify};

#[cfg(test)]
mod tests;
