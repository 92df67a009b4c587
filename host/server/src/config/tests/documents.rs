//! The configuration that the documents show is one that a host takes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::config;

/// What stands between ```` ```toml ```` and the next fence, with the line it is on.
fn examples(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line.trim() == "```toml" {
            let block = lines
                .by_ref()
                .map(|(_, line)| line)
                .take_while(|line| line.trim() != "```");
            found.push((number + 1, block.collect::<Vec<_>>().join("\n")));
        }
    }
    found
}

/// Each variable that is named has a value.
fn environment(example: &str) -> BTreeMap<String, String> {
    let named = example
        .split("\"env:")
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    named
        .map(|name| (name.to_owned(), "something".to_owned()))
        .collect()
}

// N48, N49: Sentry, and through its agent Datadog; O4, B24.
#[test]
fn what_the_pages_for_operators_show_is_taken() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let mut count = 0;
    for page in ["observing.md", "operating.md", "resilience.md"] {
        let text = fs::read_to_string(docs.join(page)).unwrap();
        // One with grants is a plugin's file.
        let of_the_host = |(_, example): &(usize, String)| !example.starts_with("[grants]");
        for (line, example) in examples(&text).into_iter().filter(of_the_host) {
            let parsed = config::parse(&example, Path::new("/srv/segue"), &environment(&example));
            let faults = parsed.err();
            let faults = faults.iter().flat_map(|faults| faults.list());
            // An example is a part of a file: what it names or lacks may stand in another part.
            let mut faults = faults.filter(|fault| !["unknown_name", "missing_key"].contains(&fault.code));
            if let Some(fault) = faults.next() {
                panic!("{page}:{line}: {} {fault:?}\n{example}", fault.code);
            }
            count += 1;
        }
    }
    assert!(count > 10, "{count} examples");
    let observing = fs::read_to_string(docs.join("observing.md")).unwrap();
    for part in ["## Sentry", "## Datadog"] {
        let part = observing.split(part).nth(1).unwrap();
        let part = part.split("\n## ").next().unwrap();
        assert!(part.contains("otlp_endpoint = "), "{part}");
    }
}
