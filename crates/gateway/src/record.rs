//! The record of one query, as a typestate: each step consumes the one before and takes that step's own result. A step
//! that fails closes the record with its reason; a stream that is dropped says that the client went away.

use std::sync::Arc;
use std::time::Duration;

use meshgate_engine::Plan;
use meshgate_ledger::{Client, Denial, End, Intent, Ledger, MaskUse, Outcome, TableUse, Who};
use meshgate_model::{Clock, Epoch, Failure, Fault, Instant, QueryId, mutant};

use crate::{Caller, Error};

/// A statement that somebody asked for.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) id: QueryId,
    pub(crate) caller: Caller,
    pub(crate) statement: String,
    pub(crate) purpose: Option<String>,
}

/// A statement whose intent is on disk: rows may leave.
pub(crate) struct Intended(Metered);

/// A running query: counts what leaves, and writes the outcome when it ends, however it ends.
pub(crate) struct Metered {
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    id: QueryId,
    started: Instant,
    rows: u64,
    bytes: u64,
    end: Option<End>,
}

impl Asked {
    /// Passes a step's result on; a failure is recorded with its reason, and says under which id.
    pub(crate) fn step<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &result
            && !mutant("a denial is not written")
        {
            tracing::info!(query = %self.id, principal = self.caller.name(), %error, "refused");
            self.ledger.append_lazy(Denial {
                query: Some(self.id),
                principal: Some(Who::from(&*self.caller.principal)),
                client: Client::from(&self.caller.client),
                statement: Some(self.statement.clone()),
                fault: error.fault(),
                reason: error.to_string(),
                times: 1,
            });
        }
        result.map_err(|error| Error::InQuery { id: self.id, source: Box::new(error) })
    }

    /// Writes the intent and waits until it is on disk, but no longer than the query may take. If it cannot be written, the
    /// query does not run.
    pub(crate) async fn intended(self, epoch: Epoch, plan: &Plan, deadline_s: u32) -> Result<Intended, Error> {
        let tables = plan.touched().iter().map(|lineage| TableUse {
            table: lineage.table.to_string(),
            version: lineage.product_version.clone(),
            snapshot: Some(lineage.snapshot.clone()),
            policies: lineage.policies.iter().map(ToString::to_string).collect(),
            filters: lineage.filters.iter().map(ToString::to_string).collect(),
            masks: lineage
                .masked
                .iter()
                .map(|(column, mask)| MaskUse { column: column.clone(), mask: mask.clone() })
                .collect(),
        });
        let intent = Intent {
            query: self.id,
            principal: Who::from(&*self.caller.principal),
            client: Client::from(&self.caller.client),
            statement: self.statement,
            purpose: self.purpose,
            epoch,
            tables: tables.collect(),
        };
        let started = self.clock.now();
        let ledger = self.ledger.clone();
        // From here on the record closes however this ends: with a client that leaves while the disk is slow, too.
        let mut metered =
            Metered { ledger: self.ledger, clock: self.clock, id: self.id, started, rows: 0, bytes: 0, end: None };
        if !mutant("an intent is not written") {
            let written = ledger.append(intent);
            match tokio::time::timeout(Duration::from_secs(deadline_s.into()), written).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => {
                    metered.never_was();
                    return Err(Error::below(error));
                }
                Err(_) => {
                    // It may still come to stand in the trail.
                    metered.finish(End::Failed { fault: Fault::DeadlineExceeded });
                    return Err(Error::below(meshgate_engine::Error::DeadlineExceeded { seconds: deadline_s }));
                }
            }
        }
        Ok(Intended(metered))
    }
}

impl Intended {
    /// From now on the outcome is written, however the query ends.
    pub(crate) fn metered(self) -> Metered {
        self.0
    }
}

impl Metered {
    /// Counts a batch that leaves.
    pub(crate) fn count(&mut self, rows: usize, bytes: usize) {
        self.rows += rows as u64;
        self.bytes += bytes as u64;
    }

    /// The end, once it is known.
    pub(crate) fn finish(&mut self, end: End) {
        if self.end.is_some() {
            return;
        }
        self.end = Some(end);
        let duration_ms = self.clock.now().millis().saturating_sub(self.started.millis()).max(0).unsigned_abs();
        self.ledger.append_lazy(Outcome { query: self.id, rows: self.rows, bytes: self.bytes, duration_ms, end });
    }

    /// There is no intent that an outcome could close.
    fn never_was(&mut self) {
        self.end = Some(End::Cancelled);
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        self.finish(End::Cancelled);
    }
}
