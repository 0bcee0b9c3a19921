//! SQL and its answers in the sqllogictest format.
//!
//! * `own`: `slt/*.slt`, about what principals see.
//! * `datafusion`: DataFusion's own files, over the wire; `left-out.md` says what of them is left out and why.
//! * `format`, `answer`: the format, and answers in it. `reason`: why a record may be left out.
//! * `local`: a file's session in DataFusion, and DataFusion over other tables. `script`: what to ask the gateway, found by running
//!   the file there. `stored`: a table as Delta can hold it.
//! * `gate`: the gateway over a file's tables. `verdict`: whether a record holds. `tally`: the verdicts, counted and written down.

mod answer;
mod datafusion;
mod format;
mod gate;
mod local;
mod own;
mod reason;
mod script;
mod stored;
mod tally;
mod verdict;
