//! Equality delete files: rows of which some columns are those of a row in the file.
//!
//! Files about the same columns and the same partition are read into one set of keys, each with the newest of the
//! sequence numbers it was deleted under. A row of a data file that is older than that is deleted. NULL equals NULL.
//! Floating-point numbers equal each other as the format orders them: NaN is NaN, and 0 is not -0.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type, Schema, SchemaRef};
use arrow::row::{RowConverter, SortField};
use datafusion::common::ScalarValue;
use futures::{StreamExt, TryStreamExt, stream};
use iceberg::spec::{DataFile as IcebergFile, Datum, NestedField, PrimitiveType, TableMetadata, Type};
use meshgate_table::{Absent, Binding, Charge, DataFile, DomainStores, Error, Loading, NameMapping};
use parking_lot::Mutex;
use roaring::RoaringTreemap;
use sha2::{Digest, Sha256};

use super::{FILES_AT_ONCE, Live, Partition, broken};
use crate::files::partition_value;
use crate::schema;
use crate::values::scalar;

/// What a key takes beside its bytes.
const KEY_BYTES: u64 = 64;

/// All equality delete files of a snapshot.
pub(super) struct Equality {
    metadata: Arc<TableMetadata>,
    /// Ids of columns in data files without ids.
    names: Arc<Option<NameMapping>>,
    /// By the ids of the columns, and the partition: none for files that are in force in all partitions.
    groups: BTreeMap<Vec<i32>, HashMap<Option<Partition>, Group>>,
    files: usize,
}

/// Files about the same columns in the same partition.
#[derive(Clone, Debug)]
struct Group {
    /// What tells it from others of the snapshot.
    name: String,
    columns: Arc<[KeyColumn]>,
    /// Shared once all are there.
    files: Arc<Vec<EqualityFile>>,
}

#[derive(Debug)]
struct KeyColumn {
    id: i32,
    /// Of the newest type, named by the id.
    field: Field,
    default: Option<ScalarValue>,
    /// Whether bounds of it are in the order in which we compare.
    has_bounds: bool,
}

#[derive(Debug)]
struct EqualityFile {
    file: DataFile,
    path: String,
    rows: u64,
    sequence: i64,
    ranges: Vec<Range>,
    digest: [u8; 32],
}

/// What values of a column there may be in a file.
#[derive(Debug)]
struct Range {
    min: Option<ScalarValue>,
    max: Option<ScalarValue>,
    nulls: bool,
}

/// A data file, and what its rows are compared with.
#[derive(Debug)]
pub(super) struct Compared {
    file: DataFile,
    path: String,
    sequence: i64,
    names: Arc<Option<NameMapping>>,
    /// Columns that have one value in all rows, by id.
    constants: HashMap<i32, ScalarValue>,
    groups: Vec<Group>,
    digest: [u8; 32],
}

/// The keys of a group.
struct Keys {
    converter: RowConverter,
    /// With the newest sequence number.
    keys: HashMap<Box<[u8]>, i64>,
    #[expect(dead_code, reason = "held, not read")]
    charge: Charge,
}

/// Keys while they are read.
struct Building {
    converter: RowConverter,
    keys: Mutex<HashMap<Box<[u8]>, i64>>,
    charge: Charge,
}

impl Equality {
    pub(super) fn new(metadata: Arc<TableMetadata>) -> Result<Self, Error> {
        let names = Arc::new(schema::names(&metadata)?);
        Ok(Self { metadata, names, groups: BTreeMap::new(), files: 0 })
    }

