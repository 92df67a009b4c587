//! Runs cargo with its progress shown: as a bar on a terminal, as a line every
//! tenth of the way elsewhere. What cargo says besides is kept and shown in full
//! when it fails.

use std::collections::VecDeque;
use std::io::{BufReader, IsTerminal as _, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::paths::Paths;

/// How many of cargo's lines are kept for the case that it fails.
const KEPT_LINES: usize = 5_000;

/// A cargo command in the workspace.
pub(crate) fn command(paths: &Paths) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(&paths.root);
    // What cargo told this program about itself is not true of the next one.
    for (name, _) in std::env::vars_os() {
        let foreign = name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"));
        if foreign {
            command.env_remove(name);
        }
    }
    command
}

/// Runs cargo with `arguments`, showing `label` and how far it is.
pub(crate) fn run(paths: &Paths, label: &str, arguments: &[&str]) -> Result<()> {
    let terminal = std::io::stderr().is_terminal();
    let started = Instant::now();
    let mut child = command(paths)
        .args(arguments)
        .env("CARGO_TERM_PROGRESS_WHEN", "always")
        .env("CARGO_TERM_PROGRESS_WIDTH", "160")
        .env("CARGO_TERM_COLOR", if terminal { "always" } else { "never" })
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cargo could not be started")?;
    let stderr = child.stderr.take().context("cargo has no stderr")?;
    let mut view = View::new(label, terminal);
    let kept = follow(stderr, &mut view)?;
    let status = child.wait()?;
    view.end(status, started.elapsed());
    if status.success() {
        return Ok(());
    }
    for line in kept {
        eprintln!("{line}");
    }
    bail!("`cargo {}` failed", arguments.join(" "))
}

/// Runs cargo with `arguments` on the terminal as it is.
pub(crate) fn pass_through(paths: &Paths, arguments: &[&str]) -> Result<()> {
    let status = command(paths)
        .args(arguments)
        .status()
        .context("cargo could not be started")?;
    if !status.success() {
        bail!("`cargo {}` failed", arguments.join(" "));
    }
    Ok(())
}

/// Reads cargo's output to its end and returns what is worth keeping of it.
/// Cargo ends a line of progress with a carriage return, any other with a newline.
fn follow(output: impl Read, view: &mut View) -> Result<VecDeque<String>> {
    let mut kept = VecDeque::new();
    let mut line = Vec::new();
    for byte in BufReader::new(output).bytes() {
        match byte? {
            b'\r' | b'\n' => {
                let text = String::from_utf8_lossy(&line).into_owned();
                line.clear();
                match progress(&text) {
                    Some(progress) => view.show(&progress),
                    None if text.trim().is_empty() => {}
                    None => {
                        view.remark(&text);
                        if kept.len() == KEPT_LINES {
                            kept.pop_front();
                        }
                        kept.push_back(text);
                    }
                }
            }
            byte => line.push(byte),
        }
    }
    Ok(kept)
}

/// How far cargo is.
#[derive(Debug, PartialEq)]
struct Progress {
    done: u64,
    of: u64,
    at: String,
}

/// Reads `Building [===>   ] 12/345: serde, tokio`, colours and all.
fn progress(line: &str) -> Option<Progress> {
    let line = plain(line);
    let (head, rest) = line.split_once(']')?;
    if !head.trim_start().starts_with("Building [") {
        return None;
    }
    let (count, at) = rest.split_once(':').unwrap_or((rest, ""));
    let (done, of) = count.trim().split_once('/')?;
    Some(Progress {
        done: done.parse().ok()?,
        of: of.parse().ok()?,
        at: at.trim().to_string(),
    })
}

/// A line without its escape sequences.
fn plain(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut escaped = false;
    for c in line.chars() {
        match (escaped, c) {
            (false, '\u{1b}') => escaped = true,
            (false, c) => plain.push(c),
            (true, c) => escaped = !c.is_ascii_alphabetic(),
        }
    }
    plain
}

/// What cargo waits for before it goes on, if that is what it says.
fn awaited(line: &str) -> Option<String> {
    let lock = line.strip_prefix("Blocking waiting for file lock on ")?;
    Some(format!(
        "waiting for another cargo (a build, or an editor's check) to release its lock on the {lock}"
    ))
}

