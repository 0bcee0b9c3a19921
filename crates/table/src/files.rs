//! The live files of one version of a table, with what is known about their contents without opening them.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, UInt64Array};
use arrow::compute::kernels::aggregate;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, ColumnStatistics, ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use meshgate_model::mutant;
use object_store::ObjectMeta;
use object_store::path::Path;

use crate::scan::{Deleted, Loose};
use crate::{Binding, Deletes, Error, Located};

/// One data file.
#[derive(Clone, Debug)]
pub struct DataFile {
    /// Which grant's store holds it.
    pub grant: usize,
    /// Its path in that store.
    pub path: Path,
    /// Its size in bytes.
    pub size: u64,
    /// Its number of rows, deleted ones included, if the metadata says.
    pub rows: Option<u64>,
    /// When it was made, in milliseconds since 1970, if the metadata says: a table that was made anew may use the names
    /// of the old one.
    pub made_ms: Option<i64>,
    /// The store's tag of its content, if it came with a listing.
    pub e_tag: Option<String>,
    /// Which of its rows are deleted. [`Self::rows`] counts them.
    pub deletes: Option<Arc<dyn Deletes>>,
}

/// What is known of one column, file by file. All arrays are as long as the list of files.
#[derive(Clone, Debug)]
pub struct ColumnStats {
    /// No value is smaller. NULL: not known. Of the column's type.
    pub min: ArrayRef,
    /// No value is greater. NULL: not known. Of the column's type.
    pub max: ArrayRef,
    /// How many values are NULL. NULL: not known.
    pub nulls: UInt64Array,
    /// Which files have one value in all rows, `min` and `max` alike, whatever the file itself holds. All others have
    /// mere bounds.
    pub constant: Option<BooleanArray>,
}

/// All live files of a version.
pub struct FileSet {
    /// Columns of files, then constant columns: the order the scan works in.
    scan_schema: SchemaRef,
    /// How many columns of `scan_schema` are in files.
    file_columns: usize,
    /// For each column of the table, where it is in `scan_schema`.
    positions: Vec<usize>,
    files: Vec<PartitionedFile>,
    /// In the order of `scan_schema`.
    columns: Vec<Option<ColumnStats>>,
    /// How many rows the files have, deleted ones included.
    rows: UInt64Array,
    /// How many of these are deleted, 0 if nothing is said; NULL for files without deletes.
    deleted: UInt64Array,
    bytes: u64,
    /// For files that no log speaks for.
    loose: Option<Arc<Loose>>,
}

impl DataFile {
    /// A file that was located.
    pub fn new(located: &Located, size: u64, rows: Option<u64>) -> Self {
        Self { grant: located.grant, path: located.path.clone(), size, rows, made_ms: None, e_tag: None, deletes: None }
    }

    /// The file as readers take it.
    pub(crate) fn entry(&self) -> PartitionedFile {
        // The grant's number is the first part of the path: the reader finds the store by it.
        let grant = object_store::path::PathPart::from(self.grant.to_string());
        PartitionedFile::new_from_meta(ObjectMeta {
            location: Path::from_iter(std::iter::once(grant).chain(self.path.parts())),
            last_modified: self.made_ms.and_then(chrono::DateTime::from_timestamp_millis).unwrap_or_default(),
            size: self.size,
            e_tag: self.e_tag.clone(),
            version: None,
        })
    }
}

