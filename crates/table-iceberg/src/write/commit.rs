//! Snapshots that the library's transactions cannot make: of delete files.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use iceberg::io::FileIO;
use iceberg::spec::{
    DataFile, FormatVersion, MAIN_BRANCH, ManifestContentType, ManifestFile, ManifestList, ManifestListWriter,
    ManifestWriterBuilder, Operation, Snapshot, Summary, TableMetadata, TableMetadataBuilder,
};
use meshgate_table::Error;
use uuid::Uuid;

use super::{failed, io, newest};

/// A table on the local disk as its newest metadata file has it.
pub(super) struct Table {
    root: PathBuf,
    file: PathBuf,
    pub(super) io: FileIO,
    pub(super) metadata: TableMetadata,
}

/// A live file of the newest snapshot, and when it was added.
pub(super) struct Entry {
    pub(super) file: DataFile,
    pub(super) spec: i32,
    pub(super) sequence: i64,
    snapshot: i64,
}

/// A manifest with what is live in it.
type Listed = (ManifestFile, Vec<Entry>);

impl Table {
    pub(super) fn open(directory: &Path) -> Result<Self, Error> {
        let root = directory.canonicalize().map_err(io)?;
        let file = newest(&root)?.ok_or_else(|| Error::malformed("no table to delete from"))?;
        let bytes = fs::read(&file).map_err(io)?;
        let metadata = serde_json::from_slice(&bytes);
        let metadata = metadata.map_err(|error| Error::format("reading Iceberg metadata", error))?;
        Ok(Self { root, file, io: FileIO::new_with_fs(), metadata })
    }

    /// The manifests of the newest snapshot.
    pub(super) async fn manifests(&self) -> Result<Vec<Listed>, Error> {
        let Some(snapshot) = self.metadata.current_snapshot() else { return Ok(Vec::new()) };
        let bytes = self.io.new_input(snapshot.manifest_list()).map_err(failed)?.read().await.map_err(failed)?;
        let list = ManifestList::parse_with_version(&bytes, self.metadata.format_version()).map_err(failed)?;
        let mut manifests = Vec::new();
        for manifest in list.entries() {
            let read = manifest.load_manifest(&self.io).await.map_err(failed)?;
            let live = read.entries().iter().filter(|entry| entry.is_alive()).map(|entry| Entry {
                file: entry.data_file().clone(),
                spec: manifest.partition_spec_id,
                sequence: entry.sequence_number().unwrap_or(0),
                snapshot: entry.snapshot_id().unwrap_or(manifest.added_snapshot_id),
            });
            manifests.push((manifest.clone(), live.collect()));
        }
        Ok(manifests)
    }

    /// A new path below the table's directory.
    pub(super) fn path(&self, directory: &str, name: &str) -> PathBuf {
        self.root.join(directory).join(format!("{}-{name}", Uuid::now_v7()))
    }

