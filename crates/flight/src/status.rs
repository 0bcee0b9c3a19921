//! Failures as gRPC statuses: the one place where a kind of failure gets a code.

use meshgate_model::{Failure, Fault};
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

use crate::Error;

/// The trailer that names the query.
pub(crate) const QUERY_ID: &str = "meshgate-query-id";
/// A status message travels in a header, percent-encoded; clients take 8 KiB of headers.
const ENCODED_LEN_MAX: usize = 7 * 1024;

/// The status a client gets. Faults of ours are logged with their causes, as nobody else will see them.
pub(crate) fn status(error: &Error) -> Status {
    let fault = error.fault();
    if fault == Fault::Internal {
        tracing::error!(error = %chain(error), "a Flight call failed");
    } else {
        tracing::debug!(error = %chain(error), ?fault, "a Flight call was refused");
    }
    let mut status = Status::new(code(fault), cut(error.public().to_string()));
    if let Some(value) = error.query().and_then(|id| MetadataValue::try_from(id.to_string()).ok()) {
        status.metadata_mut().insert(QUERY_ID, value);
    }
    status
}

fn code(fault: Fault) -> Code {
    match fault {
        Fault::Invalid => Code::InvalidArgument,
        Fault::Unauthenticated => Code::Unauthenticated,
        Fault::Denied => Code::PermissionDenied,
        Fault::NotFound => Code::NotFound,
        Fault::Conflict => Code::Aborted,
        Fault::Limited => Code::ResourceExhausted,
        Fault::Unavailable => Code::Unavailable,
        Fault::Cancelled => Code::Cancelled,
        Fault::DeadlineExceeded => Code::DeadlineExceeded,
        Fault::Unsupported => Code::Unimplemented,
        Fault::Internal => Code::Internal,
    }
}

/// Cuts a text so that it stays below the limit even if percent-encoded.
fn cut(mut text: String) -> String {
    let mut encoded_len = 0;
    for (at, character) in text.char_indices() {
        encoded_len += if character.is_ascii_alphanumeric() { 1 } else { 3 * character.len_utf8() };
        if encoded_len > ENCODED_LEN_MAX {
            text.truncate(at);
            text.push_str("...");
            break;
        }
    }
    text
}

/// An error and all its causes, for the operator.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use meshgate_model::QueryId;
    use tonic::Code;

    use super::{QUERY_ID, cut, status};
    use crate::Error;

    #[test]
    fn says_what_and_in_which_query_and_nothing_of_the_cause() {
        let cause = arrow::error::ArrowError::ComputeError("secret path /etc/x".to_owned());
        let error = Error::in_query(QueryId(7))(Error::Encode(cause));
        let status = status(&error);
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains("secret"), "{}", status.message());
        let id = status.metadata().get(QUERY_ID).and_then(|value| value.to_str().ok());
        assert_eq!(id, Some(QueryId(7).to_string().as_str()));
        assert_eq!(super::status(&Error::Gone).code(), Code::NotFound);
    }

    #[test]
    fn long_texts_fit_a_header() {
        for unit in ["a", "ä", "\n", "%", "日"] {
            let text = cut(unit.repeat(20_000));
            let encoded: usize =
                text.chars().map(|c| if c.is_ascii_alphanumeric() { 1 } else { 3 * c.len_utf8() }).sum();
            assert!(encoded < 8 * 1024 && text.len() > 1000, "{unit}: {encoded}");
        }
        assert_eq!(cut("short".to_owned()), "short");
    }
}
