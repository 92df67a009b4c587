//! Other files of a plugin folder that are this plugin as well: copied there under
//! another name, or built there before it was renamed. They stay what they are, and
//! whoever waits for his change wonders why it does not come.

use std::fs;
use std::path::Path;

use segue_runtime::Settings;
use segue_server::config::Config;

/// Files that are looked at; a host has no more plugins, unless it is told to.
const MAX_FILES: usize = 1_000;
/// Larger ones are not looked into.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// Their names without `.wasm`, in order.
pub(super) fn beside(folder: &Path, name: &str, dir: &Path) -> Vec<String> {
    let settings = Config::default_for(Path::new(".")).runtime_settings();
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<String> = entries
        .take(MAX_FILES)
        .filter_map(|entry| {
            let file = entry.path();
            let other = file.file_stem()?.to_str()?.to_owned();
            let is_other = file.extension()? == "wasm" && other != name;
            // What a build before it was renamed left in the plugin's own folder.
            let former = || dir.join(format!("{other}.wasm")).is_file();
            (is_other && (says_it_is(&file, name, &settings) || former())).then_some(other)
        })
        .collect();
    found.sort();
    found
}

fn says_it_is(file: &Path, name: &str, settings: &Settings) -> bool {
    let small = fs::metadata(file).is_ok_and(|about| about.is_file() && about.len() <= MAX_FILE_BYTES);
    let bytes = small.then(|| fs::read(file).ok()).flatten();
    let inspection = bytes.and_then(|bytes| segue_runtime::describe(&bytes, &settings.capabilities).ok());
    let manifest = inspection.and_then(|inspection| inspection.manifest);
    manifest.is_some_and(|manifest| manifest.name == name)
}

/// What a person has to know of one.
pub(super) fn told(folder: &Path, name: &str, other: &str) -> String {
    let file = folder.join(format!("{other}.wasm"));
    format!(
        "note: {} is an earlier build of {name} under another name, and stays as it is: routes to \
         `{other}` are answered by it. Remove it, or copy the new one over it",
        file.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_under_another_name_and_a_former_name_are_found_and_nothing_else() {
        let site = tempfile::tempdir().unwrap();
        let (folder, dir) = (site.path().join("plugins"), site.path().join("greet"));
        fs::create_dir(&folder).unwrap();
        fs::create_dir(&dir).unwrap();
        let component = |name: &str| {
            let source = format!("name = \"{name}\"\nversion = \"0.1.0\"\n");
            let manifest = segue_manifest::Source::parse(&source).unwrap().manifest;
            segue_manifest::embed(b"\0asm\x0d\0\x01\0", &manifest).unwrap()
        };
        for (file, name) in [
            ("greet", "greet"),
            ("chat", "greet"),
            ("old", "old"),
            ("echo", "echo"),
        ] {
            fs::write(folder.join(format!("{file}.wasm")), component(name)).unwrap();
        }
        fs::write(folder.join("bad.wasm"), "rubbish").unwrap();
        fs::write(folder.join("chat.toml"), "").unwrap();
        fs::write(dir.join("old.wasm"), "built before it was renamed").unwrap();
        fs::write(dir.join("greet.wasm"), "").unwrap();
        assert_eq!(beside(&folder, "greet", &dir), ["chat", "old"]);
        assert_eq!(beside(&site.path().join("none"), "greet", &dir), [""; 0]);
        let said = told(&folder, "greet", "chat");
        assert!(
            said.contains("plugins/chat.wasm") && said.contains("routes to `chat`"),
            "{said}"
        );
    }
}
