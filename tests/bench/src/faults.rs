//! What a dependency that fails costs those who do not need it, and those who do.
//!
//! One host, under the same load all the time: messages to a model and to a database,
//! and, measured, messages to `echo`, which needs neither. The model and the database
//! are well, then one of them fails in each of its ways, in turns; a row compares a
//! fault with the time when all was well, of the same run. Then the time of an answer
//! that says that a breaker is open, and of the breaker's own check.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use segue_resilience::{Guard, Key, Policy, breaker};
use segue_tests::Site;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::client::Client;
use crate::model::{Behaviour, Model};
use crate::server::{self, Server};
use crate::stats::{median, micros, quantile};

/// How much longer the slowest hundredth of unrelated messages may take.
const BAR_RATIO: f64 = 1.5;
/// How long an answer may take that says that a breaker is open, at its 99th percentile.
const BAR_OPEN_US: f64 = 1_000.0;
const BAR_CHECK_NS: f64 = 200.0;

/// Who asks `echo`, and how often each.
const UNRELATED: usize = 4;
const UNRELATED_EVERY: Duration = Duration::from_millis(4);
/// Who asks the model and the database, and how often each.
const LOAD: usize = 8;
const LOAD_EVERY: Duration = Duration::from_millis(80);

/// What is measured, as rows of three tables.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Faults {
    pub(crate) unrelated: Vec<UnrelatedRow>,
    pub(crate) open: Option<OpenRow>,
    pub(crate) check: Vec<CheckRow>,
}

#[derive(Debug, Serialize)]
pub(crate) struct UnrelatedRow {
    pub(crate) fault: &'static str,
    pub(crate) messages: usize,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// Of the 99th percentile to that without a fault.
    pub(crate) ratio: f64,
    pub(crate) bar: Option<f64>,
}

#[derive(Debug, Serialize)]
pub(crate) struct OpenRow {
    pub(crate) messages: usize,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) bar_us: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct CheckRow {
    pub(crate) what: &'static str,
    pub(crate) ns: f64,
    pub(crate) bar_ns: f64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Model(Behaviour),
    /// The file is not there.
    Database,
}

const FAULTS: [(&str, Fault); 6] = [
    ("none", Fault::None),
    ("the model is not there", Fault::Model(Behaviour::Gone)),
    ("the model says nothing", Fault::Model(Behaviour::Silence)),
    ("the model stops after a word", Fault::Model(Behaviour::Hang)),
    ("the model answers 500", Fault::Model(Behaviour::Fail)),
    ("the database is not there", Fault::Database),
];

pub(crate) async fn measure(quick: bool) -> Result<Faults> {
    let model = Model::start(10_000).await?;
    let site = site(&model);
    let server = Server::start(&site.config_path()).await?;
    Ok(Faults {
        unrelated: unrelated(&model, &site, &server, quick).await?,
        open: Some(open(&model, &server, quick).await?),
        check: check(quick),
    })
}

fn site(model: &Model) -> Site {
    let config = format!(
        r#"
        [server]
        max_connections = 20000

        [llm.main]
        provider = "openai"
        base_url = "http://{}/v1"
        model = "any"
        first_token_timeout = "500ms"
        idle_timeout = "500ms"

        [sql.shop]
        url = "sqlite:shop.db"

        [resilience]
        reset_timeout = "1s"
        reset_timeout_max = "1s"

        [plugins.max_grants]
        llm = ["main"]
        sql = ["shop"]
        session = ["history"]

        [[route]]
        match = {{ mtype = "echo" }}
        handler = "echo"

        [[route]]
        match = {{ mtype = "model" }}
        handler = "chat"

        [[route]]
        match = {{ mtype = "database" }}
        handler = "sql-rag"
        "#,
        model.at()
    );
    Site::builder()
        .config(&server::defaults())
        .config(&config)
        .plugin("echo")
        .plugin("chat")
        .sidecar("chat", "[grants]\nllm = [\"main\"]\nsession = [\"history\"]\n")
        .plugin("sql-rag")
        .sidecar("sql-rag", "[grants]\nsql = [\"shop\"]\n")
        .database(
            "shop.db",
            "create table items (id integer primary key, name text); insert into items (name) values ('tea'), ('cup');",
        )
        .build()
}

async fn unrelated(model: &Model, site: &Site, server: &Server, quick: bool) -> Result<Vec<UnrelatedRow>> {
    let (rounds, slice) = match quick {
        true => (1, Duration::from_millis(500)),
        false => (5, Duration::from_secs(3)),
    };
    let mut load = JoinSet::new();
    for number in 0..LOAD {
        let client = Client::chat(server.at.host).await?;
        let (mtype, content) = match number % 2 {
            0 => ("model", "Say a word"),
            _ => ("database", "How many items are there?"),
        };
        load.spawn(ask_on(client, mtype, content));
    }
    let mut times: [Vec<f64>; FAULTS.len()] = Default::default();
    healed(server).await?;
    // Not measured: what is done for the first time takes longer.
    echoes(server, slice).await?;
    for round in 0..rounds {
        eprintln!("faults: round {} of {rounds}", round + 1);
        for ((_, fault), times) in FAULTS.iter().zip(&mut times) {
            set(*fault, model, site.root())?;
            // What it does at first belongs to it, so nothing is waited for.
            times.extend(echoes(server, slice).await?);
            set(Fault::None, model, site.root())?;
            healed(server).await?;
            if let Some(ended) = load.try_join_next() {
                ended??;
                bail!("who asks all the time has stopped");
            }
        }
    }
    let p99 = |times: &[f64]| quantile(times, 0.99).unwrap_or(f64::NAN);
    let well = times.first().map_or(f64::NAN, |times| p99(times));
    let rows = FAULTS
        .iter()
        .zip(&times)
        .map(|((name, fault), times)| UnrelatedRow {
            fault: name,
            messages: times.len(),
            p50_us: median(times),
            p99_us: p99(times),
            ratio: p99(times) / well,
            bar: (*fault != Fault::None).then_some(BAR_RATIO),
        });
    Ok(rows.collect())
}

