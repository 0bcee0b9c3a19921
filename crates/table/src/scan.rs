//! The one scan: files of a snapshot, read with DataFusion's own Parquet source.

use std::sync::{Arc, LazyLock};

use arrow::array::BooleanArray;
use arrow::datatypes::Schema;
use datafusion::catalog::Session;
use datafusion::common::DFSchema;
use datafusion::common::config::{ConfigOptions, TableParquetOptions};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DataFusionError, Result};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_expr::Partitioning;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;

use crate::{Binding, DomainStores, FileSet};
use adapter::BindingAdapterFactory;
use reader::Readers;

mod access;
mod adapter;
mod deletes;
mod exec;
mod frozen;
mod loading;
mod loose;
mod plan;
mod reader;
mod rebind;

pub(crate) use deletes::{Deleted, Remains};
pub use exec::LakeScanExec;
pub use loading::{Absent, Charge, Loading};
pub(crate) use loose::Loose;
pub use loose::stored_columns;
pub use plan::loses_nothing;
pub(crate) use reader::Footers;

/// DataFusion wants a registered store for every scan. Ours holds nothing: [`Readers`] knows the real ones, and no plan
/// can name them.
pub(crate) static NOWHERE: LazyLock<ObjectStoreUrl> =
    LazyLock::new(|| ObjectStoreUrl::parse("meshgate://tables").expect("a scheme and a host"));

/// How the rows of a scan come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// In as many partitions as the session has, divided by the bytes of the files.
    Divided,
    /// In one partition, in the order of the files, read ahead by several tasks. SECURITY: for tables that hide rows or
    /// columns: how their bytes lie in files tells where the rest of the rows is delivered in no way.
    InOrder,
}

/// An extension of a session's configuration: files are read in the order of their names. The order in which a format lists
/// them depends on how this gateway came to know the version.
#[derive(Clone, Copy, Debug)]
pub struct SameOrder;

/// How many bytes of files a task reads ahead, at most.
const PIECE_BYTES: u64 = 8 << 20;

/// How many bytes from the end of a file the first read takes: nearly always the footer and the page index.
const FOOTER_GUESS_BYTES: usize = 256 * 1024;

/// What all tables of a gateway keep of the files they read.
#[derive(Clone, Debug)]
pub(crate) struct Caches {
    pub(crate) footers: Arc<Footers>,
    pub(crate) remains: Arc<Remains>,
}

impl Caches {
    /// Nothing is kept yet.
    pub(crate) fn new(footers_bytes: u64, deletes_bytes: u64) -> Self {
        Self { footers: Arc::new(Footers::new(footers_bytes)), remains: Arc::new(Remains::new(deletes_bytes)) }
    }
}

/// Where the files of a scan are and how they are read.
pub(crate) struct Files<'a> {
    pub(crate) files: &'a Arc<FileSet>,
    pub(crate) binding: &'a Arc<Binding>,
    pub(crate) stores: &'a Arc<DomainStores>,
    pub(crate) caches: &'a Caches,
}

/// Plans the scan of the files that `filters` do not rule out.
pub(crate) async fn build(
    session: &dyn Session,
    Files { files, binding, stores, caches }: Files<'_>,
    projection: &[usize],
    filters: &[Expr],
    delivery: Delivery,
) -> Result<Arc<dyn ExecutionPlan>> {
    let positions = projection
        .iter()
        .map(|column| files.position(*column))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| DataFusionError::Internal("projection beyond the table's columns".to_owned()))?;
    let mask = prune(session, files, filters)?;
    let readers = Arc::new(Readers::new(stores.clone(), caches.footers.clone()).of(files.loose()));
    let tasks = session.config().target_partitions();
    let selected = files.select(mask.as_ref());
    let mut selected = deletes::leave_out(selected, &readers, &caches.remains, session.task_ctx(), tasks).await?;
    if session.config().get_extension::<SameOrder>().is_some() {
        in_same_order(&mut selected);
    }
    if selected.is_empty() {
        return Ok(Arc::new(EmptyExec::new(Arc::new(files.scan_schema().project(&positions)?))));
    }
    let (in_files, constant) = files.scan_schema().fields().split_at(files.file_columns());
    let table = TableSchema::builder(Arc::new(Schema::new(in_files.to_vec())))
        .with_table_partition_cols(constant.to_vec())
        .build();
    let source = parquet_source(session.config_options(), table, readers);
    let groups = match delivery {
        Delivery::Divided => vec![FileGroup::new(selected)],
        Delivery::InOrder => pieces(selected),
    };
    // Unless the pieces are told to be the partitions, the optimizer makes of them as many as it has tasks, and all but the
    // first of these would wait.
    let pieces = (delivery == Delivery::InOrder).then(|| Partitioning::UnknownPartitioning(groups.len()));
    let config = FileScanConfigBuilder::new(NOWHERE.clone(), source)
        .with_file_groups(groups)
        .with_output_partitioning(pieces)
        .with_preserve_order(delivery == Delivery::InOrder)
        .with_statistics(files.statistics(mask.as_ref())?)
        .with_expr_adapter(Some(Arc::new(BindingAdapterFactory::new(binding.clone()))))
        .with_projection_indices(Some(positions))?
        .build();
    let scan = DataSourceExec::from_data_source(config);
    Ok(Arc::new(match delivery {
        Delivery::Divided => LakeScanExec::divided(divide(session, scan)?),
        Delivery::InOrder => LakeScanExec::in_order(scan, tasks),
    }))
}

