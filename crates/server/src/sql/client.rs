//! One connection to a gateway.

use std::time::Duration;

use arrow::datatypes::Schema;
use arrow_flight::FlightInfo;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::sql::client::FlightSqlServiceClient;
use futures::TryStreamExt;
use rustls::CertificateError;
use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use super::progress::Progress;
use super::render::Sheet;
use crate::args;
use crate::output;
use crate::tls;
use crate::trouble::{Outcome, Trouble};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Messages of the gateway stay below 4 MiB but for single rows larger than that.
const MESSAGE_BYTES_MAX: usize = 1 << 30;

/// A connection that has logged in.
pub(super) struct Client {
    pub(super) flight: FlightSqlServiceClient<Channel>,
    pub(super) url: String,
}

impl Client {
    /// Connects and logs in as the arguments say.
    pub(super) async fn connect(arguments: &args::Sql) -> Outcome<Self> {
        let url = &arguments.url;
        let endpoint = endpoint(url, arguments.tls_ca.as_deref())?;
        let channel = endpoint.connect().await.map_err(|error| unreachable(url, &error))?;
        let service = arrow_flight::flight_service_client::FlightServiceClient::new(channel)
            .max_decoding_message_size(MESSAGE_BYTES_MAX);
        let mut flight = FlightSqlServiceClient::new_from_inner(service);
        if let Some(user) = &arguments.user {
            let password = match &arguments.password {
                Some(password) => password.clone(),
                None => crate::prompt::password(&format!("Password of {user}: "))?,
            };
            flight.handshake(user, &password).await.map_err(|error| {
                Trouble::failure(format!("{url} does not let {user} in"))
                    .why(error.to_string().replace("Ipc error: ", ""))
                    .hint("check name and password, and the URL (grpc+tls:// with TLS); a gateway may also take tokens only: --token")
            })?;
        } else if let Some(token) = &arguments.token {
            flight.set_token(token.clone());
        }
        Ok(Self { flight, url: url.clone() })
    }

    /// Runs one statement and writes its rows. Ctrl-C cancels it.
    pub(super) async fn run<W: Write>(&mut self, statement: &str, sheet: &mut Sheet<W>) -> Outcome<u64> {
        let progress = Progress::start();
        tokio::select! {
            done = self.fetch(statement, sheet, &progress) => done,
            // Leaving drops the stream, which tells the gateway to stop.
            _ = tokio::signal::ctrl_c() => Err(Trouble::failure("the query was cancelled")),
        }
    }

    async fn fetch<W: Write>(&mut self, statement: &str, sheet: &mut Sheet<W>, progress: &Progress) -> Outcome<u64> {
        let wrong = |error: &FlightError| refused("the statement failed", error);
        let info = self.flight.execute(statement.to_owned(), None).await.map_err(|error| wrong(&error))?;
        let mut opened = false;
        for mut stream in self.streams(&info).await? {
            while let Some(batch) = stream.try_next().await.map_err(|error| wrong(&error))? {
                progress.stop();
                if !opened {
                    opened = true;
                    sheet.open(&batch.schema())?;
                }
                sheet.write(&batch)?;
            }
            if let (false, Some(schema)) = (opened, stream.schema()) {
                opened = true;
                progress.stop();
                sheet.open(schema)?;
            }
        }
        if !opened {
            let schema = info.try_decode_schema().unwrap_or_else(|_| Schema::empty());
            progress.stop();
            sheet.open(&Arc::new(schema))?;
        }
        Ok(sheet.close()?.0)
    }

    /// The streams behind all endpoints of an answer.
    pub(super) async fn streams(&mut self, info: &FlightInfo) -> Outcome<Vec<FlightRecordBatchStream>> {
        let mut streams = Vec::new();
        for endpoint in &info.endpoint {
            if let Some(ticket) = endpoint.ticket.clone() {
                let stream = self.flight.do_get(ticket).await;
                streams.push(stream.map_err(|error| refused("the statement failed", &error))?);
            }
        }
        Ok(streams)
    }

    /// Tells the gateway that nobody comes back; an answer changes nothing.
    pub(super) fn note_open(&self) {
        output::note(format!("Connected to {}. End statements with `;`, \\? shows help, \\q leaves.", self.url));
    }
}

