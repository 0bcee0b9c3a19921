//! Client certificates as an identity of services. Whether an authority that is trusted issued them, TLS has checked before.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use meshgate_model::Instant;
use x509_cert::Certificate;
use x509_cert::attr::AttributeValue;
use x509_cert::der::Decode;
use x509_cert::der::asn1::{ObjectIdentifier, PrintableStringRef, TeletexStringRef, Utf8StringRef};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::time::Time;

use crate::AttributeTexts;

/// `id-at-commonName` (RFC 5280, appendix A.1).
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// What a client certificate says of its owner.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientCertificate {
    names: BTreeSet<CertificateName>,
    from: Instant,
    until: Instant,
}

/// A name in a certificate: `dns:`, `uri:` or `email:` and a subject alternative name of that kind (RFC 5280, 4.2.1.6), or
/// `cn:` and the subject's common name, if it has exactly one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CertificateName(String);

/// A service, and the certificate that stands for it.
#[derive(Clone, Debug)]
pub struct CertificateService {
    /// The name that the certificate has to have.
    pub certificate: CertificateName,
    /// The service's name.
    pub service: String,
    /// The groups it is a member of.
    pub groups: BTreeSet<String>,
    /// Its attributes.
    pub attributes: AttributeTexts,
}

impl ClientCertificate {
    /// Reads one in DER. Without a result it is none, or says something that cannot be read.
    pub fn from_der(der: &[u8]) -> Option<Self> {
        let certificate = Certificate::from_der(der).ok()?.tbs_certificate;
        let subject = certificate.subject.0.iter().flat_map(|part| part.0.iter());
        let mut common = subject.filter(|attribute| attribute.oid == COMMON_NAME);
        let common = match (common.next(), common.next()) {
            (Some(name), None) => text(&name.value).map(|name| CertificateName(format!("cn:{name}"))),
            _ => None,
        };
        let alternatives = certificate.get::<SubjectAltName>().ok()?.map(|(_, names)| names.0).unwrap_or_default();
        let alternatives = alternatives.into_iter().filter_map(|name| match name {
            GeneralName::DnsName(name) => Some(CertificateName(format!("dns:{}", name.as_str().to_ascii_lowercase()))),
            GeneralName::UniformResourceIdentifier(name) => Some(CertificateName(format!("uri:{}", name.as_str()))),
            GeneralName::Rfc822Name(name) => Some(CertificateName(format!("email:{}", name.as_str()))),
            _ => None,
        });
        let time = |time: Time| {
            let seconds = i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
            Instant(0).plus_seconds(seconds)
        };
        Some(Self {
            names: alternatives.chain(common).collect(),
            from: time(certificate.validity.not_before),
            until: time(certificate.validity.not_after),
        })
    }

    /// Whether it is of this name.
    pub(crate) fn is_of(&self, name: &CertificateName) -> bool {
        self.names.contains(name)
    }

    /// Whether it is good at a time: connections live longer than some certificates.
    pub(crate) fn is_good_at(&self, now: Instant) -> bool {
        self.from <= now && now <= self.until
    }
}

/// An attribute's text, in any of the encodings that are in use.
fn text(value: &AttributeValue) -> Option<String> {
    let utf8 = || Utf8StringRef::try_from(value).ok().map(|text| text.as_str().to_owned());
    let printable = || PrintableStringRef::try_from(value).ok().map(|text| text.as_str().to_owned());
    let teletex = || TeletexStringRef::try_from(value).ok().map(|text| text.as_str().to_owned());
    utf8().or_else(printable).or_else(teletex)
}

impl fmt::Display for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.names.iter().map(|name| name.0.as_str()).collect();
        write!(f, "{:?}", names.join(", "))
    }
}

