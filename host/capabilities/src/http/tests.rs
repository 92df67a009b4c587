//! The engine against real sockets. Names are resolved by the tests themselves,
//! so that they can lead anywhere; every server tells what it saw.

mod bounds;
mod endings;
mod reach;
mod server;
mod streams;
mod timeouts;
mod tls;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream;
use http::{Method, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use segue_resilience::Guards;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::body::{Received, RequestBody};
use super::caller::Caller;
use super::connect::{Resolver, Tls};
use super::egress::{Egress, Parts, Timeouts};
use super::failure::Failure;
use super::origin::Origin;
use super::settings;

/// Settings under which a server on this machine can be reached.
fn local() -> settings::Egress {
    settings::Egress {
        allow_networks: vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
        ..settings::Egress::default()
    }
}

/// Sends under `settings`, with every name leading to this machine.
fn egress(settings: settings::Egress) -> Arc<Egress> {
    resolving(settings, |_| Ok(vec![[127, 0, 0, 1].into()]))
}

fn resolving(
    settings: settings::Egress,
    resolve: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
) -> Arc<Egress> {
    with(
        settings,
        resolver(resolve),
        Err(String::from("no TLS in this test")),
    )
}

fn resolver(resolve: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static) -> Resolver {
    Arc::new(move |name| -> BoxFuture<'static, _> { Box::pin(std::future::ready(resolve(&name))) })
}

/// Every name leads to this machine.
fn connect_here() -> Resolver {
    resolver(|_| Ok(vec![[127, 0, 0, 1].into()]))
}

fn with(settings: settings::Egress, resolver: Resolver, tls: Tls) -> Arc<Egress> {
    Egress::with(
        settings,
        Guards::permissive(),
        Handle::current(),
        Parts { resolver, tls },
        Arc::default(),
    )
}

fn empty() -> RequestBody {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

fn full(text: &'static str) -> RequestBody {
    Full::from(text).map_err(|never| match never {}).boxed_unsync()
}

/// A body that is written piece by piece, and its writer; dropping the writer
/// ends it.
fn written() -> (mpsc::Sender<Bytes>, RequestBody) {
    let (writer, pieces) = mpsc::channel::<Bytes>(1);
    let pieces = stream::unfold(pieces, |mut pieces| async move {
        let piece = pieces.recv().await?;
        Some((Ok(Frame::data(piece)), pieces))
    });
    (writer, StreamBody::new(pieces).boxed_unsync())
}

fn request(uri: &str, body: RequestBody) -> (Origin, Request<RequestBody>) {
    let method = if http_body::Body::is_end_stream(&body) {
        Method::GET
    } else {
        Method::POST
    };
    let request = Request::builder().method(method).uri(uri).body(body).unwrap();
    (Origin::of(request.uri()).unwrap(), request)
}

/// A call that goes on.
fn caller() -> Caller {
    Caller::new("plugin", CancellationToken::new())
}

async fn send(egress: &Arc<Egress>, uri: &str, body: RequestBody) -> Result<Response<Received>, Failure> {
    let (origin, request) = request(uri, body);
    egress
        .send(&origin, request, Timeouts::default(), &caller())
        .await
}

async fn get(egress: &Arc<Egress>, uri: &str) -> Result<Response<Received>, Failure> {
    send(egress, uri, empty()).await
}

async fn text(answer: Response<Received>) -> Result<String, Failure> {
    let bytes = answer.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}
