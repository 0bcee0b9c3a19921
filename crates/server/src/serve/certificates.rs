//! The certificate in force: read again when its files change, so that a renewed one needs no restart.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::sync::watch;

use crate::config;
use crate::tls;
use crate::trouble::Outcome;

/// How soon a changed file counts. Asking costs next to nothing.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Files with a certificate, and what they say.
pub(super) struct Certificates {
    files: config::Tls,
    seen: Vec<Seen>,
    in_force: watch::Sender<Arc<ServerConfig>>,
}

/// What tells a file from the one that was there before; nothing if there is none.
type Seen = Option<(u64, u64, i64, i64, u64)>;

impl Certificates {
    /// Reads the files for the first time.
    pub(super) fn read(files: &config::Tls) -> Outcome<Self> {
        let seen = look(files);
        let in_force = watch::Sender::new(tls::read(files)?);
        Ok(Self { files: files.clone(), seen, in_force })
    }

    /// What new connections get.
    pub(super) fn in_force(&self) -> watch::Receiver<Arc<ServerConfig>> {
        self.in_force.subscribe()
    }

    /// Looks at the files again and again. What cannot be used is logged, and the certificate before stays in force.
    pub(super) async fn keep_fresh(mut self) {
        let mut every = tokio::time::interval(LOOK_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            let now = look(&self.files);
            if now == self.seen {
                continue;
            }
            match tls::read(&self.files) {
                Ok(config) => {
                    self.in_force.send_replace(config);
                    tracing::info!("the certificate of TLS was read again: it is in force for new connections");
                }
                // Certificate and key are two files: between their changes they do not fit.
                Err(trouble) => {
                    tracing::error!(%trouble, "the changed certificate of TLS cannot be used: the one before stays in force");
                }
            }
            self.seen = now;
        }
    }
}

fn look(files: &config::Tls) -> Vec<Seen> {
    let seen = |file: &Path| {
        let file = fs::metadata(file).ok()?;
        Some((file.dev(), file.ino(), file.mtime(), file.mtime_nsec(), file.len()))
    };
    [Some(&files.certificate), Some(&files.key), files.client_ca.as_ref()]
        .into_iter()
        .flatten()
        .map(|file| seen(file))
        .collect()
}
