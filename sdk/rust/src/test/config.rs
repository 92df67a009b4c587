//! The settings that a test gives, in the place of `wasi:config/store`.

use super::fake::{current, text_of};
use crate::bindings::wasi::config::store::Error;

pub(crate) fn get(key: &str) -> Result<Option<String>, Error> {
    Ok(current(|host| host.settings.get(key).map(text_of)))
}

pub(crate) fn get_all() -> Result<Vec<(String, String)>, Error> {
    let pair = |(key, value): (&String, &serde_json::Value)| (key.clone(), text_of(value));
    let mut all: Vec<_> = current(|host| host.settings.iter().map(pair).collect());
    all.sort();
    Ok(all)
}
