//! From what was written to what it means.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::{Anchors, Audit, Cache, Config, Flight, Http, Kept, Log, Overrides, State, Tls};
use super::{credentials, identity, machine, raw};
use meshgate_engine::Options;
use meshgate_state::Home;

use crate::args::LogFormat;
use crate::paths;
use crate::trouble::{Outcome, Trouble};

const MIB: u64 = 1024 * 1024;
const FLIGHT_LISTEN: &str = "127.0.0.1:31337";
const HTTP_LISTEN: &str = "127.0.0.1:31338";

pub(super) fn resolve(mut raw: raw::Raw, overrides: &Overrides) -> Outcome<Config> {
    let state = state(&raw.state, overrides)?;
    let tls = tls(std::mem::take(&mut raw.flight.tls))?;
    let identity = identity::resolve(raw.identity, tls.as_ref().and_then(|tls| tls.client_ca.as_ref()))?;
    let credentials = raw.credentials.iter().map(|(name, raw)| Ok((name.clone(), credentials::resolve(name, raw)?)));
    Ok(Config {
        environment: raw.environment,
        flight: Flight {
            listen: listen("flight.listen", overrides.flight_listen, raw.flight.listen.as_deref(), FLIGHT_LISTEN)?,
            message_bytes_max: mib("flight.max_message_mib", raw.flight.max_message_mib.unwrap_or(64))?,
            drain_s: u32::try_from(raw.flight.drain_s.unwrap_or(30)).unwrap_or(u32::MAX),
            kept: kept(&raw.flight)?,
            endpoints_max: number("flight.endpoints_max", raw.flight.endpoints_max.unwrap_or(16))?,
            tls,
        },
        http: Http { listen: listen("http.listen", overrides.http_listen, raw.http.listen.as_deref(), HTTP_LISTEN)? },
        identity,
        engine: engine(&raw.engine, &state.directory)?,
        cache: cache(&raw.cache)?,
        credentials: credentials.collect::<Outcome<_>>()?,
        audit: audit(raw.audit, &Home::new(&state.directory))?,
        log: Log {
            format: overrides.log_format.or(raw.log.format).unwrap_or(LogFormat::Text),
            filter: overrides.log_filter.clone().or(raw.log.filter),
        },
        state,
    })
}

fn listen(key: &str, over: Option<SocketAddr>, written: Option<&str>, default: &str) -> Outcome<SocketAddr> {
    let text = written.unwrap_or(default);
    over.map_or_else(|| text.parse(), Ok).map_err(|error| {
        Trouble::config(format!("`{key}` cannot be `{text}`"))
            .because(&error)
            .hint("write an IP address and a port, such as 0.0.0.0:31337 or [::]:31337; port 0 picks a free one")
    })
}

fn cache(raw: &raw::Cache) -> Outcome<Cache> {
    let files_max = raw.parquet_files_max.map(|number| count("cache.parquet_files_max", number)).transpose()?;
    Ok(Cache {
        footers_bytes: mib("cache.footers_mib", raw.footers_mib.unwrap_or(256))? as u64,
        parquet_files_max: files_max.unwrap_or(meshgate_table_parquet::FILES_MAX_DEFAULT),
    })
}

fn kept(raw: &raw::Flight) -> Outcome<Kept> {
    Ok(Kept {
        ticket_ttl_s: seconds("flight.ticket_ttl_s", raw.ticket_ttl_s.unwrap_or(600))?,
        handle_ttl_s: seconds("flight.handle_ttl_s", raw.handle_ttl_s.unwrap_or(8 * 3600))?,
        handles_max: count("flight.handles_max", raw.handles_max.unwrap_or(10_000))?,
        bindings_bytes_max: mib("flight.bindings_mib", raw.bindings_mib.unwrap_or(512))?,
        transaction_ttl_s: seconds("flight.transaction_ttl_s", raw.transaction_ttl_s.unwrap_or(12 * 3600))?,
        transactions_max: count("flight.transactions_max", raw.transactions_max.unwrap_or(10_000))?,
        transaction_tables_max: count("flight.transaction_tables_max", raw.transaction_tables_max.unwrap_or(1_000))?,
        session_ttl_s: seconds("flight.session_ttl_s", raw.session_ttl_s.unwrap_or(12 * 3600))?,
        sessions_max: count("flight.sessions_max", raw.sessions_max.unwrap_or(10_000))?,
        bearer_ttl_s: seconds("flight.bearer_ttl_s", raw.bearer_ttl_s.unwrap_or(24 * 3600))?,
    })
}