/// How files are read, whatever for.
fn parquet_source(options: &ConfigOptions, table: TableSchema, readers: Arc<Readers>) -> Arc<ParquetSource> {
    let mut global = options.execution.parquet.clone();
    // Read as nanoseconds, INT96 wraps around outside the years 1677 to 2262, and Spark's `9999-12-31` is far outside.
    global.coerce_int96 = Some("us".to_owned());
    let options = TableParquetOptions { global, ..TableParquetOptions::new() };
    let guess = options.global.metadata_size_hint.unwrap_or(FOOTER_GUESS_BYTES);
    let source = ParquetSource::new(table)
        .with_table_parquet_options(options)
        .with_parquet_file_reader_factory(readers)
        .with_metadata_size_hint(guess);
    Arc::new(source)
}

fn in_same_order(files: &mut [PartitionedFile]) {
    files.sort_by(|one, other| one.object_meta.location.cmp(&other.object_meta.location));
}

/// The files in pieces of about [`PIECE_BYTES`], in their order: parts of large ones, several small ones.
fn pieces(files: Vec<PartitionedFile>) -> Vec<FileGroup> {
    let (mut pieces, mut small, mut small_bytes) = (Vec::new(), Vec::new(), 0);
    for file in files {
        let bytes = file.object_meta.size;
        if small_bytes + bytes > PIECE_BYTES && !small.is_empty() {
            pieces.push(FileGroup::new(std::mem::take(&mut small)));
            small_bytes = 0;
        }
        if bytes <= PIECE_BYTES {
            small_bytes += bytes;
            small.push(file);
            continue;
        }
        let parts = bytes.div_ceil(PIECE_BYTES);
        let starts =
            (0..=parts).map(|part| i64::try_from(bytes * part / parts).unwrap_or(i64::MAX)).collect::<Vec<_>>();
        pieces.extend(starts.windows(2).map(|range| FileGroup::new(vec![file.clone().with_range(range[0], range[1])])));
    }
    if !small.is_empty() {
        pieces.push(FileGroup::new(small));
    }
    pieces
}

/// Divides the files among the session's partitions by bytes; small tables stay whole.
fn divide(session: &dyn Session, scan: Arc<DataSourceExec>) -> Result<Arc<dyn ExecutionPlan>> {
    let partitions = session.config().target_partitions();
    let divided = scan.repartitioned(partitions, session.config_options())?;
    Ok(divided.unwrap_or(scan))
}

/// Which files may hold rows that fulfil all filters; none if all may.
fn prune(session: &dyn Session, files: &Arc<FileSet>, filters: &[Expr]) -> Result<Option<BooleanArray>> {
    let Some(filter) = conjunction(filters.iter().cloned()) else { return Ok(None) };
    let schema = files.scan_schema();
    let by_name = filter.transform(|expr| match expr {
        Expr::Column(column) if column.relation.is_some() => {
            Ok(Transformed::yes(Expr::Column(Column::new_unqualified(column.name))))
        }
        other => Ok(Transformed::no(other)),
    })?;
    let known = DFSchema::try_from(schema.as_ref().clone())?;
    let predicate = match session.create_physical_expr(by_name.data, &known) {
        Ok(predicate) => predicate,
        Err(error) => {
            tracing::debug!(%error, "a filter that cannot prune");
            return Ok(None);
        }
    };
    let Some(pruning) = PruningPredicateBuilder::new().with_file_schema(schema.clone()).build(predicate) else {
        return Ok(None);
    };
    let statistics: &dyn PruningStatistics = files.as_ref();
    match pruning.prune(statistics) {
        Ok(kept) => Ok(Some(BooleanArray::from(kept)).filter(|kept| kept.false_count() > 0)),
        // SECURITY: such an error may quote a bound of a file, which says something of rows nobody may see.
        Err(error) => {
            tracing::debug!(%error, "statistics that a filter cannot be applied to");
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::datasource::listing::PartitionedFile;

    use super::in_same_order;

    #[test]
    fn order_does_not_depend_on_the_list() {
        let mut lists =
            [["b", "a/c", "a"], ["a", "b", "a/c"]].map(|names| names.map(|name| PartitionedFile::new(name, 1)));
        let ordered = lists.each_mut().map(|files| {
            in_same_order(files);
            files.each_ref().map(|file| file.object_meta.location.to_string())
        });
        assert_eq!(ordered[0], ["a", "a/c", "b"]);
        assert_eq!(ordered[0], ordered[1]);
    }
}
