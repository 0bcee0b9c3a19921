//! Values that may be kept elsewhere: `env:NAME`, `file:PATH`, or the text itself.

use meshgate_model::Secret;
use serde::Deserialize;

use crate::trouble::{Outcome, Trouble};

/// A value as it is written. Its `Debug` shows nothing.
#[derive(Debug, Deserialize)]
#[serde(from = "String")]
pub(super) struct SecretText(Secret);

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(Secret::new(text))
    }
}

impl SecretText {
    /// The value itself, fetched from where it is kept.
    pub(super) fn fetch(&self, key: &str) -> Outcome<Secret> {
        let text = self.0.expose();
        if let Some(name) = text.strip_prefix("env:") {
            return std::env::var(name).map(Secret::new).map_err(|error| {
                Trouble::config(format!("`{key}` cannot be read from the environment variable {name}")).because(&error)
            });
        }
        if let Some(path) = text.strip_prefix("file:") {
            let read = std::fs::read_to_string(path);
            return read.map(|content| Secret::new(content.trim_end_matches(['\n', '\r']))).map_err(|error| {
                Trouble::config(format!("`{key}` cannot be read from the file {path}")).because(&error)
            });
        }
        Ok(self.0.clone())
    }
}
