//! The key that anchors of the audit trail are signed with: made when it is first needed, or named by the operator.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use meshgate_ledger::{AnchorKey, Anchoring};
use meshgate_model::Entropy;

use crate::config::Anchors;
use crate::trouble::{Outcome, Trouble};

/// What the configuration means: reads the key, and writes its public half where `meshgate audit verify` finds it.
pub(super) fn anchoring(config: &Anchors, entropy: &dyn Entropy) -> Outcome<Anchoring> {
    let text = match fs::read_to_string(&config.key) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && config.may_make_key => make(&config.key, entropy)?,
        Err(error) => {
            return Err(Trouble::config(format!(
                "the key of `audit.anchor_key`, {}, cannot be read",
                config.key.display()
            ))
            .because(&error)
            .hint("make one with `openssl genpkey -algorithm ed25519`, or leave `audit.anchor_key` out"));
        }
    };
    let key = AnchorKey::from_pem(&text).map_err(|error| {
        Trouble::config(format!("{} cannot sign anchors of the audit trail", config.key.display()))
            .because(&error)
            .hint("make one with `openssl genpkey -algorithm ed25519`")
    })?;
    if fs::metadata(&config.key).is_ok_and(|file| file.mode() & 0o077 != 0) {
        tracing::warn!(key = %config.key.display(), "others can read the key of the anchors: chmod 600");
    }
    let public = key.public().to_pem();
    if fs::read_to_string(&config.public_key).ok().as_ref() != Some(&public) {
        fs::write(&config.public_key, &public).map_err(|error| {
            Trouble::failure(format!("cannot write {}", config.public_key.display())).because(&error)
        })?;
    }
    tracing::info!(key = key.public().id(), public_key = %config.public_key.display(), "the audit trail is anchored");
    Ok(Anchoring { dir: config.dir.clone(), key, every_records: config.every_records, every_s: config.every_s })
}

/// SECURITY: for its owner only from the first moment.
fn make(path: &Path, entropy: &dyn Entropy) -> Outcome<String> {
    let mut seed = [0; 32];
    entropy.fill(&mut seed);
    let text = AnchorKey::new_pem(seed);
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|error| Trouble::failure(format!("cannot write {}", path.display())).because(&error))?;
    Ok(text)
}
