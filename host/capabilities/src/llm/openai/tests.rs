//! What is guarded: an answer comes out as the server says it and while it says
//! it, every way a server can fail has its code, and a completion that is dropped
//! leaves its server at once. The server is a real socket that each test speaks
//! for, word by word.

mod failures;
mod remembered;
mod server;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{FutureExt, StreamExt};
use segue_resilience::Guards;
use segue_runtime::{HandlerError, Meters};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::super::settings::{ApiKey, Model, OpenAi};
use super::super::{Asker, Completion, Fault, Kind, Models, Piece, Prompt};
use super::{Client, Group};
use server::{STREAM, Server, delta, event};

const KEY: &str = "sk-test-0123456789";

fn prompt() -> Prompt {
    let mut prompt = Prompt::new();
    prompt.push(Piece::User(String::from("What is lost?")));
    prompt
}

/// The model `main` under these settings.
fn models(settings: OpenAi) -> Arc<Models> {
    Models::new(
        BTreeMap::from([(String::from("main"), Model::OpenAi(settings))]),
        BTreeMap::new(),
        Guards::permissive(),
        Handle::current(),
    )
}

fn ask(models: &Models) -> Completion {
    ask_as("plugin", models).unwrap()
}

fn ask_as(plugin: &str, models: &Models) -> Result<Completion, Fault> {
    models.complete("main", &prompt(), asker(plugin, "", &Meters::default()))
}

fn asker<'a>(plugin: &'a str, traceparent: &'a str, meters: &'a Meters) -> Asker<'a> {
    Asker {
        plugin,
        traceparent,
        meters,
        deadline: None,
    }
}

/// All of it, up to its end or its fault.
async fn read(mut completion: Completion) -> (String, Result<(), Fault>) {
    let mut text = String::new();
    loop {
        match completion.next().await {
            Ok(Some(piece)) => text.push_str(&piece),
            Ok(None) => return (text, Ok(())),
            Err(fault) => return (text, Err(fault)),
        }
    }
}

fn next(completion: &mut Completion) -> Option<Result<Option<String>, Fault>> {
    completion.next().now_or_never()
}

fn piece(text: &str) -> Result<Option<String>, Fault> {
    Ok(Some(String::from(text)))
}

