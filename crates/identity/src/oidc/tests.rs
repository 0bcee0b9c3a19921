//! Tokens of a provider that signs with keys of its own, and everything that is no such token.

mod fuzz;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use meshgate_model::{AttributeType, AttributeTypes, AttributeValue, Failure, Fault, Instant, Secret};
use parking_lot::Mutex;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use super::{Fetch, OidcAlgorithm, OidcIssuer};
use crate::authenticate::tests::{Counted, ManualClock};
use crate::error::Reason;
use crate::{
    Authentication, ClientInfo, Credential, Error, Identity, MemoryStore, Options, PasswordCost, Principal,
    PrincipalKind,
};

const ISSUER: &str = "https://id.example.org/realm";
const DISCOVERY: &str = "https://id.example.org/realm/.well-known/openid-configuration";
const JWKS: &str = "https://keys.example.org/jwks";
const NOW_S: i64 = 1_800_000_000;

/// A key pair, as the issuer has it.
struct Signer {
    id: &'static str,
    algorithm: &'static str,
    private: Private,
    public: Value,
}

enum Private {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
}

impl Private {
    fn sign(&self, message: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(match self {
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Self::P256(pair) => pair.sign(&SystemRandom::new(), message).expect("signed").as_ref().to_vec(),
        })
    }
}

impl Signer {
    fn ed25519(id: &'static str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("random bytes");
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("just made");
        let x = URL_SAFE_NO_PAD.encode(pair.public_key());
        let public = json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "use": "sig", "x": x});
        Self { id, algorithm: "EdDSA", private: Private::Ed25519(pair), public }
    }

    fn p256(id: &'static str) -> Self {
        let (kind, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(kind, &random).expect("random bytes");
        let pair = EcdsaKeyPair::from_pkcs8(kind, pkcs8.as_ref(), &random).expect("just made");
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let public = json!({"kty": "EC", "crv": "P-256", "kid": id, "alg": "ES256", "x": x, "y": y});
        Self { id, algorithm: "ES256", private: Private::P256(pair), public }
    }

    fn sign(&self, claims: &Value) -> String {
        self.sign_text(&self.header().to_string(), &claims.to_string())
    }

    fn header(&self) -> Value {
        json!({"alg": self.algorithm, "typ": "at+jwt", "kid": self.id})
    }

    fn sign_text(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.private.sign(message.as_bytes());
        format!("{message}.{signature}")
    }
}

/// What the issuer publishes.
#[derive(Debug, Default)]
struct Web {
    pages: Mutex<HashMap<String, String>>,
    requests: AtomicUsize,
}

#[async_trait]
impl Fetch for Web {
    async fn get(&self, url: &str) -> Result<Vec<u8>, String> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        // Others come in meanwhile.
        tokio::task::yield_now().await;
        self.pages.lock().get(url).map(|page| page.clone().into_bytes()).ok_or_else(|| "404".to_owned())
    }
}

impl Web {
    fn publish(&self, keys: &[&Signer]) {
        let keys: Vec<&Value> = keys.iter().map(|key| &key.public).collect();
        self.put(JWKS, &json!({ "keys": keys }));
        self.put(DISCOVERY, &json!({"issuer": ISSUER, "jwks_uri": JWKS}));
    }

    fn put(&self, url: &str, page: &Value) {
        self.pages.lock().insert(url.to_owned(), page.to_string());
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

struct House {
    clock: Arc<ManualClock>,
    web: Arc<Web>,
    signer: Signer,
    identity: Identity,
}

impl House {
    fn new(change: impl FnOnce(&mut OidcIssuer)) -> Self {
        let mut issuer = OidcIssuer::new(ISSUER, vec!["meshgate".to_owned()]);
        change(&mut issuer);
        Self::of(vec![issuer])
    }

    fn of(issuers: Vec<OidcIssuer>) -> Self {
        let (clock, web) = (Arc::new(ManualClock::default()), Arc::new(Web::default()));
        clock.advance_s(NOW_S);
        let signer = Signer::ed25519("one");
        web.publish(&[&signer]);
        let issuers = issuers.into_iter().map(|issuer| (issuer, web.clone() as Arc<dyn Fetch>)).collect();
        let options = Options { issuers, password_cost: PasswordCost::MINIMAL, ..Options::default() };
        let store = Arc::new(MemoryStore::default());
        let identity = Identity::new(store, options, clock.clone(), &Counted::default());
        Self { clock, web, signer, identity }
    }

    async fn enter(&self, token: &str) -> Result<Principal, Error> {
        self.enter_as(Credential::Bearer(Secret::new(token))).await
    }

    async fn enter_as(&self, credential: Credential) -> Result<Principal, Error> {
        self.identity.authenticate(&credential, &ClientInfo::default(), &types()).await
    }

    /// Comes in with claims that the issuer signed.
    async fn with(&self, claims: &Value) -> Result<Principal, Error> {
        self.enter(&self.signer.sign(claims)).await
    }
}

fn types() -> AttributeTypes {
    [("clearance".to_owned(), AttributeType::Integer), ("countries".to_owned(), AttributeType::StringSet)].into()
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": "meshgate", "sub": "ana", "exp": NOW_S + 600, "iat": NOW_S, "nbf": NOW_S,
        "groups": ["analysts"],
    })
}

