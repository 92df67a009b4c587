//! One trace a message, told to a collector: a tree from the socket to the
//! upstream, whose identities are those that clients and upstreams know; failures
//! marked; nothing of what was said in it. A collector that is down, refuses or
//! hangs holds nothing up, and what it misses is counted.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use segue_tests::collector::{Collector, Manner, failed, has, hex, named, names, said};
use segue_tests::{Act, Bed, Chat, Connect, Http, Process, Site, Upstream, eventually, within};
use serde_json::{Value, json};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn traceparent() -> String {
    format!("00-{TRACE}-{PARENT}-01")
}

/// `chat` is answered by the model behind `upstream`, `do` by a plugin.
async fn bed(upstream: &Upstream, endpoint: &str, telemetry: &str) -> Bed {
    let base_url = upstream.base_url();
    Site::builder()
        .plugin("chat")
        .plugin("misbehave")
        .sidecar("chat", "[grants]\nllm = [\"main\"]\nsession = [\"history\"]\n")
        .config(&format!(
            r#"
            [plugins.max_grants]
            llm = ["main"]
            session = ["history"]

            [llm.main]
            provider = "openai"
            base_url = "{base_url}"
            model = "scripted"

            [telemetry]
            otlp_endpoint = "{endpoint}"
            {telemetry}

            [[route]]
            match = {{ mtype = "chat" }}
            handler = "chat"

            [[route]]
            match = {{ mtype = "do" }}
            handler = "misbehave"

            [[endpoint]]
            path = "/model"
            kind = "raw"
            handler = "chat"
            "#
        ))
        .start()
        .await
}

