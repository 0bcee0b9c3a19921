//! Configurations, good and bad.

use std::path::PathBuf;

use meshgate_engine::Options;
use meshgate_identity::OidcIssuer;
use meshgate_table::{CatalogLogin, Credentials};

use super::{Config, Overrides, keys};
use crate::args::LogFormat;
use crate::trouble::{Exit, Trouble};

fn load(text: &str, environment: &[(&str, &str)], overrides: &Overrides) -> Result<Config, Trouble> {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("meshgate.toml");
    std::fs::write(&file, text).expect("a file");
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::from_layers(Some(&file), environment, overrides)
}

fn at(state: &str) -> Overrides {
    Overrides { state: Some(PathBuf::from(state)), ..Overrides::default() }
}

#[test]
fn defaults_serve_one_machine() {
    let config = Config::from_layers(None, std::iter::empty(), &at("/s")).expect("no file is fine");
    assert_eq!(config.flight.listen.to_string(), "127.0.0.1:31337");
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:31338");
    assert_eq!(config.state.file, PathBuf::from("/s/state.db"));
    assert_eq!(config.audit.dir, PathBuf::from("/s/audit"));
    assert!(config.audit.fsync && config.identity.password_login && !config.identity.anonymous);
    assert!(config.engine.memory_bytes >= 256 << 20 && config.engine.threads > 0);
}

#[test]
fn the_commented_example_holds_every_key_and_every_default() {
    let example = include_str!("../../../../deploy/meshgate.toml");
    for key in keys::KEYS {
        let shown = match key.rsplit_once('.') {
            Some((table, "*")) => format!("[{}]", table.replace('*', "catalog")),
            Some((_, last)) => format!("{last} = "),
            None => format!("{key} = "),
        };
        assert!(example.contains(&shown), "deploy/meshgate.toml does not show {key}");
    }
    // With every comment sign taken off it must still be a configuration.
    let uncommented: String = example
        .lines()
        .map(|line| line.strip_prefix("#! ").unwrap_or(line))
        .fold(String::new(), |text, line| text + line + "\n");
    let shown = load(&uncommented, &[("MESHGATE_CREDENTIALS__LAKE__SECRET_KEY", "x")], &at("/var/lib/meshgate"));
    let mut shown = shown.unwrap_or_else(|trouble| panic!("{trouble}"));
    assert!(shown.flight.tls.take().is_some(), "the example has TLS, which has no default");
    let [shown_oidc] = &std::mem::take(&mut shown.identity.oidc)[..] else { panic!("the example has one provider") };
    let usual = OidcIssuer {
        jwks_url: shown_oidc.issuer.jwks_url.clone(),
        attributes: shown_oidc.issuer.attributes.clone(),
        algorithms: shown_oidc.issuer.algorithms.clone(),
        ..OidcIssuer::new(&shown_oidc.issuer.issuer, shown_oidc.issuer.audiences.clone())
    };
    assert_eq!(format!("{:?}", shown_oidc.issuer), format!("{usual:?}"));
    assert_eq!(std::mem::take(&mut shown.identity.mtls).len(), 1);
    let defaults = load("", &[], &at("/var/lib/meshgate")).expect("an empty file is fine");
    let (shown_audit, audit) = (
        (&shown.audit.dir, shown.audit.fsync, shown.audit.statement_bytes_max),
        (&defaults.audit.dir, defaults.audit.fsync, defaults.audit.statement_bytes_max),
    );
    assert_eq!(
        format!("{:?} {:?} {shown_audit:?}", shown.flight, shown.identity),
        format!("{:?} {:?} {audit:?}", defaults.flight, defaults.identity)
    );
    assert!(defaults.audit.anchors.is_none(), "anchors have no default directory");
    let anchored = load("[audit]\nanchor_dir = \"/mnt/anchors\"", &[], &at("/var/lib/meshgate"));
    let anchors = anchored.expect("the other keys have defaults").audit.anchors.expect("are to be written");
    let shown_anchors = shown.audit.anchors.expect("the example has them");
    assert_eq!(
        (&shown_anchors.key, shown_anchors.every_records, shown_anchors.every_s),
        (&anchors.key, anchors.every_records, anchors.every_s)
    );
    assert!(anchors.may_make_key);
    // The machine decides these two.
    let (memory_bytes, threads) = (defaults.engine.memory_bytes, defaults.engine.threads);
    let shown_here = Options { memory_bytes, memory_bytes_per_query: memory_bytes, threads, ..shown.engine };
    assert_eq!(shown_here, defaults.engine);
    assert_eq!(shown.cache.footers_bytes, defaults.cache.footers_bytes);
    assert_eq!(shown.cache.parquet_files_max, defaults.cache.parquet_files_max);
}

