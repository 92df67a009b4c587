//! The path of a message: alone, for its latency, and among many, for its cost.
//!
//! The ways take turns within a round, so that what else the machine does hits
//! all of them alike; the table shows medians over the rounds.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
use segue_tests::Site;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::client::Client;
use crate::server::{self, Addresses, NATIVE, Server};
use crate::stats::{median, micros, quantile};

const CONNECTIONS: usize = 32;
/// What is sent and comes back.
const CONTENT: &str =
    "The quick brown fox jumps over the lazy dog, and the dog answers in a hundred bytes or a few less.";

/// One way from a client to an echo and back.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    addr: fn(&Addresses) -> SocketAddr,
    talk: Talk,
}

#[derive(Clone, Copy)]
enum Talk {
    /// One frame there, one back.
    Frames(&'static str),
    /// A message of a session: `accepted`, `chunk`, `done`.
    Session(&'static str),
}

const WAYS: [Way; 5] = [
    Way {
        name: "bare axum echo",
        addr: |at| at.axum,
        talk: Talk::Frames("/echo"),
    },
    Way {
        name: "raw endpoint, handler in Rust",
        addr: |at| at.host,
        talk: Talk::Frames("/native"),
    },
    Way {
        name: "raw endpoint, WASM `echo`",
        addr: |at| at.host,
        talk: Talk::Frames("/echo"),
    },
    Way {
        name: "`/chat`, handler in Rust",
        addr: |at| at.host,
        talk: Talk::Session(NATIVE),
    },
    Way {
        name: "`/chat`, WASM `echo`",
        addr: |at| at.host,
        talk: Talk::Session("echo"),
    },
];

/// One row of the table.
#[derive(Debug, Serialize)]
pub(crate) struct MessageRow {
    pub(crate) way: &'static str,
    /// One message at a time.
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// [`CONNECTIONS`] messages at a time.
    pub(crate) per_second: f64,
    /// What a message costs, in bare echoes.
    pub(crate) ratio: f64,
}

#[derive(Default)]
struct Samples {
    p50: Vec<f64>,
    p99: Vec<f64>,
    per_second: Vec<f64>,
    ratio: Vec<f64>,
}

pub(crate) async fn measure(quick: bool) -> Result<Vec<MessageRow>> {
    let (rounds, slice) = if quick {
        (1, Duration::from_millis(300))
    } else {
        (7, Duration::from_secs(1))
    };
    let site = site();
    let server = Server::start(&site.config_path()).await?;
    let mut samples: [Samples; WAYS.len()] = Default::default();
    for round in 0..rounds {
        eprintln!("message path: round {} of {rounds}", round + 1);
        let mut bare = f64::NAN;
        for (way, samples) in WAYS.iter().zip(&mut samples) {
            let alone = alone(way, &server.at, slice).await?;
            let per_second = among_many(way, &server.at, slice).await?;
            // The bare echo comes first in every round.
            if bare.is_nan() {
                bare = per_second;
            }
            samples.p50.extend(quantile(&alone, 0.5));
            samples.p99.extend(quantile(&alone, 0.99));
            samples.per_second.push(per_second);
            samples.ratio.push(bare / per_second);
        }
    }
    let rows = WAYS.iter().zip(&samples).map(|(way, samples)| MessageRow {
        way: way.name,
        p50_us: median(&samples.p50),
        p99_us: median(&samples.p99),
        per_second: median(&samples.per_second),
        ratio: median(&samples.ratio),
    });
    Ok(rows.collect())
}

fn site() -> Site {
    let config = r#"
        [[route]]
        match = { mtype = "native" }
        handler = "native"

        [[route]]
        match = { mtype = "echo" }
        handler = "echo"

        [[endpoint]]
        path = "/native"
        handler = "native"

        [[endpoint]]
        path = "/echo"
        handler = "echo"
    "#;
    Site::builder()
        .config(&server::defaults())
        .config(config)
        .plugin("echo")
        .build()
}

/// A client of one way.
struct Asker {
    client: Client,
    talk: Talk,
    asked: u64,
}

impl Asker {
    async fn open(way: &Way, at: &Addresses) -> Result<Asker> {
        let addr = (way.addr)(at);
        let client = match way.talk {
            Talk::Frames(path) => Client::open(addr, path).await?,
            Talk::Session(_) => Client::chat(addr).await?,
        };
        Ok(Asker {
            client,
            talk: way.talk,
            asked: 0,
        })
    }

    async fn ask(&mut self) -> Result<()> {
        self.asked += 1;
        match self.talk {
            Talk::Frames(_) => self.client.echo(CONTENT).await,
            Talk::Session(mtype) => self.client.ask(self.asked, mtype, CONTENT).await.map(drop),
        }
    }
}

/// One message at a time; each one's time in microseconds.
async fn alone(way: &Way, at: &Addresses, slice: Duration) -> Result<Vec<f64>> {
    let mut asker = Asker::open(way, at).await?;
    let end = Instant::now() + slice;
    let mut times = Vec::new();
    while Instant::now() < end {
        let began = Instant::now();
        asker.ask().await?;
        times.push(micros(began.elapsed()));
    }
    Ok(times)
}

/// Many at a time; answers a second.
async fn among_many(way: &Way, at: &Addresses, slice: Duration) -> Result<f64> {
    let mut askers = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        askers.push(Asker::open(way, at).await?);
    }
    let began = Instant::now();
    let end = began + slice;
    let mut running = JoinSet::new();
    for mut asker in askers {
        running.spawn(async move {
            while Instant::now() < end {
                asker.ask().await?;
            }
            anyhow::Ok(asker.asked)
        });
    }
    let mut answers = 0_u32;
    while let Some(asked) = running.join_next().await {
        answers += u32::try_from(asked??)?;
    }
    Ok(f64::from(answers) / began.elapsed().as_secs_f64())
}
