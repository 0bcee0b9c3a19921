//! The developer's commands: `cargo xtask <command>`. Not part of the product and never a dependency of it.
//!
//! * `tidy`: the rules of the house that neither the compiler nor clippy knows: layers, sole owners of heavy
//!   dependencies, file sizes, module docs. Each finding names file and line and says what to do. See [`tidy`].
//! * `test`: everything that can fail: `cargo test --workspace`, then the real clients against a real binary. See
//!   [`test`].
//! * `slt`: DataFusion's own `.slt` files over the wire. See [`slt`].
//! * `mutants`: seeded bugs of enforcement, which the tests have to notice. See [`mutants`].
//! * `bench`: what takes how long, beside others over the same files.
//! * `fuzz`: hostile bytes for everything that reads them, for as long as one likes.
//! * `attack`: random queries hunt for leaks in twin worlds for as long as one likes.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

mod mutants;
mod slt;
mod test;
mod tidy;

const USAGE: &str = "usage: cargo xtask <command>

  tidy                 check the rules of the house
  test [--no-clients]  unit, doc and integration tests, then the client matrix of tests/clients
                       (MESHGATE_BIN: the binary for the clients; built in the dev profile if not set)
  slt [TEXT]           DataFusion's own .slt files (those whose names contain TEXT) over the wire; also part of `test`
  slt --remember       all of them; writes down what is left out, in tests/it/slt/left-out.md
  attack [--minutes N] random queries in twin worlds, for 10 minutes or N, with a new seed
                       (MESHGATE_ATTACK_SEED: the seed of a run to repeat)
  fuzz [--minutes N] [TEXT]
                       hostile input for all targets (those whose names begin with TEXT), for 10 minutes each or N
                       (MESHGATE_FUZZ_SEED: the seed of a run to repeat)
  bench [SUITE...]     measures the release binary beside other engines: p1 to p5, p7 to p9, or all (benches/run.py)
  mutants [TEXT]       seeded bugs of enforcement (those whose names contain TEXT): the tests have to notice each
  mutants --remember   all of them; writes down which test noticed which, so that the next run begins with it
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["tidy"] => root().and_then(|root| tidy::run(&root)),
        ["test"] => root().and_then(|root| test::run(&root, test::Clients::Run)),
        ["slt"] => root().and_then(|root| slt::run(&root, "")),
        ["slt", "--remember"] => root().and_then(|root| slt::remember(&root)),
        ["slt", only] => root().and_then(|root| slt::run(&root, only)),
        ["attack"] => root().and_then(|root| test::attack(&root, "10")),
        ["attack", "--minutes", minutes] => root().and_then(|root| test::attack(&root, minutes)),
        ["fuzz"] => root().and_then(|root| test::fuzz(&root, "10", "")),
        ["fuzz", "--minutes", minutes] => root().and_then(|root| test::fuzz(&root, minutes, "")),
        ["fuzz", "--minutes", minutes, only] => root().and_then(|root| test::fuzz(&root, minutes, only)),
        ["fuzz", only] => root().and_then(|root| test::fuzz(&root, "10", only)),
        ["bench", suites @ ..] => root().and_then(|root| test::bench(&root, suites)),
        ["mutants"] => root().and_then(|root| mutants::run(&root, None, false)),
        ["mutants", "--remember"] => root().and_then(|root| mutants::run(&root, None, true)),
        ["mutants", only] => root().and_then(|root| mutants::run(&root, Some(only), false)),
        ["test", "--no-clients"] => root().and_then(|root| test::run(&root, test::Clients::Skip)),
        _ => {
            say(USAGE);
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("xtask: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The workspace's root: two above this crate.
fn root() -> anyhow::Result<PathBuf> {
    let manifest =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    manifest.ancestors().nth(2).map(Path::to_path_buf).context("xtask is not at crates/xtask of a workspace")
}

#[expect(clippy::print_stderr, reason = "a command line tool talks to its user")]
fn say(text: &str) {
    eprintln!("{}", text.trim_end());
}