impl FileSet {
    /// Puts a list together. `constants` gives, for each column of the table that has one value per file, those values;
    /// `stats` gives what is known of the other columns; both by index in the table's schema.
    pub fn new(
        schema: &SchemaRef,
        files: Vec<DataFile>,
        constants: Vec<(usize, ArrayRef)>,
        mut stats: Vec<Option<ColumnStats>>,
    ) -> Result<Self, Error> {
        let count = files.len();
        stats.resize_with(schema.fields().len(), || None);
        let is_constant: HashSet<usize> = constants.iter().map(|(index, _)| *index).collect();
        let order: Vec<usize> = (0..schema.fields().len())
            .filter(|index| !is_constant.contains(index))
            .chain(constants.iter().map(|(index, _)| *index))
            .collect();
        let mut positions = vec![0; order.len()];
        order.iter().enumerate().for_each(|(position, index)| positions[*index] = position);
        let rows: UInt64Array = files.iter().map(|file| file.rows).collect();
        let deleted = files.iter().map(|file| Some(file.deletes.as_ref()?.rows().unwrap_or(0))).collect();
        for (index, values) in &constants {
            stats[*index] = Some(constant_stats(values, &rows));
        }
        let columns: Vec<Option<ColumnStats>> = order.iter().map(|index| stats[*index].take()).collect();
        let fits =
            |stats: &ColumnStats| stats.min.len() == count && stats.max.len() == count && stats.nulls.len() == count;
        if !columns.iter().flatten().all(fits) {
            return Err(Error::malformed("column statistics do not match the list of files"));
        }
        let bytes = files.iter().map(|file| file.size).sum();
        let files = files
            .into_iter()
            .enumerate()
            .map(|(at, file)| partitioned_file(at, file, &constants, &columns))
            .collect::<Result<_, Error>>()?;
        let scan_schema =
            Arc::new(Schema::new(order.iter().map(|index| schema.fields()[*index].clone()).collect::<Vec<_>>()));
        let file_columns = order.len() - constants.len();
        Ok(Self { scan_schema, file_columns, positions, files, columns, rows, deleted, bytes, loose: None })
    }