impl FromStr for CertificateName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("dns" | "uri" | "email" | "cn", "")) => Err("it names nobody"),
            Some(("dns", name)) if name.contains('*') => Err("a name for many hosts names no service"),
            Some(("dns", name)) => Ok(Self(format!("dns:{}", name.to_ascii_lowercase()))),
            Some(("uri" | "email" | "cn", _)) => Ok(Self(text.to_owned())),
            _ => Err("it begins with none of `dns:`, `uri:`, `email:` and `cn:`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use meshgate_model::{Clock as _, Failure as _};

    use super::{CertificateName, CertificateService, ClientCertificate};
    use crate::authenticate::tests::{Counted, ManualClock};
    use crate::{
        Authentication, ClientInfo, Credential, Error, Identity, MemoryStore, Options, PasswordCost, Principal,
        PrincipalKind,
    };

    /// Of `O="Example, CN=root", CN=etl`, with three alternative names, good in all of 2026.
    const ETL: &str = "\
    MIIBiTCCATCgAwIBAgIBBzAKBggqhkjOPQQDAjApMRkwFwYDVQQKDBBFeGFtcGxlLCBDTj1yb290MQwwCgYDVQQDDANldGwwHhcNMjYwMTAxMD\
    AwMDAwWhcNMjcwMTAxMDAwMDAwWjApMRkwFwYDVQQKDBBFeGFtcGxlLCBDTj1yb290MQwwCgYDVQQDDANldGwwWTATBgcqhkjOPQIBBggqhkjO\
    PQMBBwNCAAQSdEKhAJ0Wmqp+tHQA78ZMBBMs8s0L5gSvuJt01TJY4/CzCAQqMDb8x2O7gURhwDfXalhk/geF5e+EhHLgxudHo0kwRzBFBgNVHR\
    EEPjA8gg9FVEwuZXhhbXBsZS5vcmeGGHNwaWZmZTovL2V4YW1wbGUub3JnL2V0bIEPZXRsQGV4YW1wbGUub3JnMAoGCCqGSM49BAMCA0cAMEQC\
    IF4IcqtFJYkjioVHDX0+5CAC0BHveaxhyjYRwGJA7YOoAiBVBpwkWFA6uyfKGw4qNqlhZN3N9VaVX1phKbkuXCoUUA==";
    const NEW_YEAR_2026_S: i64 = 1_767_225_600;
    const NEW_YEAR_2027_S: i64 = 1_798_761_600;

    fn etl() -> Arc<ClientCertificate> {
        let der = STANDARD.decode(ETL).expect("base64");
        Arc::new(ClientCertificate::from_der(&der).expect("a certificate"))
    }

    fn service(name: &str, certificate: &str) -> CertificateService {
        CertificateService {
            certificate: certificate.parse().expect("a name"),
            service: name.to_owned(),
            groups: ["loaders".to_owned()].into(),
            attributes: [("region".to_owned(), vec!["eu".to_owned()])].into(),
        }
    }

    async fn enter(at_s: i64, services: Vec<CertificateService>, anonymous: bool) -> Result<Principal, Error> {
        let clock = Arc::new(ManualClock::default());
        clock.advance_s(at_s);
        assert_eq!(clock.now().millis(), at_s * 1000);
        let options = Options { services, anonymous, password_cost: PasswordCost::MINIMAL, ..Options::default() };
        let identity = Identity::new(Arc::new(MemoryStore::default()), options, clock, &Counted::default());
        let credential = Credential::Certificate(etl());
        let types = [("region".to_owned(), meshgate_model::AttributeType::String)].into();
        let entered = identity.authenticate(&credential, &ClientInfo::default(), &types).await?;
        assert!(identity.confirm(&entered, &credential, &types).await.expect("an answer"));
        Ok(entered)
    }

    #[tokio::test]
    async fn a_certificate_stands_for_the_first_service_that_fits() {
        for name in ["dns:etl.example.org", "uri:spiffe://example.org/etl", "email:etl@example.org", "cn:etl"] {
            let services = vec![service("other", "cn:root"), service("etl", name), service("later", "cn:etl")];
            let etl = enter(NEW_YEAR_2026_S, services, false).await.expect("let in");
            assert_eq!((etl.kind(), etl.name()), (PrincipalKind::Service, "etl"), "{name}");
            assert_eq!(etl.authentication(), Authentication::Certificate);
            assert!(etl.groups().contains("loaders") && etl.attributes().contains_key("region"));
        }
    }

    #[tokio::test]
    async fn other_certificates_and_other_times_let_nobody_in() {
        let of_root =
            || vec![service("root", "cn:root"), service("root", "dns:example.org"), service("root", "uri:etl")];
        let refused = |entered: Result<Principal, Error>| entered.expect_err("refused").to_string();
        assert!(refused(enter(NEW_YEAR_2026_S, of_root(), false).await).contains("no service is configured"));
        assert_eq!(enter(NEW_YEAR_2026_S, of_root(), true).await.expect("let in").name(), "anonymous");
        assert!(matches!(enter(NEW_YEAR_2026_S, Vec::new(), false).await, Err(Error::Missing)));
        for at_s in [NEW_YEAR_2026_S - 1, NEW_YEAR_2027_S + 1] {
            let error = enter(at_s, vec![service("etl", "cn:etl")], true).await.expect_err("not good now");
            assert!(error.public().to_string().contains("expired"), "{error}");
        }
    }

    #[test]
    fn names_of_services_are_checked() {
        let name = |text: &str| text.parse::<CertificateName>();
        assert_eq!(name("dns:ETL.example.org"), name("dns:etl.example.org"));
        assert_ne!(name("uri:spiffe://example.org/ETL"), name("uri:spiffe://example.org/etl"));
        assert!(name("cn:etl: nightly").is_ok() && name("email:etl@example.org").is_ok());
        for wrong in ["etl", "", "dns:", "cn:", "subject:CN=etl", "DNS:etl", "dns:*.example.org"] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_certificate_is_none() {
        for der in [&b""[..], b"0", b"0\x80", &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]] {
            assert_eq!(ClientCertificate::from_der(der), None);
        }
    }
}
