//! The `segue` command.
//!
//! Exit codes, the same for every command: 0 done, 1 it could not be done or
//! the config has faults, 2 the config or the command line cannot be read, 130
//! stopped by a second Ctrl-C.

mod build;
mod chat;
mod check;
mod inspect;
mod new;
mod plugins;
mod serve;
mod term;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// Exit code for a config or a command line that cannot be read.
const UNREADABLE: u8 = 2;

#[derive(Debug, Parser)]
#[command(
    name = "segue",
    version,
    about = "A WebAssembly-plugin extensible orchestrator: one host for sockets and sessions, \
             handlers that are swapped while conversations go on",
    after_help = "\
Examples:
  segue check --config segue.toml    find every fault of a config
  segue serve --config segue.toml    serve it, until Ctrl-C
  segue new greet --with sql         begin a plugin
  segue build greet --to plugins     build it, and swap it in
  segue inspect echo.wasm            what a plugin is and what it wants
  segue plugins ls                   what is loaded in the host that runs
  segue chat                         talk to it from this terminal"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::ServeArgs),
    Check(check::CheckArgs),
    New(new::NewArgs),
    Build(build::BuildArgs),
    Inspect(inspect::InspectArgs),
    Plugins(plugins::PluginsArgs),
    Chat(chat::ChatArgs),
}

/// Which config a command is about.
#[derive(Debug, Args)]
struct ConfigArg {
    /// The config file; `.env` is read beside it
    #[arg(long, short, value_name = "FILE", default_value = "segue.toml")]
    config: PathBuf,
}

fn main() -> ExitCode {
    // Whoever opens the first TLS connection needs it; a second one is refused.
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
    let result = match Cli::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::Check(args) => Ok(check::run(&args)),
        Command::New(args) => new::run(&args),
        Command::Build(args) => build::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Plugins(args) => plugins::run(&args),
        Command::Chat(args) => term::block_on(chat::run(args)),
    };
    result.unwrap_or_else(|error| {
        term::complain(&format!("{error:#}"));
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_explains_itself_with_an_example() {
        for command in Cli::command().get_subcommands_mut() {
            let help = command.render_long_help().to_string();
            assert!(help.contains("segue "), "no example in: {help}");
        }
    }
}
