//! The live files of a version, from the log.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StructArray, UInt64Array, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Int64Type, SchemaRef, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use deltalake::table::state::DeltaTableState;
use meshgate_table::{ColumnStats, DataFile, Deletes, DomainStores, Error, FileList, FileSet, Located};
use object_store::path::Path;
use percent_encoding::percent_decode_str;

use crate::error::translate;
use crate::schema::physical_name;
use crate::table::columns;
use crate::vector::Vectors;

/// Lists the files of one version.
#[derive(Debug)]
pub(crate) struct DeltaFiles {
    pub(crate) state: DeltaTableState,
    pub(crate) schema: SchemaRef,
    pub(crate) root: Located,
    pub(crate) stores: Arc<DomainStores>,
}

#[async_trait]
impl FileList for DeltaFiles {
    async fn load(&self) -> Result<FileSet, Error> {
        let adds = self
            .state
            .add_actions_table(false)
            .map_err(|error| translate("listing the files of a Delta table", &self.root.url, error))?;
        let count = adds.num_rows();
        let partition_columns = self.state.metadata().partition_columns();
        let partitions = struct_column(&adds, "partition");
        let (then, _) = columns(&self.state)?;
        let mut constants = Vec::new();
        for name in partition_columns {
            let column = then.field_with_name(name).map_err(|_| broken("a partition column is not in the schema"))?;
            // By its physical name: the column may be called otherwise today, or be gone.
            let same = |field: &FieldRef| physical_name(field) == physical_name(column);
            let Some(index) = self.schema.fields().iter().position(same) else { continue };
            let values = partitions.and_then(|values| values.column_by_name(name));
            let values = values.ok_or_else(|| broken("partition values are missing"))?;
            constants.push((index, cast_to(values, self.schema.field(index).data_type())?));
        }
        let stats = self.schema.fields().iter().map(|field| {
            let of = |group| struct_column(&adds, group)?.column_by_name(physical_name(field)).cloned();
            column_stats(field.data_type(), of("min"), of("max"), of("null_count"), count)
        });
        let stats = stats.collect::<Result<Vec<_>, Error>>()?;
        FileSet::new(&self.schema, self.data_files(&adds)?, constants, stats)
    }
}

impl DeltaFiles {
    fn data_files(&self, adds: &RecordBatch) -> Result<Vec<DataFile>, Error> {
        let text = |name| {
            let column = adds.column_by_name(name).ok_or_else(|| broken("add actions without paths"))?;
            cast_to(column, &DataType::Utf8)
        };
        let number = |name| {
            let column = adds.column_by_name(name).ok_or_else(|| broken("add actions without sizes"))?;
            cast_to(column, &DataType::Int64)
        };
        let (paths, sizes, rows) = (text("path")?, number("size_bytes")?, number("num_records")?);
        let made = number("modification_time")?;
        let made: &Int64Array = made.as_primitive();
        let vectors = struct_column(adds, "deletion_vector").map(Vectors::new).transpose()?;
        let vectors = vectors.as_ref();
        if vectors.is_none() {
            self.refuse_unannounced_vectors()?;
        }
        let paths = paths.as_string::<i32>();
        let sizes: &Int64Array = sizes.as_primitive();
        let rows: &Int64Array = rows.as_primitive();
        (0..adds.num_rows())
            .map(|at| {
                let size = u64::try_from(sizes.value(at)).map_err(|_| broken("a negative file size"))?;
                let rows = if rows.is_valid(at) { u64::try_from(rows.value(at)).ok() } else { None };
                let (grant, path) = self.locate(paths.value(at))?;
                let made_ms = made.is_valid(at).then(|| made.value(at));
                let vector = match vectors {
                    Some(vectors) => vectors.get(at, |path| self.below(path), |path| self.stores.locate(path))?,
                    None => None,
                };
                let deletes = vector.map(|vector| Arc::new(vector) as Arc<dyn Deletes>);
                Ok(DataFile { grant, path, size, rows, made_ms, e_tag: None, deletes })
            })
            .collect()
    }

