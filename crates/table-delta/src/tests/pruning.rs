//! Large files with deletion vectors: pruned, divided, limited and filtered as others are.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{AsArray, Int64Array};
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use datafusion::datasource::source::DataSourceExec;
use datafusion::logical_expr::{Expr, col, lit};
use datafusion::physical_expr::expressions::col as column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::metrics::MetricValue;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use datafusion::prelude::{SessionConfig, SessionContext};
use deltalake::parquet::arrow::ArrowWriter;
use deltalake::parquet::file::properties::WriterProperties;
use futures::TryStreamExt;
use meshgate_table::conformance::Bench;
use meshgate_table::{Delivery, Format, Pin, Source};
use serde_json::json;

use super::Machine;
use crate::{DeltaFormat, VectorStorage, delete};

const ROWS: i64 = 2_000_000;
const ROWS_PER_GROUP: i64 = 100_000;
const DELIVERIES: [Delivery; 2] = [Delivery::Divided, Delivery::InOrder];

/// Single rows everywhere, whole row groups and parts of them, every other row of a row group.
fn is_deleted(id: i64) -> bool {
    id % 97 == 3 || (150_000..450_000).contains(&id) || ((500_000..600_000).contains(&id) && id % 2 == 1)
}

/// One file of 32 MB, in twenty row groups.
fn write(directory: &Path) -> Source {
    fs::create_dir_all(directory.join("_delta_log")).unwrap();
    let path = directory.join("rows.parquet");
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(usize::try_from(ROWS_PER_GROUP).unwrap()))
        .set_dictionary_enabled(false)
        .set_data_page_row_count_limit(5_000)
        .set_write_batch_size(5_000)
        .build();
    let rows = |from: i64| {
        let ids = from..from + ROWS_PER_GROUP;
        let noise = ids.clone().map(|id| id.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed()));
        RecordBatch::try_from_iter([
            ("id", Arc::new(Int64Array::from_iter_values(ids)) as _),
            ("noise", Arc::new(Int64Array::from_iter_values(noise)) as _),
        ])
    };
    let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), rows(0).unwrap().schema(), Some(properties));
    let writer_ref = writer.as_mut().unwrap();
    (0..ROWS).step_by(100_000).for_each(|from| writer_ref.write(&rows(from).unwrap()).unwrap());
    writer.unwrap().close().unwrap();
    let field = |name: &str| json!({"name": name, "type": "long", "nullable": true, "metadata": {}});
    let actions = [
        json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}),
        json!({"metaData": {"id": "5fba94ed-9794-4965-ba6e-6ee3c0d22af9", "format": {"provider": "parquet",
            "options": {}}, "schemaString": json!({"type": "struct", "fields": [field("id"), field("noise")]}).to_string(),
            "partitionColumns": [], "configuration": {}}}),
        json!({"add": {"path": "rows.parquet", "partitionValues": {}, "size": fs::metadata(&path).unwrap().len(),
            "modificationTime": 1_700_000_000_000_i64, "dataChange": true,
            "stats": json!({"numRecords": ROWS}).to_string()}}),
    ];
    let lines: Vec<_> = actions.iter().map(ToString::to_string).collect();
    fs::write(directory.join("_delta_log/00000000000000000000.json"), lines.join("\n")).unwrap();
    delete(directory, VectorStorage::Relative, |batch| {
        batch.column(0).as_primitive::<Int64Type>().iter().map(|id| id.map(is_deleted)).collect()
    })
    .unwrap();
    Source::at(Format::Delta, url::Url::from_directory_path(directory).unwrap())
}

fn context() -> SessionContext {
    let mut config = SessionConfig::new().with_target_partitions(2);
    config.options_mut().execution.parquet.pushdown_filters = true;
    SessionContext::new_with_config(config)
}

async fn ids(plan: &Arc<dyn ExecutionPlan>, partition: usize) -> Vec<i64> {
    let rows = plan.execute(partition, context().task_ctx()).unwrap();
    let batches: Vec<RecordBatch> = rows.try_collect().await.unwrap();
    batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
}

/// What two partitions give when each is asked for a batch in turn. One that is read alone takes the part of the other, too.
async fn in_turn(plan: &Arc<dyn ExecutionPlan>) -> (Vec<i64>, Vec<i64>) {
    let mut streams = [0, 1].map(|partition| plan.execute(partition, context().task_ctx()).unwrap());
    let mut ids = [Vec::new(), Vec::new()];
    let mut open = true;
    while open {
        open = false;
        for (stream, ids) in streams.iter_mut().zip(&mut ids) {
            if let Some(batch) = stream.try_next().await.unwrap() {
                ids.extend(batch.column(0).as_primitive::<Int64Type>().values());
                open = true;
            }
        }
    }
    ids.into()
}

async fn all_ids(plan: &Arc<dyn ExecutionPlan>) -> Vec<i64> {
    let mut all = Vec::new();
    for partition in 0..plan.output_partitioning().partition_count() {
        all.extend(ids(plan, partition).await);
    }
    all
}

