//! HTTP: whether the gateway lives and takes work. Queries go over Flight SQL (`flight`).
//!
//! * [`serve`]: a listener with `/healthz` and `/readyz` ([`ROUTES`]) until the shutdown.
//! * [`Error`]: the listener failed.

use std::future::{Future, IntoFuture};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use meshgate_gateway::{Gateway, Readiness};
use meshgate_model::{Failure, Fault, PublicText};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Why HTTP is not served any more.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The listener failed.
    #[error("the HTTP listener failed")]
    Listener(#[source] std::io::Error),
}

impl Failure for Error {
    fn fault(&self) -> Fault {
        match self {
            Self::Listener(_) => Fault::Internal,
        }
    }

    fn public(&self) -> PublicText {
        PublicText::internal()
    }
}

/// What is answered; everything else is 404.
pub const ROUTES: [&str; 2] = [HEALTH, READY];

const HEALTH: &str = "/healthz";
const READY: &str = "/readyz";
/// Given to requests that are being answered when the gateway stops. A client that never ends its request is not waited
/// for any longer.
const GOODBYE: Duration = Duration::from_secs(5);

/// Serves until the shutdown, then finishes the requests that are being answered.
pub async fn serve(
    listener: TcpListener,
    gateway: Arc<Gateway>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let (end, ends) = oneshot::channel::<()>();
    let graceful = async {
        // An error says that the other end is gone, which means the same.
        ends.await.ok();
    };
    let serving = axum::serve(listener, routes(gateway)).with_graceful_shutdown(graceful).into_future();
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => return ended.map_err(Error::Listener),
        () = shutdown => {}
    }
    end.send(()).ok();
    tokio::time::timeout(GOODBYE, serving).await.unwrap_or(Ok(())).map_err(Error::Listener)
}

fn routes(gateway: Arc<Gateway>) -> Router {
    Router::new().route(HEALTH, get(alive)).route(READY, get(ready)).with_state(gateway)
}

/// The process answers.
async fn alive() -> &'static str {
    "ok\n"
}

/// The gateway takes new work: there is a release, its audit trail can be written, and it is not draining.
async fn ready(State(gateway): State<Arc<Gateway>>) -> (StatusCode, &'static str) {
    answer(gateway.readiness())
}

fn answer(readiness: Readiness) -> (StatusCode, &'static str) {
    match readiness {
        Readiness::Ready => (StatusCode::OK, "ready\n"),
        Readiness::Unanchored => (StatusCode::OK, "ready, but anchors of the audit trail cannot be written\n"),
        Readiness::Unrecorded => {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready: the audit trail cannot be written, so queries are refused\n")
        }
        Readiness::Draining => (StatusCode::SERVICE_UNAVAILABLE, "not ready: the gateway is shutting down\n"),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use meshgate_gateway::Readiness;

    use super::answer;

    #[test]
    fn readiness_has_a_status() {
        assert_eq!(answer(Readiness::Ready).0, StatusCode::OK);
        assert_eq!(answer(Readiness::Unanchored).0, StatusCode::OK);
        assert_eq!(answer(Readiness::Unrecorded).0, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer(Readiness::Draining).0, StatusCode::SERVICE_UNAVAILABLE);
    }
}
