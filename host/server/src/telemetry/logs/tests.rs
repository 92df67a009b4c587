//! Lines are whole, carry their trace, and never hold up who writes them.

use std::io::Write;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::*;

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Sink {
    fn lines(&self) -> Vec<Value> {
        let bytes = self.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

fn with_logs(level: &str, work: impl FnOnce(&LogHandle)) -> Vec<Value> {
    let sink = Sink::default();
    let (subscriber, logs) =
        Logs::build(level, LogFormat::Json, false, [sink.clone(), sink.clone()]).unwrap();
    tracing::subscriber::with_default(subscriber, || work(&logs.handle()));
    drop(logs);
    sink.lines()
}

#[test]
fn a_line_names_time_level_context_trace_and_keeps_the_rest_apart() {
    let lines = with_logs("info", |_| {
        let span = tracing::info_span!("message", trace_id = "4bf9", id = "m1");
        let _inside = span.enter();
        tracing::info!(plugin = "echo", id = "m2", ms = 3, "answered\nin two lines");
    });
    let line = lines.first().unwrap();
    assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{line}");
    assert_eq!(line["level"], "INFO");
    assert!(line["context"].as_str().unwrap().starts_with("segue_server"));
    assert_eq!(line["trace_id"], "4bf9");
    assert_eq!(line["message"], "answered\nin two lines");
    assert_eq!(
        line["extra"],
        serde_json::json!({ "plugin": "echo", "id": "m2", "ms": 3 })
    );
}

#[test]
fn the_trace_is_taken_from_a_traceparent_too() {
    let lines = with_logs("info", |_| {
        tracing::info!(
            traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "x"
        );
    });
    assert_eq!(
        lines.first().unwrap()["trace_id"],
        "4bf92f3577b34da6a3ce929d0e0e4736"
    );
}

#[test]
fn the_level_is_about_segue_and_its_plugins_and_can_change() {
    let lines = with_logs("info", |handle| {
        tracing::debug!("one");
        tracing::info!(target: "hyper::proto", "two");
        tracing::warn!(target: "hyper::proto", "three");
        tracing::info!(target: "plugin", "four");
        handle.set_level("debug").unwrap();
        tracing::debug!("five");
        assert!(handle.set_level("loud").is_err());
        assert!(handle.set_level("info,loud").is_err());
        handle.set_level("info,plugin=debug").unwrap();
        tracing::debug!("six");
        tracing::info!(target: "hyper::proto", "seven");
        tracing::debug!(target: "plugin", "eight");
        handle.set_level("off").unwrap();
        tracing::error!("nine");
    });
    let said: Vec<&str> = lines.iter().map(|l| l["message"].as_str().unwrap()).collect();
    assert_eq!(said, ["three", "four", "five", "eight"]);
}

#[test]
fn a_long_value_is_cut() {
    let lines = with_logs("info", |_| {
        tracing::info!(text = "é".repeat(MAX_VALUE_BYTES), "x")
    });
    assert!(lines.first().unwrap()["extra"]["text"].as_str().unwrap().len() < MAX_VALUE_BYTES + 64);
}

/// A writer that is stuck until it is told to go on.
struct Stuck {
    go: Arc<Mutex<Receiver<()>>>,
    sink: Sink,
}

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // Ends when the sender is dropped.
        let _ = self.go.lock().unwrap().recv();
        self.sink.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn with_a_stuck_writer_lines_are_dropped_and_counted_but_no_error_is() {
    let (go, wait): (Sender<()>, _) = channel();
    let wait = Arc::new(Mutex::new(wait));
    let sink = Sink::default();
    let open = || Stuck {
        go: wait.clone(),
        sink: sink.clone(),
    };
    let (subscriber, logs) = Logs::build("info", LogFormat::Json, false, [open(), open()]).unwrap();
    let handle = logs.handle();
    tracing::subscriber::with_default(subscriber, || {
        for n in 0..QUEUED_LINES + 100 {
            tracing::info!(n, "flood");
        }
        for n in 0..100 {
            tracing::error!(n, "error");
            // A plugin's errors go the lossy way.
            tracing::error!(target: "plugin", n, "plugin");
        }
    });
    assert!(handle.dropped() >= 190, "{}", handle.dropped());
    drop(go);
    drop(logs);
    let errors = sink.lines().iter().filter(|l| l["message"] == "error").count();
    assert_eq!(errors, 100);
}
