//! Whether a record holds at the gateway; and if not, why: DataFusion is asked again, over the tables as they are stored
//! and with the gateway's settings, then with one difference at a time. Where the two disagree the gateway is wrong.

use datafusion::execution::SessionStateDefaults;
use regex::Regex;
use tonic::{Code, Status};

use super::answer::Answer;
use super::format::{Expected, Record};
use super::gate::{Gate, domain};
use super::local::{Tables, Twin};
use super::reason::Reason;
use super::script::{Ask, Read, Script};

/// What came of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The rows that the file expects.
    Answered,
    /// An error where the file expects one; whether in its words.
    Failed {
        in_these_words: bool,
    },
    /// Refused, as everything that does not only read.
    Refused,
    LeftOut(Reason),
    Wrong(String),
}

type Outcome<'o> = Result<&'o Answer, String>;

pub(super) async fn verdict(gate: &Gate, script: &Script, record: &Record, ask: &Ask) -> Verdict {
    match ask {
        Ask::LeftOut(reason) => Verdict::LeftOut(*reason),
        Ask::Refused { readable } => match gate.change(&record.sql).await {
            Ok(()) => Verdict::Wrong("reports success".to_owned()),
            Err(status) if status.code() == Code::PermissionDenied => Verdict::Refused,
            Err(status) if status.code() == Code::InvalidArgument && !readable => Verdict::Refused,
            Err(status) => Verdict::Wrong(format!("is refused as {:?}: {}", status.code(), status.message())),
        },
        Ask::Session => match (gate.change(&record.sql).await, &record.expected) {
            (Ok(()), Expected::Success) => Verdict::Answered,
            (Err(status), Expected::Failure(pattern)) => failed(&status, pattern),
            (Err(status), Expected::Success) if status.message().contains("expected an IANA time zone") => {
                Verdict::LeftOut(Reason::Settings)
            }
            (outcome, _) => Verdict::Wrong(format!("the session says {outcome:?}")),
        },
        Ask::Explained { state } => match gate.ask(*state, None, &record.sql).await {
            Err(status) if !blames_the_query(&status) => Verdict::Wrong(words(&status)),
            _ => Verdict::LeftOut(Reason::Explain),
        },
        Ask::Read(read) => reading(gate, script, record, read).await,
    }
}

async fn reading(gate: &Gate, script: &Script, record: &Record, read: &Read) -> Verdict {
    if read.versions.iter().any(|version| script.versions[*version].stored.is_err()) {
        return Verdict::LeftOut(Reason::Types);
    }
    let found = gate.ask(read.state, read.zone.as_deref(), &record.sql).await;
    match (&found, &record.expected) {
        // The gateway's own faults are never an answer.
        (Err(status), _) if !blames_the_query(status) => {
            return Verdict::Wrong(format!("{:?}: {}", status.code(), status.message()));
        }
        (Err(status), Expected::Failure(pattern)) => {
            return match failed(status, pattern) {
                // An error, but not that of the statement.
                Verdict::Failed { in_these_words: false } if let Some(reason) = beside(status, pattern) => {
                    Verdict::LeftOut(reason)
                }
                failed => failed,
            };
        }
        (found, _) if meets(record, read, &found.as_ref().map_err(words)).is_none() => return Verdict::Answered,
        _ => {}
    }
    if read.listing {
        return Verdict::LeftOut(Reason::Listing);
    }
    if let Err(status) = &found
        && let Some(reason) = by_design(status)
    {
        return Verdict::LeftOut(reason);
    }
    match explained(script, record, read, found.as_ref()).await {
        Ok(reason) => Verdict::LeftOut(reason),
        Err(twin) => {
            let found = match found {
                Ok(answer) => format!("{} {}", answer.types, answer.lines().join(" | ")),
                Err(status) => format!("{:?}: {}", status.code(), status.message()),
            };
            Verdict::Wrong(format!("the gateway: {found}\n{twin}"))
        }
    }
}

/// Why the outcome is not what the file expects.
fn meets(record: &Record, read: &Read, outcome: &Outcome<'_>) -> Option<String> {
    match (outcome, &record.expected) {
        (Ok(_), Expected::Success) | (Err(_), Expected::Failure(_)) => None,
        (Ok(answer), Expected::Rows { types, sort, lines }) => answer.differs(types, *sort, lines, read.ordered),
        (Ok(_), Expected::Failure(_)) => Some("no error".to_owned()),
        (Err(error), _) => Some(error.clone()),
    }
}

fn words(status: &Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}

fn blames_the_query(status: &Status) -> bool {
    matches!(status.code(), Code::InvalidArgument | Code::NotFound | Code::PermissionDenied | Code::ResourceExhausted)
}

