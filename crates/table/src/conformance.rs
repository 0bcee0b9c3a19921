//! What every format has to do, as a suite that each runs on tables written by its own writer.

use std::error::Error as StdError;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, StringArray,
    StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Fields, Schema};
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;
use async_trait::async_trait;
use datafusion::logical_expr::{Expr, col, lit};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::TryStreamExt;
use meshgate_model::{Clock, Instant};

use crate::{CacheOptions, Delivery, DomainStores, Error, Grant, Pin, Source, StoreOptions, TableFormat, Tables};

/// What a failed check says.
pub type Failed = Box<dyn StdError + Send + Sync>;

/// A format with its writer.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// The format.
    fn format(&self) -> Arc<dyn TableFormat>;
    /// Appends one version to the table in the directory.
    async fn append(&self, directory: &Path, batch: RecordBatch, partition_by: &[&str]) -> Result<(), Failed>;
    /// The time by which the store and the writer date versions.
    fn clock(&self) -> Arc<dyn Clock>;
    /// Whether the writer can add columns when it appends.
    fn evolves(&self) -> bool;
    /// Whether a log keeps versions, numbers of rows and bounds of values.
    fn keeps_log(&self) -> bool {
        true
    }
    /// The table at a place, whose columns these values partition: without a log somebody has to tell.
    fn source(&self, url: url::Url, _partition_by: &[(&str, DataType)]) -> Source {
        Source::at(self.format().format(), url)
    }
}

/// A gateway's tables over one directory, as one domain.
pub struct Bench {
    /// The tables.
    pub tables: Tables,
    /// The domain's stores.
    pub stores: Arc<DomainStores>,
    context: SessionContext,
}

impl Bench {
    /// Over everything under `root`.
    pub fn new(format: Arc<dyn TableFormat>, clock: Arc<dyn Clock>, root: &Path) -> Result<Self, Failed> {
        Self::over(format, clock, Grant { prefix_url: root.display().to_string(), credentials: None })
    }

    /// Over everything that a grant covers.
    pub fn over(format: Arc<dyn TableFormat>, clock: Arc<dyn Clock>, grant: Grant) -> Result<Self, Failed> {
        let stores = DomainStores::new("conformance", vec![grant], Vec::new(), StoreOptions::default())?;
        let tables = Tables::new(vec![format], CacheOptions::default(), clock);
        let mut config = SessionConfig::new().with_target_partitions(2);
        config.options_mut().execution.parquet.pushdown_filters = true;
        Ok(Self { tables, stores, context: SessionContext::new_with_config(config) })
    }

    /// The rows of a table, as text, sorted: columns by name, rows that fulfil the filter; the same however they are
    /// delivered.
    pub async fn rows(
        &self,
        source: &Source,
        pin: &Pin,
        columns: &[&str],
        filter: Option<Expr>,
    ) -> Result<Vec<String>, Failed> {
        let divided = self.delivered(source, pin, columns, filter.clone(), Delivery::Divided).await?;
        let in_order = self.delivered(source, pin, columns, filter, Delivery::InOrder).await?;
        if divided != in_order {
            return Err(format!("divided: {divided:?}, in order: {in_order:?}").into());
        }
        Ok(divided)
    }

    async fn delivered(
        &self,
        source: &Source,
        pin: &Pin,
        columns: &[&str],
        filter: Option<Expr>,
        delivery: Delivery,
    ) -> Result<Vec<String>, Failed> {
        let plan = self.plan(source, pin, columns, filter, delivery).await?;
        let mut rows = Vec::new();
        let batches: Vec<RecordBatch> = execute_stream(plan, self.context.task_ctx())?.try_collect().await?;
        for batch in batches {
            for row in 0..batch.num_rows() {
                let cells = batch.columns().iter().map(|column| match column.is_null(row) {
                    true => Ok("NULL".to_owned()),
                    false => array_value_to_string(column, row),
                });
                rows.push(cells.collect::<Result<Vec<_>, _>>()?.join("|"));
            }
        }
        rows.sort();
        Ok(rows)
    }

