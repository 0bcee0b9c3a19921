//! `meshgate check`: everything that validation has to say of a mesh.

use std::path::Path;

use meshgate_model::{Finding, Scope, Severity};
use serde_json::{Value, json};

use crate::args::{Check, Report};
use crate::trouble::{Exit, Outcome, Trouble};
use crate::{mesh, output};

/// Prints all findings; fails if one of them is an error.
pub(super) fn run(arguments: &Check) -> Outcome<Exit> {
    if !arguments.mesh.exists() {
        return Err(Trouble::failure(format!("there is nothing at {}", arguments.mesh.display()))
            .hint("name a mesh directory, or one document"));
    }
    let findings = findings(&arguments.mesh);
    match arguments.format {
        Report::Json => output::json(&findings.iter().map(as_json).collect())?,
        Report::Text => {
            findings.iter().try_for_each(|finding| output::line(finding.to_string()))?;
            output::line(summary(&findings))?;
        }
    }
    let failed = findings.iter().any(|finding| finding.severity == Severity::Error);
    Ok(if failed { Exit::Failure } else { Exit::Success })
}

/// Of a mesh, or of documents that are no part of one.
fn findings(path: &Path) -> Vec<Finding> {
    if !path.join("mesh.yaml").exists() {
        return meshgate_product::check_file(path);
    }
    match mesh::load(path, mesh::environment().as_deref()) {
        Ok((release, _)) => release.findings().to_vec(),
        Err(findings) => findings,
    }
}

fn summary(findings: &[Finding]) -> String {
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings, notices) = (count(Severity::Error), count(Severity::Warning), count(Severity::Notice));
    let verdict = if errors == 0 { "valid" } else { "invalid" };
    format!("{verdict}: {}, {}, {}", number(errors, "error"), number(warnings, "warning"), number(notices, "notice"))
}

fn number(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn as_json(finding: &Finding) -> Value {
    let scope = match &finding.scope {
        Scope::Mesh => json!({ "kind": "mesh" }),
        Scope::Domain(domain) => json!({ "kind": "domain", "domain": domain.as_str() }),
        Scope::Product(address) => {
            json!({ "kind": "product", "domain": address.domain.as_str(), "product": address.product.as_str() })
        }
    };
    json!({
        "severity": finding.severity.to_string(),
        "code": finding.code,
        "message": finding.message,
        "hint": finding.hint,
        "file": finding.place.file.display().to_string(),
        "line": finding.place.line,
        "column": finding.place.column,
        "scope": scope,
    })
}

#[cfg(test)]
mod tests {
    use meshgate_model::{Finding, Place, Scope, Severity};

    use super::{as_json, summary};

    #[test]
    fn counts_and_renders() {
        let error = Finding::new(Severity::Error, Scope::Mesh, Place::at("mesh.yaml", 3, 5), "unknown-field", "no `x`");
        let notice = Finding::new(Severity::Notice, Scope::Mesh, Place::file("mesh.yaml"), "n", "hm").hint("look");
        assert_eq!(summary(&[]), "valid: 0 errors, 0 warnings, 0 notices");
        assert_eq!(summary(&[error.clone(), notice.clone()]), "invalid: 1 error, 0 warnings, 1 notice");
        let json = as_json(&error);
        assert_eq!((json["severity"].as_str(), json["line"].as_u64()), (Some("error"), Some(3)));
        assert_eq!(as_json(&notice)["hint"], "look");
    }
}
