//! Certificates and keys in PEM files, tried before anybody relies on them.

use std::error::Error;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use meshgate_flight::Tls;
use meshgate_model::Secret;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};

use crate::config;
use crate::trouble::{Outcome, Trouble};

/// What `[flight.tls]` means.
pub(crate) fn read(config: &config::Tls) -> Outcome<Arc<ServerConfig>> {
    let certificate = File { called: "`flight.tls.certificate`", path: &config.certificate };
    let key = File { called: "`flight.tls.key`", path: &config.key };
    let certificate_text = certificate.text()?;
    let key_text = Secret::new(key.text()?);
    fit(&certificate, certificate.certificates(&certificate_text)?, &key, &key_text)?;
    if fs::metadata(&config.key).is_ok_and(|file| file.mode() & 0o007 != 0) {
        tracing::warn!(key = %config.key.display(), "everybody on this machine can read the key of TLS: chmod 640");
    }
    let client_ca = config.client_ca.as_deref();
    let client_ca = client_ca.map(|path| File { called: "`flight.tls.client_ca`", path }.authorities());
    let tls = Tls {
        certificate: certificate_text,
        key: key_text,
        client_ca: client_ca.transpose()?,
        client_certificate_optional: config.client_certificate_optional,
    };
    tls.server_config().map_err(|error| Trouble::config("`[flight.tls]` cannot be used").because(&error))
}

/// The authorities that `--tls-ca` names.
pub(crate) fn authorities(path: &Path) -> Outcome<String> {
    authorities_of("--tls-ca", path).map_err(Trouble::in_usage)
}

/// The authorities in a file, as what it is called by.
pub(crate) fn authorities_of(called: &'static str, path: &Path) -> Outcome<String> {
    File { called, path }.authorities()
}

/// What TLS says is wrong, however deep in an error it lies.
pub(crate) fn error_in<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    let mut next = Some(error);
    while let Some(cause) = next {
        // An error of input and output gives the source of what it holds, and not what it holds.
        let held = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let found = held.and_then(|held| held.downcast_ref()).or_else(|| cause.downcast_ref());
        if found.is_some() {
            return found;
        }
        next = cause.source();
    }
    None
}

/// A file, and what the user calls it by.
struct File<'f> {
    called: &'static str,
    path: &'f Path,
}

impl File<'_> {
    fn wrong(&self, what: &str) -> Trouble {
        Trouble::config(format!("the file of {}, {}, {what}", self.called, self.path.display()))
    }

    fn text(&self) -> Outcome<String> {
        let bytes = fs::read(self.path).map_err(|error| self.wrong("cannot be read").because(&error))?;
        // SECURITY: what is said of a file quotes nothing of it, since it may hold a key.
        String::from_utf8(bytes).map_err(|_| self.wrong("is no PEM file").why("it is not text"))
    }

    fn certificates(&self, text: &str) -> Outcome<Vec<CertificateDer<'static>>> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
        let found = found.map_err(|_| self.wrong("is no PEM file").why("a section of it is broken"))?;
        if found.is_empty() {
            return Err(self.wrong("has no certificate in PEM").hint("one begins with -----BEGIN CERTIFICATE-----"));
        }
        Ok(found)
    }

    fn authorities(&self) -> Outcome<String> {
        let text = self.text()?;
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates(&text)? {
            let added = roots.add(certificate);
            added.map_err(|error| self.wrong("has a certificate that cannot be used").because(&error))?;
        }
        Ok(text)
    }
}

/// Whether the key can be used, and is that of the first certificate.
fn fit(certificate: &File<'_>, chain: Vec<CertificateDer<'static>>, key: &File<'_>, text: &Secret) -> Outcome {
    let parsed = PrivateKeyDer::from_pem_slice(text.expose().as_bytes()).map_err(|_| {
        let wrong = key.wrong("has no private key in PEM that can be used");
        if text.expose().contains("ENCRYPTED") {
            wrong.why("the key is encrypted").hint("decrypt it with `openssl pkey -in FILE -out FILE`")
        } else {
            wrong.hint("one begins with -----BEGIN PRIVATE KEY-----")
        }
    })?;
    CertifiedKey::from_der(chain, parsed, &ring::default_provider()).map(|_| ()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => key
            .wrong("is not the key of the certificate")
            .why(format!("{} is for another key", certificate.path.display()))
            .hint("the first certificate of the file has to be the gateway's own, those of authorities follow"),
        rustls::Error::InvalidCertificate(_) => {
            certificate.wrong("has a certificate that cannot be used").because(&error)
        }
        _ => key.wrong("has a key that cannot be used").because(&error),
    })
}
