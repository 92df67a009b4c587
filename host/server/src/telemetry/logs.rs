//! Logs: JSON lines or text for people, written by threads of their own.
//!
//! - Below ERROR a line is never waited for: when the queue of
//!   [`QUEUED_LINES`] is full it is dropped, and counted
//!   (`segue_log_dropped_total`).
//! - The host's own ERROR lines are never dropped. They have a queue of
//!   [`QUEUED_ERRORS`]; only past it does the one who logs wait.
//! - A plugin's lines are always of the first kind, whatever level it gives
//!   them: a plugin must not be able to hold up the host.
//! - A value is cut at [`MAX_VALUE_BYTES`].
//!
//! The subscriber is the one thing here that belongs to the process, not to a
//! host: the program installs it, and hands hosts a [`LogHandle`].

mod json;

use std::io::{IsTerminal, Write};
use std::sync::Arc;

use tracing::{Level, Metadata, Subscriber};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use crate::config::LogFormat;

/// Lines below ERROR that may wait to be written.
pub const QUEUED_LINES: usize = 16_384;
/// ERROR lines that may wait to be written.
pub const QUEUED_ERRORS: usize = 4_096;
/// The most of one value that is written.
pub const MAX_VALUE_BYTES: usize = 8 * 1024;

/// The target under which plugins' own lines are logged.
const PLUGIN_TARGET: &str = "plugin";

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error(
        "log level `{level}` cannot be read ({reason}); use off, error, warn, info, debug or trace, and after commas levels of single targets, such as \"info,plugin=debug\""
    )]
    Level { level: String, reason: String },
    #[error("a log subscriber is installed already")]
    Installed,
    #[error("the log subscriber is gone")]
    Gone,
}

/// The writing threads. What is queued is written when this is dropped.
pub struct Logs {
    handle: LogHandle,
    _guards: [WorkerGuard; 2],
}

/// Changes the level while the host runs, and knows what was dropped.
#[derive(Clone, Default)]
pub struct LogHandle {
    live: Option<Arc<Live>>,
}

struct Live {
    filter: reload::Handle<EnvFilter, Registry>,
    dropped: ErrorCounter,
}

impl Logs {
    /// Logs to stderr from now on, for the whole process.
    pub fn install(level: &str, format: LogFormat) -> Result<Logs, LogError> {
        let colour = std::io::stderr().is_terminal();
        let (subscriber, logs) = Logs::build(level, format, colour, [std::io::stderr(), std::io::stderr()])?;
        tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::Installed)?;
        Ok(logs)
    }

    pub fn handle(&self) -> LogHandle {
        self.handle.clone()
    }

    fn build<W: Write + Send + 'static>(
        level: &str,
        format: LogFormat,
        colour: bool,
        [to_rest, to_errors]: [W; 2],
    ) -> Result<(impl Subscriber + Send + Sync + use<W>, Logs), LogError> {
        let (rest, rest_guard) = NonBlockingBuilder::default()
            .buffered_lines_limit(QUEUED_LINES)
            .lossy(true)
            .thread_name("segue-log")
            .finish(to_rest);
        let (errors, errors_guard) = NonBlockingBuilder::default()
            .buffered_lines_limit(QUEUED_ERRORS)
            .lossy(false)
            .thread_name("segue-log-error")
            .finish(to_errors);
        let dropped = rest.error_counter();
        let writers = Writers { rest, errors };
        let (filter, filter_handle) = reload::Layer::new(filter(level)?);
        let lines = match format {
            LogFormat::Json => tracing_subscriber::fmt::layer()
                .fmt_fields(JsonFields::new())
                .event_format(json::JsonLines)
                .with_writer(writers)
                .boxed(),
            LogFormat::Pretty => tracing_subscriber::fmt::layer()
                .with_ansi(colour)
                .with_writer(writers)
                .boxed(),
        };
        let handle = LogHandle {
            live: Some(Arc::new(Live {
                filter: filter_handle,
                dropped,
            })),
        };
        let logs = Logs {
            handle,
            _guards: [rest_guard, errors_guard],
        };
        Ok((tracing_subscriber::registry().with(filter).with(lines), logs))
    }
}

impl LogHandle {
    /// Lines that were dropped so far.
    pub fn dropped(&self) -> u64 {
        self.live
            .as_ref()
            .map_or(0, |live| live.dropped.dropped_lines() as u64)
    }

    /// Logs at `level` from now on. Without installed logs nothing happens.
    pub fn set_level(&self, level: &str) -> Result<(), LogError> {
        let filter = filter(level)?;
        match &self.live {
            Some(live) => live.filter.reload(filter).map_err(|_| LogError::Gone),
            None => Ok(()),
        }
    }
}

/// A bare level is about Segue and its plugins; the libraries underneath say no
/// more than warnings, for their debug lines would slow the host down and drown
/// its own. Levels of single targets are taken as they are.
fn filter(level: &str) -> Result<EnvFilter, LogError> {
    let refuse = |reason: String| LogError::Level {
        level: level.to_owned(),
        reason,
    };
    let mut directives = Vec::new();
    for item in level.split(',').map(str::trim) {
        match item.parse::<LevelFilter>() {
            Ok(level) => {
                let libraries = level.min(LevelFilter::WARN);
                // It warns of each request that a guest spells badly.
                let guests = level.min(LevelFilter::ERROR);
                directives.push(format!(
                    "{libraries},wasmtime_wasi_http={guests},segue={level},{PLUGIN_TARGET}={level}"
                ));
            }
            Err(_) if item.contains('=') => directives.push(item.to_owned()),
            Err(_) => return Err(refuse(format!("there is no level `{item}`"))),
        }
    }
    EnvFilter::builder()
        .parse(directives.join(","))
        .map_err(|e| refuse(e.to_string()))
}

struct Writers {
    rest: NonBlocking,
    errors: NonBlocking,
}

impl<'a> MakeWriter<'a> for Writers {
    type Writer = NonBlocking;

    fn make_writer(&'a self) -> NonBlocking {
        self.rest.clone()
    }

    fn make_writer_for(&'a self, line: &Metadata<'_>) -> NonBlocking {
        if *line.level() == Level::ERROR && line.target() != PLUGIN_TARGET {
            self.errors.clone()
        } else {
            self.rest.clone()
        }
    }
}

#[cfg(test)]
mod tests;
