//! What tests build their worlds from: meshes of documents, tables written by the real writers, principals with tokens,
//! and a gateway in process.
//!
//! * [`World`]: a mesh in a temporary directory and a gateway over it.
//! * [`Product`]: a product's documents from a few words.
//! * [`Wire`] and [`Client`]: the gateway on real sockets, and a client that keeps every byte it gets.
//! * [`attack`]: twin worlds and random queries that hunt for leaks.
//! * [`delta_in_row_groups`]: a table whose rows lie in a file as wanted.
//! * [`ambient`]: a clock and a source of randomness for tests.
//!
//! Never a normal dependency: nothing of it may be in the binary.

pub mod ambient;
pub mod attack;
mod documents;
mod layout;
mod wire;
mod world;

pub use documents::{Column, Product};
pub use layout::delta_in_row_groups;
pub use wire::{Client, Reply, Wire};
pub use world::{World, WorldBuilder, rows_text};
