//! Answers as text, as DataFusion's own runner writes them, and how they are compared.

use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float16Type, Float32Type, Float64Type, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bigdecimal::BigDecimal;
use datafusion::config::{ConfigField, FormatOptions as Format};
use md5::{Digest, Md5};

use super::format::Sort;

/// Rows and their types, in the words of the format.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// One letter for each column.
    pub(super) types: String,
    /// Cells by rows.
    pub(super) rows: Vec<Vec<String>>,
    /// The same as it would travel, if otherwise.
    wire: Option<Box<Answer>>,
}

impl Answer {
    pub(super) fn of(schema: &Schema, batches: &[RecordBatch]) -> Self {
        let travelling = schema.fields().iter().map(|field| travels_as(field.data_type())).collect::<Vec<_>>();
        let wire =
            schema.fields().iter().zip(&travelling).any(|(field, other)| field.data_type() != other).then(|| {
                let fields = schema.fields().iter().zip(&travelling);
                let fields =
                    fields.map(|(field, other)| Field::new(field.name(), other.clone(), true)).collect::<Vec<_>>();
                let schema = Arc::new(Schema::new(fields));
                let batches = batches.iter().map(|batch| {
                    let columns = batch.columns().iter().zip(&travelling).map(|(column, other)| cast(column, other));
                    let columns = columns.collect::<Result<Vec<_>, _>>().expect("a type that travels");
                    RecordBatch::try_new(schema.clone(), columns).expect("the same columns")
                });
                Box::new(Self::of(&schema, &batches.collect::<Vec<_>>()))
            });
        let types = schema.fields().iter().map(|field| letter(field.data_type())).collect();
        let rows = batches.iter().flat_map(|batch| (0..batch.num_rows()).flat_map(|row| cells(batch, row)));
        Self { types, rows: rows.collect(), wire }
    }

    /// Why this is not what a file expects, if so. What the query leaves open may differ: without an ORDER BY of its own
    /// (`ordered`), the order of rows.
    pub(super) fn differs(&self, types: &str, sort: Sort, lines: &[String], ordered: bool) -> Option<String> {
        if types.len() != self.types.len() || types.chars().zip(self.types.chars()).any(|(a, b)| known(a) != b) {
            return Some(format!("columns of the types {} and not {types}", self.types));
        }
        let mut expected = lines.iter().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
        if let [only] = lines
            && only.contains(DIGESTED)
        {
            let found = self.digest(sort);
            return (*only != found).then_some(found);
        }
        let mut found = match sort {
            Sort::Values => self.rows.concat(),
            _ => self.lines(),
        };
        if expected.iter().any(|line| line.contains(IGNORED)) {
            let found = found.join("\n");
            return (!has_parts(&found, &expected.join("\n"))).then(|| format!("the rows\n{found}"));
        }
        if sort != Sort::No || !ordered {
            found.sort_unstable();
            expected.sort_unstable();
        }
        (found != expected).then(|| format!("the rows\n{}", self.lines().join("\n")))
    }

    /// A line for each row.
    pub(super) fn lines(&self) -> Vec<String> {
        self.rows.iter().map(|cells| cells.join(" ").trim_end().to_owned()).collect()
    }

    /// What stands in a file for more values than its threshold.
    fn digest(&self, sort: Sort) -> String {
        let mut rows = self.rows.clone();
        if sort == Sort::Rows {
            rows.sort_unstable();
        }
        let mut values = rows.concat();
        if sort == Sort::Values {
            values.sort_unstable();
        }
        let mut md5 = Md5::new();
        for value in &values {
            md5.update(value);
            md5.update("\n");
        }
        format!("{}{DIGESTED}{:x}", values.len(), md5.finalize())
    }

    /// As it would arrive: types that some clients cannot read travel as others.
    pub(super) fn on_the_wire(&self) -> &Self {
        self.wire.as_deref().unwrap_or(self)
    }

    /// Whether another answer to the same query is as good.
    pub(super) fn agrees(&self, other: &Self, ordered: bool) -> bool {
        other.differs(&self.types, Sort::No, &self.lines(), ordered).is_none()
    }
}