    pub(super) fn add(&mut self, live: &Live, stores: &DomainStores) -> Result<(), Error> {
        let data = live.data();
        let mut ids = data.equality_ids().unwrap_or_default();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Err(broken("equality deletes by no column"));
        }
        let spec = self.metadata.partition_spec_by_id(live.spec);
        let everywhere = spec.ok_or_else(|| broken("an unknown partition spec"))?.is_unpartitioned();
        let partition = if everywhere { None } else { Some(live.partition()?) };
        let of_columns = self.groups.entry(ids.clone()).or_default();
        let columns = match of_columns.values().next() {
            Some(known) => known.columns.clone(),
            None => ids.iter().map(|id| KeyColumn::new(*id, &self.metadata)).collect::<Result<_, Error>>()?,
        };
        self.files += 1;
        let name = format!("equality {}", self.files);
        let group = of_columns.entry(partition).or_insert_with(|| Group { name, columns, files: Arc::default() });
        let ranges = group.columns.iter().map(|column| column.range(data)).collect();
        let path = data.file_path().to_owned();
        let digest = Sha256::digest(format!("e{ids:?}{path}#{}@{}", data.record_count(), live.sequence)).into();
        let rows = data.record_count();
        let file = EqualityFile { file: live.located(stores)?, path, rows, sequence: live.sequence, ranges, digest };
        // Nobody else has it before all files are there.
        Arc::get_mut(&mut group.files).ok_or_else(|| broken("equality deletes that come late"))?.push(file);
        Ok(())
    }

    /// What is in force for a data file, and may be about rows of it.
    pub(super) fn of(&self, live: &Live, partition: &Partition, file: &DataFile) -> Result<Option<Compared>, Error> {
        let mut digest = Sha256::new();
        let mut groups = Vec::new();
        let mut constants = HashMap::new();
        for of_columns in self.groups.values() {
            let found = [of_columns.get(&None), of_columns.get(&Some(partition.clone()))];
            let Some(columns) = found.iter().flatten().next().map(|group| &group.columns) else { continue };
            for column in columns.iter() {
                if let Some(position) = live.identity.get(&column.id) {
                    let value = partition_value(live.data(), *position, column.field.data_type())?;
                    constants.insert(column.id, value);
                }
            }
            let ranges: Vec<_> = columns
                .iter()
                .map(|column| match constants.get(&column.id) {
                    Some(value) if column.has_bounds => Range::of(value),
                    _ => column.range(live.data()),
                })
                .collect();
            for group in found.into_iter().flatten() {
                let in_force = group.files.iter().filter(|file| {
                    file.sequence > live.sequence
                        && file.ranges.iter().zip(&ranges).all(|(one, other)| one.meets(other))
                });
                let before = groups.len();
                for file in in_force {
                    digest.update(file.digest);
                    if groups.len() == before {
                        groups.push(group.clone());
                    }
                }
            }
        }
        if groups.is_empty() {
            return Ok(None);
        }
        Ok(Some(Compared {
            file: file.clone(),
            path: live.data().file_path().to_owned(),
            sequence: live.sequence,
            names: self.names.clone(),
            constants,
            groups,
            digest: digest.finalize().into(),
        }))
    }
}

impl KeyColumn {
    /// The column as the newest schema has it that has it: it may have been dropped since.
    fn new(id: i32, metadata: &TableMetadata) -> Result<Self, Error> {
        let mut schemas: Vec<_> = metadata.schemas_iter().collect();
        schemas.sort_by_key(|schema| schema.schema_id());
        schemas.push(metadata.current_schema());
        let newest = schemas.iter().rev().find_map(|schema| Some((schema, schema.field_by_id(id)?)));
        let (schema, field) = newest.ok_or_else(|| broken("equality deletes by an unknown column"))?;
        let top: Option<&Arc<NestedField>> = schema.as_struct().fields().iter().find(|field| field.id == id);
        let Some(Type::Primitive(primitive)) = top.map(|field| field.field_type.as_ref()) else {
            return Err(Error::unsupported("equality deletes by nested columns"));
        };
        let arrow = schema::convert_field(field)?;
        let default = field.initial_default.as_ref().map(|default| {
            let value = default.as_primitive_literal().and_then(|value| scalar(&value, arrow.data_type()));
            value.ok_or_else(|| broken("a default value of another type"))
        });
        // NaN is in no bounds, and writers do not agree how UUIDs are ordered.
        let has_bounds = !matches!(primitive, PrimitiveType::Float | PrimitiveType::Double | PrimitiveType::Uuid);
        let field = arrow.as_ref().clone().with_name(id.to_string()).with_nullable(true);
        Ok(Self { id, field, default: default.transpose()?, has_bounds })
    }

