//! What a gateway must remember: tokens, users, and the secrets it made for itself.
//!
//! * [`Home`]: the directory that holds it all, and what lies where in it.
//! * [`State`]: an open state. It is an [`meshgate_identity::CredentialStore`], so a
//!   [`meshgate_identity::Registrar`] over it issues tokens and an [`meshgate_identity::Identity`] checks them; several
//!   processes may have the same state open, and see each other's changes at once.
//! * [`Error`]: why it cannot be opened.
//!
//! Not here: what a token or password is worth (`identity`), records of what happened (`ledger`). All SQL lives in
//! `sqlite`, and no row type leaves it.

mod error;
mod home;
mod sqlite;
mod state;

pub use error::Error;
pub use home::Home;
pub use state::State;