fn travels_as(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, value) => travels_as(value),
        DataType::Decimal256(39.., _) => DataType::Utf8,
        other => other.clone(),
    }
}

const DIGESTED: &str = " values hashing to ";

/// Stands in a file for text that is another one each time.
const IGNORED: &str = "<slt:ignore>";

/// Whether a text consists of another one's parts, in order, with anything between them.
fn has_parts(text: &str, parts: &str) -> bool {
    let mut rest = text;
    for (index, part) in parts.split(IGNORED).enumerate() {
        match rest.find(part) {
            Some(at) if index > 0 || at == 0 => rest = &rest[at + part.len()..],
            _ => return false,
        }
    }
    true
}

/// Letters that the runner does not know stand for any other type.
fn known(letter: char) -> char {
    if "BDIPRT".contains(letter) { letter } else { '?' }
}

fn letter(data_type: &DataType) -> char {
    match data_type {
        DataType::Boolean => 'B',
        _ if data_type.is_integer() => 'I',
        _ if data_type.is_floating() || data_type.is_decimal() => 'R',
        _ if data_type.is_string() => 'T',
        DataType::Date32 | DataType::Date64 | DataType::Time32(_) | DataType::Time64(_) => 'D',
        DataType::Timestamp(_, _) => 'P',
        DataType::Dictionary(_, value) if value.is_string() => 'T',
        _ => '?',
    }
}

/// A row's cells; if its last one has several lines, they follow with numbers, for the format has one line a row.
fn cells(batch: &RecordBatch, row: usize) -> Vec<Vec<String>> {
    let mut cells = batch.columns().iter().map(|column| cell(column, row)).collect::<Vec<_>>();
    let Some(last) = cells.pop_if(|last| last.contains('\n')) else { return vec![cells] };
    let numbered = last.split('\n').enumerate().map(|(index, line)| {
        let content = line.trim_start();
        vec![format!("{:02}){}{content}", index + 1, "-".repeat(line.len() - content.len()))]
    });
    std::iter::once(cells).chain(numbered).collect()
}

fn cell(column: &ArrayRef, row: usize) -> String {
    if column.is_null(row) {
        return "NULL".to_owned();
    }
    match column.data_type() {
        DataType::Float16 => float(f64::from(column.as_primitive::<Float16Type>().value(row)), || {
            column.as_primitive::<Float16Type>().value(row).to_string()
        }),
        DataType::Float32 => float(f64::from(column.as_primitive::<Float32Type>().value(row)), || {
            column.as_primitive::<Float32Type>().value(row).to_string()
        }),
        DataType::Float64 => float(column.as_primitive::<Float64Type>().value(row), || {
            column.as_primitive::<Float64Type>().value(row).to_string()
        }),
        DataType::Dictionary(_, _) => {
            let dictionary = column.as_any_dictionary();
            cell(dictionary.values(), dictionary.normalized_keys()[row])
        }
        other => {
            let mut format = Format::default();
            format.set("null", "NULL").expect("an option");
            let options = FormatOptions::try_from(&format).expect("options");
            let formatter = ArrayFormatter::try_new(column.as_ref(), &options).expect("a printable column");
            let shown = formatter.value(row);
            match other {
                _ if other.is_decimal() => decimal(&shown.to_string(), i64::from(u8::MAX)),
                _ if other.is_string() => text(&shown.to_string()),
                _ => shown.to_string(),
            }
        }
    }
}

fn text(value: &str) -> String {
    match value {
        "" => "(empty)".to_owned(),
        _ => value.trim_end_matches('\n').replace('\0', "\\0"),
    }
}

fn float(value: f64, written: impl FnOnce() -> String) -> String {
    match value {
        _ if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        _ => decimal(&written(), 12),
    }
}

/// A number without an exponent and without zeros at its end.
fn decimal(written: &str, digits: i64) -> String {
    BigDecimal::from_str(written).expect("a number").round(digits).normalized().to_plain_string()
}
