//! What an answer holds in the host that a handler has handed over and whose
//! model says nothing more for a while: the growth of the host's resident
//! memory, by the number of such answers.
//!
//! The model's server runs here, so that its side of the sockets is not counted.
//! Before the count every session has had one answer of the same model, whole:
//! what a session, its socket and a used connection hold is not part of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Result, bail};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use segue_tests::Site;
use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::client::Client;
use crate::memory::{per_session, settled};
use crate::server::{self, Server};

const BAR_KIB: f64 = 12.0;
const PARKED: usize = 1_000;
/// Messages that are asked at a time.
const AT_ONCE: usize = 50;

/// One row of the table.
#[derive(Debug, Serialize)]
pub(crate) struct ForwardRow {
    pub(crate) parked: usize,
    pub(crate) kib: f64,
    pub(crate) bar_kib: f64,
    /// Instances that were still held while all of them were parked.
    pub(crate) instances: f64,
}

pub(crate) async fn measure(quick: bool) -> Result<Vec<ForwardRow>> {
    let parked = if quick { 100 } else { PARKED };
    eprintln!("forward: {parked} parked answers");
    let model = Model::start().await?;
    let config = format!(
        r#"
        [server]
        max_connections = 20000
        ping_interval = "10m"

        [llm.main]
        provider = "openai"
        base_url = "http://{}/v1"
        model = "any"
        idle_timeout = "10m"
        max_in_flight = 2000

        [plugins.max_grants]
        llm = ["main"]
        session = ["history"]

        [limits]
        deadline = "10m"

        [[route]]
        handler = "chat"
        "#,
        model.at
    );
    let site = Site::builder()
        .config(&server::defaults())
        .config(&config)
        .plugin("chat")
        .sidecar("chat", "[grants]\nllm = [\"main\"]\nsession = [\"history\"]\n")
        .build();
    let server = Server::start(&site.config_path()).await?;

    let clients: Vec<Client> = stream::iter(0..parked)
        .map(|_| Client::chat(server.at.host))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let clients: Vec<Client> = stream::iter(clients)
        .map(async |mut client| {
            client.ask(1, "chat", "whole").await?;
            anyhow::Ok(client)
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let before = settled(&server).await?;

    model.hangs.store(true, Ordering::Relaxed);
    let clients: Vec<Client> = stream::iter(clients)
        .map(async |mut client| {
            let message = r#"{"id":"2","mtype":"chat","content":"parked"}"#;
            client.send(message.to_owned()).await?;
            client.until_chunk().await?;
            anyhow::Ok(client)
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let after = settled(&server).await?;
    if model.open.load(Ordering::Relaxed) < parked {
        bail!("not every answer is parked");
    }
    let instances = server.metric("segue_instances_in_use").await?;
    drop(clients);
    Ok(vec![ForwardRow {
        parked,
        kib: per_session(before, after, parked),
        bar_kib: BAR_KIB,
        instances,
    }])
}

/// A server that speaks as much of the chat completions API as is needed: a first
/// word, and then the end or silence.
struct Model {
    at: SocketAddr,
    hangs: Arc<AtomicBool>,
    /// Answers that are parked.
    open: Arc<AtomicUsize>,
}

impl Model {
    async fn start() -> Result<Model> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let at = listener.local_addr()?;
        let hangs = Arc::new(AtomicBool::new(false));
        let open = Arc::new(AtomicUsize::new(0));
        let model = Model {
            at,
            hangs: hangs.clone(),
            open: open.clone(),
        };
        tokio::spawn(async move {
            // More at once than are ever asked for would be a mistake.
            let room = Arc::new(Semaphore::new(4 * PARKED));
            while let Ok((socket, _)) = listener.accept().await {
                let (hangs, open) = (hangs.clone(), open.clone());
                let Ok(permit) = room.clone().acquire_owned().await else {
                    return;
                };
                tokio::spawn(async move {
                    // A client that goes ends the connection, which is no fault.
                    let _ = serve(socket, &hangs, &open).await;
                    drop(permit);
                });
            }
        });
        Ok(model)
    }
}

async fn serve(mut socket: TcpStream, hangs: &AtomicBool, open: &AtomicUsize) -> Result<()> {
    while read_request(&mut socket).await? {
        let word = "{\"choices\":[{\"delta\":{\"content\":\"word\"}}]}";
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        let mut answer = format!("{head}{}", chunked(&format!("data: {word}\n\n")));
        if hangs.load(Ordering::Relaxed) {
            socket.write_all(answer.as_bytes()).await?;
            open.fetch_add(1, Ordering::Relaxed);
            let _ = socket.read(&mut [0; 16]).await;
            return Ok(());
        }
        let end = "{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}";
        answer.push_str(&chunked(&format!("data: {end}\n\ndata: [DONE]\n\n")));
        answer.push_str("0\r\n\r\n");
        socket.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

fn chunked(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

/// Reads a request with its body; `false` when no further one comes.
async fn read_request(socket: &mut TcpStream) -> Result<bool> {
    let mut bytes = Vec::new();
    let (head, length) = loop {
        if socket.read_buf(&mut bytes).await? == 0 {
            return Ok(false);
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .and_then(|(_, length)| length.trim().parse().ok())
                .unwrap_or(0);
            break (head.len() + 4, length);
        }
        if bytes.len() > 1 << 20 {
            bail!("a request without an end");
        }
    };
    while bytes.len() < head + length {
        if socket.read_buf(&mut bytes).await? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}
