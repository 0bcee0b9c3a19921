//! Files that no log speaks for: they may contradict each other, and be replaced at any time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use datafusion::common::DataFusionError;
use datafusion::datasource::physical_plan::parquet::Int96Coercer;
use object_store::path::Path;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::ParquetMetaData;

use super::plan::Matcher;
use super::reader::{Footers, Readers};
use crate::{Binding, DataFile, DomainStores, Error, FileSet};

/// What the files of one listing have to be.
#[derive(Debug)]
pub(crate) struct Loose {
    /// The table's address, for errors that users read.
    table: String,
    /// The columns that are in files.
    fields: Fields,
    binding: Binding,
    outdated: AtomicBool,
}

impl Loose {
    /// Nothing was found to be otherwise yet.
    pub(crate) fn new(table: &str, fields: Fields, binding: Binding) -> Self {
        Self { table: table.to_owned(), fields, binding, outdated: AtomicBool::new(false) }
    }

    /// Whether a file was replaced since it was listed.
    pub(crate) fn is_outdated(&self) -> bool {
        self.outdated.load(Ordering::Relaxed)
    }

    /// The error of a file that was replaced; the listing is of no use any more.
    pub(crate) fn replaced(&self, file: &Path) -> Error {
        self.outdated.store(true, Ordering::Relaxed);
        Error::Replaced { table: self.table.clone(), file: file.to_string() }
    }

    /// Refuses a file whose columns cannot be read as the table's.
    pub(crate) fn check(&self, file: &Path, footer: &ParquetMetaData) -> Result<(), Error> {
        let misfit = |reason: String| Error::Misfit { table: self.table.clone(), file: file.to_string(), reason };
        let found = file_schema(footer)?;
        if let Some(name) = twice(found.fields()) {
            return Err(misfit(format!("it has two columns `{name}`")));
        }
        let matcher = Matcher::new(&self.binding, found.fields());
        for (field, index) in self.fields.iter().zip(matcher.bind(&self.fields, found.fields())) {
            let Some(index) = index else { continue };
            matcher.plan(field, found.field(index)).map_err(|error| {
                misfit(format!("column `{}`: {}", found.field(index).name(), error.strip_backtrace()))
            })?;
        }
        Ok(())
    }
}

/// The columns of one file, as a table has them: strings and binary as views, no metadata. Reads its footer; `table` is the
/// table's address.
pub async fn stored_columns(table: &str, stores: &Arc<DomainStores>, file: DataFile) -> Result<SchemaRef, Error> {
    let path = file.path.clone();
    let none = Arc::new(Schema::empty());
    let files = FileSet::new(&none, vec![file], Vec::new(), Vec::new())?.without_log(table, &Binding::Name);
    let readers = Readers::new(stores.clone(), Arc::new(Footers::new(0))).of(files.loose());
    let [file] = &files.select(None)[..] else { return Err(Error::malformed("a file that is none")) };
    let footer = readers.footer(file).await.map_err(ours)?;
    let misfit = |reason: String| Error::Misfit { table: table.to_owned(), file: path.to_string(), reason };
    let found = file_schema(&footer)?;
    match twice(found.fields()) {
        Some(name) => Err(misfit(format!("it has two columns `{name}`"))),
        None => Ok(Arc::new(Schema::new(found.fields().iter().map(plain).collect::<Vec<_>>()))),
    }
}

/// The error as it was before DataFusion took it.
fn ours(error: DataFusionError) -> Error {
    let DataFusionError::External(inner) = error else { return Error::Plan(error) };
    inner.downcast::<Error>().map_or_else(|inner| Error::Plan(DataFusionError::External(inner)), |ours| *ours)
}

/// The schema that the scan will see.
fn file_schema(footer: &ParquetMetaData) -> Result<Schema, Error> {
    let file = footer.file_metadata();
    let schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata())
        .map_err(|error| Error::format("reading the columns of a Parquet file", error))?;
    let coerced = Int96Coercer::new(file.schema_descr(), &schema, &TimeUnit::Microsecond).coerce();
    Ok(coerced.unwrap_or(schema))
}

/// A name that two of the columns have: by it alone they could not be told apart.
fn twice(fields: &Fields) -> Option<&str> {
    let mut names: Vec<_> = fields.iter().map(|field| field.name().as_str()).collect();
    names.sort_unstable();
    names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}

/// Every column may hold NULL: another file may lack it.
fn plain(field: &FieldRef) -> FieldRef {
    plain_as(field, true)
}

fn plain_as(field: &FieldRef, nullable: bool) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        DataType::Dictionary(_, values) => {
            let of_values = Field::new(field.name(), values.as_ref().clone(), nullable);
            return plain_as(&Arc::new(of_values), nullable);
        }
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain).collect()),
        DataType::List(item) | DataType::LargeList(item) => DataType::List(plain(item)),
        DataType::Map(entries, sorted) => DataType::Map(plain_entries(entries), *sorted),
        other => other.clone(),
    };
    Arc::new(Field::new(field.name(), data_type, nullable))
}

/// Neither an entry of a map nor its key is ever NULL.
fn plain_entries(entries: &FieldRef) -> FieldRef {
    let DataType::Struct(fields) = entries.data_type() else { return plain_as(entries, false) };
    let fields = fields.iter().enumerate().map(|(at, field)| plain_as(field, at > 0)).collect();
    Arc::new(Field::new(entries.name(), DataType::Struct(fields), false))
}
