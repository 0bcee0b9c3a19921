//! `meshgate policy test`: what a mesh's authors expect of their policies, run against a release.

mod case;
mod reader;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use meshgate_model::Instant;
use meshgate_product::Release;

use crate::Policies;
use crate::expectation;

/// How one test went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestOutcome {
    /// The file, relative to the mesh directory.
    pub file: PathBuf,
    /// The line the test begins in, from 1.
    pub line: u32,
    /// What it is called.
    pub name: String,
    /// What was not as expected; empty if all was.
    pub failures: Vec<String>,
}

impl TestOutcome {
    /// Whether everything was as expected.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

/// Runs all `policies/tests/*.yaml` of a mesh directory, in the order global, domain, product. `now` is the time for
/// tests that name none.
pub fn run_tests(directory: &Path, release: &Release, policies: &Policies, now: Instant) -> Vec<TestOutcome> {
    let mut outcomes = Vec::new();
    for place in places(release) {
        match files(directory, &place) {
            Ok(files) => {
                for file in files {
                    match std::fs::read_to_string(directory.join(&file)) {
                        Ok(text) => outcomes.extend(run_test_file(&file, &text, release, policies, now)),
                        Err(error) => outcomes.push(unreadable(file, &error)),
                    }
                }
            }
            Err(error) => outcomes.push(unreadable(place, &error)),
        }
    }
    outcomes
}

/// Runs the tests of one file: a list of
///
/// ```yaml
/// - name: analysts see their own region, and no mail addresses
///   principal: { kind: user, name: ann, groups: [analysts], attributes: { region: EU } }   # kind: user | service
///   purpose: fraud-review                 # optional, as are `clientIp` and `now` (RFC 3339)
///   resource: sales.orders.lines          # or sales.orders_v2.lines
///   expect:
///     visible: true                       # the default
///     rows: region = $region              # or `all`
///     columns: { id: plain, email: show-last-4, secret: hidden }
/// ```
/// Rows are compared as expressions, with the principal's values for parameters. Columns that are not listed are not
/// looked at.
pub fn run_test_file(
    file: &Path,
    text: &str,
    release: &Release,
    policies: &Policies,
    now: Instant,
) -> Vec<TestOutcome> {
    reader::cases(text)
        .into_iter()
        .map(|case| {
            let failures = match case.read(release, now) {
                Ok(case) => expectation::failures(&case, release, policies),
                Err(problems) => problems,
            };
            TestOutcome { file: file.to_owned(), line: case.line, name: case.name, failures }
        })
        .collect()
}

/// Where tests can be.
fn places(release: &Release) -> Vec<PathBuf> {
    let mut places = vec![PathBuf::from("governance")];
    for domain in release.domains().values() {
        let home = Path::new("domains").join(domain.name.as_str());
        let products: Vec<_> = domain.products.keys().map(|name| home.join("products").join(name.as_str())).collect();
        places.push(home);
        places.extend(products);
    }
    places.into_iter().map(|place| place.join("policies/tests")).collect()
}

fn files(directory: &Path, place: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(directory.join(place)) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        if Path::new(&name).extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            files.push(place.join(name));
        }
    }
    files.sort();
    Ok(files)
}

fn unreadable(file: PathBuf, error: &std::io::Error) -> TestOutcome {
    TestOutcome { file, line: 1, name: "(the file)".to_owned(), failures: vec![format!("cannot be read: {error}")] }
}
