//! Makes the component: through cargo, or with a command of the author's. What
//! they say goes to the terminal as it is.

use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use segue_manifest::Build;
use serde_json::Value;

use crate::term;

const TARGET: &str = "wasm32-wasip2";

/// Builds what is in `dir` and returns the component's file.
pub(super) fn component(dir: &Path, build: Option<&Build>) -> anyhow::Result<PathBuf> {
    match build {
        Some(build) => by_command(dir, build),
        None => by_cargo(dir),
    }
}

fn by_command(dir: &Path, build: &Build) -> anyhow::Result<PathBuf> {
    let status = Command::new("sh")
        .args(["-c", &build.command])
        .current_dir(dir)
        .status()
        .context("the command under [build] could not be started")?;
    if !status.success() {
        bail!("`{}` failed ({status}); it says why, above", build.command);
    }
    let output = dir.join(&build.output);
    if !output.is_file() {
        bail!(
            "`{}` made no {}; mend `command` or `output` under [build] in plugin.toml",
            build.command,
            output.display()
        );
    }
    Ok(output)
}

fn by_cargo(dir: &Path) -> anyhow::Result<PathBuf> {
    let manifest = dir.join("Cargo.toml");
    if !manifest.is_file() {
        bail!(
            "there is no crate in {} to build; say under [build] in plugin.toml how the component is made, \
             or give it with --component",
            dir.display()
        );
    }
    let manifest = fs::canonicalize(&manifest).with_context(|| manifest.display().to_string())?;
    ensure_target(dir)?;
    let mut cargo = Command::new("cargo")
        .args(["build", "--release", "--target", TARGET])
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| not_there("cargo", &error))?;
    let mut made = None;
    for line in BufReader::new(cargo.stdout.take().context("cargo has no output")?).lines() {
        made = component_of(&line?, &manifest).or(made);
    }
    if !cargo.wait()?.success() {
        // The folder one is in has no name worth telling.
        let whose = match dir == Path::new(".") {
            true => String::from("this crate"),
            false => format!("the crate in {}", dir.display()),
        };
        bail!("cargo could not build {whose}; it says why, above");
    }
    made.context(
        "cargo built no component of this crate; it wants `crate-type = [\"cdylib\"]` under [lib] in Cargo.toml",
    )
}

/// The component that a message of cargo's tells of, if it is this crate's.
fn component_of(line: &str, manifest: &Path) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message.get("reason")? != "compiler-artifact" {
        return None;
    }
    let made_of = message.get("manifest_path")?.as_str()?;
    if fs::canonicalize(made_of).ok()? != manifest {
        return None;
    }
    let mut files = message
        .get("filenames")?
        .as_array()?
        .iter()
        .filter_map(Value::as_str);
    files.find(|file| file.ends_with(".wasm")).map(PathBuf::from)
}

/// Adds the target to the toolchain that builds in `dir`, if it lacks it.
fn ensure_target(dir: &Path) -> anyhow::Result<()> {
    let asked = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(dir)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| not_there("rustc", &error))?;
    let library = String::from_utf8_lossy(&asked.stdout);
    if asked.status.success() && Path::new(library.trim()).is_dir() {
        return Ok(());
    }
    term::tell(&format!(
        "the target {TARGET} is missing: running `rustup target add {TARGET}`"
    ));
    let added = Command::new("rustup")
        .args(["target", "add", TARGET])
        .current_dir(dir)
        .status();
    match added {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => bail!("rustup could not add the target {TARGET}; it says why, above"),
        Err(error) => bail!("{}", not_there("rustup", &error)),
    }
}

fn not_there(program: &str, error: &std::io::Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::NotFound => {
            anyhow::anyhow!("{program} is not installed, or not on the PATH; get it from https://rustup.rs")
        }
        _ => anyhow::anyhow!("{program} could not be started: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_component_is_told_by_cargo() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = dir.path().join("Cargo.toml");
        fs::write(&manifest, "").unwrap();
        let manifest = fs::canonicalize(&manifest).unwrap();
        let artifact = |reason: &str, path: &str, file: &str| {
            serde_json::json!({ "reason": reason, "manifest_path": path, "filenames": ["/t/liba.rlib", file] })
                .to_string()
        };
        let own = manifest.to_str().unwrap();
        let found = |line: &str| component_of(line, &manifest);
        let wasm = found(&artifact("compiler-artifact", own, "/t/a.wasm"));
        assert_eq!(wasm, Some(PathBuf::from("/t/a.wasm")));
        assert_eq!(found(&artifact("build-script-executed", own, "/t/a.wasm")), None);
        assert_eq!(
            found(&artifact("compiler-artifact", "/other/Cargo.toml", "/t/b.wasm")),
            None
        );
        assert_eq!(found(&artifact("compiler-artifact", own, "/t/a.so")), None);
        assert_eq!(found("what a build script prints"), None);
    }

    #[test]
    fn a_command_must_make_what_it_promises() {
        let dir = tempfile::tempdir().unwrap();
        let build = |command: &str| Build {
            command: command.into(),
            output: "out.wasm".into(),
        };
        let said = |command: &str| {
            component(dir.path(), Some(&build(command)))
                .unwrap_err()
                .to_string()
        };
        assert!(said("exit 3").contains("failed"));
        assert!(said("true").contains("made no"));
        let made = component(dir.path(), Some(&build("printf x > out.wasm"))).unwrap();
        assert_eq!(fs::read_to_string(made).unwrap(), "x");
        let said = component(dir.path(), None).unwrap_err().to_string();
        assert!(said.contains("no crate") && said.contains("[build]"), "{said}");
    }
}
