//! The YAML of a test file: a list of mappings, with a few kinds of values.

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};

/// One test as written.
pub(super) struct RawCase {
    pub(super) line: u32,
    pub(super) name: String,
    pub(super) content: Result<Value, String>,
}

/// A value, without what tests have no use for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
}

impl Value {
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The texts of a list; a single text is a list of one.
    pub(super) fn texts(&self) -> Option<Vec<String>> {
        match self {
            Self::Text(text) => Some(vec![text.clone()]),
            Self::List(values) => values.iter().map(|value| value.text().map(str::to_owned)).collect(),
            Self::Map(_) => None,
        }
    }

    pub(super) fn entries(&self) -> &[(String, Self)] {
        match self {
            Self::Map(entries) => entries,
            _ => &[],
        }
    }
}

pub(super) fn cases(text: &str) -> Vec<RawCase> {
    let whole = |line, problem: String| vec![RawCase { line, name: "(the file)".to_owned(), content: Err(problem) }];
    let documents = match MarkedYaml::load_from_str(text) {
        Ok(documents) => documents,
        Err(error) => return whole(1, format!("is no YAML: {error}")),
    };
    let [document] = documents.as_slice() else {
        return if documents.is_empty() { Vec::new() } else { whole(1, "holds more than one document".to_owned()) };
    };
    let YamlData::Sequence(tests) = &document.data else {
        return whole(line(document), "is no list of tests".to_owned());
    };
    let cases = (1..).zip(tests).map(|(number, test)| {
        let content = value(test);
        let name = content.as_ref().ok().and_then(|content| content.get("name")).and_then(Value::text);
        let name = name.map_or_else(|| format!("test {number}"), str::to_owned);
        RawCase { line: line(test), name, content }
    });
    cases.collect()
}

fn line(node: &MarkedYaml<'_>) -> u32 {
    u32::try_from(node.span.start.line()).unwrap_or(u32::MAX)
}

fn value(node: &MarkedYaml<'_>) -> Result<Value, String> {
    match &node.data {
        YamlData::Value(scalar) => Ok(Value::Text(scalar_text(scalar))),
        YamlData::Representation(text, ..) => Ok(Value::Text(text.to_string())),
        YamlData::Sequence(values) => values.iter().map(value).collect::<Result<_, _>>().map(Value::List),
        YamlData::Mapping(entries) => entries
            .iter()
            .map(|(key, content)| match value(key)? {
                Value::Text(key) => Ok((key, value(content)?)),
                _ => Err(format!("a key in line {} is no text", line(key))),
            })
            .collect::<Result<_, String>>()
            .map(Value::Map),
        _ => Err(format!("line {} has no plain value", line(node))),
    }
}

fn scalar_text(scalar: &Scalar<'_>) -> String {
    match scalar {
        Scalar::Null => String::new(),
        Scalar::Boolean(value) => value.to_string(),
        Scalar::Integer(number) => number.to_string(),
        Scalar::FloatingPoint(number) => number.to_string(),
        Scalar::String(text) => text.to_string(),
    }
}
