//! Close codes of Segue's WebSockets.
//!
//! | range | what a client does |
//! |---|---|
//! | 1000-1015 | as RFC 6455, section 7.4.1, says |
//! | 4000-4499 | connects again, with its session, after a short random wait |
//! | 4500-4999 | does not connect again by itself |

/// Why the host closes a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseCode {
    /// The client asked for it, or a raw handler's endpoint is done.
    Normal,
    /// A binary frame where only JSON text is spoken.
    UnsupportedData,
    /// A frame or message over the limit of the endpoint.
    TooLarge,
    /// Something failed inside the host; the log says what.
    Internal,
    /// The host is shutting down. Another node, or this one after its restart,
    /// takes the session on.
    Draining,
    /// The client read too slowly and `[outbox] on_full` is `close`. Nothing is
    /// lost: the rest is sent after a resume.
    SlowConsumer,
    /// No pong within `[server] ping_timeout`.
    PingTimeout,
    /// The host cannot take more now.
    Overloaded,
    /// A handler of a raw endpoint failed; the reason begins with the error's
    /// code. The next connection may well succeed.
    HandlerFailed,
    /// A newer socket has taken this session.
    TakenOver,
    /// The session was erased.
    SessionErased,
    /// Too many frames in a row that could not be read.
    TooManyBadFrames,
}

impl CloseCode {
    /// All of them, for documentation and tests.
    pub const ALL: [CloseCode; 12] = [
        CloseCode::Normal,
        CloseCode::UnsupportedData,
        CloseCode::TooLarge,
        CloseCode::Internal,
        CloseCode::Draining,
        CloseCode::SlowConsumer,
        CloseCode::PingTimeout,
        CloseCode::Overloaded,
        CloseCode::HandlerFailed,
        CloseCode::TakenOver,
        CloseCode::SessionErased,
        CloseCode::TooManyBadFrames,
    ];

    /// The number on the wire.
    pub fn code(self) -> u16 {
        match self {
            CloseCode::Normal => 1000,
            CloseCode::UnsupportedData => 1003,
            CloseCode::TooLarge => 1009,
            CloseCode::Internal => 1011,
            CloseCode::Draining => 4000,
            CloseCode::SlowConsumer => 4001,
            CloseCode::PingTimeout => 4002,
            CloseCode::Overloaded => 4003,
            CloseCode::HandlerFailed => 4004,
            CloseCode::TakenOver => 4500,
            CloseCode::SessionErased => 4501,
            CloseCode::TooManyBadFrames => 4502,
        }
    }

    /// The reason that goes with the number, at most 123 bytes.
    pub fn reason(self) -> &'static str {
        match self {
            CloseCode::Normal => "bye",
            CloseCode::UnsupportedData => "this endpoint speaks JSON text frames",
            CloseCode::TooLarge => "frame too large",
            CloseCode::Internal => "internal error",
            CloseCode::Draining => "draining",
            CloseCode::SlowConsumer => "slow consumer",
            CloseCode::PingTimeout => "ping timeout",
            CloseCode::Overloaded => "overloaded",
            CloseCode::HandlerFailed => "handler failed",
            CloseCode::TakenOver => "session taken over by a newer connection",
            CloseCode::SessionErased => "session erased",
            CloseCode::TooManyBadFrames => "too many bad frames",
        }
    }

    /// Whether a client should connect again by itself.
    pub fn reconnect(self) -> bool {
        (4000..4500).contains(&self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_distinct_and_reasons_fit_a_control_frame() {
        let mut codes: Vec<u16> = CloseCode::ALL.iter().map(|c| c.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), CloseCode::ALL.len());
        assert!(CloseCode::ALL.iter().all(|c| c.reason().len() <= 123));
    }
}
