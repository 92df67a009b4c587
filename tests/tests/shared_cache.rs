//! A cache that two hosts share, in a Redis of its own, which dies under load and
//! comes back: what one keeps the other finds, and no client ever sees an error for
//! it.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use segue_tests::{Bed, Chat, Site, eventually};
use serde_json::{Value, json};
use tempfile::TempDir;

struct Redis {
    folder: TempDir,
    port: u16,
    process: Child,
}

impl Redis {
    /// `None` where none is installed, which is a failure where tests must not be
    /// skipped.
    async fn start() -> Option<Redis> {
        if Command::new("redis-server").arg("--version").output().is_err() {
            let must = std::env::var("CI").is_ok_and(|ci| ci == "true");
            assert!(!must, "redis-server is not installed");
            println!("skipped: redis-server not installed");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let process = Redis::spawn(folder.path(), port);
        let redis = Redis {
            folder,
            port,
            process,
        };
        redis.listens().await;
        Some(redis)
    }

    fn spawn(folder: &Path, port: u16) -> Child {
        Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .current_dir(folder)
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    }

    async fn listens(&self) {
        eventually("redis to listen", async || {
            std::net::TcpStream::connect(("127.0.0.1", self.port))
                .ok()
                .map(drop)
        })
        .await;
    }

    fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    async fn again(&mut self) {
        self.process = Redis::spawn(self.folder.path(), self.port);
        self.listens().await;
    }

    async fn host(&self) -> Bed {
        let port = self.port;
        // The same file for all: another one would have other answers.
        let shop = self.folder.path().join("shop.db");
        let shop = shop.to_str().unwrap();
        Site::builder()
            .plugin("probe")
            .sidecar("probe", "[grants]\ncache = [\"answers\"]\nsql = [\"shop\"]\n")
            .database(
                shop,
                "DROP TABLE IF EXISTS products; CREATE TABLE products (name TEXT); INSERT INTO products VALUES ('tea');",
            )
            .config(&format!(
                r#"
                [cache.answers]
                tier = "redis"
                url = "redis://127.0.0.1:{port}/0"

                [resilience.cache]
                reset_timeout = "100ms"

                [sql.shop]
                url = "sqlite:{shop}"
                cache = "answers"

                [plugins.max_grants]
                cache = ["answers"]
                sql = ["shop"]

                [[route]]
                handler = "probe"
                "#
            ))
            .start()
            .await
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What comes of an order, which is no error.
async fn told(chat: &mut Chat, order: &Value) -> Value {
    static IDS: AtomicU64 = AtomicU64::new(0);
    let id = IDS.fetch_add(1, Ordering::Relaxed);
    let reply = chat.ask(&format!("t{id}"), "chat", &order.to_string()).await;
    assert_eq!(reply.last["type"], "done", "{order}: {}", reply.last);
    let data = &reply.of("data")[0]["data"];
    assert!(data.get("error").is_none(), "{order}: {data}");
    data["ok"].clone()
}

async fn cache(bed: &Bed) -> Value {
    bed.admin().get_ok("/caches").await["caches"][0].clone()
}

fn make(key: &str, value: &str) -> Value {
    json!({"get_or_set": key, "cache": "answers", "value": value, "tags": ["t"]})
}

// O5, O19
#[tokio::test(flavor = "multi_thread")]
async fn what_one_host_made_or_asked_the_other_has() {
    let Some(redis) = Redis::start().await else { return };
    let (one, two) = (redis.host().await, redis.host().await);
    let (mut first, mut second) = (one.chat().await, two.chat().await);
    assert_eq!(told(&mut first, &make("k", "one")).await, json!(["one", true]));
    assert_eq!(told(&mut second, &make("k", "two")).await, json!(["one", false]));
    let query = json!({"sql": "SELECT name FROM products", "database": "shop"});
    let rows = told(&mut first, &query).await;
    assert_eq!(rows["rows"], json!([["tea"]]));
    assert_eq!(told(&mut second, &query).await, rows);
    let asked = "segue_breaker_calls_total{dependency=\"sql.shop\",outcome=\"success\"}";
    assert_eq!(one.http().metric(asked).await as u64, 1);
    let state = cache(&two).await;
    assert_eq!(
        (&state["hits"], &state["misses"]),
        (&json!(2), &json!(0)),
        "{state}"
    );
    assert_eq!((&state["tier"], &state["away"]), (&json!("redis"), &json!(false)));

    // Taken out on one, it is gone on the other: by key, by tag.
    let delete = json!({"plugin": "probe", "key": "k"});
    let (status, _) = one.admin().post("/caches/answers/invalidate", &delete).await;
    assert_eq!(status, 200);
    assert_eq!(told(&mut second, &make("k", "two")).await, json!(["two", true]));
    let (status, _) = two
        .admin()
        .post("/caches/answers/invalidate", &json!({"tag": "t"}))
        .await;
    assert_eq!(status, 200);
    assert_eq!(
        told(&mut first, &make("k", "three")).await,
        json!(["three", true])
    );
    let half = json!({"key": "k"});
    let (status, _) = one.admin().post("/caches/answers/invalidate", &half).await;
    assert_eq!(status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_dies_under_load_and_comes_back_and_no_client_notices() {
    let Some(mut redis) = Redis::start().await else {
        return;
    };
    let bed = Arc::new(redis.host().await);
    let stop = Arc::<AtomicBool>::default();
    let answered = Arc::<AtomicU64>::default();
    let load: Vec<_> = (0..8)
        .map(|n| {
            let (bed, stop, answered) = (Arc::clone(&bed), Arc::clone(&stop), Arc::clone(&answered));
            tokio::spawn(async move {
                let mut chat = bed.chat().await;
                for round in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    told(&mut chat, &make(&format!("k{}", (n + round) % 20), "v")).await;
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let some = async || {
        let before = answered.load(Ordering::Relaxed);
        eventually("more answers", async || {
            (answered.load(Ordering::Relaxed) > before + 100).then_some(())
        })
        .await;
    };
    some().await;
    redis.kill();
    eventually("it to be seen that it is dead", async || {
        (cache(&bed).await["away"] == true).then_some(())
    })
    .await;
    some().await;
    let (ready, _) = bed.http().get("/health/ready").await;
    assert_eq!(ready, 200, "the host is ready all the same");
    let backends = bed.admin().get_ok("/backends").await;
    let told_of = backends["backends"].as_array().unwrap().iter();
    let away = |it: &&Value| it["kind"] == "cache" && it["ready"] == false;
    assert_eq!(told_of.filter(away).count(), 1, "{backends}");
    redis.again().await;
    eventually("it to be asked again", async || {
        (cache(&bed).await["away"] == false).then_some(())
    })
    .await;
    some().await;
    stop.store(true, Ordering::Relaxed);
    for each in load {
        each.await.expect("no client sees an error");
    }
    let state = cache(&bed).await;
    assert_eq!(state["errors"], 0, "{state}");
    assert!(state["unanswered"].as_u64() > Some(0), "{state}");
}
