//! Queries that are being streamed, so that they can be stopped: by their owner, or because the gateway stops.

use std::collections::HashMap;
use std::sync::Arc;

use meshgate_model::{Fingerprint, QueryId};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::shelf::Shelf;
use crate::{Error, Settings};

/// Why a stream ends that its owner has cancelled.
const CANCELLED: &str = "the query was cancelled";

/// All running streams.
#[derive(Debug)]
pub(crate) struct Running {
    streams: Arc<Mutex<Streams>>,
    /// Queries whose tickets are good for nothing any more. One that is forgotten here has tickets that have expired,
    /// unless an owner cancels more queries than there is room for.
    cancelled: Shelf<()>,
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
    pub(crate) fn new(settings: &Settings, gateway_stops: watch::Receiver<bool>) -> Self {
        let cancelled = Shelf::new(settings.handles_max, settings.ticket_ttl_s, settings.clock.clone());
        Self { streams: Arc::default(), cancelled, gateway_stops }
    }

    /// Lists a stream that is about to begin. A query that is redeemed twice has two; one that was cancelled has none.
    pub(crate) fn begin(&self, id: QueryId, owner: Fingerprint) -> Result<Stop, Error> {
        let asked = Arc::new(Notify::new());
        self.streams.lock().entry(id).or_default().push((owner, asked.clone()));
        let stop = Stop { id, asked, gateway_stops: self.gateway_stops.clone(), streams: self.streams.clone() };
        self.check(id, owner).map(|()| stop)
    }

    /// Fails for a query that was cancelled.
    pub(crate) fn check(&self, id: QueryId, owner: Fingerprint) -> Result<(), Error> {
        if self.cancelled.get(owner, &id.0.to_be_bytes()).is_some() { Err(Error::Stopped(CANCELLED)) } else { Ok(()) }
    }

    /// Whether there are any of a query.
    #[cfg(test)]
    pub(crate) fn streams(&self, id: QueryId) -> bool {
        self.streams.lock().contains_key(&id)
    }

    /// Stops the owner's streams of a query, and those that would have begun later.
    pub(crate) fn cancel(&self, id: QueryId, owner: Fingerprint) {
        self.cancelled.put(owner, id.0.to_be_bytes(), ());
        let streams = self.streams.lock();
        let of_owner = streams.get(&id).into_iter().flatten().filter(|stream| stream.0 == owner);
        of_owner.for_each(|(_, asked)| asked.notify_one());
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
            () = self.asked.notified() => CANCELLED,
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
    use std::sync::Arc;
    use std::time::Duration;

    use meshgate_model::{Fingerprint, QueryId};
    use tokio::sync::watch;

    use super::Running;
    use crate::Settings;
    use crate::seal::tests::Counting;
    use crate::shelf::tests::Hand;

    const ANA: Fingerprint = Fingerprint([1; 32]);
    const BEN: Fingerprint = Fingerprint([2; 32]);

    #[tokio::test]
    async fn the_owner_or_the_gateway_stops_a_stream() {
        let (stop_all, stops) = watch::channel(false);
        let settings = Settings::new([0; 32], Arc::new(Hand::default()), Arc::new(Counting::default()));
        let running = Running::new(&settings, stops);
        let begin = |id| running.begin(QueryId(id), ANA).expect("not cancelled");
        let (first, again, other) = (begin(1), begin(1), begin(2));
        running.cancel(QueryId(2), BEN);
        running.cancel(QueryId(1), ANA);
        assert_eq!(first.stopped().await, "the query was cancelled");
        assert_eq!(again.stopped().await, "the query was cancelled");
        let still_runs = tokio::time::timeout(Duration::from_millis(50), other.stopped()).await;
        assert!(still_runs.is_err(), "it is not BEN's");
        stop_all.send(true).expect("watched");
        assert_eq!(other.stopped().await, "the gateway shut down while the query ran");
        drop((first, again));
        assert!(running.begin(QueryId(1), ANA).is_err(), "nor does it begin any more");
        assert!(running.begin(QueryId(1), BEN).is_ok(), "which is ANA's affair alone");
        assert_eq!(running.streams.lock().len(), 1);
    }
}
