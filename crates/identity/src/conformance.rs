//! What every [`CredentialStore`] must do. Implementations run [`suite`] over an empty store in their own tests.
//!
//! # Panics
//! All functions here panic where a store does not conform: they are for tests.

use meshgate_model::Instant;

use crate::{CredentialStore, PasswordHash, PrincipalKind, StoreError, TokenHash, TokenRecord, UserRecord};

/// Runs the whole suite over an empty store.
pub async fn suite(store: &dyn CredentialStore) {
    tokens_are_found_by_hash_and_come_back_whole(store).await;
    revocation_is_final_and_keeps_its_first_time(store).await;
    users_come_back_whole_and_are_unique(store).await;
    passwords_are_replaced(store).await;
    removing_a_user_takes_the_tokens_along(store).await;
}

fn token(seed: u8, name: &str, kind: PrincipalKind) -> TokenRecord {
    let hash = TokenHash::from_bytes([seed; 32]);
    TokenRecord {
        hash,
        id: hash.id(),
        kind,
        name: name.to_owned(),
        groups: ["analysts".to_owned(), "zoë 'quoted' \"twice\"".to_owned()].into(),
        attributes: [
            ("region".to_owned(), vec!["EU".to_owned()]),
            ("countries".to_owned(), vec!["DE".to_owned(), "FR".to_owned(), "DE".to_owned()]),
            ("empty".to_owned(), vec![]),
        ]
        .into(),
        created: Instant(1_000 + i64::from(seed)),
        expires: Some(Instant(i64::MAX)),
        revoked: None,
    }
}

fn user(name: &str) -> UserRecord {
    UserRecord {
        name: name.to_owned(),
        password: PasswordHash::from_stored("$argon2id$first"),
        groups: ["readers".to_owned()].into(),
        attributes: [("clearance".to_owned(), vec!["3".to_owned()])].into(),
        created: Instant(-5),
    }
}

async fn tokens_are_found_by_hash_and_come_back_whole(store: &dyn CredentialStore) {
    let first = token(1, "ana", PrincipalKind::User);
    let second = TokenRecord { expires: None, ..token(2, "etl", PrincipalKind::Service) };
    assert_eq!(store.find_token(&first.hash).await.expect("answers"), None);
    store.add_token(second.clone()).await.expect("is kept");
    store.add_token(first.clone()).await.expect("is kept");
    assert_eq!(store.find_token(&first.hash).await.expect("answers"), Some(first.clone()));
    assert_eq!(store.find_token(&second.hash).await.expect("answers"), Some(second.clone()));
    assert_eq!(store.tokens().await.expect("answers"), [first.clone(), second], "oldest first");
    let again = store.add_token(first).await;
    assert!(matches!(again, Err(StoreError::Exists(_))), "{again:?}");
}

async fn revocation_is_final_and_keeps_its_first_time(store: &dyn CredentialStore) {
    let record = token(3, "bob", PrincipalKind::User);
    store.add_token(record.clone()).await.expect("is kept");
    store.revoke_token(&record.id, Instant(7)).await.expect("is revoked");
    store.revoke_token(&record.id, Instant(8)).await.expect("is revoked still");
    let found = store.find_token(&record.hash).await.expect("answers").expect("is still known");
    assert_eq!(found.revoked, Some(Instant(7)));
    let unknown = store.revoke_token("ffffffffffffffff", Instant(9)).await;
    assert!(matches!(unknown, Err(StoreError::Absent(_))), "{unknown:?}");
}

async fn users_come_back_whole_and_are_unique(store: &dyn CredentialStore) {
    let (zoe, ana) = (user("zoë"), user("ana"));
    store.add_user(zoe.clone()).await.expect("is kept");
    store.add_user(ana.clone()).await.expect("is kept");
    assert_eq!(store.find_user("zoë").await.expect("answers"), Some(zoe.clone()));
    assert_eq!(store.users().await.expect("answers"), [ana.clone(), zoe], "by name");
    for other in ["Ana", "ana ", "an", "", "%", "a' OR '1'='1"] {
        assert_eq!(store.find_user(other).await.expect("answers"), None, "{other:?}");
    }
    let again = store.add_user(UserRecord { password: PasswordHash::from_stored("other"), ..ana.clone() }).await;
    assert!(matches!(again, Err(StoreError::Exists(_))), "{again:?}");
    assert_eq!(store.find_user("ana").await.expect("answers"), Some(ana), "a refused user changes nothing");
}

async fn passwords_are_replaced(store: &dyn CredentialStore) {
    let changed = PasswordHash::from_stored("$argon2id$second");
    store.set_password("ana", changed.clone()).await.expect("is set");
    let found = store.find_user("ana").await.expect("answers").expect("is there");
    assert_eq!(found, UserRecord { password: changed.clone(), ..user("ana") });
    let unknown = store.set_password("nobody", changed).await;
    assert!(matches!(unknown, Err(StoreError::Absent(_))), "{unknown:?}");
}

async fn removing_a_user_takes_the_tokens_along(store: &dyn CredentialStore) {
    // Tokens so far: a user's and a service's, and bob's, revoked at 7. One more of ana, one of a service called ana.
    let (second, service) = (token(4, "ana", PrincipalKind::User), token(5, "ana", PrincipalKind::Service));
    store.add_token(second.clone()).await.expect("is kept");
    store.add_token(service.clone()).await.expect("is kept");
    store.revoke_token(&second.id, Instant(10)).await.expect("is revoked");
    assert_eq!(store.remove_user("ana", Instant(11)).await.expect("is removed"), 1, "one was live");
    assert_eq!(store.find_user("ana").await.expect("answers"), None);
    let revoked = store.tokens().await.expect("answers").into_iter().map(|token| token.revoked).collect::<Vec<_>>();
    assert_eq!(revoked, [Some(Instant(11)), None, Some(Instant(7)), Some(Instant(10)), None]);
    let unknown = store.remove_user("ana", Instant(12)).await;
    assert!(matches!(unknown, Err(StoreError::Absent(_))), "{unknown:?}");
    assert!(store.find_user("zoë").await.expect("answers").is_some(), "nobody else is touched");
}
