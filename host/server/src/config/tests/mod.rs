//! What an operator relies on: every fault is found, in one pass, at its
//! place; overrides have one order; nothing secret is told.

mod backends;
mod budgets;
mod documents;
mod faults;
mod metrics;
mod models;
mod overrides;
mod resilience;
mod resolved;
mod telemetry;
mod throttle;

use std::collections::BTreeMap;
use std::path::Path;

use super::{Config, Faults, parse};

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

fn read(text: &str) -> Result<Config, Faults> {
    parse(text, Path::new("/srv/segue"), &BTreeMap::new())
}

fn good(text: &str) -> Config {
    read(text).unwrap_or_else(|faults| panic!("{faults}"))
}

fn bad(text: &str) -> Faults {
    read(text).expect_err("this config has a fault")
}