#[test]
fn the_environment_stands_above_the_file_and_the_command_line_above_both() {
    let text = "[flight]\nlisten = \"127.0.0.1:1\"\ndrain_s = 1\n[log]\nformat = \"text\"\n[engine]\nthreads = 1\n";
    let environment = [
        ("MESHGATE_FLIGHT__LISTEN", "127.0.0.1:2"),
        ("MESHGATE_FLIGHT__DRAIN_S", "7"),
        ("MESHGATE_ENVIRONMENT", "prod"),
        ("MESHGATE_IDENTITY__ANONYMOUS", "true"),
        ("MESHGATE_LOG__FILTER", "12"),
        ("MESHGATE_CREDENTIALS__LAKE__TYPE", "s3"),
        ("MESHGATE_CREDENTIALS__LAKE__REGION", "eu-1"),
        ("MESHGATE_TOKEN", "mg_not_a_config_key"),
        ("OTHER__THING", "1"),
    ];
    let overrides =
        Overrides { flight_listen: "127.0.0.1:3".parse().ok(), log_format: Some(LogFormat::Json), ..at("/s") };
    let config = load(text, &environment, &overrides).expect("a good configuration");
    assert_eq!(config.flight.listen.port(), 3);
    assert_eq!(config.flight.drain_s, 7);
    assert_eq!(config.environment.as_deref(), Some("prod"));
    assert_eq!(config.log.filter.as_deref(), Some("12"));
    assert_eq!(config.log.format, LogFormat::Json);
    assert!(config.identity.anonymous);
    assert!(matches!(&config.credentials["lake"], Credentials::S3(s3) if s3.region.as_deref() == Some("eu-1")));
}

#[test]
fn tls_is_spoken_with_the_files_that_are_named() {
    let text = "[flight.tls]\ncertificate = \"tls/a.crt\"\nkey = \"/tls/a.key\"\n";
    let environment = [("MESHGATE_FLIGHT__TLS__KEY", "/tls/b.key"), ("MESHGATE_FLIGHT__TLS__CLIENT_CA", "clients.crt")];
    let tls = load(text, &[], &at("/s")).expect("a good configuration").flight.tls.expect("TLS");
    assert_eq!((tls.certificate, tls.key), (PathBuf::from("tls/a.crt"), PathBuf::from("/tls/a.key")));
    assert_eq!(tls.client_ca, None);
    let tls = load(text, &environment, &at("/s")).expect("a good configuration").flight.tls.expect("TLS");
    assert_eq!((tls.certificate, tls.key), (PathBuf::from("tls/a.crt"), PathBuf::from("/tls/b.key")));
    assert_eq!(tls.client_ca, Some(PathBuf::from("clients.crt")));
    assert!(load("", &[], &at("/s")).expect("a good configuration").flight.tls.is_none());
}

