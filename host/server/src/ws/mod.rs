//! WebSockets: `/chat`, which speaks frames, and raw endpoints, which speak
//! whatever their handler does.
//!
//! The RFC 6455 layer is the library's; [`socket`] adds what both kinds share:
//! pings, closing in good order, and the mapping of what it reports.

pub mod chat;
pub mod raw;
mod socket;
