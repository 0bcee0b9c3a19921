//! The operator's log: on stderr, as text or JSON.

use tracing_subscriber::EnvFilter;

use crate::args::LogFormat;
use crate::output;
use crate::trouble::{Outcome, Trouble};

/// Starts the log. `filter` is what the operator asked for, `usual` what the command logs unasked.
pub(crate) fn start(format: LogFormat, filter: Option<&str>, usual: &str) -> Outcome {
    let asked = filter.map(str::to_owned).or_else(|| std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty()));
    let filter = EnvFilter::try_new(asked.as_deref().unwrap_or(usual)).map_err(|error| {
        Trouble::config(format!("the log filter `{}` cannot be read", asked.unwrap_or_default()))
            .because(&error)
            .hint("write it like `info,meshgate_gateway=debug`")
    })?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => log.with_ansi(output::stderr_is_terminal()).try_init(),
        LogFormat::Json => log.json().try_init(),
    };
    started.map_err(|error| Trouble::failure("the log cannot be started").because(error.as_ref()))
}
