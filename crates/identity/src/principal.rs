//! Who asks.

use std::collections::{BTreeMap, BTreeSet};

use meshgate_model::{AttributeValue, Fingerprint};
use sha2::{Digest, Sha256};

/// A user or service whose credential was checked. Made by [`crate::Identity`] only:
///
/// ```compile_fail,E0624
/// use meshgate_identity::{Authentication, Principal, PrincipalKind};
/// let forged = Principal::new(
///     PrincipalKind::User,
///     "root".to_owned(),
///     Default::default(),
///     Default::default(),
///     Authentication::Token,
/// );
/// ```
///
/// ```compile_fail,E0451
/// fn promote(guess: meshgate_identity::Principal) -> meshgate_identity::Principal {
///     meshgate_identity::Principal { hypothetical: false, ..guess }
/// }
/// ```
///
/// The one exception, [`Principal::hypothetical`], is marked for life and cannot run a query.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Principal {
    kind: PrincipalKind,
    name: String,
    groups: BTreeSet<String>,
    attributes: BTreeMap<String, AttributeValue>,
    authentication: Authentication,
    /// Which password it was, if it was one: a version of the stored record.
    password: Option<[u8; 16]>,
    hypothetical: bool,
}

/// What kind of principal: also the Cedar entity type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum PrincipalKind {
    /// A person.
    User,
    /// A program.
    Service,
}

/// How the principal proved who it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Authentication {
    /// Not at all: anonymous access is on.
    Anonymous,
    /// A gateway token.
    Token,
    /// A user's password.
    Password,
    /// An access token of an identity provider.
    Oidc,
    /// A client certificate.
    Certificate,
}

impl Principal {
    pub(crate) fn new(
        kind: PrincipalKind,
        name: String,
        groups: BTreeSet<String>,
        attributes: BTreeMap<String, AttributeValue>,
        authentication: Authentication,
    ) -> Self {
        Self { kind, name, groups, attributes, authentication, password: None, hypothetical: false }
    }

    /// Proved by this version of a password.
    pub(crate) fn with_password(self, version: [u8; 16]) -> Self {
        Self { password: Some(version), ..self }
    }

    /// Which version of a password proved it.
    pub(crate) fn password(&self) -> Option<[u8; 16]> {
        self.password
    }

    /// Somebody to ask policies about ("what would she see?"): for `access explain` and policy tests.
    ///
    /// SECURITY: no credential stands behind it; whoever runs statements refuses it ([`Self::is_hypothetical`]).
    pub fn hypothetical(
        kind: PrincipalKind,
        name: impl Into<String>,
        groups: BTreeSet<String>,
        attributes: BTreeMap<String, AttributeValue>,
    ) -> Self {
        let authentication = Authentication::Token;
        Self { hypothetical: true, ..Self::new(kind, name.into(), groups, attributes, authentication) }
    }

    /// The same principal, supposing it had proved itself in another way: hypothetical whatever it was before.
    pub fn supposing(self, authentication: Authentication) -> Self {
        Self { authentication, hypothetical: true, ..self }
    }

    /// Whether no credential stands behind it.
    pub fn is_hypothetical(&self) -> bool {
        self.hypothetical
    }

    /// A user or a service.
    pub fn kind(&self) -> PrincipalKind {
        self.kind
    }

    /// The user's or service's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The groups it is a member of.
    pub fn groups(&self) -> &BTreeSet<String> {
        &self.groups
    }

    /// Its attributes, typed as mesh.yaml declares them.
    pub fn attributes(&self) -> &BTreeMap<String, AttributeValue> {
        &self.attributes
    }

    /// How it proved who it is.
    pub fn authentication(&self) -> Authentication {
        self.authentication
    }

    /// A digest of everything a policy can see of it. The name is part of it: policies may name a user.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut hash = Sha256::new();
        hash.update(format!(
            "{:?}\u{0}{:?}\u{0}{:?}\u{0}{:?}\u{0}{:?}",
            self.kind, self.name, self.groups, self.attributes, self.authentication
        ));
        Fingerprint(hash.finalize().into())
    }
}

impl Authentication {
    /// The word policies see as `context.authentication`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Token => "token",
            Self::Password => "password",
            Self::Oidc => "oidc",
            Self::Certificate => "certificate",
        }
    }
}
