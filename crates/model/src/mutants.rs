//! Seeded bugs of enforcement, each of which the tests have to notice (`cargo xtask mutants`).
//!
//! A bug stands where it would be made, as `mutant("its name")`. That is false, and compiled away, unless the feature
//! `mutants` is on and the environment of a test process names that one bug. A release build with the feature does not compile.

#[cfg(all(feature = "mutants", not(debug_assertions)))]
compile_error!("seeded bugs must not be built into a release: turn the feature `mutants` off");

/// Whether the seeded bug of this name is in force.
#[inline(always)]
#[cfg(not(feature = "mutants"))]
pub const fn mutant(_: &str) -> bool {
    false
}

/// Whether the seeded bug of this name is in force: the one that `MESHGATE_MUTANT` names, for the life of the process.
#[cfg(feature = "mutants")]
pub fn mutant(name: &str) -> bool {
    static ALIVE: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    ALIVE.get_or_init(|| std::env::var("MESHGATE_MUTANT").ok()).as_deref() == Some(name)
}
