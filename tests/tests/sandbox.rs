//! What a plugin was not granted it does not reach, and what it was granted it
//! reaches no further than that.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use segue_tests::{Bed, Chat, Site, SiteBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const SHOP: &str = "
    CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price REAL);
    INSERT INTO products VALUES (1, 'green tea', 3.5), (2, 'black tea', 2.5);
    CREATE TABLE notes (body TEXT);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
    INSERT INTO notes SELECT printf('note %d %s', i, hex(zeroblob(200))) FROM n;";

/// What the engine's own tests try, and the database they try it on.
#[path = "../../host/capabilities/src/sql/corpus.rs"]
mod corpus;

fn site() -> SiteBuilder {
    Site::builder()
        .database("shop.db", SHOP)
        .database(
            "hr.db",
            "CREATE TABLE pay (name TEXT); INSERT INTO pay VALUES ('secret');",
        )
        .file("docs/tea.md", "# Tea\n\nSteep green tea for two minutes.\n")
        .config(
            r#"
            [sql.shop]
            url = "sqlite:shop.db"
            max_rows = 100
            max_bytes = "64 KiB"
            timeout = "500ms"

            [sql.hr]
            url = "sqlite:hr.db"

            [search.docs]
            path = "docs"

            [llm.main]
            provider = "offline"

            [cache.answers]

            [cache.others]

            [plugins.max_grants]
            sql = ["shop", "hr"]
            search = ["docs"]
            llm = ["main"]
            cache = ["answers", "others"]
            keyvalue = ["notes"]
            session = ["state", "history"]
            http = ["https://api.example.com"]

            [[route]]
            handler = "probe"

            [[route]]
            match = { mtype = "other" }
            handler = "other"
            "#,
        )
        .plugin("probe")
}

async fn granted(grants: &str) -> Bed {
    let grants = format!("[grants]\n{grants}\n");
    site().sidecar("probe", &grants).start().await
}

/// Has the plugin behind `mtype` do something: what came of it, or the error.
async fn told(chat: &mut Chat, mtype: &str, order: &Value) -> Result<Value, (String, String)> {
    static IDS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let id = IDS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let reply = chat.ask(&format!("t{id}"), mtype, &order.to_string()).await;
    let data = reply.of("data");
    let answer = &data.first().unwrap_or_else(|| panic!("{order}: {}", reply.last))["data"];
    match answer.get("error") {
        None => Ok(answer["ok"].clone()),
        Some(error) => {
            let part = |key: &str| error[key].as_str().unwrap().to_owned();
            Err((part("code"), part("message")))
        }
    }
}

