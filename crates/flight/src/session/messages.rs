//! Messages of Flight and Flight SQL that `arrow-flight` does not have yet: see `proto/flight_session.proto`.

use std::collections::HashMap;

use bytes::Bytes;
use prost::{Enumeration, Message, Oneof};

/// A value of a session option; without one the option is to be erased.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SessionOptionValue {
    #[prost(oneof = "OptionValue", tags = "1, 2, 3, 4, 5")]
    pub(crate) option_value: Option<OptionValue>,
}

/// The types that a value may have.
#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum OptionValue {
    #[prost(string, tag = "1")]
    String(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(sfixed64, tag = "3")]
    Int64(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    StringList(StringListValue),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct StringListValue {
    #[prost(string, repeated, tag = "1")]
    pub(crate) values: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SetSessionOptionsRequest {
    #[prost(map = "string, message", tag = "1")]
    pub(crate) session_options: HashMap<String, SessionOptionValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SetSessionOptionsResult {
    #[prost(map = "string, message", tag = "1")]
    pub(crate) errors: HashMap<String, OptionError>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct OptionError {
    #[prost(enumeration = "OptionErrorValue", tag = "1")]
    pub(crate) value: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub(crate) enum OptionErrorValue {
    Unspecified = 0,
    InvalidName = 1,
    InvalidValue = 2,
    Error = 3,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct GetSessionOptionsResult {
    #[prost(map = "string, message", tag = "1")]
    pub(crate) session_options: HashMap<String, SessionOptionValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CloseSessionResult {
    #[prost(enumeration = "CloseSessionStatus", tag = "1")]
    pub(crate) status: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub(crate) enum CloseSessionStatus {
    Unspecified = 0,
    Closed = 1,
    Closing = 2,
    NotCloseable = 3,
}

/// `ActionCreatePreparedStatementResult` with the field that says whether the statement is an update.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CreatePreparedStatementResult {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) prepared_statement_handle: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) dataset_schema: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) parameter_schema: Bytes,
    #[prost(bool, optional, tag = "4")]
    pub(crate) is_update: Option<bool>,
}

impl SessionOptionValue {
    /// A text.
    pub(crate) fn text(value: String) -> Self {
        Self { option_value: Some(OptionValue::String(value)) }
    }

    /// As text; nothing if the option is to be erased.
    pub(crate) fn to_text(&self) -> Option<String> {
        Some(match self.option_value.as_ref()? {
            OptionValue::String(value) => value.clone(),
            OptionValue::Bool(value) => value.to_string(),
            OptionValue::Int64(value) => value.to_string(),
            OptionValue::Double(value) => value.to_string(),
            OptionValue::StringList(list) => list.values.join(","),
        })
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::{OptionValue, SessionOptionValue, SetSessionOptionsRequest};

    #[test]
    fn reads_the_bytes_of_other_implementations() {
        // session_options { key: "catalog" value { string_value: "a" } }, then int64_value: 5, then a value to erase.
        let bytes = b"\x0a\x0e\x0a\x07catalog\x12\x03\x0a\x01a\
                      \x0a\x0e\x0a\x01n\x12\x09\x19\x05\0\0\0\0\0\0\0\
                      \x0a\x05\x0a\x01e\x12\0";
        let request = SetSessionOptionsRequest::decode(bytes.as_slice()).expect("well-formed");
        let text = |name: &str| request.session_options[name].to_text();
        assert_eq!(text("catalog").as_deref(), Some("a"));
        assert_eq!(request.session_options["n"].option_value, Some(OptionValue::Int64(5)));
        assert_eq!(text("n").as_deref(), Some("5"));
        assert_eq!(text("e"), None);
        assert_eq!(SessionOptionValue::text("x".to_owned()).encode_to_vec(), b"\x0a\x01x");
    }
}
