//! Read-only transactions: the statements of one read the same versions of tables.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use meshgate_gateway::Snapshots;
use meshgate_model::{Entropy, Fingerprint};

use crate::seal::{Purpose, Sealer};
use crate::shelf::{Id, Shelf, fresh_id};
use crate::{Error, Settings, handle};

/// A transaction.
#[derive(Debug)]
pub(crate) struct Transaction {
    id: Id,
    snapshots: Arc<Snapshots>,
    ended: AtomicBool,
}

/// All transactions that were begun and have not ended.
#[derive(Debug)]
pub(crate) struct Transactions {
    open: Shelf<Arc<Transaction>>,
    tables_max: usize,
    entropy: Arc<dyn Entropy>,
}

impl Transactions {
    /// With the limits of the settings.
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            open: Shelf::new(settings.transactions_max, settings.transaction_ttl_s, settings.clock.clone()),
            tables_max: settings.transaction_tables_max,
            entropy: settings.entropy.clone(),
        }
    }

    /// Begins one; its sealed id.
    pub(crate) fn begin(&self, sealer: &Sealer, owner: Fingerprint) -> Bytes {
        let id = fresh_id(self.entropy.as_ref());
        let snapshots = Snapshots::new(self.tables_max);
        self.open.put(owner, id, Arc::new(Transaction { id, snapshots, ended: AtomicBool::new(false) }));
        handle::seal(sealer, Purpose::Transaction, owner, id)
    }

    /// Ends one. As nothing was written, it does not matter how.
    pub(crate) fn end(&self, sealer: &Sealer, owner: Fingerprint, sealed: &[u8]) -> Result<(), Error> {
        let id = handle::open(sealer, Purpose::Transaction, owner, sealed).ok_or(Error::NoTransaction)?;
        let ended = self.open.take(owner, &id).ok_or(Error::NoTransaction)?;
        ended.ended.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The transaction of a statement, if it has one: clients send an empty id for none.
    pub(crate) fn find(
        &self,
        sealer: &Sealer,
        owner: Fingerprint,
        sealed: Option<&Bytes>,
    ) -> Result<Option<Arc<Transaction>>, Error> {
        let Some(sealed) = sealed.filter(|sealed| !sealed.is_empty()) else { return Ok(None) };
        let id = handle::open(sealer, Purpose::Transaction, owner, sealed).ok_or(Error::NoTransaction)?;
        self.open.get(owner, &id).ok_or(Error::NoTransaction).map(Some)
    }

    /// The versions that a statement reads which was prepared in a transaction. Clients go on with such a statement after
    /// they have ended the transaction: it reads the newest then. One that was left alone for too long is an error: nobody
    /// said that its versions do not matter any more.
    pub(crate) fn snapshots(
        &self,
        owner: Fingerprint,
        transaction: Option<&Arc<Transaction>>,
    ) -> Result<Option<Arc<Snapshots>>, Error> {
        match transaction {
            Some(transaction) if !transaction.ended.load(Ordering::Relaxed) => {
                let open = self.open.get(owner, &transaction.id).ok_or(Error::NoTransaction)?;
                Ok(Some(open.snapshots.clone()))
            }
            _ => Ok(None),
        }
    }
}

impl Transaction {
    /// What its statements have read.
    pub(crate) fn snapshots(&self) -> Arc<Snapshots> {
        self.snapshots.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use meshgate_model::Fingerprint;

    use super::Transactions;
    use crate::Settings;
    use crate::seal::{Sealer, tests::Counting};
    use crate::shelf::tests::Hand;

    const ANA: Fingerprint = Fingerprint([1; 32]);
    const BEN: Fingerprint = Fingerprint([2; 32]);

    #[test]
    fn one_owner_s_until_it_ends_or_is_left_alone() {
        let (clock, entropy) = (Arc::new(Hand::default()), Arc::new(Counting::default()));
        let settings = Settings::new([3; 32], clock.clone(), entropy.clone());
        let (all, sealer) = (Transactions::new(&settings), Sealer::new(&settings.seal_key, entropy));
        let (first, second) = (all.begin(&sealer, ANA), all.begin(&sealer, ANA));
        let found = |owner, sealed| all.find(&sealer, owner, Some(sealed));
        let kept = found(ANA, &first).expect("open").expect("one");
        assert!(found(BEN, &first).is_err() && all.end(&sealer, BEN, &first).is_err(), "another's is unknown");
        assert!(all.find(&sealer, ANA, Some(&"".into())).expect("none").is_none());
        assert!(all.find(&sealer, ANA, Some(&"garbage".into())).is_err());
        assert!(all.snapshots(ANA, Some(&kept)).expect("open").is_some());
        all.end(&sealer, ANA, &first).expect("open");
        assert!(all.end(&sealer, ANA, &first).is_err(), "once");
        assert!(found(ANA, &first).is_err());
        assert!(all.snapshots(ANA, Some(&kept)).expect("ended").is_none(), "what was prepared in it reads the newest");
        let kept = found(ANA, &second).expect("open").expect("one");
        clock.0.store(i64::from(settings.transaction_ttl_s), Ordering::Relaxed);
        assert!(found(ANA, &second).is_err() && all.snapshots(ANA, Some(&kept)).is_err(), "left alone");
    }
}
