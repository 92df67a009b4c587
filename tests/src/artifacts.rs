//! Where the things under test lie: components and the `segue` binary.

use std::path::{Path, PathBuf};

/// Cargo's target directory, found from the test binary's own place so that
/// `CARGO_TARGET_DIR` and `--target-dir` are honoured.
#[must_use]
pub fn target_dir() -> PathBuf {
    profile_dir()
        .parent()
        .expect("a profile directory has a parent")
        .to_path_buf()
}

/// `target/debug` or `target/release`, whichever this code was built into.
fn profile_dir() -> PathBuf {
    let exe = std::env::current_exe().expect("the path of the test binary");
    let dir = exe.parent().expect("a binary lies in a directory");
    if dir.ends_with("deps") {
        dir.parent().expect("deps lies in a profile").to_path_buf()
    } else {
        dir.to_path_buf()
    }
}

/// The bytes of a component, by name: a bundled plugin or a test guest.
///
/// # Panics
/// When it has not been built.
#[must_use]
pub fn component(name: &str) -> Vec<u8> {
    let file = format!("{name}.wasm");
    let target = target_dir();
    ["plugins", "guests"]
        .iter()
        .map(|folder| target.join(folder).join(&file))
        .find(|path| path.is_file())
        .map_or_else(
            || panic!("{file} is not built: run `cargo xtask plugins` first"),
            |path| read(&path),
        )
}

/// The `segue` binary of the same profile as the tests.
///
/// # Panics
/// When it has not been built.
#[must_use]
pub fn segue_binary() -> PathBuf {
    let path = profile_dir().join("segue");
    assert!(
        path.is_file(),
        "{} is not built: run `cargo build` first",
        path.display()
    );
    path
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("reading {}: {error}", path.display()))
}
