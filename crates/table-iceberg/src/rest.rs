//! Tables of a REST catalog.
//!
//! * [`RestTable`]: one table, as the catalog tells of it: `answer` reads what it says, `table` keeps it.
//! * [`client::Client`]: the catalog and its configuration; `client::transport`: requests that are tried again, and errors;
//!   `login`: what proves who asks.

mod answer;
mod client;
mod login;
mod table;

pub(crate) use client::Clients;
pub(crate) use table::RestTable;

#[cfg(test)]
mod tests;
