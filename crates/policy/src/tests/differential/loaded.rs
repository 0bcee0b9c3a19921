//! The real thing: a mesh and its policies as files, loaded and asked.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use meshgate_model::{Epoch, Finding, Severity};
use meshgate_product::Release;

use super::asker::Asker;
use super::filter::Asked;
use super::mesh::{Column, Mesh, Placed};
use super::policy::Policy;
use super::reference::{Listed, Reading, Seen, Told};
use super::rows;
use crate::{Access, ColumnVerdict, Decision, Policies};

/// A loaded mesh.
pub(super) struct Loaded {
    release: Release,
    policies: Policies,
    /// Decisions that were made, so that it can be told how many were kept ones.
    made: HashSet<*const Decision>,
    kept: Vec<Arc<Decision>>,
}

/// The files of policies.
pub(super) fn files(policies: &[Policy]) -> BTreeMap<String, String> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for policy in policies {
        *files.entry(policy.scope.file(policy.file)).or_default() += &policy.cedar();
    }
    files
}

impl Loaded {
    /// Fails if anything but the policies that are meant to be broken is wrong.
    pub(super) fn new(mesh: &Mesh, policies: &[Policy]) -> Result<Self, String> {
        let directory = tempfile::tempdir().expect("a directory");
        let texts = files(policies);
        for (file, text) in mesh.documents().iter().map(|(file, text)| (file, text)).chain(&texts) {
            write(&directory.path().join(file), text);
        }
        let release = meshgate_product::load(directory.path(), None, Epoch(1)).expect("a valid mesh");
        let (compiled, findings) = Policies::compile(&release);
        let is_error = |finding: &&Finding| finding.severity == Severity::Error;
        let errors: Vec<_> = release.findings().iter().filter(is_error).collect();
        assert!(errors.is_empty(), "{errors:?}");
        let broken: Vec<_> = policies.iter().filter(|policy| policy.broken.is_some()).collect();
        let errors: Vec<_> = findings.iter().filter(is_error).map(ToString::to_string).collect();
        let meant = |error: &String| broken.iter().any(|policy| error.starts_with(&policy.scope.file(policy.file)));
        if errors.is_empty() != broken.is_empty() || !errors.iter().all(meant) {
            return Err(format!("{} policies are broken, but it is told: {}", broken.len(), errors.join("; ")));
        }
        Ok(Self { release, policies: compiled, made: HashSet::new(), kept: Vec::new() })
    }

    pub(super) fn ask(&mut self, mesh: &Mesh, asker: &Asker, placed: Placed<'_>) -> Told {
        let decision = self.policies.decide(&asker.principal(), &self.release, &placed.address(), &asker.request());
        assert_eq!(decision.table(), &placed.address());
        let told = match decision.access() {
            Access::Absent => Told::Absent,
            Access::Visible { rows, columns } => {
                let mut readings = BTreeMap::new();
                collect(&placed.table.columns, columns, "", &mut readings);
                Told::Visible(Seen {
                    rows: rows::shown(rows, &placed.table.rows, Asked { asker, mesh }),
                    columns: readings,
                    by: decision.determining().iter().map(|policy| policy.id.clone()).collect(),
                })
            }
        };
        if self.made.insert(Arc::as_ptr(&decision)) {
            self.kept.push(decision);
        }
        told
    }

    /// What the catalog shows of a table and what is around it.
    pub(super) fn list(&self, asker: &Asker, placed: Placed<'_>) -> Listed {
        let (principal, request, table) = (asker.principal(), asker.request(), placed.address());
        let (policies, release, product) = (&self.policies, &self.release, &table.product);
        [
            policies.discover_product(&principal, release, product, &request),
            policies.discover_table(&principal, release, &table, &request),
            policies.manages_product(&principal, release, product, &request),
            policies.manages_domain(&principal, release, &product.domain, &request),
        ]
    }

    /// How many decisions were made and not taken from those that were kept.
    pub(super) fn made(&self) -> usize {
        self.made.len()
    }
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    std::fs::write(path, text).expect("a file");
}

/// The readings of all columns and fields; those without a verdict of their own are read as what holds them.
fn collect(columns: &[Column], verdicts: &[ColumnVerdict], above: &str, into: &mut BTreeMap<String, Reading>) {
    assert_eq!(columns.len(), verdicts.len(), "a verdict on each of {above}");
    for (column, verdict) in columns.iter().zip(verdicts) {
        assert_eq!(column.name, verdict.name);
        let place = if above.is_empty() { column.name.clone() } else { format!("{above}.{}", column.name) };
        let reading = match &verdict.reading {
            crate::Reading::Plain => Reading::Plain,
            crate::Reading::Hidden => Reading::Hidden,
            crate::Reading::Masked(mask) => Reading::Masked(mask.to_string(), place.clone()),
        };
        if verdict.fields.is_empty() {
            inherit(column, &reading, &place, into);
        } else {
            assert_eq!(reading, Reading::Plain, "only what is inside a plain column has verdicts of its own");
            collect(column.inside(), &verdict.fields, &place, into);
        }
        into.insert(place, reading);
    }
}

fn inherit(column: &Column, reading: &Reading, place: &str, into: &mut BTreeMap<String, Reading>) {
    for field in column.inside() {
        let place = format!("{place}.{}", field.name);
        inherit(field, reading, &place, into);
        into.insert(place, reading.clone());
    }
}
