//! What Segue says on the wire.
//!
//! - [`frame`]: the JSON frames of `/chat`, both directions.
//! - [`error`]: the catalogue of request errors. A request error ends one
//!   message; the connection stays.
//! - [`close`]: the catalogue of WebSocket close codes, with the ranges that
//!   tell a client whether to come back.
//!
//! Pure data: no sockets, no clocks, no sessions.

pub mod close;
pub mod error;
pub mod frame;

pub use close::CloseCode;
pub use error::{ErrorCode, LimitFacts, RequestError};
pub use frame::{ClientFrame, FrameError, Incoming, PartSummary, ServerFrame, Usage};
