//! A person at the terminal.

use std::time::Instant;

use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use tokio::runtime::Runtime;

use super::backslash::{self, Said};
use super::client::Client;
use super::render::Sheet;
use super::split;
use crate::args::Rows;
use crate::output;
use crate::paths;
use crate::trouble::{Outcome, Trouble};

const PROMPT: &str = "meshgate> ";
const PROMPT_MORE: &str = "       -> ";

/// Reads statements until the person leaves.
pub(super) fn run(runtime: &Runtime, client: &mut Client, format: Rows) -> Outcome {
    if format == Rows::Arrow && output::stdout_is_terminal() {
        return Err(Trouble::usage("an Arrow stream is not for a terminal").hint("send it to a file or a pipe"));
    }
    let failed = |error: ReadlineError| Trouble::failure("the terminal cannot be read").because(&error);
    let mut editor = DefaultEditor::new().map_err(failed)?;
    let history = paths::history();
    if let Some(file) = &history {
        // There is none the first time.
        let _ = editor.load_history(file);
    }
    client.note_open();
    let mut timing = false;
    while let Some(input) = read(&mut editor).map_err(failed)? {
        // A line that cannot be kept is no reason to stop.
        let _ = editor.add_history_entry(input.trim());
        let begun = Instant::now();
        let done = if input.trim_start().starts_with('\\') {
            match backslash::run(runtime, client, input.trim(), &mut timing) {
                Ok(Said::Leave) => break,
                Ok(Said::Done) => continue,
                Err(trouble) => Err(trouble),
            }
        } else {
            run_all(runtime, client, &input, format)
        };
        if let Err(trouble) = done {
            output::note(trouble.to_string());
        }
        if timing {
            output::note(format!("Time: {:.3} ms", begun.elapsed().as_secs_f64() * 1e3));
        }
    }
    if let Some(file) = &history {
        keep(&mut editor, file);
    }
    Ok(())
}

/// One or several complete statements, or one line with a backslash; `None` when the person leaves.
fn read(editor: &mut DefaultEditor) -> Result<Option<String>, ReadlineError> {
    let mut text = String::new();
    loop {
        match editor.readline(if text.is_empty() { PROMPT } else { PROMPT_MORE }) {
            Ok(line) => text.push_str(&line),
            // Ctrl-C throws away what was typed so far.
            Err(ReadlineError::Interrupted) => {
                text.clear();
                continue;
            }
            Err(ReadlineError::Eof) => return Ok(None),
            Err(error) => return Err(error),
        }
        if text.trim().is_empty() {
            text.clear();
        } else if text.trim_start().starts_with('\\') || split::is_complete(&text) {
            return Ok(Some(text));
        } else {
            text.push('\n');
        }
    }
}

fn run_all(runtime: &Runtime, client: &mut Client, text: &str, format: Rows) -> Outcome {
    for statement in split::statements(text) {
        let rows = runtime.block_on(client.run(statement, &mut Sheet::to_stdout(format)))?;
        if format == Rows::Table {
            output::note(format!("({rows} {})", if rows == 1 { "row" } else { "rows" }));
        }
    }
    Ok(())
}

fn keep(editor: &mut DefaultEditor, file: &std::path::Path) {
    let made = file.parent().is_none_or(|parent| std::fs::create_dir_all(parent).is_ok());
    if !made || editor.save_history(file).is_err() {
        output::note(format!("note: what you typed could not be kept in {}", file.display()));
    }
}
