//! What is written for people is true of the code: links lead somewhere, the
//! tables of codes and keys are whole, and every configuration that is shown as an
//! example is one that a host would take.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use segue_protocol::{CloseCode, ErrorCode};
use segue_runtime::Sidecar;
use segue_server::config;
use serde_json::Value;

use crate::paths::Paths;

fn root() -> PathBuf {
    Paths::find().unwrap().root
}

fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md"), root().join("host/ARCHITECTURE.md")];
    let docs = fs::read_dir(root().join("docs")).unwrap();
    pages.extend(docs.map(|entry| entry.unwrap().path()));
    pages
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join("docs").join(name)).unwrap()
}

/// What a heading is called in a link: lower case, `-` for each space, and of the
/// rest only letters, digits, `-` and `_`.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn links_lead_somewhere() {
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for (_, rest) in text.match_indices("](").map(|(at, _)| text.split_at(at + 2)) {
            let target = rest.split(')').next().unwrap();
            if target.contains("://") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = match file {
                "" => page.clone(),
                file => page.parent().unwrap().join(file),
            };
            assert!(file.exists(), "{}: {target} is not there", page.display());
            let has = |line: &str| line.starts_with('#') && anchor(line) == heading;
            let found = heading.is_empty() || fs::read_to_string(&file).unwrap().lines().any(has);
            assert!(found, "{}: {target} has no such heading", page.display());
        }
    }
}

#[test]
fn the_readme_asks_what_the_demo_does() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let readme = readme.split_whitespace().collect::<Vec<_>>().join(" ");
    for question in crate::demo::guide::OF_DATABASES {
        assert!(readme.contains(&format!("\"{question}\"")), "{question}");
    }
}

#[test]
fn every_code_is_in_the_protocols_tables() {
    let page = page("protocol.md");
    for code in ErrorCode::ALL {
        let retryable = if code.retryable() { "yes" } else { "no" };
        let row = format!("| `{}` | {} | {retryable} |", code.as_str(), code.http_status());
        assert!(page.contains(&row), "no row {row}");
    }
    for code in CloseCode::ALL {
        let row = format!("\n| {} |", code.code());
        assert!(page.contains(&row), "no row for {}", code.code());
    }
}

#[test]
fn every_key_of_a_capability_is_in_its_table() {
    let text = r#"
        [sql.a]
        url = "sqlite:a.db"
        [search.a]
        path = "a"
        [cache.a]
        [llm.a]
        provider = "openai"
        base_url = "https://a.example/v1"
        model = "a"
    "#;
    let config = config::parse(text, &root(), &BTreeMap::new())
        .unwrap()
        .redacted_json();
    let page = page("capabilities.md");
    for place in ["/sql/a", "/search/a", "/llm/a", "/http", "/keyvalue", "/cache/a"] {
        let name = place.split('/').nth(1).unwrap();
        let section = page
            .split("\n## ")
            .find(|section| section.starts_with(&format!("{name}:")));
        let section = section.unwrap();
        let known: BTreeSet<&str> = section
            .lines()
            // A row may be about several: `a`, `b`.
            .filter_map(|line| line.strip_prefix("| `")?.split('|').next())
            .flat_map(|cell| cell.split('`').step_by(2))
            .collect();
        let Some(Value::Object(keys)) = config.pointer(place) else {
            panic!("no {place} in {config}");
        };
        for key in keys.keys() {
            assert!(known.contains(key.as_str()), "[{name}] {key} is not in its table");
        }
    }
}

/// A configuration in its folder, with the `.toml` of its plugins.
fn check(text: &str, folder: &Path, sidecars: &[(String, String)]) {
    // What an operator keeps out of the file.
    let variables = BTreeMap::from([("LLM_KEY".to_owned(), "secret".to_owned())]);
    let config = config::parse(text, folder, &variables);
    let config = config.unwrap_or_else(|faults| panic!("{}: {faults}", folder.display()));
    for (name, text) in sidecars {
        let read = Sidecar::parse(text, &config.runtime_settings());
        read.unwrap_or_else(|fault| panic!("{}: {name}: {fault}", folder.display()));
    }
}

#[test]
fn a_host_would_take_every_example() {
    for example in fs::read_dir(root().join("examples")).unwrap() {
        let folder = example.unwrap().path();
        let text = fs::read_to_string(folder.join("segue.toml")).unwrap();
        let beside = fs::read_dir(folder.join("plugins")).into_iter().flatten();
        let beside = beside.map(|entry| entry.unwrap().path());
        let sidecars: Vec<(String, String)> = beside
            .filter(|file| file.extension().is_some_and(|end| end == "toml"))
            .map(|file| (file.display().to_string(), fs::read_to_string(&file).unwrap()))
            .collect();
        check(&text, &folder, &sidecars);
    }
}

#[test]
fn a_host_would_take_the_demo_with_and_without_a_model() {
    let text = crate::demo::files::config(&root());
    let sidecars = crate::demo::files::PLUGINS.map(|(name, text)| (name.to_owned(), text.to_owned()));
    check(&text, Path::new("/demo"), &sidecars);

    let with_model = text
        .replace("provider = \"offline\"", "provider = \"openai\"")
        .replace("# base_url", "base_url")
        .replace("# model", "model")
        .replace("# api_key", "api_key");
    check(&with_model, Path::new("/demo"), &sidecars);
}
