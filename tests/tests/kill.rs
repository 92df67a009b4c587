//! What the host depends on is killed under load, one after the other: whoever needs
//! it gets an error or the route's fallback before the deadline, whoever does not
//! notices nothing, and all of it comes back without a hand.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use segue_tests::{Act, Bed, Chat, Site, Upstream, within};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Of each route that needs something.
const DEADLINE: Duration = Duration::from_secs(3);
/// How late a machine may be that has other things to do.
const LATE: Duration = Duration::from_secs(2);
const CLIENTS: usize = 3;
/// Between the end of an answer and the next question.
const PAUSE: Duration = Duration::from_millis(10);

/// By message type: how its messages ended so far, `ok` or the code of the error.
type Ends = BTreeMap<&'static str, BTreeMap<String, u64>>;

/// Clients that ask all the time.
struct Load {
    ends: watch::Receiver<Ends>,
    stop: Arc<AtomicBool>,
    clients: JoinSet<()>,
}

impl Load {
    async fn start(bed: &Bed, questions: &[(&'static str, &'static str)]) -> Load {
        let ends = watch::Sender::new(Ends::default());
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for (mtype, question) in questions.iter().copied() {
            for _ in 0..CLIENTS {
                let chat = bed.chat().await;
                clients.spawn(ask(chat, mtype, question, ends.clone(), Arc::clone(&stop)));
            }
        }
        Load {
            ends: ends.subscribe(),
            stop,
            clients,
        }
    }

    fn ends(&self) -> Ends {
        self.ends.borrow().clone()
    }

    /// Waits until so many more messages of each type ended as `is` says.
    async fn more(&mut self, what: &str, mtypes: &[&'static str], count: u64, is: fn(&str) -> bool) {
        let number = |ends: &Ends, mtype| -> u64 {
            let ended = ends.get(mtype).into_iter().flatten();
            ended.filter(|(how, _)| is(how)).map(|(_, count)| count).sum()
        };
        let before = self.ends();
        let enough = |ends: &Ends| {
            let mut mtypes = mtypes.iter();
            mtypes.all(|mtype| number(ends, mtype) >= number(&before, mtype) + count)
        };
        let waited = within(what, self.ends.wait_for(enough));
        waited.await.expect("clients that ask");
    }

    /// Stops, and fails if a client did.
    async fn stop(mut self) -> Ends {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.clients.join_next().await {
            ended.expect("a client that was answered as it should be");
        }
        let ends = self.ends.borrow();
        ends.clone()
    }
}

async fn ask(
    mut chat: Chat,
    mtype: &'static str,
    question: &'static str,
    ends: watch::Sender<Ends>,
    stop: Arc<AtomicBool>,
) {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let asked = Instant::now();
        let reply = chat.ask(&format!("{mtype}-{number}"), mtype, question).await;
        let took = asked.elapsed();
        assert!(took < DEADLINE + LATE, "{mtype} took {took:?}: {reply:?}");
        let how = match reply.last["type"] == "done" {
            true => "ok",
            false => reply.error_code(),
        };
        ends.send_modify(|ends| {
            let counts = ends.entry(mtype).or_default();
            *counts.entry(how.to_owned()).or_default() += 1;
        });
        tokio::time::sleep(PAUSE).await;
    }
}

fn well(how: &str) -> bool {
    how == "ok"
}

fn failed(how: &str) -> bool {
    how != "ok"
}

/// How messages of a type ended that did not end well.
fn errors<'a>(ends: &'a Ends, mtype: &str) -> Vec<&'a str> {
    let ended = ends.get(mtype).into_iter().flatten();
    ended
        .map(|(how, _)| how.as_str())
        .filter(|how| failed(how))
        .collect()
}

