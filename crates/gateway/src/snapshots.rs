//! Which versions of tables statements read.

use std::collections::BTreeMap;
use std::sync::Arc;

use meshgate_model::TableAddress;
use meshgate_table::Pin;
use parking_lot::Mutex;

use crate::Error;

/// Versions of tables that are settled: what was read once is read at the same version by every statement that shares
/// this. Statements of a transaction share one, and a ticket carries what its query was planned with.
///
/// SECURITY: says which version is read and nothing of who may read it: every statement is governed by the rules in force
/// when it runs, and the versions are opened through the stores of that time.
#[derive(Debug)]
pub struct Snapshots {
    settled: Mutex<BTreeMap<(String, String), Version>>,
    tables_max: usize,
    parent: Option<Arc<Snapshots>>,
}

/// A version, and where it is one: versions of another place mean nothing here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Version {
    pub(crate) version: String,
    pub(crate) place: u64,
}

/// One table at one version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settled {
    /// The table, with the major version of its product.
    pub table: String,
    /// What the statement asked for: nothing for the newest, else a version or a time.
    pub asked: String,
    /// What that was when it was first asked for.
    pub version: String,
    /// Stands for where the table was then.
    pub place: u64,
}

impl Snapshots {
    /// Nothing is settled yet; so many tables can be.
    pub fn new(tables_max: usize) -> Arc<Self> {
        Arc::new(Self { settled: Mutex::default(), tables_max, parent: None })
    }

    /// Just these.
    pub fn of(settled: impl IntoIterator<Item = Settled>) -> Arc<Self> {
        let settled = settled
            .into_iter()
            .map(|Settled { table, asked, version, place }| ((table, asked), Version { version, place }));
        let settled = settled.collect();
        Arc::new(Self { settled: Mutex::new(settled), tables_max: usize::MAX, parent: None })
    }

    /// What one statement reads, within what others have settled before it.
    pub(crate) fn within(parent: Option<Arc<Self>>) -> Arc<Self> {
        Arc::new(Self { settled: Mutex::default(), tables_max: usize::MAX, parent })
    }

    /// Everything that is settled here, sorted.
    pub fn settled(&self) -> Vec<Settled> {
        let settled = self.settled.lock();
        let each = |((table, asked), found): (&(String, String), &Version)| Settled {
            table: table.clone(),
            asked: asked.clone(),
            version: found.version.clone(),
            place: found.place,
        };
        settled.iter().map(each).collect()
    }

    /// The version that a table was settled to.
    pub(crate) fn find(&self, table: &TableAddress, asked: &Pin) -> Option<Version> {
        let own = self.settled.lock().get(&key(table, asked)).cloned();
        own.or_else(|| self.parent.as_ref()?.find(table, asked))
    }

    /// Settles a table to a version; returns the one that counts, as another statement may have come first.
    pub(crate) fn settle(&self, table: &TableAddress, asked: &Pin, version: Version) -> Result<Version, Error> {
        let version = match &self.parent {
            Some(parent) => parent.settle(table, asked, version)?,
            None => version,
        };
        let mut settled = self.settled.lock();
        let room = settled.len() < self.tables_max;
        match settled.entry(key(table, asked)) {
            std::collections::btree_map::Entry::Occupied(known) => Ok(known.get().clone()),
            std::collections::btree_map::Entry::Vacant(free) if room => Ok(free.insert(version).clone()),
            std::collections::btree_map::Entry::Vacant(_) => Err(Error::TooManySnapshots { max: self.tables_max }),
        }
    }
}

fn key(table: &TableAddress, asked: &Pin) -> (String, String) {
    let asked = match asked {
        Pin::Latest => String::new(),
        Pin::Version(version) => format!("V{version}"),
        Pin::Timestamp(time) => format!("T{}", time.micros()),
    };
    (table.to_string(), asked)
}

#[cfg(test)]
mod tests {
    use meshgate_model::{Name, ProductAddress};
    use meshgate_table::Pin;

    use super::{Snapshots, Version};

    #[test]
    fn what_is_settled_first_counts_for_all() {
        let name = |text: &str| Name::parse(text).expect("a name");
        let table = |table: &str| ProductAddress::new(name("crm"), name("people")).table(1, table);
        let at = |version: &str| Version { version: version.to_owned(), place: 1 };
        let branch = Pin::Version("main".to_owned());
        let shared = Snapshots::new(2);
        let (first, second) = (Snapshots::within(Some(shared.clone())), Snapshots::within(Some(shared.clone())));
        assert_eq!(first.settle(&table("people"), &Pin::Latest, at("7")).expect("room"), at("7"));
        assert_eq!(second.find(&table("people"), &Pin::Latest), Some(at("7")));
        assert_eq!(
            second.settle(&table("people"), &Pin::Latest, at("8")).expect("room"),
            at("7"),
            "the second is late"
        );
        assert_eq!(
            second.settle(&table("people"), &branch, at("9")).expect("room"),
            at("9"),
            "what was asked for differs"
        );
        assert_eq!(first.find(&table("orders"), &Pin::Latest), None);
        assert!(first.settle(&table("orders"), &Pin::Latest, at("1")).is_err(), "two is all");
        assert_eq!((shared.settled().len(), first.settled().len(), second.settled().len()), (2, 1, 2));
        let again = Snapshots::of(second.settled());
        assert_eq!(again.find(&table("people"), &branch), Some(at("9")));
    }
}
