//! Why keys and values could not be read or written.

use std::time::Duration;

use segue_resilience::{Judged, Repeat, Verdict};

/// What went wrong, in the words a plugin is told; they begin with a code of the
/// host's catalogue. What only the operator should know stands beside them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The file cannot be opened, read or written. The reason is for the log.
    #[error("store_unavailable: the store of keys and values does not answer; the host's log says why")]
    Unavailable(String),
    /// The file failed lately; nobody asks it for a while.
    #[error("circuit_open: the store of keys and values failed lately and is left alone for {} ms", .0.as_millis())]
    LeftAlone(Duration),
    #[error("store_unavailable: too many calls are waiting for keys and values; try again")]
    Busy,
    #[error("invalid_argument: a key is at most {max} bytes, this one is {bytes}")]
    KeyTooLong { bytes: usize, max: usize },
    #[error("invalid_argument: a value is at most {max} bytes, this one is {bytes}")]
    ValueTooLong { bytes: usize, max: usize },
    #[error("invalid_argument: a batch is at most {max} keys, this one is {keys}")]
    TooManyKeys { keys: usize, max: usize },
    #[error("invalid_argument: a batch is at most {max} bytes")]
    BatchTooLong { max: usize },
    #[error("state_full: the bucket would have more than {max} keys")]
    TooManyInBucket { max: u64 },
    #[error("state_full: the bucket would have more than {max} bytes")]
    BucketTooLong { max: u64 },
    #[error("invalid_argument: the value under this key is no number: it is {bytes} bytes long, not 8")]
    NotANumber { bytes: usize },
    #[error("invalid_argument: the sum is beyond 64 bits")]
    Overflow,
}

impl Fault {
    /// Its code in the host's catalogue.
    pub fn code(&self) -> &'static str {
        match self {
            Fault::Unavailable(_) | Fault::Busy => "store_unavailable",
            Fault::LeftAlone(_) => "circuit_open",
            Fault::TooManyInBucket { .. } | Fault::BucketTooLong { .. } => "state_full",
            Fault::KeyTooLong { .. }
            | Fault::ValueTooLong { .. }
            | Fault::TooManyKeys { .. }
            | Fault::BatchTooLong { .. }
            | Fault::NotANumber { .. }
            | Fault::Overflow => "invalid_argument",
        }
    }
}

/// What a fault says of the file.
impl Judged for Fault {
    fn verdict(&self) -> Verdict {
        match self {
            Fault::Unavailable(_) => Verdict::Failure {
                repeat: Repeat::Never,
            },
            Fault::Busy | Fault::LeftAlone(_) => Verdict::Neither,
            // It was read to know that.
            Fault::TooManyInBucket { .. }
            | Fault::BucketTooLong { .. }
            | Fault::NotANumber { .. }
            | Fault::Overflow => Verdict::Success,
            Fault::KeyTooLong { .. }
            | Fault::ValueTooLong { .. }
            | Fault::TooManyKeys { .. }
            | Fault::BatchTooLong { .. } => Verdict::Neither,
        }
    }
}
