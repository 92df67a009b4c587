//! What `[metrics]` reads as, and what is wrong with it.

use super::*;

#[test]
fn without_a_word_metrics_have_their_own_names_only() {
    assert!(good("").metrics.names().is_empty());
}

// N33, O49, O50
#[test]
fn a_name_of_ones_own_takes_the_place_of_a_sets() {
    let config = good(
        r#"
[metrics]
aliases = ["nyx", "nest", "nyx"]
[[metrics.alias]]
name = "circuit_breaker_state"
metric = "segue_breaker_state"
match = { dependency = "cache.*", state = "open" }
rename = { dependency = "", state = "" }
labels = { service = "message-queue" }
"#,
    );
    let names = config.metrics.names();
    let count = |name: &str| names.iter().filter(|alias| alias.name == name).count();
    assert_eq!(count("nyx_orchestrator_active_connections"), 1);
    assert_eq!(count("database_connections_active"), 1);
    assert_eq!(count("circuit_breaker_state"), 1);
    let own = names
        .iter()
        .find(|alias| alias.name == "circuit_breaker_state")
        .unwrap();
    assert_eq!(own.labels["service"], "message-queue");
    let shown = config.redacted_json();
    assert_eq!(shown["metrics"]["aliases"][1], "nest");
    assert_eq!(shown["metrics"]["alias"][0]["match"]["state"], "open");
    assert!(good("").needs_restart(&config).is_empty());
}

#[test]
fn what_is_wrong_is_told_with_its_mend() {
    let alias = |rest: &str| format!("[[metrics.alias]]\nname = \"a\"\n{rest}");
    let two = |name: &str, one: &str, other: &str| {
        format!(
            "{}[[metrics.alias]]\nname = \"{name}\"\nmetric = \"{other}\"",
            alias(&format!("metric = \"{one}\"\n"))
        )
    };
    for (text, code, words) in [
        (
            "[metrics]\naliases = [\"nix\"]".to_owned(),
            "unknown_choice",
            "did you mean \"nyx\"?",
        ),
        (
            "[metrics]\naliases = \"nyx\"".to_owned(),
            "wrong_type",
            "write aliases = [",
        ),
        (alias(""), "missing_key", "has no `metric`"),
        (
            "[[metrics.alias]]\nmetric = \"segue_sessions\"".to_owned(),
            "missing_key",
            "has no `name`",
        ),
        (
            alias("metric = \"segue_conections\""),
            "unknown_metric",
            "did you mean `segue_connections`?",
        ),
        (
            alias("metric = \"segue_message_seconds_bucket\""),
            "unknown_metric",
            "did you mean `segue_message_seconds`?",
        ),
        (
            "[[metrics.alias]]\nname = \"segue_x\"\nmetric = \"segue_sessions\"".to_owned(),
            "bad_name",
            "begin it with something else than segue_",
        ),
        (
            "[[metrics.alias]]\nname = \"a b\"\nmetric = \"segue_sessions\"".to_owned(),
            "bad_name",
            "such as my_connections",
        ),
        (
            alias("metric = \"segue_sessions\"\nmatch = { a = \"b\" }"),
            "unknown_label",
            "has no labels",
        ),
        (
            alias("metric = \"segue_messages_total\"\nrename = { type = \"b\" }"),
            "unknown_label",
            "write one of mtype, outcome",
        ),
        (
            alias("metric = \"segue_messages_total\"\nrename = { mtype = \"le\" }"),
            "bad_name",
            "but not le",
        ),
        (
            alias("metric = \"segue_messages_total\"\nrename = { mtype = \"outcome\" }"),
            "contradiction",
            "the label `outcome` twice",
        ),
        (
            alias("metric = \"segue_messages_total\"\nlabels = { mtype = \"x\" }"),
            "contradiction",
            "rename = { mtype = \"\" }",
        ),
        (
            two("a", "segue_messages_total", "segue_sessions"),
            "contradiction",
            "do not go together",
        ),
        (
            two("a_count", "segue_message_seconds", "segue_sessions"),
            "contradiction",
            "part of the histogram `a`",
        ),
        (
            alias("metric = \"segue_sessions\"\nhelp = \"x\""),
            "unknown_key",
            "[metrics.alias] knows",
        ),
    ] {
        let faults = bad(&text);
        let report = faults.to_string();
        assert!(
            faults.list().iter().any(|fault| fault.code == code),
            "{text}\n{report}"
        );
        assert!(report.contains(words), "{text}\n{report}");
    }
}
