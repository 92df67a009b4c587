//! Health tells the truth, in the shapes that the programs expect which watch: what
//! each path answers while all is well, and while a model and a database are not.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use segue_tests::{Act, Bed, Site, Upstream, eventually};
use serde_json::{Value, json};

/// A host with a model that it must have, a database, and documents behind a cache.
async fn bed(upstream: &Upstream) -> Bed {
    let base_url = upstream.base_url();
    let bed = Site::builder()
        .standard()
        .plugin("chat")
        .sidecar("chat", "[grants]\nllm = [\"main\"]\nsession = [\"history\"]\n")
        .plugin("doc-rag")
        .sidecar("doc-rag", "[grants]\nsearch = [\"docs\"]\nllm = [\"plain\"]\n")
        .plugin("sql-rag")
        .sidecar("sql-rag", "[grants]\nsql = [\"shop\"]\nllm = [\"plain\"]\n")
        .database(
            "shop.db",
            "create table items (id integer primary key, name text); insert into items (name) values ('tea'), ('cup');",
        )
        .file("docs/tea.md", "# Tea\n\nSteep green tea for two minutes.\n")
        .config(&format!(
            r#"
            [plugins.max_grants]
            llm = ["main", "plain"]
            session = ["history"]
            search = ["docs"]
            sql = ["shop"]

            [health]
            required = ["llm.main"]

            [llm.main]
            provider = "openai"
            base_url = "{base_url}"
            model = "scripted"

            [llm.plain]
            provider = "offline"

            [resilience.llm]
            failure_threshold = 2
            reset_timeout = "300ms"

            [sql.shop]
            url = "sqlite:shop.db"
            slow_query = "1ms"

            [cache.passages]

            [search.docs]
            path = "docs"
            cache = "passages"

            [[route]]
            match = {{ mtype = "model" }}
            handler = "chat"

            [[route]]
            match = {{ mtype = "docs" }}
            handler = "doc-rag"

            [[route]]
            match = {{ mtype = "sql" }}
            handler = "sql-rag"
            "#
        ))
        .start()
        .await;
    eventually("the host to be ready", async || {
        (bed.http().get("/health/ready").await.0 == 200).then_some(())
    })
    .await;
    bed
}

/// An RFC 3339 time in UTC.
fn is_time(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.len() == "2024-01-01T00:00:00.000Z".len() && text.ends_with('Z') && text.contains('T')
}

// N28, N29, O21, X1, B10: each shape, while all is well and while it is not.
#[tokio::test(flavor = "multi_thread")]
async fn every_path_has_its_shape_and_none_is_better_than_the_truth() {
    let upstream = Upstream::start().await;
    let bed = bed(&upstream).await;
    let http = bed.http();
    for path in ["/health/live", "/health/liveness"] {
        assert_eq!(
            http.get(path).await,
            (200, json!({ "status": "alive" })),
            "{path}"
        );
    }
    for path in ["/health/ready", "/health/readiness"] {
        let (status, ready) = http.get(path).await;
        assert_eq!(
            (status, &ready["status"]),
            (200, &json!("ready")),
            "{path}: {ready}"
        );
        assert_eq!(ready["ready"], true);
        assert!(ready["engines"].as_u64().unwrap() >= 3, "{ready}");
        assert_eq!(ready["active_streams"], 0);
        assert_eq!(ready["circuit_state"], "closed");
        assert!(is_time(&ready["timestamp"]), "{ready}");
        assert!(ready["checks"].is_object(), "{ready}");
    }
    upstream.answer(|_| vec![Act::status(500, "{}")]);
    let mut chat = bed.chat().await;
    for number in 0..2 {
        let reply = chat.ask(&format!("m{number}"), "model", "Hello").await;
        assert_eq!(reply.error_code(), "upstream_unavailable");
    }
    let (status, ready) = http.get("/health/readiness").await;
    assert_eq!((status, &ready["status"]), (503, &json!("not_ready")), "{ready}");
    assert_eq!(
        (&ready["ready"], &ready["circuit_state"]),
        (&json!(false), &json!("open"))
    );
    assert_eq!(ready["checks"]["required"], false, "{ready}");
    assert_eq!(http.get("/health/live").await.0, 200);
    for path in ["/health/detailed", "/api/health/detailed"] {
        let (status, detailed) = http.get(path).await;
        assert_eq!(
            (status, &detailed["status"]),
            (503, &json!("fail")),
            "{path}: {detailed}"
        );
        let breakers = &detailed["checks"]["circuitBreakers"];
        assert_eq!(breakers["status"], "fail");
        assert_eq!(breakers["message"], "Not closed: llm.main");
        let model = &breakers["breakers"]["llm.main"];
        assert_eq!(model["name"], "llm.main");
        assert_eq!((&model["state"], &model["failures"]), (&json!("OPEN"), &json!(2)));
        assert_eq!(
            model["stats"],
            json!({ "total": 2, "failures": 2, "successes": 0, "rejections": 0 })
        );
    }
    let reply = chat.ask("m2", "model", "Hello").await;
    assert_eq!(reply.error_code(), "circuit_open");
    upstream.answer(|_| vec![Act::say("Hello."), Act::usage(1, 1)]);
    eventually("the model's breaker to let one through", async || {
        let (_, detailed) = http.get("/health/detailed").await;
        let model = &detailed["checks"]["circuitBreakers"]["breakers"]["llm.main"];
        model["retry_after_ms"].is_null().then_some(())
    })
    .await;
    // Ready again without an answer: else no balancer would send the one that proves it.
    assert_eq!(http.get("/health/ready").await.0, 200);
    assert_eq!(chat.ask("m3", "model", "Hello").await.text, "Hello.");
    let (status, detailed) = http.get("/health/detailed").await;
    assert_eq!((status, &detailed["status"]), (200, &json!("pass")), "{detailed}");
    let breakers = &detailed["checks"]["circuitBreakers"];
    assert_eq!(
        (&breakers["status"], &breakers["message"]),
        (&json!("pass"), &json!("All circuit breakers operational"))
    );
    let stats = &breakers["breakers"]["llm.main"]["stats"];
    assert_eq!((&stats["failures"], &stats["successes"]), (&json!(2), &json!(1)));
    assert!(stats["rejections"].as_u64().unwrap() >= 1, "{stats}");
}

