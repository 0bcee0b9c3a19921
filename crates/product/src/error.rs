//! What can keep a mesh from being served at all.

use meshgate_model::{Failure, Fault, Finding, PublicText, Severity};

/// Why there is no release.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// mesh.yaml or the global policies are invalid. Carries everything that validation had to say.
    #[error("the mesh cannot be served: {}", summary(.0))]
    Invalid(
        /// All findings, those of single domains and products too.
        Vec<Finding>,
    ),
    /// The mesh directory cannot be watched.
    #[error("the mesh directory cannot be watched")]
    Watch(#[source] std::io::Error),
}

impl Error {
    /// Everything that validation had to say.
    pub fn findings(&self) -> &[Finding] {
        match self {
            Self::Invalid(findings) => findings,
            Self::Watch(_) => &[],
        }
    }
}

impl Failure for Error {
    fn fault(&self) -> Fault {
        match self {
            Self::Invalid(_) => Fault::Invalid,
            Self::Watch(_) => Fault::Internal,
        }
    }

    fn public(&self) -> PublicText {
        match self {
            Self::Invalid(_) => PublicText::new("the documents of the mesh are not valid")
                .hint("the operator finds what is wrong with `meshgate check`"),
            Self::Watch(_) => PublicText::internal(),
        }
    }
}

fn summary(findings: &[Finding]) -> String {
    let errors: Vec<_> = findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
    match errors.as_slice() {
        [] => "no reason was given".to_owned(),
        [only] => format!("{}: {}", only.place, only.message),
        [first, rest @ ..] => format!("{}: {} (and {} more)", first.place, first.message, rest.len()),
    }
}
