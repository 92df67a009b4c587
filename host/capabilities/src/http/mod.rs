//! `wasi:http`: requests that plugins send, to what they were granted.
//!
//! ```text
//! grant.rs    may this plugin ask for this origin?       [grants] http
//! address.rs  may anybody be sent to this address?       [http] allow_networks
//! connect.rs  resolves, checks and connects, in one step
//! egress.rs   one request and its answer, bounded and timed
//! ```
//!
//! Both questions are asked for every request, in this order, and a "no" to
//! either is final.

mod address;
mod body;
mod caller;
mod connect;
mod egress;
mod failure;
mod grant;
mod guest;
mod origin;
mod repeat;
pub mod settings;
mod told;

pub use address::{Kind, Prohibited};
pub use body::{Received, RequestBody};
pub use caller::Caller;
pub use connect::{Tls, system_tls};
pub use egress::{Egress, Timeouts};
pub use failure::Failure;
pub use grant::{BadGrant, Grant};
pub use guest::Http;
pub use origin::{Host, Origin, Scheme};

#[cfg(test)]
mod tests;