// B10: what is not there and not required is a warning, and says which.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_gone_is_a_warning_and_the_host_stays_ready() {
    let upstream = Upstream::start().await;
    let bed = bed(&upstream).await;
    std::fs::remove_file(bed.root().join("shop.db")).unwrap();
    let detailed = eventually("the loss to be noticed", async || {
        let (status, detailed) = bed.http().get("/health/detailed").await;
        assert_eq!(status, 200, "{detailed}");
        (detailed["status"] == "warn").then_some(detailed)
    })
    .await;
    let backends = &detailed["checks"]["backends"];
    assert_eq!(backends["message"], "Not answering: sql.shop");
    assert_eq!(backends["backends"]["sql.shop"], "unavailable");
    assert_eq!(detailed["checks"]["readiness"]["status"], "pass");
    assert!(!detailed.to_string().contains("shop.db"), "no paths: {detailed}");
}

// O39, O12
#[tokio::test(flavor = "multi_thread")]
async fn info_counts_what_was_really_done() {
    let upstream = Upstream::start().await;
    let bed = bed(&upstream).await;
    let http = bed.http();
    let none = http.get_ok("/health/info").await;
    assert_eq!(none["cache"], json!({ "hitRate": 0.0, "memoryUsage": "0%" }));
    assert_eq!(
        none["performance"],
        json!({ "avgResponseTime": 0.0, "throughput": 0 })
    );
    assert_eq!(
        none["messageQueue"],
        json!({ "circuitBreaker": "CLOSED", "failures": 0 })
    );
    assert_eq!(none["database"]["slowQueries"], 0);
    let mut chat = bed.chat().await;
    for number in 0..4 {
        let reply = chat
            .ask(&format!("d{number}"), "docs", "How long is green tea steeped?")
            .await;
        assert!(reply.text.contains("two minutes"), "{reply:?}");
    }
    let reply = chat.ask("s", "sql", "How many items are there?").await;
    assert!((reply.last["type"] == "done"), "{reply:?}");
    let crash = chat.ask("c", "do", "panic").await;
    assert!(crash.last["type"] == "error", "{crash:?}");
    let info = http.get_ok("/health/info").await;
    let caches = bed.admin().get_ok("/caches").await;
    assert_eq!(
        info["cache"]["hitRate"], caches["caches"][0]["hit_rate"],
        "{caches}"
    );
    assert!(info["cache"]["hitRate"].as_f64().unwrap() >= 0.5, "{info}");
    assert_eq!(info["performance"]["throughput"], 6, "{info}");
    assert!(
        info["performance"]["avgResponseTime"].as_f64().unwrap() > 0.0,
        "{info}"
    );
    assert!(info["database"]["connections"].as_u64().unwrap() >= 1, "{info}");
    assert_eq!(info["messageQueue"]["failures"], 1, "{info}");
    let metrics = http.get_ok("/metrics").await;
    let metrics = metrics.as_str().unwrap();
    assert!(
        metrics.contains("segue_sql_queries_max{database=\"shop\"} 4"),
        "{metrics}"
    );
    assert!(
        metrics.contains("segue_sql_queries_active{database=\"shop\"} 0"),
        "{metrics}"
    );
}
