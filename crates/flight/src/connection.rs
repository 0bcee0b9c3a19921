//! TCP connections with an identity: sessions of clients that know neither cookies nor bearers hang on it.

use std::io::IoSlice;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures::{Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Extensions;
use tonic::transport::server::{Connected, TlsConnectInfo};

/// Which connection a request came over.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// Unlike ports, never used twice.
    pub(crate) connection: u64,
    /// Where it comes from.
    pub(crate) address: Option<IpAddr>,
}

impl Peer {
    /// The peer of a request, with or without TLS.
    pub(crate) fn of(extensions: &Extensions) -> Option<&Self> {
        extensions.get::<Self>().or_else(|| Some(extensions.get::<TlsConnectInfo<Self>>()?.get_ref()))
    }
}

/// A connection that tells when it is closed.
pub(crate) struct Connection {
    stream: TcpStream,
    peer: Peer,
    closed: Arc<dyn Fn(u64) + Send + Sync>,
}

/// The connections of a listener.
pub(crate) fn connections(
    listener: TcpListener,
    closed: Arc<dyn Fn(u64) + Send + Sync>,
) -> impl Stream<Item = std::io::Result<Connection>> {
    let next = AtomicU64::new(0);
    TcpListenerStream::new(listener).map(move |stream| {
        let stream = stream?;
        // Messages are whole when they are written: waiting for more only delays them.
        stream.set_nodelay(true)?;
        let address = stream.peer_addr().ok().map(|address| address.ip());
        let peer = Peer { connection: next.fetch_add(1, Ordering::Relaxed), address };
        Ok(Connection { stream, peer, closed: closed.clone() })
    })
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
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