/// The claims with one changed, or without it.
fn but(name: &str, value: Value) -> Value {
    let mut claims = claims();
    match value {
        Value::Null => claims.as_object_mut().expect("an object").remove(name),
        value => claims.as_object_mut().expect("an object").insert(name.to_owned(), value),
    };
    claims
}

#[tokio::test]
async fn claims_become_a_principal() {
    let house = House::new(|issuer| {
        issuer.user_claim = "preferred_username".to_owned();
        issuer.user_prefix = "corp:".to_owned();
        issuer.groups_claim = "/realm_access/roles".to_owned();
        issuer.attributes = [
            ("clearance".to_owned(), "https://example.org/clearance".to_owned()),
            ("countries".to_owned(), "/address/countries".to_owned()),
        ]
        .into();
    });
    let mut claims = but("preferred_username", json!("ana"));
    claims["realm_access"] = json!({"roles": ["analysts", "eu/west"]});
    claims["https://example.org/clearance"] = json!(3);
    claims["address"] = json!({"countries": ["DE", "FR"]});
    let token = house.signer.sign(&claims);
    let ana = house.enter(&token).await.expect("let in");
    assert_eq!((ana.kind(), ana.name()), (PrincipalKind::User, "corp:ana"));
    assert_eq!(ana.authentication(), Authentication::Oidc);
    assert_eq!(ana.groups().iter().collect::<Vec<_>>(), ["analysts", "eu/west"]);
    assert_eq!(ana.attributes()["clearance"], AttributeValue::Integer(3));
    let countries = AttributeValue::StringSet(["DE".to_owned(), "FR".to_owned()].into());
    assert_eq!(ana.attributes()["countries"], countries);
    let as_password = Credential::basic("token", Secret::new(token.clone()));
    assert_eq!(house.enter_as(as_password).await.expect("let in").fingerprint(), ana.fingerprint());
    let bearer = Credential::Bearer(Secret::new(token));
    assert!(house.identity.confirm(&ana, &bearer, &types()).await.expect("known"));
    house.clock.advance_s(700);
    assert!(!house.identity.confirm(&ana, &bearer, &types()).await.expect("known"), "the token ran out");
}

#[tokio::test]
async fn a_client_that_acts_for_itself_is_a_service() {
    let house = House::new(|issuer| issuer.user_claim = "email".to_owned());
    let mut claims = but("client_id", json!("etl"));
    claims["sub"] = json!("etl");
    let etl = house.with(&claims).await.expect("let in");
    assert_eq!((etl.kind(), etl.name()), (PrincipalKind::Service, "etl"));
    claims["sub"] = json!("ana");
    claims["email"] = json!("ana@example.org");
    assert!(house.with(&claims).await.is_err(), "nobody has verified the address");
    claims["email_verified"] = json!("true");
    assert!(house.with(&claims).await.is_err(), "nor here");
    claims["email_verified"] = json!(true);
    let ana = house.with(&claims).await.expect("let in");
    assert_eq!((ana.kind(), ana.name()), (PrincipalKind::User, "ana@example.org"));
    claims["idtyp"] = json!("app");
    assert_eq!(house.with(&claims).await.expect("let in").kind(), PrincipalKind::Service);
}

