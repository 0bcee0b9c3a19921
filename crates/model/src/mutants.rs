//! Seeded bugs of enforcement, each of which the tests have to notice (`cargo xtask mutants`).
//!
//! A bug stands where it would be made, as `mutant("its name")`. That is false, and compiled away, unless the feature
//! `mutants` is on and a test process has let that one bug live. A release build with the feature does not compile.

#[cfg(all(feature = "mutants", not(debug_assertions)))]
compile_error!("seeded bugs must not be built into a release: turn the feature `mutants` off");

#[cfg(feature = "mutants")]
static ALIVE: std::sync::OnceLock<String> = std::sync::OnceLock::new();

/// Whether the seeded bug of this name is in force.
#[inline(always)]
#[cfg(not(feature = "mutants"))]
pub const fn mutant(_: &str) -> bool {
    false
}

/// Whether the seeded bug of this name is in force.
#[cfg(feature = "mutants")]
pub fn mutant(name: &str) -> bool {
    ALIVE.get().is_some_and(|alive| alive == name)
}

/// Lets one bug live, for the rest of the process.
#[cfg(feature = "mutants")]
pub fn let_live(name: &str) {
    ALIVE.get_or_init(|| name.to_owned());
}
