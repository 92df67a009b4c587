//! A host without sockets, for the tests of the edge and of what stands behind
//! it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use http::Request;
use segue_capabilities::Backends;
use segue_resilience::Guards;
use segue_runtime::{HandlerError, Reply};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{self, client::IntoClientRequest as _};
use tower::ServiceExt;

use crate::config;
use crate::host::HostOptions;
use crate::state::App;
use crate::target::{NativeFuture, NativeHandler};
use crate::telemetry::Metrics;

/// What every test host is configured with beside its own lines.
const BASE: &str = "[runtime]\ninstances = 2\nguest_threads = 1\n";

pub(crate) struct Bench {
    pub(crate) app: Arc<App>,
    /// Lets the handler `gate` go on.
    pub(crate) gate: Arc<Notify>,
    pub(crate) config_path: std::path::PathBuf,
    _folder: TempDir,
}

/// A host with the handlers `echo` (sends the words of what it is told), `gate`
/// (says "begun", waits, says "ended"), `fail`, which fails with the code that it
/// is told, and `once`, which answers once and fails from then on.
pub(crate) async fn bench(config: &str) -> Bench {
    bench_in(tempfile::tempdir().unwrap(), config).await
}

/// The same in a folder that has something in it.
pub(crate) async fn bench_in(folder: TempDir, config: &str) -> Bench {
    std::fs::create_dir(folder.path().join("plugins")).unwrap();
    let config_path = folder.path().join("segue.toml");
    let text = format!("{config}\n{BASE}");
    std::fs::write(&config_path, &text).unwrap();
    let config = config::parse(&text, folder.path(), &BTreeMap::new()).unwrap();

    let gate = Arc::new(Notify::new());
    let mut options = HostOptions {
        config_path: Some(config_path.clone()),
        ..HostOptions::default()
    };
    let handlers: [(&str, Arc<dyn NativeHandler>); 4] = [
        ("echo", Arc::new(Echo)),
        ("gate", Arc::new(Gate(gate.clone()))),
        ("fail", Arc::new(Fail)),
        ("once", Arc::new(Once::default())),
    ];
    options
        .natives
        .extend(handlers.map(|(name, handler)| (name.to_owned(), handler)));
    let metrics = Metrics::new().unwrap();
    let runtime = segue_runtime::Runtime::start(config.runtime_settings()).unwrap();
    metrics.watch_runtime(runtime.clone()).unwrap();
    let guards = Guards::new(Arc::new(config.resilience.clone()));
    let backends = Backends::start(config.backends.settings(), guards.clone(), Handle::current());
    let app = App::new(
        config,
        backends,
        guards,
        runtime,
        metrics,
        Default::default(),
        options,
    );
    Bench {
        app,
        gate,
        config_path,
        _folder: folder,
    }
}

impl Bench {
    pub(crate) fn public(&self) -> Client {
        Client(super::router::public(self.app.clone()))
    }

    /// A WebSocket to it, with these headers.
    pub(crate) async fn socket(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<WebSocketStream<TcpStream>, tungstenite::Error> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = super::router::public(self.app.clone());
        let routes = routes.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let tcp = TcpStream::connect(address).await.unwrap();
        let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        Ok(tokio_tungstenite::client_async(request, tcp).await?.0)
    }
}

/// Asks a router, as a client of loopback.
pub(crate) struct Client(pub(crate) Router);

impl Client {
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Response {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", "127.0.0.1:8000");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(body.into()).unwrap();
        let peer = SocketAddr::from(([127, 0, 0, 1], 40_000));
        request.extensions_mut().insert(ConnectInfo(peer));
        self.0.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.ask("GET", path, &[], Body::empty()).await
    }
}

pub(crate) async fn text(response: Response) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub(crate) async fn json(response: Response) -> Value {
    let text = text(response).await;
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

struct Echo;

impl NativeHandler for Echo {
    fn handle(&self, request: segue_runtime::Request, replies: mpsc::Sender<Reply>) -> NativeFuture {
        Box::pin(async move {
            let segue_runtime::Payload::Text(text) = request.payload else {
                return Ok(());
            };
            for word in text.split_inclusive(' ') {
                let _ = replies.send(Reply::Chunk(word.to_owned())).await;
            }
            let _ = replies.send(Reply::Data("{\"words\":true}".to_owned())).await;
            Ok(())
        })
    }
}

struct Gate(Arc<Notify>);

impl NativeHandler for Gate {
    fn handle(&self, _: segue_runtime::Request, replies: mpsc::Sender<Reply>) -> NativeFuture {
        let gate = self.0.clone();
        Box::pin(async move {
            let _ = replies.send(Reply::Chunk("begun ".to_owned())).await;
            gate.notified().await;
            let _ = replies.send(Reply::Chunk("ended".to_owned())).await;
            Ok(())
        })
    }
}

struct Fail;

impl NativeHandler for Fail {
    fn handle(&self, request: segue_runtime::Request, _: mpsc::Sender<Reply>) -> NativeFuture {
        let told = match request.payload {
            segue_runtime::Payload::Text(text) => text.strip_prefix("fail with ").map(str::to_owned),
            segue_runtime::Payload::Binary(_) => None,
        };
        Box::pin(async move { Err(failure(told.as_deref().unwrap_or("out_of_stock"))) })
    }
}

fn failure(code: &str) -> HandlerError {
    HandlerError {
        code: code.to_owned(),
        message: "none left".to_owned(),
        retryable: false,
        retry_after_ms: None,
    }
}

#[derive(Default)]
struct Once(AtomicBool);

impl NativeHandler for Once {
    fn handle(&self, _: segue_runtime::Request, replies: mpsc::Sender<Reply>) -> NativeFuture {
        let first = !self.0.swap(true, Ordering::Relaxed);
        Box::pin(async move {
            if !first {
                return Err(failure("upstream_unavailable"));
            }
            let _ = replies.send(Reply::Chunk("the answer".to_owned())).await;
            let _ = replies.send(Reply::Data("[1]".to_owned())).await;
            Ok(())
        })
    }
}
