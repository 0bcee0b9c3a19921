//! What may stand on the command line.
//!
//! Names here are stable: scripts rely on them. What the words mean is decided in [`crate::command`].

mod values;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use values::{Attribute, Ttl};

/// The governed gate of the open lakehouse: one SQL door to data products kept as Delta and Iceberg tables.
#[derive(Debug, Parser)]
#[command(name = "meshgate", version, max_term_width = 110)]
pub(crate) struct Arguments {
    /// How the log on stderr is written [default: text]
    #[arg(long, global = true, value_name = "text|json")]
    pub(crate) log_format: Option<LogFormat>,
    /// What is logged, such as `info,meshgate_gateway=debug` [default: RUST_LOG, or info for servers]
    #[arg(long, global = true, value_name = "FILTER")]
    pub(crate) log_filter: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a small mesh of three domains, serve it to three ready users, and print how to connect
    Demo(Demo),
    /// Serve a mesh directory
    Serve(Serve),
    /// Validate a mesh directory: exit code 0 if it is valid, 1 if there are errors
    Check(Check),
    /// Run SQL on a gateway: a statement, a script from a pipe, or interactively
    Sql(Sql),
    /// Make, list and revoke tokens
    #[command(subcommand)]
    Token(Token),
    /// Add users who log in with a password
    #[command(subcommand)]
    User(User),
    /// Say what a principal may see, and why
    #[command(subcommand)]
    Access(Access),
    /// Test policies, and compare two meshes
    #[command(subcommand)]
    Policy(Policy),
    /// Verify the audit trail
    #[command(subcommand)]
    Audit(Audit),
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Where the demo keeps its mesh and its state; used again if it is there already [default: in the user's data
    /// directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// How much TPC-H data: 1 is 8.7 million rows
    #[arg(long, value_name = "FACTOR", default_value_t = 0.1)]
    pub(crate) scale: f64,
    #[command(flatten)]
    pub(crate) listen: Listen,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The mesh directory, the one with mesh.yaml
    #[arg(long, value_name = "DIR", env = "MESHGATE_MESH")]
    pub(crate) mesh: PathBuf,
    /// The gateway's own configuration
    #[arg(long, value_name = "FILE", env = "MESHGATE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) state: StateDir,
    #[command(flatten)]
    pub(crate) listen: Listen,
}

/// Where a gateway listens, and where it says that it does.
#[derive(Debug, Args, Default)]
pub(crate) struct Listen {
    /// The Flight SQL address; port 0 picks a free one [default: 127.0.0.1:31337]
    #[arg(long, value_name = "ADDR")]
    pub(crate) flight_listen: Option<SocketAddr>,
    /// The HTTP address; port 0 picks a free one [default: 127.0.0.1:31338]
    #[arg(long, value_name = "ADDR")]
    pub(crate) http_listen: Option<SocketAddr>,
    /// Written once both ports answer: JSON with addresses, pid and epoch
    #[arg(long, value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,
}

#[derive(Debug, Args, Default)]
pub(crate) struct StateDir {
    /// The gateway's state: tokens, users, secrets, audit trail [default: in the user's state directory]
    #[arg(long, value_name = "DIR", env = "MESHGATE_STATE")]
    pub(crate) state: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The mesh directory, the one with mesh.yaml
    #[arg(value_name = "MESH_DIR")]
    pub(crate) mesh: PathBuf,
    /// How findings are printed
    #[arg(long, value_enum, default_value_t = Report::Text)]
    pub(crate) format: Report,
}

#[derive(Debug, Args)]
pub(crate) struct Sql {
    /// The gateway
    #[arg(long, value_name = "URL", env = "MESHGATE_URL", default_value = "grpc://127.0.0.1:31337")]
    pub(crate) url: String,
    /// For a grpc+tls:// gateway, a PEM file with the authority that signed its certificate [default: the system's
    /// authorities]
    #[arg(long, value_name = "FILE", env = "MESHGATE_TLS_CA")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// A gateway token
    #[arg(long, value_name = "TOKEN", env = "MESHGATE_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// A user's name; counts before a token
    #[arg(long, value_name = "NAME", env = "MESHGATE_USER")]
    pub(crate) user: Option<String>,
    /// The user's password; asked for on a terminal if absent
    #[arg(long, value_name = "PASSWORD", env = "MESHGATE_PASSWORD", hide_env_values = true)]
    pub(crate) password: Option<String>,
    /// How rows are printed
    #[arg(long, value_enum, default_value_t = Rows::Table)]
    pub(crate) format: Rows,
    /// One or several statements; without any they are read from a pipe, or the terminal becomes interactive
    #[arg(value_name = "SQL")]
    pub(crate) statements: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Make a token and print it, once and only it
    Create(TokenCreate),
    /// List tokens (never the tokens themselves)
    List(TokenList),
    /// Revoke a token at once and for good
    Revoke(TokenRevoke),
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("whose").required(true).args(["user", "service"])))]
pub(crate) struct TokenCreate {
    #[command(flatten)]
    pub(crate) state: StateDir,
    /// A token for this user
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// A token for this service
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<String>,
    #[command(flatten)]
    pub(crate) carries: Carries,
    /// How long it is valid: 90s, 15m, 12h, 30d, 8w [default: for ever]
    #[arg(long, value_name = "TIME")]
    pub(crate) ttl: Option<Ttl>,
}

