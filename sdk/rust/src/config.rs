//! The plugin's own `[settings]`, for code that has no message at hand, through
//! WASI's interface for it. Needs no grant.
//!
//! ```
//! use segue_sdk::{config, prelude::*};
//!
//! fn answer(_: Message, reply: &mut Reply) -> Result<()> {
//!     let rows: usize = config::read("max_rows")?.unwrap_or(50);
//!     reply.send(format!("at most {rows} rows"))
//! }
//!
//! use segue_sdk::test::Call;
//!
//! let run = Call::text("").setting("max_rows", 20).run(answer);
//! assert_eq!(run.text(), "at most 20 rows");
//! let run = Call::text("").setting("max_rows", "many").run(answer);
//! assert!(run.result.unwrap_err().detail().unwrap().contains("max_rows"));
//! ```

use serde::de::DeserializeOwned;

use crate::bindings::wasi::config::store;
use crate::{Error, Result, host};

/// A setting: a string as it is, any other value as JSON. `None` when it is not
/// set.
pub fn get(key: &str) -> Result<Option<String>> {
    host::config::get(key).map_err(failed)
}

/// All settings, sorted by key.
pub fn all() -> Result<Vec<(String, String)>> {
    host::config::get_all().map_err(failed)
}

/// A setting as what it is meant to be: a number, a flag, a list, a struct. A
/// value of another kind is an error that names the key in the host's log.
pub fn read<T: DeserializeOwned>(key: &str) -> Result<Option<T>> {
    let Some(text) = get(key)? else {
        return Ok(None);
    };
    // A string comes without its quotes, so what is no JSON may be one.
    let value = serde_json::from_str(&text).or_else(|error| {
        let string = serde_json::Value::String(text);
        serde_json::from_value(string).map_err(|_| error)
    });
    match value {
        Ok(value) => Ok(Some(value)),
        Err(error) => Err(Error::new(
            Error::HANDLER_FAILED,
            "the handler is not configured as it must be",
        )
        .with_detail(format!("`{key}` in [settings] cannot be used: {error}"))),
    }
}

fn failed(error: store::Error) -> Error {
    let (store::Error::Upstream(reason) | store::Error::Io(reason)) = error;
    Error::new(Error::STORE_UNAVAILABLE, "the settings cannot be read").with_detail(reason)
}
