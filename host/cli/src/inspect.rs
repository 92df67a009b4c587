//! `segue inspect`: what a plugin file is, without running any of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use segue_runtime::{Inspection, LoadError, Runtime, Settings, Sidecar};
use segue_server::config::Config;
use serde_json::json;

use super::term;

/// Larger than any `[plugins] max_file`.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// Show what a plugin is: its world, its imports, what it wants and may have
///
/// Reads the component and NAME.toml beside it; runs nothing. Wants are the
/// capabilities that it imports; each needs a line under [grants] in NAME.toml,
/// within the ceiling of [plugins.max_grants] in segue.toml. The lines that are
/// missing are printed, ready to paste.
///
/// Exits 1, with the reason, when this host would not load the file.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  segue inspect plugins/sql-rag.wasm
  segue inspect target/plugins/echo.wasm --json")]
pub(crate) struct InspectArgs {
    /// The component
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A file and what the operator says of it.
struct Plugin {
    name: String,
    inspection: Inspection,
    /// Why the host would refuse it.
    refusal: Option<LoadError>,
    grants: BTreeMap<String, Vec<String>>,
}

pub(crate) fn run(args: &InspectArgs) -> anyhow::Result<ExitCode> {
    let bytes = read(&args.file, MAX_FILE_BYTES).map_err(anyhow::Error::msg)?;
    let inspection = segue_runtime::describe(&bytes).with_context(|| args.file.display().to_string())?;
    let sidecar = sidecar(&args.file.with_extension("toml"), &Settings::default());
    let name = args.file.file_stem().unwrap_or_default();
    let mut plugin = Plugin {
        name: name.to_string_lossy().into_owned(),
        refusal: inspection.verdict().err(),
        inspection,
        grants: BTreeMap::new(),
    };
    match sidecar {
        Ok(sidecar) => plugin.grants = sidecar.map(|s| s.grants).unwrap_or_default(),
        Err(refusal) => plugin.refusal = plugin.refusal.or(Some(refusal)),
    }
    match args.json {
        true => term::say(&serde_json::to_string_pretty(&plugin.json())?),
        false => term::say(&plugin.text()),
    }
    match &plugin.refusal {
        Some(refusal) => bail!("{}: {refusal}", args.file.display()),
        None => Ok(ExitCode::SUCCESS),
    }
}

impl Plugin {
    fn missing(&self) -> Vec<&str> {
        let wants = self.inspection.wants.iter().map(String::as_str);
        wants.filter(|want| !self.grants.contains_key(*want)).collect()
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "name": self.name,
            "plugin": self.inspection,
            "loadable": self.refusal.is_none(),
            "code": self.refusal.as_ref().map(LoadError::code),
            "reason": self.refusal.as_ref().map(ToString::to_string),
            "grants": self.grants,
            "missing": self.missing(),
        })
    }

    fn text(&self) -> String {
        let it = &self.inspection;
        let or_none = |list: &[String]| match list.is_empty() {
            true => "none".to_owned(),
            false => list.join("\n            "),
        };
        let world = match it.world {
            Some(world) => format!("{world:?}").to_lowercase(),
            None => "none that this host knows".to_owned(),
        };
        let version = it.wit_version.as_deref().unwrap_or("none imported");
        let mut out = String::new();
        // Writing into a string does not fail.
        let _ = writeln!(out, "plugin      {}", self.name);
        let _ = writeln!(out, "world       {world}");
        let _ = writeln!(out, "wit         segue:plugin {version}");
        let _ = writeln!(out, "file        {} bytes, {}", it.bytes, it.digest);
        let _ = writeln!(out, "exports     {}", or_none(&it.exports));
        let _ = writeln!(out, "imports     {}", or_none(&self.imports()));
        let _ = writeln!(out, "wants       {}", or_none(&it.wants));
        let granted = |(capability, names): (&String, &Vec<String>)| format!("{capability} = {names:?}");
        let granted: Vec<String> = self.grants.iter().map(granted).collect();
        let _ = writeln!(out, "granted     {}", or_none(&granted));
        out.push_str(&self.lines_to_paste());
        out
    }

    /// The imports, with WASI's base in one line: toolchains import it whole,
    /// and the host links it empty.
    fn imports(&self) -> Vec<String> {
        let it = &self.inspection;
        let is_base = |name: &&String| {
            name.starts_with("wasi:") && !name.starts_with("wasi:logging/") && !it.unknown.contains(*name)
        };
        let mut told: Vec<String> = it.imports.iter().filter(|name| !is_base(name)).cloned().collect();
        match it.imports.len() - told.len() {
            0 => {}
            base => told.push(format!("WASI's base, linked empty ({base} of its interfaces)")),
        }
        told
    }

    fn lines_to_paste(&self) -> String {
        let missing = self.missing();
        let mut out = String::new();
        if !missing.is_empty() {
            let lines: Vec<String> = missing
                .iter()
                .map(|want| format!("{want} = [\"NAME\"]"))
                .collect();
            let lines = lines.join("\n");
            let _ = write!(
                out,
                "\nto grant what it wants, in {}.toml beside it:\n\n[grants]\n{lines}\n\
                 \nwithin what segue.toml allows:\n\n[plugins.max_grants]\n{lines}\n",
                self.name
            );
        }
        if self.refusal.is_none() {
            let _ = write!(
                out,
                "\nto send it messages, in segue.toml:\n\n[[route]]\nmatch = {{ mtype = \"chat\" }}\nhandler = \"{}\"\n",
                self.name
            );
        }
        out
    }
}

