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
//! `segue new greet` writes such a crate, `segue build` makes the component:
//!
//! ```text
//! segue new greet --with sql,llm      # ready to build and to test
//! cd greet && cargo test
//! segue build --to PLUGINS            # PLUGINS/greet.wasm, served from then on
//! ```
//!
//! A copy in the plugin folder is served to the routes that say
//! `handler = "greet"`, the name of the file. A `greet.toml` beside it holds its
//! `[grants]`, its `[limits]` and its `[settings]`, which [`Message::setting`] and
//! [`config`] read. Without `segue build`, any `cdylib` crate that is compiled with
//! `cargo build --release --target wasm32-wasip2` will do.
//!
//! # Capabilities
//!
//! What a handler can reach beyond its reply is a module here each: [`sql`],
//! [`search`], [`llm`], [`session`], [`keyvalue`], [`cache`], [`config`], [`http`].
//! Their functions become imports of the component when they are called and not
//! otherwise, so what a plugin wants is what it uses. The operator grants each by
//! name; what is not granted fails with `capability_denied` and the line that
//! would grant it.
//!
//! # Tests
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

#[doc(hidden)]
pub mod bindings;
pub mod cache;
pub mod config;
mod error;
#[doc(hidden)]
pub mod export;
mod host;
pub mod http;
pub mod keyvalue;
pub mod llm;
pub mod log;
mod message;
mod reply;
pub mod search;
pub mod session;
pub mod sql;
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
