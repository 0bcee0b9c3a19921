//! Records of what happened, kept so that nobody can quietly change them.
//!
//! * [`Record`] and its kinds ([`Intent`], [`Outcome`], [`Denial`], ...): what is recorded. Never a cell value.
//! * [`Ledger`]: the one writer of an audit directory. [`Ledger::append`] answers when the record is on disk,
//!   [`Ledger::append_lazy`] does not keep anybody waiting.
//! * [`Anchoring`], [`AnchorKey`]: signed statements in another directory of how the trail stood, so that it cannot be
//!   set back or rewritten whole; [`verify_anchored`] with [`AnchorPublicKey`] compares.
//! * [`verify`]: reads a whole trail, also beside a running gateway, and says what is wrong with it: [`Problem`].
//! * [`Error`]: why nothing can be recorded.
//!
//! On disk an audit directory holds segments `audit-<number>.jsonl`, one record per line, each with its number, the hash
//! of the record before it and its own; `head`, which says how far the trail goes, so that its end cannot be cut off
//! unnoticed; and `lock`, held by the writer. What a crash left unfinished behind the head is put aside in `.torn` files.
//!
//! SECURITY: the chain has no key. It finds every change short of rewriting all that follows and the head with it, or of
//! setting all files back to an older copy. Anchors exclude that too, short of who can also change what was written to
//! their directory: there, in `anchors-<key id>.jsonl`, stand signed statements of how far the trail went and with which
//! hash. The trail never waits for them: while they cannot be written the ledger says so
//! ([`Ledger::is_anchored`]) and goes on. What they do not cover yet, at most [`Anchoring::every_records`] records or
//! those of [`Anchoring::every_s`] seconds, can be cut off together with its head.
//!
//! Not here: logs and traces for operators (`tracing`), decisions about who may do what (`policy`).

mod anchors;
mod chain;
mod disk;
mod error;
mod files;
mod head;
mod key;
mod ledger;
mod queue;
mod record;
mod recover;
mod trail;
mod verify;

pub use anchors::Anchoring;
pub use error::Error;
pub use key::{AnchorKey, AnchorPublicKey};
pub use ledger::{Ledger, Options, Receipt};
pub use record::{Client, Denial, End, Intent, MaskUse, Outcome, Record, Released, Started, Stopped, TableUse, Who};
pub use verify::{Anchored, Problem, Verified, verify, verify_anchored};

#[cfg(test)]
mod tests;
