//! Collects what validation has to say about one document.

use std::path::{Path, PathBuf};

use meshgate_model::{Finding, Place, Scope, Severity};

use crate::yaml::Mark;

/// The findings of one document so far.
#[derive(Debug)]
pub(crate) struct Notes {
    scope: Scope,
    file: PathBuf,
    findings: Vec<Finding>,
}

impl Notes {
    pub(crate) fn new(scope: Scope, file: impl Into<PathBuf>) -> Self {
        Self { scope, file: file.into(), findings: Vec::new() }
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    pub(crate) fn place(&self, mark: Mark) -> Place {
        Place::at(self.file.clone(), mark.line, mark.column)
    }

    pub(crate) fn error(&mut self, mark: Mark, code: &'static str, message: impl Into<String>) -> Note<'_> {
        self.add(Severity::Error, mark, code, message)
    }

    pub(crate) fn warning(&mut self, mark: Mark, code: &'static str, message: impl Into<String>) -> Note<'_> {
        self.add(Severity::Warning, mark, code, message)
    }

    pub(crate) fn notice(&mut self, mark: Mark, code: &'static str, message: impl Into<String>) -> Note<'_> {
        self.add(Severity::Notice, mark, code, message)
    }

    /// Something about the file as a whole.
    pub(crate) fn whole(&mut self, severity: Severity, code: &'static str, message: impl Into<String>) -> Note<'_> {
        self.push(Finding::new(severity, self.scope.clone(), Place::file(self.file.clone()), code, message))
    }

    /// An empty collection about the same document.
    pub(crate) fn sibling(&self) -> Self {
        Self::new(self.scope.clone(), self.file.clone())
    }

    /// Takes over what another collection says.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.findings.extend(other.findings);
    }

    /// The same, but worse than this is nothing.
    pub(crate) fn softened(mut self, most: Severity) -> Self {
        self.findings.iter_mut().for_each(|finding| finding.severity = finding.severity.min(most));
        self
    }

    pub(crate) fn into_findings(self) -> Vec<Finding> {
        self.findings
    }

    fn add(&mut self, severity: Severity, mark: Mark, code: &'static str, message: impl Into<String>) -> Note<'_> {
        let finding = Finding::new(severity, self.scope.clone(), self.place(mark), code, message);
        self.push(finding)
    }

    fn push(&mut self, finding: Finding) -> Note<'_> {
        self.findings.push(finding);
        Note(self.findings.last_mut())
    }
}

/// The finding that was just added; takes a hint.
pub(crate) struct Note<'a>(Option<&'a mut Finding>);

impl<'a> Note<'a> {
    pub(crate) fn of(finding: Option<&'a mut Finding>) -> Self {
        Self(finding)
    }

    pub(crate) fn hint(self, hint: impl Into<String>) {
        if let Some(finding) = self.0 {
            finding.hint = Some(hint.into());
        }
    }

    /// A hint if there is a word that was probably meant.
    pub(crate) fn suggest(self, nearest: Option<&str>) {
        if let Some(nearest) = nearest {
            self.hint(format!("did you mean `{nearest}`?"));
        }
    }
}

/// The candidate that was probably meant by a word nobody knows.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| {
        text.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect::<String>()
    };
    let word = plain(word);
    let similarity = |candidate: &str| {
        let known = plain(candidate);
        let distance = strsim::damerau_levenshtein(&word, &known);
        let abbreviated = word.chars().count() >= 3 && known.starts_with(&word);
        let similar = strsim::jaro_winkler(&word, &known);
        let close = distance <= (known.chars().count() / 3).max(1) || similar > 0.93 || abbreviated;
        close.then_some((distance, similar))
    };
    candidates
        .into_iter()
        .filter_map(|candidate| Some((candidate, similarity(candidate)?)))
        .min_by(|(_, a), (_, b)| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)))
        .map(|(candidate, _)| candidate)
}
