//! What `#[handler]` expands to: the way from the component's export to the
//! handler's function and back.

pub use crate::bindings::Guest;
pub use crate::bindings::export_handler;
pub use crate::bindings::segue::plugin::types::{Error as HostError, Request};

use crate::{Message, Reply, Result, log};

/// The one shape that a handler has.
pub type Handler = fn(Message, &mut Reply) -> Result<()>;

/// Runs `handler` on what the host handed in.
pub fn run(handler: Handler, request: Request) -> std::result::Result<(), HostError> {
    let result = handler(Message::new(request), &mut Reply::new());
    result.map_err(|error| {
        if let Some(detail) = error.detail() {
            log::error!("{}: {detail}", error.code());
        }
        error.into_host()
    })
}
