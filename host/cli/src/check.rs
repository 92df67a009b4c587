//! `segue check`: every fault of a config, without starting anything.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use segue_server::config::{self, Config};

use super::{ConfigArg, inspect, term};

/// Find every fault of a config, without starting anything
///
/// Reports all faults at once, each with file, line and what mends it. A
/// database or a folder of documents that the config names and that is not
/// there is one of them, although a host would start without it; so is a public
/// listener beyond loopback, unless --insecure is said here as it will be to
/// `segue serve`. The plugin files are looked at too: a NAME.toml that the host
/// would refuse is a fault, a component that is missing or would be refused is a
/// warning, since files come and go while the host runs. Of every plugin in the
/// folder it is noted what it wants and is not granted.
///
/// Exits 0 when the config is sound, 1 when it has faults, 2 when it cannot be
/// read.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  segue check
  segue check deploy/segue.toml
  segue check --insecure
  SEGUE_SERVER__LISTEN=127.0.0.1:9000 segue check")]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// The config file, as with --config
    #[arg(value_name = "FILE", conflicts_with = "config")]
    file: Option<PathBuf>,
    /// Check it as `segue serve --insecure` would serve it
    #[arg(long)]
    insecure: bool,
}

pub(crate) fn run(args: &CheckArgs) -> ExitCode {
    let path = args.file.as_ref().unwrap_or(&args.config.config);
    let config = match config::check(path) {
        Ok(config) => config,
        Err(failure) => return term::no_config(&failure),
    };
    let file = path.display();
    let findings = Findings::of(&config, args.insecure);
    for fault in &findings.faults {
        term::tell(fault);
    }
    for told in findings.warnings.iter().chain(&findings.notes) {
        term::tell(&format!("{file}{told}"));
    }
    let (faults, verdict) = match findings.faults.len() {
        0 => ("no faults".to_owned(), ExitCode::SUCCESS),
        n => (counted(n, "fault"), ExitCode::FAILURE),
    };
    term::say(&format!(
        "{file}: {faults}; {}, {}, {}, {}",
        counted(config.routes.len(), "route"),
        counted(config.endpoints.len(), "endpoint"),
        counted(findings.warnings.len(), "warning"),
        counted(findings.notes.len(), "note"),
    ));
    verdict
}

fn counted(n: usize, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        _ => format!("{n} {what}s"),
    }
}

/// What is to be said of a config that can be read.
#[derive(Debug, Default)]
struct Findings {
    /// What a host would refuse, each with its own place and mend.
    faults: Vec<String>,
    /// What would keep a message from its answer. Each begins where the config
    /// file's name ends, as notes do.
    warnings: Vec<String>,
    /// What plugins want and are not granted: they may do without.
    notes: Vec<String>,
}

impl Findings {
    fn of(config: &Config, insecure: bool) -> Findings {
        let mut found = Findings::default();
        if let Err(fault) = config::exposure(config, insecure) {
            found.faults.push(fault.to_string());
        }
        let dir = &config.plugins.dir;
        if !dir.is_dir() {
            found.warnings.push(format!(
                ": warning: the plugin folder {} does not exist, and `segue serve` wants it\n  \
                 mend: make it, or set [plugins] dir",
                dir.display()
            ));
            return found;
        }
        let settings = config.runtime_settings();
        let handlers = config.handlers();
        let mut in_order: Vec<_> = handlers.iter().collect();
        in_order.sort_by_key(|(handler, line)| (**line, **handler));
        for (handler, line) in in_order {
            let obstacles = inspect::look(config, &settings, handler).obstacles;
            let warnings = obstacles
                .iter()
                .map(|reason| format!(":{line}: warning: {reason}"));
            found.warnings.extend(warnings);
        }
        let mut plugins = components(dir);
        for plugin in &plugins {
            let notes = inspect::look(config, &settings, plugin).notes;
            found
                .notes
                .extend(notes.iter().map(|note| format!(": note: {note}")));
        }
        // The .toml of a handler whose component is still to come counts too.
        plugins.extend(handlers.into_keys().map(str::to_owned));
        for plugin in &plugins {
            found.faults.extend(inspect::faults_of(config, &settings, plugin));
        }
        found
    }
}

/// The plugins whose components are in the folder.
fn components(dir: &Path) -> BTreeSet<String> {
    let folder = std::fs::read_dir(dir).into_iter().flatten();
    let files = folder.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    files
        .filter_map(|file| file.strip_suffix(".wasm").map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::*;

    fn found(config: &str, prepare: impl FnOnce(&Path)) -> Findings {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        let config = config::parse(config, dir.path(), &BTreeMap::new()).unwrap();
        Findings::of(&config, false)
    }

    const ROUTE: &str = "[[route]]\nhandler = \"echo\"\n";

    #[test]
    fn a_component_that_cannot_answer_is_a_warning_at_its_routes_line() {
        let found_in = |prepare: fn(&Path)| found(ROUTE, prepare).warnings;
        let warnings = found_in(|_| {});
        assert!(warnings[0].contains("plugin folder"), "{warnings:?}");

        let warnings = found_in(|dir| fs::create_dir(dir.join("plugins")).unwrap());
        assert!(warnings[0].starts_with(":1: warning: "), "{warnings:?}");
        assert!(warnings[0].contains("echo.wasm"), "{warnings:?}");

        let warnings = found_in(|dir| {
            fs::create_dir(dir.join("plugins")).unwrap();
            fs::write(dir.join("plugins/echo.wasm"), "text").unwrap();
        });
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("not WebAssembly"), "{warnings:?}");
    }

    #[test]
    fn a_plugins_toml_that_a_host_would_refuse_is_a_fault_with_its_line_told_once() {
        let found = found(ROUTE, |dir| {
            fs::create_dir(dir.join("plugins")).unwrap();
            fs::write(dir.join("plugins/echo.wasm"), "text").unwrap();
            fs::write(dir.join("plugins/echo.toml"), "\n[limit]\n").unwrap();
            fs::write(dir.join("plugins/unrouted.wasm"), "text").unwrap();
            fs::write(dir.join("plugins/unrouted.toml"), "[limits]\nmemory = 1\n").unwrap();
        });
        assert_eq!(found.faults.len(), 2, "{found:?}");
        assert!(
            found.faults[0].contains("plugins/echo.toml:2: `limit`"),
            "{found:?}"
        );
        assert!(found.faults[1].contains("unrouted.toml:2: `memory`"), "{found:?}");
        assert_eq!(found.warnings.len(), 1, "{found:?}");
    }

    #[test]
    fn a_listener_that_a_host_would_refuse_is_a_fault_with_its_mend() {
        let found = found("[server]\nlisten = \"0.0.0.0:8000\"\n", |_| {});
        let fault = &found.faults[0];
        assert!(fault.starts_with("segue.toml:2:"), "{fault}");
        assert!(
            fault.contains("--insecure") && fault.contains("mend: "),
            "{fault}"
        );
    }
}