fn failed(status: &Status, pattern: &str) -> Verdict {
    let mut pattern = CAUSES.iter().filter_map(|cause| Some(pattern.rsplit_once(cause)?.1)).next().unwrap_or(pattern);
    while let Some(rest) = FRAMES.iter().find_map(|frame| pattern.strip_prefix(frame)) {
        pattern = rest;
    }
    let in_these_words = Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(status.message()));
    Verdict::Failed { in_these_words }
}

/// What DataFusion puts before an error's words: its steps, and its kinds.
const CAUSES: [&str; 2] = ["\\ncaused by\\n", "\ncaused by\n"];
const FRAMES: [&str; 8] = [
    "DataFusion error: ",
    "Error during planning: ",
    "Schema error: ",
    "Arrow error: ",
    "Execution error: ",
    "Invalid argument error: ",
    "This feature is not implemented: ",
    "SQL error: ",
];

/// What the gateway refuses before it comes to the error that a file expects.
fn beside(status: &Status, pattern: &str) -> Option<Reason> {
    match status.code() {
        Code::NotFound if !pattern.contains("not found") => Some(Reason::Rust),
        Code::NotFound | Code::ResourceExhausted => None,
        _ => by_design(status),
    }
}

/// What the gateway refuses by a list of its own.
fn by_design(status: &Status) -> Option<Reason> {
    let message = status.message();
    if message.contains("cannot be sent as") {
        return Some(Reason::Wire);
    }
    if let Some((_, rest)) = message.split_once("Invalid function '") {
        let name = rest.split('\'').next().unwrap_or_default();
        return Some(if is_datafusions(name) { Reason::Functions } else { Reason::Rust });
    }
    match status.code() {
        Code::PermissionDenied => Some(Reason::Forms),
        Code::ResourceExhausted => Some(Reason::Limits),
        _ => None,
    }
}

/// Whether DataFusion has a function of this name.
fn is_datafusions(name: &str) -> bool {
    let scalar = SessionStateDefaults::default_scalar_functions();
    let higher = SessionStateDefaults::default_higher_order_functions();
    scalar.iter().any(|function| function.name() == name || function.aliases().iter().any(|alias| alias == name))
        || higher.iter().any(|function| function.name() == name || function.aliases().iter().any(|alias| alias == name))
}

/// Why the file expects something else than the gateway says; or, if nothing explains it, what DataFusion says.
async fn explained(
    script: &Script,
    record: &Record,
    read: &Read,
    found: Result<&Answer, &Status>,
) -> Result<Reason, String> {
    let zone = read.zone.as_deref();
    let domain = domain(read.state);
    let twin = |decimals: bool, stored: bool| Twin::new(&domain, zone, decimals, tables(script, read.state, stored));
    if read.functions {
        return Ok(Reason::Rust);
    }
    let twins = twin(true, true).ask(&record.sql).await;
    match (found, &twins) {
        (Ok(found), Ok(twins)) if found.agrees(twins, read.ordered) => {}
        (Ok(found), Ok(twins)) if found.agrees(twins.on_the_wire(), read.ordered) => return Ok(Reason::Wire),
        (Ok(_), Err(error)) if error.contains("Projections require unique expression names") => {
            return Ok(Reason::Twins);
        }
        (Err(_), Err(_)) => {}
        (_, Ok(twins)) => return Err(format!("DataFusion: {} {}", twins.types, twins.lines().join(" | "))),
        (_, Err(error)) => return Err(format!("DataFusion: {error}")),
    }
    let local = read.local.as_ref().map_err(String::clone);
    if let Some(problem) = meets(record, read, &local) {
        let absent = problem.contains("not found") || problem.contains("Invalid function");
        return Ok(if absent { Reason::Rust } else { Reason::NotBuilt });
    }
    let changed = read.versions.iter().any(|version| script.versions[*version].changed);
    for (decimals, stored, reason) in
        [(false, true, Reason::Decimals), (true, false, Reason::Types), (false, false, Reason::Types)]
    {
        if reason == Reason::Types && !changed {
            continue;
        }
        let outcome = twin(decimals, stored).ask(&record.sql).await;
        if meets(record, read, &outcome.as_ref().map_err(String::clone)).is_none() {
            return Ok(reason);
        }
    }
    match (read.settings, read.views) {
        (true, _) => Ok(Reason::Settings),
        (_, true) => Ok(Reason::Views),
        _ => Err("DataFusion says the same, but not over the file's own tables".to_owned()),
    }
}

fn tables(script: &Script, state: usize, stored: bool) -> Tables<'_> {
    let held = script.states[state].iter().filter_map(|((schema, table), version)| {
        let version = &script.versions[*version];
        let contents = if stored { version.stored.as_ref().ok()? } else { &version.original };
        Some((schema.as_str(), table.as_str(), contents))
    });
    held.collect()
}
