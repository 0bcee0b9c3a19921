//! Where things stand in a Cedar file: its statements, their annotations, and lines and columns.

use meshgate_model::Place;
use meshgate_product::PolicySource;

/// One statement of a file with its annotations, as text. Cedar itself decides what it means.
#[derive(Debug)]
pub(crate) struct Statement<'a> {
    pub(crate) text: &'a str,
    pub(crate) offset: usize,
    pub(crate) annotations: Vec<Annotation>,
}

/// One `@name("value")`, with offsets into the file.
#[derive(Debug)]
pub(crate) struct Annotation {
    pub(crate) name: String,
    pub(crate) offset: usize,
    /// What stands between the quotes, if there is a value.
    pub(crate) value: Option<(usize, usize)>,
}

/// A file with an index of its lines.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    source: &'a PolicySource,
    line_starts: Vec<usize>,
}

impl<'a> Document<'a> {
    pub(crate) fn new(source: &'a PolicySource) -> Self {
        let newlines = source.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { source, line_starts: std::iter::once(0).chain(newlines).collect() }
    }

    /// The line and column of a byte.
    pub(crate) fn place(&self, offset: usize) -> Place {
        let line = self.line_starts.partition_point(|start| *start <= offset).max(1);
        let start = self.line_starts.get(line - 1).copied().unwrap_or_default();
        let column = self.source.text.get(start..offset).map_or(0, |text| text.chars().count());
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        Place::at(&self.source.file, number(line), number(column + 1))
    }

    /// The place of a position (line and column from 1) inside an annotation's value. Where escapes make the two
    /// differ, the place of the value.
    pub(crate) fn place_in_value(&self, annotation: &Annotation, position: Option<(u64, u64)>) -> Place {
        let Some((start, end)) = annotation.value else { return self.place(annotation.offset) };
        let raw = self.source.text.get(start..end).unwrap_or_default();
        let Some((line, column)) = position.filter(|_| !raw.contains('\\')) else { return self.place(start) };
        let mut offset = start;
        for (number, text) in (1u64..).zip(raw.split_inclusive('\n')) {
            if number == line {
                let within = usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX);
                let bytes = text.char_indices().nth(within).map_or(text.len(), |(at, _)| at);
                return self.place(offset + bytes);
            }
            offset += text.len();
        }
        self.place(start)
    }

    /// Cuts the file at the semicolons that end statements.
    pub(crate) fn statements(&self) -> Vec<Statement<'a>> {
        let text = &self.source.text;
        let mut scanner = Scanner { text, at: 0, statements: Vec::new(), start: None, annotations: Vec::new() };
        scanner.run();
        scanner.statements
    }
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    statements: Vec<Statement<'a>>,
    start: Option<usize>,
    annotations: Vec<Annotation>,
}

impl Scanner<'_> {
    fn run(&mut self) {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            match byte {
                b'/' if bytes.get(self.at + 1) == Some(&b'/') => self.skip_while(|byte| byte != b'\n'),
                b'"' => self.string(),
                b';' => {
                    self.at += 1;
                    self.finish();
                }
                b'@' => self.annotation(),
                byte if byte.is_ascii_whitespace() => self.at += 1,
                _ => {
                    self.start.get_or_insert(self.at);
                    self.at += 1;
                }
            }
        }
        self.finish();
    }

    fn skip_while(&mut self, keep: impl Fn(u8) -> bool) {
        self.at += self.text.as_bytes()[self.at..].iter().take_while(|byte| keep(**byte)).count();
    }

    fn annotation(&mut self) {
        let offset = self.at;
        self.start.get_or_insert(offset);
        self.at += 1;
        self.skip_while(|byte| byte.is_ascii_whitespace());
        let from = self.at;
        self.skip_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let name = self.text[from..self.at].to_owned();
        self.annotations.push(Annotation { name, offset, value: None });
    }

    /// A string; inside the parentheses right after an annotation's name it is the annotation's value.
    fn string(&mut self) {
        self.start.get_or_insert(self.at);
        let bytes = self.text.as_bytes();
        let from = self.at + 1;
        self.at = from;
        while let Some(&byte) = bytes.get(self.at).filter(|byte| **byte != b'"') {
            self.at += if byte == b'\\' { 2 } else { 1 };
        }
        let end = self.at.min(bytes.len());
        self.at = end + 1;
        if let Some(annotation) = self.annotations.last_mut().filter(|annotation| annotation.value.is_none()) {
            let name_end = annotation.offset + 1 + annotation.name.len();
            let between = self.text.get(name_end..from - 1).unwrap_or_default();
            if between.trim() == "(" {
                annotation.value = Some((from, end));
            }
        }
    }

    fn finish(&mut self) {
        let annotations = std::mem::take(&mut self.annotations);
        if let Some(offset) = self.start.take() {
            let end = self.at.min(self.text.len());
            self.statements.push(Statement { text: &self.text[offset..end], offset, annotations });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Document, PolicySource};

    #[test]
    fn finds_statements_annotations_and_places() {
        let text = "// first; not a statement\n@id(\"a;b\")\n@rows ( \"x = 1\nAND ä = 'z' AND y\" )\npermit (principal, action, resource);\n\n  forbid (principal, action, resource) when { \"}; // \\\"\" == \"\" };\nrest";
        let source = PolicySource { file: "p.cedar".into(), text: text.to_owned() };
        let document = Document::new(&source);
        let statements = document.statements();
        let texts: Vec<_> = statements.iter().map(|s| s.text.split_whitespace().next().unwrap_or_default()).collect();
        assert_eq!(texts, ["@id(\"a;b\")", "forbid", "rest"]);
        let places: Vec<_> = statements.iter().map(|s| document.place(s.offset).to_string()).collect();
        assert_eq!(places, ["p.cedar:2:1", "p.cedar:7:3", "p.cedar:8:1"]);
        let rows = &statements[0].annotations[1];
        assert_eq!(rows.name, "rows");
        assert_eq!(document.place_in_value(rows, Some((1, 5))).to_string(), "p.cedar:3:14");
        assert_eq!(document.place_in_value(rows, Some((2, 17))).to_string(), "p.cedar:4:17");
        assert_eq!(document.place_in_value(rows, None).to_string(), "p.cedar:3:10");
    }
}
