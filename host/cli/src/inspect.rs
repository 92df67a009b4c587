//! `segue inspect`: what a plugin file is, without running any of it.

pub(crate) mod lines;

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use segue_runtime::{Grants, Inspection, LoadError, Runtime, Settings, Sidecar};
use segue_server::config::{self, Config};
use serde_json::json;

use super::term;
use lines::Missing;

/// Larger than any `[plugins] max_file`.
const MAX_FILE_BYTES: u64 = 1 << 30;
/// What every component may import and none gets anything from.
const WASI_BASE: [&str; 6] = [
    "wasi:cli",
    "wasi:clocks",
    "wasi:filesystem",
    "wasi:io",
    "wasi:random",
    "wasi:sockets",
];

/// Show what a plugin is: its world, its imports, what it wants and may have
///
/// Reads the component and NAME.toml beside it; runs nothing. Wants are the
/// capabilities that it imports; each needs a line under [grants] in NAME.toml,
/// within the ceiling of [plugins.max_grants] in segue.toml. The lines that are
/// missing are printed, ready to paste; with --config they name what that file
/// configures. The version is the one that `segue plugins ls` would show of the pair.
///
/// Exits 1, with the reason, when this host would not load the file.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  segue inspect plugins/sql-rag.wasm
  segue inspect plugins/sql-rag.wasm --config segue.toml
  segue inspect target/plugins/echo.wasm --json")]
