//! Typed attributes of principals: declared in mesh.yaml, carried by tokens and users as text, used in policies.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The types mesh.yaml may declare.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AttributeType {
    /// `string`
    String,
    /// `integer`: 64 bits, signed.
    Integer,
    /// `boolean`: `true` or `false`.
    Boolean,
    /// `{ set: string }`
    StringSet,
    /// `{ set: integer }`
    IntegerSet,
}

/// All attributes that a mesh declares.
pub type AttributeTypes = BTreeMap<String, AttributeType>;

/// A value of one of the types.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum AttributeValue {
    /// Of type `string`.
    String(String),
    /// Of type `integer`.
    Integer(i64),
    /// Of type `boolean`.
    Boolean(bool),
    /// Of type `{ set: string }`.
    StringSet(BTreeSet<String>),
    /// Of type `{ set: integer }`.
    IntegerSet(BTreeSet<i64>),
}

/// A text that does not fit the declared type of its attribute.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("attribute `{name}` is declared as {expected} and cannot be {given}")]
pub struct AttributeError {
    name: String,
    expected: AttributeType,
    given: String,
}

impl AttributeType {
    /// Reads the given texts (one per repeated flag or claim element) as a value of this type.
    pub fn read(self, name: &str, texts: &[String]) -> Result<AttributeValue, AttributeError> {
        let error = |given: String| AttributeError { name: name.to_owned(), expected: self, given };
        let one = || match texts {
            [text] => Ok(text.as_str()),
            _ => Err(error(format!("{} values", texts.len()))),
        };
        let integer = |text: &str| text.trim().parse::<i64>().map_err(|_| error(format!("`{text}`")));
        match self {
            Self::String => Ok(AttributeValue::String(one()?.to_owned())),
            Self::Integer => Ok(AttributeValue::Integer(integer(one()?)?)),
            Self::Boolean => match one()? {
                "true" => Ok(AttributeValue::Boolean(true)),
                "false" => Ok(AttributeValue::Boolean(false)),
                other => Err(error(format!("`{other}`"))),
            },
            Self::StringSet => Ok(AttributeValue::StringSet(texts.iter().cloned().collect())),
            Self::IntegerSet => {
                Ok(AttributeValue::IntegerSet(texts.iter().map(|text| integer(text)).collect::<Result<_, _>>()?))
            }
        }
    }
}

impl fmt::Display for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::StringSet => "a set of strings",
            Self::IntegerSet => "a set of integers",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{AttributeType, AttributeValue};

    #[test]
    fn reads_texts_by_declared_type() {
        let texts = |list: &[&str]| list.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        assert_eq!(AttributeType::Integer.read("clearance", &texts(&["3"])), Ok(AttributeValue::Integer(3)));
        assert_eq!(
            AttributeType::StringSet.read("countries", &texts(&["DE", "FR", "DE"])),
            Ok(AttributeValue::StringSet(["DE".to_owned(), "FR".to_owned()].into()))
        );
        let error = AttributeType::Integer.read("clearance", &texts(&["high"])).expect_err("no integer");
        assert_eq!(error.to_string(), "attribute `clearance` is declared as integer and cannot be `high`");
        assert!(AttributeType::String.read("region", &texts(&["EU", "US"])).is_err());
    }
}
