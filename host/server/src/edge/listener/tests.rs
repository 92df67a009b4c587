//! Bounds hold on real sockets: a peer can neither hold a connection by doing
//! nothing, nor take more than its share.

use std::time::Instant;

use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::*;
use crate::edge::testing::bench;
use crate::telemetry::Metrics;

struct Served {
    address: SocketAddr,
    stop: CancellationToken,
    abort: CancellationToken,
    task: JoinHandle<()>,
    metrics: Metrics,
}

async fn serve(routes: Router, spare: Router, limits: Limits) -> Served {
    let tcp = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = tcp.local_addr().unwrap();
    let metrics = Metrics::new().unwrap();
    let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
    let listener = Listener {
        tcp,
        routes,
        spare,
        limits,
        open: metrics.sockets("public"),
        refused: metrics.connections_refused.clone(),
    };
    let task = tokio::spawn(listener.run(stop.clone(), abort.clone()));
    Served {
        address,
        stop,
        abort,
        task,
        metrics,
    }
}

fn limits(max_connections: usize, header_timeout: Duration) -> Limits {
    Limits {
        max_connections,
        header_timeout,
    }
}

fn routes() -> Router {
    Router::new().route("/", get(async || "fine"))
}

const SECOND: Duration = Duration::from_secs(1);

async fn connect(served: &Served) -> TcpStream {
    TcpStream::connect(served.address).await.unwrap()
}

/// Everything until the host closes.
async fn rest(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    tokio::time::timeout(10 * SECOND, socket.read_to_end(&mut bytes))
        .await
        .unwrap()
        .unwrap();
    String::from_utf8(bytes).unwrap()
}

/// What is there after one read.
async fn some(socket: &mut TcpStream) -> String {
    let mut bytes = vec![0; 4096];
    let n = tokio::time::timeout(10 * SECOND, socket.read(&mut bytes))
        .await
        .unwrap()
        .unwrap();
    String::from_utf8_lossy(&bytes[..n]).into_owned()
}

#[tokio::test]
async fn a_head_left_half_sent_closes_the_connection() {
    let served = serve(routes(), routes(), limits(10, SECOND / 5)).await;
    let began = Instant::now();
    let mut half = connect(&served).await;
    half.write_all(b"GET / HTTP/1.1\r\nHost: localh").await.unwrap();
    let mut silent = connect(&served).await;
    assert_eq!(rest(&mut half).await, "");
    assert_eq!(rest(&mut silent).await, "");
    assert!(began.elapsed() < 5 * SECOND);
}

