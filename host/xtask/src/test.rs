//! `cargo xtask test`: everything that the tests drive, then the tests.

use anyhow::Result;

use crate::paths::Paths;
use crate::{cargo, guests};

pub(crate) fn run(paths: &Paths, arguments: &[String]) -> Result<()> {
    guests::build_all(paths)?;
    // The tests start the host as a program of its own, which `cargo test` alone
    // would not build.
    cargo::run(paths, "building the host", &["build", "--workspace"])?;
    let mut all = vec!["test", "--workspace"];
    all.extend(arguments.iter().map(String::as_str));
    cargo::pass_through(paths, &all)
}
