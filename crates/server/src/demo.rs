//! `meshgate demo`: a small mesh of three domains with data, served to three ready users. It needs nothing but this
//! binary: the documents are part of it, and the data is made.

mod documents;
mod guide;
mod home;
mod progress;
mod tables;
mod users;

use std::path::Path;

use crate::args;
use crate::config::{Config, Overrides};
use crate::paths;
use crate::serve::{self, Served};
use crate::trouble::{Outcome, Trouble};
use home::Home;

/// The most that fits on a machine one would try this on.
const SCALE_MAX: f64 = 100.0;

/// Makes what is not there yet, and serves it until it is told to stop.
pub(crate) fn run(arguments: args::Demo, log: Overrides) -> Outcome {
    if !(arguments.scale > 0.0 && arguments.scale <= SCALE_MAX) {
        return Err(Trouble::usage(format!("the scale cannot be {}", arguments.scale))
            .hint(format!("give a number above 0 and up to {SCALE_MAX}; 0.1 is 870 thousand rows")));
    }
    let directory = arguments.dir.clone().unwrap_or_else(paths::demo_directory);
    let home = Home::prepare(&directory, arguments.scale)?;
    let overrides = Overrides {
        flight_listen: arguments.listen.flight_listen,
        http_listen: arguments.listen.http_listen,
        state: Some(home.state()),
        ..log
    };
    let config = Config::load(None, &overrides)?;
    // The Delta writer reports every table that it makes as an error: there was none before.
    serve::logging(&config, "warn,buoyant_kernel=off")?;
    let tokens = serve::block_on(make(&home, arguments.scale))??;
    let mesh = home.mesh();
    let ready = arguments.listen.ready_file;
    serve::run(config, &mesh, ready.as_deref(), |served: &Served| guide::print(&home, &tokens, served))
}

async fn make(home: &Home, scale: f64) -> Outcome<Vec<users::Ready>> {
    if home.is_new() {
        documents::write(&home.mesh())?;
        tables::make(&data(&home.mesh()), scale).await?;
        home.finished(scale)?;
    }
    users::ready(home).await
}

fn data(mesh: &Path) -> std::path::PathBuf {
    mesh.join("data")
}