#[test]
fn what_cannot_be_used_is_refused_with_place_and_suggestion() {
    type Case = (&'static str, &'static [(&'static str, &'static str)], &'static [&'static str]);
    let cases: &[Case] = &[
        ("[flight]\nlisen = \"x\"", &[], &["`flight.lisen`", "meshgate.toml:2:1", "`flight.listen`?"]),
        ("[engin]\nthreads = 1", &[], &["`engin.threads`", "`engine.threads`?"]),
        ("[flight.tls]\nkey = \"k\"", &[], &["`flight.tls.key`", "without `flight.tls.certificate`"]),
        ("[flight.tls]\ncertificate = \"c\"", &[], &["`flight.tls.certificate`", "without `flight.tls.key`"]),
        ("[flight.tls]\nclient_ca = \"a\"", &[], &["`flight.tls.client_ca`", "without `flight.tls.certificate`"]),
        ("", &[("MESHGATE_FLIGHT__TLS__KEY", "k")], &["`flight.tls.key`", "without `flight.tls.certificate`"]),
        ("[flight.tls]\ncertificat = \"c\"", &[], &["`flight.tls.certificat`", "`flight.tls.certificate`?"]),
        ("[[identity.mtls]]\nservice = \"s\"", &[], &["`identity.mtls`", "without `flight.tls.client_ca`"]),
        ("[[identity.oidc]]\nissuer = \"i\"", &[], &["`identity.oidc.issuer`", "i: relative URL"]),
        ("[[identity.oidc]]\nissuer = \"http://id.example.org\"", &[], &["`identity.oidc.issuer`", "https://"]),
        ("[[identity.oidc]]\nissuer = \"https://a\"", &[], &["has no `audience`"]),
        ("[[identity.oidc]]\nisuer = \"https://a\"", &[], &["meshgate.toml:2:1", "`identity.oidc.issuer`?"]),
        ("", &[("MESHGATE_IDENTITY__OIDC", "[{issuer = \"ftp://a\"}]")], &["`identity.oidc.issuer`", "https://"]),
        (
            "[[identity.oidc]]\nissuer = \"https://a\"\naudience = \"m\"\nalgorithms = [\"HS256\"]",
            &[],
            &["`HS256`", "RS256"],
        ),
        (
            "[[identity.oidc]]\nissuer = \"https://a\"\naudience = \"m\"\nclock_skew_s = 301",
            &[],
            &["`identity.oidc.clock_skew_s`", "at most 300"],
        ),
        (
            "[[identity.oidc]]\nissuer = \"https://a\"\naudience = \"m\"\n\
             [[identity.oidc]]\nissuer = \"https://b\"\naudience = \"m\"\nuser_prefix = \"b:\"",
            &[],
            &["https://a", "https://b", "each other's users", "`user_prefix`"],
        ),
        (
            "[flight.tls]\ncertificate = \"c\"\nkey = \"k\"\nclient_certificates = \"optional\"",
            &[],
            &["`flight.tls.client_certificates`", "without `flight.tls.client_ca`"],
        ),
        (
            "[flight.tls]\ncertificate = \"c\"\nkey = \"k\"\nclient_ca = \"a\"\n\
             [[identity.mtls]]\ncertificate = \"CN=etl\"\nservice = \"etl\"",
            &[],
            &["`identity.mtls.certificate`", "dns:etl.example.org"],
        ),
        ("[cache]\nresults_mib = 1", &[], &["`cache.results_mib`"]),
        ("[state]\nurl = \"postgres://h/d\"", &[], &["`state.url`", "SQLite only"]),
        ("[state]\nurl = \"/var/x\"", &[], &["`state.url`", "sqlite:///"]),
        ("[engine]\nthreads = \"many\"", &[], &["meshgate.toml:2:11", "invalid type"]),
        ("[engine]\nthreads = 0", &[], &["`engine.threads`", "above 0"]),
        ("[engine]\nsql_depth_max = 61", &[], &["`engine.sql_depth_max` cannot be 61", "at most 60"]),
        ("[engine]\nsql_bytes_max = 0", &[], &["`engine.sql_bytes_max`", "above 0"]),
        ("[engine]\ndeadline_s_default = 7200", &[], &["longer than"]),
        ("[flight]\nlisten = \"localhost\"", &[], &["`flight.listen`", "port"]),
        ("[audit]\nanchor_every_s = 5", &[], &["`audit.anchor_every_s`", "`audit.anchor_dir`"]),
        ("[audit]\nanchor_dir = \"/a\"\nanchor_every_s = 0", &[], &["`audit.anchor_every_s`", "above 0"]),
        ("[audit]\nanchor_dir = \"/a\"\nfsync = false", &[], &["`audit.anchor_dir`", "`audit.fsync = false`"]),
        ("[audit]\nanchor_dir = \"/s/audit\"", &[], &["`audit.anchor_dir`", "another machine"]),
        ("a = [", &[], &["meshgate.toml:1:"]),
        ("[credentials.lake]\ntype = \"gcs\"", &[], &["`gcs`", "does not read gcs"]),
        ("[credentials.lake]\nregion = \"x\"", &[], &["no `type`"]),
        ("[credentials.lake]\ntype = \"s3\"\nsecret_kye = \"x\"", &[], &["`credentials.lake.secret_key`?"]),
        ("[credentials.lake]\ntype = \"s3\"\nsecret_key = \"x\"", &[], &["only one of"]),
        ("[credentials.c]\ntype = \"s3\"\ntoken = \"x\"", &[], &["`credentials.c.token` is not for the type `s3`"]),
        (
            "[credentials.c]\ntype = \"iceberg-rest\"\nregion = \"x\"",
            &[],
            &["region` is not for the type `iceberg-rest`"],
        ),
        ("[credentials.c]\ntype = \"iceberg-rest\"\nclient_id = \"x\"", &[], &["only one of"]),
        (
            "[credentials.c]\ntype = \"iceberg-rest\"\nclient_id = \"x\"\nclient_secret = \"y\"\ntoken = \"z\"",
            &[],
            &["both `token` and `client_id`"],
        ),
        ("[credentials.c]\ntype = \"iceberg-rest\"\ntoken = \"x\"\nscope = \"y\"", &[], &["without `client_id`"]),
        (
            "[credentials.lake]\ntype = \"s3\"\naccess_key = \"env:NO_SUCH_VARIABLE_HERE\"",
            &[],
            &["credentials.lake.access_key", "NO_SUCH_VARIABLE_HERE"],
        ),
        ("", &[("MESHGATE_ENGINE__THREDS", "1")], &["MESHGATE_ENGINE__THREDS", "`engine.threads`?"]),
        ("", &[("MESHGATE_ENGINE__THREADS", "many")], &["MESHGATE_ENGINE__THREADS", "invalid type"]),
    ];
    for (text, environment, expected) in cases {
        let state = if text.contains("[state]") { Overrides::default() } else { at("/s") };
        let trouble = load(text, environment, &state).map(|_| ()).expect_err(text);
        assert_eq!(trouble.exit(), Exit::Config, "{text}");
        let said = trouble.to_string();
        for part in *expected {
            assert!(said.contains(part), "{text}\n{said}\nlacks {part}");
        }
    }
}

