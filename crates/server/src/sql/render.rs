//! Rows on their way to stdout, batch by batch: nothing here waits for the last row.

mod table;

use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::csv;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::json;

use crate::args::Rows;
use crate::trouble::{Outcome, Trouble};
use table::Table;

/// Where the rows of one result go.
pub(super) struct Sheet<W: Write> {
    format: Rows,
    out: Option<W>,
    writer: Option<Writer<W>>,
    rows: u64,
}

enum Writer<W: Write> {
    Table(Table<W>),
    Csv(Box<csv::Writer<W>>),
    Json(json::ArrayWriter<W>),
    Arrow(Box<StreamWriter<W>>),
}

impl Sheet<io::BufWriter<io::Stdout>> {
    /// Rows for stdout.
    pub(super) fn to_stdout(format: Rows) -> Self {
        Self::new(format, io::BufWriter::new(io::stdout()))
    }
}

impl<W: Write> Sheet<W> {
    pub(super) fn new(format: Rows, out: W) -> Self {
        Self { format, out: Some(out), writer: None, rows: 0 }
    }

    /// Starts a result.
    pub(super) fn open(&mut self, schema: &SchemaRef) -> Outcome {
        let Some(out) = self.out.take() else { return Ok(()) };
        self.writer = Some(match self.format {
            Rows::Table => Writer::Table(Table::new(out, schema)),
            Rows::Csv => {
                let mut writer = csv::WriterBuilder::new().with_header(true).build(out);
                // An empty batch writes the header, which a result without rows has as well.
                writer.write(&RecordBatch::new_empty(schema.clone())).map_err(failed)?;
                Writer::Csv(Box::new(writer))
            }
            Rows::Json => Writer::Json(json::WriterBuilder::new().with_explicit_nulls(true).build(out)),
            Rows::Arrow => Writer::Arrow(Box::new(StreamWriter::try_new(out, schema).map_err(failed)?)),
        });
        Ok(())
    }

    /// Writes some rows.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Outcome {
        self.rows += batch.num_rows() as u64;
        match &mut self.writer {
            Some(Writer::Table(writer)) => writer.write(batch).map_err(failed),
            Some(Writer::Csv(writer)) => writer.write(batch).map_err(failed),
            Some(Writer::Json(writer)) => writer.write(batch).map_err(failed),
            Some(Writer::Arrow(writer)) => writer.write(batch).map_err(failed),
            None => Ok(()),
        }
    }

    /// Ends the result. Returns how many rows there were, and what was written to.
    pub(super) fn close(&mut self) -> Outcome<(u64, Option<W>)> {
        let mut out = match self.writer.take() {
            Some(Writer::Table(writer)) => writer.finish().map_err(failed)?,
            Some(Writer::Csv(writer)) => writer.into_inner(),
            Some(Writer::Json(mut writer)) => {
                writer.finish().map_err(failed)?;
                let mut out = writer.into_inner();
                out.write_all(b"\n").map_err(|error| failed(error.into()))?;
                out
            }
            Some(Writer::Arrow(writer)) => writer.into_inner().map_err(failed)?,
            None => return Ok((0, self.out.take())),
        };
        out.flush().map_err(|error| failed(error.into()))?;
        Ok((self.rows, Some(out)))
    }
}

fn failed(error: ArrowError) -> Trouble {
    match error {
        ArrowError::IoError(_, source) => crate::output::broken(&source),
        error => Trouble::failure("the rows cannot be written in this format").because(&error),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Array, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray};
    use arrow::ipc::reader::StreamReader;

    use super::Sheet;
    use crate::args::Rows;

    fn batches() -> Vec<RecordBatch> {
        let batch = |ids: Vec<i64>, names: Vec<Option<&str>>, sums: Vec<i128>, days: Vec<i32>| {
            let sums = Decimal128Array::from(sums).with_precision_and_scale(15, 2).expect("a decimal type");
            RecordBatch::try_from_iter_with_nullable([
                ("id", Arc::new(Int64Array::from(ids)) as Arc<dyn Array>, true),
                ("name", Arc::new(StringArray::from(names)), true),
                ("sum", Arc::new(sums), true),
                ("day", Arc::new(Date32Array::from(days)), true),
            ])
            .expect("a batch")
        };
        vec![
            batch(vec![1, 20], vec![Some("a \"b\", c"), None], vec![150, -5], vec![0, 1]),
            batch(vec![300], vec![Some("Zoë\nLine")], vec![123_456], vec![9_131]),
        ]
    }

    fn rendered(format: Rows, batches: &[RecordBatch], schema_of: &RecordBatch) -> Vec<u8> {
        let mut sheet = Sheet::new(format, Vec::new());
        sheet.open(&schema_of.schema()).expect("opens");
        batches.iter().for_each(|batch| sheet.write(batch).expect("writes"));
        let (rows, out) = sheet.close().expect("closes");
        assert_eq!(rows, batches.iter().map(|batch| batch.num_rows() as u64).sum::<u64>());
        out.expect("was written to")
    }

    fn text(format: Rows, batches: &[RecordBatch], schema_of: &RecordBatch) -> String {
        String::from_utf8(rendered(format, batches, schema_of)).expect("UTF-8")
    }

    #[test]
    fn csv_has_a_header_and_quotes() {
        let batches = batches();
        assert_eq!(
            text(Rows::Csv, &batches, &batches[0]),
            "id,name,sum,day\n1,\"a \"\"b\"\", c\",1.50,1970-01-01\n20,,-0.05,1970-01-02\n300,\"Zoë\nLine\",1234.56,1995-01-01\n"
        );
        assert_eq!(text(Rows::Csv, &[], &batches[0]), "id,name,sum,day\n");
    }

    #[test]
    fn json_is_one_array_with_every_key() {
        let batches = batches();
        let value: serde_json::Value = serde_json::from_str(&text(Rows::Json, &batches, &batches[0])).expect("JSON");
        assert_eq!(value[1]["name"], serde_json::Value::Null);
        assert_eq!(value[2]["name"], "Zoë\nLine");
        assert_eq!(value.as_array().map(Vec::len), Some(3));
        assert_eq!(text(Rows::Json, &[], &batches[0]), "[]\n");
    }

    #[test]
    fn arrow_streams_read_back() {
        let batches = batches();
        let bytes = rendered(Rows::Arrow, &batches, &batches[0]);
        let read: Vec<_> =
            StreamReader::try_new(bytes.as_slice(), None).expect("a stream").map(Result::unwrap).collect();
        assert_eq!(read, batches);
    }

    #[test]
    fn tables_align_and_keep_one_row_on_one_line() {
        let batches = batches();
        let expected = [
            "  id | name      |     sum | day",
            "-----+-----------+---------+------------",
            "   1 | a \"b\", c  |    1.50 | 1970-01-01",
            "  20 | NULL      |   -0.05 | 1970-01-02",
            " 300 | Zoë\\nLine | 1234.56 | 1995-01-01",
        ];
        let given = text(Rows::Table, &batches, &batches[0]);
        assert_eq!(given.lines().map(str::trim_end).collect::<Vec<_>>(), expected);
        let empty = text(Rows::Table, &[], &batches[0]);
        assert_eq!(
            empty.lines().map(str::trim_end).collect::<Vec<_>>(),
            [" id | name | sum | day", "----+------+-----+-----"]
        );
    }
}
