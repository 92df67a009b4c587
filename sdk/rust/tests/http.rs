//! Guards that a server of a native test is reached as one outside would be: by
//! grant alone, with bodies in pieces and bounded.

use std::io::Read as _;

use segue_sdk::http::{self, Request};
use segue_sdk::prelude::*;
use segue_sdk::test::{Call, FakeResponse, FakeServer};

fn run(scope: &str, server: FakeServer, handler: impl FnOnce() -> Result<()>) {
    let run = Call::text("").server(scope, server).run(|_, reply| {
        handler()?;
        reply.send("done")
    });
    assert!(run.result.is_ok(), "{:?}", run.result);
}

fn ok(body: &'static str) -> FakeServer {
    FakeServer::answering(move |_| Ok(FakeResponse::new(200).body(body)))
}

#[test]
fn a_grant_covers_what_it_says_and_nothing_else() {
    for (scope, reached, denied) in [
        (
            "api.example.com",
            "https://api.example.com:443/x",
            "https://api.example.com:8443/x",
        ),
        (
            "api.example.com",
            "https://API.example.com",
            "https://api.example.com.evil.test",
        ),
        ("https://h.test:8443", "https://h.test:8443/", "https://h.test/"),
        (
            "http://localhost:9000",
            "http://localhost:9000/a?b",
            "https://localhost:9000/",
        ),
        (
            "*.example.com",
            "https://a.b.example.com/",
            "https://example.com/",
        ),
    ] {
        run(scope, ok("fine"), || {
            assert_eq!(http::get(reached)?.text()?, "fine");
            let error = http::get(denied).unwrap_err();
            assert_eq!(error.code(), Error::CAPABILITY_DENIED, "{scope} {denied}");
            assert!(error.message().contains("http = ["), "{error}");
            Ok(())
        });
    }
}

#[test]
fn a_request_is_sent_as_it_was_put_together() {
    let server = ok("");
    run("h.test", server.clone(), || {
        Request::put("https://h.test/a#there")
            .query("q", "a b")
            .header("x-one", "1")
            .body("text")
            .send()?;
        Request::new("PATCH", "https://h.test").json(&[1]).send()?;
        Request::delete("https://h.test").send().map(drop)
    });
    let requests = server.requests();
    assert_eq!(
        (requests[0].method.as_str(), requests[0].url.as_str()),
        ("PUT", "https://h.test/a?q=a%20b")
    );
    assert_eq!(
        (requests[0].header("X-One"), &*requests[0].body),
        (Some("1"), &b"text"[..])
    );
    assert_eq!(
        (requests[1].header("content-type"), &*requests[1].body),
        (Some("application/json"), &b"[1]"[..])
    );
    assert_eq!(requests[2].method, "DELETE");
}

#[test]
fn bodies_come_in_pieces_and_have_a_bound() {
    let server = FakeServer::answering(|_| {
        Ok(FakeResponse::new(200)
            .header("X-Kind", "test")
            .body("one ")
            .body("")
            .body("two"))
    });
    run("h.test", server, || {
        let mut answer = http::get("https://h.test")?;
        assert_eq!((answer.status(), answer.header("x-kind")), (200, Some("test")));
        assert_eq!(answer.headers().len(), 1);
        assert_eq!(answer.chunk()?, Some(b"one ".to_vec()));
        assert_eq!(answer.text()?, "two");
        let mut text = String::new();
        http::get("https://h.test")?.read_to_string(&mut text)?;
        assert_eq!(text, "one two");
        let error = http::get("https://h.test")?.limit(6).bytes().unwrap_err();
        assert_eq!(error.code(), Error::UPSTREAM_FAILED);
        assert_eq!(http::get("https://h.test")?.limit(7).bytes()?.len(), 7);
        Ok(())
    });
}

#[test]
fn what_fails_outside_has_its_code() {
    let cut = Error::new(Error::UPSTREAM_FAILED, "cut off");
    let server = FakeServer::answering(move |request| match request.url.as_str() {
        "https://h.test/slow" => Err(Error::new(Error::UPSTREAM_TIMEOUT, "no answer")),
        "https://h.test/cut" => Ok(FakeResponse::new(200).body("half").breaks(cut.clone())),
        "https://h.test/429" => Ok(FakeResponse::new(429)),
        "https://h.test/500" => Ok(FakeResponse::new(500)),
        "https://h.test/404" => Ok(FakeResponse::new(404).body("x".repeat(1000))),
        _ => Ok(FakeResponse::new(200).body("{")),
    });
    run("h.test", server, || {
        let code = |path: &str| {
            let answer = http::get(&format!("https://h.test/{path}"));
            let text = answer
                .and_then(http::Response::successful)
                .and_then(http::Response::text);
            let error = text.unwrap_err();
            (error.code().to_owned(), error.is_retryable())
        };
        assert_eq!(code("slow"), (Error::UPSTREAM_TIMEOUT.into(), false));
        assert_eq!(code("cut"), (Error::UPSTREAM_FAILED.into(), false));
        assert_eq!(code("429"), (Error::UPSTREAM_RATE_LIMITED.into(), true));
        assert_eq!(code("500"), (Error::UPSTREAM_UNAVAILABLE.into(), true));
        assert_eq!(code("404"), (Error::UPSTREAM_REJECTED.into(), false));
        let refused = http::get("https://h.test/404")?.successful().unwrap_err();
        assert_eq!(refused.detail().map(str::len), Some(300));
        let senseless = http::get("https://h.test/")?.json::<Vec<u8>>().unwrap_err();
        assert_eq!(senseless.code(), Error::UPSTREAM_FAILED);
        assert_eq!(http::get("h.test").unwrap_err().code(), Error::INVALID_ARGUMENT);
        Ok(())
    });
}