#[tokio::test]
async fn what_the_issuer_signed_has_to_be_for_here_and_now() {
    let house = House::new(|issuer| issuer.user_claim = "sub".to_owned());
    for good in [
        but("aud", json!(["other", "meshgate"])),
        but("nbf", Value::Null),
        but("iat", Value::Null),
        but("exp", json!(NOW_S - 59)),
        but("exp", json!(1_800_000_600.5)),
        but("nbf", json!(NOW_S + 60)),
        but("groups", Value::Null),
        but("groups", json!("analysts")),
        but("groups", json!([])),
    ] {
        assert_eq!(house.with(&good).await.map(|ana| ana.name().to_owned()).expect("let in"), "ana", "{good}");
    }
    let long = "x".repeat(300);
    for (wrong, says) in [
        (but("exp", Value::Null), "no `exp`"),
        (but("exp", json!(NOW_S - 60)), "expired"),
        (but("exp", json!("1900000000")), "no time"),
        (but("exp", json!(-1)), "no time"),
        (but("exp", json!(1e300)), "no time"),
        (but("exp", json!([1_900_000_000])), "no time"),
        (but("exp", json!(true)), "no time"),
        (but("nbf", json!(NOW_S + 61)), "not good yet"),
        (but("nbf", json!("0")), "no time"),
        (but("iat", json!(NOW_S + 61)), "from the future"),
        (but("aud", Value::Null), "another audience"),
        (but("aud", json!("Meshgate")), "another audience"),
        (but("aud", json!("meshgate/")), "another audience"),
        (but("aud", json!(["other"])), "another audience"),
        (but("aud", json!({"meshgate": 1})), "neither a text"),
        (but("aud", json!([["meshgate"]])), "neither a text"),
        (but("sub", Value::Null), "names nobody"),
        (but("sub", json!("")), "names nobody"),
        (but("sub", json!(7)), "names nobody"),
        (but("sub", json!("anonymous")), "meaning of its own"),
        (but("sub", json!("token")), "meaning of its own"),
        (but("sub", json!("a\nb")), "control character"),
        (but("sub", json!(" ana")), "a space"),
        (but("sub", json!(long)), "longer than"),
        (but("groups", json!(["a", {"b": 1}])), "neither a text"),
        (but("groups", json!([""])), "empty"),
        (but("groups", (0..1001).map(|n| format!("g{n}")).collect()), "more than 1000"),
        (but("_claim_names", json!({"groups": "src1"})), "too many"),
        (but("hasgroups", json!(true)), "too many"),
    ] {
        let error = house.with(&wrong).await.expect_err(&wrong.to_string());
        assert_eq!(error.fault(), Fault::Unauthenticated, "{wrong}");
        let text = format!("{error} {:?}", error.public());
        assert!(text.contains(says), "{wrong}: {text}");
    }
}

