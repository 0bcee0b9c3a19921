//! One module for each command, and the step from arguments to the right one.

mod access;
mod audit;
mod check;
mod policy;
mod token;
mod user;

use crate::args::{Access, Arguments, Audit, Command, LogFormat, Policy, Token, User};
use crate::config::Overrides;
use crate::trouble::{Exit, Outcome, Trouble};
use crate::{demo, logging, serve, sql};

/// Runs the command.
pub(crate) fn run(arguments: Arguments) -> Outcome<Exit> {
    let Arguments { log_format, log_filter, command } = arguments;
    if !matches!(command, Command::Demo(_) | Command::Serve(_)) {
        // Commands for people say what they have to say themselves; only real faults are logged beside it.
        logging::start(log_format.unwrap_or(LogFormat::Text), log_filter.as_deref(), "error")?;
    }
    let log = || Overrides { log_format, log_filter: log_filter.clone(), ..Overrides::default() };
    match command {
        Command::Demo(arguments) => done(demo::run(arguments, log())),
        Command::Serve(arguments) => done(serve::command(arguments, log())),
        Command::Check(arguments) => check::run(&arguments),
        Command::Sql(arguments) => done(sql::run(arguments)),
        Command::Token(Token::Create(arguments)) => done(block_on(token::create(arguments))),
        Command::Token(Token::List(arguments)) => done(block_on(token::list(arguments))),
        Command::Token(Token::Revoke(arguments)) => done(block_on(token::revoke(arguments))),
        Command::User(User::Add(arguments)) => done(block_on(user::add(arguments))),
        Command::Access(Access::Explain(arguments)) => block_on(access::explain(arguments)),
        Command::Policy(Policy::Test(arguments)) => policy::test(&arguments),
        Command::Policy(Policy::Diff(arguments)) => policy::diff(&arguments),
        Command::Audit(Audit::Verify(arguments)) => audit::verify(&arguments),
    }
}

fn done(outcome: Outcome) -> Outcome<Exit> {
    outcome.map(|()| Exit::Success)
}

fn block_on<T>(future: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Trouble::failure("no thread can be started").because(&error))?.block_on(future)
}
