//! Credentials to principals.
//!
//! * [`Credential`], [`ClientInfo`]: what a request brings along, read from an HTTP `authorization` header.
//! * [`Identity`]: checks a credential and makes the [`Principal`]; the only maker there is.
//! * [`Principal`]: who asks, with groups and typed attributes. Policies read it; they decide about access, not this
//!   crate.
//! * [`CredentialStore`]: the port behind which tokens and users are kept, with [`MemoryStore`] as the implementation
//!   without a disk and [`conformance`] as the suite that every implementation passes.
//! * [`OidcIssuer`]: an identity provider whose access tokens are accepted; [`Fetch`] is the port to its documents.
//! * [`CertificateService`]: a service that a client certificate stands for.
//! * [`Registrar`]: issues and revokes tokens, adds and removes users: what the `token` and `user` commands do.
//! * [`Error`]: why somebody was not let in. The public text never tells which part of a credential was wrong.
//!
//! Not here: headers and metadata of a wire (`flight`, `http`), the database (`state`), decisions (`policy`).

mod attempts;
mod authenticate;
mod certificate;
pub mod conformance;
mod credential;
mod error;
mod guard;
mod memory;
mod oidc;
mod password;
mod principal;
mod registrar;
mod store;
mod token;
mod verified;

pub use authenticate::{Identity, Options};
pub use certificate::{CertificateName, CertificateService, ClientCertificate};
pub use credential::{ClientInfo, Credential};
pub use error::{Error, Reason};
pub use guard::{Backoff, GuardLimits};
pub use memory::MemoryStore;
pub use oidc::{Fetch, OidcAlgorithm, OidcIssuer};
pub use password::{PasswordCost, PasswordHash};
pub use principal::{Authentication, Principal, PrincipalKind};
pub use registrar::{IssuedToken, NewToken, NewUser, Registrar};
pub use store::{AttributeTexts, CredentialStore, StoreError, TokenRecord, UserRecord};
pub use token::{TOKEN_PREFIX, TokenHash};