fn tls(raw: raw::Tls) -> Outcome<Option<Tls>> {
    let lacks = |key: &str, other: &str| {
        Trouble::config(format!("`flight.tls.{key}` is of no use without `flight.tls.{other}`"))
            .hint("TLS needs the PEM files of a certificate and of its key; without TLS leave all of [flight.tls] out")
    };
    if raw.client_certificates.is_some() && raw.client_ca.is_none() {
        return Err(lacks("client_certificates", "client_ca"));
    }
    let client_certificate_optional = matches!(raw.client_certificates, Some(raw::ClientCertificates::Optional));
    match (raw.certificate, raw.key, raw.client_ca) {
        (Some(certificate), Some(key), client_ca) => {
            Ok(Some(Tls { certificate, key, client_ca, client_certificate_optional }))
        }
        (Some(_), None, _) => Err(lacks("certificate", "key")),
        (None, Some(_), _) => Err(lacks("key", "certificate")),
        (None, None, Some(_)) => Err(lacks("client_ca", "certificate")),
        (None, None, None) => Ok(None),
    }
}

fn state(raw: &raw::State, overrides: &Overrides) -> Outcome<State> {
    if let Some(directory) = &overrides.state {
        return Ok(State { file: Home::new(directory).database(), directory: directory.clone() });
    }
    let Some(url) = raw.url.as_deref() else {
        let directory = paths::state_directory()?;
        return Ok(State { file: Home::new(&directory).database(), directory });
    };
    let directory = state_directory(url)?;
    Ok(State { file: Home::new(&directory).database(), directory })
}

/// The directory of a `state.url`. Commands find the state by its directory, so the file has one name.
pub(crate) fn state_directory(url: &str) -> Outcome<PathBuf> {
    let wrong = |why: &str| {
        Trouble::config(format!("`state.url` cannot be `{url}`"))
            .why(why)
            .hint("write sqlite:///var/lib/meshgate/state.db")
    };
    if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        return Err(wrong("this version keeps its state in SQLite only"));
    }
    let file = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")).filter(|file| !file.is_empty());
    let file = Path::new(file.ok_or_else(|| wrong("it names no SQLite file"))?);
    let directory = match file.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    if file.file_name() != Home::new(&directory).database().file_name() {
        return Err(wrong("the state's file is called state.db, so that commands find it by its directory"));
    }
    Ok(directory)
}

fn engine(raw: &raw::Engine, state: &Path) -> Outcome<Options> {
    let half_of_memory = || machine::memory_mib().map_or(1024, |mib| (mib / 2).max(256));
    let deadline_s_default = seconds("engine.deadline_s_default", raw.deadline_s_default.unwrap_or(300))?;
    let deadline_s_max = seconds("engine.deadline_s_max", raw.deadline_s_max.unwrap_or(3_600))?;
    if deadline_s_default > deadline_s_max {
        return Err(Trouble::config("`engine.deadline_s_default` is longer than `engine.deadline_s_max`"));
    }
    let usual = Options::default();
    let number = |key: &str, written: Option<u64>, usual: usize| count(key, written.unwrap_or(usual as u64));
    // The stacks of query threads are measured for the usual values of these.
    let up_to_usual = |key: &str, written: Option<u64>, usual: usize| {
        let number = number(key, written, usual)?;
        if number > usual {
            return Err(Trouble::config(format!("`{key}` cannot be {number}")).hint(format!("give at most {usual}")));
        }
        Ok(number)
    };
    let memory_bytes = mib("engine.memory_mib", raw.memory_mib.unwrap_or_else(half_of_memory))?;
    Ok(Options {
        memory_bytes,
        memory_bytes_per_query: memory_bytes,
        spill_dir: raw.spill_dir.clone().unwrap_or_else(|| paths::spill(state)),
        spill_bytes: mib("engine.spill_mib", raw.spill_mib.unwrap_or(usual.spill_bytes / MIB))? as u64,
        threads: number("engine.threads", raw.threads, machine::threads())?,
        deadline_s_default,
        deadline_s_max,
        queries_max: number("engine.queries_max", raw.queries_max, usual.queries_max)?,
        queries_per_principal_max: number(
            "engine.queries_per_principal_max",
            raw.queries_per_principal_max,
            usual.queries_per_principal_max,
        )?,
        queue_len_max: raw.queue_len_max.map_or(usual.queue_len_max, |most| most.try_into().unwrap_or(usize::MAX)),
        result_rows_max: raw.result_rows_max.unwrap_or(usual.result_rows_max),
        recursion_rows_max: number("engine.recursion_rows_max", raw.recursion_rows_max, usual.recursion_rows_max)?,
        sql_bytes_max: number("engine.sql_bytes_max", raw.sql_bytes_max, usual.sql_bytes_max)?,
        sql_tokens_max: number("engine.sql_tokens_max", raw.sql_tokens_max, usual.sql_tokens_max)?,
        sql_operators_max: up_to_usual("engine.sql_operators_max", raw.sql_operators_max, usual.sql_operators_max)?,
        sql_relations_max: number("engine.sql_relations_max", raw.sql_relations_max, usual.sql_relations_max)?,
        sql_depth_max: up_to_usual("engine.sql_depth_max", raw.sql_depth_max, usual.sql_depth_max)?,
    })
}