    /// The same files, but as no log speaks for them: each is compared with the table's columns when it is opened, and
    /// with what was listed whenever it is read.
    pub fn without_log(mut self, table: &str, binding: &Binding) -> Self {
        let fields = self.scan_schema.fields()[..self.file_columns].to_vec();
        self.loose = Some(Arc::new(Loose::new(table, fields.into(), binding.clone())));
        self
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether the table is empty.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The size of all files.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The number of rows, if it is known of every file and none has deletes: what a log says of those is not checked
    /// before they are read.
    pub fn rows(&self) -> Option<u64> {
        let exact = self.rows.null_count() == 0 && self.is_whole();
        exact.then(|| self.rows.values().iter().sum())
    }

    /// Whether nothing of the files is deleted.
    pub fn is_whole(&self) -> bool {
        self.deleted.null_count() == self.len() || mutant("a table with deleted rows hides nothing")
    }

    pub(crate) fn loose(&self) -> Option<&Arc<Loose>> {
        self.loose.as_ref()
    }

    pub(crate) fn scan_schema(&self) -> &SchemaRef {
        &self.scan_schema
    }

    pub(crate) fn file_columns(&self) -> usize {
        self.file_columns
    }

    pub(crate) fn position(&self, table_column: usize) -> Option<usize> {
        self.positions.get(table_column).copied()
    }

    /// The files a mask keeps; all without one.
    pub(crate) fn select(&self, mask: Option<&BooleanArray>) -> Vec<PartitionedFile> {
        match mask {
            None => self.files.clone(),
            Some(mask) => self
                .files
                .iter()
                .zip(mask.values().iter())
                .filter(|(_, keep)| *keep)
                .map(|(file, _)| file.clone())
                .collect(),
        }
    }

    /// What is known of the selected files together, for the order of joins.
    pub(crate) fn statistics(&self, mask: Option<&BooleanArray>) -> Result<Statistics, Error> {
        let selected = |array: &dyn Array| -> Result<ArrayRef, Error> {
            match mask {
                None => Ok(array.slice(0, array.len())),
                Some(mask) => {
                    Ok(arrow::compute::filter(array, mask).map_err(datafusion::error::DataFusionError::from)?)
                }
            }
        };
        let sum = |array: &ArrayRef| {
            let sum = aggregate::sum(arrow::array::AsArray::as_primitive::<arrow::datatypes::UInt64Type>(array));
            usize::try_from(sum.unwrap_or(0)).unwrap_or(usize::MAX)
        };
        let deleted = selected(&self.deleted)?;
        // SECURITY: what is said of deleted rows must not be taken for the truth about those that are left.
        let whole = deleted.null_count() == deleted.len();
        let total = |array: &UInt64Array| -> Result<Precision<usize>, Error> {
            let array = selected(array)?;
            let total = if array.null_count() == 0 { Precision::Exact(sum(&array)) } else { Precision::Absent };
            Ok(if whole { total } else { total.to_inexact() })
        };
        let mut statistics = Statistics::new_unknown(&self.scan_schema);
        statistics.num_rows = total(&self.rows)?.map(|rows| rows.saturating_sub(sum(&deleted)));
        let bytes: u64 = match mask {
            None => self.bytes,
            Some(mask) => self
                .files
                .iter()
                .zip(mask.values().iter())
                .filter(|(_, keep)| *keep)
                .map(|(f, _)| f.object_meta.size)
                .sum(),
        };
        statistics.total_byte_size = Precision::Inexact(usize::try_from(bytes).unwrap_or(usize::MAX));
        for (target, known) in statistics.column_statistics.iter_mut().zip(&self.columns) {
            let Some(known) = known else { continue };
            target.null_count = total(&known.nulls)?;
            let (min, max) = (selected(&known.min)?, selected(&known.max)?);
            target.min_value = bound(&min, datafusion::functions_aggregate::min_max::MinAccumulator::try_new)?;
            target.max_value = bound(&max, datafusion::functions_aggregate::min_max::MaxAccumulator::try_new)?;
        }
        Ok(statistics)
    }
}

/// The smallest or greatest of the files' bounds; unknown if it is unknown of one.
fn bound<A: datafusion::logical_expr::Accumulator>(
    bounds: &ArrayRef,
    make: impl Fn(&arrow::datatypes::DataType) -> datafusion::error::Result<A>,
) -> Result<Precision<ScalarValue>, Error> {
    if bounds.is_empty() || bounds.null_count() > 0 || bounds.data_type().is_nested() {
        return Ok(Precision::Absent);
    }
    let Ok(mut accumulator) = make(bounds.data_type()) else { return Ok(Precision::Absent) };
    accumulator.update_batch(std::slice::from_ref(bounds))?;
    Ok(Precision::Inexact(accumulator.evaluate()?))
}

/// A constant is its own minimum and maximum.
fn constant_stats(values: &ArrayRef, rows: &UInt64Array) -> ColumnStats {
    let nulls = (0..values.len())
        .map(|at| if values.is_null(at) { rows.is_valid(at).then(|| rows.value(at)) } else { Some(0) })
        .collect();
    ColumnStats {
        min: values.clone(),
        max: values.clone(),
        nulls,
        constant: Some(BooleanArray::from(vec![true; values.len()])),
    }
}

fn partitioned_file(
    at: usize,
    file: DataFile,
    constants: &[(usize, ArrayRef)],
    columns: &[Option<ColumnStats>],
) -> Result<PartitionedFile, Error> {
    let rows = file.rows.and_then(|rows| usize::try_from(rows).ok()).map_or(Precision::Absent, Precision::Exact);
    let column_statistics = columns
        .iter()
        .map(|known| match known {
            None => Ok(ColumnStatistics::new_unknown()),
            Some(known) => file_column(at, known),
        })
        .collect::<Result<_, Error>>()?;
    let total_byte_size = Precision::Inexact(usize::try_from(file.size).unwrap_or(usize::MAX));
    let mut statistics = Statistics { num_rows: rows, total_byte_size, column_statistics };
    if let Some(deletes) = &file.deletes {
        let deleted = usize::try_from(deletes.rows().unwrap_or(0)).unwrap_or(usize::MAX);
        statistics = inexact(statistics, at, columns);
        statistics.num_rows = statistics.num_rows.map(|rows| rows.saturating_sub(deleted));
    }
    let values = constants.iter().map(|(_, values)| Ok(ScalarValue::try_from_array(values, at)?));
    let mut entry = file.entry();
    entry.partition_values = values.collect::<Result<_, Error>>()?;
    entry.statistics = Some(Arc::new(statistics));
    if let Some(deletes) = file.deletes.filter(|_| !mutant("deleted rows are read")) {
        entry.extensions.insert(Deleted { deletes, rows: file.rows });
    }
    Ok(entry)
}

/// What is known of a file some of whose rows are deleted. What stands in all rows stands in those that are left, and
/// readers put it there, whatever the file itself holds.
fn inexact(statistics: Statistics, at: usize, columns: &[Option<ColumnStats>]) -> Statistics {
    let exact = statistics.column_statistics.clone();
    let mut statistics = statistics.to_inexact();
    for ((target, exact), known) in statistics.column_statistics.iter_mut().zip(exact).zip(columns) {
        let constant = known.as_ref().and_then(|known| known.constant.as_ref());
        if constant.is_some_and(|constant| constant.value(at)) && exact.null_count == Precision::Exact(0) {
            *target = exact;
        }
    }
    statistics
}

fn file_column(at: usize, known: &ColumnStats) -> Result<ColumnStatistics, Error> {
    let mut statistics = ColumnStatistics::new_unknown();
    if known.nulls.is_valid(at) {
        statistics.null_count = Precision::Exact(usize::try_from(known.nulls.value(at)).unwrap_or(usize::MAX));
    }
    let constant = known.constant.as_ref().is_some_and(|constant| constant.value(at));
    let value = |array: &ArrayRef| -> Result<Precision<ScalarValue>, Error> {
        if array.is_null(at) {
            return Ok(Precision::Absent);
        }
        let value = ScalarValue::try_from_array(array, at)?;
        Ok(if constant { Precision::Exact(value) } else { Precision::Inexact(value) })
    };
    statistics.min_value = value(&known.min)?;
    statistics.max_value = value(&known.max)?;
    Ok(statistics)
}

/// Stands for the number of rows of a file that says none: no known number of NULLs is like it.
const UNKNOWN_ROWS: u64 = u64::MAX;

impl PruningStatistics for FileSet {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        Some(self.known(column)?.min.clone())
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        Some(self.known(column)?.max.clone())
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let known = self.known(column)?;
        let Some(constant) = &known.constant else { return Some(Arc::new(known.nulls.clone())) };
        // A constant NULL is in all rows, however many these are.
        let all_null = |at: usize| constant.value(at) && known.min.is_null(at);
        let nulls = known.nulls.iter().enumerate();
        let nulls = nulls.map(|(at, nulls)| nulls.or_else(|| all_null(at).then_some(UNKNOWN_ROWS)));
        Some(Arc::new(nulls.collect::<UInt64Array>()))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(self.rows.iter().map(|rows| Some(rows.unwrap_or(UNKNOWN_ROWS))).collect::<UInt64Array>()))
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

impl FileSet {
    fn known(&self, column: &Column) -> Option<&ColumnStats> {
        self.columns.get(self.scan_schema.index_of(column.name()).ok()?)?.as_ref()
    }
}

impl fmt::Debug for FileSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSet").field("files", &self.files.len()).field("bytes", &self.bytes).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BooleanArray, StringViewArray, UInt64Array};
    use arrow::datatypes::{DataType, Field, Schema};
    use async_trait::async_trait;
    use datafusion::common::stats::Precision;
    use object_store::path::Path;
    use roaring::RoaringTreemap;

