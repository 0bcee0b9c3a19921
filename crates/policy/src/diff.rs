//! `meshgate policy diff`: who gains or loses what between two releases.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use meshgate_identity::{Principal, PrincipalKind};
use meshgate_model::{Instant, TableAddress};
use meshgate_product::Release;

use crate::schema::Kind;
use crate::{Explanation, Policies, RequestContext};

/// One thing that is different for one principal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// For whom: `Group::"analysts"`, `User::"ann"`, or `anybody`.
    pub principal: String,
    /// With which purpose, if it is so only with one.
    pub purpose: Option<String>,
    /// Of which table.
    pub table: TableAddress,
    /// What.
    pub what: Difference,
}

/// What is different.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// The table exists now.
    Gained,
    /// The table does not exist any more.
    Lost,
    /// Other rows; none means all.
    Rows {
        /// The old filter.
        old: Option<String>,
        /// The new one.
        new: Option<String>,
    },
    /// A column or field is read otherwise. `absent` is a column the contract does not have.
    Column {
        /// Its path.
        path: String,
        /// How it was read.
        old: String,
        /// How it is read.
        new: String,
    },
}

/// Compares the decisions about all tables of either release for every group, user and service that a policy of either
/// names, and for somebody without any group. Principals have no attributes, requests come from this host.
pub fn diff(old: (&Release, &Policies), new: (&Release, &Policies), now: Instant) -> Vec<Change> {
    let principals: BTreeMap<String, Principal> = named(old.1).into_iter().chain(named(new.1)).collect();
    let tables: BTreeSet<TableAddress> = tables(old.0).chain(tables(new.0)).collect();
    let mut changes = Vec::new();
    for (name, principal) in &principals {
        for table in &tables {
            let compared = |purpose: Option<&String>| {
                let request =
                    RequestContext { purpose: purpose.cloned(), client_ip: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), now };
                let explain =
                    |(release, policies): (&Release, &Policies)| policies.explain(principal, release, table, &request);
                differences(&explain(old), &explain(new))
            };
            let always = compared(None);
            let change = |what: Difference, purpose: Option<&String>| Change {
                principal: name.clone(),
                purpose: purpose.cloned(),
                table: table.clone(),
                what,
            };
            for purpose in purposes(old, new, table) {
                let only = compared(Some(purpose)).into_iter().filter(|what| !always.contains(what));
                changes.extend(only.map(|what| change(what, Some(purpose))));
            }
            changes.extend(always.into_iter().map(|what| change(what, None)));
        }
    }
    changes.sort();
    changes
}

/// The purposes under which a table can be another one than without any: none if no policy about it asks for one.
pub(crate) fn purposes<'r>(
    old: (&'r Release, &Policies),
    new: (&'r Release, &Policies),
    table: &TableAddress,
) -> BTreeSet<&'r String> {
    let asks = |policies: &Policies| policies.products.get(&table.product).is_some_and(|slice| slice.mentions.purpose);
    let all = old.0.mesh().purposes.iter().chain(&new.0.mesh().purposes);
    if asks(old.1) || asks(new.1) { all.collect() } else { BTreeSet::new() }
}

/// A principal for each that the policies name.
fn named(policies: &Policies) -> Vec<(String, Principal)> {
    let none = BTreeMap::new;
    let anybody = Principal::hypothetical(PrincipalKind::User, "somebody", BTreeSet::new(), none());
    let mut found = vec![("anybody".to_owned(), anybody)];
    for uid in policies.rules.values().flat_map(|rule| rule.policy.entity_literals()) {
        let id: &str = uid.id().unescaped();
        let user = |kind, name: &str, groups| Principal::hypothetical(kind, name, groups, none());
        let principal = match Kind::of(uid.type_name()) {
            Some(Kind::Group) => user(PrincipalKind::User, "somebody", BTreeSet::from([id.to_owned()])),
            Some(Kind::User) => user(PrincipalKind::User, id, BTreeSet::new()),
            Some(Kind::Service) => user(PrincipalKind::Service, id, BTreeSet::new()),
            _ => continue,
        };
        found.push((uid.to_string(), principal));
    }
    found
}

fn tables(release: &Release) -> impl Iterator<Item = TableAddress> + '_ {
    let products = release.domains().values().flat_map(|domain| domain.products.values());
    let versions = products.flat_map(|product| &product.versions);
    versions.flat_map(|version| version.tables.iter().map(|table| table.address.clone()))
}

fn differences(old: &Explanation, new: &Explanation) -> Vec<Difference> {
    match (old.visible, new.visible) {
        (false, false) => return Vec::new(),
        (false, true) => return vec![Difference::Gained],
        (true, false) => return vec![Difference::Lost],
        (true, true) => {}
    }
    let mut found = Vec::new();
    if old.rows != new.rows {
        found.push(Difference::Rows { old: old.rows.clone(), new: new.rows.clone() });
    }
    let readings = |explanation: &Explanation| -> BTreeMap<String, String> {
        explanation.columns.iter().map(|column| (column.path.clone(), column.reading.clone())).collect()
    };
    let (before, after) = (readings(old), readings(new));
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for path in paths {
        let (old, new) = (inherited(&before, path), inherited(&after, path));
        if old != new {
            found.push(Difference::Column { path: path.clone(), old, new });
        }
    }
    found
}

/// A field without an entry of its own is read as what holds it.
fn inherited(readings: &BTreeMap<String, String>, path: &str) -> String {
    let mut at = path;
    loop {
        match (readings.get(at), at.rsplit_once('.')) {
            (Some(reading), _) => return reading.clone(),
            (None, Some((above, _))) => at = above,
            (None, None) => return "absent".to_owned(),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.principal)?;
        if let Some(purpose) = &self.purpose {
            write!(f, " (for {purpose})")?;
        }
        write!(f, ": {}: {}", self.table, self.what)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = |rows: &Option<String>| rows.clone().unwrap_or_else(|| "all".to_owned());
        match self {
            Self::Gained => f.write_str("gains the table"),
            Self::Lost => f.write_str("loses the table"),
            Self::Rows { old, new } => write!(f, "rows: {} -> {}", rows(old), rows(new)),
            Self::Column { path, old, new } => write!(f, "column {path}: {old} -> {new}"),
        }
    }
}
