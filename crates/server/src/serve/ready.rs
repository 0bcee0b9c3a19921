//! The ready file: there as a whole or not at all.

use std::path::Path;

use serde_json::json;

use super::Served;
use crate::trouble::{Outcome, Trouble};

/// Takes away what an earlier run left.
pub(super) fn remove(file: &Path) -> Outcome {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Trouble::failure(format!("the old ready file {} cannot be removed", file.display())).because(&error))
        }
        _ => Ok(()),
    }
}

/// Writes it beside its place and moves it there.
pub(super) fn write(file: &Path, served: &Served) -> Outcome {
    let content = json!({
        "flight": served.flight.to_string(),
        "flight_url": served.flight_url(),
        "http": served.http.to_string(),
        "pid": std::process::id(),
        "epoch": served.epoch.0,
    });
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let beside = file.with_file_name(name);
    let written = std::fs::write(&beside, format!("{content}\n")).and_then(|()| std::fs::rename(&beside, file));
    written.map_err(|error| {
        Trouble::failure(format!("the ready file {} cannot be written", file.display())).because(&error)
    })
}

#[cfg(test)]
mod tests {
    use meshgate_model::Epoch;

    use super::{Served, remove, write};

    #[test]
    fn holds_addresses_pid_and_epoch_and_leaves_nothing_else() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("ready");
        let address = |port| std::net::SocketAddr::from(([127, 0, 0, 1], port));
        let served = Served { flight: address(1), http: address(2), tls: true, epoch: Epoch(3) };
        write(&file, &served).expect("writes");
        let read: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).expect("a file")).expect("JSON");
        let expected = serde_json::json!({
            "flight": "127.0.0.1:1", "flight_url": "grpc+tls://127.0.0.1:1", "http": "127.0.0.1:2",
            "pid": std::process::id(), "epoch": 3
        });
        assert_eq!(read, expected);
        assert_eq!(std::fs::read_dir(directory.path()).expect("a directory").count(), 1);
        remove(&file).expect("removes");
        assert!(!file.exists());
        remove(&file).expect("nothing to remove");
    }
}
