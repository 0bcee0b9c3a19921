//! What the operating system tells a gateway.

use tokio::signal::unix::{self, SignalKind};

use crate::trouble::{Outcome, Trouble};

/// SIGXFSZ: a file has reached the limit of `ulimit -f`. Where nobody listens it ends the process; this process is told by
/// the write that fails.
const FILE_SIZE: i32 = 25;

/// What to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Signal {
    /// SIGTERM, SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
}

/// Listens from the moment it is made.
pub(super) struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hang_up: unix::Signal,
}

impl Signals {
    pub(super) fn listen() -> Outcome<Self> {
        let listen = |kind| {
            unix::signal(kind).map_err(|error| Trouble::failure("signals cannot be listened to").because(&error))
        };
        drop(listen(SignalKind::from_raw(FILE_SIZE))?);
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.interrupt.recv() => Signal::Stop,
            _ = self.hang_up.recv() => Signal::Reload,
        }
    }
}