    fn range(&self, file: &IcebergFile) -> Range {
        let bound = |bounds: &HashMap<i32, Datum>| {
            let bound = bounds.get(&self.id).filter(|_| self.has_bounds)?;
            scalar(bound.literal(), self.field.data_type())
        };
        let nulls = file.null_value_counts().get(&self.id).is_none_or(|count| *count > 0);
        Range { min: bound(file.lower_bounds()), max: bound(file.upper_bounds()), nulls }
    }
}

impl Range {
    fn of(value: &ScalarValue) -> Self {
        let known = (!value.is_null()).then(|| value.clone());
        Self { min: known.clone(), max: known, nulls: value.is_null() }
    }

    /// Whether there may be a value in both.
    fn meets(&self, other: &Self) -> bool {
        let below = |max: &Option<ScalarValue>, min: &Option<ScalarValue>| {
            max.as_ref().zip(min.as_ref()).is_some_and(|(max, min)| max < min)
        };
        (self.nulls && other.nulls) || !(below(&self.max, &other.min) || below(&other.max, &self.min))
    }
}

impl Group {
    /// Read once for all data files of a scan.
    async fn load(&self, loading: &Loading) -> Result<Arc<Keys>, Error> {
        loading.shared(&self.name, self.read(loading)).await
    }

    async fn read(&self, loading: &Loading) -> Result<Keys, Error> {
        let fields = self.columns.iter().map(|column| SortField::new(column.field.data_type().clone())).collect();
        let converter = RowConverter::new(fields).map_err(unreadable)?;
        let building = Building { converter, keys: Mutex::default(), charge: loading.charge(0)? };
        let schema = Arc::new(Schema::new(self.columns.iter().map(|column| column.field.clone()).collect::<Vec<_>>()));
        let files: Vec<_> = self.files.iter().map(|file| file.read(loading, &schema, &building)).collect();
        stream::iter(files).buffer_unordered(FILES_AT_ONCE).try_collect::<()>().await?;
        let Building { converter, keys, charge } = building;
        Ok(Keys { converter, keys: keys.into_inner(), charge })
    }
}

impl EqualityFile {
    async fn read(&self, loading: &Loading, columns: &SchemaRef, keys: &Building) -> Result<(), Error> {
        let mut batches = loading.rows(&self.file, columns, Binding::ids(), Absent::Refused).await?;
        let mut rows = 0;
        while let Some(batch) = batches.try_next().await? {
            rows += batch.num_rows() as u64;
            keys.add(batch.columns(), self.sequence)?;
            tokio::task::coop::consume_budget().await;
        }
        if rows != self.rows {
            return Err(Error::malformed(format!("equality deletes {}: not as many as the manifest says", self.path)));
        }
        Ok(())
    }
}

impl Building {
    fn add(&self, columns: &[ArrayRef], sequence: i64) -> Result<(), Error> {
        let rows = self.converter.convert_columns(&compared(columns)).map_err(unreadable)?;
        let mut keys = self.keys.lock();
        let mut bytes = 0;
        for row in &rows {
            match keys.get_mut(row.as_ref()) {
                Some(known) => *known = sequence.max(*known),
                None => {
                    bytes += row.as_ref().len() as u64 + KEY_BYTES;
                    keys.insert(row.as_ref().into(), sequence);
                }
            }
        }
        self.charge.grow(bytes)
    }
}

impl Keys {
    /// Which of the rows are deleted, given when they were added.
    fn find(&self, columns: &[ArrayRef], sequence: i64) -> Result<Vec<u64>, Error> {
        let rows = self.converter.convert_columns(&compared(columns)).map_err(unreadable)?;
        let is_deleted = |row: &[u8]| self.keys.get(row).is_some_and(|deleted| *deleted > sequence);
        Ok((0_u64..).zip(&rows).filter(|(_, row)| is_deleted(row.as_ref())).map(|(at, _)| at).collect())
    }
}

