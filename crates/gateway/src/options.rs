//! What a session may set.

use meshgate_model::Name;

use crate::Error;

/// The options of a session. Everything else is refused by name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SessionOptions {
    /// The catalog of unqualified names.
    pub catalog: Option<String>,
    /// The schema of unqualified names.
    pub schema: Option<String>,
    /// The declared purpose, one of mesh.yaml.
    pub purpose: Option<String>,
    /// Seconds a query may take; capped by the gateway.
    pub deadline_s: Option<u32>,
    /// How results are typed on the wire.
    pub wire_types: WireTypes,
    /// The time zone of timestamps without one: an IANA name or an offset such as `+02:00`.
    pub timezone: Option<String>,
    /// How the buffers of results are compressed.
    pub ipc_compression: Compression,
    /// How many endpoints a result may have at most, also capped by the gateway; one without it.
    pub endpoints: Option<u32>,
}

/// How results are typed on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum WireTypes {
    /// Types that every client reads.
    #[default]
    Compatible,
    /// The engine's own types.
    Native,
    /// Types that the Flight SQL plugin of Grafana reads right: it takes every timestamp for nanoseconds, and shows
    /// nothing of dates, times and decimals. Timestamps and dates are nanoseconds, decimals are doubles, times are texts.
    Grafana,
}

/// How the buffers of results are compressed. Nothing is negotiated, and some drivers cannot read it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// As LZ4 frames.
    Lz4,
    /// By Zstandard.
    Zstd,
}

impl SessionOptions {
    /// The names of all options.
    pub const NAMES: [&str; 8] =
        ["catalog", "schema", "purpose", "deadline_s", "wire_types", "timezone", "ipc_compression", "endpoints"];

    /// Sets an option from text; `None` resets it to its default.
    pub fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), Error> {
        let value = value.map(str::trim).filter(|value| !value.is_empty());
        let invalid = |what: &str| {
            Err(Error::InvalidOption {
                name: name.to_owned(),
                value: value.unwrap_or_default().chars().take(64).collect(),
                expected: what.to_owned(),
            })
        };
        match name {
            "catalog" => match value {
                Some(text) if Name::parse(text).is_err() => return invalid("a domain's name"),
                other => self.catalog = other.map(str::to_owned),
            },
            "schema" => match value {
                Some(text) if Name::parse(text).is_err() => return invalid("a product's name"),
                other => self.schema = other.map(str::to_owned),
            },
            "purpose" => self.purpose = value.map(str::to_owned),
            "deadline_s" => match value.map(str::parse::<u32>) {
                None => self.deadline_s = None,
                Some(Ok(seconds)) if seconds > 0 => self.deadline_s = Some(seconds),
                Some(_) => return invalid("a whole number of seconds above 0"),
            },
            "wire_types" => match value {
                None | Some("compatible") => self.wire_types = WireTypes::Compatible,
                Some("native") => self.wire_types = WireTypes::Native,
                Some("grafana") => self.wire_types = WireTypes::Grafana,
                Some(_) => return invalid("`compatible`, `native` or `grafana`"),
            },
            "ipc_compression" => match value {
                None | Some("none") => self.ipc_compression = Compression::None,
                Some("lz4") => self.ipc_compression = Compression::Lz4,
                Some("zstd") => self.ipc_compression = Compression::Zstd,
                Some(_) => return invalid("`none`, `lz4` or `zstd`"),
            },
            "endpoints" => match value.map(str::parse::<u32>) {
                None => self.endpoints = None,
                Some(Ok(endpoints)) if endpoints > 0 => self.endpoints = Some(endpoints),
                Some(_) => return invalid("a whole number above 0"),
            },
            "timezone" => match value {
                Some(text) if text.parse::<arrow::array::timezone::Tz>().is_err() => {
                    return invalid("an IANA time zone or an offset such as `+02:00`");
                }
                other => self.timezone = other.map(str::to_owned),
            },
            _ => return Err(Error::UnknownOption { name: name.chars().take(64).collect() }),
        }
        Ok(())
    }

    /// An option as text; the empty text if it is unset.
    pub fn get(&self, name: &str) -> Option<String> {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        Some(match name {
            "catalog" => text(&self.catalog),
            "schema" => text(&self.schema),
            "purpose" => text(&self.purpose),
            "deadline_s" => self.deadline_s.map(|s| s.to_string()).unwrap_or_default(),
            "wire_types" => match self.wire_types {
                WireTypes::Compatible => "compatible".to_owned(),
                WireTypes::Native => "native".to_owned(),
                WireTypes::Grafana => "grafana".to_owned(),
            },
            "ipc_compression" => match self.ipc_compression {
                Compression::None => "none".to_owned(),
                Compression::Lz4 => "lz4".to_owned(),
                Compression::Zstd => "zstd".to_owned(),
            },
            "endpoints" => self.endpoints.map(|n| n.to_string()).unwrap_or_default(),
            "timezone" => text(&self.timezone),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{SessionOptions, WireTypes};

    #[test]
    fn takes_listed_options_only() {
        let mut options = SessionOptions::default();
        for (name, value) in [
            ("catalog", "sales"),
            ("schema", "orders"),
            ("deadline_s", "30"),
            ("timezone", "Europe/Berlin"),
            ("endpoints", "4"),
        ] {
            options.set(name, Some(value)).expect("a good value");
            assert_eq!(options.get(name).as_deref(), Some(value));
            options.set(name, None).expect("a reset");
            assert_eq!(options.get(name).as_deref(), Some(""));
        }
        options.set("wire_types", Some("native")).expect("a good value");
        assert_eq!(options.wire_types, WireTypes::Native);
        for (name, value) in [
            ("catalog", "No Such"),
            ("deadline_s", "0"),
            ("deadline_s", "x"),
            ("wire_types", "x"),
            ("ipc_compression", "gzip"),
            ("endpoints", "0"),
            ("timezone", "Mars"),
            ("datafusion.x", "1"),
        ] {
            assert!(options.set(name, Some(value)).is_err(), "{name}={value}");
        }
    }
}
