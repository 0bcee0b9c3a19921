//! Hostile bytes for decoders: valid inputs are changed at random and thrown at what reads them, on a stable toolchain
//! and in ordinary tests.
//!
//! * [`Fuzz`]: a target: its valid inputs, its words, its limits; [`Fuzz::run`] is a test `fuzz_<name>`.
//! * [`Counting`]: the allocator of a test binary whose targets must not allocate much.
//!
//! Inside: `random` (numbers), `mutate` (bytes and text), `message` (protobuf), `memory` (the allocator), `run` (the loop),
//! `report` (the smallest input that fails).
//!
//! A run feeds a few thousand inputs of a fixed seed, so that it judges a change and not its luck. `MESHGATE_FUZZ_SECONDS`
//! makes it a hunt of that many seconds with a new seed, which is what `cargo xtask fuzz` does; `MESHGATE_FUZZ_SEED` repeats
//! one. What fails is made small and printed with its seed. An input that takes the process down is left in the temporary
//! directory, in `meshgate-fuzz-<name>-<pid>`.
//!
//! Never a normal dependency: it reads the environment and prints. It depends on nothing, so that the lowest crates can
//! have it.

mod memory;
mod message;
mod mutate;
mod random;
mod report;
mod run;

pub use memory::Counting;
pub use run::Fuzz;
