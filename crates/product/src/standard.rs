//! What the two standards have in common: `kind`, `apiVersion`, `status`.

use crate::notes::{Notes, nearest};
use crate::release::Status;
use crate::shape::Edition;
use crate::yaml::{Mark, Node, Value, short};

/// One of the standards of Bitol.
pub(crate) struct Standard {
    pub(crate) title: &'static str,
    /// The value of `kind`.
    pub(crate) kind: &'static str,
    /// What its documents are called in a mesh.
    pub(crate) file: &'static str,
    /// What `apiVersion` may say, newest first.
    pub(crate) editions: &'static [(&'static str, Edition)],
}

/// The edition a document says it follows; without one nothing else can be said about it.
pub(crate) fn edition(node: &Node, standard: &Standard, notes: &mut Notes) -> Option<Edition> {
    if !matches!(node.value, Value::Map(_)) {
        let message = format!("this is no document of the {}: it is {}", standard.title, node.describe());
        notes.error(node.mark, "wrong-type", message).hint(format!("begin with `kind: {}`", standard.kind));
        return None;
    }
    match node.get("kind") {
        Some(kind) if kind.raw() != standard.kind => {
            let message = format!("`kind` must be `{}` in {}, not {}", standard.kind, standard.file, kind.describe());
            notes.error(kind.mark, "wrong-kind", message).hint(format!("write `kind: {}`", standard.kind));
            return None;
        }
        _ => {}
    }
    let newest = standard.editions.first().map_or("", |(word, _)| word);
    let oldest = standard.editions.last().map_or("", |(word, _)| word);
    let Some(given) = node.get("apiVersion") else {
        notes
            .error(node.mark, "missing-field", "the document does not say which version of the standard it follows")
            .hint(format!("add `apiVersion: {newest}`"));
        return None;
    };
    let found = standard.editions.iter().find(|(word, _)| *word == given.raw()).map(|(_, edition)| *edition);
    if found.is_none() {
        let message = format!(
            "`apiVersion: {}` of the {} cannot be read here, only {oldest} to {newest}",
            short(given.raw()),
            standard.title
        );
        let words = standard.editions.iter().map(|(word, _)| *word);
        match nearest(given.raw(), words).filter(|word| word.ends_with(given.raw())) {
            Some(word) => notes.error(given.mark, "unsupported-version", message).suggest(Some(word)),
            None => notes
                .error(given.mark, "unsupported-version", message)
                .hint(format!("bring the document to {newest} and say so")),
        }
    }
    found
}

/// The status a text means; the standards leave the field open, a gateway cannot.
pub(crate) fn status(text: &str, mark: Mark, notes: &mut Notes) -> Status {
    const WORDS: [(&str, Status); 5] = [
        ("proposed", Status::Proposed),
        ("draft", Status::Draft),
        ("active", Status::Active),
        ("deprecated", Status::Deprecated),
        ("retired", Status::Retired),
    ];
    let found = WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, status)| *status);
    if found.is_none() {
        let message = format!("`{}` is no status this gateway can act on", short(text));
        match nearest(text, WORDS.iter().map(|(word, _)| *word)) {
            Some(word) => notes.error(mark, "unknown-value", message).suggest(Some(word)),
            // The vocabulary is open, so this may be meant; it must not make anything visible.
            None => notes
                .warning(mark, "unknown-value", format!("{message}; it counts as draft"))
                .hint("use proposed, draft, active, deprecated or retired"),
        }
    }
    found.unwrap_or(Status::Draft)
}
