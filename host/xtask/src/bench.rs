//! `cargo xtask bench`: runs the benchmarks on release builds and puts their
//! table into the README, between two markers.
//!
//! The benchmark program writes the table, and nothing else, to standard output;
//! what it is doing it tells on standard error.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};

use crate::paths::Paths;
use crate::{cargo, guests};

const BEGIN: &str = "<!-- bench:begin -->";
const END: &str = "<!-- bench:end -->";
const KEEP: &str = "--keep-readme";

pub(crate) fn run(paths: &Paths, arguments: &[String]) -> Result<()> {
    // A part of the table is no table.
    let keep = arguments
        .iter()
        .any(|argument| argument == KEEP || !argument.starts_with('-'));
    guests::build_all(paths)?;
    let build = ["build", "--release", "--package", "segue-bench"];
    cargo::run(paths, "building the benchmarks", &build)?;
    let output = cargo::command(paths)
        .args(["run", "--quiet", "--release", "--package", "segue-bench", "--"])
        .args(arguments.iter().filter(|argument| *argument != KEEP))
        .stderr(Stdio::inherit())
        .output()
        .context("cargo could not be started")?;
    let table = String::from_utf8(output.stdout)?;
    print!("{table}");
    if !output.status.success() {
        bail!("the benchmarks failed; the README is as it was");
    }
    // `--help` and the like answer without a table.
    if !keep && table.lines().any(|line| line.starts_with('|')) {
        let readme = paths.root.join("README.md");
        renew(&readme, &table)?;
        println!("{} has the new table", paths.shown(&readme));
    }
    Ok(())
}

fn renew(readme: &Path, table: &str) -> Result<()> {
    let text = fs::read_to_string(readme).with_context(|| format!("{}", readme.display()))?;
    let text = replaced(&text, table)
        .with_context(|| format!("{} lacks the lines `{BEGIN}` and `{END}`", readme.display()))?;
    fs::write(readme, text).with_context(|| format!("{}", readme.display()))
}

/// The text with `table` between the markers, or nothing if it has no markers.
fn replaced(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{}\n{END}{after}", table.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_markers_changes() {
        let text = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        let new = format!("a\n{BEGIN}\n| t |\n{END}\nb\n");
        assert_eq!(replaced(&text, "| t |\n").unwrap(), new);
        assert_eq!(replaced(&new, "| t |\n").unwrap(), new);
        assert_eq!(replaced("no markers", "| t |"), None);
    }
}
