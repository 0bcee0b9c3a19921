//! `column IN (SELECT column FROM domain.product.table WHERE ..)`: names mean the mesh and nothing else.

use meshgate_model::{Name, ProductAddress, TableAddress};
use meshgate_product::{Product, Release, Table};
use sqlparser::ast::{self, SelectItem, SetExpr, Spanned, TableFactor};

use super::{Reader, SqlError, start};
use crate::{Entitlement, path, shape, suggest};

/// The table of a sub-select.
#[derive(Clone)]
pub(super) struct Source<'a> {
    /// None if the mesh does not have it: any column will do, so that the rest of the text is read.
    table: Option<&'a Table>,
    alias: String,
}

impl Source<'_> {
    /// The path of a column without the table's name or alias before it, and what is wrong if there is none.
    pub(super) fn resolve(&self, mut names: Vec<String>) -> (Vec<String>, Option<SqlError>) {
        let columns = self.table.map(|table| table.columns.as_slice()).unwrap_or_default();
        if names.len() > 1 && names[0] == self.alias && path::find(columns, &names[..1]).is_none() {
            names.remove(0);
        }
        let lost = self.table.filter(|table| path::find(&table.columns, &names).is_none()).map(|table| {
            let message = format!("the table {} has no column `{}`", table.address.policy_id(), names.join("."));
            SqlError::new(message).hint(path::hint(&table.columns, &names))
        });
        (names, lost)
    }
}

/// Why a table is not found.
enum Missing {
    /// The text names what cannot be.
    Text(SqlError),
    /// The documents of an existing domain do not have it, which can be the domain's doing.
    Documents(SqlError),
}

const FORM: &str = "a sub-select in a policy has the form `SELECT column FROM domain.product.table WHERE ..`";

impl<'a> Reader<'a> {
    /// A sub-select; none if the mesh has no such table, which is noted.
    pub(super) fn entitlement(&mut self, query: &ast::Query) -> Result<Option<Entitlement>, SqlError> {
        let (column, relation, selection) = parts(query).ok_or_else(|| SqlError::new(FORM))?;
        let TableFactor::Table { name, alias, .. } = relation else { return Err(SqlError::new(FORM)) };
        let table = match lookup(self.surroundings.release, name) {
            Ok(table) => Some(table),
            Err(Missing::Text(error)) => return Err(error.at(name.span().start)),
            Err(Missing::Documents(error)) => {
                self.lost.push(error.at(name.span().start));
                None
            }
        };
        let own = name.0.last().and_then(|part| part.as_ident());
        let alias = alias.as_ref().map(|alias| &alias.name).or(own).map(|ident| ident.value.clone());
        let source = Source { table, alias: alias.unwrap_or_default() };

        let outer = self.table.replace(source);
        let inside = self.inside(column, selection);
        self.table = outer;
        let (column, filter) = inside?;
        Ok(table.map(|table| Entitlement { table: table.address.clone(), column, filter }))
    }

    fn inside(
        &mut self,
        column: &ast::Expr,
        selection: Option<&ast::Expr>,
    ) -> Result<(String, Option<crate::Expr>), SqlError> {
        if !matches!(column, ast::Expr::Identifier(_) | ast::Expr::CompoundIdentifier(_)) {
            return Err(SqlError::new(FORM));
        }
        let crate::Expr::Column(path) = self.expr(column)? else { return Err(SqlError::new(FORM)) };
        let [column] = path.as_slice() else { return Err(SqlError::new(FORM)) };
        Ok((column.clone(), selection.map(|filter| self.selection(filter)).transpose()?))
    }

    /// A WHERE, which is as true or false as a row filter is.
    fn selection(&mut self, read: &ast::Expr) -> Result<crate::Expr, SqlError> {
        let filter = self.expr(read)?;
        let error = |why| {
            SqlError::new(format!("the WHERE of a sub-select is true or false of a row, but {why}")).at(start(read))
        };
        if let Some(why) = shape::not_boolean(&filter, &|_| false) {
            return Err(error(why));
        }
        let columns = self.table.as_ref().and_then(|source| source.table).map(|table| table.columns.as_slice());
        let other_type = |column: &[String]| columns.is_some_and(|columns| shape::is_other_type(columns, column));
        let lost = shape::not_boolean(&filter, &other_type).map(error);
        self.lost.extend(lost);
        Ok(filter)
    }
}

