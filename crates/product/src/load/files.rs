//! Reads files and directories of a mesh, and reports what cannot be read. What cannot be read is never as if it were
//! not there: a policy that is skipped could be the one that forbids.

use std::fs;
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use meshgate_model::{Finding, Name, Place, Scope, Severity};

use crate::documents::Parser;
use crate::notes::{Note, Notes};
use crate::release::PolicySource;
use crate::yaml::Node;

/// The largest document or policy, in bytes.
const BYTES_MAX: u64 = 8 * 1024 * 1024;
/// How deep misplaced policies are looked for.
const DEPTH_MAX: usize = 4;

/// Reads below one mesh directory.
pub(super) struct Reader<'d> {
    directory: &'d Path,
    parser: &'d Parser<'d>,
    pub(super) findings: Vec<Finding>,
}

impl<'d> Reader<'d> {
    pub(super) fn new(directory: &'d Path, parser: &'d Parser<'d>) -> Self {
        Self { directory, parser, findings: Vec::new() }
    }

    /// One that reads the same and has nothing to say yet.
    pub(super) fn another(&self) -> Self {
        Self::new(self.directory, self.parser)
    }

    /// Reads a YAML document; `missing` says how bad it is if there is none.
    pub(super) fn document(&mut self, file: &Path, scope: &Scope, missing: Severity) -> (Option<Arc<Node>>, Notes) {
        let mut notes = Notes::new(scope.clone(), file);
        let node = document(&self.directory.join(file), missing, self.parser, &mut notes);
        (node, notes)
    }

    /// Takes over what was said about a document.
    pub(super) fn take(&mut self, notes: Notes) {
        self.findings.extend(notes.into_findings());
    }

    /// Says something about a file or directory as a whole.
    pub(super) fn say(
        &mut self,
        severity: Severity,
        scope: &Scope,
        place: &Path,
        code: &'static str,
        message: impl Into<String>,
    ) -> Note<'_> {
        self.findings.push(Finding::new(severity, scope.clone(), Place::file(place), code, message));
        Note::of(self.findings.last_mut())
    }

    /// A directory whose name cannot be an address.
    pub(super) fn misnamed(&mut self, place: &Path, scope: Scope, nearest: &Name) {
        let given = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let message = format!("`{given}` cannot be an address: it must be [a-z][a-z0-9_]*");
        self.say(Severity::Error, &scope, place, "bad-name", message)
            .hint(format!("rename the directory to `{nearest}`"));
    }

    /// The names of the directories in a directory, sorted; hidden ones are nobody's.
    pub(super) fn directories(&mut self, place: &Path, scope: &Scope) -> Vec<String> {
        self.entries(place, scope).into_iter().filter(|(_, is_directory)| *is_directory).map(|(name, _)| name).collect()
    }

    /// The names of the files in a directory, sorted.
    pub(super) fn files(&mut self, place: &Path, scope: &Scope) -> Vec<String> {
        self.entries(place, scope).into_iter().filter(|(_, is_directory)| !is_directory).map(|(name, _)| name).collect()
    }

    /// The policies of a scope: `<place>/policies/*.cedar`, sorted by name.
    pub(super) fn policies(&mut self, place: &Path, scope: &Scope) -> Vec<PolicySource> {
        self.strays(place, scope, &["policies", "products"], 0);
        let place = place.join("policies");
        let mut policies = Vec::new();
        for (name, is_directory) in self.entries(&place, scope) {
            let file = place.join(&name);
            if is_directory {
                self.strays(&file, scope, &[], 1);
            } else if is_policy(&name) {
                match read(&self.directory.join(&file)) {
                    Ok(text) => policies.push(PolicySource { file, text }),
                    Err(error) => {
                        let message = format!("the policy cannot be read: {error}");
                        self.say(Severity::Error, scope, &file, "unreadable", message)
                            .hint("check the file's permissions and that it is UTF-8 text");
                    }
                }
            } else if name.to_lowercase().contains(".cedar") {
                self.say(Severity::Warning, scope, &file, "unread-file", format!("`{name}` is not read"))
                    .hint("policies are files that end in .cedar");
            }
        }
        policies
    }

    /// Policies directly in a directory that holds none, or in a directory `policies` of it.
    pub(super) fn strays_beside(&mut self, place: &Path, scope: &Scope) {
        self.strays(place, scope, &[], DEPTH_MAX);
        self.strays(&place.join("policies"), scope, &[], DEPTH_MAX);
    }

    /// Policies that stand where none are read, directories of the names in `elsewhere` apart.
    pub(super) fn strays(&mut self, place: &Path, scope: &Scope, elsewhere: &[&str], depth: usize) {
        for (name, is_directory) in self.entries(place, scope) {
            let path = place.join(&name);
            if is_directory && depth < DEPTH_MAX && !elsewhere.contains(&name.as_str()) {
                self.strays(&path, scope, &[], depth + 1);
            } else if !is_directory && is_policy(&name) {
                // SECURITY: a policy where nobody reads it would silently not be in force.
                let message = format!("the policy `{name}` would not be in force here");
                self.say(Severity::Error, scope, &path, "misplaced-policy", message)
                    .hint("policies stand directly in a directory `policies` of governance, a domain or a product");
            }
        }
    }

    fn entries(&mut self, place: &Path, scope: &Scope) -> Vec<(String, bool)> {
        match entries(&self.directory.join(place)) {
            Ok(entries) => entries,
            // A link that leads nowhere is not a directory that nobody made.
            Err(error) if error.kind() == ErrorKind::NotFound && !self.directory.join(place).is_symlink() => Vec::new(),
            Err(error) => {
                self.say(Severity::Error, scope, place, "unreadable", format!("the directory cannot be read: {error}"))
                    .hint("check that it is a directory and its permissions");
                Vec::new()
            }
        }
    }
}

fn is_policy(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("cedar"))
}

/// Reads one YAML document.
pub(crate) fn document(path: &Path, missing: Severity, parser: &Parser<'_>, notes: &mut Notes) -> Option<Arc<Node>> {
    match read(path) {
        Ok(text) => {
            let parsed = parser.parse(text);
            let empty = parsed.node.is_none() && parsed.problems.is_empty();
            for problem in &parsed.problems {
                notes.error(problem.mark, problem.code, problem.message.as_str()).hint("correct the YAML");
            }
            if empty {
                notes.whole(Severity::Error, "missing-document", "the document is empty").hint("write it");
            }
            parsed.node.clone()
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            notes.whole(missing, "missing-document", "the document does not exist").hint("write it");
            None
        }
        Err(error) => {
            notes
                .whole(Severity::Error, "unreadable", format!("the document cannot be read: {error}"))
                .hint("check the file's permissions and that it is UTF-8 text");
            None
        }
    }
}

fn entries(directory: &Path) -> io::Result<Vec<(String, bool)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            // Follows symbolic links: mounted configuration is made of them.
            let is_directory = fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_dir());
            entries.push((name, is_directory));
        }
    }
    entries.sort();
    Ok(entries)
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = fs::File::open(path)?.take(BYTES_MAX + 1).read_to_string(&mut text)?;
    if read as u64 > BYTES_MAX {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("it has more than {BYTES_MAX} bytes")));
    }
    Ok(text)
}
