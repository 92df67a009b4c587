//! What is guarded: each way a server can fail has its code, its sentence holds
//! no key, and nothing is waited for longer than the operator allows.

use std::sync::Mutex;
use std::time::Duration;

use tokio::net::TcpListener;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::*;

/// What becomes of a response, after which the server closes.
async fn ends(response: &[u8]) -> (String, Option<Fault>) {
    let server = Server::start().await;
    let mut settings = server.settings();
    settings.api_key = Some(ApiKey::new(KEY).unwrap());
    let models = models(settings);
    let answer = ask(&models);
    let mut link = server.accept().await;
    link.request().await;
    link.send_bytes(response).await;
    drop(link);
    let (text, result) = read(answer).await;
    if let Err(fault) = &result {
        assert!(
            models.state()[0].detail.contains(fault.kind.code()),
            "{:?}",
            models.state()
        );
    }
    (text, result.err())
}

fn stream(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n{body}").into_bytes()
}

#[tokio::test]
async fn every_failure_has_its_code() {
    let cut = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{}",
        999,
        delta("a")
    );
    let unframed = format!("{STREAM}zz\r\n{}", delta("a"));
    for (response, kind, text) in [
        (b"".to_vec(), Kind::Unavailable, ""),
        (b"HTTP/1.1 200".to_vec(), Kind::Unavailable, ""),
        (b"\x00\x01\x02\x03 garbage\r\n\r\n".to_vec(), Kind::Failed, ""),
        (
            b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n".to_vec(),
            Kind::Misconfigured,
            "",
        ),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n{}".to_vec(), Kind::Rejected, ""),
        (
            b"HTTP/1.1 401 Unauthorized\r\n\r\n".to_vec(),
            Kind::Misconfigured,
            "",
        ),
        (
            b"HTTP/1.1 429 Slow Down\r\nRetry-After: 2\r\n\r\n".to_vec(),
            Kind::RateLimited,
            "",
        ),
        (b"HTTP/1.1 503 No\r\n\r\n".to_vec(), Kind::Unavailable, ""),
        (b"HTTP/1.1 204 None\r\n\r\n".to_vec(), Kind::Failed, ""),
        (stream("<!DOCTYPE html><p>Welcome"), Kind::Failed, ""),
        (
            stream(&format!("{}data: not json\n\n", delta("a"))),
            Kind::Failed,
            "a",
        ),
        (stream(&delta("a")), Kind::Failed, "a"),
        (
            stream(&format!("{}data: \u{fffd}\n\n", delta("a"))),
            Kind::Failed,
            "a",
        ),
        (
            stream(&format!("data: {}", "x".repeat(300_000))),
            Kind::Failed,
            "",
        ),
        (cut.into_bytes(), Kind::Failed, "a"),
        (unframed.into_bytes(), Kind::Failed, ""),
    ] {
        let (said, fault) = ends(&response).await;
        let shown = String::from_utf8_lossy(&response[..response.len().min(200)]).into_owned();
        let fault = fault.unwrap_or_else(|| panic!("no fault: {shown}"));
        assert_eq!((fault.kind, said.as_str()), (kind, text), "{shown}: {fault}");
        let wait = (kind == Kind::RateLimited).then_some(Duration::from_secs(2));
        assert_eq!(fault.retry_after, wait);
    }
}

#[tokio::test]
async fn an_answer_that_was_finished_has_no_failure() {
    let stop = event(&json!({"choices": [{"delta": {}, "finish_reason": "length"}]}));
    let whole = format!("{}{stop}", delta("a"));
    let cut = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{whole}",
        9999
    );
    let document = r#"{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}"#;
    let document = format!(
        "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{document}",
        document.len()
    );
    for response in [stream(&whole), cut.into_bytes(), document.into_bytes()] {
        let (text, fault) = ends(&response).await;
        assert_eq!((text.as_str(), fault), ("a", None));
    }
}

