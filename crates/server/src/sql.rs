//! `meshgate sql`: a Flight SQL client for one statement, a script, or a person.

mod backslash;
mod client;
mod interactive;
mod progress;
mod render;
mod split;

use std::io::Read;

use crate::args;
use crate::output;
use crate::trouble::{Outcome, Trouble};
use client::Client;
use render::Sheet;

/// Runs the command.
pub(crate) fn run(arguments: args::Sql) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Trouble::failure("no threads can be started").because(&error))?;
    let mut client = runtime.block_on(Client::connect(&arguments))?;
    match &arguments.statements {
        Some(text) => runtime.block_on(script(&mut client, text, arguments.format)),
        None if output::stdin_is_terminal() => interactive::run(&runtime, &mut client, arguments.format),
        None => {
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text);
            read.map_err(|error| Trouble::failure("the statements cannot be read from stdin").because(&error))?;
            runtime.block_on(script(&mut client, &text, arguments.format))
        }
    }
}

/// Runs statement after statement and stops at the first that fails.
async fn script(client: &mut Client, text: &str, format: args::Rows) -> Outcome {
    let statements = split::statements(text);
    if statements.is_empty() {
        return Err(Trouble::usage("there is no statement to run").hint("meshgate sql \"SELECT 1\""));
    }
    if format == args::Rows::Arrow && output::stdout_is_terminal() {
        return Err(Trouble::usage("an Arrow stream is not for a terminal").hint("send it to a file or a pipe"));
    }
    for statement in statements {
        client.run(statement, &mut Sheet::to_stdout(format)).await?;
    }
    Ok(())
}
