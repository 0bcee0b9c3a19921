//! DataFusion's errors as ours.
//!
//! SECURITY: while planning, no row has been read, so DataFusion's own words (names that the principal sees, types, its
//! own text) are public. While executing, they may quote values: there only a fixed sentence for each kind is.

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use meshgate_govern::functions;
use meshgate_model::{PublicText, mutant};

use crate::context::NO_TABLE;
use crate::{Error, twins};

/// The longest text taken from DataFusion, in characters.
const TEXT_LEN_MAX: usize = 2_000;

/// An error of planning.
pub(crate) fn planning(error: DataFusionError) -> Error {
    let error = match foreign(error) {
        Ok(error) => error,
        Err(ours) => return ours,
    };
    match error.find_root() {
        DataFusionError::Plan(text) if text.starts_with(NO_TABLE) => {
            Error::NoTable { name: text[NO_TABLE.len()..].to_owned() }
        }
        DataFusionError::Plan(_)
        | DataFusionError::SQL(_, _)
        | DataFusionError::SchemaError(_, _)
        | DataFusionError::NotImplemented(_)
        | DataFusionError::Execution(_)
        | DataFusionError::Configuration(_)
        | DataFusionError::ArrowError(_, _) => Error::Invalid { text: plan_text(&error) },
        DataFusionError::External(cause) if cause.to_string().starts_with(REGEX) => Error::invalid(UNREADABLE_REGEX),
        // What DataFusion calls its own fault while planning is as a rule a statement that it did not expect: a function
        // where it cannot stand, a constant argument that is out of range.
        DataFusionError::Internal(_) => unexpected(error),
        _ => Error::Internal { what: error.to_string() },
    }
}

fn unexpected(error: DataFusionError) -> Error {
    let text = PublicText::new("the statement cannot be carried out as it is written")
        .hint("write it in another way, for example with a sub-query for a computed key");
    Error::Data { text, source: error }
}

/// How the errors of the library for regular expressions begin.
const REGEX: &str = "regex parse error";
/// What the kernels say of one that is too large.
const REGEX_LIMIT: &str = "Regular expression did not compile";
const UNREADABLE_REGEX: &str = "a regular expression cannot be read, or is too large";

/// An error on the way from the logical to the physical plan. SECURITY: its words may quote the plan below the barrier, with
/// files, policies and statistics; so only the operator gets them.
pub(crate) fn lowering(error: DataFusionError) -> Error {
    if mutant("errors quote plans") {
        return planning(error);
    }
    let error = match foreign(error) {
        Ok(error) => error,
        Err(ours) => return ours,
    };
    match error.find_root() {
        DataFusionError::NotImplemented(_) => {
            let text = PublicText::new("the statement uses something that is not supported here").hint(
                "EXISTS and IN with a sub-query stand in WHERE; elsewhere use a join, or a sub-query of one value",
            );
            Error::Data { text, source: error }
        }
        _ => unexpected(error),
    }
}

/// An error of execution.
pub(crate) fn executing(error: DataFusionError) -> Error {
    if mutant("errors quote values") {
        return planning(error);
    }
    let error = match foreign(error) {
        Ok(error) => error,
        Err(ours) => return ours,
    };
    let text = match error.find_root() {
        DataFusionError::ObjectStore(_) | DataFusionError::ParquetError(_) | DataFusionError::IoError(_) => {
            return Error::Unreadable(error);
        }
        DataFusionError::ArrowError(arrow, _) => match arrow.as_ref() {
            ArrowError::DivideByZero => "division by zero",
            ArrowError::CastError(_) | ArrowError::ParseError(_) => "a value cannot be cast to the wanted type",
            ArrowError::ArithmeticOverflow(_) => "a number became too large",
            ArrowError::ComputeError(_) | ArrowError::InvalidArgumentError(_) => "a value does not fit the expression",
            ArrowError::IoError(text, _) if text.contains(SPILL_LIMIT) => return spill(),
            ArrowError::IoError(_, _) | ArrowError::ParquetError(_) => return Error::Unreadable(error),
            ArrowError::ExternalError(_) => return Error::Unreadable(error),
            _ => return Error::Internal { what: error.to_string() },
        },
        DataFusionError::Internal(text) if text.contains(REGEX_LIMIT) => return Error::invalid(UNREADABLE_REGEX),
        DataFusionError::Execution(text) if text == "cancelled" => return Error::Cancelled,
        DataFusionError::Execution(_) => "a value does not fit the expression",
        DataFusionError::Internal(text) if is_of_a_function(text) => "a value does not fit the expression",
        DataFusionError::Plan(_) | DataFusionError::NotImplemented(_) => "the expression cannot be evaluated",
        DataFusionError::External(cause) => match cause.downcast_ref() {
            Some(Error::Limited { text }) => return Error::Limited { text: text.clone() },
            _ => return Error::Unreadable(error),
        },
        _ => return Error::Internal { what: error.to_string() },
    };
    let text = PublicText::new(text).hint("use try_cast, nullif or CASE where values may not fit");
    Error::Data { text, source: error }
}

