//! What `[resilience]` makes of its tables.

use std::time::Duration;

use segue_resilience::{Key, Policies};

use super::*;
use crate::config::{Knob, Resilience, Setting};

const BASE: &str = "[sql.shop]\nurl = \"sqlite:shop.db\"\n[llm.main]\nprovider = \"offline\"\n";

fn resilience(text: &str) -> Resilience {
    good(&format!("{BASE}{text}")).resilience
}

/// A value and where it is from.
fn of(resilience: &Resilience, kind: &str, name: &str, knob: Knob) -> (Setting, String) {
    let found = resilience.in_force(kind, name).remove(&knob).unwrap();
    (found.value, found.from.to_string())
}

// B3, N40: five failures, thirty seconds; X6, X7: three retries, two seconds.
#[test]
fn without_a_word_everything_has_a_breaker_and_upstreams_have_retries() {
    let none = resilience("");
    for kind in crate::config::KINDS {
        let policy = none.of(&Key::new(kind, "any"));
        if kind == "handler" {
            assert_eq!(policy.breaker, None);
            continue;
        }
        let breaker = policy.breaker.unwrap();
        assert_eq!(breaker.failure_threshold, 5, "{kind}");
        // A cache is asked for its speed: it is left alone sooner and not as long.
        let (reset, timeout) = match kind {
            "cache" => (2, Some(Duration::from_millis(500))),
            _ => (30, None),
        };
        assert_eq!(breaker.reset_timeout, Duration::from_secs(reset), "{kind}");
        assert_eq!(policy.timeout, timeout, "{kind}");
        assert_eq!(policy.bulkhead, None, "{kind}");
        let retries = if kind == "http" { 3 } else { 0 };
        assert_eq!(policy.retry.retries, retries, "{kind}");
    }
    let retry = none.of(&Key::new("http", "https://a.example#greet")).retry;
    assert_eq!(retry.backoff, Duration::from_secs(2));
    assert_eq!(
        of(&none, "sql", "shop", Knob::Probes),
        (Setting::Count(1), "built in".into())
    );
}

#[test]
fn what_stands_nearer_wins_and_says_where_it_stands() {
    let text = "
[resilience]
failure_threshold = 9
timeout = \"7s\"
[resilience.llm]
tier = \"resource-intensive\"
probes = 2
[resilience.llm.main]
timeout = \"1s\"
concurrency = \"off\"
";
    let resilience = resilience(text);
    let main = |knob| of(&resilience, "llm", "main", knob);
    assert_eq!(
        main(Knob::FailureThreshold),
        (Setting::Count(9), "segue.toml:7:21".into())
    );
    assert_eq!(main(Knob::Timeout).0, Setting::Time(Duration::from_secs(1)));
    assert_eq!(main(Knob::Concurrency).0, Setting::Off);
    assert_eq!(
        main(Knob::Queue),
        (
            Setting::Count(32),
            "tier resource-intensive, segue.toml:10:8".into()
        )
    );
    assert_eq!(main(Knob::Probes).0, Setting::Count(2));
    // A tier further in wins over a key further out.
    let other = of(&resilience, "llm", "other", Knob::Timeout);
    assert_eq!(other.0, Setting::Time(Duration::from_secs(60)), "X3");
    assert_eq!(
        of(&resilience, "sql", "shop", Knob::Timeout).0,
        Setting::Time(Duration::from_secs(7))
    );
    let policy = resilience.of(&Key::new("llm", "main/east"));
    assert_eq!(
        (policy.bulkhead, policy.timeout),
        (None, Some(Duration::from_secs(1)))
    );
}

// X2, X3, X30
#[test]
fn a_default_makes_room_and_of_two_that_were_chosen_the_narrower_holds() {
    use super::good;
    let sections = |more: &str| {
        let model = "base_url = \"https://llm.example/v1\"\nmodel = \"m\"";
        let config = good(&format!(
            "{more}\n[sql.shop]\nurl = \"sqlite:shop.db\"\n[sql.own]\nurl = \"sqlite:own.db\"\ntimeout = \"40s\"\n\
             [llm.main]\nprovider = \"openai\"\n{model}\n[llm.two]\nprovider = \"openai\"\n\
             [llm.two.targets.a]\n{model}\n[llm.two.targets.b]\nfirst_token_timeout = \"1s\"\n{model}\n"
        ));
        let model = |name: &str| match &config.backends.llm[name] {
            crate::config::Llm::OpenAi(model) => model.clone(),
            other => panic!("{other:?}"),
        };
        let targets = model("two").targets;
        [
            config.backends.http.timeout,
            config.backends.sql["shop"].timeout,
            config.backends.sql["own"].timeout,
            model("main").server.unwrap().first_token_timeout,
            targets["a"].server.first_token_timeout,
            targets["b"].server.first_token_timeout,
        ]
        .map(|time| time.as_secs())
    };
    assert_eq!(sections(""), [30, 5, 40, 30, 30, 1], "X2");
    assert_eq!(
        sections("[resilience]\nprofile = \"high-load\""),
        [60, 5, 40, 30, 30, 1],
        "X30"
    );
    let long = "[resilience]\ntier = \"resource-intensive\"";
    assert_eq!(sections(long), [60, 60, 40, 60, 60, 1], "X3");
    assert_eq!(
        sections("[http]\ntimeout = \"20s\"\n[resilience]\ntimeout = \"2s\""),
        [20, 2, 40, 2, 2, 1],
        "the guard's own two seconds hold as well"
    );
}

