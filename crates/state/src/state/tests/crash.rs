//! `kill -9` loses no token that was shown.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;

use meshgate_identity::CredentialStore;

use super::{Counted, State, Still, home, new_token};
use crate::Home;

/// Names the directory for [`child_that_makes_tokens_until_it_is_killed`].
const CHILD_DIR: &str = "MESHGATE_STATE_TEST_DIR";

#[tokio::test]
async fn tokens_that_were_shown_survive_kill_9() {
    let (_dir, home) = home();
    let mut shown = Vec::new();
    for tokens_len in [1, 20, 50] {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "state::tests::crash::child_that_makes_tokens_until_it_is_killed", "--nocapture"])
            .env(CHILD_DIR, home.dir())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let lines = BufReader::new(child.stdout.take().expect("is piped")).lines();
        let ids = lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("token ").map(str::to_owned));
        shown.extend(ids.take(tokens_len));
        child.kill().expect("is killed with SIGKILL");
        child.wait().expect("is dead");
    }
    assert_eq!(shown.len(), 71, "the child made tokens until it was killed");
    let state = State::open_in(&home).await.expect("opens");
    let kept = state.tokens().await.expect("are listed").into_iter().map(|token| token.id).collect::<Vec<_>>();
    for id in shown {
        assert!(kept.contains(&id), "{id}");
    }
}

/// Not a test of its own: does nothing unless started by the one above.
#[tokio::test]
async fn child_that_makes_tokens_until_it_is_killed() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let state = State::open_in(&Home::new(dir)).await.expect("opens");
    let entropy = Counted((u64::from(std::process::id()) << 32).into());
    let registrar = state.registrar(Arc::new(Still), Arc::new(entropy));
    loop {
        let issued = registrar.create_token(new_token("etl")).await.expect("is made");
        std::io::stdout().write_all(format!("token {}\n", issued.id).as_bytes()).expect("is told");
    }
}
