//! Everything that lets somebody in, and everything that must not.

mod fuzz;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use meshgate_model::{AttributeType, AttributeTypes, AttributeValue, Clock, Entropy, Failure, Fault, Instant, Secret};

use super::{Identity, Options};
use crate::{
    Authentication, ClientInfo, Credential, Error, IssuedToken, MemoryStore, NewToken, NewUser, PasswordCost,
    Principal, PrincipalKind, Registrar,
};

/// A clock that stands still until it is moved.
#[derive(Debug, Default)]
pub(crate) struct ManualClock(AtomicI64);

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        Instant(self.0.load(Ordering::SeqCst))
    }
}

impl ManualClock {
    pub(crate) fn advance_s(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}

/// Different bytes each time, the same in every run.
#[derive(Debug, Default)]
pub(crate) struct Counted(AtomicU64);

impl Entropy for Counted {
    fn fill(&self, buffer: &mut [u8]) {
        let n = self.0.fetch_add(1, Ordering::SeqCst).to_le_bytes();
        buffer.iter_mut().zip(n.iter().cycle()).for_each(|(byte, n)| *byte = *n);
    }
}

struct House {
    clock: Arc<ManualClock>,
    registrar: Registrar,
    identity: Identity,
    types: AttributeTypes,
}

impl House {
    fn new(change: impl FnOnce(&mut Options)) -> Self {
        let (store, clock) = (Arc::new(MemoryStore::default()), Arc::new(ManualClock::default()));
        let entropy = Arc::new(Counted::default());
        let mut options = Options { password_cost: PasswordCost::MINIMAL, ..Options::default() };
        change(&mut options);
        let identity = Identity::new(store.clone(), options, clock.clone(), entropy.as_ref());
        let registrar = Registrar::new(store, clock.clone(), entropy).with_password_cost(PasswordCost::MINIMAL);
        let types =
            [("clearance".to_owned(), AttributeType::Integer), ("countries".to_owned(), AttributeType::StringSet)]
                .into();
        Self { clock, registrar, identity, types }
    }

    async fn token(&self, attributes: &[(&str, &[&str])], ttl_s: Option<u64>) -> IssuedToken {
        let attributes = texts(attributes);
        let groups = ["analysts".to_owned()].into();
        let new = NewToken { kind: PrincipalKind::User, name: "ana".to_owned(), groups, attributes, ttl_s };
        self.registrar.create_token(new).await.expect("is made")
    }

    async fn user(&self, name: &str, password: &str) {
        let new = NewUser {
            name: name.to_owned(),
            password: Secret::new(password),
            groups: ["readers".to_owned()].into(),
            attributes: texts(&[("clearance", &["3"])]),
        };
        self.registrar.add_user(new).await.expect("is added");
    }

