//! Says what a document may look like, as tables, and compares a document with them.

use crate::notes::{Notes, nearest};
use crate::yaml::{Mark, Node, Value, short};

/// A version of a standard as a number: v3.2.0 is 320.
pub(crate) type Edition = u16;

/// Documents older than this edition may use all of its fields.
const LAX: Edition = 310;

/// A kind of mapping: which fields it may have.
pub(crate) struct Shape {
    /// For messages: "a property".
    pub(crate) what: &'static str,
    /// Groups of fields, so that shapes can share them.
    pub(crate) fields: &'static [&'static [Field]],
}

/// A field of a mapping.
pub(crate) struct Field {
    name: &'static str,
    kind: Kind,
    required: bool,
    since: Edition,
}

/// What may stand in a field.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Any,
    /// Anything but a list or a mapping.
    Scalar,
    Text,
    /// A text without spaces and the characters that references use.
    Id,
    Bool,
    Integer,
    Number,
    /// Number or text: ports.
    NumberOrText,
    Texts,
    Anys,
    TextOrTexts,
    /// Exactly two numbers.
    Range,
    /// One of the words, each with the edition it came with.
    Word(&'static [(&'static str, Edition)]),
    Object(&'static Shape),
    List(&'static Shape),
    ObjectOrList(&'static Shape, &'static Shape),
    TextOrObject(&'static Shape),
    TextOrAny,
    /// A mapping of whatever.
    Mapping,
    /// The node itself says which shape it has.
    Pick(fn(&Node) -> &'static Shape),
    PickList(fn(&Node) -> &'static Shape),
    /// `customProperties` with the `meshgate.` names that have a meaning at this place.
    Custom(&'static Shape, &'static [&'static str]),
}

pub(crate) const fn may(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: false, since: 0 }
}

pub(crate) const fn must(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: true, since: 0 }
}

impl Field {
    /// The field came with a later edition.
    pub(crate) const fn since(mut self, edition: Edition) -> Self {
        self.since = edition;
        self
    }
}

/// Reports everything in which a node differs from its shape.
pub(crate) fn examine(node: &Node, shape: &'static Shape, edition: Edition, notes: &mut Notes) {
    Examiner { edition, notes }.object(node, shape);
}

/// How an edition is written in `apiVersion`.
pub(crate) fn label(edition: Edition) -> String {
    format!("v{}.{}.{}", edition / 100, edition / 10 % 10, edition % 10)
}

struct Examiner<'n> {
    edition: Edition,
    notes: &'n mut Notes,
}

impl Examiner<'_> {
    fn object(&mut self, node: &Node, shape: &'static Shape) {
        let Value::Map(entries) = &node.value else {
            return self.wrong(node, shape.what, &format!("a mapping that describes {}", shape.what));
        };
        let fields = || shape.fields.iter().copied().flatten();
        for entry in entries {
            match fields().find(|field| field.name == entry.key) {
                Some(field) => {
                    self.age(&format!("`{}`", field.name), field.since, entry.mark);
                    self.value(&entry.value, field);
                }
                None => self
                    .notes
                    .error(entry.mark, "unknown-field", format!("{} has no field `{}`", shape.what, short(&entry.key)))
                    .suggest(nearest(&entry.key, fields().map(|field| field.name))),
            }
        }
        for field in fields().filter(|field| field.required) {
            let present = match field.kind {
                Kind::Any | Kind::Scalar => node.entry(field.name).is_some(),
                _ => node.get(field.name).is_some(),
            };
            if !present {
                let message = format!("{} must have a field `{}`", shape.what, field.name);
                self.notes.error(node.mark, "missing-field", message).hint(format!("add `{}:`", field.name));
            }
        }
    }

    fn value(&mut self, node: &Node, field: &Field) {
        let is_text = node.as_text().is_some();
        let is_integer = matches!(node.value, Value::Integer(_));
        let is_number = is_integer || matches!(node.value, Value::Float(_));
        let name = field.name;
        // Other tools write a null for what they have no value for.
        if node.value == Value::Null {
            return;
        }
        match field.kind {
            Kind::Any => {}
            Kind::Scalar if matches!(node.value, Value::List(_) | Value::Map(_)) => {
                self.wrong(node, name, "a single value")
            }
            Kind::Scalar => {}
            Kind::Text if !is_text => self.wrong(node, name, "text"),
            Kind::Text => {}
            Kind::Id => self.id(node, name),
            Kind::Bool if !matches!(node.value, Value::Bool(_)) => self.wrong(node, name, "true or false"),
            Kind::Bool => {}
            Kind::Integer if !is_integer => self.wrong(node, name, "a whole number"),
            Kind::Integer => {}
            Kind::Number if !is_number => self.wrong(node, name, "a number"),
            Kind::Number => {}
            Kind::NumberOrText if !is_number && !is_text => self.wrong(node, name, "a number or text"),
            Kind::NumberOrText => {}
            Kind::Texts => self.texts(node, name),
            Kind::Anys => self.elements(node, name, |_, _| {}),
            Kind::TextOrTexts if is_text => {}
            Kind::TextOrTexts => self.texts(node, name),
            Kind::Range => self.range(node, name),
            Kind::Word(words) => self.word(node, name, words),
            Kind::Object(shape) => self.object(node, shape),
            Kind::List(shape) => self.elements(node, name, |this, element| this.object(element, shape)),
            Kind::ObjectOrList(_, element) if matches!(node.value, Value::List(_)) => {
                self.elements(node, name, |this, node| this.object(node, element));
            }
            Kind::ObjectOrList(shape, _) => self.object(node, shape),
            Kind::TextOrObject(_) | Kind::TextOrAny if is_text => {}
            Kind::TextOrObject(shape) => self.object(node, shape),
            Kind::TextOrAny if matches!(node.value, Value::Map(_)) => {}
            Kind::TextOrAny => self.wrong(node, name, "text or a mapping"),
            Kind::Mapping if !matches!(node.value, Value::Map(_)) => self.wrong(node, name, "a mapping"),
            Kind::Mapping => {}
            Kind::Pick(pick) => self.object(node, pick(node)),
            Kind::PickList(pick) => self.elements(node, name, |this, element| this.object(element, pick(element))),
            Kind::Custom(shape, ours) => self.elements(node, name, |this, element| {
                this.object(element, shape);
                this.ours(element, ours);
            }),
        }
    }

    fn elements(&mut self, node: &Node, name: &str, mut each: impl FnMut(&mut Self, &Node)) {
        match &node.value {
            Value::List(elements) => elements.iter().for_each(|element| each(self, element)),
            _ => self.wrong(node, name, "a list"),
        }
    }

    fn texts(&mut self, node: &Node, name: &str) {
        self.elements(node, name, |this, element| {
            if element.as_text().is_none() {
                this.wrong(element, &format!("each of `{name}`"), "text");
            }
        });
    }

    fn range(&mut self, node: &Node, name: &str) {
        let numbers = node.elements().iter().all(|n| matches!(n.value, Value::Integer(_) | Value::Float(_)));
        if node.elements().len() != 2 || !numbers {
            self.wrong(node, name, "a list of two numbers, the smaller one first");
        }
    }

    fn id(&mut self, node: &Node, name: &str) {
        let Some(text) = node.as_text() else { return self.wrong(node, name, "text") };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        // v3.1 had ids of plain letters; v3.0 had none, and what its validators let through is read as v3.2 reads it.
        let (narrow, hint) = match self.edition {
            310..320 => (true, "an id has only letters, digits, - and _ before v3.2.0"),
            _ => (false, "an id has no spaces and none of . # / \\ @ ! % & ^"),
        };
        let foreign = |c: char| c.is_whitespace() || ".#/\\@!%&^".contains(c) || (narrow && !plain(c));
        if text.is_empty() || text.contains(foreign) {
            self.notes.error(node.mark, "bad-id", format!("`{}` is no id", short(text))).hint(hint);
        }
    }

    fn word(&mut self, node: &Node, name: &str, words: &'static [(&'static str, Edition)]) {
        let Some(text) = node.as_text() else { return self.wrong(node, name, "text") };
        match words.iter().find(|(word, _)| *word == text) {
            Some((word, since)) => self.age(&format!("`{name}: {word}`"), *since, node.mark),
            None => {
                let message = format!("`{}` is no value of `{name}`", short(text));
                let note = self.notes.error(node.mark, "unknown-value", message);
                match nearest(text, words.iter().map(|(word, _)| *word)) {
                    Some(nearest) => note.suggest(Some(nearest)),
                    None => note.hint(format!(
                        "use one of {}",
                        words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ")
                    )),
                }
            }
        }
    }

    /// Names that begin with `meshgate.` are ours, and we know all of them.
    fn ours(&mut self, node: &Node, ours: &'static [&'static str]) {
        let Some(name) = node.text("property") else { return };
        let prefixed = name.get(.."meshgate.".len()).is_some_and(|start| start.eq_ignore_ascii_case("meshgate."));
        if !prefixed || ours.contains(&name) {
            return;
        }
        let message = format!("there is no custom property `{}` at this place", short(name));
        let note = self.notes.error(node.mark_of("property"), "unknown-field", message);
        match nearest(name, ours.iter().copied()) {
            Some(nearest) => note.suggest(Some(nearest)),
            None if ours.is_empty() => note.hint("no name that begins with `meshgate.` has a meaning here"),
            None => note.hint(format!("names of Meshgate here: {}", ours.join(", "))),
        }
    }

    fn age(&mut self, what: &str, since: Edition, mark: Mark) {
        // The validators of v3.0 never looked at fields they did not know, so documents of that time, the official
        // examples among them, use what came later.
        if since > self.edition && since > LAX {
            let message = format!(
                "{what} is new in {}, but the document says `apiVersion: {}`",
                label(since),
                label(self.edition)
            );
            self.notes
                .error(mark, "newer-field", message)
                .hint(format!("write `apiVersion: {}` or leave it out", label(since)));
        }
    }

    fn wrong(&mut self, node: &Node, name: &str, expected: &str) {
        let name = if name.contains(' ') { name.to_owned() } else { format!("`{name}`") };
        let note =
            self.notes.error(node.mark, "wrong-type", format!("{name} must be {expected}, not {}", node.describe()));
        if expected == "text" && matches!(node.value, Value::Integer(_) | Value::Float(_) | Value::Bool(_)) {
            note.hint(format!("put it in quotes: \"{}\"", node.raw()));
        }
    }
}
