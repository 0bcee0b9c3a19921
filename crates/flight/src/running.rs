//! Queries that are being streamed, so that they can be stopped: by their owner, or because the gateway stops.

use std::collections::HashMap;
use std::sync::Arc;

use meshgate_model::{Fingerprint, QueryId};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

/// All running streams.
#[derive(Debug)]
pub(crate) struct Running {
    streams: Arc<Mutex<Streams>>,
    gateway_stops: watch::Receiver<bool>,
}

type Streams = HashMap<QueryId, Vec<(Fingerprint, Arc<Notify>)>>;

/// One stream's end of it; dropping it takes the stream off the list.
#[derive(Debug)]
pub(crate) struct Stop {
    id: QueryId,
    asked: Arc<Notify>,
    gateway_stops: watch::Receiver<bool>,
    streams: Arc<Mutex<Streams>>,
}

impl Running {
    /// Streams end once the watched value is true.
    pub(crate) fn new(gateway_stops: watch::Receiver<bool>) -> Self {
        Self { streams: Arc::default(), gateway_stops }
    }

    /// Lists a stream. A query that is redeemed twice has two.
    pub(crate) fn begin(&self, id: QueryId, owner: Fingerprint) -> Stop {
        let asked = Arc::new(Notify::new());
        self.streams.lock().entry(id).or_default().push((owner, asked.clone()));
        Stop { id, asked, gateway_stops: self.gateway_stops.clone(), streams: self.streams.clone() }
    }

    /// Stops the owner's streams of a query; says whether there were any.
    pub(crate) fn cancel(&self, id: QueryId, owner: Fingerprint) -> bool {
        let streams = self.streams.lock();
        let of_owner = streams.get(&id).into_iter().flatten().filter(|stream| stream.0 == owner);
        of_owner.map(|(_, asked)| asked.notify_one()).count() > 0
    }
}

impl Stop {
    /// The query.
    pub(crate) fn id(&self) -> QueryId {
        self.id
    }

    /// Waits until the stream has to stop, and says why.
    pub(crate) async fn stopped(&self) -> &'static str {
        let mut gateway_stops = self.gateway_stops.clone();
        let gateway = async {
            if gateway_stops.wait_for(|stops| *stops).await.is_err() {
                // Nobody can stop the gateway any more, so nobody will.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = self.asked.notified() => "the query was cancelled",
            () = gateway => "the gateway shut down while the query ran",
        }
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        let mut streams = self.streams.lock();
        if let Some(of_query) = streams.get_mut(&self.id) {
            of_query.retain(|(_, asked)| !Arc::ptr_eq(asked, &self.asked));
            if of_query.is_empty() {
                streams.remove(&self.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use meshgate_model::{Fingerprint, QueryId};
    use tokio::sync::watch;

    use super::Running;

    const ANA: Fingerprint = Fingerprint([1; 32]);
    const BEN: Fingerprint = Fingerprint([2; 32]);

    #[tokio::test]
    async fn the_owner_or_the_gateway_stops_a_stream() {
        let (stop_all, stops) = watch::channel(false);
        let running = Running::new(stops);
        let first = running.begin(QueryId(1), ANA);
        let again = running.begin(QueryId(1), ANA);
        let other = running.begin(QueryId(2), ANA);
        assert!(!running.cancel(QueryId(1), BEN));
        assert!(running.cancel(QueryId(1), ANA));
        assert_eq!(first.stopped().await, "the query was cancelled");
        assert_eq!(again.stopped().await, "the query was cancelled");
        stop_all.send(true).expect("watched");
        assert_eq!(other.stopped().await, "the gateway shut down while the query ran");
        drop((first, again));
        assert!(!running.cancel(QueryId(1), ANA), "gone");
        assert_eq!(running.streams.lock().len(), 1);
    }
}