fn optimised(mut plan: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    let state = context().state();
    for rule in state.physical_optimizers() {
        plan = rule.optimize(plan, state.config_options()).unwrap();
    }
    plan
}

/// A figure of the Parquet source: how many were ruled out, or how many there were.
fn measured(plan: &Arc<dyn ExecutionPlan>, name: &str) -> usize {
    let own = plan.metrics().filter(|_| plan.is::<DataSourceExec>()).map_or(0, |metrics| {
        let of_name = metrics.iter().filter(|metric| metric.value().name() == name);
        of_name
            .map(|metric| match metric.value() {
                MetricValue::PruningMetrics { pruning_metrics, .. } => pruning_metrics.pruned(),
                other => other.as_usize(),
            })
            .sum()
    });
    own + plan.children().into_iter().map(|child| measured(child, name)).sum::<usize>()
}

#[tokio::test(flavor = "multi_thread")]
async fn large_files_with_deletion_vectors_are_read_as_others_are() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().canonicalize().unwrap();
    let source = write(&root.join("large"));
    let bench = Bench::new(Arc::new(DeltaFormat), Arc::new(Machine), &root).unwrap();
    let plan = |columns: &'static [&'static str], filter: Option<Expr>, delivery| {
        let (bench, source) = (&bench, &source);
        async move { bench.plan(source, &Pin::Latest, columns, filter, delivery).await.unwrap() }
    };
    let left: Vec<i64> = (0..ROWS).filter(|id| !is_deleted(*id)).collect();

    // All rows, in parts of the file.
    let divided = plan(&["id"], None, Delivery::Divided).await;
    assert_eq!(divided.output_partitioning().partition_count(), 2);
    let (first, second) = in_turn(&divided).await;
    assert!(first.len().min(second.len()) > left.len() / 4, "{} and {} rows", first.len(), second.len());
    let mut both = [first, second].concat();
    both.sort_unstable();
    assert_eq!(both, left);
    let in_order = plan(&["id"], None, Delivery::InOrder).await;
    assert_eq!(all_ids(&in_order).await, left);
    let pieces = in_order.children()[0].output_partitioning().partition_count();
    assert!(pieces > 2, "{pieces} pieces");

    // A narrow range over the border of row groups, and one in the row group of bits.
    for (from, to) in [(799_000_i64, 801_000_i64), (520_000, 521_000), (440_000, 460_000), (200_000, 210_000)] {
        let filter = || Some(col("id").gt_eq(lit(from)).and(col("id").lt(lit(to))));
        let expected: Vec<_> = left.iter().copied().filter(|id| (from..to).contains(id)).collect();
        for delivery in DELIVERIES {
            let plan = plan(&["id", "noise"], filter(), delivery).await;
            assert_eq!(all_ids(&plan).await, expected, "{from} {delivery:?}");
            let groups = usize::try_from((to - 1) / ROWS_PER_GROUP - from / ROWS_PER_GROUP + 1).unwrap();
            // Those of which no row is left are not counted.
            let pruned = measured(&plan, "row_groups_pruned_statistics");
            assert!(pruned >= 18 - groups, "{from} {delivery:?}: {pruned} row groups pruned");
            if !expected.is_empty() {
                assert!(measured(&plan, "page_index_rows_pruned") > 50_000, "{from} {delivery:?}: pages pruned");
            }
            let bytes = measured(&plan, "bytes_scanned");
            assert!(bytes < 3_000_000, "{from} {delivery:?}: {bytes} bytes read");
        }
    }

    // Limits: as many rows as asked for, with and without a filter that whole row groups fulfil.
    for delivery in DELIVERIES {
        for (filter, limit) in [(None, 7), (None, 60_000), (Some(col("id").gt_eq(lit(500_000_i64))), 55_000)] {
            let scan = plan(&["id"], filter.clone(), delivery).await;
            let single = Arc::new(CoalescePartitionsExec::new(scan));
            let limited = optimised(Arc::new(GlobalLimitExec::new(single, 0, Some(limit))));
            let found = all_ids(&limited).await;
            assert_eq!(found.len(), limit, "{filter:?} {delivery:?}");
            assert!(found.iter().all(|id| !is_deleted(*id) && (filter.is_none() || *id >= 500_000)));
        }
    }

    // The greatest of a range whose greatest rows are deleted: what TopK learns reaches the source.
    for delivery in DELIVERIES {
        let scan = plan(&["id"], Some(col("id").lt(lit(450_000_i64))), delivery).await;
        let by_id = PhysicalSortExpr::new_default(column("id", &scan.schema()).unwrap()).desc();
        let sort = SortExec::new(LexOrdering::new([by_id]).unwrap(), scan).with_preserve_partitioning(true);
        let sort = Arc::new(sort.with_fetch(Some(3))) as Arc<dyn ExecutionPlan>;
        let mut found = all_ids(&optimised(sort)).await;
        found.sort_unstable();
        let greatest: Vec<_> = left.iter().copied().filter(|id| *id < 450_000).rev().take(3).collect();
        assert!(greatest.iter().all(|id| found.contains(id)), "{delivery:?}: {found:?}");
        assert!(found.iter().all(|id| !is_deleted(*id)));
    }
}
