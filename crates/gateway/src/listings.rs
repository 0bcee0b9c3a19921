//! What metadata commands list: names and contracts, never a stored table. The session's options are the same as for a
//! query: under another purpose there may be other tables.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};

use crate::system::{self, Listed};
use crate::{Caller, Error, ForeignKeyEntry, Gateway, PrimaryKeyEntry, SessionOptions, TableEntry};

impl Gateway {
    /// The catalogs (domains and `meshgate`) in which the caller may query something, sorted.
    pub fn catalogs(&self, caller: &Caller, options: &SessionOptions) -> Result<Vec<String>, Error> {
        let view = self.view(caller, options)?;
        let catalogs = system::schemata(&view).into_iter().map(|(catalog, _)| catalog).collect::<BTreeSet<_>>();
        Ok(catalogs.into_iter().collect())
    }

    /// `(catalog, schema)` pairs in which the caller may query something, sorted.
    pub fn schemas(&self, caller: &Caller, options: &SessionOptions) -> Result<Vec<(String, String)>, Error> {
        let view = self.view(caller, options)?;
        Ok(system::schemata(&view).into_iter().collect())
    }

    /// Everything the caller may query that the filter takes (called with catalog, schema, table), sorted.
    pub fn tables(
        &self,
        caller: &Caller,
        options: &SessionOptions,
        filter: &dyn Fn(&str, &str, &str) -> bool,
    ) -> Result<Vec<TableEntry>, Error> {
        let view = self.view(caller, options)?;
        let mut entries = system::listed_if(&view, filter).iter().map(entry).collect::<Vec<_>>();
        let own = system::TABLES.iter().filter(|(schema, table, _)| filter(system::CATALOG, schema, table));
        entries.extend(own.map(|(schema, table, columns)| TableEntry {
            catalog: system::CATALOG.to_owned(),
            schema: (*schema).to_owned(),
            name: (*table).to_owned(),
            kind: "SYSTEM TABLE",
            remarks: None,
            columns: Arc::new(Schema::new(
                columns.iter().map(|name| Field::new(*name, system::type_of(name), true)).collect::<Vec<_>>(),
            )),
        }));
        entries.sort_by(|a, b| (&a.catalog, &a.schema, &a.name).cmp(&(&b.catalog, &b.schema, &b.name)));
        Ok(entries)
    }

    /// Primary keys of one table; empty for a table that is not visible, or whose key is not.
    pub fn primary_keys(
        &self,
        caller: &Caller,
        options: &SessionOptions,
        within: [Option<&str>; 2],
        table: &str,
    ) -> Result<Vec<PrimaryKeyEntry>, Error> {
        let view = self.view(caller, options)?;
        let [catalog, schema] = within;
        let wanted = |of_catalog: &str, of_schema: &str, name: &str| {
            name == table
                && catalog.is_none_or(|catalog| catalog == of_catalog)
                && schema.is_none_or(|schema| schema == of_schema)
        };
        let mut keys = Vec::new();
        for entry in system::listed_if(&view, &wanted) {
            let key = system::primary_key(&entry);
            keys.extend(key.iter().zip(1..).map(|(column, position)| PrimaryKeyEntry {
                catalog: entry.catalog.clone(),
                schema: entry.schema.clone(),
                table: entry.table.name.clone(),
                column: column.clone(),
                position,
            }));
        }
        Ok(keys)
    }

    /// Foreign keys whose both ends the caller may query, sorted.
    pub fn foreign_keys(&self, caller: &Caller, options: &SessionOptions) -> Result<Vec<ForeignKeyEntry>, Error> {
        let view = self.view(caller, options)?;
        let listed = system::listed(&view);
        let mut keys = Vec::new();
        for key in system::foreign_keys(&listed) {
            keys.extend(key.columns.iter().zip(1..).map(|((from, to), position)| ForeignKeyEntry {
                primary: names(key.to, to),
                foreign: names(key.from, from),
                position,
            }));
        }
        keys.sort_by(|a, b| (&a.primary, &a.foreign, a.position).cmp(&(&b.primary, &b.foreign, b.position)));
        Ok(keys)
    }
}

fn names(entry: &Listed<'_>, column: &str) -> [String; 4] {
    [entry.catalog.clone(), entry.schema.clone(), entry.table.name.clone(), column.to_owned()]
}

fn entry(listed: &Listed<'_>) -> TableEntry {
    TableEntry {
        catalog: listed.catalog.clone(),
        schema: listed.schema.clone(),
        name: listed.table.name.clone(),
        kind: "TABLE",
        remarks: listed.table.description.clone(),
        columns: columns(listed),
    }
}

/// The visible columns with the types that the contract promises.
fn columns(listed: &Listed<'_>) -> SchemaRef {
    let fields = listed.typed_columns().map(|(column, _, data_type)| {
        let remarks = column.description.iter().map(|text| ("remarks".to_owned(), text.clone()));
        Field::new(&column.name, data_type, true).with_metadata(remarks.collect())
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
