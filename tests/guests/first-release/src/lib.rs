//! Built against the frozen WIT of the first release, and against nothing else:
//! it must load and run for ever. It calls every function there was, so that its
//! component imports each of them.
#![cfg(target_family = "wasm")]
#![allow(unsafe_code, rust_2018_idioms, clippy::all, reason = "generated")]

wit_bindgen::generate!({
    world: "handler",
    path: "../../wit/plugin-0.1.0",
    generate_all,
});

use segue::plugin::types::Payload;
use segue::plugin::{call, reply};
use wasi::logging::logging;

struct FirstRelease;

impl Guest for FirstRelease {
    /// Answers the content. On a message it adds a status, and as data what the
    /// functions of `call` say.
    fn handle(request: Request) -> Result<(), Error> {
        logging::log(logging::Level::Info, "first-release", &request.id);
        match &request.payload {
            Payload::Binary(bytes) => return reply::send_binary(bytes),
            Payload::Text(text) => reply::send(text)?,
        }
        if call::session().is_none() {
            return Ok(());
        }
        reply::status("telling what it knows")?;
        reply::data(&format!(
            r#"{{"attempt":{},"deadline":{},"previous":{},"meta":{},"claim":{},"setting":{},"traceparent":{}}}"#,
            call::attempt(),
            call::deadline_ms() > 0,
            call::previous().len(),
            call::meta("key").is_some(),
            call::claim("name").is_some(),
            call::setting("key").is_some(),
            call::traceparent().len(),
        ))
    }
}

export!(FirstRelease);