#[test]
fn secrets_are_fetched_and_never_shown() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("key");
    std::fs::write(&file, "hunter2\n").expect("a file");
    let text =
        format!("[credentials.l]\ntype = \"s3\"\naccess_key = \"hunter1\"\nsecret_key = \"file:{}\"\n", file.display());
    let config = load(&text, &[], &at("/s")).expect("a good configuration");
    let Credentials::S3(s3) = &config.credentials["l"] else { panic!("another kind") };
    assert_eq!(s3.secret_key.as_ref().map(|key| key.expose()), Some("hunter2"));
    assert!(!format!("{config:?}").contains("hunter"));
}

#[test]
fn a_catalog_is_signed_in_to() {
    let text = "[credentials.c]\ntype = \"iceberg-rest\"\nclient_id = \"hunter1\"\nclient_secret = \"hunter2\"\n\
                oauth2_server_uri = \"https://login.example/token\"\nvended_credentials = false\n\
                [credentials.c.headers]\nX-Project = \"hunter3\"\n\
                [credentials.t]\ntype = \"iceberg-rest\"\ntoken = \"hunter4\"";
    let config = load(text, &[], &at("/s")).expect("a good configuration");
    assert!(!format!("{config:?}").contains("hunter"));
    let Credentials::Catalog(client) = &config.credentials["c"] else { panic!("another kind") };
    let Some(CatalogLogin::Client { id, secret, scope, server }) = &client.login else { panic!("another login") };
    assert_eq!((id.expose(), secret.expose(), scope.as_str()), ("hunter1", "hunter2", "catalog"));
    assert_eq!(server.as_deref(), Some("https://login.example/token"));
    assert!(!client.vended && !client.allow_http);
    assert!(client.headers.iter().map(|(name, value)| (name.as_str(), value.expose())).eq([("X-Project", "hunter3")]));
    let Credentials::Catalog(token) = &config.credentials["t"] else { panic!("another kind") };
    assert!(matches!(&token.login, Some(CatalogLogin::Token(token)) if token.expose() == "hunter4") && token.vended);
}

#[test]
fn a_sqlite_url_names_the_state_directory() {
    let text = "[state]\nurl = \"sqlite:///var/lib/mg/state.db\"";
    let config = load(text, &[], &Overrides::default()).expect("a good configuration");
    assert_eq!(config.state.file, PathBuf::from("/var/lib/mg/state.db"));
    assert_eq!(config.audit.dir, PathBuf::from("/var/lib/mg/audit"));
}
