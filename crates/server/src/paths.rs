//! Where things lie if nobody says otherwise.

use std::path::{Path, PathBuf};

use crate::trouble::{Outcome, Trouble};

/// Where queries spill.
pub(crate) fn spill(directory: &Path) -> PathBuf {
    directory.join("spill")
}

/// The state directory of this user.
pub(crate) fn state_directory() -> Outcome<PathBuf> {
    of_user("XDG_STATE_HOME", ".local/state").ok_or_else(|| {
        Trouble::usage("there is no directory for the state")
            .why("neither XDG_STATE_HOME nor HOME is set")
            .hint("name one with --state DIR")
    })
}

/// The data directory of this user, where the demo lives; a temporary one without a home.
pub(crate) fn demo_directory() -> PathBuf {
    of_user("XDG_DATA_HOME", ".local/share").unwrap_or_else(|| std::env::temp_dir().join("meshgate")).join("demo")
}

/// Where `meshgate sql` keeps what was typed.
pub(crate) fn history() -> Option<PathBuf> {
    of_user("XDG_STATE_HOME", ".local/state").map(|directory| directory.join("sql_history"))
}

fn of_user(variable: &str, below_home: &str) -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set(variable).or_else(|| set("HOME").map(|home| home.join(below_home)))?;
    Some(base.join("meshgate"))
}
