//! `segue build`: makes a plugin of its source, with who it is inside.

mod make;
mod namesakes;
mod place;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use segue_manifest::Source;
use segue_runtime::units::format_size;
use segue_runtime::{Grants, Inspection, Settings};
use segue_server::config::Config;

use super::inspect::{self, lines::Missing};
use super::term;

/// Build a plugin: compile it, and write who it is into the component
///
/// Compiles the crate in DIR with `cargo build --release --target wasm32-wasip2`
/// (adding that target through rustup if it is missing), or runs the command under
/// [build] in DIR/plugin.toml, which may be of any language. Then puts plugin.toml
/// into the component and writes DIR/NAME.wasm, if this host would load it.
///
/// With --to the plugin is also put into a host's plugin folder, in one step: a
/// host that runs swaps it in. A NAME.toml there is never touched; where there is
/// none, DIR/NAME.toml is copied. What else lies there stays, and an earlier build of
/// the same plugin under another name is pointed out.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  segue build
  segue build my-plugin --to plugins
  segue build my-plugin --component out/plugin.wasm    built already, in any language

plugin.toml, where a crate is not what is built:
  name = \"my-plugin\"
  version = \"0.1.0\"
  description = \"What it does.\"
  mtypes = [\"chat\"]
  isolation = [\"message\"]
  [build]
  command = \"make\"
  output = \"out/plugin.wasm\"")]
pub(crate) struct BuildArgs {
    /// The plugin's folder, where plugin.toml is
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Put it into this plugin folder as well
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
    /// Take this component instead of building one
    #[arg(long, value_name = "FILE.wasm")]
    component: Option<PathBuf>,
}

pub(crate) fn run(args: &BuildArgs) -> anyhow::Result<ExitCode> {
    let file = args.dir.join(segue_manifest::FILE);
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) => bail!("{}", no_manifest(&args.dir, &file, &error)),
    };
    let source = match Source::parse(&text) {
        Ok(source) => source,
        Err(faults) => {
            term::tell(&faults.report(&shown(&file)));
            return Ok(ExitCode::FAILURE);
        }
    };
    if let Some(folder) = args.to.as_ref().filter(|folder| !folder.is_dir()) {
        bail!(
            "there is no plugin folder {0}; make it, or name another after --to",
            folder.display()
        );
    }
    let built = match &args.component {
        Some(file) => file.clone(),
        None => make::component(&args.dir, source.build.as_ref())?,
    };
    let bytes = fs::read(&built).map_err(|error| anyhow!(term::unreadable(&built, &error)))?;
    let about = || built.display().to_string();
    let bytes = segue_manifest::embed(&bytes, &source.manifest).with_context(about)?;

    let settings = Config::default_for(Path::new(".")).runtime_settings();
    let inspection = segue_runtime::describe(&bytes, &settings.capabilities).with_context(about)?;
    // What no host would load replaces nothing that one does.
    inspection.verdict().with_context(about)?;
    let plugin = Plugin {
        name: source.manifest.name,
        bytes,
        inspection,
    };
    plugin.place(args, settings)?;
    Ok(ExitCode::SUCCESS)
}

/// A plugin that is fit to be loaded.
struct Plugin {
    name: String,
    bytes: Vec<u8>,
    inspection: Inspection,
}

impl Plugin {
    fn place(&self, args: &BuildArgs, settings: Settings) -> anyhow::Result<()> {
        let wasm = format!("{}.wasm", self.name);
        let toml = format!("{}.toml", self.name);
        let here = args.dir.join(&wasm);
        place::write(&here, &self.bytes)?;
        let size = format_size(self.bytes.len() as u64);
        let wants = match self.inspection.wants.is_empty() {
            true => "nothing".to_owned(),
            false => self.inspection.wants.join(", "),
        };
        term::say(&format!("built {}, {size}; wants {wants}", shown(&here)));

        let mut sidecar = args.dir.join(&toml);
        if let Some(folder) = &args.to {
            // First, so that a host reads the two as the pair that they are.
            let beside = folder.join(&toml);
            if self.place_sidecar(&sidecar, &beside)? {
                term::say(&format!("wrote {}", beside.display()));
            }
            let there = folder.join(&wasm);
            place::write(&there, &self.bytes)?;
            term::say(&format!("put it to {}", there.display()));
            for other in namesakes::beside(folder, &self.name, &args.dir) {
                term::tell(&namesakes::told(folder, &self.name, &other));
            }
            sidecar = beside;
        }
        term::say(&self.missing(&sidecar, settings));
        Ok(())
    }

    /// Whether a NAME.toml was written, where there was none.
    fn place_sidecar(&self, own: &Path, beside: &Path) -> anyhow::Result<bool> {
        if beside.exists() {
            return Ok(false);
        }
        let text = match fs::read(own) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if self.inspection.wants.is_empty() {
                    return Ok(false);
                }
                self.sidecar().into_bytes()
            }
            Err(error) => bail!("{}", term::unreadable(own, &error)),
        };
        place::write(beside, &text)?;
        Ok(true)
    }

    /// A NAME.toml that grants nothing yet: what stands in it without being within
    /// the ceiling would keep the plugin from being loaded.
    fn sidecar(&self) -> String {
        let missing = Missing {
            inspection: &self.inspection,
            grants: &Grants::new(),
            config: None,
        };
        let lines: String = missing
            .grants()
            .iter()
            .map(|line| format!("# {line}\n"))
            .collect();
        format!(
            "# What the operator says of {}. Each name must be allowed by\n\
             # [plugins.max_grants] in segue.toml.\n\n[grants]\n{lines}",
            self.name
        )
    }

    /// The lines that it still needs, ready to paste.
    fn missing(&self, sidecar: &Path, settings: Settings) -> String {
        let grants = match inspect::sidecar_alone(sidecar, settings) {
            Ok(sidecar) => sidecar.map(|sidecar| sidecar.grants).unwrap_or_default(),
            Err(fault) => {
                term::complain(&format!("{}: {fault}", sidecar.display()));
                Grants::new()
            }
        };
        let missing = Missing {
            inspection: &self.inspection,
            grants: &grants,
            config: None,
        };
        missing.to_paste(&self.name)
    }
}

fn no_manifest(dir: &Path, file: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound if dir.is_dir() => format!(
            "there is no {}; write one with name = \"...\" and version = \"...\" \
             (`segue build --help` shows a whole one, `segue new` writes it)",
            shown(file)
        ),
        io::ErrorKind::NotFound => format!("there is no folder {}", dir.display()),
        _ => term::unreadable(file, error),
    }
}

/// Without the dot that stands for the folder one is in.
fn shown(path: &Path) -> String {
    path.strip_prefix(".").unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests;