    /// One snapshot more: with delete files, and without those that `is_replaced`.
    pub(super) async fn commit(
        self,
        manifests: Vec<Listed>,
        added: Vec<(i32, DataFile)>,
        is_replaced: impl Fn(&DataFile) -> bool,
    ) -> Result<PathBuf, Error> {
        let metadata = &self.metadata;
        let snapshot_id = i64::from_be_bytes(*Uuid::now_v7().as_bytes().last_chunk().unwrap_or(&[0; 8])) & i64::MAX;
        let mut listed = Vec::new();
        for (manifest, live) in manifests {
            if manifest.content == ManifestContentType::Data || !live.iter().any(|entry| is_replaced(&entry.file)) {
                listed.push(manifest);
                continue;
            }
            let mut writer = self.manifest(manifest.partition_spec_id, snapshot_id)?;
            let left: Vec<_> = live.into_iter().filter(|entry| !is_replaced(&entry.file)).collect();
            if left.is_empty() {
                continue;
            }
            for entry in left {
                let Entry { file, sequence, snapshot, .. } = entry;
                writer.add_existing_file(file, snapshot, sequence, Some(sequence)).map_err(failed)?;
            }
            listed.push(writer.write_manifest_file().await.map_err(failed)?);
        }
        let mut by_spec: BTreeMap<i32, Vec<DataFile>> = BTreeMap::new();
        added.into_iter().for_each(|(spec, file)| by_spec.entry(spec).or_default().push(file));
        for (spec, files) in by_spec {
            let mut writer = self.manifest(spec, snapshot_id)?;
            // Not told: they have that of the snapshot.
            files.into_iter().try_for_each(|file| writer.add_file(file, -1)).map_err(failed)?;
            listed.push(writer.write_manifest_file().await.map_err(failed)?);
        }
        let path = self.root.join(format!("metadata/snap-{snapshot_id}-deletes.avro"));
        let path = format!("file://{}", path.display());
        let (parent, sequence) = (metadata.current_snapshot_id(), metadata.next_sequence_number());
        let output = self.io.new_output(&path).map_err(failed)?.writer().await.map_err(failed)?;
        let rows = metadata.next_row_id();
        let mut writer = match metadata.format_version() {
            FormatVersion::V3 => ManifestListWriter::v3(output, snapshot_id, parent, sequence, Some(rows)),
            _ => ManifestListWriter::v2(output, snapshot_id, parent, sequence),
        };
        writer.add_manifests(listed.into_iter()).map_err(failed)?;
        let rows_next = writer.next_row_id().unwrap_or(rows);
        writer.close().await.map_err(failed)?;
        let snapshot = Snapshot::builder()
            .with_snapshot_id(snapshot_id)
            .with_parent_snapshot_id(parent)
            .with_sequence_number(sequence)
            .with_timestamp_ms(metadata.last_updated_ms() + 1)
            .with_manifest_list(path)
            .with_schema_id(metadata.current_schema_id())
            .with_summary(Summary { operation: Operation::Delete, additional_properties: HashMap::new() });
        let snapshot = match metadata.format_version() {
            FormatVersion::V3 => snapshot.with_row_range(rows, rows_next - rows).build(),
            _ => snapshot.build(),
        };
        self.change(|builder| builder.set_branch_snapshot(snapshot, MAIN_BRANCH))
    }

    /// The next metadata file.
    pub(super) fn change(
        self,
        change: impl FnOnce(TableMetadataBuilder) -> iceberg::Result<TableMetadataBuilder>,
    ) -> Result<PathBuf, Error> {
        let builder = self.metadata.into_builder(Some(format!("file://{}", self.file.display())));
        let metadata = change(builder).and_then(TableMetadataBuilder::build).map_err(failed)?.metadata;
        let name = self.file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name.split('-').next().and_then(|number| number.parse::<u32>().ok()).unwrap_or(0);
        let name = format!("{:05}-{}", number + 1, Uuid::now_v7());
        let file = self.root.join(format!("metadata/{name}.metadata.json"));
        let text = serde_json::to_vec(&metadata).map_err(|error| Error::format("writing Iceberg metadata", error))?;
        fs::write(&file, text).map_err(io)?;
        fs::write(self.root.join("metadata/version-hint.text"), name).map_err(io)?;
        Ok(file)
    }

    fn manifest(&self, spec: i32, snapshot_id: i64) -> Result<iceberg::spec::ManifestWriter, Error> {
        let path = format!("file://{}", self.path("metadata", "deletes.avro").display());
        let output = self.io.new_output(path).map_err(failed)?;
        let spec = self.metadata.partition_spec_by_id(spec).ok_or_else(|| Error::malformed("an unknown spec"))?;
        let schema = self.metadata.current_schema().clone();
        let builder = ManifestWriterBuilder::new(output, Some(snapshot_id), schema, spec.as_ref().clone());
        Ok(match self.metadata.format_version() {
            FormatVersion::V3 => builder.build_v3_deletes(),
            _ => builder.build_v2_deletes(),
        })
    }
}
