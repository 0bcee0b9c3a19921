//! Values that a flag takes as text and the commands take as types.

use std::str::FromStr;

/// `name=value`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Attribute {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// A length of time in whole seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ttl {
    pub(crate) seconds: u64,
}

impl FromStr for Attribute {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                Ok(Self { name: name.trim().to_owned(), value: value.to_owned() })
            }
            _ => Err("an attribute is written NAME=VALUE, such as region=EU".to_owned()),
        }
    }
}

impl FromStr for Ttl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || "a time is a whole number above 0 and a unit: 90s, 15m, 12h, 30d, 8w".to_owned();
        let unit = text.chars().next_back().ok_or_else(wrong)?;
        let factor = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return Err(wrong()),
        };
        let number: u64 = text[..text.len() - 1].trim().parse().map_err(|_| wrong())?;
        let seconds = number.checked_mul(factor).filter(|seconds| *seconds > 0).ok_or_else(wrong)?;
        Ok(Self { seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::{Attribute, Ttl};

    #[test]
    fn times_have_a_unit() {
        for (text, seconds) in [("90s", 90), ("15m", 900), ("12h", 43_200), ("30d", 2_592_000), ("8w", 4_838_400)] {
            assert_eq!(text.parse(), Ok(Ttl { seconds }), "{text}");
        }
        for text in ["", "30", "d", "-1d", "0s", "1.5h", "18446744073709551615w", "1é"] {
            assert!(text.parse::<Ttl>().is_err(), "{text}");
        }
    }

    #[test]
    fn attributes_have_a_name() {
        let attribute: Attribute = "region=EU".parse().expect("an attribute");
        assert_eq!((attribute.name.as_str(), attribute.value.as_str()), ("region", "EU"));
        for text in ["region", "=EU", " =x"] {
            assert!(text.parse::<Attribute>().is_err(), "{text}");
        }
    }
}
