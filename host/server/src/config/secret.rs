//! A value that nothing prints.
//!
//! Guarantees: neither `Debug` nor serialisation shows the value, only where
//! it came from. Whoever needs it says so with [`Secret::expose`].

use std::fmt;

use serde::{Serialize, Serializer};

/// A secret that was resolved at load, and the reference it came from.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    reference: String,
    value: String,
}

impl Secret {
    pub(super) fn new(reference: impl Into<String>, value: impl Into<String>) -> Self {
        Secret {
            reference: reference.into(),
            value: value.into(),
        }
    }

    /// The value itself. Keep it out of logs, errors and answers.
    pub fn expose(&self) -> &str {
        &self.value
    }

    /// Where it came from, such as `env:ADMIN_TOKEN`: safe to show.
    pub fn reference(&self) -> &str {
        &self.reference
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.reference)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.reference)
    }
}
