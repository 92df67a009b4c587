//! The harness of the end-to-end tests.
//!
//! A test lays out a [`Site`] (a configuration, a plugin folder, a state
//! folder, all under a temporary directory), starts a host on it, and speaks to
//! that host only through sockets and files, as a user would:
//!
//! - [`Bed`] runs the host inside the test process and can watch its events;
//! - [`Process`] runs the `segue` binary, for signals, exit codes and memory;
//! - [`Chat`] is a WebSocket client of `/chat` that checks the numbering of
//!   every frame; [`RawSocket`] speaks RFC 6455 byte by byte, broken frames
//!   included; [`Http`] speaks to the public and the admin listener;
//! - [`Upstream`] is a language model's server that says, and fails, as scripted.
//!
//! Nothing here sleeps in order to wait: every wait is for a frame, an event, a
//! log line, the end of a process or ([`eventually`]) an answer that changes,
//! and each has an upper bound ([`PATIENCE`]), past which the test fails with
//! what it was waiting for.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop where it stands and say why"
)]

mod artifacts;
mod bed;
mod case;
mod chat;
pub mod collector;
mod frames;
mod http;
mod matcher;
mod process;
mod rawsocket;
mod site;
mod upstream;
mod wait;
mod wasm;

pub use artifacts::{component, segue_binary, target_dir};
pub use bed::Bed;
pub use case::run_case;
pub use chat::{Chat, Connect, Event, Reply};
pub use http::{Http, SseEvent, SseStream, client};
pub use matcher::{Bindings, matches};
pub use process::{Finished, LogLine, Process, Usage};
pub use rawsocket::{Frame, Opcode, RawSocket};
pub use site::{Site, SiteBuilder};
pub use upstream::{Act, Asked, Closed, Upstream};
pub use wait::{PATIENCE, eventually, within};
pub use wasm::{core_module, stamped, with_custom_section};
