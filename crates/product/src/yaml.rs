//! YAML (and so JSON) to a tree whose nodes know where they stand. Everything that is wrong with the text itself is
//! collected: syntax, duplicate keys, aliases that explode.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use saphyr::Scalar;
use saphyr_parser::{Event, Marker, Parser, ScanError, Span, StrInput};

/// The most nodes one document may have, aliases expanded.
const NODES_MAX: usize = 200_000;
/// The deepest nesting.
const DEPTH_MAX: usize = 64;

/// A position, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Mark {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// A value with its position.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) mark: Mark,
    pub(crate) value: Value,
    /// A scalar as written, so that `1.10` stays `1.10`.
    raw: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text,
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) mark: Mark,
    pub(crate) value: Node,
}

/// A text, read as far as it can be.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) node: Option<Arc<Node>>,
    pub(crate) problems: Vec<Problem>,
    /// How many values it holds, aliases expanded.
    pub(crate) values: usize,
}

/// What is wrong with a text.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) mark: Mark,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw && self.value == other.value
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.value == other.value
    }
}

impl Node {
    /// The value under a key of a mapping; absent and null are the same.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value).filter(|node| node.value != Value::Null)
    }

    /// A key of a mapping with its value, null or not.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The entries of a mapping.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The elements of a list.
    pub(crate) fn elements(&self) -> &[Node] {
        match &self.value {
            Value::List(elements) => elements,
            _ => &[],
        }
    }

    /// The elements of a list; anything else is its own only element.
    pub(crate) fn one_or_many(&self) -> &[Node] {
        match &self.value {
            Value::List(elements) => elements,
            _ => std::slice::from_ref(self),
        }
    }

    /// The text of a text node.
    pub(crate) fn as_text(&self) -> Option<&str> {
        matches!(self.value, Value::Text).then_some(self.raw.as_str())
    }

    /// Any scalar as it was written.
    pub(crate) fn raw(&self) -> &str {
        &self.raw
    }

    /// The text under a key.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_text()
    }

    /// The text under a key, owned.
    pub(crate) fn owned(&self, key: &str) -> Option<String> {
        self.text(key).map(str::to_owned)
    }

    /// Whether `true` stands under a key.
    pub(crate) fn flag(&self, key: &str) -> bool {
        self.get(key).is_some_and(|node| node.value == Value::Bool(true))
    }

    /// The list under a key.
    pub(crate) fn list(&self, key: &str) -> &[Node] {
        self.get(key).map_or(&[], Node::elements)
    }

    /// The texts of the list under a key.
    pub(crate) fn texts(&self, key: &str) -> Vec<String> {
        self.list(key).iter().filter_map(|node| node.as_text().map(str::to_owned)).collect()
    }

    /// Where the value of a key stands, or the mapping itself.
    pub(crate) fn mark_of(&self, key: &str) -> Mark {
        self.get(key).map_or(self.mark, |node| node.mark)
    }

    /// What this is, for messages.
    pub(crate) fn describe(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(_) => format!("the boolean `{}`", self.raw),
            Value::Integer(_) | Value::Float(_) => format!("the number `{}`", self.raw),
            Value::Text => format!("the text `{}`", short(&self.raw)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }
}