    /// SECURITY: the library gives no deletion vectors of a table whose protocol does not name them; they are in the log
    /// all the same, and without them deleted rows would be back.
    fn refuse_unannounced_vectors(&self) -> Result<(), Error> {
        if self.state.log_data().iter().any(|file| file.deletion_vector_descriptor().is_some()) {
            return Err(broken("deletion vectors that the protocol does not name"));
        }
        Ok(())
    }

    /// A plain path below the table's directory. SECURITY: `Path::parse` refuses `.`, `..` and empty parts.
    fn below(&self, path: &str) -> Result<Located, Error> {
        let below = Path::parse(path).ok().filter(|below| below.as_ref() == path);
        let below = below.ok_or_else(|| broken("a path that is none"))?;
        let path = self.root.path.parts().chain(below.parts()).collect();
        Ok(Located { url: format!("{}/{below}", self.root.url), path, ..self.root.clone() })
    }

    /// Paths in the log are percent-encoded: relative to the table, or absolute.
    fn locate(&self, path: &str) -> Result<(usize, Path), Error> {
        if !path.starts_with('/') && !has_scheme(path) {
            let decoded = percent_decode_str(path).decode_utf8().map_err(|_| broken("a path that is no UTF-8"))?;
            // SECURITY: plain names under the table's own, contained directory need no look at the disk; `Path::parse`
            // refuses `.`, `..` and empty parts.
            if let Ok(path) = Path::parse(decoded.as_ref())
                && path.as_ref() == decoded.as_ref()
            {
                return Ok((self.root.grant, self.root.path.parts().chain(path.parts()).collect()));
            }
            let located = self.stores.locate(&format!("{}/{path}", self.root.url))?;
            return Ok((located.grant, located.path));
        }
        let located = self.stores.locate(path)?;
        Ok((located.grant, located.path))
    }
}

fn has_scheme(path: &str) -> bool {
    path.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    })
}

fn struct_column<'a>(adds: &'a RecordBatch, name: &str) -> Option<&'a StructArray> {
    adds.column_by_name(name)?.as_struct_opt()
}

fn column_stats(
    data_type: &DataType,
    min: Option<ArrayRef>,
    max: Option<ArrayRef>,
    nulls: Option<ArrayRef>,
    count: usize,
) -> Result<Option<ColumnStats>, Error> {
    if data_type.is_nested() || (min.is_none() && max.is_none() && nulls.is_none()) {
        return Ok(None);
    }
    let bound = |values: Option<ArrayRef>| match values {
        Some(values) => cast_to(&values, data_type),
        None => Ok(new_null_array(data_type, count)),
    };
    // NaN is greater than every number, and the log's bounds do not tell of it.
    let max = bound(max.filter(|_| !data_type.is_floating()))?;
    // The log keeps milliseconds, rounded down.
    let max: ArrayRef = match max.as_primitive_opt::<TimestampMicrosecondType>() {
        Some(values) => {
            let up = values.unary::<_, TimestampMicrosecondType>(|micros| micros.saturating_add(999));
            Arc::new(up.with_data_type(data_type.clone()))
        }
        None => max,
    };
    let nulls = match nulls {
        Some(nulls) if nulls.data_type() == &DataType::Int64 => {
            nulls.as_primitive::<Int64Type>().iter().map(|n| n.and_then(|n| u64::try_from(n).ok())).collect()
        }
        _ => UInt64Array::new_null(count),
    };
    // Bounds only: long strings are cut, and nothing obliges a writer to exact ones.
    Ok(Some(ColumnStats { min: bound(min)?, max, nulls, constant: None }))
}

fn cast_to(values: &ArrayRef, to: &DataType) -> Result<ArrayRef, Error> {
    if values.data_type() == to {
        return Ok(values.clone());
    }
    cast(values, to).map_err(|error| Error::format("reading a Delta table's statistics", error))
}

fn broken(reason: &str) -> Error {
    Error::malformed(format!("Delta log: {reason}"))
}