/// What stands between a handler that the config names and its answers: one
/// sentence each.
pub(crate) fn obstacles(config: &Config, handler: &str) -> Vec<String> {
    let file = config.plugins.dir.join(format!("{handler}.wasm"));
    let shown = file.display();
    if !file.exists() {
        return vec![format!("nothing answers for `{handler}`: there is no {shown}")];
    }
    let mut reasons = Vec::new();
    let inspected = read(&file, config.plugins.max_file)
        .and_then(|bytes| Runtime::inspect(&bytes).map_err(|e| format!("{shown}: {e}")));
    let wants = match inspected {
        Ok(inspection) => inspection.wants,
        Err(reason) => {
            reasons.push(reason);
            Vec::new()
        }
    };
    let toml = file.with_extension("toml");
    let grants = match sidecar(&toml, &config.runtime_settings()) {
        Ok(sidecar) => sidecar.map(|s| s.grants).unwrap_or_default(),
        Err(refusal) => {
            reasons.push(format!("{}: {refusal}", toml.display()));
            return reasons;
        }
    };
    for want in wants.iter().filter(|want| !grants.contains_key(*want)) {
        reasons.push(format!(
            "`{handler}` wants {want} and is not granted it; add it in {}",
            toml.display()
        ));
    }
    reasons.extend(beyond_ceiling(config, handler, &grants));
    reasons
}

/// Grants that `[plugins.max_grants]` does not allow.
fn beyond_ceiling(config: &Config, handler: &str, grants: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let max = &config.plugins.max_grants;
    let allowed =
        |capability: &str, name: &String| max.get(capability).is_some_and(|names| names.contains(name));
    let each = grants
        .iter()
        .flat_map(|(capability, names)| names.iter().map(move |name| (capability, name)));
    each.filter(|(capability, name)| !allowed(capability, name))
        .map(|(capability, name)| {
            format!(
                "`{handler}` is granted {capability} \"{name}\" beyond [plugins.max_grants]; \
                 add {capability} = [\"{name}\"] there, or take the grant back"
            )
        })
        .collect()
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let fail = |reason: String| format!("cannot read {}: {reason}", path.display());
    let file = File::open(path).map_err(|e| fail(e.to_string()))?;
    let about = file.metadata().map_err(|e| fail(e.to_string()))?;
    if !about.is_file() {
        return Err(fail("it is no regular file".to_owned()));
    }
    let mut bytes = Vec::new();
    (file.take(most + 1).read_to_end(&mut bytes)).map_err(|e| fail(e.to_string()))?;
    match bytes.len() as u64 > most {
        true => Err(fail(format!(
            "it has {}, more than {} ([plugins] max_file)",
            segue_runtime::units::format_size(about.len()),
            segue_runtime::units::format_size(most)
        ))),
        false => Ok(bytes),
    }
}

/// `NAME.toml`, if there is one.
fn sidecar(path: &Path, settings: &Settings) -> Result<Option<Sidecar>, LoadError> {
    let bytes = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => {
            return Err(LoadError::Unreadable {
                reason: e.to_string(),
                mend: "let this user read it",
            });
        }
    };
    Sidecar::parse(&bytes, settings).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin(wants: &[&str], grants: &[&str]) -> Plugin {
        // The smallest component: magic, version 13, layer 1.
        let bytes = b"\0asm\x0d\x00\x01\x00";
        let mut inspection = segue_runtime::describe(bytes).unwrap();
        inspection.wants = wants.iter().map(ToString::to_string).collect();
        Plugin {
            name: "sql-rag".to_owned(),
            refusal: None,
            inspection,
            grants: grants
                .iter()
                .map(|g| ((*g).to_owned(), vec!["shop".to_owned()]))
                .collect(),
        }
    }

    #[test]
    fn what_is_wanted_and_not_granted_is_ready_to_paste() {
        let text = plugin(&["llm", "sql"], &["sql"]).text();
        assert!(text.contains("granted     sql = [\"shop\"]"), "{text}");
        assert!(
            text.contains("in sql-rag.toml beside it:\n\n[grants]\nllm = [\"NAME\"]\n\n"),
            "{text}"
        );
        assert!(
            text.contains("[plugins.max_grants]\nllm = [\"NAME\"]\n"),
            "{text}"
        );
        assert!(!plugin(&["sql"], &["sql"]).text().contains("[grants]"));
    }

    #[test]
    fn grants_beyond_the_ceiling_are_told() {
        let text = "[plugins.max_grants]\nsql = [\"shop\"]";
        let config = segue_server::config::parse(text, Path::new("/"), &BTreeMap::new()).unwrap();
        let grants = |name: &str| BTreeMap::from([("sql".to_owned(), vec![name.to_owned()])]);
        assert!(beyond_ceiling(&config, "p", &grants("shop")).is_empty());
        assert_eq!(beyond_ceiling(&config, "p", &grants("hr")).len(), 1);
    }

    #[test]
    fn a_file_that_is_no_component_is_refused_with_a_sentence() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.wasm");
        std::fs::write(&file, "").unwrap();
        let args = InspectArgs {
            file: file.clone(),
            json: false,
        };
        let said = format!("{:#}", run(&args).unwrap_err());
        assert!(said.contains("a.wasm: the file is empty"), "{said}");
        std::fs::remove_file(&file).unwrap();
        let said = format!("{:#}", run(&args).unwrap_err());
        assert!(said.starts_with("cannot read "), "{said}");
    }
}
