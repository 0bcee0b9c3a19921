//! Connections with an identity: sessions of clients that know neither cookies nor bearers hang on it, and with TLS the
//! client's certificate.

use std::future::Future;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::{Stream, stream};
use meshgate_identity::ClientCertificate;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tonic::Extensions;
use tonic::transport::server::Connected;

/// A client that does not speak TLS, or does not finish its greeting, is not waited for.
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that may be greeting at once; others wait in the listener's queue.
const GREETINGS_MAX: usize = 1024;
/// How long a closed connection's client may take to close its end. What it still sends is read and thrown away: a socket
/// closed over unread bytes is reset, and what the client has not read yet, the end of its last stream, is lost (RFC 1122,
/// 4.2.2.13).
const LINGER: Duration = Duration::from_secs(2);
/// Read at once of what is thrown away.
const DISCARDED_BYTES: usize = 4096;
/// After the operating system could not give a connection, most likely for want of file handles.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Which connection a request came over.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// Unlike ports, never used twice.
    pub(crate) connection: u64,
    /// Where it comes from.
    pub(crate) address: Option<IpAddr>,
    /// The certificate it came with, which TLS has checked.
    pub(crate) certificate: Option<Arc<ClientCertificate>>,
}

impl Peer {
    /// The peer of a request.
    pub(crate) fn of(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
    }
}

/// What is spoken on new connections: TLS as the watched value says, or nothing but TCP.
pub(crate) type TlsConfigs = Option<watch::Receiver<Arc<ServerConfig>>>;

/// A connection that tells when it is closed.
pub(crate) struct Connection {
    stream: Either<TcpStream, Box<TlsStream<TcpStream>>>,
    peer: Peer,
    closed: Arc<dyn Fn(u64) + Send + Sync>,
    /// Until when its client's end is waited for, from the moment on that nothing more is written.
    lingering: Option<Pin<Box<Sleep>>>,
}

/// The connections of a listener, each when its greeting is done.
pub(crate) fn connections(
    listener: TcpListener,
    tls: TlsConfigs,
    closed: Arc<dyn Fn(u64) + Send + Sync>,
) -> impl Stream<Item = std::io::Result<Connection>> {
    let accepting = Accepting { listener, tls, closed, next: AtomicU64::new(0), greetings: JoinSet::new() };
    stream::unfold(accepting, |mut accepting| async { Some((Ok(accepting.next().await), accepting)) })
}

struct Accepting {
    listener: TcpListener,
    tls: TlsConfigs,
    closed: Arc<dyn Fn(u64) + Send + Sync>,
    next: AtomicU64,
    greetings: JoinSet<Option<Connection>>,
}

impl Accepting {
    async fn next(&mut self) -> Connection {
        loop {
            tokio::select! {
                Some(greeted) = self.greetings.join_next() => if let Ok(Some(connection)) = greeted {
                    return connection;
                },
                accepted = self.listener.accept(), if self.greetings.len() < GREETINGS_MAX => match accepted {
                    Ok((stream, address)) => self.greet(stream, address.ip()),
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
                    }
                },
            }
        }
    }

    fn greet(&mut self, stream: TcpStream, address: IpAddr) {
        // Messages are whole when they are written: waiting for more only delays them.
        if stream.set_nodelay(true).is_err() {
            // The client is gone already.
            return;
        }
        let acceptor = self.tls.as_ref().map(|configs| TlsAcceptor::from(configs.borrow().clone()));
        let (connection, closed) = (self.next.fetch_add(1, Ordering::Relaxed), self.closed.clone());
        self.greetings.spawn(async move {
            let Some(acceptor) = acceptor else {
                let peer = Peer { connection, address: Some(address), certificate: None };
                return Some(Connection { stream: Either::Left(stream), peer, closed, lingering: None });
            };
            let stream = match tokio::time::timeout(GREETING_TIMEOUT, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => {
                    tracing::debug!(%address, %error, "a client's TLS greeting failed");
                    return None;
                }
                Err(_) => return None,
            };
            let chain = stream.get_ref().1.peer_certificates();
            let certificate = chain.and_then(|chain| ClientCertificate::from_der(chain.first()?));
            let peer = Peer { connection, address: Some(address), certificate: certificate.map(Arc::new) };
            Some(Connection { stream: Either::Right(Box::new(stream)), peer, closed, lingering: None })
        });
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        (self.closed)(self.peer.connection);
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let Self { stream, lingering, .. } = &mut *self;
        let until = match lingering {
            Some(until) => until,
            None => {
                ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
                lingering.insert(Box::pin(tokio::time::sleep(LINGER)))
            }
        };
        let mut discarded = [MaybeUninit::uninit(); DISCARDED_BYTES];
        while until.as_mut().poll(cx).is_pending() {
            let mut discarded = ReadBuf::uninit(&mut discarded);
            // An error is an end as well: everything was written before.
            if ready!(Pin::new(&mut *stream).poll_read(cx, &mut discarded)).is_err() || discarded.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}
