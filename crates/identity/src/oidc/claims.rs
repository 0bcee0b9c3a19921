//! The claims of a token whose signature is good: when it is good, for whom, and who its bearer is.

use std::collections::BTreeSet;

use meshgate_model::{Instant, mutant};
use serde_json::{Map, Value};

use super::OidcIssuer;
use crate::registrar::{check_rights, check_subject};
use crate::{AttributeTexts, Error, PrincipalKind};

/// What the claims say of the bearer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verified {
    pub(super) kind: PrincipalKind,
    pub(super) name: String,
    pub(super) groups: BTreeSet<String>,
    pub(super) attributes: AttributeTexts,
}

/// Checks what RFC 7519, 4.1 and RFC 9068, 4 ask for. Whoever holds the token may know what is wrong: the issuer signed it.
pub(super) fn verify(claims: &Map<String, Value>, issuer: &OidcIssuer, now: Instant) -> Result<Verified, Error> {
    let refused = |why: String| Error::NotForHere { issuer: issuer.issuer.clone(), why };
    let skew = i64::from(issuer.clock_skew_s);
    let expires = time(claims, "exp").map_err(refused)?;
    let expires = expires.ok_or_else(|| refused("it has no `exp`".to_owned()))?;
    if expires.plus_seconds(skew) <= now && !mutant("an expired JWT is accepted") {
        return Err(Error::Expired { id: "(OIDC)".to_owned(), name: issuer.issuer.clone(), at: expires });
    }
    for (claim, why) in [("nbf", "it is not good yet (`nbf`)"), ("iat", "it is from the future (`iat`)")] {
        if time(claims, claim).map_err(refused)?.is_some_and(|from| now.plus_seconds(skew) < from) {
            return Err(refused(why.to_owned()));
        }
    }
    let audiences = texts(claims.get("aud")).map_err(|why| refused(format!("its `aud` {why}")))?;
    let for_here = audiences.iter().any(|audience| issuer.audiences.contains(audience));
    if !for_here && !mutant("a JWT may be for anybody") {
        return Err(refused("it is for another audience (`aud`)".to_owned()));
    }
    let kind = kind(claims);
    let name = name(claims, issuer, kind).map_err(refused)?;
    let groups = groups(claims, issuer).map_err(refused)?;
    let attributes = issuer.attributes.iter().filter_map(|(attribute, claim)| {
        let values = texts(find(claims, claim)).map_err(|why| refused(format!("its `{claim}` {why}")));
        values.map(|values| (!values.is_empty()).then(|| (attribute.clone(), values))).transpose()
    });
    let attributes = attributes.collect::<Result<AttributeTexts, Error>>()?;
    check_subject(&name)
        .and_then(|()| check_rights(&groups, &attributes))
        .map_err(|error| refused(error.to_string()))?;
    Ok(Verified { kind, name, groups, attributes })
}

/// A NumericDate: seconds since 1970, with or without a fraction.
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<Instant>, String> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    // Up to the year 9999.
    let seconds = value.as_f64().filter(|seconds| (0.0..253_402_300_800.0).contains(seconds));
    let seconds = seconds.ok_or_else(|| format!("its `{name}` is no time"))?;
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked, and the fraction is of no interest")]
    Ok(Some(Instant(0).plus_seconds(seconds as i64)))
}

/// A client that acts for nobody but itself: RFC 9068, 2.2 has it in `sub` what it is called in `client_id`; Microsoft says
/// so in `idtyp`.
fn kind(claims: &Map<String, Value>) -> PrincipalKind {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let is_client = text("client_id").is_some_and(|client| text("sub") == Some(client));
    if is_client || text("idtyp") == Some("app") { PrincipalKind::Service } else { PrincipalKind::User }
}

fn name(claims: &Map<String, Value>, issuer: &OidcIssuer, kind: PrincipalKind) -> Result<String, String> {
    let claim = issuer.user_claim.as_str();
    let named = find(claims, claim);
    // Clients have no e-mail address, nor whatever else people are named by.
    let (claim, named) = match (named, kind) {
        (None, PrincipalKind::Service) => ("sub", claims.get("sub")),
        (named, _) => (claim, named),
    };
    let named = named.and_then(Value::as_str).filter(|name| !name.is_empty());
    let named = named.ok_or_else(|| format!("its `{claim}` names nobody"))?;
    // SECURITY: anybody can enter anybody's address with some providers.
    if claim == "email"
        && claims.get("email_verified") != Some(&Value::Bool(true))
        && !mutant("an e-mail address need not be verified")
    {
        return Err("its `email` is not verified".to_owned());
    }
    Ok(format!("{}{named}", issuer.user_prefix))
}

fn groups(claims: &Map<String, Value>, issuer: &OidcIssuer) -> Result<BTreeSet<String>, String> {
    let claim = issuer.groups_claim.as_str();
    // OpenID Connect Core 1.0, 5.6.2: the groups are elsewhere. Without them a rule that forbids would not find its group.
    let elsewhere = claims.get("_claim_names").and_then(|names| names.get(claim));
    let elsewhere = elsewhere.is_some() && !mutant("groups that are elsewhere are none");
    if elsewhere || claims.get("hasgroups") == Some(&Value::Bool(true)) {
        return Err(format!("it does not hold its `{claim}`, but says that there are too many for it"));
    }
    Ok(texts(find(claims, claim)).map_err(|why| format!("its `{claim}` {why}"))?.into_iter().collect())
}

/// A claim by its name, or, if that begins with `/`, by a path (RFC 6901).
fn find<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c Value> {
    claims.get(name).or_else(|| {
        let mut steps = name.strip_prefix('/')?.split('/').map(|step| step.replace("~1", "/").replace("~0", "~"));
        let first = claims.get(&steps.next()?)?;
        steps.try_fold(first, |value, step| value.get(&step))
    })
}

/// A claim's values as text: one or many of them.
fn texts(claim: Option<&Value>) -> Result<Vec<String>, &'static str> {
    let one = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err("is neither a text nor a list of texts"),
    };
    match claim {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(values)) => values.iter().map(one).collect(),
        Some(value) => Ok(vec![one(value)?]),
    }
}
