//! A listener with the Flight, health and reflection services, from start to drained.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use meshgate_gateway::{Gateway, Readiness};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tonic::server::NamedService;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::connection::{TlsConfigs, connections};
use crate::{Error, FlightServer, Settings, reflection};

/// JDBC drivers send unknown connection properties as headers on every call.
const HEADER_LIST_BYTES_MAX: u32 = 64 * 1024;
const STREAMS_PER_CONNECTION_MAX: u32 = 1024;
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the health service looks at the gateway.
const HEALTH_INTERVAL: Duration = Duration::from_millis(500);
/// Given to stopped streams to tell their clients so.
const GOODBYE: Duration = Duration::from_secs(2);

/// Serves until the shutdown, then drains: health says NOT_SERVING, no new calls, running streams go on for
/// `Settings::drain_s` and are cancelled then. TLS is spoken on each new connection as the watched value says then; without
/// one it is not spoken at all.
pub async fn serve(
    listener: TcpListener,
    gateway: Arc<Gateway>,
    settings: Settings,
    tls: TlsConfigs,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), Error> {
    let drain = Duration::from_secs(u64::from(settings.drain_s));
    let (stop_streams, streams_stop) = watch::channel(false);
    let flight = FlightServer::new(gateway.clone(), settings, streams_stop)?;
    let closed = {
        let flight = flight.clone();
        Arc::new(move |connection| flight.connection_closed(connection))
    };
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<FlightServiceServer<FlightServer>>().await;
    let mut watching = JoinSet::new();
    watching.spawn(watch_health(gateway, health.clone()));

    let mut server = Server::builder()
        .http2_max_header_list_size(HEADER_LIST_BYTES_MAX)
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT));
    let (begin_drain, drain_begins) = oneshot::channel::<()>();
    let services = server
        .add_service(flight.into_service())
        .add_service(health_service)
        .add_service(reflection::builder().build_v1()?)
        .add_service(reflection::builder().build_v1alpha()?);
    let serving = services.serve_with_incoming_shutdown(connections(listener, tls, closed), async {
        // An error says that the other end is gone, which means the same.
        drain_begins.await.ok();
    });
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => return Ok(ended?),
        () = shutdown => {}
    }
    watching.shutdown().await;
    tell(&health, ServingStatus::NotServing).await;
    begin_drain.send(()).ok();
    if let Ok(ended) = tokio::time::timeout(drain, &mut serving).await {
        return Ok(ended?);
    }
    stop_streams.send_replace(true);
    // Clients that stay connected without a stream are not waited for any longer.
    tokio::time::timeout(GOODBYE, serving).await.unwrap_or(Ok(()))?;
    Ok(())
}

/// Says at every moment whether new work can be done.
async fn watch_health(gateway: Arc<Gateway>, health: HealthReporter) {
    let mut every = tokio::time::interval(HEALTH_INTERVAL);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = Readiness::Ready;
    loop {
        every.tick().await;
        let now = gateway.readiness();
        if now != told {
            let status = match now {
                Readiness::Ready | Readiness::Unanchored => ServingStatus::Serving,
                Readiness::Unrecorded | Readiness::Draining => ServingStatus::NotServing,
            };
            tell(&health, status).await;
            told = now;
        }
    }
}

async fn tell(health: &HealthReporter, status: ServingStatus) {
    health.set_service_status(<FlightServiceServer<FlightServer> as NamedService>::NAME, status).await;
    health.set_service_status("", status).await;
}
