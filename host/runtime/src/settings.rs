//! What a runtime is started with: plain values, already validated by whoever
//! read the configuration. Every bound of the runtime stands here.

use std::path::PathBuf;
use std::time::Duration;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::capability::Capabilities;
use crate::grants::Grants;

const MIB: u64 = 1 << 20;

/// What one call may use. Past each of them the call ends in its own error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Wall time from admission to the handler's return.
    pub deadline: Duration,
    /// The total over all linear memories and tables of one instance.
    pub memory_bytes: u64,
    /// The total of what one call may send as reply.
    pub reply_bytes: u64,
    /// How many pieces one call may send.
    pub chunks: u32,
}

impl Limits {
    /// The ceiling an operator's `NAME.toml` may reach unless told otherwise.
    pub const MAX: Limits = Limits {
        deadline: Duration::from_secs(600),
        memory_bytes: 1024 * MIB,
        reply_bytes: 64 * MIB,
        chunks: 1_000_000,
    };
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            deadline: Duration::from_secs(30),
            memory_bytes: 64 * MIB,
            reply_bytes: 16 * MIB,
            chunks: 100_000,
        }
    }
}

impl Serialize for Limits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Limits", 4)?;
        let deadline_ms = u64::try_from(self.deadline.as_millis()).unwrap_or(u64::MAX);
        fields.serialize_field("deadline_ms", &deadline_ms)?;
        fields.serialize_field("memory_bytes", &self.memory_bytes)?;
        fields.serialize_field("reply_bytes", &self.reply_bytes)?;
        fields.serialize_field("chunks", &self.chunks)?;
        fields.end()
    }
}

/// How a [`Runtime`](crate::Runtime) is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The plugin folder.
    pub dir: PathBuf,
    /// Where compiled components are kept. A folder that cannot be used
    /// (read-only, somebody else's, writable by others) costs one warning and
    /// the runtime goes on without a cache.
    pub cache: Option<PathBuf>,
    /// How large the cache may grow; the entries not used for longest go.
    pub cache_max_bytes: u64,
    /// A larger `.wasm` is refused unread.
    pub max_file_bytes: u64,
    /// How many plugins may be loaded at once; one more is refused.
    pub max_plugins: usize,
    /// Threads that compile, at lower priority.
    pub compile_threads: usize,
    /// Threads that run guests, apart from the caller's own runtime.
    pub guest_threads: usize,
    /// Calls that may run at once. A component that needs several memories
    /// counts for several.
    pub instances: u32,
    /// How many of `instances` one plugin may hold.
    pub per_plugin: u32,
    /// The limits where `NAME.toml` is silent.
    pub default_limits: Limits,
    /// What `NAME.toml` may not exceed.
    pub max_limits: Limits,
    /// What plugins may import beyond the world `handler`.
    pub capabilities: Capabilities,
    /// What a `NAME.toml` may grant at most.
    pub max_grants: Grants,
    /// Whether a version that reaches further than the one that serves takes
    /// over without [`Runtime::promote`](crate::Runtime::promote).
    pub auto_widen: bool,
    /// How long a file must be quiet when no event said it is complete.
    pub settle: Duration,
    /// How often the folder is read even without events.
    pub rescan: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            dir: PathBuf::from("plugins"),
            cache: None,
            cache_max_bytes: 1024 * MIB,
            max_file_bytes: 64 * MIB,
            max_plugins: 256,
            compile_threads: 1,
            guest_threads: std::thread::available_parallelism().map_or(1, usize::from),
            instances: 1000,
            per_plugin: 500,
            default_limits: Limits::default(),
            max_limits: Limits::MAX,
            capabilities: Capabilities::default(),
            max_grants: Grants::new(),
            auto_widen: false,
            settle: Duration::from_millis(250),
            rescan: Duration::from_secs(10),
        }
    }
}

/// Why a runtime could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "the plugin folder {} {problem}; make it, or set [plugins] dir to a folder that exists",
        dir.display()
    )]
    Folder { dir: PathBuf, problem: String },
    #[error(
        "the WebAssembly engine cannot reserve room for {instances} instances ({reason}); \
         lower [runtime] instances, or lift the limit on address space (ulimit -v)"
    )]
    Engine { instances: u32, reason: String },
    #[error("the host's functions cannot be linked: {0}")]
    Link(String),
    #[error("a thread of the runtime cannot be started: {0}")]
    Thread(#[from] std::io::Error),
    #[error("the runtime must be started from within a tokio runtime")]
    NoTokio,
}
