//! From a file dropped into the plugin folder to the first answer of the new
//! version, as a client sees it that keeps asking.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use segue_tests::{Site, component, stamped, with_custom_section};
use serde::Serialize;

use crate::client::Client;
use crate::server::{self, Server};
use crate::stats::{median, millis, quantile};

/// A question every so often; so exact are the times.
const PACE: Duration = Duration::from_millis(1);
/// A swap that takes longer is a failure.
const PATIENCE: Duration = Duration::from_secs(60);
const CACHED_BAR_MS: f64 = 250.0;
const NEW_BAR_MS: f64 = 1_000.0;
/// The bar for new components is about one of this size.
const LARGE_KB: usize = 250;

/// One row of the table.
#[derive(Debug, Serialize)]
pub(crate) struct SwapRow {
    pub(crate) what: String,
    pub(crate) swaps: usize,
    pub(crate) median_ms: f64,
    pub(crate) slowest_ms: f64,
    pub(crate) bar_ms: Option<f64>,
}

struct Swapper {
    site: Site,
    client: Client,
    asked: u64,
    _server: Server,
}

pub(crate) async fn measure(quick: bool) -> Result<Vec<SwapRow>> {
    let swaps = if quick { 4 } else { 20 };
    let small = component("stamp");
    let large = component("misbehave");
    let shown = |bytes: &[u8]| bytes.len() / 1000;
    if shown(&large) < LARGE_KB {
        bail!(
            "misbehave.wasm has {} KB and stands for one of {LARGE_KB}",
            shown(&large)
        );
    }

    let mut swapper = Swapper::start(&small, &large).await?;
    let mut rows = Vec::new();
    for (name, guest, bar) in [("stamp", &small, None), ("misbehave", &large, Some(NEW_BAR_MS))] {
        eprintln!("swap: {swaps} new components of {} KB", shown(guest));
        let fresh = |number| with_custom_section(guest, &format!("{}-{number}", std::process::id()));
        let times = swapper.times(name, swaps, fresh).await?;
        rows.push(row(format!("new component of {} KB", shown(guest)), &times, bar));
    }
    for (name, guest) in [("stamp", &small), ("misbehave", &large)] {
        eprintln!("swap: {swaps} components of {} KB, compiled before", shown(guest));
        let known = |number| with_custom_section(guest, &format!("{}-{}", std::process::id(), number % 2));
        let times = swapper.times(name, swaps, known).await?;
        let what = format!("component of {} KB, compiled before", shown(guest));
        rows.push(row(what, &times, Some(CACHED_BAR_MS)));
    }
    Ok(rows)
}

fn row(what: String, times: &[f64], bar_ms: Option<f64>) -> SwapRow {
    SwapRow {
        what,
        swaps: times.len(),
        median_ms: median(times),
        slowest_ms: quantile(times, 1.0).unwrap_or(f64::NAN),
        bar_ms,
    }
}

impl Swapper {
    async fn start(small: &[u8], large: &[u8]) -> Result<Swapper> {
        let config = r#"
            [plugins]
            cache = "cache"

            [[route]]
            match = { mtype = "stamp" }
            handler = "stamp"

            [[route]]
            match = { mtype = "misbehave" }
            handler = "misbehave"
        "#;
        let site = Site::builder()
            .config(&server::defaults())
            .config(config)
            .plugin_as("stamp", &stamped(small, "first"))
            .plugin_as("misbehave", large)
            .build();
        let server = Server::start(&site.config_path()).await?;
        Ok(Swapper {
            client: Client::chat(server.at.host).await?,
            site,
            asked: 0,
            _server: server,
        })
    }

    /// Swaps again and again; each one's time in milliseconds.
    async fn times(
        &mut self,
        name: &str,
        swaps: usize,
        bytes: impl Fn(usize) -> Vec<u8>,
    ) -> Result<Vec<f64>> {
        let mut times = Vec::with_capacity(swaps);
        for number in 0..swaps {
            let bytes = bytes(number);
            let old = self.version(name).await?;
            let began = Instant::now();
            self.site.drop_by_rename(&format!("{name}.wasm"), &bytes);
            while self.version(name).await? == old {
                if began.elapsed() > PATIENCE {
                    bail!("no new version of {name} after {PATIENCE:?}");
                }
                tokio::time::sleep(PACE).await;
            }
            times.push(millis(began.elapsed()));
        }
        Ok(times)
    }

    /// Asks, and names the version that answered.
    async fn version(&mut self, name: &str) -> Result<String> {
        self.asked += 1;
        let done = self.client.ask(self.asked, name, "hello").await?;
        let done: serde_json::Value = serde_json::from_str(&done)?;
        let version = done.get("version").and_then(serde_json::Value::as_str);
        Ok(version.context("done names no version")?.to_owned())
    }
}
