//! From a credential to a principal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use meshgate_model::{AttributeTypes, AttributeValue, Clock, Entropy, Failure, Fault, Secret, mutant};

use crate::attempts::Attempts;
use crate::error::Reason;
use crate::oidc::Issuers;
use crate::{
    AttributeTexts, Authentication, CertificateService, ClientCertificate, ClientInfo, Credential, CredentialStore,
    Error, Fetch, GuardLimits, OidcIssuer, PasswordCost, Principal, PrincipalKind, TokenHash, UserRecord, token,
};

/// The name of whoever has none. No user or token can have it.
pub(crate) const ANONYMOUS: &str = "anonymous";
/// The user name that says: the password is a gateway token. No user can have it.
pub(crate) const TOKEN_USER: &str = "token";

/// What is accepted, and how it is guarded.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether requests without a credential become the principal `anonymous`.
    pub anonymous: bool,
    /// Whether users may log in with passwords.
    pub password_login: bool,
    /// Against guessing.
    pub guard: GuardLimits,
    /// The cost of the work done for users who do not exist: the cost at which passwords are stored.
    pub password_cost: PasswordCost,
    /// Identity providers whose access tokens are accepted, and how the documents of each are fetched.
    pub issuers: Vec<(OidcIssuer, Arc<dyn Fetch>)>,
    /// Services that client certificates stand for; of several that fit, the first.
    pub services: Vec<CertificateService>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            anonymous: false,
            password_login: true,
            guard: GuardLimits::default(),
            password_cost: PasswordCost::default(),
            issuers: Vec::new(),
            services: Vec::new(),
        }
    }
}

/// Checks credentials. The only maker of a [`Principal`].
#[derive(Debug)]
pub struct Identity {
    store: Arc<dyn CredentialStore>,
    options: Options,
    attempts: Attempts,
    issuers: Issuers,
    clock: Arc<dyn Clock>,
}

impl Identity {
    /// An identity over the tokens and users of a store.
    pub fn new(
        store: Arc<dyn CredentialStore>,
        options: Options,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
    ) -> Self {
        let attempts = Attempts::new(options.guard, options.password_cost, clock.clone(), entropy);
        let issuers = Issuers::new(options.issuers.clone(), clock.clone());
        Self { store, options, attempts, issuers, clock }
    }

    /// Who this is. Nothing but verified passwords is remembered from one call to the next, and those are tied to the
    /// stored record: whatever was revoked, removed or changed, here or by another process, counts at once.
    pub async fn authenticate(
        &self,
        credential: &Credential,
        client: &ClientInfo,
        types: &AttributeTypes,
    ) -> Result<Principal, Error> {
        match credential {
            Credential::Anonymous if self.options.anonymous => Ok(anonymous()),
            Credential::Anonymous => Err(Error::Missing),
            Credential::Certificate(certificate) => self.by_certificate(certificate, types),
            Credential::Bearer(token) => self.by_token(token, types).await,
            Credential::Basic { user, password } if user == TOKEN_USER => self.by_token(password, types).await,
            Credential::Basic { user, password } => {
                let user = self.by_password(user, password, client).await?;
                principal_of(user, types)
            }
        }
    }

