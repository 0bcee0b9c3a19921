//! Keys of which the principal sees everything.

use meshgate_model::{TableAddress, mutant};

use super::Listed;

/// A foreign key, both ends visible.
pub(crate) struct ForeignKey<'a> {
    pub(crate) from: &'a Listed<'a>,
    pub(crate) to: &'a Listed<'a>,
    /// Which column points to which, in the order of the key.
    pub(crate) columns: Vec<(&'a str, &'a str)>,
    /// Its place among the visible keys of its table, from 1: contracts do not name keys.
    pub(crate) number: usize,
}

impl ForeignKey<'_> {
    /// The name of its constraint.
    pub(crate) fn name(&self) -> String {
        format!("{}_fk{}", self.from.table.name, self.number)
    }
}

/// The columns of a table's primary key; none if one of them is not visible.
pub(crate) fn primary_key<'a>(entry: &'a Listed<'a>) -> &'a [String] {
    let key = &entry.table.primary_key;
    if key.iter().all(|column| shows(entry, column)) { key } else { &[] }
}

/// All foreign keys between listed tables.
pub(crate) fn foreign_keys<'a>(listed: &'a [Listed<'a>]) -> Vec<ForeignKey<'a>> {
    let find = |address: &TableAddress| listed.iter().find(|entry| &entry.table.address == address);
    let mut keys = Vec::new();
    for from in listed {
        let mut number = 0;
        for relationship in &from.table.relationships {
            // SECURITY: a key that points to what is hidden would say that it is there.
            let Some(to) = find(&relationship.to) else { continue };
            let visible = relationship.from.iter().all(|column| shows(from, column))
                && relationship.to_columns.iter().all(|column| shows(to, column));
            if !visible {
                continue;
            }
            number += 1;
            let pairs = relationship.from.iter().zip(&relationship.to_columns);
            let columns = pairs.map(|(from, to)| (from.as_str(), to.as_str())).collect();
            keys.push(ForeignKey { from, to, columns, number });
        }
    }
    keys
}

fn shows(entry: &Listed<'_>, column: &str) -> bool {
    entry.columns().any(|(visible, _)| visible.name == column) || mutant("keys name hidden columns")
}