    async fn enter(&self, credential: Credential) -> Result<Principal, Error> {
        self.identity.authenticate(&credential, &from(1), &self.types).await
    }
}

fn texts(pairs: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
    pairs.iter().map(|(name, values)| ((*name).to_owned(), values.iter().map(|v| (*v).to_owned()).collect())).collect()
}

fn from(host: u8) -> ClientInfo {
    ClientInfo { address: Some([10, 0, 0, host].into()), user_agent: None }
}

fn bearer(token: &Secret) -> Credential {
    Credential::Bearer(token.clone())
}

fn basic(user: &str, password: &str) -> Credential {
    Credential::basic(user, Secret::new(password))
}

#[tokio::test]
async fn a_token_makes_a_principal_with_typed_attributes() {
    let house = House::new(|_| ());
    let issued =
        house.token(&[("clearance", &["7"]), ("countries", &["FR", "DE"]), ("undeclared", &["x"])], None).await;
    assert!(issued.secret.expose().starts_with("mg_"));
    let principal = house.enter(bearer(&issued.secret)).await.expect("is let in");
    assert_eq!((principal.kind(), principal.name()), (PrincipalKind::User, "ana"));
    assert_eq!(principal.authentication(), Authentication::Token);
    assert!(!principal.is_hypothetical());
    let countries = AttributeValue::StringSet(["DE".to_owned(), "FR".to_owned()].into());
    let expected = [("clearance".to_owned(), AttributeValue::Integer(7)), ("countries".to_owned(), countries)];
    assert_eq!(*principal.attributes(), expected.into());
    let as_password = house.enter(basic("token", issued.secret.expose())).await.expect("is let in");
    assert_eq!(as_password, principal);
}

#[tokio::test]
async fn tokens_end_when_they_expire_or_are_revoked() {
    let house = House::new(|_| ());
    let (short, long) = (house.token(&[], Some(60)).await, house.token(&[], None).await);
    house.clock.advance_s(59);
    assert!(house.enter(bearer(&short.secret)).await.is_ok());
    house.clock.advance_s(1);
    assert!(matches!(house.enter(bearer(&short.secret)).await, Err(Error::Expired { .. })));
    assert!(house.enter(bearer(&long.secret)).await.is_ok());
    house.registrar.revoke_token(&long.id[..6]).await.expect("is revoked");
    assert!(matches!(house.enter(bearer(&long.secret)).await, Err(Error::Revoked { .. })));
    let listed = house.registrar.list_tokens().await.expect("are listed");
    assert!(!format!("{listed:?}").contains(&long.secret.expose()[3..]), "a token is shown once");
}

#[tokio::test]
async fn a_token_is_revoked_by_itself_too_and_never_by_an_ambiguous_or_empty_id() {
    let house = House::new(|_| ());
    let mut issued = Vec::new();
    for _ in 0..40 {
        issued.push(house.token(&[], None).await);
    }
    for which in ["", "zzzz"] {
        assert!(house.registrar.revoke_token(which).await.is_err(), "{which:?}");
    }
    let first_digits = issued.iter().map(|token| token.id[..1].to_owned()).collect::<Vec<_>>();
    let shared = first_digits.iter().find(|d| first_digits.iter().filter(|e| e == d).count() > 1).expect("40 > 16");
    let error = house.registrar.revoke_token(shared).await.expect_err("ambiguous");
    assert_eq!(error.fault(), Fault::Invalid);
    house.registrar.revoke_token(issued[3].secret.expose()).await.expect("is revoked");
    assert!(house.enter(bearer(&issued[3].secret)).await.is_err());
    assert!(house.enter(bearer(&issued[4].secret)).await.is_ok());
}

#[tokio::test]
async fn wrong_credentials_are_refused_in_the_same_words() {
    let house = House::new(|_| ());
    house.user("ana", "right:one").await;
    let issued = house.token(&[], None).await;
    let mut almost = issued.secret.expose().to_owned();
    almost.pop();
    almost.push(if issued.secret.expose().ends_with('A') { 'B' } else { 'A' });
    let public = |error: Error| (error.fault(), error.public().to_string());
    let mut token_texts = Vec::new();
    for text in [almost.as_str(), "mg_short", "nonsense", "mgx_", ""] {
        token_texts.push(public(house.enter(bearer(&Secret::new(text))).await.expect_err(text)));
    }
    token_texts.dedup();
    assert_eq!(token_texts.len(), 1, "{token_texts:?}");
    let wrong = public(house.enter(basic("ana", "wrong")).await.expect_err("wrong password"));
    let unknown = public(house.enter(basic("eve", "wrong")).await.expect_err("unknown user"));
    assert_eq!(wrong, unknown);
    assert_eq!(wrong.0, Fault::Unauthenticated);
    assert!(house.enter(basic("ana", "right:one")).await.is_ok());
}

#[tokio::test]
async fn anonymous_is_let_in_only_if_that_is_on() {
    let closed = House::new(|_| ());
    let error = closed.enter(Credential::Anonymous).await.expect_err("off");
    assert_eq!(error.fault(), Fault::Unauthenticated);
    let open = House::new(|options| options.anonymous = true);
    let principal = open.enter(Credential::Anonymous).await.expect("on");
    assert_eq!((principal.name(), principal.authentication()), ("anonymous", Authentication::Anonymous));
    assert!(principal.groups().is_empty() && principal.attributes().is_empty());
    for reserved in ["anonymous", "token", "a:b", "", " a", "a\n"] {
        let new = NewUser {
            name: reserved.to_owned(),
            password: Secret::new("pw"),
            groups: Default::default(),
            attributes: Default::default(),
        };
        assert!(open.registrar.add_user(new).await.is_err(), "{reserved:?}");
    }
}

#[tokio::test]
async fn an_attribute_that_does_not_fit_refuses_the_login() {
    let house = House::new(|_| ());
    let issued = house.token(&[("clearance", &["high"])], None).await;
    let error = house.enter(bearer(&issued.secret)).await.expect_err("does not fit");
    assert_eq!(error.fault(), Fault::Unauthenticated);
    let text = error.public().to_string();
    assert!(text.contains("`clearance` is declared as integer and cannot be `high`"), "{text}");
    let untyped = house.identity.authenticate(&bearer(&issued.secret), &from(1), &AttributeTypes::new()).await;
    assert!(untyped.expect("undeclared attributes are ignored").attributes().is_empty());
}

#[tokio::test]
async fn changing_or_removing_a_user_counts_at_once_despite_the_memory_of_verified_passwords() {
    let house = House::new(|_| ());
    house.user("ana", "one").await;
    assert_eq!(house.enter(basic("ana", "one")).await.expect("is let in").authentication(), Authentication::Password);

    house.registrar.set_password("ana", Secret::new("two")).await.expect("is set");
    assert!(house.enter(basic("ana", "one")).await.is_err());
    assert!(house.enter(basic("ana", "two")).await.is_ok());

    let token = house.token(&[], None).await;
    assert_eq!(house.registrar.remove_user("ana").await.expect("is removed"), 1);
    assert!(house.enter(basic("ana", "two")).await.is_err());
    assert!(house.enter(bearer(&token.secret)).await.is_err());
    house.user("ana", "three").await;
    assert!(house.enter(basic("ana", "two")).await.is_err(), "the same name, another user");
}

#[tokio::test]
async fn who_would_not_be_let_in_as_the_same_is_not_confirmed() {
    let house = House::new(|_| ());
    house.user("ben", "one").await;
    let token = house.token(&[("clearance", &["7"]), ("region", &["EU"])], None).await;
    for credential in [bearer(&token.secret), basic("ben", "one")] {
        let principal = house.enter(credential.clone()).await.expect("is let in");
        let confirm = |types| house.identity.confirm(&principal, &credential, types);
        assert!(confirm(&house.types).await.expect("an answer"));
        // A mesh that declares other attributes makes another principal of the same record.
        let fewer = AttributeTypes::from([("countries".to_owned(), AttributeType::StringSet)]);
        assert!(!confirm(&fewer).await.expect("an answer"), "{}", principal.name());
    }
}

#[tokio::test]
async fn guessing_is_slowed_down_alike_for_users_who_exist_and_who_do_not() {
    for name in ["ana", "nobody"] {
        let house = House::new(|_| ());
        house.user("ana", "right").await;
        for _ in 0..6 {
            let error = house.enter(basic(name, "wrong")).await.expect_err("wrong");
            assert!(matches!(error, Error::Refused(_)), "{name}: {error}");
        }
        let held = house.enter(basic(name, "right")).await.expect_err("held back");
        assert_eq!(held.fault(), Fault::Limited, "{name}");
        let elsewhere = house.identity.authenticate(&basic(name, "right"), &from(2), &house.types).await;
        assert_eq!(elsewhere.is_ok(), name == "ana", "another address is not held back");
        house.clock.advance_s(1);
        assert_eq!(house.enter(basic(name, "right")).await.is_ok(), name == "ana");
    }
}

#[tokio::test]
async fn the_right_password_ends_the_counting() {
    let house = House::new(|_| ());
    house.user("ana", "right").await;
    for _ in 0..3 {
        for _ in 0..5 {
            let error = house.enter(basic("ana", "wrong")).await.expect_err("wrong");
            assert!(matches!(error, Error::Refused(_)), "{error}");
        }
        house.clock.advance_s(30); // beyond the memory of verified passwords
        assert!(house.enter(basic("ana", "right")).await.is_ok());
    }
}

#[tokio::test]
async fn passwords_can_be_switched_off_without_telling_who_exists() {
    let house = House::new(|options| options.password_login = false);
    house.user("ana", "pw").await;
    let texts = [("ana", "pw"), ("ana", "x"), ("eve", "x")];
    for (user, password) in texts {
        let error = house.enter(basic(user, password)).await.expect_err("off");
        assert!(matches!(error, Error::PasswordLoginOff), "{user}: {error}");
    }
    let issued = house.token(&[], None).await;
    assert!(house.enter(basic("token", issued.secret.expose())).await.is_ok());
}

#[tokio::test]
async fn many_calls_with_the_right_password_at_once_are_all_let_in() {
    let house = Arc::new(House::new(|_| ()));
    house.user("ana", "pw").await;
    let calls = (0..64).map(|_| {
        let house = house.clone();
        async move { house.enter(basic("ana", "pw")).await.is_ok() }
    });
    let mut set = tokio::task::JoinSet::new();
    calls.for_each(|call| {
        set.spawn(call);
    });
    assert!(set.join_all().await.into_iter().all(|let_in| let_in));
}