fn set(fault: Fault, model: &Model, root: &Path) -> Result<()> {
    model.behave(match fault {
        Fault::Model(behaviour) => behaviour,
        Fault::None | Fault::Database => Behaviour::Answer,
    });
    let (here, away) = (root.join("shop.db"), root.join("shop.db.away"));
    match (fault, here.is_file()) {
        (Fault::Database, true) => std::fs::rename(here, away)?,
        (Fault::None | Fault::Model(_), false) => std::fs::rename(away, here)?,
        _ => {}
    }
    Ok(())
}

/// Asks all the time, whatever becomes of it.
async fn ask_on(mut client: Client, mtype: &'static str, content: &'static str) -> Result<()> {
    let mut ticks = interval(LOAD_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for id in 1.. {
        ticks.tick().await;
        client.end(id, mtype, content).await?;
    }
    Ok(())
}

/// The times of messages to `echo`, in microseconds.
async fn echoes(server: &Server, slice: Duration) -> Result<Vec<f64>> {
    let mut running = JoinSet::new();
    let end = Instant::now() + slice;
    for _ in 0..UNRELATED {
        let mut client = Client::chat(server.at.host).await?;
        running.spawn(async move {
            let mut ticks = interval(UNRELATED_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut times = Vec::new();
            for id in 1.. {
                ticks.tick().await;
                if Instant::now() >= end {
                    break;
                }
                let began = Instant::now();
                client.ask(id, "echo", "x").await?;
                times.push(micros(began.elapsed()));
            }
            anyhow::Ok(times)
        });
    }
    let mut all = Vec::new();
    while let Some(times) = running.join_next().await {
        all.extend(times??);
    }
    Ok(all)
}

/// Waits until both are asked again and answer, without anybody's help.
async fn healed(server: &Server) -> Result<()> {
    let mut client = Client::chat(server.at.host).await?;
    let end = Instant::now() + Duration::from_secs(30);
    let mut id = 0;
    for (mtype, content) in [("model", "Say a word"), ("database", "How many items are there?")] {
        loop {
            id += 1;
            if client.end(id, mtype, content).await? {
                break;
            }
            if Instant::now() > end {
                bail!("{mtype} has not come back");
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}

/// The time of answers that say that a breaker is open, one at a time.
async fn open(model: &Model, server: &Server, quick: bool) -> Result<OpenRow> {
    let wanted = if quick { 100 } else { 5_000 };
    eprintln!("faults: {wanted} answers of an open breaker");
    model.behave(Behaviour::Gone);
    let mut client = Client::chat(server.at.host).await?;
    let (mut times, mut id) = (Vec::new(), 0);
    let end = Instant::now() + Duration::from_secs(120);
    while times.len() < wanted {
        id += 1;
        let began = Instant::now();
        let frame = client.last_frame(id, "model", "Say a word").await?;
        let took = micros(began.elapsed());
        // Now and then one is the probe.
        if frame.contains("\"circuit_open\"") {
            times.push(took);
        }
        if Instant::now() > end {
            bail!("the breaker does not stay open: {frame}");
        }
    }
    model.behave(Behaviour::Answer);
    Ok(OpenRow {
        messages: times.len(),
        p50_us: median(&times),
        p99_us: quantile(&times, 0.99).context("no answer")?,
        bar_us: BAR_OPEN_US,
    })
}

/// What a guard with a breaker costs a call, in this process.
fn check(quick: bool) -> Vec<CheckRow> {
    let (rounds, calls) = if quick { (3, 1_000) } else { (101, 20_000) };
    let policy = || Policy {
        breaker: Some(breaker::Settings::default()),
        ..Policy::default()
    };
    let closed = Arc::new(Guard::new(Key::new("llm", "closed"), policy()));
    let open = Arc::new(Guard::new(Key::new("llm", "open"), policy()));
    while open.is_out().is_none() {
        match open.try_admit() {
            Ok(admission) => admission.failed(Some(Duration::from_secs(3600))),
            Err(_) => break,
        }
    }
    let time = |what, each: &dyn Fn()| {
        let round = || {
            let began = Instant::now();
            for _ in 0..calls {
                each();
            }
            began.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
        };
        let rounds: Vec<f64> = (0..rounds).map(|_| round()).collect();
        CheckRow {
            what,
            ns: median(&rounds),
            bar_ns: BAR_CHECK_NS,
        }
    };
    vec![
        time("a closed breaker: whether it lets a call through", &|| {
            black_box(closed.is_out());
        }),
        time("an open breaker: refuses a call, and counts it", &|| {
            black_box(open.try_admit().is_err());
        }),
        time("a closed breaker: admits a call, and notes how it ended", &|| {
            if let Ok(permit) = closed.breaker().admit() {
                permit.succeeded();
            }
        }),
    ]
}
