//! The `segue` binary as a child process: for signals, exit codes, memory.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use crate::artifacts::segue_binary;
use crate::frames::text;
use crate::http::Http;
use crate::site::Site;
use crate::within;

/// A running `segue`. Dropping it kills it.
pub struct Process {
    child: Child,
    lines: mpsc::UnboundedReceiver<LogLine>,
    seen: Vec<LogLine>,
}

/// One line of the process's standard output or error.
#[derive(Clone, Debug)]
pub struct LogLine {
    pub text: String,
    /// The line's fields, where it is a JSON object.
    pub json: Option<Value>,
}

/// How a process ended, and everything it said.
#[derive(Debug)]
pub struct Finished {
    pub status: ExitStatus,
    pub output: String,
}

/// What the process uses now, from `/proc`.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    pub resident_kib: u64,
    pub threads: u64,
}

impl Process {
    /// `segue serve` on this site.
    #[must_use]
    pub fn serve(site: &Site) -> Process {
        Self::serve_with(site, &[])
    }

    /// `segue serve` with more arguments.
    #[must_use]
    pub fn serve_with(site: &Site, more: &[&str]) -> Process {
        let config = site.config_path();
        let serve = ["serve".as_ref(), "--config".as_ref(), config.as_os_str()];
        Self::run(serve.into_iter().chain(more.iter().map(OsStr::new)))
    }

    /// Any `segue` command.
    #[must_use]
    pub fn run<I: AsRef<OsStr>>(args: impl IntoIterator<Item = I>) -> Process {
        let mut child = Command::new(segue_binary())
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env("NO_COLOR", "1")
            .kill_on_drop(true)
            .spawn()
            .expect("starting segue");
        let (sender, lines) = mpsc::unbounded_channel();
        let stdout = child.stdout.take().expect("its output");
        let stderr = child.stderr.take().expect("its errors");
        tokio::spawn(forward(stdout, sender.clone()));
        tokio::spawn(forward(stderr, sender));
        Process {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// Waits for a line that satisfies `wanted`; lines that came before count.
    pub async fn line(&mut self, what: &str, wanted: impl Fn(&LogLine) -> bool) -> LogLine {
        if let Some(line) = self.seen.iter().find(|line| wanted(line)) {
            return line.clone();
        }
        loop {
            let next = within(what, self.lines.recv()).await;
            let Some(line) = next else {
                panic!("segue ended before {what}; it said:\n{}", self.said());
            };
            self.seen.push(line.clone());
            if wanted(&line) {
                return line;
            }
        }
    }

    /// Waits until the host serves: its public and admin addresses.
    pub async fn serving(&mut self) -> (SocketAddr, SocketAddr) {
        let line = self
            .line("the line that names the addresses", |line| {
                line.field("message") == "serving"
            })
            .await;
        let addr = |name| line.field(name).parse().expect("an address in the log");
        (addr("public"), addr("admin"))
    }

    /// The admin listener with the token the host wrote, as the CLI reads it.
    #[must_use]
    pub fn admin(&self, site: &Site, addr: SocketAddr) -> Http {
        let path = site.root().join(".segue").join("admin.token");
        let token = std::fs::read_to_string(&path).expect("the admin token's file");
        Http::new(addr, Some(token.trim().to_owned()))
    }

    /// Everything read from the process so far.
    #[must_use]
    pub fn said(&self) -> String {
        let lines: Vec<&str> = self.seen.iter().map(|line| line.text.as_str()).collect();
        lines.join("\n")
    }

    /// # Panics
    /// When the process has ended.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id().expect("a running process")
    }

    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// What Ctrl-C does.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// What asks for the configuration to be read again.
    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process id"), signal).expect("sending a signal");
    }

    /// Resident memory and threads, now.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let path = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(path).expect("the process's status");
        let field = |name: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name)?.split_whitespace().next())
                .and_then(|value| value.parse().ok())
                .unwrap_or_else(|| panic!("{name} in {status}"))
        };
        Usage {
            resident_kib: field("VmRSS:"),
            threads: field("Threads:"),
        }
    }

    /// Waits for the end.
    pub async fn finished(mut self) -> Finished {
        let status = within("segue to end", self.child.wait())
            .await
            .expect("an exit status");
        while let Some(line) = within("the rest of its output", self.lines.recv()).await {
            self.seen.push(line);
        }
        Finished {
            status,
            output: self.said(),
        }
    }
}

impl LogLine {
    fn new(text: String) -> Self {
        let json = serde_json::from_str(&text).ok().filter(Value::is_object);
        Self { text, json }
    }

    /// A string field of a JSON line, or of its `extra`.
    #[must_use]
    pub fn field(&self, name: &str) -> &str {
        let Some(json) = &self.json else { return "" };
        match text(json, name) {
            "" => json.get("extra").map_or("", |fields| text(fields, name)),
            found => found,
        }
    }
}

impl Finished {
    /// The exit code.
    ///
    /// # Panics
    /// When a signal ended the process.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.status
            .code()
            .unwrap_or_else(|| panic!("ended by {}; it said:\n{}", self.status, self.output))
    }
}

async fn forward(stream: impl AsyncRead + Unpin, sender: mpsc::UnboundedSender<LogLine>) {
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if sender.send(LogLine::new(line)).is_err() {
            return;
        }
    }
}
