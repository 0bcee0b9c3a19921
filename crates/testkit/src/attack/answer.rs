//! What came back for a query, without what differs by chance: ids, and the order of rows where none was asked for.

use std::collections::{BTreeMap, HashMap};

use arrow::datatypes::FieldRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::Reply;

/// An answer in a form that can be compared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// `Ok`, or code and message.
    pub end: String,
    /// The schemas of GetFlightInfo and of the stream, with their metadata; totals and endpoints.
    pub head: Vec<String>,
    /// The rows as text.
    pub rows: Vec<String>,
    /// The sizes of the messages' bodies; only how many there are if the rows have no order.
    pub frames: Vec<usize>,
}

impl Answer {
    /// Reads a reply.
    pub fn of(reply: &Reply, is_ordered: bool) -> Self {
        let end = match &reply.failure {
            None => "Ok".to_owned(),
            Some(status) => format!("{:?}: {}", status.code(), status.message()),
        };
        let mut head = Vec::new();
        if let Some(info) = &reply.info {
            let schema = info.clone().try_decode_schema().expect("a schema");
            head.push(format!("{} {} {}", info.total_records, info.total_bytes, info.endpoint.len()));
            head.push(described(&schema));
            head.push(without_ids(&String::from_utf8_lossy(&info.app_metadata)));
        }
        head.extend(reply.schema.as_deref().map(described));
        let mut rows = rows(reply);
        let mut frames = reply.frames.clone();
        if !is_ordered {
            rows.sort_unstable();
            frames = vec![frames.len()];
        }
        Self { end, head, rows, frames }
    }

    /// What differs first, if anything does.
    pub fn difference(&self, other: &Self) -> Option<String> {
        if self.end != other.end {
            return Some(format!("it ended with\n  {}\nhere and with\n  {}", self.end, other.end));
        }
        if self.rows.len() != other.rows.len() {
            return Some(format!("{} rows here and {} there", self.rows.len(), other.rows.len()));
        }
        let differ = |name: &str, one: &[String], two: &[String]| {
            let pair = one.iter().zip(two).find(|(one, two)| one != two)?;
            Some(format!("{name}:\n  {}\nhere and\n  {}", pair.0, pair.1))
        };
        differ("a row", &self.rows, &other.rows)
            .or_else(|| differ("the head", &self.head, &other.head))
            .or_else(|| (self.frames != other.frames).then(|| format!("frames {:?} {:?}", self.frames, other.frames)))
    }

    /// Whether both ended well and have different rows. An expression that fails may fail on one side only: SQL does not
    /// say which part of a condition is looked at first, and a copy may be stored otherwise.
    pub fn different_rows(&self, other: &Self) -> Option<String> {
        if self.end != "Ok" || other.end != "Ok" || self.rows == other.rows {
            return None;
        }
        let rows = |answer: &Self| Self { head: Vec::new(), frames: Vec::new(), ..answer.clone() };
        rows(self).difference(&rows(other))
    }
}

fn rows(reply: &Reply) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let mut lines = Vec::new();
    for batch in &reply.batches {
        let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
        let columns = columns.collect::<Result<Vec<_>, _>>().expect("printable columns");
        let line = |row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("\t");
        lines.extend((0..batch.num_rows()).map(line));
    }
    lines
}

fn described(schema: &arrow::datatypes::Schema) -> String {
    // The library keeps metadata in no order; on the wire it has one.
    let described = |field: &FieldRef| {
        let metadata = field.metadata().iter().collect::<BTreeMap<_, _>>();
        format!("{:?} {metadata:?}", field.as_ref().clone().with_metadata(HashMap::new()))
    };
    let fields = schema.fields().iter().map(described).collect::<Vec<_>>().join(", ");
    let mut metadata = schema.metadata().iter().map(|(key, value)| format!("{key}={}", without_ids(value)));
    format!("{fields}; {}", metadata.next().unwrap_or_default())
}

/// A text without the ids of queries and snapshots, which are random.
fn without_ids(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = ["\"query_id\":\"", "\"snapshot\":\""]
        .iter()
        .filter_map(|key| Some((rest.find(key)? + key.len(), ())))
        .min()
        .map(|(at, ())| rest.split_at(at))
    {
        plain.push_str(before);
        rest = after.split_once('"').map_or("", |(_, rest)| rest);
    }
    plain + rest
}
