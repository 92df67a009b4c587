//! `[llm.NAME.targets.TARGET]`: what a target says wins over what its model says,
//! a key never goes to a server that it was not given for, and nothing shows one.

use std::path::Path;
use std::time::Duration;

use segue_capabilities::llm::settings::Model;

use super::super::{Llm, parse};
use super::{bad, env, good};

const TARGETS: &str = r#"
[llm.main]
provider = "openai"
base_url = "https://llm.example.com/v1"
api_key = "env:LLM_KEY"
model = "large"
max_in_flight = 9
first_token_timeout = "3s"
headers = { "X-Team" = "hunter2" }

[llm.main.targets.east]
weight = 3

[llm.main.targets.small]
model = "small"
order = 2
headers = { "X-Tier" = "env:TIER" }

[llm.main.targets.own]
base_url = "http://localhost:8080/v1"
first_token_timeout = "5s"
health_interval = "500ms"
order = 3
"#;

#[test]
fn a_target_says_what_differs_and_a_key_stays_with_its_server() {
    let vars = env(&[("LLM_KEY", "hunter2"), ("TIER", "hunter2-gold")]);
    let config = parse(TARGETS, Path::new("/srv"), &vars).unwrap();
    let Llm::OpenAi(main) = &config.backends.llm["main"] else {
        panic!("{:?}", config.backends.llm);
    };
    assert!(main.server.is_none() && main.max_in_flight == 9);
    let [east, own, small] = ["east", "own", "small"].map(|name| &main.targets[name]);
    assert_eq!(
        (east.order, east.weight, east.server.model.as_str()),
        (1, 3, "large")
    );
    assert_eq!(east.server.api_key.as_ref().unwrap().expose(), "hunter2");
    assert_eq!(east.server.first_token_timeout, Duration::from_secs(3));
    assert_eq!((small.order, small.server.model.as_str()), (2, "small"));
    let names: Vec<_> = small.server.headers.keys().collect();
    assert_eq!(names, ["x-team", "x-tier"]);
    assert!(own.server.api_key.is_none() && own.server.headers.is_empty());
    assert_eq!(own.server.first_token_timeout, Duration::from_secs(5));
    assert_eq!(own.server.health_interval, Some(Duration::from_millis(500)));

    let settings = config.backends.settings();
    let Model::Targets(targets) = &settings.llm["main"] else {
        panic!("{:?}", settings.llm);
    };
    assert_eq!((targets.targets.len(), targets.max_in_flight), (3, 9));
    assert_eq!(targets.targets["small"].server.headers.len(), 2);

    for (name, is_there) in [
        ("main", false),
        ("main/east", true),
        ("main/west", false),
        ("other", false),
    ] {
        assert_eq!(config.backends.has_model_server(name), is_there, "{name}");
    }

    let shown = config.redacted_json();
    let shown_targets = &shown["llm"]["main"]["targets"];
    assert_eq!(shown_targets["east"]["api_key"], "env:LLM_KEY");
    assert_eq!(shown_targets["east"]["headers"]["x-team"], "in the file");
    assert_eq!(shown_targets["own"]["health_interval"], "500ms");
    for text in [shown.to_string(), format!("{config:?} {settings:?}")] {
        assert!(!text.contains("hunter2"), "{text}");
    }

    // A variable takes it offline, with all its targets and their variables.
    let offline = env(&[
        ("SEGUE_LLM__MAIN__PROVIDER", "offline"),
        ("SEGUE_LLM__MAIN__TARGETS__EAST__WEIGHT", "5"),
    ]);
    let config = parse(TARGETS, Path::new("/srv"), &offline).unwrap();
    assert!(matches!(config.backends.llm["main"], Llm::Offline));
}

#[test]
fn a_variable_overrides_a_key_of_a_target() {
    let vars = env(&[
        ("LLM_KEY", "a"),
        ("TIER", "b"),
        ("SEGUE_LLM__MAIN__TARGETS__EAST__WEIGHT", "5"),
    ]);
    let config = parse(TARGETS, Path::new("/srv"), &vars).unwrap();
    let Llm::OpenAi(main) = &config.backends.llm["main"] else {
        panic!("{:?}", config.backends.llm);
    };
    assert_eq!(main.targets["east"].weight, 5);
}

#[test]
fn targets_change_without_a_restart() {
    let model = "[llm.main]\nprovider = \"openai\"\nmodel = \"m\"\nbase_url = \"http://h/v1\"\n";
    let one = good(model);
    let several = good(&format!("{model}[llm.main.targets.east]\n"));
    assert_eq!(one.needs_restart(&several), [""; 0]);
    assert!(one.backends.has_model_server("main") && !one.backends.has_model_server("main/east"));
}

#[test]
fn every_fault_of_a_target_is_found_at_its_line_with_its_mend() {
    let head = "[llm.main]\nprovider = \"openai\"\n";
    for (text, code, words) in [
        (
            "[llm.main.targets.east]\nmodel = \"m\"",
            "missing_key",
            "`base_url`",
        ),
        (
            "[llm.main.targets.east]\nbase_url = \"http://h\"",
            "missing_key",
            "`model`",
        ),
        ("targets = { }", "missing_key", "add [llm.main.targets.NAME]"),
        (
            "model = \"m\"\napi_key = \"file:key\"\n[llm.main.targets.east]\nbase_url = \"http://h\"",
            "contradiction",
            "the target whose key it is",
        ),
        (
            "[llm.main.targets.East]\nmodel = \"m\"\nbase_url = \"http://h\"",
            "bad_name",
            "such as east",
        ),
        (
            "[llm.main.targets.east]\nmodel = \"m\"\nbase_url = \"http://h\"\nwieght = 3",
            "unknown_key",
            "`weight`",
        ),
        (
            "[llm.main.targets.east]\nmodel = \"m\"\nbase_url = \"http://h\"\nweight = 0",
            "out_of_range",
            "1 to 1000",
        ),
        (
            "model = \"m\"\nbase_url = \"http://h\"\nheaders = { Host = \"hunter2\" }",
            "bad_header",
            "leave it out",
        ),
        (
            "model = \"m\"\nbase_url = \"http://h\"\nheaders = { Authorization = \"hunter2\" }",
            "bad_header",
            "give the key as `api_key`",
        ),
        (
            "model = \"m\"\nbase_url = \"http://h\"\nhealth_interval = \"1ms\"",
            "out_of_range",
            "100ms to 1h",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("key"), "hunter2").unwrap();
        let whole = format!("{head}{text}");
        let faults = parse(&whole, dir.path(), &env(&[])).expect_err(text);
        let [fault] = faults.list() else {
            panic!("not one fault in {text:?}: {faults}");
        };
        assert_eq!(fault.code, code, "{text:?}: {faults}");
        for report in [faults.to_string(), faults.report(true)] {
            assert!(report.contains(words), "{text:?} lacks {words:?}: {report}");
            assert!(!report.contains("hunter2"), "{report}");
        }
    }
    let many: String = (0..17)
        .map(|n| format!("[llm.main.targets.t{n}]\nmodel = \"m\"\nbase_url = \"http://h\"\n"))
        .collect();
    assert_eq!(bad(&format!("{head}{many}")).list()[0].code, "out_of_range");
}
