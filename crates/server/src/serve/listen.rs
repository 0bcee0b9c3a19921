//! The ports: taken early, and answering before anybody is told of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tonic::transport::Endpoint;

use super::Served;
use crate::tls;
use crate::trouble::{Outcome, Trouble};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A port that is ours.
pub(super) struct Bound {
    pub(super) listener: TcpListener,
    pub(super) address: SocketAddr,
}

/// Takes a port.
pub(super) async fn bind(section: &str, address: SocketAddr) -> Outcome<Bound> {
    let failed = |error: &std::io::Error| {
        let trouble = Trouble::failure(format!("cannot listen on {address}")).because(error);
        trouble.hint(format!("choose another address with --{section}-listen; port 0 picks a free one"))
    };
    let listener = TcpListener::bind(address).await.map_err(|error| failed(&error))?;
    let address = listener.local_addr().map_err(|error| failed(&error))?;
    Ok(Bound { listener, address })
}

/// Waits until both ports speak their protocol.
pub(super) async fn answers(served: &Served) -> Outcome {
    let both = async {
        let flight = reachable(served.flight);
        let flight = async { if served.tls { tls_answers(flight).await } else { flight_answers(flight).await } };
        tokio::try_join!(flight, http_answers(reachable(served.http))).map(|_| ())
    };
    match tokio::time::timeout(ANSWER_TIMEOUT, both).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Trouble::from(error.context("the gateway does not answer on its own ports"))),
        Err(_) => Err(Trouble::failure("the gateway does not answer on its own ports in time")),
    }
}

async fn flight_answers(address: SocketAddr) -> anyhow::Result<()> {
    Endpoint::from_shared(format!("http://{address}"))?.connect().await?;
    Ok(())
}

/// The certificate names what clients call the gateway, and they may need one too: that it comes is the answer, and the
/// greeting ends with it, since nobody is trusted here.
async fn tls_answers(address: SocketAddr) -> anyhow::Result<()> {
    let greeting = tokio::task::spawn_blocking(move || {
        let trust_nobody = ClientConfig::builder().with_root_certificates(RootCertStore::empty());
        let mut session = ClientConnection::new(Arc::new(trust_nobody.with_no_client_auth()), address.ip().into())
            .map_err(std::io::Error::other)?;
        let mut stream = std::net::TcpStream::connect_timeout(&address, ANSWER_TIMEOUT)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        session.complete_io(&mut stream)
    });
    match greeting.await? {
        Err(error) if matches!(tls::error_in(&error), Some(rustls::Error::InvalidCertificate(_))) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => anyhow::bail!("a certificate was trusted though none can be"),
    }
}

async fn http_answers(address: SocketAddr) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut status = [0; 12];
    stream.read_exact(&mut status).await?;
    anyhow::ensure!(status.starts_with(b"HTTP/1.1 200"), "the answer to /healthz was not 200");
    Ok(())
}

/// The same machine's address for a listener on all of them.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
