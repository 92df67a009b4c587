//! A `segue serve` of the demo: started, awaited, and ended with the signals that
//! reach the task.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Compiling the plugins for the first time is part of getting ready.
const READY_WITHIN: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(100);

pub(crate) struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Starts the host, and from then on passes on Ctrl-C, the terminal's end and
    /// SIGTERM.
    pub(crate) fn start(segue: &Path, config: &Path, port: u16) -> Result<Self> {
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
        let child = Command::new(segue)
            .args(["serve".as_ref(), "--config".as_ref(), config.as_os_str()])
            .env("SEGUE_SERVER__LISTEN", format!("127.0.0.1:{port}"))
            .env(
                "SEGUE_ADMIN__LISTEN",
                format!("127.0.0.1:{}", port.saturating_add(1)),
            )
            .stdin(Stdio::null())
            // A terminal's Ctrl-C goes to the whole process group, and the host
            // would get it twice: from the terminal and from here.
            .process_group(0)
            .spawn()
            .with_context(|| format!("{} could not be started", segue.display()))?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.context("the host has no process id")?;
        thread::spawn(move || {
            for signal in signals.forever() {
                let signal = if signal == SIGTERM {
                    Signal::TERM
                } else {
                    Signal::INT
                };
                // It fails when the host has just ended, and then all is well.
                let _gone = kill_process(pid, signal);
            }
        });
        Ok(Self { child, port })
    }

    /// Waits until the host says that it is ready; false if it was stopped first.
    pub(crate) fn wait_until_ready(&mut self) -> Result<bool> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                if status.success() {
                    return Ok(false);
                }
                bail!("the host ended before it was ready ({status}); it says why, above");
            }
            if is_ready(self.port) {
                return Ok(true);
            }
            if started.elapsed() > READY_WITHIN {
                self.child.kill()?;
                let seconds = READY_WITHIN.as_secs();
                bail!("the host was not ready within {seconds} s; it says why, above");
            }
            thread::sleep(POLL);
        }
    }

    /// Waits for the host to end.
    pub(crate) fn run_to_end(mut self) -> Result<()> {
        let status = self.child.wait()?;
        if !status.success() {
            bail!("the host ended with a failure ({status}); it says why, above");
        }
        println!("stopped");
        Ok(())
    }
}

/// One request by hand: an HTTP client would be the largest dependency here.
fn is_ready(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(
            stream,
            "GET /health/ready HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
        )?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(status == *b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}
