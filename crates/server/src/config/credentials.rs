//! `[credentials.<name>]`: how a domain's storage is signed in to.

use meshgate_model::Secret;
use meshgate_table::{Credentials, S3Credentials};

use super::raw;
use super::secret::SecretText;
use crate::trouble::{Outcome, Trouble};

/// Storage kinds of the design that are not built.
const NOT_BUILT: &[&str] = &["azure", "gcs"];

pub(super) fn resolve(name: &str, raw: &raw::Credentials) -> Outcome<Credentials> {
    match raw.r#type.as_deref() {
        Some("s3") => s3(name, raw),
        Some(kind) if NOT_BUILT.contains(&kind) => {
            Err(Trouble::config(format!("`credentials.{name}.type` cannot be `{kind}`"))
                .why(format!("this version does not read {kind} storage"))
                .hint("use `s3` for S3 and stores that speak its protocol; local files need no credentials"))
        }
        Some(kind) => Err(Trouble::config(format!("`credentials.{name}.type` cannot be `{kind}`"))
            .hint("use `s3` for S3 and stores that speak its protocol")),
        None => Err(Trouble::config(format!("`credentials.{name}` has no `type`")).hint("write `type = \"s3\"`")),
    }
}

fn s3(name: &str, raw: &raw::Credentials) -> Outcome<Credentials> {
    let fetch = |key: &str, text: &Option<SecretText>| -> Outcome<Option<Secret>> {
        text.as_ref().map(|text| text.fetch(&format!("credentials.{name}.{key}"))).transpose()
    };
    let plain = |value: Option<Secret>| value.map(|value| value.expose().to_owned());
    let access_key = fetch("access_key", &raw.access_key)?;
    let secret_key = fetch("secret_key", &raw.secret_key)?;
    if access_key.is_some() != secret_key.is_some() {
        return Err(Trouble::config(format!("`credentials.{name}` has only one of `access_key` and `secret_key`"))
            .hint("give both, or none for a public bucket"));
    }
    Ok(Credentials::S3(S3Credentials {
        access_key,
        secret_key,
        session_token: fetch("session_token", &raw.session_token)?,
        region: plain(fetch("region", &raw.region)?),
        endpoint: plain(fetch("endpoint", &raw.endpoint)?),
        allow_http: raw.allow_http.unwrap_or(false),
        virtual_hosted: raw.virtual_hosted.unwrap_or(false),
    }))
}
