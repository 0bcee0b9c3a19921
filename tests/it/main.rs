//! The gate from end to end, in process: meshes of documents, tables by the real writers, many principals.
//!
//! * `mesh`: the world that most tests look at.
//! * `attack`: random queries hunt for leaks in twin worlds.
//! * `canaries`: every mask on every kind of value through every operator.
//! * `catalogue`: known attacks and incidents, one a line.
//! * `denials`: who may do what, in one table, on the sockets.
//! * `fuzz`: hostile statements and messages.
//! * `handles`: forged tickets and handles; releases do not mix.
//! * `incidents`: what real systems leaked, by number.
//! * `layout`: how the bytes of what is hidden lie tells nothing.
//! * `loose`: directories of Parquet files.
//! * `slt`: `slt/*.slt`, each read as the principal that its first line names.
//! * `policies`: rules that meet, principals who differ in one thing.
//! * `probes`: what a principal may not see does not exist.
//! * `spine`: audit, reload, deadlines, cancellation, time travel, sessions.
//! * `versions`: `meshgate.catalog.snapshots`.
//! * `wire`: Flight SQL as it travels, each line of the checklist, and what drivers do.

mod attack;
mod canaries;
mod catalogue;
mod denials;
mod fuzz;
mod handles;
mod incidents;
mod layout;
mod loose;
mod mesh;
mod policies;
mod probes;
mod slt;
mod spine;
mod versions;
mod wire;
