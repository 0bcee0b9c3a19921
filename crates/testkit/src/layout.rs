//! Tables written by hand, where it matters how rows lie in files.

use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::properties::WriterProperties;

/// Makes a Delta table of one file with row groups of so many rows.
pub fn delta_in_row_groups(table: &Path, batch: &RecordBatch, rows: usize) {
    let log = table.join("_delta_log");
    std::fs::create_dir_all(&log).expect("a directory");
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(rows)).build();
    let file = std::fs::File::create(table.join("part-0.parquet")).expect("a file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("a writer");
    writer.write(batch).expect("rows");
    writer.close().expect("a footer");
    let size = std::fs::metadata(table.join("part-0.parquet")).expect("the file").len();
    let schema = schema(batch.schema_ref()).replace('"', "\\\"");
    let commit = format!(
        concat!(
            r#"{{"protocol":{{"minReaderVersion":1,"minWriterVersion":2}}}}"#,
            "\n",
            r#"{{"metaData":{{"id":"0","format":{{"provider":"parquet","options":{{}}}},"schemaString":"{}","#,
            r#""partitionColumns":[],"configuration":{{}},"createdTime":1600000000000}}}}"#,
            "\n",
            r#"{{"add":{{"path":"part-0.parquet","partitionValues":{{}},"size":{},"#,
            r#""modificationTime":1600000000000,"dataChange":true}}}}"#,
            "\n",
        ),
        schema, size
    );
    std::fs::write(log.join("00000000000000000000.json"), commit).expect("a commit");
}

fn schema(schema: &Schema) -> String {
    let fields = schema.fields().iter().map(|field| {
        format!(r#"{{"name":"{}","type":{},"nullable":true,"metadata":{{}}}}"#, field.name(), name(field.data_type()))
    });
    format!(r#"{{"type":"struct","fields":[{}]}}"#, fields.collect::<Vec<_>>().join(","))
}

fn name(data_type: &DataType) -> String {
    match data_type {
        DataType::Int64 => r#""long""#.to_owned(),
        DataType::Utf8 => r#""string""#.to_owned(),
        DataType::Timestamp(_, Some(_)) => r#""timestamp""#.to_owned(),
        DataType::Struct(fields) => schema(&Schema::new(fields.clone())),
        other => panic!("no name for {other}"),
    }
}
