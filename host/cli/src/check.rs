//! `segue check`: every fault of a config, without starting anything.

use std::process::ExitCode;

use clap::Args;
use segue_server::config::{self, Config};

use super::{ConfigArg, inspect, term};

/// Find every fault of a config, without starting anything
///
/// Reports all faults at once, each with file, line and what mends it. The
/// plugin files that routes and endpoints name are looked at too, as is their
/// NAME.toml: what is wrong there is a warning, since files come and go while
/// the host runs.
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
    let config = match config::load(&args.config.config) {
        Ok(config) => config,
        Err(failure) => return term::no_config(&failure),
    };
    let file = args.config.config.display();
    let warnings = warnings(&config);
    for warning in &warnings {
        term::tell(&format!("{file}{warning}"));
    }
    term::say(&format!(
        "{file}: no faults; {}, {}, {}",
        counted(config.routes.len(), "route"),
        counted(config.endpoints.len(), "endpoint"),
        counted(warnings.len(), "warning"),
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
    for (handler, line) in config.handlers() {
        for reason in inspect::obstacles(config, handler) {
            warnings.push(format!(":{line}: warning: {reason}"));
        }
    }
    warnings
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
