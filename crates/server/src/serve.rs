//! `meshgate serve`: from a configuration to a running gateway, until it is told to stop.

mod anchors;
mod certificates;
mod fetch;
mod listen;
mod ready;
mod signals;
mod wiring;

use std::net::SocketAddr;
use std::path::Path;

use meshgate_model::Epoch;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::args;
use crate::config::{Config, Overrides};
use crate::logging as log;
use crate::trouble::{Outcome, Trouble};
use signals::Signal;

/// A gateway that answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Served {
    pub(crate) flight: SocketAddr,
    pub(crate) http: SocketAddr,
    /// Whether the Flight port speaks TLS; the HTTP port never does.
    pub(crate) tls: bool,
    pub(crate) epoch: Epoch,
}

impl Served {
    /// What Flight SQL clients are given.
    pub(crate) fn flight_url(&self) -> String {
        format!("{}://{}", if self.tls { "grpc+tls" } else { "grpc" }, self.flight)
    }
}

/// Runs the command.
pub(crate) fn command(arguments: args::Serve, log: Overrides) -> Outcome {
    let overrides = Overrides {
        flight_listen: arguments.listen.flight_listen,
        http_listen: arguments.listen.http_listen,
        state: arguments.state.state,
        ..log
    };
    let config = Config::load(arguments.config.as_deref(), &overrides)?;
    // The Delta library tells of every refresh of every table.
    logging(&config, "info,buoyant_kernel=warn,buoyant_kernel_engine=warn,deltalake_core=warn")?;
    run(config, &arguments.mesh, arguments.listen.ready_file.as_deref(), |served| {
        tracing::info!(flight = %served.flight_url(), http = %served.http, epoch = %served.epoch, "serving");
        Ok(())
    })
}

/// Starts the log as the configuration says.
pub(crate) fn logging(config: &Config, usual: &str) -> Outcome {
    log::start(config.log.format, config.log.filter.as_deref(), usual)
}

/// Runs something on a runtime of its own.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> Outcome<T> {
    Ok(runtime()?.block_on(future))
}

fn runtime() -> Outcome<Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("meshgate-wire")
        // Statements are read and freed here: deep ones need room (`sql_operators_max`).
        .thread_stack_size(64 << 20)
        .build();
    runtime.map_err(|error| Trouble::failure("no threads can be started").because(&error))
}

/// Serves a mesh until a signal says to stop, then drains. `ready` is called once both ports answer.
pub(crate) fn run(
    config: Config,
    mesh: &Path,
    ready_file: Option<&Path>,
    ready: impl FnOnce(&Served) -> Outcome,
) -> Outcome {
    crate::mesh::exists(mesh)?;
    // One that an earlier run left would tell of ports that nobody listens on.
    ready_file.map(ready::remove).transpose()?;
    runtime()?.block_on(async {
        // From now on no signal is lost.
        let mut signals = signals::Signals::listen()?;
        let wired = wiring::wire(&config, mesh).await?;
        let flight = listen::bind("flight", config.flight.listen).await?;
        let http = listen::bind("http", config.http.listen).await?;
        let (stop, _) = watch::channel(false);
        let mut wires = JoinSet::new();
        let tls = config.flight.tls.is_some();
        let served = Served { flight: flight.address, http: http.address, tls, epoch: wired.epoch() };
        wires.spawn(wired.serve_flight(flight.listener, stop.subscribe()));
        wires.spawn(wired.serve_http(http.listener, stop.subscribe()));
        listen::answers(&served).await?;
        ready(&served)?;
        if let Some(file) = ready_file {
            ready::write(file, &served)?;
        }
        let stopped = until_stopped(&mut signals, &mut wires, &wired).await;
        tracing::info!("draining");
        wired.drain();
        // Nobody listens if both wires have ended already.
        stop.send_replace(true);
        let ended = drained(&mut wires, &mut signals).await;
        wired.close().await;
        tracing::info!("stopped");
        stopped.and(ended)
    })
}

/// Waits for the signal to stop, reloading meanwhile when asked to. A wire that ends unasked is a failure.
async fn until_stopped(signals: &mut signals::Signals, wires: &mut JoinSet<Outcome>, wired: &wiring::Wired) -> Outcome {
    loop {
        tokio::select! {
            signal = signals.next() => match signal {
                Signal::Stop => return Ok(()),
                Signal::Reload => wired.reload().await,
            },
            Some(ended) = wires.join_next() => {
                let why = Trouble::failure("a listener stopped by itself");
                return Err(match ended {
                    Ok(Ok(())) => why,
                    Ok(Err(trouble)) => trouble,
                    Err(error) => why.because(&error),
                });
            }
        }
    }
}

/// Waits for both wires. A second signal ends the waiting.
async fn drained(wires: &mut JoinSet<Outcome>, signals: &mut signals::Signals) -> Outcome {
    let mut outcome = Ok(());
    loop {
        tokio::select! {
            ended = wires.join_next() => match ended {
                None => return outcome,
                Some(Ok(ended)) => outcome = outcome.and(ended),
                Some(Err(error)) => {
                    outcome = outcome.and(Err(Trouble::failure("a listener died").because(&error)));
                }
            },
            signal = signals.next() => if signal == Signal::Stop {
                wires.abort_all();
                return outcome;
            },
        }
    }
}
