//! Directory names, which are the first two parts of every address.

use std::fmt;

/// A domain's or a product's directory name: `[a-z][a-z0-9_]*`, at most 128 characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// Why a text is no [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no valid name: a name is [a-z][a-z0-9_]*, at most {max} characters", max = Name::LEN_MAX)]
pub struct NameError {
    text: String,
}

impl Name {
    /// The longest name, in characters.
    pub const LEN_MAX: usize = 128;

    /// Checks the text and makes it a name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let mut chars = text.chars();
        let first = chars.next().is_some_and(|c| c.is_ascii_lowercase());
        let rest = chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if first && rest && text.len() <= Self::LEN_MAX {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError { text: text.chars().take(Self::LEN_MAX).collect() })
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn takes_directory_names_and_nothing_else() {
        for good in ["a", "sales", "orders_2", "x9"] {
            assert_eq!(Name::parse(good).map(|n| n.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "A", "9a", "_a", "a-b", "a.b", "ä", "a b", &"a".repeat(129)] {
            assert!(Name::parse(bad).is_err(), "{bad}");
        }
    }
}
