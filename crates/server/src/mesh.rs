//! A mesh directory with everything that validation can say of it: documents and policies together.

use std::path::Path;

use meshgate_model::{Epoch, Finding};
use meshgate_policy::Policies;
use meshgate_product::Release;

use crate::trouble::{Outcome, Trouble};

/// Loads documents and policies. `Err` holds all findings of a mesh that cannot be served at all.
pub(crate) fn load(directory: &Path, environment: Option<&str>) -> Result<(Release, Policies), Vec<Finding>> {
    let invalid = |error: meshgate_product::Error| error.findings().to_vec();
    let release = meshgate_product::load(directory, environment, Epoch(1)).map_err(invalid)?;
    let (policies, mut findings) = Policies::compile(&release);
    findings.extend(meshgate_govern::check(&release, &policies));
    Ok((release.with_findings(findings).map_err(invalid)?, policies))
}

/// Loads a mesh that a command wants to ask about; parts of it may be out of service.
pub(crate) fn usable(directory: &Path) -> Outcome<(Release, Policies)> {
    exists(directory)?;
    load(directory, environment().as_deref()).map_err(|findings| {
        let errors = findings.iter().filter(|finding| finding.severity == meshgate_model::Severity::Error);
        let trouble = Trouble::failure(format!("the mesh in {} cannot be used", directory.display()));
        errors
            .take(3)
            .fold(trouble, |trouble, finding| trouble.why(finding.to_string()))
            .hint(format!("`meshgate check {}` shows everything that is wrong", directory.display()))
    })
}

/// Whether there is a mesh at all: what is wrong with it comes later.
pub(crate) fn exists(directory: &Path) -> Outcome {
    if directory.join("mesh.yaml").is_file() {
        return Ok(());
    }
    let why = if directory.is_dir() { "it holds no mesh.yaml" } else { "there is no such directory" };
    Err(Trouble::config(format!("{} is no mesh", directory.display()))
        .why(why)
        .hint("name the directory that holds mesh.yaml"))
}

/// Which `servers[].environment` of a contract counts, for commands without a configuration file.
pub(crate) fn environment() -> Option<String> {
    std::env::var("MESHGATE_ENVIRONMENT").ok().filter(|text| !text.is_empty())
}