// O18
#[test]
fn a_tier_bundles_timeout_concurrency_and_limit() {
    for (tier, seconds, concurrency, limit) in [
        ("high-performance", 5, 256, 1_000),
        ("standard", 30, 64, 100),
        ("resource-intensive", 60, 8, 10),
    ] {
        let resilience = resilience(&format!("[resilience.handler.chat]\ntier = \"{tier}\"\n"));
        let policy = resilience.of(&Key::new("handler", "chat"));
        assert_eq!(policy.timeout, Some(Duration::from_secs(seconds)));
        assert_eq!(policy.bulkhead.unwrap().concurrency, concurrency);
        assert_eq!(
            of(&resilience, "handler", "chat", Knob::RateLimit).0,
            Setting::Count(limit)
        );
        assert_eq!(resilience.of(&Key::new("handler", "echo")).bulkhead, None);
    }
}

// X30, X31, X32
#[test]
fn a_profile_sets_the_whole_host_and_yields_to_what_is_written() {
    for (profile, timeout, retries, backoff) in [
        ("high-load", Some(60), 5, 3),
        ("constrained", Some(90), 3, 2),
        ("high-availability", None, 10, 2),
    ] {
        let resilience = resilience(&format!(
            "[resilience]\nprofile = \"{profile}\"\n[resilience.http]\nprobes = 3\n"
        ));
        let policy = resilience.of(&Key::new("http", "https://a.example#greet"));
        assert_eq!(policy.timeout, timeout.map(Duration::from_secs), "{profile}");
        assert_eq!(policy.retry.retries, retries, "{profile}");
        assert_eq!(policy.retry.backoff, Duration::from_secs(backoff), "{profile}");
        assert_eq!(
            resilience.of(&Key::new("sql", "shop")).retry.retries,
            0,
            "{profile}"
        );
    }
    let resilience = resilience("[resilience]\nprofile = \"constrained\"\nreset_timeout = \"1m\"\n");
    let breaker = resilience.of(&Key::new("sql", "shop")).breaker.unwrap();
    assert_eq!(
        (breaker.failure_threshold, breaker.reset_timeout),
        (3, Duration::from_secs(60))
    );
}

// B24
#[test]
fn a_variable_sets_a_threshold() {
    let env = BTreeMap::from([(
        "SEGUE_RESILIENCE__SQL__FAILURE_THRESHOLD".to_owned(),
        "2".to_owned(),
    )]);
    let text = format!("{BASE}[resilience.sql]\n");
    let resilience = parse(&text, Path::new("/srv"), &env).unwrap().resilience;
    let (value, from) = of(&resilience, "sql", "shop", Knob::FailureThreshold);
    assert_eq!(value, Setting::Count(2));
    assert!(
        from.contains("SEGUE_RESILIENCE__SQL__FAILURE_THRESHOLD"),
        "{from}"
    );
}

#[test]
fn each_fault_has_its_mend() {
    for (text, code, mend) in [
        (
            "[resilience.llm.mian]",
            "unknown_name",
            "did you mean [resilience.llm.main]?",
        ),
        (
            "[resilience.sql.other]",
            "unknown_name",
            "add [sql.other], or remove this",
        ),
        (
            "[resilience.keyvalue.x]",
            "unknown_name",
            "write [resilience.keyvalue]",
        ),
        (
            "[resilience.http.\"api.example.com:443\"]",
            "bad_name",
            "write [resilience.http.\"https://api.example.com\"]",
        ),
        (
            "[resilience]\ntier = \"fast\"",
            "unknown_choice",
            "\"high-performance\"",
        ),
        (
            "[resilience]\ntimeout = \"never\"",
            "bad_duration",
            "or write \"off\"",
        ),
        ("[resilience]\nqueue = \"off\"", "wrong_type", "whole number"),
        ("[resilience]\ntreshold = 1", "unknown_key", ""),
        (
            "[resilience]\nreset_timeout = \"10m\"\nreset_timeout_max = \"1m\"",
            "out_of_range",
            "give it 10m or more",
        ),
        (
            "[resilience]\nconcurrency = \"off\"\nqueue = 1",
            "contradiction",
            "remove `queue`",
        ),
    ] {
        let faults = bad(&format!("{BASE}{text}\n"));
        let found = faults.list().iter().find(|fault| fault.code == code);
        let found = found.unwrap_or_else(|| panic!("{text}: {faults}"));
        assert!(found.mend.contains(mend), "{text}: {}", found.mend);
    }
}

#[test]
fn the_page_about_it_has_every_key_and_what_is_built_in() {
    let page = include_str!("../../../../../docs/resilience.md");
    let none = resilience("");
    for knob in Knob::ALL {
        let meaning = knob.meaning().replace('\n', " ");
        let meaning: Vec<&str> = meaning.split_whitespace().collect();
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("| `{}` |", knob.key())))
            .unwrap_or_else(|| panic!("no row about {}", knob.key()));
        assert!(row.contains(&meaning.join(" ")), "{row}");
        let built_in = serde_json::to_value(of(&none, "sql", "shop", *knob).0).unwrap();
        let built_in = built_in.to_string().replace('"', "");
        assert!(row.contains(&format!("| {built_in}")), "{row}: {built_in}");
    }
}