pub(crate) struct InspectArgs {
    /// The component
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
    /// Look at it as the host of this config would
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A file and what the operator says of it.
struct Plugin {
    name: String,
    /// As `segue plugins ls` calls it, where a host would load it.
    version: Option<String>,
    inspection: Inspection,
    /// Why the host would refuse it.
    refusal: Option<LoadError>,
    grants: Grants,
    config: Option<Config>,
}

pub(crate) fn run(args: &InspectArgs) -> anyhow::Result<ExitCode> {
    let config = match args.config.as_deref().map(config::load) {
        None => None,
        Some(Ok(config)) => Some(config),
        Some(Err(failure)) => return Ok(term::no_config(&failure)),
    };
    let bytes = read(&args.file, MAX_FILE_BYTES).map_err(anyhow::Error::msg)?;
    let settings = match &config {
        Some(config) => config.runtime_settings(),
        None => Config::default_for(Path::new(".")).runtime_settings(),
    };
    let inspection = segue_runtime::describe(&bytes, &settings.capabilities)
        .with_context(|| args.file.display().to_string())?;
    let toml = args.file.with_extension("toml");
    let sidecar = match &config {
        Some(_) => sidecar(&toml, &settings),
        None => sidecar_alone(&toml, settings.clone()),
    };
    let name = args.file.file_stem().unwrap_or_default();
    let mut plugin = Plugin {
        name: name.to_string_lossy().into_owned(),
        version: None,
        refusal: inspection.verdict().err(),
        inspection,
        grants: Grants::new(),
        config,
    };
    match sidecar {
        Ok(sidecar) => {
            let sidecar = sidecar.unwrap_or_else(|| Sidecar::absent(&settings));
            plugin.version = Some(segue_runtime::version_of(&bytes, &sidecar));
            plugin.grants = sidecar.grants;
        }
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
    fn missing(&self) -> Missing<'_> {
        Missing {
            inspection: &self.inspection,
            grants: &self.grants,
            config: self.config.as_ref(),
        }
    }

    fn json(&self) -> serde_json::Value {
        let missing = self.missing();
        json!({
            "name": self.name,
            "version": self.version,
            "plugin": self.inspection,
            "loadable": self.refusal.is_none(),
            "code": self.refusal.as_ref().map(LoadError::code),
            "reason": self.refusal.as_ref().map(ToString::to_string),
            "grants": self.grants,
            "missing": missing.wants(),
            "lines": { "grants": missing.grants(), "max_grants": missing.ceiling() },
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
        let _ = writeln!(out, "manifest    {}", or_none(&self.manifest()));
        let _ = writeln!(out, "world       {world}");
        let _ = writeln!(out, "wit         segue:plugin {version}");
        let _ = writeln!(out, "file        {} bytes, {}", it.bytes, it.digest);
        if let Some(version) = &self.version {
            let by = match self.config {
                Some(_) => "",
                None => " unless [limits] of its config differ: see --config",
            };
            let _ = writeln!(out, "version     {version}");
            let _ = writeln!(out, "            (what `segue plugins ls` calls it{by})");
        }
        let _ = writeln!(out, "exports     {}", or_none(&it.exports));
        let _ = writeln!(out, "imports     {}", or_none(&self.imports()));
        let _ = writeln!(out, "wants       {}", or_none(&it.wants));
        let granted = self
            .grants
            .iter()
            .map(|(capability, names)| lines::line(capability, names));
        let _ = writeln!(out, "granted     {}", or_none(&granted.collect::<Vec<_>>()));
        if it.verdict().is_ok() {
            out.push_str(&self.missing().to_paste(&self.name));
        }
        if self.refusal.is_none() {
            out.push_str(&self.route());
        }
        out
    }

    /// Who it says it is. Its text is its author's, so it stays on its line.
    fn manifest(&self) -> Vec<String> {
        let Some(manifest) = &self.inspection.manifest else {
            return Vec::new();
        };
        let plain = |text: &str| text.replace(char::is_control, " ");
        let mut told = vec![format!("{} {}", plain(&manifest.name), plain(&manifest.version))];
        if !manifest.description.is_empty() {
            told.push(plain(&manifest.description));
        }
        if !manifest.mtypes.is_empty() {
            told.push(format!("made for mtype {}", plain(&manifest.mtypes.join(", "))));
        }
        told
    }

    /// The imports, with WASI's base in one line: toolchains import it whole,
    /// and the host links it empty.
    fn imports(&self) -> Vec<String> {
        let it = &self.inspection;
        let is_base = |name: &&String| {
            let package = name.split('/').next().unwrap_or_default();
            WASI_BASE.contains(&package) && !it.unknown.contains(*name)
        };
        let mut told: Vec<String> = it.imports.iter().filter(|name| !is_base(name)).cloned().collect();
        match it.imports.len() - told.len() {
            0 => {}
            base => told.push(format!("WASI's base, linked empty ({base} of its interfaces)")),
        }
        told
    }

    fn route(&self) -> String {
        let mtypes = self.inspection.manifest.as_ref().map(|manifest| &manifest.mtypes);
        let mtype = mtypes
            .and_then(|mtypes| mtypes.first())
            .map_or("chat", String::as_str);
        format!(
            "\nto send it messages, in segue.toml:\n\n[[route]]\nmatch = {{ mtype = {mtype:?} }}\nhandler = \"{}\"\n",
            self.name
        )
    }
}

/// What stands between a plugin's component and its answers, and what it wants and
/// is not granted, one sentence each.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    pub(crate) obstacles: Vec<String>,
    pub(crate) notes: Vec<String>,
}

/// Looks at a plugin of the folder as a host with this config would.
pub(crate) fn look(config: &Config, settings: &Settings, plugin: &str) -> Looked {
    let file = config.plugins.dir.join(format!("{plugin}.wasm"));
    let shown = file.display();
    let mut looked = Looked::default();
    if !file.exists() {
        looked
            .obstacles
            .push(format!("nothing answers for `{plugin}`: there is no {shown}"));
        return looked;
    }
    let inspected = read(&file, config.plugins.max_file).and_then(|bytes| {
        let inspection = Runtime::inspect(&bytes, &settings.capabilities);
        inspection.map_err(|error| format!("{shown}: {error}"))
    });
    let inspection = match inspected {
        Ok(inspection) => {
            let refused = inspection.verdict().err();
            looked
                .obstacles
                .extend(refused.map(|error| format!("{shown}: {error}")));
            Some(inspection)
        }
        Err(reason) => {
            looked.obstacles.push(reason);
            None
        }
    };
    // A .toml with faults is told by `faults_of`, and grants nothing.
    let Ok(sidecar) = sidecar(&file.with_extension("toml"), settings) else {
        return looked;
    };
    let grants = sidecar.map(|s| s.grants).unwrap_or_default();
    let Some(inspection) = inspection.filter(|inspection| inspection.verdict().is_ok()) else {
        return looked;
    };
    let missing = Missing {
        inspection: &inspection,
        grants: &grants,
        config: Some(config),
    };
    let lines = missing.wants().into_iter().zip(missing.grants());
    let toml = file.with_extension("toml");
    looked.notes.extend(lines.map(|(want, line)| {
        let toml = toml.display();
        format!("`{plugin}` wants {want} and is not granted it; {line} under [grants] in {toml} would")
    }));
    looked
}

/// For what a host with this config would refuse the `.toml` of a plugin: each
/// begins with its place.
pub(crate) fn faults_of(config: &Config, settings: &Settings, plugin: &str) -> Vec<String> {
    let toml = config.plugins.dir.join(format!("{plugin}.toml"));
    let shown = toml.display();
    match sidecar(&toml, settings) {
        Ok(_) => Vec::new(),
        Err(LoadError::Sidecar(faults)) => faults
            .iter()
            .map(|fault| format!("{shown}:{}: {}", fault.line, fault.message))
            .collect(),
        Err(error) => vec![format!("{shown}: {error}")],
    }
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let fail = |reason: String| format!("cannot read {}: {reason}", path.display());
    let file = File::open(path).map_err(|e| term::unreadable(path, &e))?;
    let about = file.metadata().map_err(|e| term::unreadable(path, &e))?;
    if !about.is_file() {
        return Err(fail("it is no regular file; name the .wasm file".to_owned()));
    }
    let mut bytes = Vec::new();
    (file.take(most + 1).read_to_end(&mut bytes)).map_err(|e| term::unreadable(path, &e))?;
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
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => {
            return Err(LoadError::Unreadable {
                reason: e.to_string(),
                mend: "let this user read it",
            });
        }
    };
    Sidecar::parse(&text, settings).map(Some)
}

/// The same where no config says what may be granted: all of it may.
pub(crate) fn sidecar_alone(path: &Path, mut settings: Settings) -> Result<Option<Sidecar>, LoadError> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let table = text.parse::<toml::Table>().unwrap_or_default();
    let grants = table.get("grants").and_then(toml::Value::as_table);
    for (capability, names) in grants.into_iter().flatten() {
        let names = names.as_array().into_iter().flatten();
        let names = names.filter_map(|name| name.as_str().map(str::to_owned));
        settings.max_grants.insert(capability.clone(), names.collect());
    }
    sidecar(path, &settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest component: magic, version 13, layer 1.
    pub(super) const COMPONENT: &[u8] = b"\0asm\x0d\x00\x01\x00";

    pub(super) fn inspection() -> Inspection {
        let settings = Config::default_for(Path::new(".")).runtime_settings();
        segue_runtime::describe(COMPONENT, &settings.capabilities).unwrap()
    }

    fn plugin(wants: &[&str]) -> Plugin {
        let mut inspection = inspection();
        inspection.wants = wants.iter().map(ToString::to_string).collect();
        inspection.imports = [
            "segue:sql/query@0.1.0",
            "wasi:cli/exit@0.2.3",
            "wasi:keyvalue/store@0.2.0-draft",
        ]
        .map(str::to_owned)
        .to_vec();
        Plugin {
            name: "sql-rag".to_owned(),
            version: None,
            refusal: None,
            inspection,
            grants: Grants::from([("sql".to_owned(), vec!["shop".to_owned()])]),
            config: None,
        }
    }

    #[test]
    fn it_tells_who_a_plugin_says_it_is_and_what_it_imports_beyond_wasis_base() {
        let mut plugin = plugin(&["keyvalue", "sql"]);
        let text = plugin.text();
        assert!(text.contains("manifest    none\n"), "{text}");
        assert!(text.contains("granted     sql = [\"shop\"]\n"), "{text}");
        assert!(
            text.contains("wasi:keyvalue/store@0.2.0-draft\n            WASI's base, linked empty (1 of"),
            "{text}"
        );
        plugin.inspection.manifest = Some(segue_runtime::Manifest {
            name: "sql-rag".to_owned(),
            version: "0.1.0\u{1b}[31m".to_owned(),
            description: "Answers from databases".to_owned(),
            mtypes: vec!["ask".to_owned()],
            isolation: Vec::new(),
        });
        let text = plugin.text();
        assert!(
            text.contains("manifest    sql-rag 0.1.0 [31m\n            Answers from databases\n"),
            "{text}"
        );
        assert!(text.contains("match = { mtype = \"ask\" }"), "{text}");
    }

    #[test]
    fn without_a_config_a_grant_is_only_read_and_with_one_it_is_checked() {
        let dir = tempfile::tempdir().unwrap();
        let toml = dir.path().join("p.toml");
        std::fs::write(&toml, "[grants]\nsql = [\"shop\"]\n").unwrap();
        let settings = || Config::default_for(dir.path()).runtime_settings();
        let alone = sidecar_alone(&toml, settings()).unwrap().unwrap();
        assert_eq!(alone.grants["sql"], ["shop"]);
        let refused = sidecar(&toml, &settings()).unwrap_err().to_string();
        assert!(refused.contains("[plugins.max_grants]"), "{refused}");
        std::fs::write(&toml, "[grants]\nsql = \"shop\"\n").unwrap();
        assert!(sidecar_alone(&toml, settings()).is_err());
    }

    #[test]
    fn a_file_that_is_no_component_is_refused_with_a_sentence() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.wasm");
        std::fs::write(&file, "").unwrap();
        let args = InspectArgs {
            file: file.clone(),
            config: None,
            json: false,
        };
        let said = format!("{:#}", run(&args).unwrap_err());
        assert!(said.contains("a.wasm: the file is empty"), "{said}");
        std::fs::remove_file(&file).unwrap();
        let said = format!("{:#}", run(&args).unwrap_err());
        assert!(
            said.starts_with("there is no file ") && said.contains("a.wasm;"),
            "{said}"
        );
    }
}
