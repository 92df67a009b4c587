//! Makes connections to the one server of a model. Neither proxies nor the
//! environment are asked: what stands in the configuration is where it goes.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;
use url::{Host, Url};

/// A connection.
pub(super) type Link = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// How many addresses of a name are tried.
const ADDRESSES_MAX: usize = 8;

/// Where a model's server is.
pub(super) struct Target {
    host: Host,
    port: u16,
    tls: Option<Arc<ClientConfig>>,
    /// As the `Host` header says it.
    pub(super) authority: String,
    /// Of the chat completions.
    pub(super) path: String,
    /// Of the list of models.
    pub(super) models: String,
}

impl Target {
    /// An error says what is wrong with this machine's TLS.
    pub(super) fn new(base_url: &Url) -> Result<Target, String> {
        let host = base_url.host().ok_or("`base_url` names no host")?;
        let tls = match base_url.scheme() {
            "https" => Some(system_tls()?),
            _ => None,
        };
        let authority = match base_url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_string(),
        };
        let base = base_url.path().trim_end_matches('/');
        Ok(Target {
            port: base_url.port_or_known_default().unwrap_or(80),
            host: host.to_owned(),
            tls,
            authority,
            path: format!("{base}/chat/completions"),
            models: format!("{base}/models"),
        })
    }

    /// The same with other roots of trust.
    #[cfg(test)]
    pub(super) fn trusting(mut self, config: ClientConfig) -> Target {
        self.tls = Some(Arc::new(config));
        self
    }

    /// Connects by `until`, with TLS where the address asks for it.
    pub(super) async fn connect(&self, until: Instant) -> io::Result<Link> {
        let stream = first_connected(&self.addresses().await?, until).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else {
            return Ok(Either::Left(stream));
        };
        let name = match &self.host {
            Host::Domain(name) => ServerName::try_from(name.clone()).map_err(io::Error::other)?,
            Host::Ipv4(address) => ServerName::from(IpAddr::from(*address)),
            Host::Ipv6(address) => ServerName::from(IpAddr::from(*address)),
        };
        let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?;
        Ok(Either::Right(Box::new(stream)))
    }

    async fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        Ok(match &self.host {
            Host::Ipv4(address) => vec![SocketAddr::from((*address, self.port))],
            Host::Ipv6(address) => vec![SocketAddr::from((*address, self.port))],
            Host::Domain(name) => {
                let found = tokio::net::lookup_host((name.as_str(), self.port)).await?;
                found.take(ADDRESSES_MAX).collect()
            }
        })
    }
}

/// The first address that answers. Each has its share of the time left, so that
/// a silent one does not hide those behind it.
async fn first_connected(addresses: &[SocketAddr], until: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::other("its name has no address");
    for (address, still) in addresses.iter().zip((1..=addresses.len() as u32).rev()) {
        let left = until.saturating_duration_since(Instant::now());
        match timeout(left / still, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(fault)) => last = fault,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

/// TLS that trusts what the operating system trusts.
fn system_tls() -> Result<Arc<ClientConfig>, String> {
    let provider = CryptoProvider::get_default().cloned();
    let provider = provider.unwrap_or_else(|| Arc::new(ring::default_provider()));
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(BuilderVerifierExt::with_platform_verifier);
    let mut config = config.map_err(|fault| fault.to_string())?.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::*;

    fn target(base_url: &str) -> Target {
        Target::new(&Url::parse(base_url).unwrap()).unwrap()
    }

    #[test]
    fn the_address_of_the_completions_is_made_from_the_base() {
        for (base_url, authority, path) in [
            ("http://localhost", "localhost", "/chat/completions"),
            ("http://[::1]:8080/v1", "[::1]:8080", "/v1/chat/completions"),
            (
                "http://10.0.0.1:80/a%20b/v1//",
                "10.0.0.1",
                "/a%20b/v1/chat/completions",
            ),
            (
                "https://LLM.example.com:443/v1/",
                "llm.example.com",
                "/v1/chat/completions",
            ),
        ] {
            let target = target(base_url);
            assert_eq!(
                (target.authority.as_str(), target.path.as_str()),
                (authority, path)
            );
        }
    }

    #[tokio::test]
    async fn the_next_address_is_tried_when_one_refuses() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let refused = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        let stream = first_connected(&[refused, open], until).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        assert!(first_connected(&[refused], until).await.is_err());
        assert!(first_connected(&[], until).await.is_err());
    }
}
