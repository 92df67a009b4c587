//! What a handler answers.

use serde::Serialize;

use crate::{Error, Result, host};

/// The reply to the message in hand.
///
/// What is sent arrives in the order of the calls, each at once. A call waits
/// while the client is slow, at most until the deadline. Once one has failed with
/// `reply_too_large`, `too_many_chunks` or `client_gone`, so will the next: pass
/// the error on with `?` and the message ends in it.
#[derive(Debug)]
pub struct Reply {
    // Nobody but the SDK makes one: there is one reply to a call.
    _private: (),
}

impl Reply {
    pub(crate) fn new() -> Self {
        Self { _private: () }
    }

    /// Sends a piece of the reply as text. On a raw endpoint each piece is one
    /// text frame.
    ///
    /// Fails with `reply_too_large`, `too_many_chunks`, `client_gone`.
    pub fn send(&mut self, chunk: impl AsRef<str>) -> Result<()> {
        host::reply::send(chunk.as_ref()).map_err(Error::from_host)
    }

    /// Sends a piece of the reply as bytes: one binary frame of a raw endpoint.
    ///
    /// Fails as [`send`](Self::send) does, and with `invalid_argument` where the
    /// client speaks JSON, which is everywhere else.
    pub fn send_binary(&mut self, chunk: impl AsRef<[u8]>) -> Result<()> {
        host::reply::send_binary(chunk.as_ref()).map_err(Error::from_host)
    }

    /// Tells the client what the handler is doing ("searching the manual"). Not
    /// part of the reply, not kept; at most 1 KiB.
    ///
    /// Fails with `too_many_chunks`, `invalid_argument`.
    pub fn status(&mut self, text: impl AsRef<str>) -> Result<()> {
        host::reply::status(text.as_ref()).map_err(Error::from_host)
    }

    /// Sends structured data that belongs to the reply: citations, rows, a query.
    ///
    /// ```
    /// # use segue_sdk::prelude::*;
    /// #[derive(serde::Serialize)]
    /// struct Citation { title: &'static str, page: u32 }
    ///
    /// # fn answer(_: Message, reply: &mut Reply) -> Result<()> {
    /// reply.data(&Citation { title: "Manual", page: 12 })
    /// # }
    /// # assert_eq!(segue_sdk::test::call(answer, "").data()[0]["page"], 12);
    /// ```
    ///
    /// Fails as [`send`](Self::send) does, with `invalid_argument` on a raw
    /// endpoint, and with `handler_failed` when `data` has no form in JSON.
    pub fn data<T: Serialize + ?Sized>(&mut self, data: &T) -> Result<()> {
        let json = serde_json::to_string(data)?;
        host::reply::data(&json).map_err(Error::from_host)
    }
}
