//! What the wiring decides about this wire.

use std::sync::Arc;

use meshgate_model::{Clock, Entropy};

/// Limits and identity of the Flight service. Every field has a default but the three that [`Settings::new`] takes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The server's name in SqlInfo.
    pub server_name: String,
    /// The server's version in SqlInfo: dotted numbers.
    pub server_version: String,
    /// The largest message, and the largest binding of parameters, that is taken.
    pub max_message_bytes: usize,
    /// How long a ticket can be redeemed.
    pub ticket_ttl_s: u32,
    /// How long an unused prepared statement is kept.
    pub handle_ttl_s: u32,
    /// Prepared statements of all principals together; one principal may have a quarter of them.
    pub handles_max: usize,
    /// Bytes of values bound to parameters, of all principals together; one principal may have a quarter of them.
    pub bindings_bytes_max: usize,
    /// How long an unused transaction is kept.
    pub transaction_ttl_s: u32,
    /// Transactions of all principals together; one principal may have a quarter of them.
    pub transactions_max: usize,
    /// Tables that the statements of one transaction may read.
    pub transaction_tables_max: usize,
    /// How long an unused session is kept.
    pub session_ttl_s: u32,
    /// Sessions of all principals together; one principal may have a quarter of them.
    pub sessions_max: usize,
    /// How long a bearer from a handshake is good.
    pub bearer_ttl_s: u32,
    /// How long running streams may go on after the shutdown has begun.
    pub drain_s: u32,
    /// The key of tickets, handles and bearers. Gateways that redeem each other's tickets share it.
    pub seal_key: [u8; 32],
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes ids and nonces.
    pub entropy: Arc<dyn Entropy>,
}

impl Settings {
    /// The defaults.
    pub fn new(seal_key: [u8; 32], clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            server_name: "Meshgate".to_owned(),
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
            max_message_bytes: 64 << 20,
            ticket_ttl_s: 600,
            handle_ttl_s: 8 * 3600,
            handles_max: 10_000,
            bindings_bytes_max: 512 << 20,
            transaction_ttl_s: 12 * 3600,
            transactions_max: 10_000,
            transaction_tables_max: 1_000,
            session_ttl_s: 12 * 3600,
            sessions_max: 10_000,
            bearer_ttl_s: 24 * 3600,
            drain_s: 30,
            seal_key,
            clock,
            entropy,
        }
    }
}
