//! What an answer holds in the host that a handler has handed over and whose
//! model says nothing more for a while: the growth of the host's resident
//! memory, by the number of such answers.
//!
//! The model's server runs here, so that its side of the sockets is not counted.
//! Before the count every session has had one answer of the same model, whole:
//! what a session, its socket and a used connection hold is not part of it.

use anyhow::{Result, bail};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use segue_tests::Site;
use serde::Serialize;

use crate::client::Client;
use crate::memory::{per_session, settled};
use crate::model::{Behaviour, Model};
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
    let model = Model::start(4 * PARKED).await?;
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
        model.at()
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

    model.behave(Behaviour::Hang);
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
    if model.hanging() < parked {
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
