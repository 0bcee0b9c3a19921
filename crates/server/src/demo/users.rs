//! The demo's three users, each with a token.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

use meshgate_identity::{AttributeTexts, NewToken, PrincipalKind};
use meshgate_state::State;
use serde::{Deserialize, Serialize};

use super::home::Home;
use crate::ambient::{SystemClock, SystemEntropy};
use crate::trouble::{Outcome, Trouble};

/// A user who can log in.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ready {
    pub(super) name: String,
    pub(super) token: String,
}

/// Who a user is, and what the policies make of it.
pub(super) struct Person {
    pub(super) name: &'static str,
    pub(super) sees: &'static str,
    groups: &'static [&'static str],
    attributes: &'static [(&'static str, &'static str)],
}

pub(super) const PEOPLE: [Person; 3] = [
    Person {
        name: "ana",
        sees: "analyst for AUTOMOBILE: customers of that market and their orders; phones and addresses masked; no balances",
        groups: &["analysts"],
        attributes: &[("market", "AUTOMOBILE"), ("clearance", "1")],
    },
    Person {
        name: "finn",
        sees: "finance: all customers with balances, phones and addresses masked; all orders but those in process",
        groups: &["finance"],
        attributes: &[("clearance", "2")],
    },
    Person {
        name: "stella",
        sees: "data steward: everything, plain",
        groups: &["stewards", "pii-readers"],
        attributes: &[("clearance", "2")],
    },
];

/// The users with their tokens: those of the last start, or new ones.
pub(super) async fn ready(home: &Home) -> Outcome<Vec<Ready>> {
    let opened = State::open_in(&meshgate_state::Home::new(home.state())).await;
    let state = opened.map_err(|error| Trouble::of("the demo's state cannot be opened", &error))?;
    let registrar = state.registrar(Arc::new(SystemClock), Arc::new(SystemEntropy));
    let known = registrar.list_tokens().await.map_err(|error| Trouble::of("tokens cannot be listed", &error))?;
    let kept = fs::read(home.tokens()).ok().and_then(|text| serde_json::from_slice::<Vec<Ready>>(&text).ok());
    let is_valid =
        PEOPLE.iter().all(|person| known.iter().any(|token| token.name == person.name && token.revoked.is_none()));
    let people = match kept {
        Some(kept) if is_valid && kept.len() == PEOPLE.len() => kept,
        _ => {
            let mut made = Vec::new();
            for person in &PEOPLE {
                let issued = registrar.create_token(person.token()).await;
                let issued = issued.map_err(|error| Trouble::of("a token cannot be made", &error))?;
                made.push(Ready { name: person.name.to_owned(), token: issued.secret.expose().to_owned() });
            }
            keep(home, &made)?;
            made
        }
    };
    state.close().await;
    Ok(people)
}

impl Person {
    fn token(&self) -> NewToken {
        let texts = |list: &[(&str, &str)]| -> AttributeTexts {
            list.iter().map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()])).collect()
        };
        NewToken {
            kind: PrincipalKind::User,
            name: self.name.to_owned(),
            groups: self.groups.iter().map(|group| (*group).to_owned()).collect(),
            attributes: texts(self.attributes),
            ttl_s: None,
        }
    }
}

fn keep(home: &Home, people: &[Ready]) -> Outcome {
    let file = home.tokens();
    // SECURITY: for the owner only. Nowhere but in the demo is a token kept in the clear.
    let options = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&file);
    let written = options.and_then(|mut open| open.write_all(&serde_json::to_vec_pretty(people)?));
    written.map_err(|error| Trouble::failure(format!("{} cannot be written", file.display())).because(&error))
}
