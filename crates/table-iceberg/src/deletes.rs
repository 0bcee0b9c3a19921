//! Which delete files of a snapshot are in force for which of its data files, and what they delete there.
//!
//! All kinds end as positions of rows in a data file, which the one scan leaves out. Vectors and positional delete files
//! tell them; equality delete files are compared with the columns of a data file that they are about, once for each data
//! file and what applies to it.

mod equality;
mod positions;
mod vectors;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use iceberg::metadata_columns::RESERVED_FIELD_ID_DELETE_FILE_PATH;
use iceberg::spec::{
    DataContentType, DataFile as IcebergFile, DataFileFormat, Literal, ManifestEntryRef, PrimitiveLiteral,
    TableMetadata,
};
use meshgate_table::{DataFile, Deletes, DomainStores, Error, Loading};
use roaring::RoaringTreemap;
use sha2::{Digest, Sha256};

use equality::{Compared, Equality};
use positions::PositionFile;
use vectors::Vector;

/// How many delete files of one data file are read at the same time.
const FILES_AT_ONCE: usize = 8;

/// A live file of a snapshot, of any kind.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) entry: ManifestEntryRef,
    /// When its rows were added, or deleted: its own, or that of its manifest.
    pub(crate) sequence: i64,
    pub(crate) spec: i32,
    /// Columns that the spec partitions by as they are, with their position in partition values.
    pub(crate) identity: Arc<HashMap<i32, usize>>,
}

/// A partition of a spec. Two specs never share one.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Partition {
    spec: i32,
    values: Vec<Option<PrimitiveLiteral>>,
}

/// All delete files of a snapshot.
pub(crate) struct Index {
    /// By the path of the data file.
    vectors: HashMap<String, (i64, Arc<Vector>)>,
    /// Of one data file, by its path.
    named: HashMap<String, Vec<Positional>>,
    /// Of all data files of a partition.
    scoped: HashMap<Partition, Vec<Positional>>,
    equality: Equality,
}

struct Positional {
    sequence: i64,
    file: Arc<PositionFile>,
    /// The first and the last data file that it may be about, by path.
    paths: (Option<String>, Option<String>),
}

impl Live {
    pub(crate) fn data(&self) -> &IcebergFile {
        self.entry.data_file()
    }

    /// SECURITY: the type of a column that a table is partitioned by may have been widened since; the value is the same.
    fn partition(&self) -> Result<Partition, Error> {
        let values = self.data().partition().iter().map(|value| match value {
            None => Ok(None),
            Some(Literal::Primitive(PrimitiveLiteral::Int(value))) => Ok(Some(PrimitiveLiteral::Long((*value).into()))),
            Some(Literal::Primitive(PrimitiveLiteral::Float(value))) => {
                Ok(Some(PrimitiveLiteral::Double(f64::from(value.0).into())))
            }
            Some(Literal::Primitive(value)) => Ok(Some(value.clone())),
            Some(_) => Err(broken("a partition value that is nested")),
        });
        Ok(Partition { spec: self.spec, values: values.collect::<Result<_, Error>>()? })
    }

    fn located(&self, stores: &DomainStores) -> Result<DataFile, Error> {
        let data = self.data();
        let located = stores.locate_literal(data.file_path())?;
        Ok(DataFile::new(&located, data.file_size_in_bytes(), Some(data.record_count())))
    }
}

impl Index {
    /// Of these delete files. `oldest` is when the first rows that are left were added.
    pub(crate) fn new(
        files: &[Live],
        oldest: i64,
        metadata: &Arc<TableMetadata>,
        stores: &DomainStores,
    ) -> Result<Self, Error> {
        let mut index = Self {
            vectors: HashMap::new(),
            named: HashMap::new(),
            scoped: HashMap::new(),
            equality: Equality::new(metadata.clone())?,
        };
        for file in files {
            match file.data().content_type() {
                DataContentType::EqualityDeletes if file.sequence > oldest => index.equality.add(file, stores)?,
                DataContentType::EqualityDeletes => {}
                DataContentType::PositionDeletes if file.data().file_format() == DataFileFormat::Puffin => {
                    index.add_vector(file, stores)?;
                }
                DataContentType::PositionDeletes if file.sequence >= oldest => index.add_positional(file, stores)?,
                DataContentType::PositionDeletes => {}
                DataContentType::Data => return Err(broken("a data file among deletes")),
            }
        }
        Ok(index)
    }

