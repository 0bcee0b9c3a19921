//! Checks documents on their own: a contract or product file that is not (yet) part of a mesh.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use meshgate_model::{Finding, Scope, Severity};

use crate::assemble::{Examined, relationships};
use crate::documents::{Documents, Parser};
use crate::load::files::document;
use crate::notes::Notes;
use crate::odcs::{self, ODCS};
use crate::odps::{self, ODPS};
use crate::yaml::Node;
use crate::{server, standard};

/// The most directories below each other that are searched for documents.
const DEPTH_MAX: usize = 16;

/// Checks one ODCS or ODPS document, or all of them below a directory that is no mesh. What only a mesh can tell (does
/// the contract exist, does the location lie under the domain's storage) is not checked; findings name files as given.
pub fn check_file(path: &Path) -> Vec<Finding> {
    let none = Documents::default();
    let parser = Parser::new(&none);
    if !path.is_dir() {
        return one(path, true, &parser);
    }
    let mut files = Vec::new();
    below(path, 0, &mut files);
    let findings: Vec<Finding> = files.iter().flat_map(|file| one(file, false, &parser)).collect();
    if files.is_empty() {
        let mut notes = Notes::new(Scope::Mesh, path);
        notes
            .whole(Severity::Error, "missing-document", "there is no mesh.yaml and no document here")
            .hint("name a mesh directory, or a file that ends in .odcs.yaml or .odps.yaml");
        return notes.into_findings();
    }
    findings
}

/// `strict` if the file was named: then it must be a document.
fn one(file: &Path, strict: bool, parser: &Parser<'_>) -> Vec<Finding> {
    let mut notes = Notes::new(Scope::Mesh, file);
    let Some(node) = document(file, Severity::Error, parser, &mut notes) else { return notes.into_findings() };
    let kind = node.text("kind").unwrap_or_default().to_owned();
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    if kind == ODCS.kind || name.contains(".odcs.") {
        return contract(node, notes);
    }
    if kind == ODPS.kind || name.contains(".odps.") {
        odps::examined(&node, &mut notes);
        open_status(&node, &mut notes);
    } else if strict {
        notes.error(node.mark, "wrong-kind", "this is neither a contract nor a product").hint(format!(
            "begin with `kind: {}` or `kind: {}`; a mesh is checked by its directory",
            ODCS.kind, ODPS.kind
        ));
    } else {
        notes
            .whole(Severity::Notice, "unread-file", "this is neither a contract nor a product")
            .hint("it is not checked");
    }
    notes.into_findings()
}

fn contract(node: Arc<Node>, mut notes: Notes) -> Vec<Finding> {
    open_status(&node, &mut notes);
    let servers = node.list("servers").to_vec();
    servers.iter().for_each(|server| server::remark(server, &mut notes));
    // Without an id it was reported and there is nothing to point to.
    let Some(contract) = odcs::read(node, &mut notes) else { return notes.into_findings() };
    let mut examined = [Examined { contract, notes }];
    relationships::check_alone(&mut examined);
    let [Examined { notes, .. }] = examined;
    notes.into_findings()
}

/// The standards leave the status open; only in a mesh something depends on it.
fn open_status(node: &Node, notes: &mut Notes) {
    let mut strict = notes.sibling();
    if let Some(text) = node.text("status") {
        standard::status(text, node.mark_of("status"), &mut strict);
        notes.absorb(strict.softened(Severity::Notice));
    }
}

fn below(directory: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        if hidden {
        } else if path.is_dir() && depth < DEPTH_MAX {
            below(&path, depth + 1, files);
        } else if yaml {
            files.push(path);
        }
    }
}
