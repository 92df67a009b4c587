//! `segue check`: every fault of a config, without starting anything.

use std::process::ExitCode;

use clap::Args;
use segue_server::config::{self, Config};

use super::{ConfigArg, inspect, term};

/// Find every fault of a config, without starting anything
///
/// Reports all faults at once, each with file, line and what mends it. A
/// database or a folder of documents that the config names and that is not
/// there is one of them, although a host would start without it. The plugin
/// files that routes and endpoints name are looked at too, as is their
/// NAME.toml: what is wrong there is a warning, since files come and go while
/// the host runs. Of every plugin in the folder it is noted what it wants and is
/// not granted.
///
/// Exits 0 when the config is sound, 1 when it has faults, 2 when it cannot be
/// read.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  segue check
  segue check --config deploy/segue.toml
  SEGUE_SERVER__LISTEN=127.0.0.1:9000 segue check")]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    config: ConfigArg,
}

pub(crate) fn run(args: &CheckArgs) -> ExitCode {
    let config = match config::check(&args.config.config) {
        Ok(config) => config,
        Err(failure) => return term::no_config(&failure),
    };
    let file = args.config.config.display();
    let warnings = warnings(&config);
    let notes = notes(&config);
    for told in warnings.iter().chain(&notes) {
        term::tell(&format!("{file}{told}"));
    }
    term::say(&format!(
        "{file}: no faults; {}, {}, {}, {}",
        counted(config.routes.len(), "route"),
        counted(config.endpoints.len(), "endpoint"),
        counted(warnings.len(), "warning"),
        counted(notes.len(), "note"),
    ));
    ExitCode::SUCCESS
}

fn counted(n: usize, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        _ => format!("{n} {what}s"),
    }
}

/// What would not keep the host from starting with this config, but would keep
/// a message from its answer. Each begins where the file's name ends.
fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Err(fault) = config::exposure(config, false) {
        let mend = fault.mend;
        warnings.push(format!(
            ": warning: {}; `segue serve` will refuse it\n  mend: {mend}",
            fault.message
        ));
    }
    if !config.plugins.dir.is_dir() {
        warnings.push(format!(
            ": warning: the plugin folder {} does not exist, and `segue serve` wants it\n  \
             mend: make it, or set [plugins] dir",
            config.plugins.dir.display()
        ));
        return warnings;
    }
    let settings = config.runtime_settings();
    for (handler, line) in config.handlers() {
        for reason in inspect::look(config, &settings, handler).obstacles {
            warnings.push(format!(":{line}: warning: {reason}"));
        }
    }
    warnings
}

/// What the plugins of the folder want and are not granted: no fault, since a
/// plugin may do without.
fn notes(config: &Config) -> Vec<String> {
    let Ok(folder) = std::fs::read_dir(&config.plugins.dir) else {
        return Vec::new();
    };
    let files = folder.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut plugins: Vec<String> = files
        .filter_map(|file| file.strip_suffix(".wasm").map(str::to_owned))
        .collect();
    plugins.sort_unstable();
    let settings = config.runtime_settings();
    let notes = plugins
        .iter()
        .flat_map(|plugin| inspect::look(config, &settings, plugin).notes);
    notes.map(|note| format!(": note: {note}")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::*;

    fn warned(prepare: impl FnOnce(&std::path::Path)) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        let text = "[[route]]\nhandler = \"echo\"\n";
        warnings(&config::parse(text, dir.path(), &BTreeMap::new()).unwrap())
    }

    #[test]
    fn a_plugin_that_cannot_answer_is_a_warning_at_its_routes_line() {
        let warnings = warned(|_| {});
        assert!(warnings[0].contains("plugin folder"), "{warnings:?}");

        let warnings = warned(|dir| fs::create_dir(dir.join("plugins")).unwrap());
        assert!(warnings[0].starts_with(":1: warning: "), "{warnings:?}");
        assert!(warnings[0].contains("echo.wasm"), "{warnings:?}");

        let warnings = warned(|dir| {
            fs::create_dir(dir.join("plugins")).unwrap();
            fs::write(dir.join("plugins/echo.wasm"), "text").unwrap();
            fs::write(dir.join("plugins/echo.toml"), "[limit]").unwrap();
        });
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[0].contains("not WebAssembly"), "{warnings:?}");
        assert!(warnings[1].contains("echo.toml"), "{warnings:?}");
    }
}
