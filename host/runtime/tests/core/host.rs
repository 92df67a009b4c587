//! A runtime on a folder of its own, and short ways to call what it loads.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use segue_runtime::{
    CallError, CallSpec, Context, EndpointKind, Generation, Outcome, Payload, Reply, Request, Runtime,
    Settings,
};

pub struct Host {
    pub runtime: Runtime,
    pub dir: tempfile::TempDir,
}

/// Small enough that many of them fit into one process.
pub fn settings(dir: &Path) -> Settings {
    Settings {
        dir: dir.to_path_buf(),
        instances: 32,
        per_plugin: 16,
        ..Settings::default()
    }
}

impl Host {
    pub async fn start(plugins: &[(&str, Vec<u8>)]) -> Host {
        Host::start_with(plugins, |_| ()).await
    }

    pub async fn start_with(plugins: &[(&str, Vec<u8>)], change: impl FnOnce(&mut Settings)) -> Host {
        let dir = tempfile::tempdir().unwrap();
        for (name, wasm) in plugins {
            std::fs::write(dir.path().join(format!("{name}.wasm")), wasm).unwrap();
        }
        let mut settings = settings(dir.path());
        change(&mut settings);
        let runtime = Runtime::start(settings).unwrap();
        runtime.scanned().await;
        Host { runtime, dir }
    }

    /// Replaces a file and waits until the runtime has made up its mind.
    pub async fn put(&self, file: &str, bytes: impl AsRef<[u8]>) {
        let temporary = self.dir.path().join(".new");
        std::fs::write(&temporary, bytes).unwrap();
        std::fs::rename(&temporary, self.dir.path().join(file)).unwrap();
        self.runtime.rescan().await;
    }

    pub async fn delete(&self, file: &str) {
        std::fs::remove_file(self.dir.path().join(file)).unwrap();
        self.runtime.rescan().await;
    }

    pub fn generation(&self, plugin: &str) -> Arc<Generation> {
        let status = self.runtime.plugin(plugin);
        self.runtime
            .generation(plugin)
            .unwrap_or_else(|| panic!("{plugin} is not loaded: {status:#?}"))
    }

    /// Calls `plugin` and reads its reply to the end.
    pub async fn call(&self, plugin: &str, spec: CallSpec) -> (Vec<Reply>, Outcome) {
        let mut call = self.runtime.call(&self.generation(plugin), spec);
        let mut replies = Vec::new();
        while let Some(reply) = call.next().await {
            replies.push(reply);
        }
        (replies, call.finish().await)
    }

    /// The text of the reply, which must end well.
    pub async fn ask(&self, plugin: &str, text: &str) -> String {
        let (replies, outcome) = self.call(plugin, message(text)).await;
        assert_eq!(outcome.result, Ok(()));
        joined(&replies)
    }

    /// The error a call ends in.
    pub async fn fails(&self, plugin: &str, spec: CallSpec) -> CallError {
        let (_, outcome) = self.call(plugin, spec).await;
        outcome.result.unwrap_err()
    }
}

pub fn joined(replies: &[Reply]) -> String {
    let chunks = replies.iter().map(|reply| match reply {
        Reply::Chunk(text) => text.as_str(),
        other => panic!("unexpected {other:?}"),
    });
    chunks.collect()
}

pub fn message(text: &str) -> CallSpec {
    CallSpec {
        request: Request {
            id: String::from("m1"),
            mtype: String::from("chat"),
            payload: Payload::Text(String::from(text)),
            ..Request::default()
        },
        context: Context {
            attempt: 1,
            ..Context::default()
        },
        ..CallSpec::default()
    }
}

pub fn raw(text: &str) -> CallSpec {
    let mut spec = message(text);
    spec.context.kind = EndpointKind::Raw;
    spec
}

pub fn within(deadline_ms: u64) -> CallSpec {
    CallSpec {
        deadline: Some(Duration::from_millis(deadline_ms)),
        ..message("")
    }
}

/// Waits until `done`, for as long as a test may take.
pub async fn until(done: impl Fn() -> bool) {
    let wait = async {
        while !done() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap();
}
