//! The gateway's state, opened for a command.

use std::path::PathBuf;
use std::sync::Arc;

use meshgate_identity::{AttributeTexts, Registrar};
use meshgate_state::{Home, State};

use crate::ambient::{SystemClock, SystemEntropy};
use crate::args::{Carries, StateDir};
use crate::config;
use crate::paths;
use crate::trouble::{Outcome, Trouble};

const STATE_URL: &str = "MESHGATE_STATE__URL";

/// The directory that the arguments or the user's surroundings name.
pub(crate) fn directory(arguments: &StateDir) -> Outcome<PathBuf> {
    match (&arguments.state, std::env::var(STATE_URL)) {
        (Some(directory), _) => Ok(directory.clone()),
        // As for the gateway, whose configuration may come from the environment.
        (None, Ok(url)) => config::state_directory(&url),
        (None, Err(_)) => paths::state_directory(),
    }
}

/// Opens the state in a directory, and makes it if there is none.
pub(crate) async fn open(arguments: &StateDir) -> Outcome<State> {
    let directory = directory(arguments)?;
    let opened = State::open_in(&Home::new(&directory)).await;
    opened.map_err(|error| Trouble::of(format!("the state in {} cannot be opened", directory.display()), &error))
}

/// What issues tokens and keeps users.
pub(crate) async fn registrar(arguments: &StateDir) -> Outcome<Registrar> {
    Ok(open(arguments).await?.registrar(Arc::new(SystemClock), Arc::new(SystemEntropy)))
}

/// Attributes as they are kept: a repeated name collects its values.
pub(crate) fn attribute_texts(carries: &Carries) -> AttributeTexts {
    let mut texts = AttributeTexts::new();
    for attribute in &carries.attributes {
        texts.entry(attribute.name.clone()).or_default().push(attribute.value.clone());
    }
    texts
}
