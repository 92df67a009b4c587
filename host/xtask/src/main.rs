//! The tasks of those who work on Segue: `cargo xtask TASK`.
//!
//! One module a task; `cargo` runs cargo with its progress shown, `guests` makes
//! components. Host builds always name the whole workspace: cargo unites the
//! features of what it is asked to build, and a selection would compile half of
//! the dependencies once more with others.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "its output is the terminal"
)]

mod bench;
mod cargo;
mod demo;
#[cfg(test)]
mod docs;
mod guests;
mod paths;
mod serve;
mod shop;
mod test;

use std::process::ExitCode;

use anyhow::Result;

use crate::paths::Paths;

/// A task's name, what it does, and the function that does it.
struct Task {
    name: &'static str,
    about: &'static str,
    run: fn(&Paths, &[String]) -> Result<()>,
}

const TASKS: &[Task] = &[
    Task {
        name: "demo",
        about: "build, start a host and chat with it: [--port N]",
        run: demo::run,
    },
    Task {
        name: "test",
        about: "build the guests and run every test: [what `cargo test` takes]",
        run: test::run,
    },
    Task {
        name: "plugins",
        about: "build every bundled plugin to target/plugins/NAME.wasm: [--guests, those of the tests too]",
        run: guests::run,
    },
    Task {
        name: "shop",
        about: "write the sample database of the demo: [FILE, without it target/shop.db]",
        run: shop::run,
    },
    Task {
        name: "bench",
        about: "measure, and renew the README's table: [--keep-readme] [PARTS: message, swap, memory, forward, faults; the README keeps its table]",
        run: bench::run,
    },
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let Some(task) = TASKS.iter().find(|task| task.name == name) else {
        return usage(&name);
    };
    match Paths::find().and_then(|paths| (task.run)(&paths, &rest)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Lists what there is. Asked for, that is an answer; otherwise a failure.
fn usage(name: &str) -> ExitCode {
    let asked = matches!(name, "help" | "--help" | "-h");
    if !asked && !name.is_empty() {
        eprintln!("error: there is no task `{name}`\n");
    }
    eprintln!("cargo xtask TASK, where TASK is one of");
    for task in TASKS {
        eprintln!("  {:8}  {}", task.name, task.about);
    }
    if asked {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    }
}