#[tokio::test]
async fn an_idle_connection_is_closed_too() {
    let served = serve(routes(), routes(), limits(10, SECOND / 5)).await;
    let mut socket = connect(&served).await;
    socket
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    assert!(rest(&mut socket).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn headers_over_the_bound_are_answered_431() {
    let served = serve(routes(), routes(), limits(10, 5 * SECOND)).await;
    for (size, status) in [(60_000, "200"), (70_000, "431"), (400_000, "431")] {
        let mut socket = connect(&served).await;
        let head = format!(
            "GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: {}\r\nConnection: close\r\n\r\n",
            "x".repeat(size)
        );
        // The host may close before it has read all of it.
        let _ = socket.write_all(head.as_bytes()).await;
        let answer = rest(&mut socket).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{size}: {answer}"
        );
    }
    let mut socket = connect(&served).await;
    let many: String = (0..200).map(|n| format!("X-{n}: 1\r\n")).collect();
    socket
        .write_all(format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n").as_bytes())
        .await
        .unwrap();
    assert!(rest(&mut socket).await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn past_max_connections_the_answer_is_503_until_one_leaves() {
    let bench = bench("").await;
    let app = bench.app.clone();
    let served = serve(
        crate::edge::router::public(app.clone()),
        crate::edge::router::spare(app),
        limits(1, 5 * SECOND),
    )
    .await;
    let ask = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut first = connect(&served).await;
    first.write_all(ask).await.unwrap();
    assert!(some(&mut first).await.starts_with("HTTP/1.1 200"));

    let mut second = connect(&served).await;
    second
        .write_all(b"GET /v1/sessions HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let answer = rest(&mut second).await.to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 503"), "{answer}");
    assert!(
        answer.contains("\r\nretry-after: 1\r\n") && answer.contains("connection_limit"),
        "{answer}"
    );
    let mut probe = connect(&served).await;
    probe.write_all(ask).await.unwrap();
    assert!(rest(&mut probe).await.starts_with("HTTP/1.1 200"));
    assert_eq!(served.metrics.connections_refused.get(), 2);

    drop(first);
    while served.metrics.sockets("public").get() > 0 {
        tokio::task::yield_now().await;
    }
    let mut third = connect(&served).await;
    third
        .write_all(b"GET /v1/sessions HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    assert!(some(&mut third).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_body_left_half_sent_is_answered_408_and_one_too_large_413() {
    let bench = bench("[server]\nbody_timeout = \"200ms\"\nmax_frame = \"64 KiB\"").await;
    let app = bench.app.clone();
    let served = serve(
        crate::edge::router::public(app.clone()),
        routes(),
        limits(10, 5 * SECOND),
    )
    .await;
    let head = "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    for framing in [
        "Content-Length: 100\r\n\r\n{\"mty",
        "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"mty",
    ] {
        let mut socket = connect(&served).await;
        socket
            .write_all(format!("{head}{framing}").as_bytes())
            .await
            .unwrap();
        let answer = rest(&mut socket).await;
        assert!(
            answer.starts_with("HTTP/1.1 408") && answer.contains("request_timeout"),
            "{answer}"
        );
    }
    // The answer arrives although the peer goes on sending meanwhile.
    let mut socket = connect(&served).await;
    socket
        .write_all(format!("{head}Content-Length: 500000\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let _ = socket.write_all(&vec![b'x'; 500_000]).await;
    let answer = rest(&mut socket).await;
    assert!(
        answer.starts_with("HTTP/1.1 413") && answer.contains("too_large"),
        "{answer}"
    );
}

#[tokio::test]
async fn on_stop_idle_connections_close_and_requests_under_way_are_finished() {
    let go = Arc::new(tokio::sync::Notify::new());
    let begun = Arc::new(tokio::sync::Notify::new());
    let (wait, tell) = (go.clone(), begun.clone());
    let answer = async move || {
        tell.notify_one();
        wait.notified().await;
        "fine"
    };
    let slow = Router::new().route("/", get(answer));
    let served = serve(slow, routes(), limits(10, 5 * SECOND)).await;
    let mut idle = connect(&served).await;
    let mut busy = connect(&served).await;
    busy.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    begun.notified().await;
    served.stop.cancel();
    assert_eq!(rest(&mut idle).await, "");
    assert!(!served.task.is_finished());
    go.notify_one();
    let answer = rest(&mut busy).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    served.task.await.unwrap();
    assert!(TcpStream::connect(served.address).await.is_err());
}

#[tokio::test]
async fn on_abort_everything_is_dropped() {
    let never = Router::new().route("/", get(std::future::pending::<&str>));
    let served = serve(never, routes(), limits(10, 5 * SECOND)).await;
    let mut busy = connect(&served).await;
    busy.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    while served.metrics.sockets("public").get() < 1 {
        tokio::task::yield_now().await;
    }
    served.stop.cancel();
    served.abort.cancel();
    served.task.await.unwrap();
    assert_eq!(rest(&mut busy).await, "");
    assert_eq!(served.metrics.sockets("public").get(), 0);
}

#[tokio::test]
async fn a_taken_address_is_told_in_one_sentence() {
    let taken = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let error = bind(taken.local_addr().unwrap()).await.unwrap_err().to_string();
    assert!(error.contains("another program listens there"), "{error}");
}

#[tokio::test]
async fn a_websocket_counts_as_a_connection_until_it_is_closed() {
    let bench = bench("").await;
    let app = bench.app.clone();
    let served = serve(
        crate::edge::router::public(app.clone()),
        crate::edge::router::spare(app),
        limits(1, 5 * SECOND),
    )
    .await;
    let mut socket = connect(&served).await;
    let upgrade = "GET /chat HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    socket.write_all(upgrade.as_bytes()).await.unwrap();
    assert!(some(&mut socket).await.starts_with("HTTP/1.1 101"));
    // The header timeout is over, and the socket is still there.
    assert!(some(&mut socket).await.contains("hello"));
    assert_eq!(served.metrics.sockets("public").get(), 1);
    let mut refused = connect(&served).await;
    refused.write_all(upgrade.as_bytes()).await.unwrap();
    assert!(rest(&mut refused).await.starts_with("HTTP/1.1 503"));
    drop(socket);
    while served.metrics.sockets("public").get() > 0 {
        tokio::task::yield_now().await;
    }
    let mut next = connect(&served).await;
    next.write_all(upgrade.as_bytes()).await.unwrap();
    assert!(some(&mut next).await.starts_with("HTTP/1.1 101"));
}

#[tokio::test]
async fn a_peer_that_reads_nothing_is_cut_off() {
    let tcp = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let _peer = TcpStream::connect(tcp.local_addr().unwrap()).await.unwrap();
    let (accepted, _) = tcp.accept().await.unwrap();
    let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    let gauge = IntGauge::new("open", "open").unwrap();
    let mut socket = Socket::new(accepted, SECOND / 10, Held::new(&gauge), permit);
    let error = loop {
        if let Err(error) = socket.write_all(&[0; 65_536]).await {
            break error;
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    drop(socket);
    assert_eq!(gauge.get(), 0);
}
