//! The binary `meshgate`: arguments and file become a configuration, the configuration becomes a running gateway.
//!
//! * [`args`]: what may stand on the command line; [`config`]: what may stand in the file and the environment.
//! * [`command`]: one module for each command; [`serve`], [`demo`] and [`sql`] are large enough to stand beside it.
//! * [`tls`]: certificates and keys, for the Flight port and for `meshgate sql`.
//! * [`trouble`]: how a failure is told and which exit code it has; [`output`]: the only place that prints.
//!
//! Nothing here is worth a unit test but the reading of arguments, configuration and text: logic lives in the crates
//! below.

mod ambient;
mod args;
mod command;
mod config;
mod demo;
mod logging;
mod mesh;
mod output;
mod paths;
mod prompt;
mod serve;
mod sql;
mod state;
mod tls;
mod trouble;

use std::process::ExitCode;

use clap::Parser;

use args::Arguments;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Two crypto providers are in the tree: without a choice, a TLS client or server panics when it is made. An error
    // means that the choice was made already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments = Arguments::parse();
    match command::run(arguments) {
        Ok(exit) => exit.into(),
        Err(trouble) => {
            output::note(trouble.to_string());
            trouble.exit().into()
        }
    }
}