/// Groups and attributes of a principal.
#[derive(Debug, Args, Default)]
pub(crate) struct Carries {
    /// A group; repeat for several
    #[arg(long = "group", value_name = "NAME")]
    pub(crate) groups: Vec<String>,
    /// An attribute; repeat for several, and for the elements of a set
    #[arg(long = "attribute", value_name = "NAME=VALUE")]
    pub(crate) attributes: Vec<Attribute>,
}

#[derive(Debug, Args)]
pub(crate) struct TokenList {
    #[command(flatten)]
    pub(crate) state: StateDir,
    /// How the list is printed
    #[arg(long, value_enum, default_value_t = Report::Text)]
    pub(crate) format: Report,
}

#[derive(Debug, Args)]
pub(crate) struct TokenRevoke {
    #[command(flatten)]
    pub(crate) state: StateDir,
    /// The id that `token list` shows, or enough of its first digits
    #[arg(value_name = "ID")]
    pub(crate) id: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// Add a user; the password is asked for on the terminal
    Add(UserAdd),
}

#[derive(Debug, Args)]
pub(crate) struct UserAdd {
    #[command(flatten)]
    pub(crate) state: StateDir,
    /// The user's name
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) carries: Carries,
    /// Read the password from the first line of stdin
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Access {
    /// Print the row filter and the verdict on each column, with the policies that decided
    Explain(AccessExplain),
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("who").required(true).args(["user", "service", "token"])))]
pub(crate) struct AccessExplain {
    /// The mesh directory, the one with mesh.yaml
    #[arg(long, value_name = "DIR", env = "MESHGATE_MESH")]
    pub(crate) mesh: PathBuf,
    #[command(flatten)]
    pub(crate) state: StateDir,
    /// As this user, who needs not exist
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// As this service, which needs not exist
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<String>,
    /// As the holder of this token of the state
    #[arg(long, value_name = "TOKEN", conflicts_with_all = ["groups", "attributes"])]
    pub(crate) token: Option<String>,
    #[command(flatten)]
    pub(crate) carries: Carries,
    /// With this purpose declared
    #[arg(long, value_name = "PURPOSE")]
    pub(crate) purpose: Option<String>,
    /// How the answer is printed
    #[arg(long, value_enum, default_value_t = Report::Text)]
    pub(crate) format: Report,
    /// The table: domain.product.table
    #[arg(value_name = "TABLE")]
    pub(crate) table: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Run the mesh's own policy tests, policies/tests/*.yaml of every scope
    Test(PolicyTest),
    /// List who gains or loses what between two meshes
    Diff(PolicyDiff),
}

#[derive(Debug, Args)]
pub(crate) struct PolicyTest {
    /// The mesh directory, the one with mesh.yaml
    #[arg(value_name = "MESH_DIR")]
    pub(crate) mesh: PathBuf,
    /// How results are printed
    #[arg(long, value_enum, default_value_t = Report::Text)]
    pub(crate) format: Report,
}

