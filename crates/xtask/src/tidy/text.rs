//! The text of all files: nothing of the place where it was written, no file too long to read.

use super::Finding;

/// 500 is a reason to split by responsibility.
const LINES_MAX: usize = 500;

/// What only exists where the authors sit: (pattern, what it is). Split so that this file does not contain them.
const PLACES: &[(&str, &str)] = &[
    (concat!("../", "shared"), "a directory beside the clone"),
    (concat!("/wor", "k/"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!(".lib", "rary"), "a directory beside the clone"),
];

/// First labels of hosts that serve packages.
const REGISTRY_LABELS: &[&str] = &["deb", "files", "index", "registry", "repo", "repo1", "static"];

pub(super) fn check(file: &str, text: &str) -> Vec<Finding> {
    // Written by cargo, and full of where packages come from.
    if file == "Cargo.lock" {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (line, content) in (1..).zip(text.lines()) {
        for (pattern, what) in PLACES {
            if content.contains(pattern) {
                findings.push(Finding::new(file, line, format!("`{pattern}` is {what}: take it out")));
            }
        }
        if let Some(host) = registry_host(content) {
            findings.push(Finding::new(
                file,
                line,
                format!("`{host}` is a package registry: leave it to the tools' defaults"),
            ));
        }
    }
    let lines = text.lines().count();
    if (file.ends_with(".rs") || file.ends_with(".py")) && lines > LINES_MAX {
        findings.push(Finding::new(
            file,
            LINES_MAX + 1,
            format!("{lines} lines, {LINES_MAX} is the limit: split it by responsibility"),
        ));
    }
    findings
}

fn registry_host(content: &str) -> Option<&str> {
    let mut rest = content;
    while let Some(start) = rest.find("://") {
        let host = rest[start + 3..].split(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '-')).next()?;
        let web = rest[..start].ends_with("http") || rest[..start].ends_with("https");
        if web && host.split_once('.').is_some_and(|(label, _)| REGISTRY_LABELS.contains(&label)) {
            return Some(host);
        }
        rest = &rest[start + 3..];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{LINES_MAX, check};

    #[test]
    fn places_of_the_authors_are_found() {
        let text = format!(
            "fine\nsee {}/design\nhttps://{}.example.org/simple https://example.org\n",
            concat!("../", "shared"),
            "index"
        );
        let found: Vec<(usize, String)> = check("a.md", &text).into_iter().map(|f| (f.line, f.message)).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!((found[0].0, found[1].0), (2, 3));
        assert!(found[1].1.contains("index.example.org"), "{found:?}");
        assert_eq!(check("Cargo.lock", &text), []);
    }

    #[test]
    fn long_files_are_found() {
        let text = "x\n".repeat(LINES_MAX);
        assert_eq!(check("a.rs", &text), []);
        assert_eq!(check("a.rs", &(text.clone() + "y\n")).len(), 1);
        assert_eq!(check("a.md", &(text + "y\n")), []);
    }
}