    /// The plan of [`Self::rows`]: the scan, and the filter above it, optimised as a query's plan is.
    pub async fn plan(
        &self,
        source: &Source,
        pin: &Pin,
        columns: &[&str],
        filter: Option<Expr>,
        delivery: Delivery,
    ) -> Result<Arc<dyn ExecutionPlan>, Failed> {
        let snapshot = self.tables.snapshot(&self.stores, source, pin, None).await?;
        let schema = snapshot.schema();
        let projection = columns.iter().map(|name| schema.index_of(name)).collect::<Result<Vec<_>, _>>()?;
        let state = self.context.state();
        let filters: Vec<Expr> = filter.iter().cloned().collect();
        let mut plan = snapshot.scan(&state, &projection, &filters, delivery).await?;
        if let Some(filter) = filter {
            let known = datafusion::common::DFSchema::try_from(plan.schema().as_ref().clone())?;
            let predicate = state.create_physical_expr(filter, &known)?;
            plan = Arc::new(FilterExec::try_new(predicate, plan)?);
        }
        for rule in state.physical_optimizers() {
            plan = rule.optimize(plan, state.config_options())?;
        }
        Ok(plan)
    }

    /// How many files a filter leaves.
    pub async fn files_read(&self, source: &Source, columns: &[&str], filter: Option<Expr>) -> Result<usize, Failed> {
        let plan = self.plan(source, &Pin::Latest, columns, filter, Delivery::Divided).await?;
        Ok(count_files(&plan))
    }
}

fn count_files(plan: &Arc<dyn ExecutionPlan>) -> usize {
    use datafusion::datasource::physical_plan::FileScanConfig;
    use datafusion::datasource::source::DataSourceExec;
    let own = plan
        .downcast_ref::<DataSourceExec>()
        .and_then(|scan| scan.data_source().downcast_ref::<FileScanConfig>())
        .map_or(0, |config| config.file_groups.iter().map(|group| group.len()).sum());
    own + plan.children().into_iter().map(count_files).sum::<usize>()
}

/// The rows `from..to` of the suite's table.
pub fn batch(from: i32, to: i32) -> Result<RecordBatch, Failed> {
    let numbers = || from..to;
    let regions = ["EU", "a b/c=%41&ü", "US"];
    let inner = Fields::from(vec![Field::new("x", DataType::Int64, true), Field::new("note", DataType::Utf8, true)]);
    let nested = StructArray::try_new(
        inner,
        vec![
            Arc::new(Int64Array::from_iter_values(numbers().map(i64::from))) as ArrayRef,
            Arc::new(StringArray::from_iter_values(numbers().map(|n| format!("note {n}")))),
        ],
        None,
    )?;
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("id", Arc::new(Int32Array::from_iter_values(numbers())), true),
        (
            "region",
            Arc::new(StringArray::from_iter(
                numbers().map(|n| regions.get(usize::try_from(n % 4).unwrap_or(0)).copied()),
            )),
            true,
        ),
        (
            "name",
            Arc::new(StringArray::from_iter_values(
                numbers().map(|n| format!("a name that is longer than the sixteen letters statistics keep {n:04}")),
            )),
            true,
        ),
        (
            "price",
            Arc::new(
                Decimal128Array::from_iter_values(numbers().map(|n| i128::from(n) * 125))
                    .with_precision_and_scale(12, 2)?,
            ),
            true,
        ),
        ("ratio", Arc::new(Float64Array::from_iter(numbers().map(|n| (n % 5 != 0).then(|| f64::from(n) / 4.0)))), true),
        ("day", Arc::new(Date32Array::from_iter_values(numbers().map(|n| 19_000 + n))), true),
        (
            "at",
            Arc::new(
                TimestampMicrosecondArray::from_iter_values(
                    numbers().map(|n| 1_700_000_000_000_999 + i64::from(n) * 1_000_000),
                )
                .with_timezone("UTC"),
            ),
            true,
        ),
        ("even", Arc::new(BooleanArray::from_iter(numbers().map(|n| Some(n % 2 == 0)))), true),
        ("more", Arc::new(nested), true),
    ];
    let fields: Vec<Field> =
        columns.iter().map(|(name, array, null)| Field::new(*name, array.data_type().clone(), *null)).collect();
    let arrays = columns.into_iter().map(|(_, array, _)| array).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
}

/// Runs all checks with tables under `root`, an empty directory.
///
/// # Panics
/// If a check fails.
pub async fn run(fixture: &dyn Fixture, root: &Path) -> Result<(), Failed> {
    plain(fixture, &root.join("plain dir")).await?;
    partitioned(fixture, &root.join("partitioned")).await?;
    if fixture.evolves() {
        evolved(fixture, &root.join("evolved")).await?;
    }
    absent(fixture, root).await
}

fn source(fixture: &dyn Fixture, directory: &Path, partition_by: &[(&str, DataType)]) -> Result<Source, Failed> {
    let url = url::Url::from_directory_path(directory.canonicalize()?).map_err(|()| "a directory without a URL")?;
    Ok(fixture.source(url, partition_by))
}

