//! The frames of `/chat`: JSON objects, one a text frame.
//!
//! From the client: [`ClientFrame::parse`] reads one and says what is wrong
//! with it. From the host: [`ServerFrame`], encoded by [`ServerFrame::encode`]
//! with the `seq` it was given.

mod client;
mod server;

pub use client::{
    ClientFrame, FrameError, Incoming, MAX_ID_BYTES, MAX_META_ENTRIES, MAX_MTYPE_BYTES, check_id,
};
pub use server::{PartSummary, ServerFrame, Usage};