    fn add_vector(&mut self, file: &Live, stores: &DomainStores) -> Result<(), Error> {
        let path = file.data().referenced_data_file().ok_or_else(|| broken("a deletion vector of no data file"))?;
        let vector = Arc::new(Vector::new(file.data(), stores)?);
        if self.vectors.insert(path, (file.sequence, vector)).is_some() {
            return Err(broken("two deletion vectors of one data file"));
        }
        Ok(())
    }

    fn add_positional(&mut self, live: &Live, stores: &DomainStores) -> Result<(), Error> {
        let data = live.data();
        let bound = |bounds: &HashMap<i32, iceberg::spec::Datum>| match bounds
            .get(&RESERVED_FIELD_ID_DELETE_FILE_PATH)?
            .literal()
        {
            PrimitiveLiteral::String(path) => Some(path.clone()),
            _ => None,
        };
        let paths = (bound(data.lower_bounds()), bound(data.upper_bounds()));
        let file = Arc::new(PositionFile::new(live.located(stores)?, data));
        let positional = Positional { sequence: live.sequence, file, paths };
        match data.referenced_data_file() {
            Some(path) => self.named.entry(path).or_default().push(positional),
            None => self.scoped.entry(live.partition()?).or_default().push(positional),
        }
        Ok(())
    }

    /// What is deleted of a data file.
    pub(crate) fn of(&self, live: &Live, file: &DataFile) -> Result<Option<Arc<dyn Deletes>>, Error> {
        Ok(self.find(live, file)?.map(|deletes| Arc::new(deletes) as _))
    }

    fn find(&self, live: &Live, file: &DataFile) -> Result<Option<FileDeletes>, Error> {
        let path = live.data().file_path();
        let partition = live.partition()?;
        // A vector has to hold what older positional deletes of its data file say.
        let vector = self.vectors.get(path).filter(|(sequence, _)| *sequence >= live.sequence);
        let vector = vector.map(|(_, vector)| vector.clone());
        let mut positional = Vec::new();
        if vector.is_none() {
            let named = self.named.get(path).into_iter().flatten();
            let scoped = self.scoped.get(&partition).into_iter().flatten();
            let in_force = named.chain(scoped).filter(|file| file.sequence >= live.sequence && file.may_name(path));
            positional = in_force.map(|positional| positional.file.clone()).collect();
        }
        let equality = self.equality.of(live, &partition, file)?;
        if vector.is_none() && positional.is_empty() && equality.is_none() {
            return Ok(None);
        }
        let mut id = Sha256::new();
        id.update(live.sequence.to_le_bytes());
        if let Some(vector) = &vector {
            vector.digest(&mut id);
        }
        for file in &positional {
            file.digest(&mut id);
        }
        if let Some(compared) = &equality {
            id.update(compared.digest());
        }
        let id = format!("{:x}", id.finalize());
        Ok(Some(FileDeletes { id, path: path.to_owned(), vector, positional, equality }))
    }
}

impl Positional {
    fn may_name(&self, path: &str) -> bool {
        let (first, last) = &self.paths;
        first.as_deref().is_none_or(|first| first <= path) && last.as_deref().is_none_or(|last| path <= last)
    }
}

/// What is deleted of one data file.
#[derive(Debug)]
struct FileDeletes {
    /// A digest of everything below.
    id: String,
    /// The data file as manifests and delete files name it.
    path: String,
    vector: Option<Arc<Vector>>,
    positional: Vec<Arc<PositionFile>>,
    equality: Option<Compared>,
}

#[async_trait]
impl Deletes for FileDeletes {
    fn id(&self) -> &str {
        &self.id
    }

    fn rows(&self) -> Option<u64> {
        // Several files may delete one row.
        match &self.vector {
            Some(vector) if self.equality.is_none() => Some(vector.rows()),
            _ => None,
        }
    }

    async fn load(&self, loading: &Loading) -> Result<RoaringTreemap, Error> {
        let mut deleted = match &self.vector {
            Some(vector) => vector.load(loading).await?,
            None => RoaringTreemap::new(),
        };
        let files: Vec<_> = self.positional.iter().map(|file| file.load(loading)).collect();
        let files: Vec<_> = stream::iter(files).buffered(FILES_AT_ONCE).try_collect().await?;
        for file in &files {
            if let Some(positions) = file.of(&self.path) {
                deleted |= positions;
            }
        }
        if let Some(compared) = &self.equality {
            compared.load(loading, &mut deleted).await?;
        }
        Ok(deleted)
    }
}

fn broken(what: &str) -> Error {
    Error::malformed(format!("Iceberg manifest: {what}"))
}

#[cfg(test)]
mod tests;