#[tokio::test]
async fn text_comes_out_while_the_server_still_speaks() {
    let server = Server::start().await;
    let mut settings = server.settings();
    settings.api_key = Some(ApiKey::new(KEY).unwrap());
    let (models, meters) = (models(settings), Meters::default());
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let mut answer = models
        .complete("main", &prompt(), asker("plugin", trace, &meters))
        .unwrap();
    let mut link = server.accept().await;

    let request = link.request().await;
    let lines: Vec<&str> = request.head.lines().collect();
    assert_eq!(lines[0], "POST /v1/chat/completions HTTP/1.1");
    for line in [
        format!("Authorization: Bearer {KEY}"),
        format!("Traceparent: {trace}"),
        format!("Host: {}", server.address()),
        String::from("Content-Type: application/json"),
    ] {
        assert!(lines.contains(&line.as_str()), "{line}: {lines:?}");
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(
        body["messages"],
        json!([{"role": "user", "content": "What is lost?"}])
    );
    assert_eq!(
        (&body["stream"], &body["stream_options"]["include_usage"]),
        (&json!(true), &json!(true))
    );

    link.send(STREAM).await;
    link.chunk(": a comment\n\n").await;
    link.chunk(&delta("No")).await;
    assert_eq!(answer.next().await, piece("No"));
    assert_eq!(next(&mut answer), None, "nothing more was said yet");
    link.chunk(&delta("thing.")).await;
    assert_eq!(answer.next().await, piece("thing."));
    assert_eq!(answer.usage(), None);
    link.chunk(&event(
        &json!({"choices": [{"delta": {}, "finish_reason": "stop"}]}),
    ))
    .await;
    link.chunk(&event(
        &json!({"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 3}}),
    ))
    .await;
    link.chunk("data: [DONE]\n\n").await;
    assert_eq!(answer.next().await, Ok(None));
    assert_eq!(answer.next().await, Ok(None));
    assert_eq!(
        answer
            .usage()
            .map(|usage| (usage.input_tokens, usage.output_tokens)),
        Some((12, 3))
    );
    let counted = BTreeMap::from([
        ("llm.input_tokens", 12),
        ("llm.output_tokens", 3),
        ("llm.requests", 1),
    ]);
    assert_eq!(meters.read(), counted);
}

#[tokio::test]
async fn a_source_is_the_rest_and_counts_what_it_costs() {
    let server = Server::start().await;
    let (models, meters) = (models(server.settings()), Meters::default());
    let mut answer = models
        .complete("main", &prompt(), asker("plugin", "", &meters))
        .unwrap();
    let mut link = server.accept().await;
    link.request().await;
    link.send(STREAM).await;
    link.chunk(&delta("a")).await;
    assert_eq!(answer.next().await, piece("a"));
    let mut source = answer.into_source();
    link.chunk(&delta("b")).await;
    assert_eq!(source.next().await, Some(Ok(String::from("b"))));
    link.chunk(&event(
        &json!({"error": {"message": "out of memory"}, "usage": null}),
    ))
    .await;
    let error = source.next().await.unwrap().unwrap_err();
    let expected = HandlerError {
        code: String::from("upstream_failed"),
        message: String::from("the model's server failed within its answer: out of memory"),
        retryable: true,
        retry_after_ms: None,
    };
    assert_eq!(error, expected);
    assert_eq!(source.next().await, None, "an error is the last word");
    assert_eq!(meters.read(), BTreeMap::from([("llm.requests", 1)]));
    link.closed().await;
}

#[tokio::test]
async fn a_connection_serves_one_completion_after_the_other() {
    let server = Server::start().await;
    let models = models(server.settings());
    let first = ask(&models);
    let mut link = server.accept().await;
    for (round, answer) in [first]
        .into_iter()
        .chain((0..3).map(|_| ask(&models)))
        .enumerate()
    {
        link.request().await;
        link.send(STREAM).await;
        link.chunk(&delta("a")).await;
        // Now with the end of the body at once, now long after `[DONE]`.
        if round % 2 == 0 {
            link.chunk("data: [DONE]\n\n").await;
            assert_eq!(read(answer).await, (String::from("a"), Ok(())));
            link.send("0\r\n\r\n").await;
        } else {
            link.send("e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n").await;
            assert_eq!(read(answer).await, (String::from("a"), Ok(())));
        }
        models.until_pooled(1).await;
    }
}

#[tokio::test]
async fn a_connection_that_the_server_has_closed_is_replaced() {
    let server = Server::start().await;
    let models = models(server.settings());
    let answer = ask(&models);
    let mut link = server.accept().await;
    link.request().await;
    link.send("HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\ndata: [DONE]\n\n")
        .await;
    assert_eq!(read(answer).await.1, Ok(()));
    models.until_pooled(1).await;
    // It closes only when the next request is there: too late to be seen before.
    let answer = ask(&models);
    link.request().await;
    drop(link);
    let mut fresh = server.accept().await;
    fresh.request().await;
    fresh
        .send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\ndata: [DONE]\n\n")
        .await;
    drop(fresh);
    assert_eq!(read(answer).await.1, Ok(()));
    models.until_pooled(0).await;
}

#[tokio::test]
async fn a_dropped_completion_closes_its_connection_wherever_it_stands() {
    let server = Server::start().await;
    let models = models(server.settings());

    let answer = ask(&models);
    let mut before_the_head = server.accept().await;
    before_the_head.request().await;
    drop(answer);
    before_the_head.closed().await;

    let mut answer = ask(&models);
    let mut within_the_answer = server.accept().await;
    within_the_answer.request().await;
    within_the_answer.send(STREAM).await;
    within_the_answer.chunk(&delta("a")).await;
    assert_eq!(answer.next().await, piece("a"));
    assert_eq!(next(&mut answer), None);
    drop(answer);
    within_the_answer.closed().await;

    let source = ask(&models).into_source();
    let mut forwarded = server.accept().await;
    forwarded.request().await;
    forwarded.send(STREAM).await;
    drop(source);
    forwarded.closed().await;
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_felt_by_the_server() {
    let server = Server::start().await;
    let mut settings = server.settings();
    settings.max_answer = u64::MAX;
    let models = models(settings);
    let mut answer = ask(&models);
    let mut link = server.accept().await;
    link.request().await;
    link.send(STREAM).await;
    link.chunk(&delta("a")).await;
    assert_eq!(answer.next().await, piece("a"));
    let filled = link.fill(&delta(&"x".repeat(500))).await;
    assert!(
        filled < 64 << 20,
        "{filled} bytes are kept for a reader that does not read"
    );
    // It reads on where it was.
    let mut text = 0;
    while text < 10_000 {
        let piece = answer.next().await.unwrap().unwrap();
        assert!(piece.bytes().all(|byte| byte == b'x'));
        text += piece.len();
    }
}

#[tokio::test]
async fn completions_past_the_bound_are_refused_until_one_is_over() {
    let server = Server::start().await;
    let mut settings = server.settings();
    settings.max_in_flight = 2;
    let models = models(settings);
    let both = || (ask(&models), ask_as("other", &models).unwrap());
    let (one, two) = both();
    let refused = ask_as("third", &models).err().unwrap();
    assert_eq!((refused.kind, refused.kind.retryable()), (Kind::Overloaded, true));

    let mut link = server.accept().await;
    link.request().await;
    link.send("HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\n{}").await;
    let mut other = server.accept().await;
    other.request().await;
    other.send(STREAM).await;
    other.chunk("data: [DONE]\n\n").await;
    let (one, two) = tokio::join!(read(one), read(two));
    assert!(one.1.is_err() != two.1.is_err());
    other.send("0\r\n\r\n").await;
    models.until_pooled(2).await;
    drop(both());
}

#[tokio::test]
async fn one_plugin_leaves_half_of_a_model_to_the_others() {
    let server = Server::start().await;
    let mut settings = server.settings();
    settings.max_in_flight = 5;
    let models = models(settings);
    // Handed over to the host, and parked there: it still holds its place.
    let handed_over = ask_as("greedy", &models).unwrap().into_source();
    let held = ask_as("greedy", &models).unwrap();
    let refused = ask_as("greedy", &models).err().unwrap();
    assert_eq!(refused.kind, Kind::Overloaded);
    assert!(refused.message.contains("its share"), "{refused}");
    let modest = ask_as("modest", &models).unwrap();
    drop(handed_over);
    // The task that it was gives its place back once it is seen to be aborted.
    let again = loop {
        match ask_as("greedy", &models) {
            Ok(again) => break again,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    drop((held, modest, again));
}

#[tokio::test]
async fn what_did_not_change_is_carried_over() {
    let server = Server::start().await;
    let settings = server.settings();
    let before = models(settings.clone());
    let answer = ask(&before);
    let mut link = server.accept().await;
    link.request().await;
    link.send("HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\ndata: [DONE]\n\n")
        .await;
    assert_eq!(read(answer).await.1, Ok(()));
    before.until_pooled(1).await;

    let named = |model: Model| BTreeMap::from([(String::from("main"), model)]);
    let same = before.update(named(Model::OpenAi(settings.clone())), BTreeMap::new());
    same.until_pooled(1).await;
    assert!(same.state()[0].detail.contains("went well"), "{:?}", same.state());
    let mut other = settings;
    other.max_tokens = Some(7);
    let changed = same.update(named(Model::OpenAi(other)), BTreeMap::new());
    changed.until_pooled(0).await;
    assert!(
        changed.state()[0].detail.contains("not asked yet"),
        "{:?}",
        changed.state()
    );
    let offline = changed.update(named(Model::Offline), BTreeMap::new());
    assert_eq!(offline.generates("main"), Ok(false));
    assert_eq!(
        offline
            .update(BTreeMap::new(), BTreeMap::new())
            .generates("main")
            .unwrap_err()
            .kind,
        Kind::Unavailable
    );
}

#[tokio::test]
async fn an_answer_is_read_over_tls() {
    let key = rcgen::generate_simple_self_signed([String::from("localhost")]).unwrap();
    let server = Server::start_tls(&key).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(key.cert.der().clone()).unwrap();
    let trust =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    let mut client = Client::new("main", server.settings(), Handle::current());
    client.target = client.target.map(|target| target.trusting(trust));
    let (guards, here) = (Guards::permissive(), Handle::current());
    let models = Models::of(Group::of(client, &guards, &here), guards, here);
    let answer = ask(&models);
    let mut link = server.accept().await;
    link.request().await;
    link.send(STREAM).await;
    link.chunk(&delta("a")).await;
    link.chunk("data: [DONE]\n\n").await;
    assert_eq!(read(answer).await, (String::from("a"), Ok(())));
}
