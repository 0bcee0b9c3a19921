//! The sqllogictest format: statements and queries with what they are expected to give.

use std::path::Path;

/// What DataFusion's runner calls itself in `skipif` and `onlyif`.
const LABEL: &str = "datafusion";

/// One thing to ask, and what is expected.
#[derive(Debug, Clone)]
pub(super) struct Record {
    /// The file's name and the line it begins at.
    pub(super) place: String,
    pub(super) sql: String,
    pub(super) expected: Expected,
}

#[derive(Debug, Clone)]
pub(super) enum Expected {
    /// It succeeds.
    Success,
    /// It fails, with a text that contains what this regular expression describes.
    Failure(String),
    /// It gives rows.
    Rows {
        /// One letter for each column.
        types: String,
        sort: Sort,
        lines: Vec<String>,
    },
}

/// How rows are ordered before they are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    No,
    Rows,
    Values,
}

/// The records of a file and how many of its records are for other engines only.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) all: Vec<Record>,
    pub(super) for_others: usize,
}

/// Reads a file and the files that it includes. A line that is not understood is an error: nothing drops out unseen.
pub(super) fn read(file: &Path) -> Result<Records, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut reader = Reader { name, lines: text.lines().collect(), at: 0, records: Records::default(), sort: Sort::No };
    reader.all(file.parent().unwrap_or(file))?;
    Ok(reader.records)
}

struct Reader<'t> {
    name: String,
    lines: Vec<&'t str>,
    at: usize,
    records: Records,
    /// The order that `control sortmode` has set.
    sort: Sort,
}

impl<'t> Reader<'t> {
    fn all(&mut self, folder: &Path) -> Result<(), String> {
        let mut ours = true;
        while let Some(line) = self.next() {
            let place = format!("{}:{}", self.name, self.at);
            let words = line.split_whitespace().collect::<Vec<_>>();
            match words.as_slice() {
                [] => {}
                [first, ..] if first.starts_with('#') => {}
                // From how many values on their digest stands for them; an expected digest says what it is.
                ["hash-threshold", _] => {}
                ["halt"] => return Ok(()),
                ["skipif", engine] => ours &= !engine.eq_ignore_ascii_case(LABEL),
                ["onlyif", engine] => ours &= engine.eq_ignore_ascii_case(LABEL),
                ["control", "sortmode", mode] => self.sort = sort(mode).ok_or_else(|| unknown(&place, line))?,
                ["include", pattern] => self.include(&folder.join(pattern))?,
                ["statement" | "query", ..] => {
                    let record = self.record(place, &words)?;
                    if std::mem::replace(&mut ours, true) {
                        self.records.all.push(record);
                    } else {
                        self.records.for_others += 1;
                    }
                }
                _ => return Err(unknown(&place, line)),
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Option<&'t str> {
        let line = self.lines.get(self.at).copied();
        self.at += 1;
        line
    }

    /// `*` in the last part of the path stands for any text.
    fn include(&mut self, pattern: &Path) -> Result<(), String> {
        let wanted = pattern.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (start, end) = wanted.split_once('*').map_or((wanted.as_str(), None), |(start, end)| (start, Some(end)));
        let folder = pattern.parent().unwrap_or(pattern);
        let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let mut found = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect::<Vec<_>>();
        found.retain(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            end.map_or(name == start, |end| name.starts_with(start) && name.ends_with(end))
        });
        found.sort();
        if found.is_empty() {
            return Err(format!("{} includes nothing", pattern.display()));
        }
        for file in found {
            let inner = read(&file)?;
            self.records.all.extend(inner.all);
            self.records.for_others += inner.for_others;
        }
        Ok(())
    }

    fn record(&mut self, place: String, words: &[&str]) -> Result<Record, String> {
        let head = self.lines[self.at - 1];
        let (sql, answered) = self.sql();
        let expected = match words {
            ["statement" | "query", "error", ..] => {
                let inline = head.split_once("error").map_or("", |(_, pattern)| pattern.trim());
                let text = if answered { self.until_two_blanks().join("\n") } else { String::new() };
                Expected::Failure(if text.is_empty() { inline.to_owned() } else { regex::escape(&text) })
            }
            ["statement", "ok"] | ["statement", "count", _] => Expected::Success,
            ["query", types, rest @ ..] => {
                let mut order = self.sort;
                for word in rest {
                    // Anything else is a label, which joins queries that must agree; here each says what it gives.
                    order = sort(word).unwrap_or(order);
                }
                let lines = if answered { self.until_blank() } else { Vec::new() };
                Expected::Rows { types: (*types).to_owned(), sort: order, lines }
            }
            _ => return Err(unknown(&place, head)),
        };
        Ok(Record { place, sql, expected })
    }

    /// The SQL, and whether what it gives follows. Its first line may be empty.
    fn sql(&mut self) -> (String, bool) {
        let mut sql = Vec::new();
        let mut answered = false;
        while let Some(line) = self.next() {
            if line.is_empty() && !sql.is_empty() || line == "----" {
                answered = line == "----";
                break;
            }
            sql.push(line);
        }
        (sql.join("\n"), answered)
    }

    fn until_blank(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = self.next().filter(|line| !line.is_empty()) {
            lines.push(line.to_owned());
        }
        lines
    }

    fn until_two_blanks(&mut self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        while let Some(line) = self.next() {
            if line.is_empty() && lines.last().is_none_or(String::is_empty) {
                break;
            }
            lines.push(line.to_owned());
        }
        while lines.last().is_some_and(|line| line.trim().is_empty()) {
            lines.pop();
        }
        lines
    }
}

fn sort(word: &str) -> Option<Sort> {
    match word {
        "nosort" => Some(Sort::No),
        "rowsort" => Some(Sort::Rows),
        "valuesort" => Some(Sort::Values),
        _ => None,
    }
}

fn unknown(place: &str, line: &str) -> String {
    format!("{place}: `{line}` is not understood")
}