async fn plain(fixture: &dyn Fixture, directory: &Path) -> Result<(), Failed> {
    let bench = Bench::new(fixture.format(), fixture.clock(), directory.parent().ok_or("no parent")?)?;
    fixture.append(directory, batch(0, 50)?, &[]).await?;
    let table = source(fixture, directory, &[])?;
    let first = bench.tables.snapshot(&bench.stores, &table, &Pin::Latest, None).await?;
    let between = Instant(fixture.clock().now().micros() + 2_000);
    // Timestamps of versions are in milliseconds: the next one must be a later one.
    while fixture.clock().now() <= between {
        tokio::task::yield_now().await;
    }
    fixture.append(directory, batch(50, 100)?, &[]).await?;
    fixture.append(directory, batch(100, 150)?, &[]).await?;
    let latest = bench.tables.snapshot(&bench.stores, &table, &Pin::Latest, None).await?;
    let again = bench.tables.snapshot(&bench.stores, &table, &Pin::Latest, None).await?;
    assert!(Arc::ptr_eq(&latest, &again), "a snapshot is shared while nothing changes");
    assert_ne!(first.version(), latest.version());
    assert_eq!(latest.schema().field_with_name("name")?.data_type(), &DataType::Utf8View);
    assert_eq!(latest.schema().field_with_name("id")?.data_type(), &DataType::Int32);
    assert_eq!(latest.files().await?.len(), 3);
    assert_eq!(latest.exact_rows(), fixture.keeps_log().then_some(150));

    // Projection in any order, nested columns, nothing at all.
    let eq7 = || Some(col("id").eq(lit(7)));
    let found = bench.rows(&table, &Pin::Latest, &["price", "id", "day", "more"], eq7()).await?;
    assert_eq!(found, ["8.75|7|2022-01-15|{x: 7, note: note 7}"]);
    assert_eq!(bench.rows(&table, &Pin::Latest, &[], None).await?.len(), 150);
    let all = bench.rows(&table, &Pin::Latest, &["id"], None).await?;
    assert_eq!(all.len(), 150);

    // Pruning by statistics, of every type.
    for (filter, files) in [
        (col("id").eq(lit(7)), 1),
        (col("id").gt_eq(lit(50)), 2),
        (col("id").gt(lit(1000)), 0),
        (col("price").lt(lit(datafusion::common::ScalarValue::Decimal128(Some(1_000), 12, 2))), 1),
        (col("day").eq(lit(datafusion::common::ScalarValue::Date32(Some(19_149)))), 1),
        (col("ratio").lt(lit(5.0)), 1),
        (col("id").in_list(vec![lit(1), lit(149)], false), 2),
        (col("id").is_null(), 0),
        (col("id").is_not_null(), 3),
    ] {
        let read = bench.files_read(&table, &["id", "price", "day", "ratio"], Some(filter.clone())).await?;
        assert_eq!(read, if fixture.keeps_log() { files } else { 3 }, "files read for {filter}");
    }
    // The last microsecond of a file must not be pruned away.
    let at = |n: i64| {
        datafusion::common::ScalarValue::TimestampMicrosecond(
            Some(1_700_000_000_000_999 + n * 1_000_000),
            Some("UTC".into()),
        )
    };
    let found = bench.rows(&table, &Pin::Latest, &["id", "at"], Some(col("at").eq(lit(at(49))))).await?;
    assert_eq!(found.len(), 1, "{found:?}");

    // Pins.
    if !fixture.keeps_log() {
        return no_pins(&bench, &table).await;
    }
    let old = Pin::Version(first.version().to_owned());
    assert_eq!(bench_rows(&bench, &table, &old).await?.len(), 50);
    assert_eq!(bench_rows(&bench, &table, &Pin::Timestamp(between)).await?.len(), 50);
    assert_eq!(bench_rows(&bench, &table, &Pin::Timestamp(Instant(i64::MAX / 4_000))).await?.len(), 150);
    for pin in [Pin::Version("987654321".to_owned()), Pin::Version("no such".to_owned()), Pin::Timestamp(Instant(0))] {
        let error = bench.tables.snapshot(&bench.stores, &table, &pin, None).await.err();
        assert!(matches!(error, Some(Error::PinNotFound { .. })), "{pin:?}: {error:?}");
    }
    Ok(())
}

