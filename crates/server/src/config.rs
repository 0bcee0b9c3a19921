//! The gateway's own configuration, in two stages: what was written ([`raw`]), then what it means ([`Config`]).
//!
//! A value comes from the command line, else from `MESHGATE_<SECTION>__<KEY>`, else from the file, else from a default
//! that serves one machine. A key that nobody knows is an error with a suggestion; a key whose feature is not built is
//! refused by its name.

mod credentials;
mod identity;
mod keys;
mod layers;
mod machine;
mod raw;
mod resolve;
mod secret;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use meshgate_identity::{CertificateService, OidcIssuer};
use meshgate_table::Credentials;

pub(crate) use identity::may_be_asked;
pub(crate) use resolve::state_directory;

use crate::args::LogFormat;
use crate::trouble::{Outcome, Trouble};

/// What stands above the file: the command line.
#[derive(Debug, Default)]
pub(crate) struct Overrides {
    pub(crate) flight_listen: Option<SocketAddr>,
    pub(crate) http_listen: Option<SocketAddr>,
    pub(crate) state: Option<PathBuf>,
    pub(crate) log_format: Option<LogFormat>,
    pub(crate) log_filter: Option<String>,
}

/// Everything resolved and checked.
#[derive(Debug)]
pub(crate) struct Config {
    /// Which `servers[].environment` of a contract is used.
    pub(crate) environment: Option<String>,
    pub(crate) flight: Flight,
    pub(crate) http: Http,
    pub(crate) state: State,
    pub(crate) identity: Identity,
    pub(crate) engine: meshgate_engine::Options,
    pub(crate) cache: Cache,
    /// `[credentials.<name>]`, which mesh.yaml names.
    pub(crate) credentials: BTreeMap<String, Credentials>,
    pub(crate) audit: Audit,
    pub(crate) log: Log,
}

/// `[flight]`
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) listen: SocketAddr,
    pub(crate) message_bytes_max: usize,
    pub(crate) drain_s: u32,
    pub(crate) kept: Kept,
    /// Endpoints of one result.
    pub(crate) endpoints_max: u32,
    /// The files for TLS, if it is to be spoken.
    pub(crate) tls: Option<Tls>,
}

/// What is kept for clients between their calls, for how long, and how much of it: also `[flight]`.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) ticket_ttl_s: u32,
    pub(crate) handle_ttl_s: u32,
    pub(crate) handles_max: usize,
    pub(crate) bindings_bytes_max: usize,
    pub(crate) transaction_ttl_s: u32,
    pub(crate) transactions_max: usize,
    pub(crate) transaction_tables_max: usize,
    pub(crate) session_ttl_s: u32,
    pub(crate) sessions_max: usize,
    pub(crate) bearer_ttl_s: u32,
}

/// `[flight.tls]`: files in PEM, read when the gateway starts and when they change.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    /// The certificate, and those between it and its authority.
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// Who signs the certificates that clients come with, if they may come with one.
    pub(crate) client_ca: Option<PathBuf>,
    /// Whether clients without a certificate may connect as well.
    pub(crate) client_certificate_optional: bool,
}

/// `[http]`
#[derive(Debug)]
pub(crate) struct Http {
    pub(crate) listen: SocketAddr,
}

/// `[state]`
#[derive(Debug)]
pub(crate) struct State {
    /// The SQLite file.
    pub(crate) file: PathBuf,
    /// The directory it lies in, where the audit trail and spilled data go by default.
    pub(crate) directory: PathBuf,
}

/// `[identity]`
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) anonymous: bool,
    pub(crate) password_login: bool,
    /// `[[identity.oidc]]`
    pub(crate) oidc: Vec<Oidc>,
    /// `[[identity.mtls]]`
    pub(crate) mtls: Vec<CertificateService>,
}

/// An identity provider.
#[derive(Debug)]
pub(crate) struct Oidc {
    pub(crate) issuer: OidcIssuer,
    /// The only authorities that are trusted when its documents are fetched; those of the system without it.
    pub(crate) ca: Option<PathBuf>,
}

/// `[cache]`
#[derive(Debug)]
pub(crate) struct Cache {
    pub(crate) footers_bytes: u64,
    pub(crate) parquet_files_max: usize,
}

/// `[audit]`
#[derive(Debug)]
pub(crate) struct Audit {
    pub(crate) dir: PathBuf,
    pub(crate) fsync: bool,
    pub(crate) statement_bytes_max: usize,
    /// Signed statements in another directory, if there are to be any.
    pub(crate) anchors: Option<Anchors>,
}

/// `[audit]`, its `anchor_` keys.
#[derive(Debug)]
pub(crate) struct Anchors {
    pub(crate) dir: PathBuf,
    /// The file with the key that signs.
    pub(crate) key: PathBuf,
    /// Whether the file is the gateway's own, to be made if it does not exist.
    pub(crate) may_make_key: bool,
    /// Where the key that checks goes.
    pub(crate) public_key: PathBuf,
    pub(crate) every_records: u64,
    pub(crate) every_s: u32,
}

/// `[log]`
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) format: LogFormat,
    pub(crate) filter: Option<String>,
}

impl Config {
    /// Reads the file if there is one, the environment, and the command line.
    pub(crate) fn load(file: Option<&Path>, overrides: &Overrides) -> Outcome<Self> {
        // Variables that are no text are none of ours.
        let texts = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        let ours = texts.filter(|(name, _)| name.starts_with(layers::PREFIX));
        let ours = ours.map(|(name, value)| match value.into_string() {
            Ok(value) => Ok((name, value)),
            Err(_) => Err(Trouble::config(format!("the environment's {name} is no UTF-8 text"))),
        });
        Self::from_layers(file, ours.collect::<Outcome<Vec<_>>>()?.into_iter(), overrides)
    }

    fn from_layers(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        overrides: &Overrides,
    ) -> Outcome<Self> {
        let written = layers::read(file, environment)?;
        resolve::resolve(written, overrides)
    }
}

#[cfg(test)]
mod tests;
