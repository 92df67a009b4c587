//! `segue new`: a plugin to begin with, that builds and passes its own tests.

mod files;
mod parts;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{anyhow, bail};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::term;
use parts::Part;

/// Names that a crate cannot have, or should not: words of the language, and
/// crates that are there already.
#[rustfmt::skip]
const TAKEN: &[&str] = &[
    "abstract", "alloc", "as", "async", "await", "become", "box", "break", "const", "continue", "core", "crate",
    "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let",
    "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "proc_macro", "pub", "ref", "return",
    "segue_sdk", "segue_sdk_macros", "self", "static", "std", "struct", "super", "test", "trait", "true", "try",
    "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// Begin a plugin in Rust: a crate that builds and passes its own tests
///
/// Writes a folder NAME with a handler that uses each capability of --with, its
/// tests with fakes in their place, plugin.toml, and NAME.toml with the grants it
/// needs. An existing folder is never touched.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  segue new greet
  segue new stock --with sql,llm
  segue new stock --with search --dir ../plugins --sdk ../segue/sdk/rust")]
pub(crate) struct NewArgs {
    /// The plugin's name, which is its folder's too
    #[arg(value_name = "NAME")]
    name: String,
    /// What it is to use, separated by commas
    #[arg(long, value_name = "CAPABILITIES", value_delimiter = ',')]
    with: Vec<Part>,
    /// Segue's SDK for Rust, `sdk/rust` of a checkout [default: of the one that
    /// this program was built from]
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
    /// The folder to make it in
    #[arg(long, value_name = "PARENT", default_value = ".")]
    dir: PathBuf,
}

pub(crate) fn run(args: &NewArgs) -> anyhow::Result<ExitCode> {
    check_name(&args.name)?;
    let sdk = sdk(args.sdk.as_deref())?;
    if !args.dir.is_dir() {
        bail!(
            "there is no folder {}; make it, or name another after --dir",
            args.dir.display()
        );
    }
    let mut parts = args.with.clone();
    parts.sort();
    parts.dedup();
    let files = files::of(&args.name, &parts, &sdk);
    let folder = args.dir.join(&args.name);
    term::block_on(async {
        // From here on Ctrl-C and a stop are heard and not obeyed: what takes
        // milliseconds is done whole.
        let _held = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        write(&folder, &files)
    })?;
    let folder = folder.strip_prefix(".").unwrap_or(&folder);
    term::say(&next(&args.name, folder, &parts));
    Ok(ExitCode::SUCCESS)
}

fn check_name(name: &str) -> anyhow::Result<()> {
    if !segue_manifest::is_plugin_name(name) || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        bail!(
            "`{name}` cannot be the name of a plugin and a crate; use up to 64 of a-z, 0-9, `-` and `_`, \
             and begin with a letter"
        );
    }
    if TAKEN.contains(&name.replace('-', "_").as_str()) {
        bail!("a crate cannot be called `{name}`; try `{name}-plugin`");
    }
    Ok(())
}

/// Where the SDK is, as a string for Cargo.toml.
fn sdk(given: Option<&Path>) -> anyhow::Result<String> {
    let own = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/rust");
    let dir = given.map_or_else(own, Path::to_path_buf);
    let is_sdk = || {
        let manifest: toml::Table = fs::read_to_string(dir.join("Cargo.toml")).ok()?.parse().ok()?;
        Some(manifest.get("package")?.get("name")?.as_str()? == "segue-sdk")
    };
    if is_sdk() != Some(true) {
        match given {
            Some(dir) => bail!(
                "there is no Segue SDK in {}; name `sdk/rust` of a checkout",
                dir.display()
            ),
            None => bail!(
                "the checkout that this program was built from is gone; \
                 name `sdk/rust` of another with --sdk"
            ),
        }
    }
    let dir = fs::canonicalize(&dir).map_err(|error| anyhow!(term::unreadable(&dir, &error)))?;
    match dir.to_str() {
        Some(dir) => Ok(dir.to_owned()),
        None => bail!(
            "the path of the SDK, {}, cannot stand in a Cargo.toml",
            dir.display()
        ),
    }
}

/// Writes the folder, all of it or none.
fn write(folder: &Path, files: &[(String, String)]) -> anyhow::Result<()> {
    match fs::create_dir(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => bail!(
            "{} is there already, and is left as it is; choose another name, or remove it first",
            folder.display()
        ),
        Err(error) => bail!("{}", term::unwritable(folder, &error)),
    }
    let written = files.iter().try_for_each(|(name, text)| {
        let file = folder.join(name);
        let parent = file.parent().map_or(Ok(()), fs::create_dir_all);
        let written = parent.and_then(|()| fs::write(&file, text));
        written.map_err(|error| term::unwritable(&file, &error))
    });
    if let Err(why) = written {
        let _gone = fs::remove_dir_all(folder);
        bail!(why);
    }
    Ok(())
}

fn next(name: &str, folder: &Path, parts: &[Part]) -> String {
    let folder = folder.display();
    let mut out = format!(
        "{folder} is there. What comes next:\n\n  \
           cd {folder}\n  \
           cargo test                    its tests, with fakes for the host\n  \
           segue build --to PLUGINS      builds it and puts it into a host's plugin folder\n"
    );
    if !parts.is_empty() {
        let ceiling = files::grants(name, parts);
        out.push_str(&format!(
            "\nIn the host's segue.toml, for what {name}.toml grants it:\n\n[plugins.max_grants]\n{ceiling}"
        ));
    }
    out
}

#[cfg(test)]
mod tests;
