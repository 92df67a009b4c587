//! `segue-bench`: what the path of a message, a swap, an idle session and a
//! dependency that fails cost.
//!
//! Absolute times say more about the machine than about Segue, so everything is
//! measured beside a yardstick in the same run: a bare axum echo, a handler in
//! Rust inside the host, and bars for what has one. The table goes to standard
//! output, what is being done to standard error. Every loop is bounded by a
//! count or by time.

#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a program for a terminal"
)]

mod client;
mod faults;
mod forward;
mod memory;
mod message;
mod model;
mod report;
mod server;
mod stats;
mod swap;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};

use crate::report::Report;

/// Measure Segue, as ratios within one run
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Print one JSON object instead of the table
    #[arg(long)]
    json: bool,
    /// Few repetitions: whether it works, not how fast it is
    #[arg(long)]
    quick: bool,
    /// Only these parts
    #[arg(value_enum)]
    parts: Vec<Part>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The servers under test, as a process of their own
    #[command(hide = true)]
    Serve { config: PathBuf },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Message,
    Swap,
    Memory,
    Forward,
    Faults,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match cli.command {
        Some(Command::Serve { config }) => runtime.block_on(server::run(&config)),
        None => {
            let report = runtime.block_on(measure(&cli))?;
            if cli.json {
                println!("{}", serde_json::to_string_pretty(&report)?);
            } else {
                print!("{}", report.markdown());
            }
            Ok(())
        }
    }
}

async fn measure(cli: &Cli) -> Result<Report> {
    let wanted = |part| cli.parts.is_empty() || cli.parts.contains(&part);
    let mut report = Report::of_this_machine(cli.quick);
    if wanted(Part::Message) {
        report.message = message::measure(cli.quick).await?;
    }
    if wanted(Part::Swap) {
        report.swap = swap::measure(cli.quick).await?;
    }
    if wanted(Part::Memory) {
        report.memory = memory::measure(cli.quick).await?;
    }
    if wanted(Part::Forward) {
        report.forward = forward::measure(cli.quick).await?;
    }
    if wanted(Part::Faults) {
        report.faults = faults::measure(cli.quick).await?;
    }
    Ok(report)
}

/// Ten thousand sockets are ten thousand files, on either side.
fn raise_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        eprintln!("the limit on open files stays as it is: {error}");
    }
}