/// What the person sees.
struct View {
    label: String,
    bar: ProgressBar,
    terminal: bool,
    /// The last tenth that was told, without a terminal.
    tenth: u64,
}

impl View {
    fn new(label: &str, terminal: bool) -> Self {
        let target = if terminal {
            ProgressDrawTarget::stderr()
        } else {
            eprintln!("{label} ...");
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) =
            ProgressStyle::with_template("{prefix} {bar:24} {pos}/{len} {elapsed} {wide_msg:.dim}")
        {
            bar.set_style(style);
        }
        bar.set_prefix(label.to_string());
        bar.enable_steady_tick(Duration::from_millis(200));
        Self {
            label: label.to_string(),
            bar,
            terminal,
            tenth: 0,
        }
    }

    fn show(&mut self, progress: &Progress) {
        self.bar.set_length(progress.of);
        self.bar.set_position(progress.done);
        self.bar.set_message(progress.at.clone());
        let tenth = progress.done.saturating_mul(10) / progress.of.max(1);
        if !self.terminal && tenth > self.tenth {
            self.tenth = tenth;
            eprintln!("{}: {} of {}", self.label, progress.done, progress.of);
        }
    }

    /// Something that cargo said besides. Most of it can wait for a failure; that
    /// it waits for another cargo, or downloads, explains a bar that stands still.
    fn remark(&self, line: &str) {
        let line = plain(line);
        if let Some(awaited) = awaited(line.trim()) {
            self.bar.set_message(awaited.clone());
            if !self.terminal {
                eprintln!("{}: {awaited}", self.label);
            }
        } else if line.trim().starts_with("Download") {
            self.bar.set_message(line.trim().to_string());
        }
    }

    fn end(&self, status: ExitStatus, took: Duration) {
        self.bar.finish_and_clear();
        let verdict = if status.success() { "done" } else { "failed" };
        eprintln!("{}: {verdict} in {:.1} s", self.label, took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufRead as _;

    use super::*;

    #[test]
    fn reads_progress_as_cargo_draws_it() {
        let line = "\u{1b}[1m\u{1b}[36m    Building\u{1b}[0m [====>     ] 12/345: serde, tokio";
        let expected = Progress {
            done: 12,
            of: 345,
            at: "serde, tokio".into(),
        };
        assert_eq!(progress(line), Some(expected));
        assert_eq!(progress("   Compiling serde v1.0.0"), None);
        assert_eq!(progress("error[E0425]: cannot find value `x` 1/2: y]"), None);
    }

    #[test]
    fn says_what_cargo_waits_for() {
        let said = awaited("Blocking waiting for file lock on build directory").unwrap();
        assert!(
            said.contains("another cargo") && said.ends_with("build directory"),
            "{said}"
        );
        assert_eq!(awaited("Compiling blocking v1.0.0"), None);
    }

    /// Whoever types `cargo xtask` while something else builds is told at once
    /// that it waits, also before this program runs at all.
    #[test]
    fn a_task_that_has_to_wait_for_another_build_says_so() {
        let target = tempfile::tempdir().unwrap();
        let paths = Paths {
            root: Paths::find().unwrap().root,
            target: target.path().to_path_buf(),
        };
        let folder = target.path().join("debug");
        std::fs::create_dir(&folder).unwrap();
        // Held as another cargo holds it, and never released: nothing is built.
        let lock = std::fs::File::create(folder.join(".cargo-lock")).unwrap();
        lock.lock().unwrap();
        let mut child = command(&paths)
            .args(["xtask", "help"])
            .env("CARGO_TARGET_DIR", target.path())
            .env("CARGO_NET_OFFLINE", "true")
            .env_remove("CARGO_TERM_QUIET")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = Vec::new();
        for line in BufReader::new(child.stderr.take().unwrap()).lines() {
            said.push(line.unwrap());
            if said.iter().any(|line| awaited(line.trim()).is_some()) {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(said.iter().any(|line| awaited(line.trim()).is_some()), "{said:?}");
    }

    #[test]
    fn keeps_everything_that_is_not_progress() {
        let output = "    Building [>  ] 0/2: a\r   Compiling a v1.0.0\nerror: no\n\n";
        let kept = follow(output.as_bytes(), &mut View::new("test", false)).unwrap();
        assert_eq!(kept, ["   Compiling a v1.0.0", "error: no"]);
    }
}
