//! `[identity]`: who is let in, and by what.

use std::path::PathBuf;

use meshgate_identity::{CertificateService, OidcAlgorithm, OidcIssuer};
use url::{Host, Url};

use super::{Identity, Oidc, raw};
use crate::trouble::{Outcome, Trouble};

/// Clocks further apart than this are broken.
const CLOCK_SKEW_S_MAX: u64 = 300;

pub(super) fn resolve(raw: raw::Identity, client_ca: Option<&PathBuf>) -> Outcome<Identity> {
    let oidc = raw.oidc.into_iter().map(oidc).collect::<Outcome<Vec<_>>>()?;
    check_prefixes(&oidc)?;
    if !raw.mtls.is_empty() && client_ca.is_none() {
        return Err(Trouble::config("`identity.mtls` is of no use without `flight.tls.client_ca`")
            .hint("name the file with the authority that signs the certificates of clients"));
    }
    Ok(Identity {
        anonymous: raw.anonymous.unwrap_or(false),
        password_login: raw.password_login.unwrap_or(true),
        oidc,
        mtls: raw.mtls.into_iter().map(mtls).collect::<Outcome<_>>()?,
    })
}

fn oidc(raw: raw::Oidc) -> Outcome<Oidc> {
    let issuer = raw.issuer.ok_or_else(|| lacks("oidc", "issuer", "\"https://id.example.org/realms/lake\""))?;
    let wrong = |key: &str| Trouble::config(format!("`identity.oidc.{key}` of {issuer} cannot be used"));
    let url = |key: &str, text: &str| {
        let checked = Url::parse(text).map_err(|error| error.to_string()).and_then(|url| may_be_asked(&url));
        checked.map_err(|why| wrong(key).why(format!("{text}: {why}")))
    };
    url("issuer", &issuer)?;
    raw.jwks_url.as_deref().map(|text| url("jwks_url", text)).transpose()?;
    let audiences = raw.audience.map(raw::OneOrMany::into_vec).unwrap_or_default();
    if audiences.is_empty() || audiences.contains(&String::new()) {
        return Err(lacks("oidc", "audience", "\"meshgate\"")
            .why("without it, tokens for every other service of the issuer would be good here"));
    }
    let usual = OidcIssuer::new(issuer.clone(), audiences);
    let algorithms = raw.algorithms.map(|names| names.iter().map(|name| algorithm(name)).collect::<Outcome<_>>());
    let seconds = |key: &str, written: Option<u64>, usual: u32, most: u64| {
        let seconds = written.unwrap_or(usual.into());
        u32::try_from(seconds).ok().filter(|_| seconds <= most).ok_or_else(|| {
            wrong(key).why(format!("{seconds} is too many seconds")).hint(format!("give at most {most}"))
        })
    };
    let keys_refresh_s = seconds("keys_refresh_s", raw.keys_refresh_s, usual.keys_refresh_s, 86_400)?;
    let issuer = OidcIssuer {
        jwks_url: raw.jwks_url,
        user_claim: raw.user_claim.unwrap_or(usual.user_claim),
        user_prefix: raw.user_prefix.unwrap_or(usual.user_prefix),
        groups_claim: raw.groups_claim.unwrap_or(usual.groups_claim),
        attributes: raw.attributes,
        algorithms: algorithms.transpose()?.unwrap_or(usual.algorithms),
        clock_skew_s: seconds("clock_skew_s", raw.clock_skew_s, usual.clock_skew_s, CLOCK_SKEW_S_MAX)?,
        keys_refresh_s: keys_refresh_s.max(1),
        keys_stale_s_max: seconds("keys_stale_s_max", raw.keys_stale_s_max, usual.keys_stale_s_max, 604_800)?,
        ..usual
    };
    Ok(Oidc { issuer, ca: raw.ca })
}

fn algorithm(name: &str) -> Outcome<OidcAlgorithm> {
    OidcAlgorithm::named(name).ok_or_else(|| {
        let known: Vec<&str> = OidcAlgorithm::ALL.iter().map(|(name, _)| *name).collect();
        Trouble::config(format!("`identity.oidc.algorithms` cannot hold `{name}`"))
            .hint(format!("only signatures with a private key are accepted: {}", known.join(", ")))
    })
}

/// Whether an issuer's document may be had from there: what is read on the way must not be changed on the way.
pub(crate) fn may_be_asked(url: &Url) -> Result<(), String> {
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_here => Ok(()),
        _ => Err("it has to begin with https:// (http:// only for this machine itself)".to_owned()),
    }
}

/// With several issuers no name of one may be a name of another.
fn check_prefixes(issuers: &[Oidc]) -> Outcome {
    for (n, one) in issuers.iter().enumerate() {
        for other in issuers.get(n + 1..).unwrap_or_default() {
            let (one, other) = (&one.issuer, &other.issuer);
            if one.issuer == other.issuer {
                return Err(Trouble::config(format!("`identity.oidc` names {} twice", one.issuer)));
            }
            let (a, b) = (&one.user_prefix, &other.user_prefix);
            if a.starts_with(b.as_str()) || b.starts_with(a.as_str()) {
                return Err(Trouble::config(format!(
                    "{} and {} could name each other's users",
                    one.issuer, other.issuer
                ))
                .why(format!("the `user_prefix` of one, `{a}`, and that of the other, `{b}`, begin alike"))
                .hint("give each issuer a `user_prefix` of its own, such as \"corp:\" and \"partner:\""));
            }
        }
    }
    Ok(())
}

fn mtls(raw: raw::Mtls) -> Outcome<CertificateService> {
    let certificate = raw.certificate.ok_or_else(|| lacks("mtls", "certificate", "\"dns:etl.example.org\""))?;
    let service = raw.service.filter(|name| !name.is_empty()).ok_or_else(|| lacks("mtls", "service", "\"etl\""))?;
    let certificate = certificate.parse().map_err(|why: &str| {
        Trouble::config(format!("`identity.mtls.certificate` cannot be `{certificate}`"))
            .why(why)
            .hint("write dns:, uri:, email: or cn: and the name in the certificate, such as dns:etl.example.org")
    })?;
    let attributes = raw.attributes.into_iter().map(|(name, values)| (name, values.into_vec())).collect();
    Ok(CertificateService { certificate, service, groups: raw.groups.into_iter().collect(), attributes })
}

fn lacks(section: &str, key: &str, example: &str) -> Trouble {
    Trouble::config(format!("an `identity.{section}` has no `{key}`")).hint(format!("write `{key} = {example}`"))
}
