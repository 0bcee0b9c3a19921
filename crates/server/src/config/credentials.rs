//! `[credentials.<name>]`: how a domain's storage and its catalogs are signed in to.

use meshgate_model::Secret;
use meshgate_table::{CatalogCredentials, CatalogLogin, Credentials, S3Credentials};

use super::raw;
use super::secret::SecretText;
use crate::tls;
use crate::trouble::{Outcome, Trouble};

/// Storage kinds of the design that are not built.
const NOT_BUILT: &[&str] = &["azure", "gcs"];

/// What catalogs are asked for unless something else is said.
const SCOPE: &str = "catalog";

const KINDS: &str = "use `s3` for S3 and stores that speak its protocol, `iceberg-rest` for a catalog";

pub(super) fn resolve(name: &str, raw: &raw::Credentials) -> Outcome<Credentials> {
    let raw = Named { name, raw };
    match raw.raw.r#type.as_deref() {
        Some("s3") => raw.s3(),
        Some("iceberg-rest") => raw.catalog(),
        Some(kind) if NOT_BUILT.contains(&kind) => {
            Err(Trouble::config(format!("`credentials.{name}.type` cannot be `{kind}`"))
                .why(format!("this version does not read {kind} storage"))
                .hint(format!("{KINDS}; local files need no credentials")))
        }
        Some(kind) => Err(Trouble::config(format!("`credentials.{name}.type` cannot be `{kind}`")).hint(KINDS)),
        None => Err(Trouble::config(format!("`credentials.{name}` has no `type`"))
            .hint("write `type = \"s3\"` or `type = \"iceberg-rest\"`")),
    }
}

struct Named<'a> {
    name: &'a str,
    raw: &'a raw::Credentials,
}

impl Named<'_> {
    fn s3(&self) -> Outcome<Credentials> {
        let raw = self.raw;
        self.none_of(
            "s3",
            &[
                ("token", raw.token.is_some()),
                ("client_id", raw.client_id.is_some()),
                ("client_secret", raw.client_secret.is_some()),
                ("scope", raw.scope.is_some()),
                ("oauth2_server_uri", raw.oauth2_server_uri.is_some()),
                ("headers", !raw.headers.is_empty()),
                ("vended_credentials", raw.vended_credentials.is_some()),
                ("ca", raw.ca.is_some()),
            ],
        )?;
        let (access_key, secret_key) = self.both(("access_key", &raw.access_key), ("secret_key", &raw.secret_key))?;
        Ok(Credentials::S3(S3Credentials {
            access_key,
            secret_key,
            session_token: self.fetch("session_token", &raw.session_token)?,
            region: self.plain("region", &raw.region)?,
            endpoint: self.plain("endpoint", &raw.endpoint)?,
            allow_http: raw.allow_http.unwrap_or(false),
            virtual_hosted: raw.virtual_hosted.unwrap_or(false),
        }))
    }

    fn catalog(&self) -> Outcome<Credentials> {
        let (name, raw) = (self.name, self.raw);
        self.none_of(
            "iceberg-rest",
            &[
                ("access_key", raw.access_key.is_some()),
                ("secret_key", raw.secret_key.is_some()),
                ("session_token", raw.session_token.is_some()),
                ("region", raw.region.is_some()),
                ("endpoint", raw.endpoint.is_some()),
                ("virtual_hosted", raw.virtual_hosted.is_some()),
            ],
        )?;
        let client = self.both(("client_id", &raw.client_id), ("client_secret", &raw.client_secret))?;
        let scope = self.plain("scope", &raw.scope)?;
        let server = self.plain("oauth2_server_uri", &raw.oauth2_server_uri)?;
        let login = match (self.fetch("token", &raw.token)?, client) {
            (Some(_), (Some(_), _)) => {
                return Err(Trouble::config(format!("`credentials.{name}` has both `token` and `client_id`"))
                    .hint("give the one or the other"));
            }
            (None, (Some(id), Some(secret))) => {
                let scope = scope.unwrap_or_else(|| SCOPE.to_owned());
                Some(CatalogLogin::Client { id, secret, scope, server })
            }
            (_, _) if scope.is_some() || server.is_some() => {
                let trouble = format!("`credentials.{name}` has `scope` or `oauth2_server_uri` without `client_id`");
                return Err(Trouble::config(trouble).hint("both are for tokens that a client asks for"));
            }
            (token, _) => token.map(CatalogLogin::Token),
        };
        let headers = raw
            .headers
            .iter()
            .map(|(header, value)| Ok((header.clone(), value.fetch(&format!("credentials.{name}.headers.{header}"))?)));
        Ok(Credentials::Catalog(CatalogCredentials {
            name: name.to_owned(),
            login,
            headers: headers.collect::<Outcome<_>>()?,
            authorities: raw.ca.as_deref().map(|path| tls::authorities_of("`credentials.ca`", path)).transpose()?,
            allow_http: raw.allow_http.unwrap_or(false),
            vended: raw.vended_credentials.unwrap_or(true),
        }))
    }

    fn fetch(&self, key: &str, text: &Option<SecretText>) -> Outcome<Option<Secret>> {
        text.as_ref().map(|text| text.fetch(&format!("credentials.{}.{key}", self.name))).transpose()
    }

    fn plain(&self, key: &str, text: &Option<SecretText>) -> Outcome<Option<String>> {
        Ok(self.fetch(key, text)?.map(|value| value.expose().to_owned()))
    }

    /// Two values of which one says nothing without the other.
    fn both(
        &self,
        (first, one): (&str, &Option<SecretText>),
        (second, other): (&str, &Option<SecretText>),
    ) -> Outcome<(Option<Secret>, Option<Secret>)> {
        let both = (self.fetch(first, one)?, self.fetch(second, other)?);
        if both.0.is_some() != both.1.is_some() {
            let trouble = format!("`credentials.{}` has only one of `{first}` and `{second}`", self.name);
            return Err(Trouble::config(trouble).hint("give both, or none where nothing is asked for"));
        }
        Ok(both)
    }

    /// Refuses what would be believed and not used.
    fn none_of(&self, kind: &str, keys: &[(&str, bool)]) -> Outcome<()> {
        match keys.iter().find(|(_, given)| *given) {
            Some((key, _)) => {
                Err(Trouble::config(format!("`credentials.{}.{key}` is not for the type `{kind}`", self.name)))
            }
            None => Ok(()),
        }
    }
}