/// Each span is the parent of the next.
fn assert_line(spans: &[Span], line: &[&str]) {
    for pair in line.windows(2) {
        let (above, below) = (named(spans, pair[0]), named(spans, pair[1]));
        assert_eq!(hex(&below.parent_span_id), hex(&above.span_id), "{pair:?}");
        assert!(
            below.start_time_unix_nano >= above.start_time_unix_nano,
            "{pair:?}"
        );
    }
    let trace = &named(spans, line[0]).trace_id;
    assert!(spans.iter().all(|span| &span.trace_id == trace), "one trace");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_one_tree_from_the_socket_to_the_upstream() {
    let (upstream, collector) = (Upstream::start().await, Collector::start(Manner::Takes).await);
    upstream.script([Act::tokens(["One", ", two"]), Act::usage(12, 5)]);
    let more = "service_name = \"shop\"\nresource = { \"deployment.environment.name\" = \"test\" }";
    let bed = bed(&upstream, &collector.endpoint(), more).await;
    let mut chat = bed.chat().await;
    let message = json!({
        "type": "message", "id": "a-secret-id", "mtype": "chat", "content": "a secret question",
        "traceparent": traceparent(),
    });
    chat.send(message).await;
    assert_eq!(chat.reply("a-secret-id").await.text, "One, two");
    chat.close().await;
    bed.host.stop().await;

    let all = collector.spans("the message's span", has("process chat")).await;
    let spans: Vec<Span> = all
        .into_iter()
        .filter(|span| hex(&span.trace_id) == TRACE)
        .collect();
    let line = [
        "process chat",
        "dispatch",
        "call chat",
        "llm.complete",
        "chat main",
    ];
    assert_line(&spans, &line);
    let root = named(&spans, "process chat");
    assert_eq!(hex(&root.parent_span_id), PARENT, "the client's own");
    assert_eq!(root.kind, SpanKind::Consumer as i32);
    assert_eq!(said(root)["segue.outcome"], "ok");

    // Who the upstream was told of is who was exported.
    let asked = upstream.request(0).await;
    let model = named(&spans, "chat main");
    let told = format!("00-{TRACE}-{}-01", hex(&model.span_id));
    assert_eq!(asked.header("traceparent"), Some(told.as_str()));
    assert_eq!(model.kind, SpanKind::Client as i32);
    let of_model = said(model);
    assert_eq!(of_model["gen_ai.operation.name"], "chat");
    assert_eq!(of_model["gen_ai.usage.input_tokens"], "12");
    assert_eq!(of_model["gen_ai.usage.output_tokens"], "5");

    assert!(!spans.iter().any(failed), "{spans:?}");
    let everything = format!("{spans:?}");
    assert!(
        !everything.contains("secret") && !everything.contains("two"),
        "{everything}"
    );
    let resource = collector.resource();
    assert_eq!(resource["service.name"], "shop");
    assert_eq!(resource["deployment.environment.name"], "test");
    assert!(resource.contains_key("service.version") && resource.contains_key("service.instance.id"));
    assert!(
        collector.heads()[0].starts_with("POST /v1/traces "),
        "{:?}",
        collector.heads()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_marked_with_its_code_all_the_way_up() {
    let (upstream, collector) = (Upstream::start().await, Collector::start(Manner::Takes).await);
    upstream.answer(|_| vec![Act::status(401, "who?")]);
    let bed = bed(&upstream, &collector.endpoint(), "").await;
    let mut chat = bed.chat().await;
    assert_eq!(
        chat.ask("m1", "chat", "Hello").await.error_code(),
        "upstream_rejected"
    );
    chat.close().await;
    bed.host.stop().await;
    let spans = collector.spans("the message's span", has("process chat")).await;
    for name in ["process chat", "call chat", "chat main"] {
        let span = named(&spans, name);
        assert!(failed(span), "{name}");
        assert_eq!(said(span)["error.type"], "upstream_rejected", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_the_request_is_above_its_message_and_below_its_client() {
    let (upstream, collector) = (Upstream::start().await, Collector::start(Manner::Takes).await);
    let bed = bed(&upstream, &collector.endpoint(), "").await;
    let http = bed.http();
    let request = http
        .request(reqwest::Method::POST, "/v1/messages")
        .header("accept", "application/json")
        .header("traceparent", traceparent())
        .json(&json!({"mtype": "do", "content": "traceparent"}));
    let answer: Value = http.send(request).await.json().await.expect("JSON");
    bed.host.stop().await;
    let spans = collector
        .spans("the request's span", has("POST /v1/messages"))
        .await;
    let line = ["POST /v1/messages", "process do", "dispatch", "call misbehave"];
    assert_line(&spans, &line);
    let request = named(&spans, "POST /v1/messages");
    assert_eq!(hex(&request.parent_span_id), PARENT);
    assert_eq!(request.kind, SpanKind::Server as i32);
    assert_eq!(said(request)["http.response.status_code"], "200");
    // The plugin is told of its own call.
    let call = hex(&named(&spans, "call misbehave").span_id);
    assert_eq!(answer["content"], format!("00-{TRACE}-{call}-01"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sockets_trace_is_its_messages_unless_they_say_another() {
    let (upstream, collector) = (Upstream::start().await, Collector::start(Manner::Takes).await);
    let bed = bed(&upstream, &collector.endpoint(), "").await;
    let connect = Connect::default().header("traceparent", &traceparent());
    let mut named_by_head = connect.open(bed.addr()).await;
    assert!(
        named_by_head
            .ask("m1", "do", "traceparent")
            .await
            .text
            .contains(TRACE)
    );
    let other = "0af7651916cd43dd8448eb211c80319c";
    let own = json!({
        "type": "message", "id": "m2", "mtype": "do", "content": "traceparent",
        "traceparent": format!("00-{other}-{PARENT}-01"),
    });
    named_by_head.send(own).await;
    assert!(named_by_head.reply("m2").await.text.contains(other));
    // Without one each message is a trace of its own.
    let mut nameless = bed.chat().await;
    let first = nameless.ask("m1", "do", "traceparent").await.text;
    let second = nameless.ask("m2", "do", "traceparent").await.text;
    assert_ne!(first.get(3..35), second.get(3..35));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_that_its_client_does_not_keep_is_not_exported() {
    let (upstream, collector) = (Upstream::start().await, Collector::start(Manner::Takes).await);
    let bed = bed(&upstream, &collector.endpoint(), "sample = 0.0").await;
    let mut chat = bed.chat().await;
    let ask = |id: &str, flags: &str| {
        json!({
            "type": "message", "id": id, "mtype": "do", "content": "traceparent",
            "traceparent": format!("00-{TRACE}-{PARENT}-{flags}"),
        })
    };
    chat.send(ask("m1", "00")).await;
    assert!(chat.reply("m1").await.text.ends_with("-00"));
    chat.ask("m2", "do", "traceparent").await;
    chat.send(ask("m3", "01")).await;
    assert!(chat.reply("m3").await.text.ends_with("-01"));
    chat.close().await;
    bed.host.stop().await;
    let spans = collector.spans("the one trace", has("process do")).await;
    let messages = spans.iter().filter(|span| span.name == "process do").count();
    assert_eq!(messages, 1, "{:?}", names(&spans));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_down_refuses_or_hangs_holds_nothing_up() {
    let upstream = Upstream::start().await;
    let down = Collector::start(Manner::Takes).await.endpoint();
    let refuses = Collector::start(Manner::Refuses).await;
    let hangs = Collector::start(Manner::Hangs).await;
    for (what, endpoint) in [
        ("down", down),
        ("refuses", refuses.endpoint()),
        ("hangs", hangs.endpoint()),
    ] {
        // Who waited for it would wait for long.
        let bed = bed(&upstream, &endpoint, "queue = 16\notlp_timeout = \"1m\"").await;
        let mut chat = bed.chat().await;
        let since = Instant::now();
        let http = bed.http();
        // Each is several spans: once a batch is on its way the queue is soon full.
        for number in 0.. {
            let id = format!("m{number}");
            let reply = within(what, chat.ask(&id, "do", "traceparent")).await;
            assert_eq!(reply.last["type"], "done", "{what}: {reply:?}");
            assert!(
                since.elapsed() < Duration::from_secs(30),
                "{what}: message {number}"
            );
            if http.metric("segue_spans_dropped_total").await > 0.0 {
                break;
            }
        }
        chat.close().await;
        assert_eq!(http.metric("segue_spans_exported_total").await, 0.0, "{what}");
        let since = Instant::now();
        within("the host to stop", bed.host.stop()).await;
        assert!(
            since.elapsed() < Duration::from_secs(15),
            "{what}: {:?}",
            since.elapsed()
        );
    }
    assert!(refuses.batches() > 0 && hangs.batches() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_back_takes_what_waited_for_it() {
    let (upstream, collector) = (Upstream::start().await, Collector::start(Manner::Refuses).await);
    let bed = bed(&upstream, &collector.endpoint(), "").await;
    let mut chat = bed.chat().await;
    chat.ask("m1", "do", "traceparent").await;
    collector.asked().await;
    collector.set(Manner::Takes);
    collector.spans("the first message", has("process do")).await;
    let http = bed.http();
    eventually("exported spans to be counted", || async {
        (http.metric("segue_spans_exported_total").await > 0.0).then_some(())
    })
    .await;
    assert_eq!(http.metric("segue_spans_dropped_total").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_that_a_collector_rejects_are_dropped_spans() {
    let (upstream, collector) = (Upstream::start().await, Collector::start(Manner::Rejects).await);
    let bed = bed(&upstream, &collector.endpoint(), "").await;
    bed.chat().await.ask("m1", "do", "traceparent").await;
    let http = bed.http();
    eventually("rejected spans to be counted", || async {
        (http.metric("segue_spans_dropped_total").await >= 1.0).then_some(())
    })
    .await;
    assert_eq!(http.metric("segue_spans_exported_total").await, 0.0);
}

/// What the log tells of a collector: once when it refuses, with the mend, and once
/// when it takes spans again; no line has its key.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_told_once_and_how_to_mend_it() {
    let collector = Collector::start(Manner::Unknown).await;
    let endpoint = collector.endpoint();
    let site = Site::builder()
        .plugin("misbehave")
        .file("key", "hunter2")
        .config(&format!(
            r#"
            [telemetry]
            otlp_endpoint = "{endpoint}"

            [telemetry.otlp_headers]
            X-Key = "file:key"

            [[route]]
            match = {{ mtype = "do" }}
            handler = "misbehave"
            "#
        ))
        .build();
    let mut host = Process::serve(&site);
    let (public, _) = host.serving().await;
    let mut chat = Chat::connect(public).await;
    let http = Http::new(public, None);
    for number in 0..3 {
        let dropped = http.metric("segue_spans_dropped_total").await;
        chat.ask(&format!("m{number}"), "do", "traceparent").await;
        eventually("the batch to be dropped", || async {
            (http.metric("segue_spans_dropped_total").await > dropped).then_some(())
        })
        .await;
    }
    collector.set(Manner::Takes);
    chat.ask("last", "do", "traceparent").await;
    let back = host.line("a word that it is back", |line| {
        line.text.contains("takes spans again")
    });
    back.await;
    host.terminate();
    let said = host.finished().await;
    let refusals: Vec<&str> = said
        .output
        .lines()
        .filter(|line| line.contains("takes no spans"))
        .collect();
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    assert!(refusals[0].contains("401") && refusals[0].contains("[telemetry.otlp_headers]"));
    assert!(collector.heads()[0].to_lowercase().contains("x-key: hunter2"));
    assert!(said.output.lines().all(|line| !line.contains("hunter2")));
}

const SHOP: &str = "CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
    INSERT INTO products VALUES (1, 'green tea'), (2, 'black tea'), (3, 'cup');";

/// `sql-rag` over a shop and `doc-rag` over a page, both with the model behind
/// `upstream`.
async fn shop(upstream: &Upstream, endpoint: &str, telemetry: &str) -> Bed {
    let base_url = upstream.base_url();
    Site::builder()
        .database("shop.db", SHOP)
        .file("docs/tea.md", "# Tea\n\nSteep green tea for two minutes.\n")
        .plugin("sql-rag")
        .sidecar("sql-rag", "[grants]\nsql = [\"shop\"]\nllm = [\"main\"]\n")
        .plugin("doc-rag")
        .sidecar("doc-rag", "[grants]\nsearch = [\"docs\"]\nllm = [\"main\"]\n")
        .config(&format!(
            r#"
            [plugins.max_grants]
            sql = ["shop"]
            search = ["docs"]
            llm = ["main"]

            [sql.shop]
            url = "sqlite:shop.db"

            [search.docs]
            path = "docs"

            [llm.main]
            provider = "openai"
            base_url = "{base_url}"
            model = "scripted"

            [telemetry]
            otlp_endpoint = "{endpoint}"
            {telemetry}

            [[route]]
            match = {{ mtype = "sql" }}
            handler = "sql-rag"

            [[route]]
            match = {{ mtype = "doc" }}
            handler = "doc-rag"
            "#
        ))
        .start()
        .await
}

/// Asks a message of the shop in [`TRACE`], and gives its spans.
async fn traced(upstream: &Upstream, telemetry: &str, mtype: &str, content: &str) -> Vec<Span> {
    let collector = Collector::start(Manner::Takes).await;
    let bed = shop(upstream, &collector.endpoint(), telemetry).await;
    let mut chat = bed.chat().await;
    chat.send(json!({
        "type": "message", "id": "m1", "mtype": mtype, "content": content, "traceparent": traceparent(),
    }))
    .await;
    let reply = chat.reply("m1").await;
    assert_eq!(reply.last["type"], "done", "{reply:?}");
    chat.close().await;
    bed.host.stop().await;
    let root = if mtype == "sql" {
        "process sql"
    } else {
        "process doc"
    };
    let spans = collector.spans("the message's span", has(root)).await;
    spans
        .into_iter()
        .filter(|span| hex(&span.trace_id) == TRACE)
        .collect()
}

/// The last one asked.
fn the_query(spans: &[Span]) -> &Span {
    let queries = spans.iter().filter(|span| span.name == "SELECT shop");
    queries
        .max_by_key(|span| span.start_time_unix_nano)
        .expect("a query")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_to_a_database_tells_of_the_query_but_not_its_text() {
    let upstream = Upstream::start().await;
    upstream.answer(|_| {
        vec![
            Act::say("SELECT name FROM products WHERE id < 3"),
            Act::usage(100, 10),
        ]
    });
    let question = "Which products have a secret id below 3?";
    let spans = traced(&upstream, "", "sql", question).await;
    assert_line(
        &spans,
        &[
            "process sql",
            "dispatch",
            "call sql-rag",
            "llm.complete",
            "chat main",
        ],
    );
    assert_line(&spans, &["call sql-rag", "sql.run", "SELECT shop"]);
    let call = said(named(&spans, "call sql-rag"));
    assert_eq!(call["segue.handler.name"], "sql-rag");
    assert!(call["segue.handler.version"].starts_with("sha256:"), "{call:?}");
    let run = said(named(&spans, "sql.run"));
    assert_eq!(
        (run["segue.capability"].as_str(), run["segue.scope"].as_str()),
        ("sql", "shop")
    );
    // Those that look for words of the question in the tables come before it.
    let query = the_query(&spans);
    assert_eq!(query.kind, SpanKind::Client as i32);
    let query = said(query);
    assert_eq!(query["db.system.name"], "sqlite");
    assert_eq!(query["db.namespace"], "shop");
    assert_eq!(query["db.operation.name"], "SELECT");
    assert_eq!(query["db.response.returned_rows"], "2");
    let everything = format!("{spans:?}");
    for text in ["secret", "green tea", "FROM products"] {
        assert!(!everything.contains(text), "{text} in {everything}");
    }

    let spans = traced(&upstream, "query_text = true", "sql", question).await;
    let query = said(the_query(&spans));
    assert!(query["db.query.text"].contains("FROM products"), "{query:?}");
    let everything = format!("{spans:?}");
    assert!(!everything.contains("green tea"), "never what came: {everything}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_to_documents_tells_of_the_search_and_the_model() {
    let upstream = Upstream::start().await;
    upstream.answer(|_| vec![Act::say("Two minutes [1]."), Act::usage(100, 10)]);
    let spans = traced(&upstream, "", "doc", "How long do I steep green tea?").await;
    assert_line(
        &spans,
        &["process doc", "dispatch", "call doc-rag", "search.read"],
    );
    assert_line(&spans, &["call doc-rag", "llm.complete", "chat main"]);
    let read = said(named(&spans, "search.read"));
    assert_eq!(read["segue.search.hits"], "1");
    assert_eq!(read["segue.scope"], "docs");
    // Who the upstream was told of is who was exported.
    let asked = upstream.request(0).await;
    let model = hex(&named(&spans, "chat main").span_id);
    assert_eq!(
        asked.header("traceparent"),
        Some(format!("00-{TRACE}-{model}-01").as_str())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_is_marked_and_a_cancel_is_told() {
    let (upstream, collector) = (Upstream::start().await, Collector::start(Manner::Takes).await);
    let bed = bed(&upstream, &collector.endpoint(), "").await;
    let mut chat = bed.chat().await;
    let reply = chat.ask("m1", "do", "panic").await;
    assert_eq!(reply.error_code(), "handler_trapped");
    chat.message("m2", "do", "slow 1000000 20").await;
    chat.until("chunk").await;
    chat.send(json!({"type": "cancel", "id": "m2"})).await;
    assert_eq!(chat.until("error").await["code"], "cancelled");
    chat.close().await;
    bed.host.stop().await;
    let both = |spans: &[Span]| spans.iter().filter(|span| span.name == "process do").count() == 2;
    let spans = collector.spans("both messages", both).await;
    let of = |outcome: &str| {
        let mut found = spans.iter().filter(|span| span.name == "process do");
        found
            .find(|span| said(span)["segue.outcome"] == outcome)
            .unwrap_or_else(|| panic!("{spans:?}"))
    };
    let below = |root: &Span, name: &str| {
        let mut of_trace = spans.iter().filter(|span| span.trace_id == root.trace_id);
        of_trace.find(|span| span.name == name).cloned().unwrap()
    };
    let crashed = of("handler_trapped");
    assert!(failed(crashed) && failed(&below(crashed, "call misbehave")));
    // Its client wanted that: no failure of the host's.
    let cancelled = of("cancelled");
    let call = below(cancelled, "call misbehave");
    assert!(!failed(cancelled) && !failed(&call), "{cancelled:?}");
    assert_eq!(said(&call)["segue.outcome"], "cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_a_swap_meets_tells_of_the_version_it_began_on() {
    let (upstream, collector) = (Upstream::start().await, Collector::start(Manner::Takes).await);
    upstream.script([Act::say("One"), Act::Pause, Act::say(" two")]);
    upstream.script([Act::say("Three")]);
    let mut bed = bed(&upstream, &collector.endpoint(), "").await;
    let mut chat = bed.chat().await;
    chat.message("m1", "chat", "Hello").await;
    chat.until("chunk").await;
    let sidecar = "[grants]\nllm = [\"main\"]\nsession = [\"history\"]\n[settings]\nother = true\n";
    bed.drop_by_rename("chat.toml", sidecar.as_bytes());
    let newer = bed.loaded("chat").await;
    upstream.release();
    let first = chat.until("done").await["version"].as_str().unwrap().to_owned();
    let second = chat.ask("m2", "chat", "Hello").await.version().to_owned();
    assert!(second == newer && first != second);
    chat.close().await;
    bed.host.stop().await;
    let both = |spans: &[Span]| spans.iter().filter(|span| span.name == "process chat").count() == 2;
    let mut spans = collector.spans("both messages", both).await;
    spans.retain(|span| span.name == "call chat");
    spans.sort_by_key(|span| span.start_time_unix_nano);
    let versions: Vec<String> = spans
        .iter()
        .map(|span| said(span)["segue.handler.version"].clone())
        .collect();
    assert_eq!(versions, [first, second]);
}