/// The three parts a sub-select may have. Every field is looked at: what is ignored would be lost.
fn parts(query: &ast::Query) -> Option<(&ast::Expr, &TableFactor, Option<&ast::Expr>)> {
    let ast::Query {
        with: None,
        body,
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks,
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators,
    } = query
    else {
        return None;
    };
    let SetExpr::Select(select) = body.as_ref() else { return None };
    let ast::Select {
        select_token: _,
        optimizer_hints,
        distinct: None,
        select_modifiers: None,
        top: None,
        top_before_distinct: _,
        projection,
        exclude: None,
        into: None,
        from,
        lateral_views,
        prewhere: None,
        selection,
        connect_by,
        group_by: ast::GroupByExpr::Expressions(groups, modifiers),
        cluster_by,
        distribute_by,
        sort_by,
        having: None,
        named_window,
        qualify: None,
        window_before_qualify: _,
        value_table_mode: None,
        flavor: ast::SelectFlavor::Standard,
    } = select.as_ref()
    else {
        return None;
    };
    let more = [
        locks.len(),
        pipe_operators.len(),
        optimizer_hints.len(),
        lateral_views.len(),
        connect_by.len(),
        groups.len(),
        modifiers.len(),
        cluster_by.len(),
        distribute_by.len(),
        sort_by.len(),
        named_window.len(),
    ];
    let [SelectItem::UnnamedExpr(column)] = projection.as_slice() else { return None };
    let [ast::TableWithJoins { relation, joins }] = from.as_slice() else { return None };
    let nothing_more = more.iter().all(|count| *count == 0) && joins.is_empty() && is_plain(relation);
    nothing_more.then_some((column, relation, selection.as_ref()))
}

fn is_plain(relation: &TableFactor) -> bool {
    let TableFactor::Table {
        name: _,
        alias,
        args: None,
        with_hints,
        version: None,
        with_ordinality: false,
        partitions,
        json_path: None,
        sample: None,
        index_hints,
    } = relation
    else {
        return false;
    };
    let alias = alias.as_ref().is_none_or(|alias| alias.columns.is_empty() && alias.at.is_none());
    alias && with_hints.is_empty() && partitions.is_empty() && index_hints.is_empty()
}

fn lookup<'a>(release: &'a Release, written: &ast::ObjectName) -> Result<&'a Table, Missing> {
    let names: Option<Vec<_>> =
        written.0.iter().map(|part| part.as_ident().map(|ident| ident.value.as_str())).collect();
    let Some([domain, schema, table]) = names.as_deref() else {
        let error = SqlError::new(format!("`{written}` is no table of the mesh"));
        let hint = "a table in a policy has its full name: domain.product.table";
        return Err(Missing::Text(error.hint(Some(hint.to_owned()))));
    };
    let Some(found) = release.domains().get(*domain) else {
        let known = release.domains().keys().map(Name::as_str);
        let error = SqlError::new(format!("there is no domain `{domain}`"));
        return Err(Missing::Text(error.hint(suggest::hint(domain, known))));
    };
    let Some((product, major)) = schema_of(&found.products, schema) else {
        let known = found.products.keys().map(Name::as_str);
        let message = format!("the domain {domain} has no product `{schema}`");
        return Err(Missing::Documents(SqlError::new(message).hint(suggest::hint(schema, known))));
    };
    let Some(major) = major.or_else(|| product.current().map(|version| version.major)) else {
        let error = SqlError::new(format!("the product {} has no active version", product.address));
        return Err(Missing::Documents(error.hint(Some(format!("name one: {domain}.{schema}_v1.{table}")))));
    };
    let address = product.address.table(major, *table);
    match release.table(&address) {
        Some((_, _, table)) => Ok(table),
        None => {
            let version = product.versions.iter().find(|version| version.major == major);
            let known = version.into_iter().flat_map(|version| version.tables.iter().map(|table| table.name.as_str()));
            let message = format!("version {major} of the product {} has no table `{table}`", product.address);
            Err(Missing::Documents(SqlError::new(message).hint(suggest::hint(table, known))))
        }
    }
}

/// A product by its name, or by `<name>_v<major>`.
fn schema_of<'a>(
    products: &'a std::collections::BTreeMap<Name, Product>,
    schema: &str,
) -> Option<(&'a Product, Option<u32>)> {
    if let Some(product) = products.get(schema) {
        return Some((product, None));
    }
    let (name, major) = schema.rsplit_once("_v")?;
    Some((products.get(name)?, Some(major.parse().ok()?)))
}

/// Reads `domain.product.table` or `domain.product_v<major>.table`, as tests and tools write it.
pub(crate) fn table_address(release: &Release, written: &str) -> Option<TableAddress> {
    let mut parts = written.splitn(3, '.');
    let (domain, schema, table) = (parts.next()?, parts.next()?, parts.next()?);
    let domain = Name::parse(domain).ok()?;
    let (product, major) = schema_of(&release.domains().get(&domain)?.products, schema)?;
    let major = major.or_else(|| product.current().map(|version| version.major))?;
    Some(ProductAddress::new(domain, product.address.product.clone()).table(major, table))
}
