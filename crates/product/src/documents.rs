//! Documents that were parsed before: a file that did not change is not parsed again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::yaml::{self, Parsed};

/// The most values that are kept, of all documents together: some 150 MiB.
const VALUES_MAX: usize = 1_000_000;

/// The documents of one load, parsed. Whoever loads a mesh again keeps them from one [`crate::reload`] to the next.
#[derive(Debug, Clone, Default)]
pub struct Documents(Arc<Known>);

// INVARIANT: by their whole text, so that no document is ever taken for another.
type Known = HashMap<Arc<str>, Arc<Parsed>>;

/// Parses the documents of one load, on whichever thread.
#[derive(Debug)]
pub(crate) struct Parser<'k> {
    before: &'k Documents,
    read: Mutex<Read>,
}

/// What this load has read so far. What no document says any more is not in it.
#[derive(Debug, Default)]
struct Read {
    known: Known,
    values: usize,
}

impl<'k> Parser<'k> {
    pub(crate) fn new(before: &'k Documents) -> Self {
        Self { before, read: Mutex::default() }
    }

    pub(crate) fn parse(&self, text: String) -> Arc<Parsed> {
        let (text, parsed) = match self.before.0.get_key_value(text.as_str()) {
            Some((text, parsed)) => (Arc::clone(text), Arc::clone(parsed)),
            None => {
                let parsed = Arc::new(yaml::parse(&text));
                (Arc::from(text), parsed)
            }
        };
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.values + parsed.values <= VALUES_MAX && read.known.insert(text, Arc::clone(&parsed)).is_none() {
            read.values += parsed.values;
        }
        parsed
    }

    /// What to keep for the next load.
    pub(crate) fn documents(self) -> Documents {
        Documents(Arc::new(self.read.into_inner().unwrap_or_else(PoisonError::into_inner).known))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Documents, Parser};

    #[test]
    fn a_text_that_stays_is_not_parsed_again_and_one_that_went_is_forgotten() {
        let load = |before: &Documents, texts: &[&str]| {
            let parser = Parser::new(before);
            let parsed: Vec<_> = texts.iter().map(|text| parser.parse((*text).to_owned())).collect();
            (parser.documents(), parsed)
        };
        let (first, one) = load(&Documents::default(), &["a: 1", "b: ["]);
        let (second, two) = load(&first, &["a: 1", "b: []"]);
        assert!(Arc::ptr_eq(&one[0], &two[0]));
        assert_eq!((one[1].problems.len(), two[1].problems.len()), (1, 0));
        let (_, three) = load(&second, &["a: 1", "b: ["]);
        assert!(Arc::ptr_eq(&one[0], &three[0]) && !Arc::ptr_eq(&one[1], &three[1]));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let none = Documents::default();
        let parser = Parser::new(&none);
        let text = |number: usize| format!("[{number}{}]", ", 1".repeat(150_000));
        (0..8).for_each(|number| drop(parser.parse(text(number))));
        assert_eq!(parser.documents().0.len(), super::VALUES_MAX / 150_002);
    }
}
