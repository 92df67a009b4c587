//! Makes components of the crates in `plugins/` and `tests/guests/`, each with its
//! `plugin.toml` inside, as `segue build` would make them.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, bail};
use segue_manifest::Source;

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
    publish(paths, &names, "plugins", &paths.root.join("plugins"))
}

/// Builds the plugins, and the tests' own guests to `target/guests`.
pub(crate) fn build_all(paths: &Paths) -> Result<Vec<PathBuf>> {
    let plugins = crates_in(&paths.root.join("plugins"))?;
    let guests = crates_in(&paths.root.join("tests").join("guests"))?;
    let all: Vec<String> = plugins.iter().chain(&guests).cloned().collect();
    build(paths, "building plugins and test guests", &all)?;
    let (of_plugins, of_guests) = (
        paths.root.join("plugins"),
        paths.root.join("tests").join("guests"),
    );
    let mut built = publish(paths, &plugins, "plugins", &of_plugins)?;
    built.extend(publish(paths, &guests, "guests", &of_guests)?);
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

/// Copies what was built of the crates in `crates` to `target/FOLDER/NAME.wasm`.
fn publish(paths: &Paths, names: &[String], folder: &str, crates: &Path) -> Result<Vec<PathBuf>> {
    let built = paths.target.join(TARGET).join("guest");
    let folder = paths.target.join(folder);
    fs::create_dir_all(&folder).with_context(|| format!("{}", folder.display()))?;
    let mut published = Vec::new();
    for name in names {
        let from = built.join(format!("{}.wasm", name.replace('-', "_")));
        let to = folder.join(format!("{name}.wasm"));
        let bytes = fs::read(&from).with_context(|| format!("{}", from.display()))?;
        let bytes =
            with_manifest(bytes, &crates.join(name)).with_context(|| format!("{}", from.display()))?;
        place(&bytes, &to)?;
        published.push(to);
    }
    Ok(published)
}

/// A component with who it is inside. A guest of the tests may be nobody.
fn with_manifest(component: Vec<u8>, of: &Path) -> Result<Vec<u8>> {
    let file = of.join(segue_manifest::FILE);
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(component),
        Err(error) => return Err(error).with_context(|| format!("{}", file.display())),
    };
    let shown = file.display().to_string();
    let source = Source::parse(&text).map_err(|faults| anyhow!(faults.report(&shown)))?;
    Ok(segue_manifest::embed(&component, &source.manifest)?)
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
    fn the_bundled_plugins_are_found_and_say_who_they_are() {
        let plugins = Paths::find().unwrap().root.join("plugins");
        let names = crates_in(&plugins).unwrap();
        assert!(names.contains(&"echo".to_string()));
        for name in names {
            let text = fs::read_to_string(plugins.join(&name).join(segue_manifest::FILE)).unwrap();
            assert_eq!(Source::parse(&text).unwrap().manifest.name, name);
        }
    }

    #[test]
    fn a_manifest_that_is_there_is_put_inside() {
        let folder = tempfile::tempdir().unwrap();
        let component = b"\0asm\x0d\0\x01\0".to_vec();
        assert_eq!(
            with_manifest(component.clone(), folder.path()).unwrap(),
            component
        );
        let file = folder.path().join(segue_manifest::FILE);
        fs::write(&file, "name = \"a\"\nversion = \"1\"").unwrap();
        let made = with_manifest(component.clone(), folder.path()).unwrap();
        assert!(made.ends_with(br#"{"name":"a","version":"1"}"#));
        fs::write(&file, "name = 1").unwrap();
        let said = with_manifest(component, folder.path()).unwrap_err().to_string();
        assert!(said.contains("plugin.toml:1:8: "), "{said}");
    }
}
