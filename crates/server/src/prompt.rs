//! Asking a person for a password.

use std::io::BufRead;

use console::Term;

use crate::output;
use crate::trouble::{Outcome, Trouble};

/// Asks on the terminal; what is typed is not shown.
pub(crate) fn password(question: &str) -> Outcome<String> {
    if !output::stdin_is_terminal() || !output::stderr_is_terminal() {
        return Err(Trouble::usage("there is no terminal to ask for the password on")
            .hint("`meshgate user add` reads it with --password-stdin, `meshgate sql` from MESHGATE_PASSWORD"));
    }
    let terminal = Term::stderr();
    let asked = terminal.write_str(question).and_then(|()| terminal.read_secure_line());
    asked.map_err(|error| Trouble::failure("the password cannot be read").because(&error))
}

/// Asks twice, for a password that nobody can look up later.
pub(crate) fn new_password(name: &str) -> Outcome<String> {
    let first = password(&format!("New password of {name}: "))?;
    let second = password("Once more: ")?;
    if first == second { Ok(first) } else { Err(Trouble::failure("the two passwords differ").hint("try again")) }
}

/// The first line of stdin.
pub(crate) fn password_from_stdin() -> Outcome<String> {
    let mut text = String::new();
    let read = std::io::stdin().lock().read_line(&mut text);
    read.map_err(|error| Trouble::failure("the password cannot be read from stdin").because(&error))?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}