/// A text cut to what fits into a message.
pub(crate) fn short(text: &str) -> Cow<'_, str> {
    const CHARS_MAX: usize = 60;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => Cow::Owned(format!("{}...", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// Reads the one document of a text.
pub(crate) fn parse(text: &str) -> Parsed {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader =
        Reader { parser: Parser::new_from_str(text), anchors: HashMap::new(), problems: Vec::new(), nodes: 0 };
    let node = reader.document().unwrap_or_else(|problem| {
        reader.problems.push(problem);
        None
    });
    Parsed { node: node.map(Arc::new), problems: reader.problems, values: reader.nodes }
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    /// Each anchor's node and how many nodes it holds.
    anchors: HashMap<usize, (Node, usize)>,
    problems: Vec<Problem>,
    nodes: usize,
}

impl<'t> Reader<'t> {
    fn document(&mut self) -> Result<Option<Node>, Problem> {
        let mut document = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(document),
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
                _ if document.is_some() => {
                    return Err(problem(span.start, "several-documents", "one file holds one document"));
                }
                event => document = Some(self.node(event, span, 0)?),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Problem> {
        match self.parser.next_event() {
            Some(Ok(found)) => Ok(found),
            Some(Err(error)) => Err(syntax(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, Problem> {
        let before = self.nodes;
        self.nodes += 1;
        if depth > DEPTH_MAX || self.nodes > NODES_MAX {
            return Err(problem(span.start, "too-large", "the document is nested too deeply or too large"));
        }
        let (anchor, node) = match event {
            Event::Alias(id) => return self.alias(id, span.start),
            Event::Scalar(text, style, anchor, tag) => {
                let raw = text.to_string();
                let value = match Scalar::parse_from_cow_and_metadata(text, style, tag.as_ref()) {
                    Some(Scalar::Null) => Value::Null,
                    Some(Scalar::Boolean(truth)) => Value::Bool(truth),
                    Some(Scalar::Integer(number)) => Value::Integer(number),
                    Some(Scalar::FloatingPoint(number)) => Value::Float(number.into_inner()),
                    Some(Scalar::String(_)) => Value::Text,
                    None => return Err(problem(span.start, "yaml-syntax", "the tag does not fit the value")),
                };
                (anchor, Node { mark: mark(span.start), value, raw })
            }
            Event::SequenceStart(anchor, _) => {
                let value = Value::List(self.list(depth)?);
                (anchor, Node { mark: mark(span.start), value, raw: String::new() })
            }
            Event::MappingStart(anchor, _) => {
                let value = Value::Map(self.map(depth)?);
                (anchor, Node { mark: mark(span.start), value, raw: String::new() })
            }
            _ => return Err(problem(span.start, "yaml-syntax", "a value is missing here")),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), self.nodes - before));
        }
        Ok(node)
    }

    fn alias(&mut self, id: usize, at: Marker) -> Result<Node, Problem> {
        let Some((node, size)) = self.anchors.get(&id) else {
            return Err(problem(at, "yaml-syntax", "the alias names an anchor that does not exist yet"));
        };
        // SECURITY: a few nested aliases could expand to billions of nodes; the budget is checked before the copy.
        self.nodes = self.nodes.saturating_add(*size);
        if self.nodes > NODES_MAX {
            return Err(problem(at, "too-large", "aliases expand to too many values"));
        }
        Ok(Node { mark: mark(at), ..node.clone() })
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, Problem> {
        let mut elements = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(elements),
                (event, span) => elements.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<Entry>, Problem> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            if matches!(key.value, Value::List(_) | Value::Map(_)) {
                return Err(Problem {
                    mark: key.mark,
                    code: "yaml-syntax",
                    message: "a key must be a single word".to_owned(),
                });
            }
            if key.raw == "<<" {
                merged.push(value);
            } else if let Some(first) = entries.iter().find(|entry| entry.key == key.raw) {
                let message =
                    format!("`{}` stands here a second time; the first is in line {}", key.raw, first.mark.line);
                self.problems.push(Problem { mark: key.mark, code: "duplicate-key", message });
            } else {
                entries.push(Entry { key: key.raw, mark: key.mark, value });
            }
        }
        for source in merged {
            let maps =
                if matches!(source.value, Value::List(_)) { source.elements() } else { std::slice::from_ref(&source) };
            for entry in maps.iter().flat_map(Node::entries) {
                if !entries.iter().any(|known| known.key == entry.key) {
                    entries.push(entry.clone());
                }
            }
        }
        Ok(entries)
    }
}

fn syntax(error: &ScanError) -> Problem {
    problem(*error.marker(), "yaml-syntax", error.info())
}

fn problem(at: Marker, code: &'static str, message: &str) -> Problem {
    Problem { mark: mark(at), code, message: message.to_owned() }
}

fn mark(marker: Marker) -> Mark {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Mark { line: number(marker.line().max(1)), column: number(marker.col().saturating_add(1)) }
}
