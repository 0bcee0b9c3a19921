//! Positional delete files: paths of data files, and positions in these.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use futures::TryStreamExt;
use iceberg::metadata_columns::{
    RESERVED_COL_NAME_DELETE_FILE_PATH, RESERVED_COL_NAME_DELETE_FILE_POS, RESERVED_FIELD_ID_DELETE_FILE_PATH,
    RESERVED_FIELD_ID_DELETE_FILE_POS,
};
use iceberg::spec::DataFile as IcebergFile;
use meshgate_table::{Absent, Binding, Charge, DataFile, Error, FIELD_ID, Loading, NameMapping};
use roaring::RoaringTreemap;
use sha2::{Digest, Sha256};

/// What a position takes at most, on average.
const POSITION_BYTES: u64 = 16;

/// What a path takes beside its text.
const PATH_BYTES: u64 = 128;

/// A positional delete file.
#[derive(Debug)]
pub(super) struct PositionFile {
    file: DataFile,
    /// As the manifest names it.
    path: String,
    rows: u64,
}

/// What such a file deletes, by the path of the data file.
pub(super) struct Positions {
    by_path: HashMap<String, RoaringTreemap>,
    charge: Charge,
}

static COLUMNS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let column = |name: &str, data_type, id: i32| {
        Field::new(name, data_type, true).with_metadata(HashMap::from([(FIELD_ID.to_owned(), id.to_string())]))
    };
    Arc::new(Schema::new(vec![
        column(RESERVED_COL_NAME_DELETE_FILE_PATH, DataType::Utf8View, RESERVED_FIELD_ID_DELETE_FILE_PATH),
        column(RESERVED_COL_NAME_DELETE_FILE_POS, DataType::Int64, RESERVED_FIELD_ID_DELETE_FILE_POS),
    ]))
});

/// By their ids, in files without ids by their names.
fn binding() -> Binding {
    let ids = [
        (RESERVED_COL_NAME_DELETE_FILE_PATH, RESERVED_FIELD_ID_DELETE_FILE_PATH),
        (RESERVED_COL_NAME_DELETE_FILE_POS, RESERVED_FIELD_ID_DELETE_FILE_POS),
    ];
    let fields = ids.into_iter().map(|(name, id)| (name.to_owned(), (Some(id), NameMapping::default()))).collect();
    Binding::FieldId { names: Some(NameMapping { fields }), defaults: HashMap::new() }
}

impl PositionFile {
    pub(super) fn new(file: DataFile, described: &IcebergFile) -> Self {
        Self { file, path: described.file_path().to_owned(), rows: described.record_count() }
    }

    pub(super) fn digest(&self, id: &mut Sha256) {
        id.update(format!("p{}#{}\n", self.path, self.rows));
    }

    /// Read once for all data files of a scan.
    pub(super) async fn load(&self, loading: &Loading) -> Result<Arc<Positions>, Error> {
        loading.shared(&format!("positions {}", self.path), self.read(loading)).await
    }

    async fn read(&self, loading: &Loading) -> Result<Positions, Error> {
        let mut batches = loading.rows(&self.file, &COLUMNS, binding(), Absent::Refused).await?;
        let mut positions = Positions { by_path: HashMap::new(), charge: loading.charge(0)? };
        let mut rows = 0;
        while let Some(batch) = batches.try_next().await? {
            rows += batch.num_rows() as u64;
            let wrong = |why| Error::malformed(format!("positional deletes {}: {why}", self.path));
            positions.add(&batch)?.map_err(wrong)?;
            tokio::task::coop::consume_budget().await;
        }
        if rows != self.rows {
            return Err(Error::malformed(format!(
                "positional deletes {}: not as many as the manifest says",
                self.path
            )));
        }
        Ok(positions)
    }
}

impl Positions {
    pub(super) fn of(&self, path: &str) -> Option<&RoaringTreemap> {
        self.by_path.get(path)
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<Result<(), &'static str>, Error> {
        self.charge.grow(batch.num_rows() as u64 * POSITION_BYTES)?;
        let (paths, at) = (batch.column(0).as_string_view(), batch.column(1).as_primitive::<Int64Type>());
        if paths.null_count() + at.null_count() > 0 {
            return Ok(Err("a path or a position is missing"));
        }
        // They are sorted by path.
        let mut first = 0;
        while first < paths.len() {
            let path = paths.value(first);
            let run = (first..paths.len()).take_while(|row| paths.value(*row) == path).count();
            if !self.by_path.contains_key(path) {
                self.charge.grow(path.len() as u64 + PATH_BYTES)?;
                self.by_path.insert(path.to_owned(), RoaringTreemap::new());
            }
            let Some(positions) = self.by_path.get_mut(path) else { continue };
            for position in &at.values()[first..first + run] {
                let Ok(position) = u64::try_from(*position) else { return Ok(Err("a negative position")) };
                positions.insert(position);
            }
            first += run;
        }
        Ok(Ok(()))
    }
}
