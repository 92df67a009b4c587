//! Makes connections, to checked addresses only.
//!
//! The one place where a request of a plugin becomes a socket. A name is
//! resolved once, here; what it resolved to is checked and what passed is
//! connected to, with no second look-up in between that could answer otherwise.
//! A literal address takes the same way without the look-up. Of several
//! addresses those that pass are tried, each a little after the one before (RFC
//! 8305); when none passes, the first refusal is the answer. Neither proxies nor
//! the environment are asked.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_util::either::Either;

use super::address::{self, Prohibited};
use super::failure::Failure;
use super::origin::{Host, Origin, Scheme};

/// How long an address is tried before the next one is tried beside it.
const HEAD_START: Duration = Duration::from_millis(250);

/// How many of a name's addresses are tried.
const ADDRESSES_MAX: usize = 16;

/// Turns a name into addresses.
pub(super) type Resolver = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// How TLS is spoken, or why it cannot be.
pub type Tls = Result<Arc<rustls::ClientConfig>, String>;

/// The resolver of the operating system.
pub(super) fn system_resolver() -> Resolver {
    Arc::new(|name| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    })
}

/// TLS that trusts what the operating system trusts.
pub fn system_tls() -> Tls {
    use rustls_platform_verifier::BuilderVerifierExt;

    let provider = rustls::crypto::CryptoProvider::get_default().cloned();
    let provider = provider.unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()));
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(BuilderVerifierExt::with_platform_verifier);
    match config {
        Ok(config) => Ok(Arc::new(config.with_no_client_auth())),
        Err(fault) => Err(fault.to_string()),
    }
}

/// What makes the connections of a client. A clone makes the same.
#[derive(Clone)]
pub(super) struct Connector(Arc<Rules>);

struct Rules {
    allowed: Vec<IpNet>,
    timeout: Duration,
    resolver: Resolver,
    tls: Tls,
}

impl Connector {
    pub(super) fn new(allowed: Vec<IpNet>, timeout: Duration, resolver: Resolver, tls: Tls) -> Connector {
        Connector(Arc::new(Rules {
            allowed,
            timeout,
            resolver,
            tls,
        }))
    }

    async fn connect(self, uri: http::Uri) -> Result<TokioIo<Link>, Failure> {
        let rules = &self.0;
        let origin = Origin::of(&uri)?;
        let until = Instant::now() + rules.timeout;
        let addresses = rules.addresses(&origin.host, until).await?;
        let stream = timeout_at(until, first_connected(&addresses, origin.port)).await;
        let stream = stream.map_err(|_| Failure::ConnectTimeout)??;
        let link = match origin.scheme {
            Scheme::Http => Either::Left(stream),
            Scheme::Https => {
                let tls = rules.tls.clone().map_err(Failure::NoTls)?;
                let handshake = TlsConnector::from(tls).connect(server_name(&origin.host)?, stream);
                let secured = timeout_at(until, handshake).await;
                let secured = secured.map_err(|_| Failure::ConnectTimeout)?;
                Either::Right(secured.map_err(|fault| Failure::of_handshake(&fault))?)
            }
        };
        Ok(TokioIo::new(Link(link)))
    }
}

impl Rules {
    /// Where `host` may be connected to: at least one address.
    async fn addresses(&self, host: &Host, until: Instant) -> Result<Vec<IpAddr>, Failure> {
        let found = match host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => {
                let resolved = timeout_at(until, (self.resolver)(name.clone())).await;
                let resolved = resolved.map_err(|_| Failure::ResolveTimeout(name.clone()))?;
                resolved.map_err(|fault| Failure::Resolve {
                    name: name.clone(),
                    fault: fault.to_string(),
                })?
            }
        };
        let mut refused: Option<Prohibited> = None;
        let mut passed = Vec::new();
        for address in found.into_iter().take(ADDRESSES_MAX) {
            match address::check(address, &self.allowed) {
                Ok(address) => passed.push(address),
                Err(prohibited) => refused = refused.or(Some(prohibited)),
            }
        }
        match refused {
            _ if !passed.is_empty() => Ok(passed),
            Some(prohibited) => Err(Failure::Prohibited(prohibited)),
            None => Err(Failure::Resolve {
                name: host.to_string(),
                fault: String::from("it has no address"),
            }),
        }
    }
}

/// A connection to the first of `addresses` that answers.
async fn first_connected(addresses: &[IpAddr], port: u16) -> Result<TcpStream, Failure> {
    let mut waiting = addresses.iter();
    let mut tried = FuturesUnordered::new();
    let mut last = Failure::Refused;
    loop {
        if let Some(address) = waiting.next() {
            tried.push(TcpStream::connect(SocketAddr::new(*address, port)));
        }
        let failed = tokio::select! {
            result = tried.next() => match result {
                Some(Ok(stream)) => {
                    // Small requests must not wait for the answer to nothing.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Some(Err(fault)) => Some(fault),
                None => return Err(last),
            },
            () = tokio::time::sleep(HEAD_START), if waiting.len() > 0 => None,
        };
        if let Some(fault) = failed {
            last = Failure::of_connecting(&fault);
        }
    }
}

fn server_name(host: &Host) -> Result<ServerName<'static>, Failure> {
    match host {
        Host::Address(address) => Ok(ServerName::from(*address)),
        Host::Name(name) => {
            ServerName::try_from(name.clone()).map_err(|_| Failure::Certificate(format!("no name: {name}")))
        }
    }
}

impl tower::Service<http::Uri> for Connector {
    type Response = TokioIo<Link>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Link>, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: http::Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// A connection, plain or in TLS.
pub(super) struct Link(Either<TcpStream, tokio_rustls::client::TlsStream<TcpStream>>);

impl Connection for Link {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Link {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