#[tokio::test]
async fn nobody_else_comes_in() {
    let house = House::new(|issuer| issuer.algorithms = vec![OidcAlgorithm::EdDsa, OidcAlgorithm::Rs256]);
    let good = house.signer.sign(&claims());
    assert!(house.enter(&good).await.is_ok());
    let parts: Vec<&str> = good.split('.').collect();
    let [header, body, signature] = parts[..] else { panic!("three parts") };
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let (text, own) = (claims().to_string(), house.signer.header());
    let header_with = |name: &str, value: Value| {
        let mut header = own.clone();
        header[name] = value;
        header.to_string()
    };
    let public = house.signer.public["x"].as_str().expect("a text");
    let stranger = Signer::ed25519("one");
    let hmac = |key: &[u8]| {
        let message = format!("{}.{body}", encode(r#"{"alg":"HS256","kid":"one"}"#));
        let signed = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signed))
    };
    let twice = format!(r#"{{"sub":"root",{}"#, &text[1..]);
    let padded = format!("{}=", URL_SAFE_NO_PAD.encode("{}"));
    let one_text = Error::Refused(Reason::UnknownToken).public().to_string();
    for forged in [
        stranger.sign(&claims()),
        format!("{header}.{}.{signature}", encode(&but("sub", json!("root")).to_string())),
        format!("{header}.{body}."),
        format!("{header}.{body}"),
        format!("{header}.{body}.{signature}."),
        format!("{header}.{body}.{signature}A"),
        format!("{header}.{body}.{signature}="),
        format!("{padded}.{body}.{signature}"),
        format!("{}.{body}.", encode(r#"{"alg":"none"}"#)),
        format!("{}.{body}.{signature}", encode(r#"{"alg":"None","kid":"one"}"#)),
        hmac(public.as_bytes()),
        hmac(&URL_SAFE_NO_PAD.decode(public).expect("base64")),
        house.signer.sign_text(&header_with("alg", json!("RS256")), &text),
        house.signer.sign_text(&header_with("alg", json!("eddsa")), &text),
        house.signer.sign_text(&header_with("alg", json!(["EdDSA"])), &text),
        house.signer.sign_text(&header_with("kid", json!("two")), &text),
        house.signer.sign_text(&header_with("kid", json!("../../one")), &text),
        house.signer.sign_text(&header_with("kid", json!(1)), &text),
        house.signer.sign_text(&header_with("typ", json!("id_token+jwt")), &text),
        house.signer.sign_text(&header_with("cty", json!("JWT")), &text),
        house.signer.sign_text(&header_with("crit", json!(["exp"])), &text),
        house.signer.sign_text(&header_with("b64", json!(false)), &text),
        house.signer.sign_text(&header_with("zip", json!("DEF")), &text),
        house.signer.sign_text(&own.to_string(), &twice),
        house.signer.sign_text(&own.to_string(), "[]"),
        house.signer.sign(&but("iss", Value::Null)),
        house.signer.sign(&but("iss", json!(format!("{ISSUER}/")))),
        house.signer.sign(&but("iss", json!("https://evil.example.org"))),
        house.signer.sign(&but("iss", json!([ISSUER]))),
        // The key that a token brings along is nobody's.
        stranger.sign_text(&header_with("jwk", stranger.public.clone()), &text),
        stranger.sign_text(&header_with("jku", json!("https://evil.example.org/jwks")), &text),
        "a.b.c".to_owned(),
        "..".to_owned(),
        "mg_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned(),
    ] {
        let error = house.enter(&forged).await.expect_err(&forged);
        assert_eq!(error.public().to_string(), one_text, "{forged}: {error}");
        assert_eq!(error.fault(), Fault::Unauthenticated);
    }
    for (kind, good) in [("JWT", true), ("application/at+jwt", true), ("AT+JWT", true), ("jwe", false)] {
        let token = house.signer.sign_text(&header_with("typ", json!(kind)), &text);
        assert_eq!(house.enter(&token).await.is_ok(), good, "{kind}");
    }
}

#[tokio::test]
async fn an_issuer_names_its_own_users_only() {
    const OTHER: &str = "https://id.example.com";
    let mut first = OidcIssuer::new(ISSUER, vec!["meshgate".to_owned()]);
    first.user_prefix = "org:".to_owned();
    let mut second = OidcIssuer::new(OTHER, vec!["meshgate".to_owned()]);
    second.user_prefix = "com:".to_owned();
    let house = House::of(vec![first, second]);
    let (discovery, jwks) = (format!("{OTHER}/.well-known/openid-configuration"), format!("{OTHER}/jwks"));
    let stranger = Signer::p256("one");
    house.web.put(&jwks, &json!({"keys": [stranger.public]}));
    house.web.put(&discovery, &json!({"issuer": OTHER, "jwks_uri": jwks}));
    let names = [
        house.with(&claims()).await.map(|ana| ana.name().to_owned()).expect("let in"),
        house.enter(&stranger.sign(&but("iss", json!(OTHER)))).await.expect("let in").name().to_owned(),
    ];
    assert_eq!(names, ["org:ana", "com:ana"]);
    assert!(house.enter(&stranger.sign(&claims())).await.is_err(), "signed by another issuer");
    assert!(house.with(&but("iss", json!(OTHER))).await.is_err(), "signed by another issuer");
    // A discovery document about somebody else makes nobody an issuer.
    let house = House::new(|_| ());
    house.web.put(DISCOVERY, &json!({"issuer": OTHER, "jwks_uri": JWKS}));
    let error = house.with(&claims()).await.expect_err("not the issuer");
    assert_eq!(error.fault(), Fault::Unavailable);
    assert!(error.to_string().contains(OTHER), "{error}");
}

#[tokio::test]
async fn keys_are_rotated_and_withdrawn() {
    let house = House::new(|_| ());
    let next = Signer::p256("two");
    assert!(house.with(&claims()).await.is_ok());
    assert_eq!(house.web.requests(), 2, "discovery and keys");
    house.web.publish(&[&house.signer, &next]);
    assert!(house.enter(&next.sign(&claims())).await.is_err(), "asked for a moment ago");
    assert_eq!(house.web.requests(), 2);
    house.clock.advance_s(30);
    assert!(house.enter(&next.sign(&claims())).await.is_ok(), "a new key is found");
    assert!(house.with(&claims()).await.is_ok(), "the old one is still good");
    assert_eq!(house.web.requests(), 4);
    house.web.publish(&[&next]);
    house.clock.advance_s(299);
    assert!(house.with(&claims()).await.is_ok(), "nobody has looked yet");
    house.clock.advance_s(1);
    assert!(house.with(&claims()).await.is_err(), "withdrawn");
    assert!(house.enter(&next.sign(&claims())).await.is_ok());
    // A token without a key id finds the only key, and guesses at none.
    let token = next.sign_text(r#"{"alg":"ES256"}"#, &claims().to_string());
    assert!(house.enter(&token).await.is_ok());
    house.web.publish(&[&next, &Signer::p256("three")]);
    house.clock.advance_s(300);
    assert!(house.enter(&token).await.is_err());
}

#[tokio::test]
async fn many_unknown_keys_are_asked_for_once() {
    let house = Arc::new(House::new(|_| ()));
    let strangers: Vec<String> = (0..100)
        .map(|n| house.signer.sign_text(&format!(r#"{{"alg":"EdDSA","kid":"{n}"}}"#), &claims().to_string()))
        .collect();
    let entering = strangers.iter().map(|token| house.enter(token));
    assert!(futures::future::join_all(entering).await.iter().all(Result::is_err));
    assert_eq!(house.web.requests(), 2);
    house.clock.advance_s(31);
    let entering = strangers.iter().map(|token| house.enter(token));
    assert!(futures::future::join_all(entering).await.iter().all(Result::is_err));
    assert_eq!(house.web.requests(), 4);
}

#[tokio::test]
async fn an_issuer_that_is_away_is_waited_for_as_long_as_its_keys_may_serve() {
    let house = House::new(|_| ());
    house.web.pages.lock().clear();
    let error = house.with(&claims()).await.expect_err("no keys");
    assert_eq!(error.fault(), Fault::Unavailable);
    assert!(!error.public().to_string().contains("example.org"), "{}", error.public());
    house.web.publish(&[&house.signer]);
    assert!(house.with(&claims()).await.is_err(), "not asked again at once");
    house.clock.advance_s(1);
    assert!(house.with(&claims()).await.is_ok());
    house.web.pages.lock().clear();
    let long = but("exp", json!(NOW_S + 100_000));
    let before = house.web.requests();
    for _ in 0..3599 {
        house.clock.advance_s(1);
        assert!(house.with(&long).await.is_ok());
    }
    let tries = house.web.requests() - before;
    assert!((40..=70).contains(&tries), "tried {tries} times in an hour");
    house.clock.advance_s(1);
    let error = house.with(&long).await.expect_err("too old");
    assert_eq!(error.fault(), Fault::Unavailable);
    for (page, why) in [
        (json!({"keys": []}), "no key"),
        (json!({"keys": {}}), "no list"),
        (json!([]), "no JSON object"),
        (json!({"keys": [{"kty": "oct", "k": "AAAA", "kid": "one"}]}), "no key"),
        (json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "one", "use": "enc", "x": "AA"}]}), "no key"),
    ] {
        house.web.put(DISCOVERY, &json!({"issuer": ISSUER, "jwks_uri": JWKS}));
        house.web.put(JWKS, &page);
        house.clock.advance_s(61);
        let error = house.with(&long).await.expect_err("no keys");
        assert!(error.to_string().contains(why), "{error}");
    }
    // Keys of other kinds beside a good one do no harm.
    let keys = json!([{"kty": "new"}, {"kty": "oct", "k": "AAAA", "kid": "one"}, 7, house.signer.public]);
    house.web.put(JWKS, &json!({ "keys": keys }));
    house.clock.advance_s(61);
    assert!(house.with(&long).await.is_ok());
}

#[test]
fn times_are_numbers_of_seconds() {
    assert_eq!(Instant(0).plus_seconds(NOW_S), Instant(NOW_S * 1_000_000));
    for (name, algorithm) in OidcAlgorithm::ALL {
        assert_eq!(OidcAlgorithm::named(name), Some(algorithm));
        assert_eq!(format!("{algorithm:?}").to_uppercase(), name.to_uppercase());
    }
    for name in ["none", "None", "HS256", "HS512", "rs256", "ES256K", ""] {
        assert_eq!(OidcAlgorithm::named(name), None);
    }
}