    /// Whether a principal that was authenticated a while ago would still be let in as the same. Nothing is guessed here,
    /// so the guard has no say: nobody stays longer by failing elsewhere.
    pub async fn confirm(
        &self,
        principal: &Principal,
        credential: &Credential,
        types: &AttributeTypes,
    ) -> Result<bool, Error> {
        let now = match credential {
            Credential::Anonymous => return Ok(self.options.anonymous),
            Credential::Certificate(certificate) => self.by_certificate(certificate, types),
            Credential::Bearer(token) => self.by_token(token, types).await,
            Credential::Basic { user, password } if user == TOKEN_USER => self.by_token(password, types).await,
            Credential::Basic { user, .. } => {
                let found = self.store.find_user(user).await?.filter(|_| self.options.password_login);
                match found.filter(|found| principal.password() == Some(found.password.version())) {
                    Some(found) => principal_of(found, types),
                    None => return Ok(false),
                }
            }
        };
        match now {
            Ok(now) => Ok(now.fingerprint() == principal.fingerprint() || mutant("whoever was let in stays the same")),
            Err(error) if error.fault() == Fault::Unauthenticated => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A certificate that stands for no service is as good as none.
    fn by_certificate(&self, certificate: &ClientCertificate, types: &AttributeTypes) -> Result<Principal, Error> {
        let found = self.options.services.iter().find(|service| certificate.is_of(&service.certificate));
        let Some(CertificateService { service, groups, attributes, .. }) = found else {
            return match (self.options.anonymous, self.options.services.is_empty()) {
                (true, _) => Ok(anonymous()),
                (false, true) => Err(Error::Missing),
                (false, false) => Err(Error::UnknownCertificate(certificate.to_string())),
            };
        };
        if !certificate.is_good_at(self.clock.now()) && !mutant("an expired client certificate is accepted") {
            return Err(Error::Refused(Reason::CertificateExpired(certificate.to_string())));
        }
        let attributes = typed(service, attributes, types)?;
        let (kind, name, groups) = (PrincipalKind::Service, service.clone(), groups.clone());
        Ok(Principal::new(kind, name, groups, attributes, Authentication::Certificate))
    }

    async fn by_token(&self, given: &Secret, types: &AttributeTypes) -> Result<Principal, Error> {
        let unknown = || Error::Refused(Reason::UnknownToken);
        if !token::is_token(given.expose()) {
            if self.issuers.may_be_theirs(given) {
                return self.issuers.authenticate(given, types).await;
            }
            return Err(unknown());
        }
        let hash = TokenHash::of(given);
        // SECURITY: the store finds by hash; what it found is compared again, in constant time.
        let found = self.store.find_token(&hash).await?.filter(|record| record.hash == hash);
        let record = found.ok_or_else(unknown)?;
        if record.revoked.is_some() && !mutant("a revoked token is accepted") {
            return Err(Error::Revoked { id: record.id, name: record.name });
        }
        if let Some(at) = record.expires.filter(|at| *at <= self.clock.now() && !mutant("an expired token is accepted"))
        {
            return Err(Error::Expired { id: record.id, name: record.name, at });
        }
        let attributes = typed(&record.name, &record.attributes, types)?;
        Ok(Principal::new(record.kind, record.name, record.groups, attributes, Authentication::Token))
    }

    async fn by_password(&self, name: &str, password: &Secret, client: &ClientInfo) -> Result<UserRecord, Error> {
        if !self.options.password_login {
            return Err(Error::PasswordLoginOff);
        }
        let user = self.store.find_user(name).await?;
        self.attempts.check(name, password, user.as_ref(), client).await?;
        user.ok_or_else(|| Error::Refused(Reason::UnknownUser(name.to_owned())))
    }
}

fn anonymous() -> Principal {
    let (groups, attributes) = (BTreeSet::new(), BTreeMap::new());
    Principal::new(PrincipalKind::User, ANONYMOUS.to_owned(), groups, attributes, Authentication::Anonymous)
}

fn principal_of(user: UserRecord, types: &AttributeTypes) -> Result<Principal, Error> {
    let attributes = typed(&user.name, &user.attributes, types)?;
    let principal = Principal::new(PrincipalKind::User, user.name, user.groups, attributes, Authentication::Password);
    Ok(principal.with_password(user.password.version()))
}

/// The attributes that the mesh declares, in its types; what it does not declare no policy can ask for.
pub(crate) fn typed(
    name: &str,
    texts: &AttributeTexts,
    types: &AttributeTypes,
) -> Result<BTreeMap<String, AttributeValue>, Error> {
    let declared = types.iter().filter_map(|(attribute, kind)| Some((attribute, kind, texts.get(attribute)?)));
    declared
        .map(|(attribute, kind, texts)| match kind.read(attribute, texts) {
            Ok(value) => Ok((attribute.clone(), value)),
            Err(source) => Err(Error::Attribute { name: name.to_owned(), source }),
        })
        .collect()
}

#[cfg(test)]
pub(crate) mod tests;
