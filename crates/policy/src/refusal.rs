//! Why a table does not exist for a principal. For `explain` and the operator's log; clients never learn which.

use meshgate_model::{ProductAddress, TableAddress};

use crate::PolicyRef;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the policies belong to another release")]
    OtherRelease,
    #[error("the release has no table {0}")]
    NoTable(TableAddress),
    #[error("policies of {0}, of its domain or of the mesh are invalid")]
    Broken(ProductAddress),
    #[error("the version is {0}, and only owners of its domain see those")]
    OwnersOnly(&'static str),
    #[error("no policy permits it")]
    NotPermitted,
    #[error("it is forbidden by {}", .0.iter().map(|policy| policy.id.as_str()).collect::<Vec<_>>().join(", "))]
    Forbidden(Vec<PolicyRef>),
    #[error("a policy could not be evaluated: {0}")]
    Failed(String),
}

impl Refusal {
    /// Something went wrong, as opposed to: the policies say no.
    pub(crate) fn is_fault(&self) -> bool {
        matches!(self, Self::OtherRelease | Self::Failed(_))
    }

    /// The policies that refused.
    pub(crate) fn policies(&self) -> Vec<PolicyRef> {
        match self {
            Self::Forbidden(policies) => policies.clone(),
            _ => Vec::new(),
        }
    }

    pub(crate) fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }
}
