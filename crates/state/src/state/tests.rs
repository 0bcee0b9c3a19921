//! The state's own promises; those of every credential store are in the conformance suite.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use meshgate_identity::{
    ClientInfo, Credential, CredentialStore, Identity, NewToken, NewUser, Options, PasswordCost, PrincipalKind,
};
use meshgate_model::{AttributeTypes, Clock, Entropy, Instant, Secret};
use tempfile::TempDir;

use super::State;
use crate::{Error, Home};

mod crash;

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Instant {
        Instant(1_700_000_000_000_000)
    }
}

#[derive(Debug, Default)]
struct Counted(AtomicU64);

impl Entropy for Counted {
    fn fill(&self, buffer: &mut [u8]) {
        let n = self.0.fetch_add(1, Ordering::SeqCst).to_le_bytes();
        buffer.iter_mut().zip(n.iter().cycle()).for_each(|(byte, n)| *byte = *n);
    }
}

fn new_token(name: &str) -> NewToken {
    let (groups, attributes) = (Default::default(), Default::default());
    NewToken { kind: PrincipalKind::Service, name: name.to_owned(), groups, attributes, ttl_s: None }
}

fn home() -> (TempDir, Home) {
    let dir = tempfile::tempdir().expect("a directory");
    let home = Home::new(dir.path().join("deep/er"));
    (dir, home)
}

#[tokio::test]
async fn conforms() {
    let (_dir, home) = home();
    let state = State::open_in(&home).await.expect("opens");
    meshgate_identity::conformance::suite(&state).await;
}

#[tokio::test]
async fn what_one_process_changes_another_sees_at_once() {
    let (_dir, home) = home();
    let entropy = Arc::new(Counted::default());
    let gateway = State::open_in(&home).await.expect("opens");
    let identity = Identity::new(Arc::new(gateway), Options::default(), Arc::new(Still), entropy.as_ref());
    let beside = State::open_in(&home).await.expect("opens beside");
    let registrar = beside.registrar(Arc::new(Still), entropy).with_password_cost(PasswordCost::MINIMAL);
    let enter = async |credential: &Credential| {
        identity.authenticate(credential, &ClientInfo::default(), &AttributeTypes::new()).await
    };

    let issued = registrar.create_token(new_token("etl")).await.expect("is made");
    let bearer = Credential::Bearer(issued.secret);
    assert_eq!(enter(&bearer).await.expect("is let in").name(), "etl");
    registrar.revoke_token(&issued.id).await.expect("is revoked");
    assert!(enter(&bearer).await.is_err());

    let ana = Credential::basic("ana", Secret::new("pw"));
    assert!(enter(&ana).await.is_err());
    let (groups, attributes) = (["analysts".to_owned()].into(), Default::default());
    let new = NewUser { name: "ana".to_owned(), password: Secret::new("pw"), groups, attributes };
    registrar.add_user(new).await.expect("is added");
    assert!(enter(&ana).await.expect("is let in").groups().contains("analysts"));
    registrar.remove_user("ana").await.expect("is removed");
    assert!(enter(&ana).await.is_err());
}

#[tokio::test]
async fn secrets_are_made_once_and_by_name() {
    let (_dir, home) = home();
    let entropy = Counted::default();
    let (first, second) = (State::open_in(&home).await.expect("opens"), State::open_in(&home).await.expect("opens"));
    let key = first.secret("ticket", &entropy).await.expect("is made");
    assert_eq!(second.secret("ticket", &entropy).await.expect("is kept"), key);
    assert_ne!(first.secret("mesh", &entropy).await.expect("is made"), key);
    first.close().await;
    second.close().await;
    let again = State::open_in(&home).await.expect("opens again");
    assert_eq!(again.secret("ticket", &entropy).await.expect("is kept"), key);
}

#[tokio::test]
async fn files_are_for_their_owner_only() {
    let (_dir, home) = home();
    let state = State::open_in(&home).await.expect("opens");
    state.secret("ticket", &Counted::default()).await.expect("writes, so that the journal exists");
    let mode = |path: &std::path::Path| path.metadata().expect("exists").permissions().mode() & 0o777;
    assert_eq!(mode(home.dir()), 0o700);
    for file in std::fs::read_dir(home.dir()).expect("is listed") {
        let path = file.expect("is read").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    drop(state);
    std::fs::set_permissions(home.database(), PermissionsExt::from_mode(0o644)).expect("is opened wide");
    State::open_in(&home).await.expect("opens");
    assert_eq!(mode(&home.database()), 0o600, "and is closed again");
}

#[tokio::test]
async fn many_can_open_a_new_state_at_once_and_write() {
    let (_dir, home) = home();
    let mut set = tokio::task::JoinSet::new();
    for n in 0..8 {
        let (home, entropy) = (home.clone(), Arc::new(Counted(AtomicU64::new(n * 1000))));
        set.spawn(async move {
            let state = State::open_in(&home).await.expect("opens");
            let registrar = state.registrar(Arc::new(Still), entropy);
            for _ in 0..5 {
                registrar.create_token(new_token("etl")).await.expect("is made");
            }
        });
    }
    set.join_all().await;
    let state = State::open_in(&home).await.expect("opens");
    assert_eq!(state.tokens().await.expect("are listed").len(), 40);
}

#[tokio::test]
async fn what_is_no_state_of_ours_is_refused_clearly() {
    let (dir, home) = home();
    for (url, fault) in [("postgres://host/db", "PostgreSQL"), ("mysql://x", "must begin"), ("sqlite://", "must begin")]
    {
        let error = State::open(url).await.expect_err(url);
        assert!(error.to_string().contains(fault), "{error}");
    }
    let text = dir.path().join("text.db");
    std::fs::write(&text, "this is a text and by no means a database ".repeat(100)).expect("is written");
    let error = State::open(&format!("sqlite://{}", text.display())).await.expect_err("no database");
    assert!(matches!(error, Error::Foreign { .. }), "{error:?}");

    let below_a_file = State::open(&format!("sqlite://{}/state.db", text.display())).await;
    assert!(matches!(below_a_file, Err(Error::File { .. })));

    let state = State::open_in(&home).await.expect("opens");
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (99, 'future', 1, x'00', 0)";
    state.database.execute_for_test(newer).await;
    drop(state);
    let error = State::open_in(&home).await.expect_err("too new");
    assert!(matches!(error, Error::TooNew { found: 99, known: 1, .. }), "{error:?}");
}

#[tokio::test]
async fn what_was_answered_is_on_disk() {
    let (_dir, home) = home();
    let state = State::open_in(&home).await.expect("opens");
    assert_eq!(state.database.pragma_for_test("synchronous").await, "2");
    assert_eq!(state.database.pragma_for_test("journal_mode").await, "wal");
}