fn site(base_url: &str) -> segue_tests::Site {
    Site::builder()
        .plugin("echo")
        .plugin("chat")
        .sidecar("chat", "[grants]\nllm = [\"main\"]\nsession = [\"history\"]\n")
        .plugin("sql-rag")
        .sidecar("sql-rag", "[grants]\nsql = [\"shop\"]\n")
        .database(
            "shop.db",
            "create table items (id integer primary key, name text); insert into items (name) values ('tea'), ('cup');",
        )
        .config(&format!(
            r#"
            [plugins.max_grants]
            llm = ["main"]
            session = ["history"]
            sql = ["shop"]

            [llm.main]
            provider = "openai"
            base_url = "{base_url}"
            model = "scripted"
            first_token_timeout = "500ms"
            idle_timeout = "500ms"

            [sql.shop]
            url = "sqlite:shop.db"

            [resilience]
            reset_timeout = "300ms"
            reset_timeout_max = "1s"

            [limits]
            deadline = "3s"

            [[route]]
            match = {{ mtype = "echo" }}
            handler = "echo"

            [[route]]
            match = {{ mtype = "model" }}
            handler = "chat"

            [[route]]
            match = {{ mtype = "model-or-text" }}
            handler = "chat"
            fallback = [{{ text = "The model is away." }}]

            [[route]]
            match = {{ mtype = "sql" }}
            handler = "sql-rag"
            "#
        ))
        .build()
}

fn talks(upstream: &Upstream) {
    upstream.answer(|_| vec![Act::say("Hello."), Act::usage(1, 1)]);
}

const QUESTIONS: [(&str, &str); 4] = [
    ("echo", "x"),
    ("model", "Hello"),
    ("model-or-text", "Hello"),
    ("sql", "How many items are there?"),
];
const ALL: [&str; 4] = ["echo", "model", "model-or-text", "sql"];

// B4, B26, E10: an error at once or the fallback, and nothing for those it is no
// business of.
#[tokio::test(flavor = "multi_thread")]
async fn a_model_or_a_database_that_dies_under_load_is_felt_by_those_alone_who_need_it() {
    let upstream = Upstream::start().await;
    talks(&upstream);
    let address = upstream.address();
    let bed = Bed::start(site(&upstream.base_url())).await;
    let mut load = Load::start(&bed, &QUESTIONS).await;
    load.more("answers while all is well", &ALL, 20, well).await;
    assert_eq!(errors(&load.ends(), "model"), [""; 0]);

    drop(upstream);
    load.more("errors of those who need the model", &["model"], 20, failed)
        .await;
    let others = ["echo", "model-or-text", "sql"];
    load.more("answers to those who do not", &others, 20, well).await;
    let upstream = Upstream::start_at(address).await;
    talks(&upstream);
    load.more("the model to be back", &ALL, 20, well).await;
    assert!(!upstream.requests().is_empty());
    assert_eq!(errors(&load.ends(), "sql"), [""; 0]);

    let (here, away) = (bed.root().join("shop.db"), bed.root().join("away.db"));
    std::fs::rename(&here, &away).unwrap();
    let before = load.ends();
    load.more("errors of those who need the database", &["sql"], 20, failed)
        .await;
    load.more("answers to those who do not", &ALL[..3], 20, well)
        .await;
    std::fs::rename(&away, &here).unwrap();
    load.more("the database to be back", &ALL, 20, well).await;
    let ends = load.stop().await;

    assert_eq!(errors(&ends, "echo"), [""; 0]);
    assert_eq!(errors(&ends, "model-or-text"), [""; 0]);
    for code in errors(&ends, "model") {
        assert!(
            [
                "upstream_unavailable",
                "upstream_timeout",
                "circuit_open",
                "upstream_error"
            ]
            .contains(&code),
            "{ends:?}"
        );
    }
    assert!(ends["model"].contains_key("circuit_open"), "{ends:?}");
    assert_eq!(
        errors(&before, "model")
            .iter()
            .map(|code| before["model"][*code])
            .sum::<u64>(),
        errors(&ends, "model")
            .iter()
            .map(|code| ends["model"][*code])
            .sum::<u64>(),
        "the model was asked as ever while the database was away"
    );
    for code in errors(&ends, "sql") {
        assert!(["store_unavailable", "circuit_open"].contains(&code), "{ends:?}");
    }
    assert!(ends["sql"].contains_key("circuit_open"), "{ends:?}");
}