async fn code(chat: &mut Chat, order: &Value) -> String {
    match told(chat, "chat", order).await {
        Ok(value) => format!("ok: {value}"),
        Err((code, _)) => code,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_grants_nothing_is_reached_and_each_denial_says_what_would() {
    let bed = site().start().await;
    let mut chat = bed.chat().await;
    let empty = told(&mut chat, "chat", &json!({"granted": true})).await.unwrap();
    assert_eq!(empty, json!({"sql": [], "search": [], "llm": [], "cache": []}));
    for (order, line) in [
        (json!({"sql": "SELECT 1", "database": "shop"}), "sql = [\"shop\"]"),
        (
            json!({"check": "SELECT 1", "database": "shop"}),
            "sql = [\"shop\"]",
        ),
        (json!({"schema": "shop"}), "sql = [\"shop\"]"),
        (
            json!({"samples": ["shop", "products", "name"]}),
            "sql = [\"shop\"]",
        ),
        (json!({"search": "tea", "index": "docs"}), "search = [\"docs\"]"),
        (json!({"complete": "hi", "model": "main"}), "llm = [\"main\"]"),
        (json!({"state": "k"}), "session = [\"state\"]"),
        (json!({"swap": "k", "value": "v"}), "session = [\"state\"]"),
        (json!({"history": 5}), "session = [\"history\"]"),
        (
            json!({"cached": "k", "cache": "answers"}),
            "cache = [\"answers\"]",
        ),
        (
            json!({"get_or_set": "k", "value": "v", "cache": "answers"}),
            "cache = [\"answers\"]",
        ),
        (
            json!({"invalidate": "t", "cache": "answers"}),
            "cache = [\"answers\"]",
        ),
    ] {
        let (code, message) = told(&mut chat, "chat", &order).await.unwrap_err();
        assert_eq!(code, "capability_denied", "{order}");
        let mend = format!("add {line} to [grants] in probe.toml");
        assert!(message.contains(&mend), "{order}: {message}");
    }
    // WASI's own interfaces have no room for the line: the log and the admin API
    // have it.
    for order in [
        json!({"get": "k", "bucket": "notes"}),
        json!({"fetch": "https://api.example.com/"}),
    ] {
        assert_eq!(code(&mut chat, &order).await, "capability_denied", "{order}");
    }
    let plugin = bed.admin().get_ok("/plugins/probe").await;
    let access: BTreeMap<&str, &Value> = plugin["access"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["capability"].as_str().unwrap(), row))
        .collect();
    for name in ["sql", "search", "llm", "session", "keyvalue", "cache", "http"] {
        let row = access[name];
        assert_eq!(row["wanted"], true, "{name}");
        assert_eq!(row["granted"], json!([]), "{name}");
        assert!(row["denied"].as_u64().unwrap() > 0, "{name}");
        let line = row["last_denial"].as_str().unwrap();
        assert!(line.contains("probe.toml"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_attempt_on_a_granted_database_writes_or_leaves_it() {
    let bed = site()
        .database("corpus.db", corpus::FIXTURE)
        .config(
            r#"
            [sql.patient]
            url = "sqlite:corpus.db"
            timeout = "25s"

            [sql.quick]
            url = "sqlite:corpus.db"
            timeout = "300ms"

            [plugins.max_grants]
            sql = ["patient", "quick"]
            "#,
        )
        .sidecar("probe", "[grants]\nsql = [\"patient\", \"quick\"]\n")
        .start()
        .await;
    let file = bed.root().join("corpus.db");
    let before = (folder(bed.root()), fs::read(&file).unwrap());
    let mut chat = bed.chat().await;
    let attempts = corpus::attempts();
    assert!(attempts.len() >= 60, "{} attempts", attempts.len());
    for (wanted, sql) in attempts {
        // What should end by itself has the time to, and what should not is seen
        // to be stopped.
        let database = match wanted {
            "query_timeout" => "quick",
            _ => "patient",
        };
        let got = code(&mut chat, &json!({"sql": sql, "database": database})).await;
        let got = if got.starts_with("ok") { "ok" } else { &got };
        let shown = &sql[..sql.floor_char_boundary(300)];
        assert_eq!(got, wanted, "{shown}");
    }
    assert_eq!(before.0, folder(bed.root()), "files came or went");
    assert!(before.1 == fs::read(&file).unwrap(), "the database was written");
    let count = json!({"sql": "SELECT count(*) FROM people", "database": "quick"});
    let count = told(&mut chat, "chat", &count).await.unwrap();
    assert_eq!(count["rows"], json!([[8]]));
}

/// The files of the site beside the host's own state.
fn folder(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
    names.retain(|name| name.contains(".db"));
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn another_database_is_out_of_reach_by_every_road() {
    let bed = granted("sql = [\"shop\"]").await;
    let mut chat = bed.chat().await;
    let hr = bed.root().join("hr.db").display().to_string();
    for (order, wanted) in [
        (
            json!({"sql": "SELECT * FROM pay", "database": "hr"}),
            "capability_denied",
        ),
        (
            json!({"sql": "SELECT * FROM pay", "database": "nowhere"}),
            "capability_denied",
        ),
        (
            json!({"sql": "SELECT * FROM pay", "database": hr}),
            "capability_denied",
        ),
        (
            json!({"sql": "SELECT * FROM pay", "database": "sqlite:hr.db"}),
            "capability_denied",
        ),
        (
            json!({"sql": "SELECT * FROM hr.pay", "database": "shop"}),
            "query_invalid",
        ),
        (
            json!({"sql": format!("ATTACH '{hr}' AS hr"), "database": "shop"}),
            "query_forbidden",
        ),
        (json!({"schema": "hr"}), "capability_denied"),
    ] {
        assert_eq!(code(&mut chat, &order).await, wanted, "{order}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_caps_on_rows_bytes_and_time_hold_and_the_host_answers_on() {
    let bed = granted("sql = [\"shop\"]").await;
    let mut chat = bed.chat().await;
    let ask = |sql: &str| json!({"sql": sql, "database": "shop"});
    let rows = told(&mut chat, "chat", &ask("SELECT rowid FROM notes"))
        .await
        .unwrap();
    assert_eq!(rows["rows"].as_array().unwrap().len(), 100);
    assert_eq!(rows["truncated"], true);
    let rows = told(
        &mut chat,
        "chat",
        &ask("SELECT body, body, body, body FROM notes"),
    )
    .await
    .unwrap();
    let bytes = rows["rows"].to_string().len();
    assert!(bytes < 80 << 10, "{bytes} bytes");
    assert_eq!(rows["truncated"], true);
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    assert_eq!(code(&mut chat, &ask(endless)).await, "query_timeout");
    let order = json!({"drop_query": endless, "database": "shop"});
    assert_eq!(told(&mut chat, "chat", &order).await, Ok(Value::Null));
    let one = told(&mut chat, "chat", &ask("SELECT 1")).await.unwrap();
    assert_eq!(one["rows"], json!([[1]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_state_of_one_plugin_are_not_anothers() {
    let grants = "[grants]\nkeyvalue = [\"notes\"]\nsession = [\"state\"]\n";
    let bed = site()
        .plugin_as("other", &segue_tests::component("probe"))
        .sidecar("probe", grants)
        .sidecar("other", grants)
        .start()
        .await;
    let mut chat = bed.chat().await;
    let set = |value: &str| json!({"set": "k", "value": value, "bucket": "notes"});
    let get = json!({"get": "k", "bucket": "notes"});
    told(&mut chat, "chat", &set("mine")).await.unwrap();
    assert_eq!(told(&mut chat, "other", &get).await, Ok(Value::Null));
    told(&mut chat, "other", &set("theirs")).await.unwrap();
    assert_eq!(told(&mut chat, "chat", &get).await, Ok(json!("mine")));
    let keys = told(&mut chat, "other", &json!({"keys": "notes"})).await;
    assert_eq!(keys, Ok(json!(["k"])));

    let swap = json!({"swap": "s", "value": "mine"});
    let version = told(&mut chat, "chat", &swap).await.unwrap();
    assert_eq!(
        told(&mut chat, "other", &json!({"state": "s"})).await,
        Ok(Value::Null)
    );
    let entry = told(&mut chat, "chat", &json!({"state": "s"})).await;
    assert_eq!(entry, Ok(json!(["mine", version])));
    // Another session has a state of its own, and the same keys.
    let mut second = bed.chat().await;
    assert_eq!(
        told(&mut second, "chat", &json!({"state": "s"})).await,
        Ok(Value::Null)
    );
    assert_eq!(told(&mut second, "chat", &get).await, Ok(json!("mine")));
    // A stale version changes nothing.
    let (code, _) = told(&mut chat, "chat", &swap).await.unwrap_err();
    assert_eq!(code, "state_conflict");
}

/// B6, O19: what a plugin keeps in a cache is found by that plugin under that grant,
/// and by nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_cached_crosses_neither_between_plugins_nor_between_grants() {
    let both = "[grants]\ncache = [\"answers\", \"others\"]\n";
    let bed = site()
        .plugin_as("other", &segue_tests::component("probe"))
        .sidecar("probe", both)
        .sidecar("other", "[grants]\ncache = [\"answers\"]\n")
        .start()
        .await;
    let mut chat = bed.chat().await;
    let set =
        |cache: &str, value: &str| json!({"cache_set": "k", "cache": cache, "value": value, "tags": ["t"]});
    let get = |cache: &str| json!({"cached": "k", "cache": cache});
    let kept =
        async |chat: &mut Chat, plugin: &str, cache: &str| told(chat, plugin, &get(cache)).await.unwrap();
    assert_eq!(
        told(&mut chat, "chat", &set("answers", "mine")).await,
        Ok(json!(true))
    );
    assert_eq!(kept(&mut chat, "other", "answers").await, Value::Null);
    assert_eq!(kept(&mut chat, "chat", "others").await, Value::Null);
    told(&mut chat, "other", &set("answers", "theirs")).await.unwrap();
    told(&mut chat, "chat", &set("others", "else")).await.unwrap();
    for (plugin, cache, value) in [
        ("chat", "answers", "mine"),
        ("other", "answers", "theirs"),
        ("chat", "others", "else"),
    ] {
        assert_eq!(kept(&mut chat, plugin, cache).await, json!(value));
    }
    let (denied, _) = told(&mut chat, "other", &get("others")).await.unwrap_err();
    assert_eq!(denied, "capability_denied");

    // Taken out by one, it stays with the others; by the operator, it is gone for all.
    told(
        &mut chat,
        "other",
        &json!({"invalidate": "t", "cache": "answers"}),
    )
    .await
    .unwrap();
    assert_eq!(kept(&mut chat, "other", "answers").await, Value::Null);
    assert_eq!(kept(&mut chat, "chat", "answers").await, json!("mine"));
    let (status, _) = bed
        .admin()
        .post("/caches/answers/invalidate", &json!({"tag": "t"}))
        .await;
    assert_eq!(status, 200);
    assert_eq!(kept(&mut chat, "chat", "answers").await, Value::Null);
    assert_eq!(kept(&mut chat, "chat", "others").await, json!("else"));

    // A failure is not kept, what is made is.
    let make = |more: Value| {
        let mut order = json!({"get_or_set": "made", "cache": "answers"});
        order
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        order
    };
    let failed = told(&mut chat, "chat", &make(json!({"fail": "upstream_failed"}))).await;
    assert_eq!(failed.unwrap_err(), ("upstream_failed".into(), "as told".into()));
    for (value, expected) in [("one", json!(["one", true])), ("two", json!(["one", false]))] {
        assert_eq!(
            told(&mut chat, "chat", &make(json!({"value": value}))).await,
            Ok(expected)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http_reaches_what_is_granted_and_no_address_behind_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let _ = socket.read(&mut head).await;
                let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi";
                let _ = socket.write_all(answer.as_bytes()).await;
            });
        }
    });
    let origin = format!("http://127.0.0.1:{port}");
    let local = format!("http://localhost:{port}");
    let ceiling = format!("[plugins.max_grants]\nhttp = [\"{origin}\", \"{local}\"]\n");
    let grants = format!("[grants]\nhttp = [\"{origin}\", \"{local}\"]\n");
    let fetch = |url: &str| json!({"fetch": format!("{url}/")});

    // Granted, but inside: only the operator's networks open that.
    let bed = site().config(&ceiling).sidecar("probe", &grants).start().await;
    let mut chat = bed.chat().await;
    for url in [&origin, &local] {
        let denied = code(&mut chat, &fetch(url)).await;
        assert_ne!(denied, "ok", "{url}");
        assert!(!denied.starts_with("ok"), "{url}: {denied}");
    }
    let open = "[http]\nallow_networks = [\"127.0.0.0/8\", \"::1/128\"]\n";
    let bed = site()
        .config(&ceiling)
        .config(open)
        .sidecar("probe", &grants)
        .start()
        .await;
    let mut chat = bed.chat().await;
    for url in [&origin, &local] {
        let answer = told(&mut chat, "chat", &fetch(url)).await.unwrap();
        assert_eq!((&answer["status"], &answer["body"]), (&json!(200), &json!("hi")));
    }
    // Another port is another origin.
    let other = format!("http://127.0.0.1:{}", port.wrapping_add(1));
    assert_eq!(code(&mut chat, &fetch(&other)).await, "capability_denied");
}
