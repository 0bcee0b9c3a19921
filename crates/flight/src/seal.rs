//! Sealed claims: what a client carries for us without being able to read or change it.

use std::sync::Arc;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use meshgate_model::Entropy;

const FORMAT: u8 = 1;
const NONCE_LEN: usize = 24;

/// What a sealed claim is for. A claim of one kind is garbage as another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// The ticket of a planned query.
    Ticket,
    /// The handle of a prepared statement.
    Handle,
    /// The bearer of a handshake.
    Bearer,
    /// The id of a transaction.
    Transaction,
}

/// Seals and opens, with one key.
pub(crate) struct Sealer {
    cipher: XChaCha20Poly1305,
    entropy: Arc<dyn Entropy>,
}

impl Sealer {
    /// Seals with this key; nonces are random.
    pub(crate) fn new(key: &[u8; 32], entropy: Arc<dyn Entropy>) -> Self {
        Self { cipher: XChaCha20Poly1305::new(key.into()), entropy }
    }

    /// Seals a claim.
    pub(crate) fn seal(&self, purpose: Purpose, claim: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        self.entropy.fill(&mut nonce);
        let sealed = self
            .cipher
            .encrypt(XNonce::from_slice(&nonce), Payload { msg: claim, aad: purpose.label() })
            .expect("claims are far shorter than the cipher's limit of 256 GiB");
        [&[FORMAT], nonce.as_slice(), sealed.as_slice()].concat()
    }

    /// Opens a claim of this kind; nothing for anything else.
    pub(crate) fn open(&self, purpose: Purpose, bytes: &[u8]) -> Option<Vec<u8>> {
        let (format, rest) = bytes.split_first()?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
        if *format != FORMAT {
            return None;
        }
        // SECURITY: nothing of the claim is looked at before its authenticity is established.
        self.cipher.decrypt(XNonce::from_slice(nonce), Payload { msg: sealed, aad: purpose.label() }).ok()
    }
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Ticket => b"meshgate flight ticket",
            Self::Handle => b"meshgate flight handle",
            Self::Bearer => b"meshgate flight bearer",
            Self::Transaction => b"meshgate flight transaction",
        }
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer(..)")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU8, Ordering};

    use meshgate_model::Entropy;

    use super::{Purpose, Sealer};

    /// Different bytes at every call.
    #[derive(Debug, Default)]
    pub(crate) struct Counting(AtomicU8);

    impl Entropy for Counting {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(self.0.fetch_add(1, Ordering::Relaxed));
        }
    }

    #[test]
    fn opens_what_it_sealed_and_nothing_else() {
        let sealer = Sealer::new(&[7; 32], Arc::new(Counting::default()));
        let sealed = sealer.seal(Purpose::Ticket, b"claim");
        assert_eq!(sealer.open(Purpose::Ticket, &sealed).as_deref(), Some(b"claim".as_slice()));
        assert_ne!(sealer.seal(Purpose::Ticket, b"claim"), sealed, "nonces differ");
        assert_eq!(sealer.open(Purpose::Handle, &sealed), None);
        let other = Sealer::new(&[8; 32], Arc::new(Counting::default()));
        assert_eq!(other.open(Purpose::Ticket, &sealed), None);
        for bit in 0..sealed.len() * 8 {
            let mut forged = sealed.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(sealer.open(Purpose::Ticket, &forged), None, "bit {bit}");
        }
        for short in 0..sealed.len() {
            assert_eq!(sealer.open(Purpose::Ticket, &sealed[..short]), None);
        }
    }
}