/// Whether a function says it of its arguments: some call that a fault of the engine.
fn is_of_a_function(text: &str) -> bool {
    let Some((name, _)) = text.split_once(": ") else { return false };
    functions::scalar_functions().iter().any(|function| function.name() == name)
}

/// What the library calls the limit that spilling reached.
const SPILL_LIMIT: &str = "max_temp_directory_size";

/// The error, if it is DataFusion's and about anything but memory.
fn foreign(error: DataFusionError) -> Result<DataFusionError, Error> {
    if let Some(of_files) = of_files(&error) {
        return Err(Error::Below(Box::new(of_files)));
    }
    match own(error) {
        Ok(ours) => Err(ours),
        Err(error) => match error.find_root() {
            // SECURITY: in the words of a function of ours, which name it and its limit and nothing that was found.
            DataFusionError::ResourcesExhausted(text) if text.starts_with('`') && text.contains("` is limited to ") => {
                Err(Error::Limited { text: PublicText::new(text).hint("make it of fewer or shorter values") })
            }
            DataFusionError::ResourcesExhausted(text) if text.contains(SPILL_LIMIT) => Err(spill()),
            DataFusionError::ResourcesExhausted(_) => Err(memory()),
            _ => Ok(error),
        },
    }
}

/// What the reader of a file says of it: that passes through other libraries, and several tasks may share it.
fn of_files(error: &DataFusionError) -> Option<meshgate_table::Error> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(ours) = error.downcast_ref::<meshgate_table::Error>() {
            return ours.of_files();
        }
        next = error.source();
    }
    None
}

/// Errors that went through DataFusion and come from our own crates.
fn own(error: DataFusionError) -> Result<Error, DataFusionError> {
    let inner = match error {
        DataFusionError::External(inner) => inner,
        DataFusionError::Context(words, inner) => {
            return own(*inner).map_err(|inner| DataFusionError::Context(words, Box::new(inner)));
        }
        other => return Err(other),
    };
    let inner = match inner.downcast::<meshgate_govern::Error>() {
        Ok(error) => return Ok(Error::Below(error)),
        Err(inner) => inner,
    };
    match inner.downcast::<meshgate_table::Error>() {
        Ok(error) => Ok(Error::Below(error)),
        Err(inner) => Err(DataFusionError::External(inner)),
    }
}

fn memory() -> Error {
    Error::Limited {
        text: PublicText::new("the query needs more memory than it may have")
            .hint("read fewer columns or rows, or join smaller tables"),
    }
}

fn spill() -> Error {
    Error::Limited {
        text: PublicText::new(
            "the query needs more disk for what does not fit into memory than there is for all queries",
        )
        .hint("read fewer columns or rows, or try again when others have ended"),
    }
}

/// What DataFusion puts before an error's own words.
const KINDS: [&str; 6] = [
    "Error during planning: ",
    "Schema error: ",
    "Arrow error: ",
    "Execution error: ",
    "Internal error: ",
    "This feature is not implemented: ",
];

fn plan_text(error: &DataFusionError) -> PublicText {
    let text = match error.find_root() {
        DataFusionError::SchemaError(schema, _) => schema.to_string(),
        root => root.strip_backtrace(),
    };
    let mut text = text.as_str();
    while let Some(rest) = KINDS.iter().find_map(|kind| text.strip_prefix(kind)) {
        text = rest;
    }
    // DataFusion's suggestion for an unknown function comes out of a hash map: another one each time.
    let text = if text.starts_with("Invalid function") { text.lines().next().unwrap_or(text) } else { text };
    PublicText::new(twins::without_marks(text).chars().take(TEXT_LEN_MAX).collect::<String>())
}
