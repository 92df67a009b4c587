//! What a handler can see of its call and of the world outside.

use std::net::{TcpListener, TcpStream, ToSocketAddrs as _};

use segue_sdk::Message;

/// The answer to a question about the call; any other content is echoed.
pub(crate) fn answer(message: &Message, command: &str, rest: &str) -> String {
    let or_none = |value: Option<String>| value.unwrap_or_else(|| "none".into());
    match command {
        "meta" => or_none(message.meta(rest)),
        "claim" => or_none(message.claim(rest)),
        "setting" => or_none(message.setting(rest)),
        "session" => or_none(message.session()),
        "traceparent" => message.traceparent(),
        "attempt" => message.attempt().to_string(),
        "deadline" => message.deadline().as_millis().to_string(),
        "id" => message.id().to_string(),
        "mtype" => message.mtype().to_string(),
        "flags" => format!("sql={} doc={}", message.rag_sql(), message.rag_doc()),
        "previous" => previous(message),
        "environment" => environment(),
        _ => message.text().to_string(),
    }
}

fn previous(message: &Message) -> String {
    let part = |part: segue_sdk::Part| {
        let failure = part.failure.map(|error| error.code().to_string());
        serde_json::json!({
            "handler": part.handler,
            "content": part.content,
            "data": part.data,
            "failure": failure,
        })
    };
    let parts: Vec<_> = message.previous().into_iter().map(part).collect();
    serde_json::Value::from(parts).to_string()
}

/// A count of everything that the sandbox should keep out: all must be 0.
fn environment() -> String {
    let reached = |yes: bool| u32::from(yes);
    format!(
        "arguments={} variables={} files={} listening={} connections={} names={}",
        std::env::args().count(),
        std::env::vars().count(),
        reached(std::fs::read_dir("/").is_ok() || std::fs::read_dir(".").is_ok()),
        reached(TcpListener::bind("127.0.0.1:0").is_ok()),
        reached(TcpStream::connect("127.0.0.1:8000").is_ok()),
        reached("localhost:80".to_socket_addrs().is_ok()),
    )
}
