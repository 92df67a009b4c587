//! Accepts connections and serves HTTP/1.1 on them, everything bounded.
//!
//! - Headers over [`MAX_HEADER_BYTES`], or more than 100, are answered 431.
//! - A head that is not there whole within `header_timeout` closes the
//!   connection; so does an idle one, which is a head that never comes.
//! - Past `max_connections` up to [`SPARE_CONNECTIONS`] more are taken, only
//!   to be answered: health probes truthfully, all else 503 with
//!   `Retry-After`. Past those, connections are dropped as they come.
//! - On `stop` no connection is accepted any more, idle ones are closed and
//!   requests under way are finished; on `abort` they are dropped.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::{IntCounter, IntGauge};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::socket::{Socket, WRITE_STALL};
use crate::telemetry::metrics::Held;

/// The most bytes that a request's line and headers may take.
pub const MAX_HEADER_BYTES: usize = 64 * 1024;
/// Connections beyond `max_connections` that are still answered.
pub const SPARE_CONNECTIONS: usize = 64;

/// More than the headers may take, so that those a little over are read whole
/// and answered cleanly.
const MAX_BUFFER_BYTES: usize = 96 * 1024;
/// How long a spare connection may take to say what it wants.
const SPARE_HEADER_TIMEOUT: Duration = Duration::from_secs(2);
/// After an error of `accept` that concerns the process (no descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {}", hint(reason))]
pub struct BindError {
    pub address: SocketAddr,
    // No `source`: the sentence says what the system's number means.
    pub reason: io::Error,
}

fn hint(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there; stop it, or set another `listen` (port 0 takes a free one)"
                .to_owned()
        }
        io::ErrorKind::PermissionDenied => "permission denied; ports below 1024 need privileges".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        _ => error.to_string(),
    }
}

/// Takes the address. Connections queue from now on, and are served once a
/// [`Listener`] runs.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address)
        .await
        .map_err(|reason| BindError { address, reason })
}

/// The bounds of one listener.
#[derive(Debug, Clone)]
pub struct Limits {
    pub max_connections: usize,
    pub header_timeout: Duration,
}

/// A bound socket with what it serves.
pub struct Listener {
    pub tcp: TcpListener,
    pub routes: Router,
    /// What answers past `max_connections`.
    pub spare: Router,
    pub limits: Limits,
    pub open: IntGauge,
    pub refused: IntCounter,
}

impl Listener {
    /// Serves until `stop`, then until the last connection is done or `abort`.
    /// WebSockets are no longer connections here: who upgraded them ends them.
    pub async fn run(self, stop: CancellationToken, abort: CancellationToken) {
        let slots = Arc::new(Semaphore::new(self.limits.max_connections));
        let spare_slots = Arc::new(Semaphore::new(SPARE_CONNECTIONS));
        let usual = Arc::new(Kind {
            http: http(self.limits.header_timeout, true),
            routes: self.routes,
        });
        let spare = Arc::new(Kind {
            http: http(self.limits.header_timeout.min(SPARE_HEADER_TIMEOUT), false),
            routes: self.spare,
        });
        let connections = TaskTracker::new();
        let mut failing = false;
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = self.tcp.accept() => accepted,
            };
            let (tcp, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    accept_failed(&error, &mut failing).await;
                    continue;
                }
            };
            failing = false;
            let (kind, permit) = if let Ok(permit) = slots.clone().try_acquire_owned() {
                (&usual, permit)
            } else {
                self.refused.inc();
                match spare_slots.clone().try_acquire_owned() {
                    Ok(permit) => (&spare, permit),
                    Err(_) => continue,
                }
            };
            let socket = open_socket(tcp, &self.open, permit);
            connections.spawn(connection(
                socket,
                peer,
                kind.clone(),
                stop.clone(),
                abort.clone(),
            ));
        }
        // The address is free from here on.
        drop(self.tcp);
        connections.close();
        connections.wait().await;
    }
}

/// How a connection is served.
struct Kind {
    http: http1::Builder,
    routes: Router,
}

fn http(header_timeout: Duration, keep_alive: bool) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_header_size(MAX_HEADER_BYTES)
        .max_buf_size(MAX_BUFFER_BYTES)
        .keep_alive(keep_alive);
    http
}

fn open_socket(tcp: TcpStream, open: &IntGauge, permit: OwnedSemaphorePermit) -> Socket {
    // Frames are small and wanted at once. A socket that refuses is about to
    // fail anyway.
    let _ = tcp.set_nodelay(true);
    Socket::new(tcp, WRITE_STALL, Held::new(open), permit)
}

async fn accept_failed(error: &io::Error, failing: &mut bool) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    // These concern one peer only.
    if matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    ) {
        return;
    }
    if !std::mem::replace(failing, true) {
        tracing::error!(%error, "cannot accept connections; trying on");
    }
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

async fn connection(
    socket: Socket,
    peer: SocketAddr,
    kind: Arc<Kind>,
    stop: CancellationToken,
    abort: CancellationToken,
) {
    let routes = kind.routes.clone();
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        routes.clone().oneshot(request)
    });
    let mut serving = pin!(
        kind.http
            .serve_connection(TokioIo::new(socket), service)
            .with_upgrades()
    );
    let ended = tokio::select! {
        biased;
        () = abort.cancelled() => return,
        ended = serving.as_mut() => ended,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            tokio::select! {
                biased;
                () = abort.cancelled() => return,
                ended = serving.as_mut() => ended,
            }
        }
    };
    if let Err(error) = ended {
        // A peer that left, or that did not speak HTTP: of interest only to
        // who looks for it.
        tracing::debug!(%error, "connection ended");
    }
}

#[cfg(test)]
mod tests;
