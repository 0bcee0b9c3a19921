//! `meshgate user add`: beside a running gateway or without one.

use meshgate_identity::NewUser;
use meshgate_model::Secret;

use crate::args::UserAdd;
use crate::state::{self, attribute_texts};
use crate::trouble::{Outcome, Trouble};
use crate::{output, prompt};

/// Adds a user who logs in with a password.
pub(super) async fn add(arguments: UserAdd) -> Outcome {
    let registrar = state::registrar(&arguments.state).await?;
    let password =
        if arguments.password_stdin { prompt::password_from_stdin() } else { prompt::new_password(&arguments.name) }?;
    let new = NewUser {
        password: Secret::new(password),
        attributes: attribute_texts(&arguments.carries),
        groups: arguments.carries.groups.into_iter().collect(),
        name: arguments.name.clone(),
    };
    let added = registrar.add_user(new).await;
    added.map_err(|error| Trouble::of(format!("the user `{}` cannot be added", arguments.name), &error))?;
    output::line(format!("added {}", arguments.name))
}
