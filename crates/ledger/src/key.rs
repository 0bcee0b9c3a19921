//! The keys that anchors are signed with: Ed25519, in the PEM files that `openssl genpkey -algorithm ed25519` writes too.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use sha2::{Digest, Sha256};

use crate::Error;

/// What stands before the 32 bytes of a private key (PKCS#8) and of a public one (SubjectPublicKeyInfo).
const PRIVATE_PREFIX: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
const PUBLIC_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];
const PRIVATE: &str = "PRIVATE KEY";
const PUBLIC: &str = "PUBLIC KEY";

/// Signs anchors.
pub struct AnchorKey {
    pair: Ed25519KeyPair,
    public: AnchorPublicKey,
}

/// Checks the signatures of anchors.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AnchorPublicKey([u8; 32]);

impl AnchorKey {
    /// Reads a private key.
    pub fn from_pem(text: &str) -> Result<Self, Error> {
        let seed = read(text, PRIVATE, &PRIVATE_PREFIX)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| Error::Key { expected: PRIVATE })?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| Error::Key { expected: PUBLIC })?;
        Ok(Self { pair, public: AnchorPublicKey(public) })
    }

    /// The text of a new private key; the seed has to come from a good source of randomness.
    pub fn new_pem(seed: [u8; 32]) -> String {
        write(PRIVATE, &PRIVATE_PREFIX, &seed)
    }

    /// The other half.
    pub fn public(&self) -> &AnchorPublicKey {
        &self.public
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

impl AnchorPublicKey {
    /// Reads a public key.
    pub fn from_pem(text: &str) -> Result<Self, Error> {
        read(text, PUBLIC, &PUBLIC_PREFIX).map(Self)
    }

    /// The key as a PEM file.
    pub fn to_pem(&self) -> String {
        write(PUBLIC, &PUBLIC_PREFIX, &self.0)
    }

    /// A short name: 16 digits of the key's SHA-256.
    pub fn id(&self) -> String {
        hex::encode(&Sha256::digest(self.0)[..8])
    }

    pub(crate) fn is_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).is_ok()
    }
}

impl fmt::Debug for AnchorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnchorKey").field(&self.public.id()).finish()
    }
}

fn read(text: &str, label: &'static str, prefix: &[u8]) -> Result<[u8; 32], Error> {
    let body = || {
        let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
        let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
        let bytes = STANDARD.decode(body.split_whitespace().collect::<String>()).ok()?;
        bytes.strip_prefix(prefix)?.try_into().ok()
    };
    body().ok_or(Error::Key { expected: label })
}

fn write(label: &str, prefix: &[u8], key: &[u8; 32]) -> String {
    let body = STANDARD.encode([prefix, key].concat());
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

#[cfg(test)]
mod unit {
    use super::{AnchorKey, AnchorPublicKey};

    /// Made with OpenSSL 3: `genpkey -algorithm ed25519`, `pkey -pubout`, `pkeyutl -sign -rawin`.
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIOYjE7xlunFtRvAeb529n02ENun4ptevvJ4NxS0fikJX\n-----END PRIVATE KEY-----\n";
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGD0q+/tmHLkQrFDYBLZN5K3q9YDd9z3PHrRzIJIn7w4=\n-----END PUBLIC KEY-----\n";
    const SIGNATURE: &str = "0c6dc07dca4e61bd5b9a04a5999beba70c24f072070d32c670106d547c1c7e01a44d4d903164ae44cc5911411d5f15f42f11e2098d520076105aef2499e23d02";

    #[test]
    fn keys_and_signatures_are_those_of_openssl() {
        let key = AnchorKey::from_pem(PRIVATE).expect("a private key");
        assert_eq!(key.public().to_pem(), PUBLIC);
        assert_eq!(AnchorPublicKey::from_pem(PUBLIC).expect("a public key"), *key.public());
        assert_eq!(hex::encode(key.sign(b"anchor")), SIGNATURE);
        assert!(key.public().is_signed(b"anchor", &hex::decode(SIGNATURE).expect("digits")));
        assert!(!key.public().is_signed(b"Anchor", &hex::decode(SIGNATURE).expect("digits")));
        let other = AnchorKey::from_pem(&AnchorKey::new_pem([7; 32])).expect("a key");
        assert!(!other.public().is_signed(b"anchor", &hex::decode(SIGNATURE).expect("digits")));
        assert_ne!(other.public().id(), key.public().id());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "nonsense", PUBLIC, PRIVATE.replace("MC4", "MC5").as_str(), &PRIVATE[..60]] {
            let error = AnchorKey::from_pem(text).expect_err(text);
            assert!(error.to_string().contains("PRIVATE KEY"), "{error}");
        }
        AnchorPublicKey::from_pem(PRIVATE).expect_err("a private key where a public one belongs");
        let key = AnchorKey::from_pem(PRIVATE).expect("a private key");
        assert!(!format!("{key:?}").contains("MC4"));
    }
}
