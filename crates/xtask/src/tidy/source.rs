//! The text of Rust files: docs at the top, and code that has no place here.

use super::{Finding, mask};

/// What no file may contain: (code, what to do).
const NOWHERE: &[(&str, &str)] = &[
    ("#[ignore", "a test that does not run proves nothing: make it run, or remove it"),
    ("#[allow(", "use #[expect(.., reason = \"..\")], which says why and complains once it is not needed"),
    ("#![allow(", "use #![expect(.., reason = \"..\")], which says why and complains once it is not needed"),
    ("todo!(", "write it, or leave out what needs it"),
    ("unimplemented!(", "write it, or answer Fault::Unsupported"),
];

/// What tests may not contain.
const NOT_IN_TESTS: &[(&str, &str)] =
    &[("sleep(", "a sleep is no synchronisation: wait for the event itself, with a timeout")];

/// What libraries may not contain outside their tests: the binary passes these in.
const NOT_IN_LIBRARIES: &[(&str, &str)] = &[
    ("env::var", "libraries do not read the environment: take the value from the caller"),
    ("SystemTime::now(", "libraries do not read the clock: take a meshgate_model::Clock"),
    ("Utc::now(", "libraries do not read the clock: take a meshgate_model::Clock"),
    ("Local::now(", "libraries do not read the clock: take a meshgate_model::Clock"),
];

/// Crates whose job it is to read the environment and the clock.
const READ_THE_WORLD: &[&str] = &[
    "crates/server/",
    "crates/testkit/",
    "crates/fuzzing/",
    "crates/xtask/",
    "tests/",
    "benches/",
    // For tests only, and no part of a release.
    "crates/model/src/mutants.rs",
];

pub(super) fn check(file: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::from_iter(docs(file, text));
    let code = mask::code(text);
    let tests_from = tests_from(file, &code);
    let library = !READ_THE_WORLD.iter().any(|place| file.starts_with(place));
    for (line, content) in (1..).zip(code.lines()) {
        let mut forbid = |rules: &[(&str, &str)]| {
            for (pattern, advice) in rules {
                if contains(content, pattern) {
                    findings.push(Finding::new(file, line, format!("`{pattern}`: {advice}")));
                }
            }
        };
        forbid(NOWHERE);
        if line >= tests_from {
            forbid(NOT_IN_TESTS);
        } else if library {
            forbid(NOT_IN_LIBRARIES);
        }
    }
    findings
}

/// A pattern that starts with a letter starts a word, or follows a path's `::` or a method's `.`.
fn contains(content: &str, pattern: &str) -> bool {
    content.match_indices(pattern).any(|(at, _)| {
        let before = content[..at].chars().next_back();
        !pattern.starts_with(|c: char| c.is_alphabetic()) || !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

/// The first line of test code; files of tests are test code throughout.
fn tests_from(file: &str, code: &str) -> usize {
    let whole = file.starts_with("tests/")
        || file.starts_with("benches/")
        || file.contains("/tests/")
        || file.contains("/testkit/")
        || file.ends_with("/tests.rs");
    if whole {
        return 1;
    }
    (1..).zip(code.lines()).find(|(_, line)| line.contains("#[cfg(test)]")).map_or(usize::MAX, |(line, _)| line)
}

fn docs(file: &str, text: &str) -> Option<Finding> {
    let lines = text.lines().take_while(|line| line.starts_with("//!")).count();
    let root = file.starts_with("crates/") && (file.ends_with("src/lib.rs") || file.ends_with("src/main.rs"));
    if root && lines < 2 {
        return Some(Finding::new(
            file,
            1,
            "begin with at least two lines of `//!`: what the crate is for, what it is not, its types in reading order",
        ));
    }
    (lines == 0).then(|| Finding::new(file, 1, "begin with a line of `//!`: what this file is responsible for"))
}

#[cfg(test)]
mod tests {
    use super::check;

    fn found(file: &str, text: &str) -> Vec<(usize, String)> {
        check(file, text).into_iter().map(|finding| (finding.line, finding.message)).collect()
    }

    #[test]
    fn docs_come_first() {
        assert_eq!(found("crates/a/src/lib.rs", "//! One.\n//! Two.\n"), []);
        assert_eq!(found("crates/a/src/lib.rs", "//! One.\n").len(), 1);
        assert_eq!(found("crates/a/src/part.rs", "//! One.\n"), []);
        assert_eq!(found("crates/a/src/part.rs", "use a;\n").len(), 1);
    }

    #[test]
    fn forbidden_code_is_found_and_mentions_of_it_are_not() {
        let lines = [
            ("#[ignore]", true),
            ("#[ignore = \"slow\"]", true),
            ("#[allow(dead_code)]", true),
            ("#![allow(dead_code)]", true),
            ("todo!()", true),
            ("std::todo!()", true),
            ("unimplemented!()", true),
            ("let at = Utc::now();", true),
            ("std::env::var(\"A\")", true),
            ("sleep(1)", false),
            ("env!(\"A\")", false),
            ("my_todo!()", false),
            ("\"todo!()\"", false),
            ("// todo!()", false),
            ("#[expect(dead_code, reason = \"#[allow(..)] is forbidden\")]", false),
        ];
        for (line, bad) in lines {
            let found = found("crates/a/src/part.rs", &format!("//! Docs.\n{line}\n"));
            assert_eq!(found.iter().map(|(line, _)| *line).collect::<Vec<_>>(), vec![2; usize::from(bad)], "{line}");
        }
    }

    #[test]
    fn tests_have_rules_of_their_own() {
        let text =
            "//! Docs.\nsleep(1);\n#[cfg(test)]\nmod tests { fn a() { tokio::time::sleep(x); env::var(\"A\"); } }\n";
        let lines = |file| found(file, text).iter().map(|(line, _)| *line).collect::<Vec<_>>();
        assert_eq!(lines("crates/a/src/part.rs"), [4]);
        assert_eq!(lines("tests/it/part.rs"), [2, 4]);
        assert_eq!(lines("crates/a/src/part/tests.rs"), [2, 4]);
    }
}
