//! Why somebody was not let in, or not enrolled.

use meshgate_model::{AttributeError, Failure, Fault, Instant, PublicText};

use crate::store::StoreError;

/// Why a credential did not become a principal, or a token or user could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The header is not a credential at all.
    #[error("the authorization header cannot be read: {0}")]
    Malformed(&'static str),
    /// No credential, and anonymous access is off.
    #[error("no credential was given and anonymous access is off")]
    Missing,
    /// A credential that is not valid. The reason is for the operator.
    #[error("credential refused: {0}")]
    Refused(Reason),
    /// A genuine token past its time. Whoever holds the whole token may know.
    #[error("token {id} of {name} expired")]
    Expired {
        /// The token's id.
        id: String,
        /// Whose token.
        name: String,
        /// When.
        at: Instant,
    },
    /// A genuine token that was revoked.
    #[error("token {id} of {name} was revoked")]
    Revoked {
        /// The token's id.
        id: String,
        /// Whose token.
        name: String,
    },
    /// A token that its issuer signed, but not for this gateway, this time or a user that can be taken.
    #[error("a token of {issuer} refused: {why}")]
    NotForHere {
        /// Whose token.
        issuer: String,
        /// What is wrong with it.
        why: String,
    },
    /// Tokens of an issuer cannot be checked, because its keys cannot be had.
    #[error("the keys of {issuer} cannot be fetched: {why}")]
    KeysUnavailable {
        /// Which issuer.
        issuer: String,
        /// What happened when they were asked for.
        why: String,
    },
    /// A client certificate that no service is configured for.
    #[error("no service is configured for the client certificate of {0}")]
    UnknownCertificate(String),
    /// Password login is switched off.
    #[error("password login is off")]
    PasswordLoginOff,
    /// Too many failed attempts from there.
    #[error("too many failed logins as {user:?}; refused for another {retry_after_s} s")]
    TooManyAttempts {
        /// The name that was tried, known or not.
        user: String,
        /// How long until the next attempt is looked at.
        retry_after_s: u64,
    },
    /// More passwords are waiting to be checked than the gateway will queue.
    #[error("too many logins at once")]
    Busy,
    /// An attribute of a genuine principal does not fit its type in mesh.yaml.
    #[error("login of {name} refused: {source}")]
    Attribute {
        /// Whose attribute.
        name: String,
        /// Which, and why.
        source: AttributeError,
    },
    /// A name, group, attribute, password or lifetime that cannot be taken.
    #[error("{what} {why}")]
    Unacceptable {
        /// What was given.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The store could not answer, or says no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A password could not be hashed or a worker died.
    #[error("a password could not be processed: {0}")]
    Hashing(String),
}

/// What was wrong with a refused credential. For the operator only.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Reason {
    /// No such token.
    #[error("unknown token")]
    UnknownToken,
    /// A JWT that is broken, or that no key of a configured issuer signed.
    #[error("JWT: {0}")]
    Jwt(String),
    /// A client certificate past its time, or before it.
    #[error("the client certificate of {0} is not good now")]
    CertificateExpired(String),
    /// No such user.
    #[error("unknown user {0:?}")]
    UnknownUser(String),
    /// The user exists, the password is another.
    #[error("wrong password for user {0:?}")]
    WrongPassword(String),
}

impl Failure for Error {
    fn fault(&self) -> Fault {
        match self {
            Self::Malformed(_)
            | Self::Missing
            | Self::Refused(_)
            | Self::Expired { .. }
            | Self::Revoked { .. }
            | Self::NotForHere { .. }
            | Self::UnknownCertificate(_)
            | Self::PasswordLoginOff
            | Self::Attribute { .. } => Fault::Unauthenticated,
            Self::TooManyAttempts { .. } | Self::Busy => Fault::Limited,
            Self::KeysUnavailable { .. } => Fault::Unavailable,
            Self::Unacceptable { .. } => Fault::Invalid,
            Self::Store(error) => error.fault(),
            Self::Hashing(_) => Fault::Internal,
        }
    }

    fn public(&self) -> PublicText {
        let create = "ask for a new token (`meshgate token create`, or your identity provider)";
        match self {
            Self::Malformed(why) => PublicText::new("the authorization header cannot be read")
                .detail(*why)
                .hint("send `Bearer <token>`, or `Basic` with user and password"),
            Self::Missing => PublicText::new("this gateway needs a credential")
                .hint("send `Authorization: Bearer <token>`, or user and password"),
            // SECURITY: one text for every token, and one for every user name and password, right or wrong in any part.
            Self::Refused(Reason::UnknownToken | Reason::Jwt(_)) => PublicText::new("the token is not valid here")
                .hint("check that it is complete and meant for this gateway"),
            Self::Refused(Reason::CertificateExpired(_)) => {
                PublicText::new("the client certificate has expired").hint("connect again with a new one")
            }
            Self::Refused(Reason::UnknownUser(_) | Reason::WrongPassword(_)) => {
                PublicText::new("the user name or the password is wrong")
            }
            Self::Expired { .. } => PublicText::new("the token has expired").hint(create),
            Self::Revoked { .. } => PublicText::new("the token has been revoked").hint(create),
            Self::NotForHere { why, .. } => PublicText::new("the token is not valid here").detail(why.clone()),
            Self::KeysUnavailable { .. } => {
                PublicText::new("the identity provider of this token cannot be reached").hint("try again in a moment")
            }
            Self::UnknownCertificate(_) => PublicText::new("this client certificate stands for no service here").hint(
                "send `Authorization: Bearer <token>`, or have the certificate entered in the gateway's configuration",
            ),
            Self::PasswordLoginOff => PublicText::new("this gateway does not accept passwords")
                .hint("use a token: `Authorization: Bearer <token>`"),
            Self::TooManyAttempts { retry_after_s, .. } => {
                PublicText::new("too many failed logins").hint(format!("try again in {retry_after_s} s"))
            }
            Self::Busy => PublicText::new("too many logins at once").hint("try again in a moment"),
            Self::Attribute { source, .. } => PublicText::new("this account cannot log in to this mesh")
                .detail(source.to_string())
                .hint("have the attribute corrected, or its type in mesh.yaml"),
            Self::Unacceptable { .. } => PublicText::new(self.to_string()),
            Self::Store(error) => error.public(),
            Self::Hashing(_) => PublicText::internal(),
        }
    }
}