fn endpoint(url: &str, authority: Option<&Path>) -> Outcome<Endpoint> {
    let wrong = |why: &str| {
        Trouble::usage(format!("`{url}` is no address of a gateway"))
            .why(why)
            .hint("write it like grpc://127.0.0.1:31337, or grpc+tls://gate.example.org:31337")
    };
    let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("it has no scheme"))?;
    let with_tls = match scheme {
        "grpc" | "grpc+tcp" | "http" => false,
        "grpc+tls" | "grpcs" | "https" => true,
        _ => return Err(wrong("its scheme is not grpc")),
    };
    let scheme = if with_tls { "https" } else { "http" };
    let endpoint = Endpoint::from_shared(format!("{scheme}://{rest}")).map_err(|error| wrong(&error.to_string()))?;
    let agent = concat!("meshgate-sql/", env!("CARGO_PKG_VERSION"));
    let endpoint = endpoint.user_agent(agent).map_err(|error| wrong(&error.to_string()))?;
    let endpoint = endpoint.connect_timeout(CONNECT_TIMEOUT).tcp_nodelay(true);
    if with_tls {
        return encrypted(endpoint, authority);
    }
    match authority {
        // SECURITY: who names an authority does not want to send a token in the clear.
        Some(_) => Err(Trouble::usage(format!("--tls-ca (or MESHGATE_TLS_CA) cannot be used with {url}"))
            .why("the connection would be without TLS")
            .hint(format!("write grpc+tls://{rest}, or leave --tls-ca out"))),
        None => Ok(endpoint),
    }
}

/// The same with TLS: whom the authority vouches for, else whom the system's do.
fn encrypted(endpoint: Endpoint, authority: Option<&Path>) -> Outcome<Endpoint> {
    let config = ClientTlsConfig::new().timeout(CONNECT_TIMEOUT);
    // An IPv6 address stands in brackets in a URL, and without them in a certificate.
    let host = endpoint.uri().host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let config = match authority {
        Some(file) => config.ca_certificate(Certificate::from_pem(tls::authorities(file)?)),
        None => config.with_native_roots(),
    };
    endpoint.tls_config(config.domain_name(host)).map_err(|error| {
        Trouble::failure("TLS cannot be used").because(&error).hint("name the file of an authority with --tls-ca FILE")
    })
}

fn unreachable(url: &str, error: &tonic::transport::Error) -> Trouble {
    let (what, hint) = match tls::error_in(error) {
        Some(rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => ("the certificate of the gateway is for another name than in", "use a name in --url that it is for"),
        Some(rustls::Error::InvalidCertificate(_)) => (
            "the certificate of the gateway is not trusted:",
            "if its authority is your own, name the PEM file of that with --tls-ca FILE (or MESHGATE_TLS_CA)",
        ),
        Some(_) => (
            "TLS cannot be spoken with the gateway at",
            "does it speak TLS? without it, the URL begins with grpc://; it may also want a certificate from its clients",
        ),
        None => {
            ("no gateway answers at", "start one with `meshgate demo` or `meshgate serve`, or name another with --url")
        }
    };
    Trouble::failure(format!("{what} {url}")).because(error).hint(hint)
}

/// What the gateway said, without the layers it came through.
pub(super) fn refused(what: &str, error: &FlightError) -> Trouble {
    let FlightError::Tonic(status) = error else {
        return Trouble::failure(what).because(error);
    };
    let mut trouble = Trouble::failure(what).why(status.message());
    // What the gateway says has no source: this was said here.
    if let Some(source) = status.source() {
        trouble = trouble.because(source);
    }
    match status.code() {
        tonic::Code::Unauthenticated => {
            trouble.hint("log in with --token (or MESHGATE_TOKEN), or with --user and a password")
        }
        code if status.source().is_some() || code == tonic::Code::Unavailable && status.message().is_empty() => trouble
            .hint(
                "the connection is gone: is the gateway still running? It may also want TLS (grpc+tls://), or \
                 a certificate from its clients",
            ),
        _ => trouble,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::endpoint;

    #[test]
    fn urls_are_checked_before_anything_is_sent() {
        for good in ["grpc://127.0.0.1:31337", "grpc+tcp://localhost:1", "http://[::1]:5"] {
            assert!(endpoint(good, None).is_ok(), "{good}");
        }
        for (bad, why) in [("127.0.0.1:31337", "no scheme"), ("ftp://h", "not grpc"), ("grpc://a b", "invalid")] {
            let said = endpoint(bad, None).expect_err(bad).to_string();
            assert!(said.contains(why), "{said}");
        }
        let file = Path::new("/no/such/authority.crt");
        let said = endpoint("grpc://h:1", Some(file)).expect_err("no TLS").to_string();
        assert!(said.contains("without TLS") && said.contains("grpc+tls://h:1"), "{said}");
        let said = endpoint("grpc+tls://h:1", Some(file)).expect_err("no file").to_string();
        assert!(said.contains("--tls-ca, /no/such/authority.crt, cannot be read"), "{said}");
    }
}
