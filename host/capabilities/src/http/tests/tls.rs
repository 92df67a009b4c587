//! TLS as a client of the web speaks it: who cannot prove a name is not spoken
//! to.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::server::{Peer, Server};
use super::*;

/// A certificate authority that lives as long as a test.
pub(super) struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Authority {
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    /// A server's side of TLS under `name`.
    fn acceptor(&self, name: &str) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([String::from(name)]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A client that trusts `authority` and nobody else.
pub(super) fn client_config(authority: &Authority) -> Arc<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.certificate.clone()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

async fn served(acceptor: TlsAcceptor) -> Server {
    Server::start(move |peer: Peer| {
        let acceptor = acceptor.clone();
        async move {
            let secured = peer.behind(|wire| async move { acceptor.accept(wire).await.ok() });
            let Some(mut peer) = secured.await else { return };
            while peer.head().await.is_some() {
                peer.answer("secured").await;
            }
        }
    })
    .await
}

fn uri(server: &Server, host: &str) -> String {
    server.uri(host).replace("http:", "https:")
}

#[tokio::test]
async fn a_server_that_proves_its_name_is_spoken_to() {
    let authority = Authority::new();
    for name in ["api.test", "127.0.0.1"] {
        let server = served(authority.acceptor(name)).await;
        let egress = with(local(), connect_here(), Ok(client_config(&authority)));
        let answer = get(&egress, &uri(&server, name)).await.unwrap();
        assert_eq!(text(answer).await.unwrap(), "secured", "{name}");
    }
}

#[tokio::test]
async fn one_that_proves_another_name_is_not() {
    let authority = Authority::new();
    let mut server = served(authority.acceptor("other.test")).await;
    let egress = with(local(), connect_here(), Ok(client_config(&authority)));
    let failure = get(&egress, &uri(&server, "api.test")).await.unwrap_err();
    assert!(matches!(failure, Failure::Certificate(_)), "{failure:?}");
    let heard = server.unread();
    assert!(
        !heard
            .iter()
            .any(|seen| matches!(seen, super::server::Seen::Head(_))),
        "{heard:?}"
    );
}

#[tokio::test]
async fn one_that_nobody_vouches_for_is_not() {
    let server = served(Authority::new().acceptor("api.test")).await;
    let egress = with(local(), connect_here(), Ok(client_config(&Authority::new())));
    let failure = get(&egress, &uri(&server, "api.test")).await.unwrap_err();
    assert!(matches!(failure, Failure::Certificate(_)), "{failure:?}");
}

/// Falling back to plain text is no way out.
#[tokio::test]
async fn one_that_does_not_speak_tls_is_not() {
    let server = Server::start(|mut peer| async move {
        peer.bytes().await;
        peer.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        peer.linger().await;
    })
    .await;
    let egress = with(local(), connect_here(), Ok(client_config(&Authority::new())));
    let failure = get(&egress, &uri(&server, "api.test")).await.unwrap_err();
    assert!(matches!(failure, Failure::Tls(_)), "{failure:?}");
}

#[tokio::test]
async fn a_host_without_tls_says_so_and_still_speaks_plain() {
    let server = Server::answering("plain").await;
    let egress = with(local(), connect_here(), Err(String::from("no roots")));
    let failure = get(&egress, &uri(&server, "api.test")).await.unwrap_err();
    assert_eq!(failure, Failure::NoTls(String::from("no roots")));
    let answer = get(&egress, &server.uri("api.test")).await.unwrap();
    assert_eq!(text(answer).await.unwrap(), "plain");
}