impl Compared {
    pub(super) fn digest(&self) -> &[u8] {
        &self.digest
    }

    /// How many sets of keys there are.
    #[cfg(test)]
    pub(super) fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Adds the rows that equal a deleted one.
    pub(super) async fn load(&self, loading: &Loading, deleted: &mut RoaringTreemap) -> Result<(), Error> {
        let keys: Vec<_> = self.groups.iter().map(|group| group.load(loading)).collect();
        let keys: Vec<_> = stream::iter(keys).buffered(FILES_AT_ONCE).try_collect().await?;
        let groups: Vec<(&Group, Arc<Keys>)> = self.groups.iter().zip(keys).collect();
        let mut read: Vec<&KeyColumn> = Vec::new();
        for column in self.groups.iter().flat_map(|group| group.columns.iter()) {
            if !self.constants.contains_key(&column.id) && read.iter().all(|known| known.id != column.id) {
                read.push(column);
            }
        }
        let charge = loading.charge(0)?;
        if read.is_empty() {
            // The same is in all rows.
            let rows = loading.row_count(&self.file).await?;
            if !self.found(&groups, &read, &[], 1)?.is_empty() {
                deleted.insert_range(0..rows);
            }
            return Ok(());
        }
        let columns = Arc::new(Schema::new(read.iter().map(|column| column.field.clone()).collect::<Vec<_>>()));
        let defaults = read.iter().filter_map(|column| Some((column.id, column.default.clone()?))).collect();
        let binding = Binding::FieldId { names: self.names.as_ref().clone(), defaults };
        let mut batches = loading.rows(&self.file, &columns, binding, Absent::Filled).await?;
        let mut first = 0;
        while let Some(batch) = batches.try_next().await? {
            let found = self.found(&groups, &read, batch.columns(), batch.num_rows())?;
            charge.grow(found.len() as u64 * 2)?;
            deleted.extend(found.into_iter().map(|at| first + at));
            first += batch.num_rows() as u64;
            tokio::task::coop::consume_budget().await;
        }
        if first != loading.row_count(&self.file).await? {
            return Err(Error::malformed(format!("{}: not as many rows as its footer says", self.path)));
        }
        Ok(())
    }

    /// Which of these rows are deleted, some of them perhaps more than once.
    fn found(
        &self,
        groups: &[(&Group, Arc<Keys>)],
        read: &[&KeyColumn],
        columns: &[ArrayRef],
        rows: usize,
    ) -> Result<Vec<u64>, Error> {
        let mut found = Vec::new();
        for (group, keys) in groups {
            let of_key = group.columns.iter().map(|column| match self.constants.get(&column.id) {
                Some(value) => Ok(value.to_array_of_size(rows)?),
                None => {
                    let at = read.iter().position(|known| known.id == column.id);
                    at.map(|at| columns[at].clone()).ok_or_else(|| broken("a column that was not read"))
                }
            });
            found.extend(keys.find(&of_key.collect::<Result<Vec<_>, Error>>()?, self.sequence)?);
        }
        Ok(found)
    }
}

/// The columns in a form in which the bytes of equal values are equal.
fn compared(columns: &[ArrayRef]) -> Vec<ArrayRef> {
    let columns = columns.iter().map(|column| -> ArrayRef {
        match column.data_type() {
            DataType::Float32 => {
                let floats: &PrimitiveArray<Float32Type> = column.as_primitive();
                Arc::new(floats.unary::<_, Float32Type>(|value| if value.is_nan() { f32::NAN } else { value }))
            }
            DataType::Float64 => {
                let floats: &PrimitiveArray<Float64Type> = column.as_primitive();
                Arc::new(floats.unary::<_, Float64Type>(|value| if value.is_nan() { f64::NAN } else { value }))
            }
            _ => column.clone(),
        }
    });
    columns.collect()
}

fn unreadable(error: arrow::error::ArrowError) -> Error {
    Error::format("comparing rows with equality deletes", error)
}
