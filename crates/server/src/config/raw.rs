//! The configuration as it is written. Every key is optional here; [`super::resolve`] says what it means.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::secret::SecretText;
use crate::args::LogFormat;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    pub(super) environment: Option<String>,
    pub(super) flight: Flight,
    pub(super) http: Http,
    pub(super) state: State,
    pub(super) identity: Identity,
    pub(super) engine: Engine,
    pub(super) cache: Cache,
    pub(super) credentials: BTreeMap<String, Credentials>,
    pub(super) audit: Audit,
    pub(super) log: Log,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Flight {
    pub(super) listen: Option<String>,
    pub(super) max_message_mib: Option<u64>,
    pub(super) drain_s: Option<u64>,
    pub(super) ticket_ttl_s: Option<u64>,
    pub(super) handle_ttl_s: Option<u64>,
    pub(super) handles_max: Option<u64>,
    pub(super) bindings_mib: Option<u64>,
    pub(super) transaction_ttl_s: Option<u64>,
    pub(super) transactions_max: Option<u64>,
    pub(super) transaction_tables_max: Option<u64>,
    pub(super) session_ttl_s: Option<u64>,
    pub(super) sessions_max: Option<u64>,
    pub(super) bearer_ttl_s: Option<u64>,
    pub(super) endpoints_max: Option<u64>,
    pub(super) tls: Tls,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Tls {
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) client_ca: Option<PathBuf>,
    pub(super) client_certificates: Option<ClientCertificates>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ClientCertificates {
    Required,
    Optional,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Http {
    pub(super) listen: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct State {
    pub(super) url: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Identity {
    pub(super) anonymous: Option<bool>,
    pub(super) password_login: Option<bool>,
    pub(super) oidc: Vec<Oidc>,
    pub(super) mtls: Vec<Mtls>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Oidc {
    pub(super) issuer: Option<String>,
    pub(super) audience: Option<OneOrMany>,
    pub(super) jwks_url: Option<String>,
    pub(super) ca: Option<PathBuf>,
    pub(super) user_claim: Option<String>,
    pub(super) user_prefix: Option<String>,
    pub(super) groups_claim: Option<String>,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) algorithms: Option<Vec<String>>,
    pub(super) clock_skew_s: Option<u64>,
    pub(super) keys_refresh_s: Option<u64>,
    pub(super) keys_stale_s_max: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Mtls {
    pub(super) certificate: Option<String>,
    pub(super) service: Option<String>,
    pub(super) groups: Vec<String>,
    pub(super) attributes: BTreeMap<String, OneOrMany>,
}

/// A text, or a list of texts.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    pub(super) fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Engine {
    pub(super) memory_mib: Option<u64>,
    pub(super) spill_dir: Option<PathBuf>,
    pub(super) spill_mib: Option<u64>,
    pub(super) threads: Option<u64>,
    pub(super) deadline_s_default: Option<u64>,
    pub(super) deadline_s_max: Option<u64>,
    pub(super) queries_max: Option<u64>,
    pub(super) queries_per_principal_max: Option<u64>,
    pub(super) queue_len_max: Option<u64>,
    pub(super) result_rows_max: Option<u64>,
    pub(super) recursion_rows_max: Option<u64>,
    pub(super) sql_bytes_max: Option<u64>,
    pub(super) sql_tokens_max: Option<u64>,
    pub(super) sql_operators_max: Option<u64>,
    pub(super) sql_relations_max: Option<u64>,
    pub(super) sql_depth_max: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Cache {
    pub(super) footers_mib: Option<u64>,
    pub(super) parquet_files_max: Option<u64>,
}

/// One `[credentials.<name>]`; which keys are good depends on `type`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Credentials {
    pub(super) r#type: Option<String>,
    pub(super) access_key: Option<SecretText>,
    pub(super) secret_key: Option<SecretText>,
    pub(super) session_token: Option<SecretText>,
    pub(super) region: Option<SecretText>,
    pub(super) endpoint: Option<SecretText>,
    pub(super) allow_http: Option<bool>,
    pub(super) virtual_hosted: Option<bool>,
    pub(super) token: Option<SecretText>,
    pub(super) client_id: Option<SecretText>,
    pub(super) client_secret: Option<SecretText>,
    pub(super) scope: Option<SecretText>,
    pub(super) oauth2_server_uri: Option<SecretText>,
    pub(super) headers: BTreeMap<String, SecretText>,
    pub(super) vended_credentials: Option<bool>,
    pub(super) ca: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Audit {
    pub(super) dir: Option<PathBuf>,
    pub(super) fsync: Option<bool>,
    pub(super) statement_kib_max: Option<u64>,
    pub(super) anchor_dir: Option<PathBuf>,
    pub(super) anchor_key: Option<PathBuf>,
    pub(super) anchor_every_records: Option<u64>,
    pub(super) anchor_every_s: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Log {
    pub(super) format: Option<LogFormat>,
    pub(super) filter: Option<String>,
}
