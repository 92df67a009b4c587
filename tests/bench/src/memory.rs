//! What an idle session with its socket holds: the growth of the host's
//! resident memory, by the number of sessions.

use std::time::Duration;

use anyhow::Result;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use segue_tests::Site;
use serde::Serialize;

use crate::client::Client;
use crate::server::{self, NATIVE, Server};

const BAR_KIB: f64 = 12.0;
/// Sockets that are opened, or asked, at a time.
const AT_ONCE: usize = 100;
/// Opened and closed before the count begins: pools and arenas are not part of
/// a session.
const WARM_UP: usize = 200;

/// One row of the table.
#[derive(Debug, Serialize)]
pub(crate) struct MemoryRow {
    pub(crate) sessions: usize,
    /// Connected, `hello` said, nothing asked.
    pub(crate) idle_kib: f64,
    /// The same after one message each.
    pub(crate) asked_kib: f64,
    pub(crate) bar_kib: f64,
}

pub(crate) async fn measure(quick: bool) -> Result<Vec<MemoryRow>> {
    let counts: &[usize] = if quick { &[1_000] } else { &[1_000, 10_000] };
    let mut rows = Vec::new();
    for &sessions in counts {
        eprintln!("memory: {sessions} idle sessions");
        rows.push(idle(sessions).await?);
    }
    Ok(rows)
}

async fn idle(sessions: usize) -> Result<MemoryRow> {
    let config = r#"
        [server]
        max_connections = 20000
        ping_interval = "10m"

        [session]
        ttl = "1s"

        [[route]]
        handler = "native"
    "#;
    let site = Site::builder().config(&server::defaults()).config(config).build();
    // A process for each count, so that none starts with another's leftovers.
    let server = Server::start(&site.config_path()).await?;
    let warm = open(&server, WARM_UP).await?;
    drop(ask_all(warm).await?);

    let before = settled(&server).await?;
    let clients = open(&server, sessions).await?;
    let idle = settled(&server).await?;
    let clients = ask_all(clients).await?;
    let asked = settled(&server).await?;
    drop(clients);
    Ok(MemoryRow {
        sessions,
        idle_kib: per_session(before, idle, sessions),
        asked_kib: per_session(before, asked, sessions),
        bar_kib: BAR_KIB,
    })
}

async fn open(server: &Server, count: usize) -> Result<Vec<Client>> {
    let host = server.at.host;
    stream::iter(0..count)
        .map(|_| Client::chat(host))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

async fn ask_all(clients: Vec<Client>) -> Result<Vec<Client>> {
    stream::iter(clients)
        .map(async |mut client: Client| {
            client.ask(1, NATIVE, "hello").await?;
            anyhow::Ok(client)
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

/// The host's memory once it stands still, or after ten looks.
pub(crate) async fn settled(server: &Server) -> Result<u64> {
    let mut last = server.resident_bytes()?;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = server.resident_bytes()?;
        if now.abs_diff(last) < last / 500 {
            return Ok(now);
        }
        last = now;
    }
    Ok(last)
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
pub(crate) fn per_session(before: u64, after: u64, sessions: usize) -> f64 {
    after.saturating_sub(before) as f64 / 1024.0 / sessions as f64
}
