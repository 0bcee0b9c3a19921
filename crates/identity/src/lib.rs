//! Credentials to principals.

mod principal;

pub use principal::{Authentication, Principal, PrincipalKind};
