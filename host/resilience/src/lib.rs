//! What keeps a host answering while what it depends on does not.
//!
//! | file | holds |
//! |---|---|
//! | `breaker.rs` | what has failed lately is left alone for a while |
//! | `bulkhead.rs` | so many calls at a time, so many that wait |
//! | `retry.rs` | trying again: when, how often, paid from a budget |
//! | `limit.rs` | so many in a while, for each client by itself |
//! | `shed.rs` | refusing early what a host has no time for |
//! | `flight.rs` | of those who ask for the same, one does the work |
//! | `policy.rs` | what is decided about one dependency; how its answers are judged |
//! | `guard.rs` | all of it around one dependency |
//! | `guards.rs` | the guards of a host |
//! | `window.rs`, `latency.rs` | counts over the last while; how long calls took |
//!
//! Pure policy on tokio's clock: no sockets, no wasm, no HTTP. Each mechanism has
//! its transitions as a table at the head of its file, and a test for each row.

pub mod breaker;
pub mod bulkhead;
pub mod flight;
mod guard;
mod guards;
mod latency;
pub mod limit;
mod policy;
pub mod retry;
pub mod shed;
mod window;

pub use guard::{Admission, Guard, GuardState, Refused};
pub use guards::Guards;
pub use latency::{BOUNDS, Histogram};
pub use policy::{Judged, Key, Policies, Policy, Repeat, Verdict};
pub use window::Window;
