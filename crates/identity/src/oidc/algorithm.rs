//! Signature algorithms (RFC 7518, 3.1; RFC 8037, 3.1), and the keys that they are verified with (RFC 7517).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;

/// An algorithm that signs with a private key. `none` and the symmetric ones cannot be named.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OidcAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA with P-256 and SHA-256.
    Es256,
    /// ECDSA with P-384 and SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

impl OidcAlgorithm {
    /// All of them, with their names.
    pub const ALL: [(&'static str, Self); 9] = [
        ("RS256", Self::Rs256),
        ("RS384", Self::Rs384),
        ("RS512", Self::Rs512),
        ("PS256", Self::Ps256),
        ("PS384", Self::Ps384),
        ("PS512", Self::Ps512),
        ("ES256", Self::Es256),
        ("ES384", Self::Es384),
        ("EdDSA", Self::EdDsa),
    ];

    /// The algorithm of a name. Names are case-sensitive.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, algorithm)| algorithm)
    }

    fn verification(self) -> Verification {
        match self {
            Self::Rs256 => Verification::Rsa(&RSA_PKCS1_2048_8192_SHA256),
            Self::Rs384 => Verification::Rsa(&RSA_PKCS1_2048_8192_SHA384),
            Self::Rs512 => Verification::Rsa(&RSA_PKCS1_2048_8192_SHA512),
            Self::Ps256 => Verification::Rsa(&RSA_PSS_2048_8192_SHA256),
            Self::Ps384 => Verification::Rsa(&RSA_PSS_2048_8192_SHA384),
            Self::Ps512 => Verification::Rsa(&RSA_PSS_2048_8192_SHA512),
            Self::Es256 => Verification::Curve("P-256", &ECDSA_P256_SHA256_FIXED),
            Self::Es384 => Verification::Curve("P-384", &ECDSA_P384_SHA384_FIXED),
            Self::EdDsa => Verification::Curve("Ed25519", &ED25519),
        }
    }
}

enum Verification {
    Rsa(&'static RsaParameters),
    Curve(&'static str, &'static dyn VerificationAlgorithm),
}

/// A public key of an issuer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct PublicKey {
    pub(super) id: Option<String>,
    /// The only algorithm it is for, if it says so.
    only: Option<OidcAlgorithm>,
    material: Material,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Material {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    Curve { name: String, point: Vec<u8> },
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl PublicKey {
    /// Reads a key for signatures, of a kind that is known here. Others may stand in a set as well.
    pub(super) fn read(jwk: &serde_json::Value) -> Option<Self> {
        let jwk = Jwk::deserialize(jwk).ok()?;
        let is_for_signatures = jwk.r#use.is_none_or(|purpose| purpose == "sig")
            && jwk.key_ops.is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
        if !is_for_signatures {
            return None;
        }
        let number = |text: Option<String>| {
            let bytes = URL_SAFE_NO_PAD.decode(text?).ok()?;
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            Some(bytes.get(zeros..)?.to_vec())
        };
        let coordinate = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?).ok();
        let material = match (jwk.kty.as_str(), jwk.crv) {
            ("RSA", _) => Material::Rsa { modulus: number(jwk.n)?, exponent: number(jwk.e)? },
            // Uncompressed, as in SEC 1, 2.3.3: a point that is none, or on another curve, verifies nothing.
            ("EC", Some(name)) => {
                let point = [vec![4], coordinate(jwk.x)?, coordinate(jwk.y)?].concat();
                Material::Curve { name, point }
            }
            ("OKP", Some(name)) => Material::Curve { name, point: coordinate(jwk.x)? },
            _ => return None,
        };
        let only = match jwk.alg {
            None => None,
            Some(name) => Some(OidcAlgorithm::named(&name)?),
        };
        let key = Self { id: jwk.kid, only, material };
        OidcAlgorithm::ALL.iter().any(|(_, algorithm)| key.is_for(*algorithm)).then_some(key)
    }

    /// Whether it is made for an algorithm.
    pub(super) fn is_for(&self, algorithm: OidcAlgorithm) -> bool {
        let fits = match (algorithm.verification(), &self.material) {
            (Verification::Rsa(_), Material::Rsa { .. }) => true,
            (Verification::Curve(of_algorithm, _), Material::Curve { name, .. }) => name == of_algorithm,
            _ => false,
        };
        fits && self.only.is_none_or(|only| only == algorithm)
    }

    /// Whether its owner signed a message.
    pub(super) fn signed(&self, message: &[u8], signature: &[u8], algorithm: OidcAlgorithm) -> bool {
        self.is_for(algorithm)
            && match (algorithm.verification(), &self.material) {
                (Verification::Rsa(parameters), Material::Rsa { modulus: n, exponent: e }) => {
                    RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
                }
                (Verification::Curve(_, algorithm), Material::Curve { point, .. }) => {
                    UnparsedPublicKey::new(algorithm, point).verify(message, signature).is_ok()
                }
                _ => false,
            }
    }
}
