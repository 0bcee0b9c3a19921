//! What a catalog says of a table.

use std::collections::HashMap;

use iceberg::spec::TableMetadata;
use meshgate_model::{Instant, Secret};
use meshgate_table::{Error, Vended};
use serde::Deserialize;
use serde_json::Value;

/// An answer without the table's metadata, which is the larger part of it by far.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Told {
    pub(super) metadata_location: Option<String>,
    #[serde(default)]
    config: Option<HashMap<String, Value>>,
    #[serde(default)]
    storage_credentials: Option<Vec<StorageCredentials>>,
    #[serde(default)]
    read_restrictions: Option<Value>,
}

#[derive(Deserialize)]
struct StorageCredentials {
    prefix: String,
    #[serde(default)]
    config: HashMap<String, Value>,
}

/// Just the metadata.
#[derive(Deserialize)]
pub(super) struct ToldMetadata {
    pub(super) metadata: TableMetadata,
}

impl Told {
    /// Refuses a table of which the catalog lets not everything be read.
    ///
    /// SECURITY: whoever cannot apply a restriction must not read the table; what is not known may be one.
    pub(super) fn refuse_restrictions(&self) -> Result<(), Error> {
        let Some(restrictions) = self.read_restrictions.as_ref().filter(|told| !told.is_null()) else { return Ok(()) };
        let refused = |what: &str| Err(Error::unsupported(format!("{what} that its catalog requires")));
        let Value::Object(restrictions) = restrictions else { return refused("read restrictions of an unknown form") };
        for (key, required) in restrictions {
            match (key.as_str(), required) {
                (_, Value::Null) => {}
                ("required-row-filter", filter) if hides_nothing(filter) => {}
                ("required-row-filter", _) => return refused("a row filter"),
                ("required-column-projections", Value::Array(columns)) => {
                    if let Some(column) = columns.first() {
                        let action = column.get("action").and_then(Value::as_str).filter(|action| is_word(action));
                        return refused(&format!("the action `{}` on a column", action.unwrap_or("(none)")));
                    }
                }
                _ => return refused("read restrictions of an unknown kind"),
            }
        }
        Ok(())
    }

    /// The credentials for storage that came along. Those without a prefix are for `places`.
    pub(super) fn vended(&self, places: &[String]) -> Vec<Vended> {
        let listed = self.storage_credentials.iter().flatten();
        let listed: Vec<_> = listed.filter_map(|one| vended(&one.prefix, &one.config)).collect();
        if !listed.is_empty() {
            return listed;
        }
        let config = self.config.iter();
        config.flat_map(|config| places.iter().filter_map(|place| vended(place, config))).collect()
    }
}

/// Where the files of a table are written.
pub(super) fn places(metadata: &TableMetadata) -> Vec<String> {
    let properties = metadata.properties();
    let keys = ["write.data.path", "write.metadata.path", "write.object-storage.path", "write.folder-storage.path"];
    let more = keys.iter().filter_map(|key| properties.get(*key));
    let mut places: Vec<_> = std::iter::once(metadata.location()).chain(more.map(String::as_str)).collect();
    places.dedup();
    places.into_iter().map(str::to_owned).collect()
}

fn vended(prefix: &str, config: &HashMap<String, Value>) -> Option<Vended> {
    let text = |key: &str| match config.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    // Those of other stores are not for us.
    let (access_key, secret_key) = (text("s3.access-key-id")?, text("s3.secret-access-key")?);
    let expires = text("s3.session-token-expires-at-ms").and_then(|text| text.parse::<i64>().ok());
    Some(Vended {
        prefix: prefix.to_owned(),
        access_key: Secret::new(access_key),
        secret_key: Secret::new(secret_key),
        session_token: text("s3.session-token").map(Secret::new),
        expires: expires.map(|millis| Instant(millis.saturating_mul(1_000))),
        endpoint: text("s3.endpoint"),
        region: text("client.region").or_else(|| text("s3.region")),
    })
}

/// `true`, as the versions of the standard write it.
fn hides_nothing(filter: &Value) -> bool {
    let alone =
        |filter: &serde_json::Map<String, Value>| filter.len() == 1 && filter.get("type") == Some(&"true".into());
    filter == &Value::Bool(true) || filter == &Value::String("true".into()) || filter.as_object().is_some_and(alone)
}

fn is_word(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}
