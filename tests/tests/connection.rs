//! One socket of `/chat`: what it says first, what it refuses and keeps going,
//! what closes it, and how it finds out that the other end is gone.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use segue_tests::{Bed, Frame, Opcode, Site};
use serde_json::json;

async fn bed() -> Bed {
    Site::builder().standard().start().await
}

async fn bed_with(config: &str) -> Bed {
    Site::builder().standard().config(config).start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_cannot_be_read_costs_an_error_and_not_the_socket() {
    let bed = bed().await;
    let mut chat = bed.chat().await;
    for (text, code) in [
        ("{", "invalid_frame"),
        ("", "invalid_frame"),
        ("[]", "invalid_frame"),
        ("null", "invalid_frame"),
        (r#"{"type":"dance"}"#, "invalid_frame"),
        (r#"{"type":1}"#, "invalid_message"),
        (r#"{"content":"no type of message"}"#, "invalid_message"),
        (r#"{"mtype":"chat"}"#, "invalid_message"),
        (r#"{"mtype":"chat","content":1}"#, "invalid_message"),
        (
            r#"{"mtype":"chat","content":"x","rag_sql":"yes"}"#,
            "invalid_message",
        ),
        (r#"{"mtype":"chat","content":"x","meta":[]}"#, "invalid_message"),
        (r#"{"mtype":"chat","content":"x","id":7}"#, "invalid_message"),
        (r#"{"mtype":"","content":"x"}"#, "invalid_message"),
        (r#"{"type":"ack","seq":-1}"#, "invalid_message"),
        (r#"{"type":"cancel"}"#, "invalid_message"),
    ] {
        chat.send_text(text).await;
        let error = chat.expect("error").await;
        assert_eq!(error["code"], code, "{text} got {error}");
        assert_eq!(error.get("seq"), None, "{error}");
        // A good one between, so that these are not too many in a row.
        let reply = chat.ask(&format!("m{}", chat.seq), "chat", "on").await;
        assert_eq!(reply.text, "on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_bad_frames_in_a_row_close_the_socket_for_good() {
    let bed = bed().await;
    let mut chat = bed.chat().await;
    for _ in 0..1000 {
        // The host closes somewhere in between; what is left cannot be sent.
        let sent = chat.try_send_text("{").await;
        if sent.is_err() {
            break;
        }
    }
    assert_eq!(chat.closed().await, Some(4502));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binary_frame_is_refused_and_the_socket_stays() {
    let bed = bed().await;
    let mut chat = bed.chat().await;
    chat.send_binary(br#"{"mtype":"chat","content":"x"}"#).await;
    assert_eq!(chat.expect("error").await["code"], "invalid_frame");
    assert_eq!(chat.ask("m1", "chat", "on").await.text, "on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_past_the_limit_closes_with_1009() {
    let bed = bed_with("[server]\nmax_frame = \"64 KiB\"").await;
    let mut chat = bed.chat().await;
    assert_eq!(chat.hello["max_frame"], 64 * 1024);
    let text = "x".repeat(60 * 1024);
    assert_eq!(chat.ask("m1", "chat", &text).await.text, text);
    chat.message("m2", "chat", &"x".repeat(64 * 1024)).await;
    assert_eq!(chat.closed().await, Some(1009));
}

#[tokio::test(flavor = "multi_thread")]
async fn hello_tells_the_bounds_a_client_should_know() {
    let bed = bed().await;
    let chat = bed.chat().await;
    let hello = &chat.hello;
    assert_eq!(hello["max_frame"], 1024 * 1024);
    assert_eq!(hello["id_window_ms"], 24 * 3_600_000);
    assert_eq!(hello["id_max"], 1000);
    assert_eq!(hello["ping_interval_ms"], 20_000);
    assert_eq!((&hello["seq"], &hello["recovered"]), (&json!(0), &json!(false)));
    assert_eq!(chat.session().len(), 32, "128 bits: {}", chat.session());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_answers_no_ping_is_let_go_and_its_session_stays() {
    let bed = bed_with("[server]\nping_interval = \"100ms\"\nping_timeout = \"100ms\"").await;
    let mut mute = bed.raw("/chat").await;
    let hello = mute.read().await.expect("hello");
    let hello: serde_json::Value = serde_json::from_slice(&hello.payload).expect("JSON");
    let mut pings = 0;
    let code = loop {
        let frame = mute.read().await.expect("a close frame, not the end");
        match frame.opcode {
            Opcode::Ping => pings += 1,
            Opcode::Close => break frame.close_code(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((pings, code), (1, Some(4002)));
    let session = hello["session"].as_str().expect("a session");
    let epoch = hello["epoch"].as_str().expect("an epoch");
    let again = segue_tests::Connect::default()
        .resume(session, epoch, 0)
        .open(bed.addr())
        .await;
    assert_eq!(again.hello["recovered"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_answers_pings_stays_however_long_it_is_silent() {
    let bed = bed_with("[server]\nping_interval = \"100ms\"\nping_timeout = \"2s\"").await;
    for path in ["/chat", "/echo"] {
        let mut socket = bed.raw(path).await;
        if path == "/chat" {
            assert_eq!(socket.read().await.expect("hello").opcode, Opcode::Text);
        }
        for _ in 0..5 {
            let ping = socket.read().await.expect("a ping");
            assert_eq!(ping.opcode, Opcode::Ping);
            socket.send(&Frame::new(Opcode::Pong, ping.payload)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_without_type_is_a_message() {
    let bed = bed().await;
    let mut chat = bed.chat().await;
    chat.send(json!({"mtype": "chat", "content": "plain", "rag_sql": false, "rag_doc": false}))
        .await;
    let accepted = chat.expect("accepted").await;
    let id = accepted["id"]
        .as_str()
        .expect("an id of the host's own")
        .to_owned();
    assert_eq!(chat.reply(&id).await.text, "plain");
}
