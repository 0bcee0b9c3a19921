//! Sub-selects over a table without files: what is read, how often, and what is said when it cannot be.

use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::execution::SessionStateBuilder;
use meshgate_model::{Failure, Fault};
use meshgate_policy::{BinaryOp, Literal};
use meshgate_product::Release;
use meshgate_table::{Binding, DomainStores, FileList, FileSet, SnapshotParts, StoreOptions};

use super::*;
use crate::fixture;
use crate::testing::promised_schema;

#[derive(Debug)]
struct NoFiles(Arc<Schema>);

#[async_trait]
impl FileList for NoFiles {
    async fn load(&self) -> Result<FileSet, meshgate_table::Error> {
        FileSet::new(&self.0, Vec::new(), Vec::new(), Vec::new())
    }
}

/// The entitlement table, stored with this schema.
struct Stored<'a> {
    release: &'a Release,
    on_breach: OnBreach,
    schema: Option<Arc<Schema>>,
    asked: AtomicUsize,
}

#[async_trait]
impl Entitlements for Stored<'_> {
    async fn table(&self, address: &TableAddress) -> Result<EntitlementTable, Error> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let (_, _, table) = self.release.table(address).expect("a table");
        let contract = Arc::new(Table { on_breach: self.on_breach, ..table.clone() });
        let schema =
            self.schema.clone().ok_or_else(|| fault(table, "an entitlement table is out of service".into()))?;
        let parts = SnapshotParts {
            version: "1".to_owned(),
            timestamp: None,
            schema: schema.clone(),
            binding: Binding::Name,
            stores: DomainStores::new("hr", Vec::new(), Vec::new(), StoreOptions::default())?,
            files: Arc::new(NoFiles(schema)),
        };
        Ok(EntitlementTable { contract, snapshot: Snapshot::new(parts) })
    }
}

/// `region IN (SELECT region FROM hr.people.grants WHERE ..)`
fn regions(release: &Release, filter: Option<Expr>) -> Expr {
    let table = fixture::table(release, "hr", "people", "grants").address.clone();
    let column = || Expr::Column(vec!["region".to_owned()]);
    let entitlement = Entitlement { table, column: "region".to_owned(), filter };
    Expr::InEntitlement { expr: Box::new(column()), entitlement: Box::new(entitlement), negated: false }
}

async fn read(source: &Stored<'_>, exprs: &[&Expr]) -> Result<Entitled, Error> {
    let session = SessionStateBuilder::new().build();
    let functions = PolicyFunctions::new();
    let reader = Reader { source, session: &session, now: Instant::default(), functions: &functions };
    reader.read_for(fixture::table(source.release, "sales", "orders", "lines"), exprs).await
}

fn promised(release: &Release) -> Arc<Schema> {
    promised_schema(fixture::table(release, "hr", "people", "grants"))
}

#[tokio::test]
async fn each_is_read_once_for_all_columns() {
    let (release, _) = fixture::mesh("", "");
    let source =
        Stored { release: &release, on_breach: OnBreach::Block, schema: Some(promised(&release)), asked: 0.into() };
    let plain = regions(&release, None);
    let nested = regions(&release, Some(regions(&release, None)));
    let twice = Expr::Binary(Box::new(nested.clone()), BinaryOp::Or, Box::new(nested.clone()));
    let read = read(&source, &[&plain, &nested, &plain, &twice]).await.expect("values");
    assert_eq!(read.len(), 2);
    assert_eq!(source.asked.into_inner(), 2);
}

#[tokio::test]
async fn a_where_without_a_value_gives_none() {
    let (release, _) = fixture::mesh("", "");
    let source =
        Stored { release: &release, on_breach: OnBreach::Block, schema: Some(promised(&release)), asked: 0.into() };
    let read = read(&source, &[&regions(&release, Some(Expr::Literal(Literal::Null)))]).await.expect("values");
    assert!(read[0].1.is_empty());
}

#[tokio::test]
async fn what_cannot_be_read_is_not_named() {
    let (release, _) = fixture::mesh("", "");
    let mistyped = Arc::new(Schema::new(vec![
        Field::new("login", DataType::Utf8View, true),
        Field::new("region", DataType::Utf8View, true),
        Field::new("level", DataType::Utf8View, true),
    ]));
    let without = Arc::new(Schema::new(vec![Field::new("login", DataType::Utf8View, true)]));
    for (schema, on_breach, reads) in [
        (None, OnBreach::Warn, false),
        (Some(mistyped.clone()), OnBreach::Block, false),
        (Some(mistyped), OnBreach::Warn, true),
        (Some(without), OnBreach::Warn, false),
    ] {
        let source = Stored { release: &release, on_breach, schema, asked: 0.into() };
        match read(&source, &[&regions(&release, None)]).await {
            Ok(_) => assert!(reads),
            Err(error) => {
                assert!(!reads, "{error}");
                assert_eq!(error.fault(), Fault::Unavailable);
                let public = format!("{:?}", error.public());
                assert!(public.contains("sales.orders.lines") && !public.contains("hr"), "{public}");
                let inner = std::error::Error::source(&error).expect("for the operator").to_string();
                assert!(inner.contains("hr.people"), "{inner}");
            }
        }
    }
}
