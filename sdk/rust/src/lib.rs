//! Write Segue plugins in Rust.
//!
//! A handler is one function. It gets a [`Message`], sends its reply in as many
//! pieces as it likes, and returns:
//!
//! ```
//! use segue_sdk::prelude::*;
//!
//! #[handler]
//! fn greet(message: Message, reply: &mut Reply) -> Result<()> {
//!     let name = message.meta("name").unwrap_or("stranger".into());
//!     reply.send(format!("Good day, {name}. "))?;
//!     reply.send(format!("You said: {}", message.text()))
//! }
//! # fn main() {}
//! ```
//!
//! Its crate, which lives outside Segue's own workspace:
//!
//! ```toml
//! [package]
//! name = "greet"
//! version = "0.1.0"
//! edition = "2024"
//!
//! [lib]
//! crate-type = ["cdylib"]
//!
//! [dependencies]
//! segue-sdk = { path = "../segue/sdk/rust" } # where Segue's checkout is
//!
//! # Not needed, but makes the component smaller.
//! [profile.release]
//! lto = true
//! codegen-units = 1
//! panic = "abort"
//! strip = true
//! ```
//!
//! ```text
//! rustup target add wasm32-wasip2     # Rust 1.95 or newer
//! cargo build --release --target wasm32-wasip2
//! cp target/wasm32-wasip2/release/greet.wasm PLUGINS/
//! ```
//!
//! That is a whole plugin: a copy in the plugin folder is served from then on to
//! the routes that say `handler = "greet"`, the name of the file. (Cargo writes
//! `_` for every `-` of the crate's name; the copy may be named otherwise.) A
//! `greet.toml` beside it holds its `[settings]`, which [`Message::setting`]
//! reads, and its `[limits]` and `[grants]`.
//!
//! The same function runs natively in unit tests, against a fake host that keeps
//! what was sent: see [`test`](mod@crate::test).
//!
//! ```
//! # use segue_sdk::prelude::*;
//! # fn greet(message: Message, reply: &mut Reply) -> Result<()> {
//! #     let name = message.meta("name").unwrap_or("stranger".into());
//! #     reply.send(format!("Good day, {name}. "))?;
//! #     reply.send(format!("You said: {}", message.text()))
//! # }
//! let run = segue_sdk::test::Call::text("hello").meta("name", "Ada").run(greet);
//! assert_eq!(run.text(), "Good day, Ada. You said: hello");
//! assert!(run.result.is_ok());
//! ```
//!
//! Every message has a fresh instance: a `static` starts anew each time. What a
//! handler prints, logs with [`log::info!`](log) and its like or says when it
//! panics ends in the host's log, never at the client.
//!
//! A plugin that needs capabilities generates bindings for them with
//! `wit_bindgen::generate!` from a world of its own that imports them; the
//! toolchain joins that world with the one behind [`macro@handler`].

#[doc(hidden)]
pub mod bindings;
mod error;
#[doc(hidden)]
pub mod export;
mod host;
pub mod log;
mod message;
mod reply;
#[cfg(not(target_family = "wasm"))]
pub mod test;

pub use bindings::segue::plugin::types::Payload;
pub use error::{Error, Result};
pub use message::{Message, Part};
pub use reply::Reply;
pub use segue_sdk_macros::handler;

/// What nearly every plugin uses.
pub mod prelude {
    pub use crate::{Error, Message, Part, Payload, Reply, Result, handler, log};
}
