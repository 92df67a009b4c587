//! Where things are.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The folders that tasks work in.
#[derive(Debug)]
pub(crate) struct Paths {
    /// The workspace.
    pub(crate) root: PathBuf,
    /// Cargo's target folder.
    pub(crate) target: PathBuf,
}

impl Paths {
    /// From where this crate lies, so that a task works from any folder.
    pub(crate) fn find() -> Result<Self> {
        let here = match std::env::var_os("CARGO_MANIFEST_DIR") {
            Some(folder) => PathBuf::from(folder),
            None => PathBuf::from(env!("CARGO_MANIFEST_DIR")),
        };
        let root = here
            .ancestors()
            .nth(2)
            .context("the xtask crate does not lie in the workspace")?
            .to_path_buf();
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(folder) => root.join(folder),
            None => root.join("target"),
        };
        Ok(Self { root, target })
    }

    /// The host, as daily work builds it.
    pub(crate) fn segue(&self) -> PathBuf {
        self.target.join("debug").join("segue")
    }

    /// A path as a person in the workspace would type it.
    pub(crate) fn shown<'a>(&self, path: &'a Path) -> std::path::Display<'a> {
        path.strip_prefix(&self.root).unwrap_or(path).display()
    }
}
