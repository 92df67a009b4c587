//! Makes components of the crates in `plugins/` and `tests/guests/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::cargo;
use crate::paths::Paths;

const TARGET: &str = "wasm32-wasip2";

/// `cargo xtask plugins`.
pub(crate) fn run(paths: &Paths, arguments: &[String]) -> Result<()> {
    let built = match arguments {
        [] => build_plugins(paths)?,
        [flag] if flag == "--guests" => build_all(paths)?,
        _ => bail!("`cargo xtask plugins` takes nothing but `--guests`"),
    };
    for component in built {
        println!("{}", paths.shown(&component));
    }
    Ok(())
}

/// Builds the bundled plugins to `target/plugins`.
pub(crate) fn build_plugins(paths: &Paths) -> Result<Vec<PathBuf>> {
    let names = crates_in(&paths.root.join("plugins"))?;
    build(paths, "building the plugins", &names)?;
    publish(paths, &names, "plugins")
}

/// Builds the plugins, and the tests' own guests to `target/guests`.
pub(crate) fn build_all(paths: &Paths) -> Result<Vec<PathBuf>> {
    let plugins = crates_in(&paths.root.join("plugins"))?;
    let guests = crates_in(&paths.root.join("tests").join("guests"))?;
    let all: Vec<String> = plugins.iter().chain(&guests).cloned().collect();
    build(paths, "building plugins and test guests", &all)?;
    let mut built = publish(paths, &plugins, "plugins")?;
    built.extend(publish(paths, &guests, "guests")?);
    Ok(built)
}

/// The crates in a folder. Each has the name of its own folder.
fn crates_in(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| format!("{}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        if entry.path().join("Cargo.toml").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn build(paths: &Paths, label: &str, names: &[String]) -> Result<()> {
    ensure_target(paths)?;
    let mut arguments = vec!["build", "--profile", "guest", "--target", TARGET];
    for name in names {
        arguments.extend(["--package", name]);
    }
    cargo::run(paths, label, &arguments)
}

/// Copies what was built to `target/FOLDER/NAME.wasm`.
fn publish(paths: &Paths, names: &[String], folder: &str) -> Result<Vec<PathBuf>> {
    let built = paths.target.join(TARGET).join("guest");
    let folder = paths.target.join(folder);
    fs::create_dir_all(&folder).with_context(|| format!("{}", folder.display()))?;
    let mut published = Vec::new();
    for name in names {
        let from = built.join(format!("{}.wasm", name.replace('-', "_")));
        let to = folder.join(format!("{name}.wasm"));
        let bytes = fs::read(&from).with_context(|| format!("{}", from.display()))?;
        place(&bytes, &to)?;
        published.push(to);
    }
    Ok(published)
}

/// Writes a file so that whoever watches `to` never reads half of it, and leaves
/// it alone when nothing has changed.
pub(crate) fn place(bytes: &[u8], to: &Path) -> Result<()> {
    if fs::read(to).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let part = to.with_extension("part");
    fs::write(&part, bytes).with_context(|| format!("{}", part.display()))?;
    fs::rename(&part, to).with_context(|| format!("{}", to.display()))
}

/// The toolchain file names the target, but a rustup that was told to install
/// nothing by itself leaves it out.
fn ensure_target(paths: &Paths) -> Result<()> {
    let sysroot = Command::new("rustc")
        .args(["--print", "sysroot"])
        .current_dir(&paths.root)
        .output()
        .context("rustc could not be started")?;
    let sysroot = String::from_utf8(sysroot.stdout)?;
    let library = Path::new(sysroot.trim()).join("lib/rustlib").join(TARGET);
    if library.is_dir() {
        return Ok(());
    }
    eprintln!("the target {TARGET} is missing: running `rustup target add {TARGET}`");
    let added = Command::new("rustup")
        .args(["target", "add", TARGET])
        .current_dir(&paths.root)
        .status();
    match added {
        Ok(status) if status.success() => Ok(()),
        _ => bail!("the target {TARGET} could not be installed; rustup says why, above"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placing_replaces_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("a.wasm");
        for content in ["one", "two"] {
            place(content.as_bytes(), &to).unwrap();
            assert_eq!(fs::read_to_string(&to).unwrap(), content);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_bundled_plugins_are_found() {
        let plugins = Paths::find().unwrap().root.join("plugins");
        assert!(crates_in(&plugins).unwrap().contains(&"echo".to_string()));
    }
}
