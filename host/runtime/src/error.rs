//! Why a file in the plugin folder does not become a plugin.
//!
//! Every refusal has a stable code (for logs, metrics and the admin API) and one
//! sentence that says what is wrong and what mends it. A refusal never touches
//! the version that serves.

use std::fmt;

use crate::units::format_size;

/// Names that a message lists before it only counts the rest.
const LISTED: usize = 64;

/// Why a plugin was refused. The text is for the operator, never for a client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    #[error(
        "the file is empty: copy the component again, best under another name that is then renamed into place"
    )]
    Empty,

    #[error("the file cannot be read ({reason}): {mend}")]
    Unreadable { reason: String, mend: &'static str },

    #[error("this is {what}, not a regular file: put the component itself, or a link to it, here")]
    NotAFile { what: &'static str },

    #[error(
        "the file has {}, more than the {} that `[plugins] max_file` allows, and was not read: make it smaller (strip it, build for release) or raise that limit",
        format_size(*bytes), format_size(*limit)
    )]
    TooLarge { bytes: u64, limit: u64 },

    #[error(
        "the file ends after {have} of at least {need} bytes: copy it again, best under another name that is then renamed into place"
    )]
    Truncated { have: u64, need: u64 },

    #[error("this is not WebAssembly but {found}: {mend}")]
    NotWasm { found: &'static str, mend: &'static str },

    #[error(
        "this is a core WebAssembly module, not a component: build it for the target wasm32-wasip2, or wrap it with `wasm-tools component new FILE.wasm -o NAME.wasm`"
    )]
    CoreModule,

    #[error(
        "the component is not valid ({reason}, at byte {offset}): build it again, and see what `wasm-tools validate` says of the result"
    )]
    Invalid { reason: String, offset: usize },

    #[error(
        "this is a {world}, which this host does not run yet: build it against the world `handler` of {speaks}, or use a host that knows the world"
    )]
    UnknownWorld {
        world: &'static str,
        speaks: &'static str,
    },

    #[error("{found}: build it against the world `handler` of {speaks}")]
    WrongWorld { found: String, speaks: &'static str },

    #[error(
        "it was built against {wants}, and this host speaks {speaks}: update the host, or build the plugin against that version"
    )]
    NewerVersion { wants: String, speaks: &'static str },

    #[error(
        "it imports what this host does not have: {}; leave these imports out of the plugin's world, or use a host that has them",
        listed(names)
    )]
    UnknownImports { names: Vec<String> },

    #[error("its manifest cannot be read ({reason}): build it again with `segue build`")]
    Manifest { reason: String },

    #[error("its .toml is not valid: {}", faults(.0))]
    Sidecar(Vec<SidecarFault>),

    #[error(
        "compiling it failed ({reason}): build it again with a current toolchain, without experimental WebAssembly features"
    )]
    CompileFailed { reason: String },

    #[error("it does not fit the host's interfaces ({reason}): build it again against the WIT of {speaks}")]
    LinkFailed { reason: String, speaks: &'static str },

    #[error(
        "the folder holds more plugins than the {limit} that `[plugins] max_count` allows: remove some, or raise that limit"
    )]
    TooManyPlugins { limit: usize },

    #[error(
        "it begins with {} of memory, more than its limit of {}: raise `memory` in [limits] of its .toml, or make it smaller",
        format_size(*needs), format_size(*limit)
    )]
    MemoryTooSmall { needs: u64, limit: u64 },

    #[error(
        "one call of it takes {weight} instances, more than the {share} that `[runtime] per_plugin` allows: raise that, or use fewer memories and tables"
    )]
    TooManyInstances { weight: u32, share: u32 },
}

impl LoadError {
    /// The stable name of this refusal.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Unreadable { .. } => "unreadable",
            Self::NotAFile { .. } => "not_a_file",
            Self::TooLarge { .. } => "too_large",
            Self::Truncated { .. } => "truncated",
            Self::NotWasm { .. } => "not_wasm",
            Self::CoreModule => "core_module",
            Self::Invalid { .. } => "invalid",
            Self::UnknownWorld { .. } => "unknown_world",
            Self::WrongWorld { .. } => "wrong_world",
            Self::NewerVersion { .. } => "newer_version",
            Self::UnknownImports { .. } => "unknown_import",
            Self::Manifest { .. } => "manifest_invalid",
            Self::Sidecar(_) => "sidecar_invalid",
            Self::CompileFailed { .. } => "compile_failed",
            Self::LinkFailed { .. } => "link_failed",
            Self::TooManyPlugins { .. } => "too_many_plugins",
            Self::MemoryTooSmall { .. } => "memory_too_small",
            Self::TooManyInstances { .. } => "too_many_instances",
        }
    }
}

/// One fault in a plugin's `.toml`: where, what, and what mends it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SidecarFault {
    /// Counted from 1.
    pub line: usize,
    pub message: String,
}

impl fmt::Display for SidecarFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

fn faults(faults: &[SidecarFault]) -> String {
    join(faults.iter().map(ToString::to_string), faults.len(), "; ")
}

fn listed(names: &[String]) -> String {
    join(names.iter().map(|name| clip(name, 200)), names.len(), ", ")
}

fn join(texts: impl Iterator<Item = String>, count: usize, separator: &str) -> String {
    let mut text = texts.take(LISTED).collect::<Vec<_>>().join(separator);
    if let Some(rest) = count.checked_sub(LISTED).filter(|rest| *rest > 0) {
        text.push_str(&format!("{separator}and {rest} more"));
    }
    text
}

/// At most `max` bytes of a text that comes from a plugin file, on one line.
pub(crate) fn clip(text: &str, max: usize) -> String {
    let mut clipped = String::with_capacity(text.len().min(max));
    for c in text.chars() {
        if clipped.len() + c.len_utf8() > max {
            clipped.push('…');
            break;
        }
        clipped.push(if c.is_control() { ' ' } else { c });
    }
    clipped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_bounded_however_much_a_plugin_imports() {
        let names = (0..10_000)
            .map(|n| format!("a:b/{n}{}", "x".repeat(1000)))
            .collect();
        let message = LoadError::UnknownImports { names }.to_string();
        assert!(message.len() < 20_000, "{}", message.len());
        assert!(message.contains("and 9936 more"), "{message}");
    }

    #[test]
    fn text_of_a_plugin_cannot_forge_log_lines() {
        assert_eq!(clip("a\nb\u{1b}[31m", 100), "a b [31m");
        assert_eq!(clip("äöü", 4), "äö…");
    }
}
