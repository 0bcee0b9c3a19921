//! What differs between two releases, as consumers would feel it.

use std::fmt;

use meshgate_model::ProductAddress;

use crate::location;
use crate::release::{Column, Product, Release, Status, Table, Version};

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The product, version, table and column it is about, as an address.
    pub address: String,
    /// What changed, in a few words.
    pub what: String,
    /// Whether queries that worked may fail or mean something else.
    pub breaking: bool,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}{}", self.address, self.what, if self.breaking { " (breaking)" } else { "" })
    }
}

/// All differences in what the products of two releases promise, by address.
pub fn diff(old: &Release, new: &Release) -> Vec<Change> {
    let mut changes = Changes { roots: [root(old), root(new)], found: Vec::new() };
    let products = |release: &Release| -> Vec<ProductAddress> {
        release.domains().values().flat_map(|domain| domain.products.values().map(|p| p.address.clone())).collect()
    };
    let pair = |address: &ProductAddress| (old.product(address), new.product(address));
    let mut addresses = products(old);
    addresses.extend(products(new));
    addresses.sort();
    addresses.dedup();
    for address in addresses {
        match pair(&address) {
            (Some(old), Some(new)) => changes.product(old, new),
            (Some(_), None) => changes.add(&address, "the product was removed", true),
            (None, _) => changes.add(&address, "the product was added", false),
        }
    }
    changes.found
}

struct Changes {
    /// The mesh directories as locations have them: the same relative place in another directory is the same place.
    roots: [String; 2],
    found: Vec<Change>,
}

fn root(release: &Release) -> String {
    location::absolute(".", &release.mesh().directory).unwrap_or_default()
}

impl Changes {
    fn add(&mut self, address: &dyn fmt::Display, what: impl Into<String>, breaking: bool) {
        self.found.push(Change { address: address.to_string(), what: what.into(), breaking });
    }

    fn product(&mut self, old: &Product, new: &Product) {
        if old.id != new.id {
            let what = format!("the id changed from `{}` to `{}`: it is another product", old.id, new.id);
            self.add(&new.address, what, true);
        }
        let current = |product: &Product| product.current().map(|version| version.major);
        if let (Some(before), after) = (current(old), current(new))
            && Some(before) != after
        {
            let now = after.map_or("nothing".to_owned(), |major| format!("version {major}"));
            self.add(&new.address, format!("the unversioned name meant version {before} and now means {now}"), true);
        }
        let both = |version: &Version| new.versions.iter().find(|other| other.major == version.major);
        for version in &old.versions {
            let schema = format!("{}.{}_v{}", old.address.domain, old.address.product, version.major);
            match both(version) {
                Some(other) => self.version(&schema, version, other),
                None => self.add(&schema, "the version was removed", true),
            }
        }
        for version in new.versions.iter().filter(|v| !old.versions.iter().any(|other| other.major == v.major)) {
            let schema = format!("{}.{}_v{}", new.address.domain, new.address.product, version.major);
            self.add(&schema, "the version was added", false);
        }
    }

    fn version(&mut self, schema: &str, old: &Version, new: &Version) {
        if old.status != new.status {
            let hidden = matches!(new.status, Status::Draft | Status::Proposed);
            let was_visible = matches!(old.status, Status::Active | Status::Deprecated);
            let what = format!("the status changed from {:?} to {:?}", old.status, new.status).to_lowercase();
            self.add(&schema, what, hidden && was_visible);
        }
        for table in &old.tables {
            match new.tables.iter().find(|other| other.name == table.name) {
                Some(other) => self.table(table, other),
                None => self.add(&table.address, "the table was removed", true),
            }
        }
        for table in new.tables.iter().filter(|t| !old.tables.iter().any(|other| other.name == t.name)) {
            self.add(&table.address, "the table was added", false);
        }
    }

    fn table(&mut self, old: &Table, new: &Table) {
        let [before, after] = &self.roots;
        if format!("{:?}", old.location).replace(before, "") != format!("{:?}", new.location).replace(after, "") {
            self.add(&new.address, "the data is in another place", false);
        }
        if old.primary_key != new.primary_key {
            self.add(&new.address, "the primary key changed", !old.primary_key.is_empty());
        }
        self.columns(&new.address.to_string(), &old.columns, &new.columns);
    }

    fn columns(&mut self, parent: &str, old: &[Column], new: &[Column]) {
        for column in old {
            let address = format!("{parent}.{}", column.name);
            match new.iter().find(|other| other.name == column.name) {
                Some(other) => self.column(&address, column, other),
                None => self.add(&address, "the column was removed", true),
            }
        }
        for column in new.iter().filter(|c| !old.iter().any(|other| other.name == c.name)) {
            self.add(&format!("{parent}.{}", column.name), "the column was added", false);
        }
    }

    fn column(&mut self, address: &str, old: &Column, new: &Column) {
        let types = |column: &Column| {
            let logical = column.logical_type.map_or("unknown", |logical_type| logical_type.as_str());
            column.physical_type.as_ref().map_or(logical.to_owned(), |physical| format!("{logical} ({physical})"))
        };
        if (old.logical_type, &old.physical_type) != (new.logical_type, &new.physical_type) {
            let what = format!("the type changed from {} to {}", types(old), types(new));
            // Saying what was not said before takes nothing away.
            let only_more = old.logical_type.is_none_or(|logical| new.logical_type == Some(logical))
                && old.physical_type.as_ref().is_none_or(|physical| new.physical_type.as_ref() == Some(physical));
            self.add(&address, what, !only_more);
        }
        match (old.required, new.required) {
            (true, false) => self.add(&address, "the column may now be null", true),
            (false, true) => self.add(&address, "the column is never null any more", false),
            _ => {}
        }
        if old.unique && !new.unique {
            self.add(&address, "the column is not unique any more", true);
        }
        if old.physical_name != new.physical_name {
            self.add(&address, "the column is read from another stored column", false);
        }
        if old.classification != new.classification {
            let word = |column: &Column| column.classification.clone().unwrap_or_else(|| "none".to_owned());
            self.add(&address, format!("the classification changed from {} to {}", word(old), word(new)), false);
        }
        self.columns(address, &old.fields, &new.fields);
        match (&old.items, &new.items) {
            (Some(old), Some(new)) => self.column(&format!("{address}[]"), old, new),
            (Some(_), None) => self.add(&address, "nothing is said of the elements any more", true),
            _ => {}
        }
    }
}
