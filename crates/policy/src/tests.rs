//! Policies of a small mesh, as files, asked about the principals of [`fixture`].

mod bad_policies;
mod composition;
mod decisions;
mod differential;
mod documents;
mod fixture;
mod fuzz;
mod likeness;
mod scopes;
mod sql_texts;
mod tools;