#[derive(Debug, Args)]
pub(crate) struct PolicyDiff {
    /// The mesh as it was
    #[arg(value_name = "OLD_DIR")]
    pub(crate) old: PathBuf,
    /// The mesh as it is to be
    #[arg(value_name = "NEW_DIR")]
    pub(crate) new: PathBuf,
    /// How changes are printed
    #[arg(long, value_enum, default_value_t = Report::Text)]
    pub(crate) format: Report,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Check the hash chain of all records, and its anchors: finds edits, deletions and truncation
    Verify(AuditVerify),
}

#[derive(Debug, Args)]
pub(crate) struct AuditVerify {
    #[command(flatten)]
    pub(crate) state: StateDir,
    /// The trail's directory, if it is not the one in the state directory
    #[arg(long, value_name = "DIR", env = "MESHGATE_AUDIT__DIR", hide_env = true)]
    pub(crate) dir: Option<PathBuf>,
    /// The directory with the trail's anchors (`audit.anchor_dir`): finds a trail that was set back or rewritten, too
    #[arg(long, value_name = "DIR", env = "MESHGATE_AUDIT__ANCHOR_DIR", hide_env = true)]
    pub(crate) anchors: Option<PathBuf>,
    /// The key that checks anchors, if it is not the one in the state directory (audit-anchor.pub): keep a copy of that
    /// where nobody can change it
    #[arg(long, value_name = "FILE", requires = "anchors")]
    pub(crate) public_key: Option<PathBuf>,
}

/// How a command reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Report {
    /// For people
    Text,
    /// For scripts
    Json,
}

/// How rows are printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Rows {
    /// Aligned columns
    Table,
    /// RFC 4180 with a header line
    Csv,
    /// One array of objects
    Json,
    /// An Arrow IPC stream
    Arrow,
}

/// How log lines are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// For collectors
    Json,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::{Arguments, Command, Token};

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_documented_line_is_accepted() {
        for line in [
            "demo --dir d --scale 0.01 --flight-listen 127.0.0.1:0 --http-listen 127.0.0.1:0 --ready-file r",
            "serve --mesh m --config c --state s --flight-listen 127.0.0.1:0 --http-listen [::1]:0 --ready-file r",
            "check m --format json",
            "sql --url grpc://h:1 --token t --format arrow select",
            "sql --user u --password p",
            "sql --url grpc+tls://h:1 --tls-ca f --token t select",
            "token create --state s --user ana --group a --group b --attribute k=v --attribute k=w --ttl 30d",
            "token create --state s --service etl",
            "token list --state s --format json",
            "token revoke --state s 0123abcd",
            "user add --state s ana --group a --attribute k=v --password-stdin",
            "access explain --mesh m --user u --group g --attribute k=v --purpose p --format json d.p.t",
            "access explain --mesh m --state s --token t d.p.t",
            "policy test m",
            "policy diff a b --format json",
            "audit verify --state s",
            "audit verify --state s --dir d --anchors a --public-key k",
            "--log-format json --log-filter debug audit verify --state s",
            "serve --mesh m --log-format json",
        ] {
            let words = std::iter::once("meshgate").chain(line.split(' '));
            Arguments::try_parse_from(words).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn contradictions_are_usage_errors() {
        for line in [
            "",
            "token create --state s",
            "token create --state s --user a --service b",
            "token create --state s --user a --ttl soon",
            "token create --state s --user a --attribute nonsense",
            "access explain --mesh m d.p.t",
            "access explain --mesh m --token t --group g d.p.t",
            "serve --mesh m --flight-listen nowhere",
            "check m --format xml",
        ] {
            let words = std::iter::once("meshgate").chain(line.split_whitespace());
            let error = Arguments::try_parse_from(words).map(|_| ()).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn repeated_attributes_are_kept_apart() {
        let line = ["meshgate", "token", "create", "--user", "ana", "--attribute", "c=DE", "--attribute", "c=a=b"];
        let Command::Token(Token::Create(create)) = Arguments::parse_from(line).command else {
            panic!("another command")
        };
        let pairs: Vec<_> = create.carries.attributes.iter().map(|a| (a.name.as_str(), a.value.as_str())).collect();
        assert_eq!(pairs, [("c", "DE"), ("c", "a=b")]);
    }
}