#[tokio::test]
async fn no_sentence_repeats_the_key() {
    let said = format!(r#"{{"error":{{"message":"the key {KEY} is of no use"}}}}"#);
    for response in [
        format!("HTTP/1.1 400 Bad\r\nContent-Length: {}\r\n\r\n{said}", said.len()),
        format!("HTTP/1.1 401 Bad\r\n\r\n{said}"),
        String::from_utf8(stream(&format!("data: {said}\n\n"))).unwrap(),
        format!("HTTP/1.1 500 Bad\r\n\r\n{said}{}", "x".repeat(1 << 20)),
    ] {
        let fault = ends(response.as_bytes()).await.1.unwrap();
        assert!(!fault.message.contains("sk-"), "{fault}");
        assert!(fault.message.len() < 500, "{fault}");
    }
}

#[tokio::test]
async fn an_answer_past_its_bound_fails_after_what_fits() {
    let server = Server::start().await;
    let mut settings = server.settings();
    settings.max_answer = 10;
    let models = models(settings);
    let answer = ask(&models);
    let mut link = server.accept().await;
    link.request().await;
    link.send(STREAM).await;
    link.chunk(&delta("12345678")).await;
    link.chunk(&delta("abc")).await;
    let (text, result) = read(answer).await;
    assert_eq!(
        (text.as_str(), result.unwrap_err().kind),
        ("12345678", Kind::Failed)
    );
    link.closed().await;
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let nobody = |scheme: &str| {
        OpenAi::at(
            OpenAi::parse_base_url(&format!("{scheme}://{address}")).unwrap(),
            "m",
        )
    };
    for scheme in ["http", "https"] {
        let fault = read(ask(&models(nobody(scheme)))).await.1.unwrap_err();
        assert_eq!(fault.kind, Kind::Unavailable);
        assert!(!fault.message.contains("127.0.0.1"), "{fault}");
    }
    // Something that speaks no TLS.
    let server = Server::start().await;
    let mut settings = server.settings();
    settings.base_url.set_scheme("https").unwrap();
    let answer = ask(&models(settings));
    let mut link = server.accept().await;
    link.send("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    assert_eq!(read(answer).await.1.unwrap_err().kind, Kind::Unavailable);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for() {
    let server = Server::start().await;
    let models = models(server.settings());
    let answer = ask(&models);
    let mut link = server.accept().await;
    link.request().await;
    tokio::time::pause();
    assert_eq!(read(answer).await.1.unwrap_err().kind, Kind::Timeout);
    link.closed().await;
    tokio::time::resume();

    // Comments, parts of lines and greetings are no answer.
    let answer = ask(&models);
    let mut link = server.accept().await;
    link.request().await;
    link.send(STREAM).await;
    link.chunk(": wait\n\n").await;
    link.chunk(&event(
        &json!({"choices": [{"delta": {"role": "assistant", "content": ""}}]}),
    ))
    .await;
    link.chunk("data: {\"cho").await;
    tokio::time::pause();
    assert_eq!(read(answer).await.1.unwrap_err().kind, Kind::Timeout);
    link.closed().await;
}

#[tokio::test]
async fn a_server_that_falls_silent_is_not_waited_for() {
    let server = Server::start().await;
    let mut settings = server.settings();
    settings.first_token_timeout = Duration::from_secs(3600);
    let models = models(settings);
    let mut answer = ask(&models);
    let mut link = server.accept().await;
    link.request().await;
    link.send(STREAM).await;
    link.chunk(&delta("a")).await;
    assert_eq!(answer.next().await, piece("a"));
    tokio::time::pause();
    let since = tokio::time::Instant::now();
    assert_eq!(read(answer).await.1.unwrap_err().kind, Kind::Timeout);
    assert!(since.elapsed() < Duration::from_secs(60), "{:?}", since.elapsed());
    link.closed().await;
}

#[tokio::test]
async fn after_its_end_an_answer_is_not_waited_for_long() {
    let server = Server::start().await;
    let models = models(server.settings());
    let mut answer = ask(&models);
    let mut link = server.accept().await;
    link.request().await;
    link.send(STREAM).await;
    link.chunk(&event(
        &json!({"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]}),
    ))
    .await;
    assert_eq!(answer.next().await, piece("a"));
    tokio::time::pause();
    let since = tokio::time::Instant::now();
    assert_eq!(read(answer).await, (String::new(), Ok(())));
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
}

#[tokio::test]
async fn a_slow_reader_is_no_silent_server() {
    let server = Server::start().await;
    let models = models(server.settings());
    let mut answer = ask(&models);
    let mut link = server.accept().await;
    link.request().await;
    link.send(STREAM).await;
    link.chunk(&delta("a")).await;
    assert_eq!(answer.next().await, piece("a"));
    assert_eq!(next(&mut answer), None, "it has begun to wait");
    tokio::time::pause();
    // Within the patience, part of an event comes; then nobody asks for long.
    link.chunk("data: {\"choices\":[{\"delta\"").await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(next(&mut answer), None, "half an event, and the wait begins anew");
    link.chunk(":{\"content\":\"b\"}}]}\n\n").await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(next(&mut answer), Some(piece("b")));
}

/// The levels of what is said of completions.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Level>>>);

struct IsAboutOne(bool);

impl Visit for IsAboutOne {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let said = format!("{value:?}");
        self.0 |=
            field.name() == "message" && (said.contains("completion") || said.contains("answers again"));
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut found = IsAboutOne(false);
        event.record(&mut found);
        if found.0 {
            self.0.lock().unwrap().push(*event.metadata().level());
        }
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn a_dead_model_is_shown_as_dead_and_is_one_line_in_the_log() {
    let log = Log::default();
    let _here = tracing::subscriber::set_default(log.clone());
    let server = Server::start().await;
    let models = models(server.settings());
    let ready = || models.state().iter().all(|model| model.ready);
    assert!(ready(), "nobody has asked it yet");
    let silence = "";
    let busy = "HTTP/1.1 429 Slow Down\r\nConnection: close\r\n\r\n";
    let answer = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\ndata: [DONE]\n\n";
    for (response, is_ready, said) in [
        (silence, false, Some(Level::WARN)),
        (silence, false, Some(Level::DEBUG)),
        (silence, false, Some(Level::DEBUG)),
        // Another failure, of a server that is there.
        (busy, true, Some(Level::WARN)),
        (busy, true, Some(Level::DEBUG)),
        (answer, true, Some(Level::INFO)),
        (answer, true, None),
        (silence, false, Some(Level::WARN)),
    ] {
        // A test beside this one may have met the same line first, for nobody's ears.
        tracing::callsite::rebuild_interest_cache();
        let completion = ask(&models);
        let mut link = server.accept().await;
        link.request().await;
        link.send(response).await;
        drop(link);
        let (_, result) = read(completion).await;
        assert_eq!(result.is_ok(), response == answer);
        assert_eq!(ready(), is_ready, "{:?}", models.state());
        let lines = std::mem::take(&mut *log.0.lock().unwrap());
        assert_eq!(lines, Vec::from_iter(said), "{response}");
    }
}
