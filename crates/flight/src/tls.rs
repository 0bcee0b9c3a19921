//! TLS on the listener: versions 1.2 and 1.3, and HTTP/2 over them.

use std::sync::Arc;

use meshgate_model::Secret;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// A certificate for the listener, in PEM: TLS is spoken with it, and nothing in the clear.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The chain.
    pub certificate: String,
    /// Its private key.
    pub key: Secret,
    /// Who signs the certificates of clients, if they may come with one.
    pub client_ca: Option<String>,
    /// Whether clients without a certificate may connect, too, if there is a `client_ca`.
    pub client_certificate_optional: bool,
}

impl Tls {
    /// The same for the library. The error says nothing of the key.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, rustls::Error> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(authorities) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(authorities)? {
                    roots.add(authority)?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier =
                    if self.client_certificate_optional { verifier.allow_unauthenticated() } else { verifier };
                let verifier = verifier.build().map_err(|error| rustls::Error::General(error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let key = PrivateKeyDer::from_pem_slice(self.key.expose().as_bytes());
        let key = key.map_err(|_| rustls::Error::General("the key is no private key in PEM".to_owned()))?;
        let mut config = builder.with_single_cert(certificates(&self.certificate)?, key)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, rustls::Error> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    found.map_err(|_| rustls::Error::General("a certificate is not PEM".to_owned()))
}
