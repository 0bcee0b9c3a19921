//! `meshgate audit verify`: whether the audit trail is whole.

use std::fs;

use meshgate_ledger::{AnchorPublicKey, Anchored};
use meshgate_state::Home;

use crate::args::AuditVerify;
use crate::output;
use crate::state;
use crate::trouble::{Exit, Outcome, Trouble};

/// Reads the whole trail. A gateway may be writing to it meanwhile.
pub(super) fn verify(arguments: &AuditVerify) -> Outcome<Exit> {
    let dir = match &arguments.dir {
        Some(dir) => dir.clone(),
        None => Home::new(state::directory(&arguments.state)?).audit(),
    };
    if !dir.is_dir() {
        return Err(Trouble::failure(format!("there is no audit trail in {}", dir.display()))
            .hint("name the state directory of the gateway with --state, or the trail's own with --dir"));
    }
    let verified = match &arguments.anchors {
        Some(anchors) => meshgate_ledger::verify_anchored(&dir, anchors, &public_key(arguments)?),
        None => meshgate_ledger::verify(&dir),
    };
    match verified {
        Ok(whole) => {
            let (records, segments) = (whole.records, whole.segments);
            output::line(format!("whole: {records} records in {segments} files, last hash {}", whole.last_hash_hex()))?;
            if let Some(anchored) = &whole.anchored {
                let Anchored { anchors, last_seq, last_time } = anchored;
                output::line(format!("{anchors} anchors agree, the last at {last_time} with record {last_seq}"))?;
            }
            if whole.unfinished_bytes > 0 {
                let unfinished = whole.unfinished_bytes;
                output::line(format!(
                    "{unfinished} bytes behind the last record are being written, or were torn by a crash"
                ))?;
            }
            Ok(Exit::Success)
        }
        Err(problems) => {
            problems.iter().try_for_each(|problem| output::line(problem.to_string()))?;
            Err(Trouble::failure(format!("the audit trail in {} is not whole", dir.display()))
                .why(format!("{} things are wrong with it", problems.len()))
                .hint("keep the files as they are and compare them with a backup"))
        }
    }
}

fn public_key(arguments: &AuditVerify) -> Outcome<AnchorPublicKey> {
    let file = match &arguments.public_key {
        Some(file) => file.clone(),
        None => Home::new(state::directory(&arguments.state)?).anchor_public_key(),
    };
    let wrong = || {
        Trouble::failure(format!("the anchors cannot be checked with the key in {}", file.display()))
            .hint("name the gateway's public key with --public-key: audit-anchor.pub in its state directory")
    };
    let text = fs::read_to_string(&file).map_err(|error| wrong().because(&error))?;
    AnchorPublicKey::from_pem(&text).map_err(|error| wrong().because(&error))
}