fn audit(raw: raw::Audit, home: &Home) -> Outcome<Audit> {
    let dir = raw.dir.unwrap_or_else(|| home.audit());
    let fsync = raw.fsync.unwrap_or(true);
    let statement_kib = count("audit.statement_kib_max", raw.statement_kib_max.unwrap_or(64))?;
    let statement_bytes_max = statement_kib.saturating_mul(1024);
    let Some(anchor_dir) = raw.anchor_dir else {
        let other = [
            ("anchor_key", raw.anchor_key.is_some()),
            ("anchor_every_records", raw.anchor_every_records.is_some()),
            ("anchor_every_s", raw.anchor_every_s.is_some()),
        ];
        return match other.into_iter().find(|(_, is_set)| *is_set) {
            Some((key, _)) => Err(Trouble::config(format!("`audit.{key}` is of no use without `audit.anchor_dir`"))
                .hint("name the directory for the anchors, or leave the key out")),
            None => Ok(Audit { dir, fsync, statement_bytes_max, anchors: None }),
        };
    };
    if !fsync {
        return Err(Trouble::config("`audit.anchor_dir` cannot be used with `audit.fsync = false`")
            .why("after a power cut the anchors would speak of records that are lost")
            .hint("leave one of the two out"));
    }
    if anchor_dir == dir {
        return Err(Trouble::config("`audit.anchor_dir` cannot be the directory of the audit trail")
            .hint("name one that whoever can change the trail cannot change, such as a mount of another machine"));
    }
    let may_make_key = raw.anchor_key.is_none();
    let anchors = Anchors {
        dir: anchor_dir,
        key: raw.anchor_key.unwrap_or_else(|| home.anchor_key()),
        may_make_key,
        public_key: home.anchor_public_key(),
        every_records: count("audit.anchor_every_records", raw.anchor_every_records.unwrap_or(1_000))? as u64,
        every_s: seconds("audit.anchor_every_s", raw.anchor_every_s.unwrap_or(60))?,
    };
    Ok(Audit { dir, fsync, statement_bytes_max, anchors: Some(anchors) })
}

fn mib(key: &str, mib: u64) -> Outcome<usize> {
    let bytes = mib.checked_mul(MIB).filter(|bytes| *bytes > 0).and_then(|bytes| usize::try_from(bytes).ok());
    bytes.ok_or_else(|| Trouble::config(format!("`{key}` cannot be {mib}")).hint("give a number of MiB above 0"))
}

fn count(key: &str, number: u64) -> Outcome<usize> {
    let count = usize::try_from(number).ok().filter(|count| *count > 0);
    count.ok_or_else(|| Trouble::config(format!("`{key}` cannot be {number}")).hint("give a number above 0"))
}

fn number(key: &str, number: u64) -> Outcome<u32> {
    let fits = u32::try_from(number).ok().filter(|number| *number > 0);
    fits.ok_or_else(|| Trouble::config(format!("`{key}` cannot be {number}")).hint("give a number above 0"))
}

fn seconds(key: &str, number: u64) -> Outcome<u32> {
    let seconds = u32::try_from(number).ok().filter(|seconds| *seconds > 0);
    seconds.ok_or_else(|| Trouble::config(format!("`{key}` cannot be {number}")).hint("give seconds above 0"))
}