    use super::{ColumnStats, DataFile, FileSet};
    use crate::{Deletes, Error, Loading};

    #[derive(Debug)]
    struct Some3;

    #[async_trait]
    impl Deletes for Some3 {
        fn id(&self) -> &'static str {
            "3"
        }

        fn rows(&self) -> Option<u64> {
            Some(3)
        }

        async fn load(&self, _: &Loading) -> Result<RoaringTreemap, Error> {
            Ok((0..3).collect())
        }
    }

    /// The value of a partition stands in the rows that are left, and a file need not hold it.
    #[test]
    fn constants_stay_where_rows_are_deleted() {
        let schema = Arc::new(Schema::new(vec![Field::new("region", DataType::Utf8View, true)]));
        let file = DataFile {
            grant: 0,
            path: Path::from("a.parquet"),
            size: 100,
            rows: Some(10),
            made_ms: None,
            e_tag: None,
            deletes: Some(Arc::new(Some3)),
        };
        let files = vec![file.clone(), file];
        let values = Arc::new(StringViewArray::from(vec!["EU", "EU"]));
        let stats = ColumnStats {
            min: values.clone(),
            max: values,
            nulls: UInt64Array::from(vec![0, 0]),
            constant: Some(BooleanArray::from(vec![true, false])),
        };
        let set = FileSet::new(&schema, files, Vec::new(), vec![Some(stats)]).unwrap();
        let known = set.select(None).into_iter().map(|file| {
            let statistics = file.statistics.unwrap();
            let column = &statistics.column_statistics[0];
            assert_eq!(statistics.num_rows, Precision::Inexact(7));
            let exact = [column.min_value.is_exact(), column.max_value.is_exact(), column.null_count.is_exact()];
            exact.map(Option::unwrap)
        });
        assert_eq!(known.collect::<Vec<_>>(), [[true; 3], [false; 3]]);
        assert_eq!(set.rows(), None);
    }
}