async fn no_pins(bench: &Bench, table: &Source) -> Result<(), Failed> {
    for pin in [Pin::Version("0".to_owned()), Pin::Version("main".to_owned()), Pin::Timestamp(Instant(i64::MAX))] {
        let error = bench.tables.snapshot(&bench.stores, table, &pin, None).await.err();
        assert!(matches!(error, Some(Error::PinNotFound { .. })), "{pin:?}: {error:?}");
    }
    Ok(())
}

async fn bench_rows(bench: &Bench, table: &Source, pin: &Pin) -> Result<Vec<String>, Failed> {
    bench.rows(table, pin, &["id"], None).await
}

async fn partitioned(fixture: &dyn Fixture, directory: &Path) -> Result<(), Failed> {
    let bench = Bench::new(fixture.format(), fixture.clock(), directory.parent().ok_or("no parent")?)?;
    fixture.append(directory, batch(0, 40)?, &["region", "even"]).await?;
    let table = source(fixture, directory, &[("region", DataType::Utf8View), ("even", DataType::Boolean)])?;
    let snapshot = bench.tables.snapshot(&bench.stores, &table, &Pin::Latest, None).await?;
    assert_eq!(snapshot.schema().field_with_name("region")?.data_type(), &DataType::Utf8View);
    if fixture.keeps_log() {
        assert_eq!(snapshot.schema().index_of("region")?, 1, "partition columns stay where the table has them");
    }
    assert_eq!(snapshot.files().await?.len(), 4, "one file for each pair of values");
    for (filter, files, rows) in [
        (col("region").eq(lit("EU")), 1, 10),
        (col("region").eq(lit("a b/c=%41&ü")), 1, 10),
        (col("region").is_null(), 1, 10),
        (col("region").is_not_null(), 3, 30),
        (col("even"), 2, 20),
        (col("region").eq(lit("EU")).and(col("even").eq(lit(false))), 0, 0),
        (col("region").eq(lit("US")).or(col("id").gt(lit(38))), 2, 11),
    ] {
        let found = bench.rows(&table, &Pin::Latest, &["region", "id", "even"], Some(filter.clone())).await?;
        assert_eq!(found.len(), rows, "{filter}");
        let read = bench.files_read(&table, &["region", "id", "even"], Some(filter.clone())).await?;
        // Bounds of other columns are in a log.
        let by_partitions = filter.column_refs().iter().all(|column| column.name != "id");
        assert_eq!(read, if fixture.keeps_log() || by_partitions { files } else { 4 }, "{filter}");
    }
    let found = bench.rows(&table, &Pin::Latest, &["even", "region", "id"], Some(col("id").eq(lit(5)))).await?;
    assert_eq!(found, ["false|a b/c=%41&ü|5"]);
    let found = bench.rows(&table, &Pin::Latest, &["region", "id"], Some(col("id").eq(lit(7)))).await?;
    assert_eq!(found, ["NULL|7"]);
    Ok(())
}

async fn evolved(fixture: &dyn Fixture, directory: &Path) -> Result<(), Failed> {
    let bench = Bench::new(fixture.format(), fixture.clock(), directory.parent().ok_or("no parent")?)?;
    let narrow = batch(0, 3)?.project(&[0, 1])?;
    fixture.append(directory, narrow, &[]).await?;
    fixture.append(directory, batch(3, 5)?.project(&[2, 0, 1, 8])?, &[]).await?;
    let table = source(fixture, directory, &[])?;
    let found = bench.rows(&table, &Pin::Latest, &["id", "region", "more"], None).await?;
    let expected =
        ["0|EU|NULL", "1|a b/c=%41&ü|NULL", "2|US|NULL", "3|NULL|{x: 3, note: note 3}", "4|EU|{x: 4, note: note 4}"];
    assert_eq!(found, expected);
    Ok(())
}

async fn absent(fixture: &dyn Fixture, root: &Path) -> Result<(), Failed> {
    let bench = Bench::new(fixture.format(), fixture.clock(), root)?;
    let nowhere = root.join("nowhere");
    std::fs::create_dir_all(&nowhere)?;
    let missing = source(fixture, &nowhere, &[])?;
    let error = bench.tables.snapshot(&bench.stores, &missing, &Pin::Latest, None).await.err();
    assert!(matches!(error, Some(Error::NotFound { .. })), "{error:?}");
    let outside = Source::at(fixture.format().format(), "file:///etc/");
    let error = bench.tables.snapshot(&bench.stores, &outside, &Pin::Latest, None).await.err();
    assert!(matches!(error, Some(Error::OutsideStorage { .. })), "{error:?}");
    Ok(())
}
