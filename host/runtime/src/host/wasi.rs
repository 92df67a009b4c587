//! The WASI base that language runtimes need in order to start, empty: no
//! environment, no arguments, no files, no sockets, no name lookup; standard
//! input is closed, and lines written to standard output and error go to the
//! log. Clocks and random numbers are real.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, async_trait};

use super::PluginLog;
use super::logging::RECORD_MAX_BYTES;
use crate::bindings::wasi::logging::logging::Level;

/// The most random bytes one request may ask for: they are made while no other
/// call can have the thread.
const RANDOM_MAX_BYTES: u64 = 1 << 20;

/// What one write may hand over.
const WRITE_MAX_BYTES: usize = 64 * 1024;

pub(super) fn empty_context(log: &Arc<PluginLog>) -> WasiCtx {
    let mut context = WasiCtxBuilder::new();
    context
        .stdout(Lines::new("stdout", Level::Info, false, log))
        .stderr(Lines::new("stderr", Level::Warn, true, log))
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .max_random_size(RANDOM_MAX_BYTES);
    context.build()
}

/// A standard stream that becomes log records, one a line. A line longer than a
/// record is cut; its rest is dropped.
#[derive(Clone)]
struct Lines {
    shared: Arc<Shared>,
}

struct Shared {
    name: &'static str,
    level: Level,
    is_error: bool,
    log: Arc<PluginLog>,
    line: Mutex<Vec<u8>>,
}

impl Lines {
    fn new(name: &'static str, level: Level, is_error: bool, log: &Arc<PluginLog>) -> Lines {
        Lines {
            shared: Arc::new(Shared {
                name,
                level,
                is_error,
                log: Arc::clone(log),
                line: Mutex::new(Vec::new()),
            }),
        }
    }
}

impl Shared {
    fn write(&self, bytes: &[u8]) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            let room = RECORD_MAX_BYTES.saturating_sub(line.len());
            line.extend_from_slice(text.get(..room).unwrap_or(text));
            if ends {
                self.emit(&line);
                line.clear();
            }
        }
    }

    fn emit(&self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        match text {
            "" => {}
            text if self.is_error => self.log.write_error(self.level, self.name, text),
            text => self.log.write(self.level, self.name, text),
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let line = self.line.get_mut().unwrap_or_else(PoisonError::into_inner);
        let line = std::mem::take(line);
        if !line.is_empty() {
            self.emit(&line);
        }
    }
}

impl IsTerminal for Lines {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Lines {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Lines {
    async fn ready(&mut self) {}
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.shared.write(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_MAX_BYTES)
    }
}

impl AsyncWrite for Lines {
    fn poll_write(self: Pin<&mut Self>, _context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.shared.write(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
