//! Names and places of files.

use super::Finding;

/// What may stand at the top besides hidden files.
const TOP: &[&str] = &[
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "benches",
    "crates",
    "deploy",
    "proto",
    "tests",
];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["common", "helper", "helpers", "misc", "util", "utils"];

pub(super) fn check(files: &[String]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = files.iter().flat_map(|file| check_file(file)).collect();
    for needed in ["LICENSE", "README.md", "CHANGELOG.md", "crates/README.md"] {
        if !files.iter().any(|file| file == needed) {
            findings.push(Finding::new(needed, 1, "is missing: write it"));
        }
    }
    findings
}

fn check_file(file: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut say = |message: String| findings.push(Finding::new(file, 1, message));
    let parts: Vec<&str> = file.split('/').collect();
    if let [top, ..] = parts.as_slice()
        && !top.starts_with('.')
        && !TOP.contains(top)
    {
        say(format!("`{top}` is not one of the top-level places ({}): move it into one", TOP.join(" ")));
    }
    if file.ends_with("/mod.rs") {
        say("no mod.rs: name the file after its module, beside the directory".to_owned());
    }
    if file.ends_with(".rs") || file.ends_with(".py") || file.ends_with("Cargo.toml") {
        for part in &parts {
            let name = part.trim_end_matches(".rs").trim_end_matches(".py");
            if EMPTY_NAMES.contains(&name) {
                say(format!("`{name}` says nothing about what is inside: name it after its responsibility"));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::check_file;

    #[test]
    fn places_and_names() {
        let cases: &[(&str, &[&str])] = &[
            ("crates/model/src/lib.rs", &[]),
            (".ci/run", &[]),
            ("README.md", &[]),
            ("notes.txt", &["`notes.txt` is not one of the top-level places"]),
            ("docs/a.md", &["`docs` is not one of the top-level places"]),
            ("crates/model/src/name/mod.rs", &["no mod.rs"]),
            ("crates/model/src/utils.rs", &["`utils` says nothing"]),
            ("crates/common/src/lib.rs", &["`common` says nothing"]),
            ("crates/common/Cargo.toml", &["`common` says nothing"]),
            ("tests/clients/helpers.py", &["`helpers` says nothing"]),
            ("deploy/demo/common/readme.md", &[]),
        ];
        for (file, expected) in cases {
            let found: Vec<String> = check_file(file).into_iter().map(|finding| finding.message).collect();
            assert_eq!(found.len(), expected.len(), "{file}: {found:?}");
            assert!(found.iter().zip(*expected).all(|(found, start)| found.starts_with(start)), "{file}: {found:?}");
        }
    }
}
