//! Which keys there are, and what is said of one that there is not.

use std::ops::Range;

use crate::trouble::Trouble;

/// Every key, as a dotted path; `*` stands for a name of the user's choice.
pub(super) const KEYS: &[&str] = &[
    "environment",
    "flight.listen",
    "flight.max_message_mib",
    "flight.drain_s",
    "flight.ticket_ttl_s",
    "flight.handle_ttl_s",
    "flight.handles_max",
    "flight.bindings_mib",
    "flight.transaction_ttl_s",
    "flight.transactions_max",
    "flight.transaction_tables_max",
    "flight.session_ttl_s",
    "flight.sessions_max",
    "flight.bearer_ttl_s",
    "flight.endpoints_max",
    "flight.tls.certificate",
    "flight.tls.key",
    "flight.tls.client_ca",
    "flight.tls.client_certificates",
    "http.listen",
    "state.url",
    "identity.anonymous",
    "identity.password_login",
    "identity.oidc.issuer",
    "identity.oidc.audience",
    "identity.oidc.jwks_url",
    "identity.oidc.ca",
    "identity.oidc.user_claim",
    "identity.oidc.user_prefix",
    "identity.oidc.groups_claim",
    "identity.oidc.attributes.*",
    "identity.oidc.algorithms",
    "identity.oidc.clock_skew_s",
    "identity.oidc.keys_refresh_s",
    "identity.oidc.keys_stale_s_max",
    "identity.mtls.certificate",
    "identity.mtls.service",
    "identity.mtls.groups",
    "identity.mtls.attributes.*",
    "engine.memory_mib",
    "engine.spill_dir",
    "engine.spill_mib",
    "engine.threads",
    "engine.deadline_s_default",
    "engine.deadline_s_max",
    "engine.queries_max",
    "engine.queries_per_principal_max",
    "engine.queue_len_max",
    "engine.result_rows_max",
    "engine.recursion_rows_max",
    "engine.sql_bytes_max",
    "engine.sql_tokens_max",
    "engine.sql_operators_max",
    "engine.sql_relations_max",
    "engine.sql_depth_max",
    "cache.footers_mib",
    "cache.parquet_files_max",
    "credentials.*.type",
    "credentials.*.access_key",
    "credentials.*.secret_key",
    "credentials.*.session_token",
    "credentials.*.region",
    "credentials.*.endpoint",
    "credentials.*.allow_http",
    "credentials.*.virtual_hosted",
    "credentials.*.token",
    "credentials.*.client_id",
    "credentials.*.client_secret",
    "credentials.*.scope",
    "credentials.*.oauth2_server_uri",
    "credentials.*.headers.*",
    "credentials.*.vended_credentials",
    "credentials.*.ca",
    "audit.dir",
    "audit.fsync",
    "audit.statement_kib_max",
    "audit.anchor_dir",
    "audit.anchor_key",
    "audit.anchor_every_records",
    "audit.anchor_every_s",
    "log.format",
    "log.filter",
];

/// Keys of the design whose feature is not built, and all below them: refused, so that nobody relies on them in vain.
const NOT_BUILT: &[(&str, &str)] = &[
    ("http.external_url", "links to itself in what HTTP serves"),
    ("cache.results_mib", "the cache of results"),
    ("cache.data_dir", "the cache of data files"),
    ("cache.data_mib", "the cache of data files"),
];

/// Checks a key that ends in a value (or an array, or an empty table).
pub(super) fn check(path: &[&str], place: &str) -> Result<(), Trouble> {
    let dotted = path.join(".");
    let built = |key: &str| dotted == key || dotted.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'));
    if let Some((key, feature)) = NOT_BUILT.iter().find(|(key, _)| built(key)) {
        return Err(Trouble::config(format!("`{key}` ({place}) cannot be used"))
            .why(format!("this version does not have {feature}")));
    }
    if KEYS.iter().any(|key| fits(key, path)) {
        return Ok(());
    }
    let trouble = Trouble::config(format!("`{dotted}` ({place}) is no key of the configuration"));
    Err(match nearest(&dotted, path) {
        Some(key) => trouble.hint(format!("did you mean `{key}`?")),
        None => trouble.hint("the commented meshgate.toml in deploy/ has every key"),
    })
}

/// Whether a path is a key, or a table with keys in it.
fn fits(key: &str, path: &[&str]) -> bool {
    let parts: Vec<&str> = key.split('.').collect();
    path.len() <= parts.len() && parts.iter().zip(path).all(|(part, given)| *part == "*" || part == given)
}

fn nearest(dotted: &str, path: &[&str]) -> Option<String> {
    let named = |key: &str| match path {
        ["credentials", name, ..] => key.replace('*', name),
        _ => key.to_owned(),
    };
    let last = path.last().copied().unwrap_or_default();
    let distance = |key: &String| {
        let same_word = key.rsplit('.').next() == Some(last);
        if same_word { 0 } else { strsim::damerau_levenshtein(key, dotted) }
    };
    KEYS.iter().map(|key| named(key)).min_by_key(distance).filter(|key| distance(key) <= 3)
}

/// `file:line:column` of a byte range.
pub(super) fn place(file: &str, text: &str, span: Range<usize>) -> String {
    let before = text.get(..span.start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("{file}:{line}:{column}")
}
