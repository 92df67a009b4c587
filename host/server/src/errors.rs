//! From what went wrong in a call to what the client is told.
//!
//! Two texts: the client's stands here, without internals; the log's is
//! written where the failure is seen.

use segue_protocol::{ErrorCode, RequestError};
use segue_runtime::{CallError, HandlerError};

/// How much of a handler's own words is passed on.
const MAX_MESSAGE_BYTES: usize = 4096;
const MAX_CODE_BYTES: usize = 64;

/// What the client of `handler` is told.
pub fn of_call(handler: &str, error: &CallError) -> RequestError {
    let new = |code, message: String| RequestError::new(code, message);
    match error {
        CallError::Handler(own) => of_handler(own),
        CallError::Trapped { .. } => new(
            ErrorCode::HandlerTrapped,
            format!("the handler {handler} crashed"),
        ),
        CallError::StackExhausted => new(
            ErrorCode::StackExhausted,
            format!("the handler {handler} overflowed its stack"),
        ),
        CallError::MemoryExceeded { limit_bytes } => new(
            ErrorCode::MemoryExceeded,
            format!(
                "the handler {handler} wanted more than its {} of memory",
                segue_runtime::units::format_size(*limit_bytes)
            ),
        ),
        CallError::DeadlineExceeded { deadline } => new(
            ErrorCode::DeadlineExceeded,
            format!(
                "the handler {handler} did not end within {}",
                segue_runtime::units::format_duration(*deadline)
            ),
        ),
        CallError::ReplyTooLarge { limit_bytes } => new(
            ErrorCode::ReplyTooLarge,
            format!(
                "the reply of {handler} reached its limit of {}",
                segue_runtime::units::format_size(*limit_bytes)
            ),
        ),
        CallError::TooManyChunks { limit } => new(
            ErrorCode::TooManyChunks,
            format!("the reply of {handler} reached its limit of {limit} chunks"),
        ),
        CallError::EmptyReply => new(
            ErrorCode::EmptyReply,
            format!("the handler {handler} returned without a word"),
        ),
        CallError::ClientGone => new(ErrorCode::ClientGone, "the client has left".into()),
        CallError::Cancelled => new(ErrorCode::Cancelled, "cancelled".into()),
        CallError::Overloaded { .. } => new(
            ErrorCode::Overloaded,
            format!("the handler {handler} runs as many calls as it may; try again shortly"),
        )
        .retry_after_ms(1_000),
        CallError::Internal { .. } => new(
            ErrorCode::Internal,
            "something failed inside the host; its log says what".into(),
        ),
    }
}

/// A handler's own error: a code of the catalogue passes as it is.
fn of_handler(own: &HandlerError) -> RequestError {
    let code = ErrorCode::parse(&own.code);
    let message = cut(&own.message, MAX_MESSAGE_BYTES);
    RequestError {
        retryable: own.retryable,
        retry_after_ms: own.retry_after_ms,
        handler_code: code.is_none().then(|| cut(&own.code, MAX_CODE_BYTES).to_owned()),
        ..RequestError::new(code.unwrap_or(ErrorCode::HandlerFailed), message)
    }
}

/// The other way: what a later handler of the same message reads.
pub fn to_handler(error: &RequestError) -> HandlerError {
    HandlerError {
        code: error
            .handler_code
            .clone()
            .unwrap_or_else(|| error.code.as_str().to_owned()),
        message: error.message.clone(),
        retryable: error.retryable,
        retry_after_ms: error.retry_after_ms,
    }
}

fn cut(text: &str, max: usize) -> &str {
    text.get(..text.floor_char_boundary(max)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handlers_code_passes_if_it_is_of_the_catalogue_and_stands_beside_otherwise() {
        let own = |code: &str| HandlerError {
            code: code.into(),
            message: "m".into(),
            retryable: true,
            retry_after_ms: Some(5),
        };
        let known = of_call("h", &CallError::Handler(own("overloaded")));
        assert_eq!((known.code, known.handler_code), (ErrorCode::Overloaded, None));
        let other = of_call("h", &CallError::Handler(own("out_of_stock")));
        assert_eq!(
            (other.code, other.handler_code.as_deref()),
            (ErrorCode::HandlerFailed, Some("out_of_stock"))
        );
        assert_eq!((other.retryable, other.retry_after_ms), (true, Some(5)));
    }
}
