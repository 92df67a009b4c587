//! Who a plugin says it is: `plugin.toml` beside its source, and the custom
//! section of the component that carries the same as JSON.
//!
//! A crate of its own because two programs write it, `segue build` and the
//! workshop's tasks, and the second is compiled before everything else: it wants
//! neither the runtime nor a parser of WebAssembly. The runtime reads the section
//! for itself.
//!
//! Nothing here runs a plugin or touches a file.

mod read;
mod section;

use serde::Serialize;

pub use read::{Fault, Faults, is_plugin_name};
pub use section::{NoComponent, embed};

/// The file that an author writes.
pub const FILE: &str = "plugin.toml";
/// The custom section's name.
pub const SECTION: &str = "segue:plugin";

/// What the section holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Manifest {
    /// A plugin's name as the host takes it.
    pub name: String,
    /// The author's own, for people.
    pub version: String,
    /// One sentence.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The message types it is made for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mtypes: Vec<String>,
    /// Which calls may share an instance, one after the other: `message`,
    /// `session`, `tenant`, `shared`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub isolation: Vec<String>,
}

/// `plugin.toml`: the manifest, and how the component comes about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    pub manifest: Manifest,
    /// `[build]`; without it the plugin is a crate and cargo builds it.
    pub build: Option<Build>,
}

/// How a plugin of another language is built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Build {
    /// For the shell, in the plugin's folder.
    pub command: String,
    /// The component it makes, from the plugin's folder.
    pub output: String,
}

impl Source {
    /// Reads the text of a `plugin.toml`. Tells all that is wrong with it.
    pub fn parse(text: &str) -> Result<Source, Faults> {
        read::source(text)
    }
}

impl Manifest {
    /// As the section holds it.
    pub fn json(&self) -> String {
        // Strings and lists of strings have a form in JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}
