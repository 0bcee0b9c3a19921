//! `meshgate token create|list|revoke`: beside a running gateway or without one.

use meshgate_identity::{NewToken, PrincipalKind, TokenRecord};
use meshgate_model::Instant;
use serde_json::{Value, json};

use crate::args::{Report, TokenCreate, TokenList, TokenRevoke};
use crate::output;
use crate::state::{self, attribute_texts};
use crate::trouble::{Outcome, Trouble};

/// Prints the token and nothing else, so that a script can take it.
pub(super) async fn create(arguments: TokenCreate) -> Outcome {
    let registrar = state::registrar(&arguments.state).await?;
    let (kind, name) = match (arguments.user, arguments.service) {
        (_, Some(service)) => (PrincipalKind::Service, service),
        (user, None) => (PrincipalKind::User, user.unwrap_or_default()),
    };
    let new = NewToken {
        kind,
        name,
        attributes: attribute_texts(&arguments.carries),
        groups: arguments.carries.groups.into_iter().collect(),
        ttl_s: arguments.ttl.map(|ttl| ttl.seconds),
    };
    let issued = registrar.create_token(new).await.map_err(|error| Trouble::of("the token cannot be made", &error))?;
    output::line(issued.secret.expose())
}

/// Prints all tokens, but never what would let anybody in.
pub(super) async fn list(arguments: TokenList) -> Outcome {
    let registrar = state::registrar(&arguments.state).await?;
    let tokens = registrar.list_tokens().await.map_err(|error| Trouble::of("tokens cannot be listed", &error))?;
    match arguments.format {
        Report::Json => output::json(&tokens.iter().map(as_json).collect()),
        Report::Text => tokens.iter().try_for_each(|token| output::line(as_text(token))),
    }
}

/// Ends a token.
pub(super) async fn revoke(arguments: TokenRevoke) -> Outcome {
    let registrar = state::registrar(&arguments.state).await?;
    let revoked = registrar.revoke_token(&arguments.id).await;
    let token = revoked.map_err(|error| {
        let trouble = Trouble::of(format!("the token `{}` cannot be revoked", arguments.id), &error);
        trouble.hint("`meshgate token list` shows the ids")
    })?;
    output::line(format!("revoked {} of {}", token.id, token.name))
}

fn as_text(token: &TokenRecord) -> String {
    let groups: Vec<&str> = token.groups.iter().map(String::as_str).collect();
    let attributes: Vec<String> = token
        .attributes
        .iter()
        .flat_map(|(name, values)| values.iter().map(move |value| format!("{name}={value}")))
        .collect();
    let ends = match (token.revoked, token.expires) {
        (Some(revoked), _) => format!("revoked {}", time(revoked)),
        (None, Some(expires)) => format!("expires {}", time(expires)),
        (None, None) => "never expires".to_owned(),
    };
    format!(
        "{}  {} {}  groups [{}]  attributes [{}]  created {}  {ends}",
        token.id,
        kind(token.kind),
        token.name,
        groups.join(", "),
        attributes.join(", "),
        time(token.created),
    )
}

fn as_json(token: &TokenRecord) -> Value {
    json!({
        "id": token.id,
        "kind": kind(token.kind),
        "name": token.name,
        "groups": token.groups,
        "attributes": token.attributes,
        "created": time(token.created),
        "expires": token.expires.map(time),
        "revoked": token.revoked.map(time),
    })
}

fn kind(kind: PrincipalKind) -> &'static str {
    match kind {
        PrincipalKind::User => "user",
        PrincipalKind::Service => "service",
    }
}

fn time(instant: Instant) -> String {
    chrono::DateTime::from_timestamp_micros(instant.micros())
        .map_or_else(|| instant.micros().to_string(), |time| time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
}
