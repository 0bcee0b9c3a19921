//! What tests build their worlds from: meshes of documents, tables written by the real writers, principals with tokens,
//! and a gateway in process.
//!
//! * [`World`]: a mesh in a temporary directory and a gateway over it.
//! * [`Product`]: a product's documents from a few words.
//! * [`Wire`] and [`Client`]: the gateway on real sockets, and a client that keeps every byte it gets.
//! * [`attack`]: twin worlds and random queries that hunt for leaks.
//! * [`ambient`]: a clock and a source of randomness for tests.
//!
//! Never a normal dependency: nothing of it may be in the binary.

pub mod ambient;
pub mod attack;
mod documents;
mod wire;
mod world;

pub use documents::{Column, Product};
pub use wire::{Client, Reply, Wire};
pub use world::{World, WorldBuilder, rows_text};
