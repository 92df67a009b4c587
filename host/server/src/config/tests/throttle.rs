//! What `[[limit]]`, `[overload]`, `[health]` and the addresses of `[server]` read
//! as, and what is wrong with them.

use std::time::Duration;

use super::*;
use crate::config::{Dependency, Forwarded, Per};

#[test]
fn without_a_word_nobody_is_limited_and_the_host_sheds_when_it_is_late() {
    let config = good("");
    assert!(config.rate_limits.is_empty() && config.health.required.is_empty());
    assert!(config.server.trusted_proxies.is_empty() && config.server.blocked.is_empty());
    assert_eq!(config.server.forwarded, Forwarded::XForwardedFor);
    let overload = config.overload;
    assert_eq!(
        (overload.in_flight, overload.delay, overload.interval),
        (
            Some(10_000),
            Some(Duration::from_millis(250)),
            Duration::from_secs(1)
        )
    );
    let off = good("[overload]\nin_flight = \"off\"\ndelay = \"off\"").overload;
    assert_eq!((off.in_flight, off.delay), (None, None));
}

// O41
#[test]
fn a_limit_is_by_address_a_minute_long_and_as_large_as_its_rate() {
    let config = good("[[limit]]\nname = \"usual\"\nrate = 100");
    let limit = &config.rate_limits[0];
    assert_eq!(
        (limit.per, limit.rate, limit.period, limit.burst),
        (Per::Address, 100, Duration::from_secs(60), 100)
    );
    let text = "[[endpoint]]\npath = \"/echo\"\nhandler = \"echo\"\n\
        [[limit]]\nname = \"echo\"\nmatch = { path = \"/echo\" }\nper = \"route\"\nrate = 5\nperiod = \"1s\"\nburst = 9";
    let config = good(text);
    let limit = &config.rate_limits[0];
    assert_eq!(
        (limit.path.as_deref(), limit.per, limit.burst),
        (Some("/echo"), Per::Route, 9)
    );
}

#[test]
fn dependencies_are_named_as_everywhere() {
    let base = "[sql.shop]\nurl = \"sqlite:shop.db\"\n[llm.main]\nprovider = \"offline\"\n";
    let config = good(&format!(
        "{base}[health]\nrequired = [\"llm.main\", \"sql.shop\", \"handler.chat\", \"keyvalue\", \"http.https://api.example.com\"]"
    ));
    let names: Vec<String> = config.health.required.iter().map(ToString::to_string).collect();
    assert_eq!(
        names,
        [
            "llm.main",
            "sql.shop",
            "handler.chat",
            "keyvalue",
            "http.https://api.example.com"
        ]
    );
    let text = "[server]\nprovisioning = \"handler.provision\"\n[resilience.handler]\nconcurrency = 3";
    let shown = good(text).server.provisioning;
    let name = "provision".to_owned();
    assert_eq!(
        shown,
        Some(Dependency {
            kind: "handler",
            name
        })
    );
}

#[test]
fn what_is_wrong_is_told_with_its_mend() {
    for (text, code, words) in [
        ("[[limit]]\nrate = 5", "missing_key", "has no `name`"),
        ("[[limit]]\nname = \"a\"", "missing_key", "has no `rate`"),
        ("[[limit]]\nname = \"A b\"\nrate = 5", "bad_name", "lower-case"),
        (
            "[[limit]]\nname = \"a\"\nrate = 5\n[[limit]]\nname = \"a\"\nrate = 5",
            "duplicate_name",
            "the limit at line 1",
        ),
        (
            "[[limit]]\nname = \"a\"\nrate = 5\nper = \"adress\"",
            "unknown_choice",
            "did you mean \"address\"",
        ),
        (
            "[[limit]]\nname = \"a\"\nrate = 5\nmatch = { path = \"/v1/mesages\" }",
            "unknown_path",
            "did you mean `/v1/messages`?",
        ),
        (
            "[[limit]]\nname = \"a\"\nrate = 5\nmatch = { path = \"/chat\", mtype = \"x\" }",
            "contradiction",
            "make two limits",
        ),
        (
            "[[limit]]\nname = \"a\"\nrate = 1\nperiod = \"1d\"\nburst = 40",
            "out_of_range",
            "lower `burst`",
        ),
        ("[[limit]]\nname = \"a\"\nrate = 0", "out_of_range", "give 1"),
        ("[overload]\ndelay = 5", "wrong_type", "or write \"off\""),
        (
            "[server]\nblocked = [\"10.0.0.1/8\"]",
            "bad_network",
            "write 10.0.0.0/8",
        ),
        (
            "[server]\ntrusted_proxies = [\"proxy\"]",
            "bad_network",
            "is no network",
        ),
        (
            "[health]\nrequired = [\"llm.main\"]",
            "unknown_name",
            "add [llm.main]",
        ),
        (
            "[health]\nrequired = [\"lm.main\"]",
            "unknown_choice",
            "did you mean `llm`?",
        ),
        (
            "[server]\nprovisioning = \"handler.a\"",
            "contradiction",
            "add concurrency = 10 to [resilience.handler.a]",
        ),
        (
            "[server]\nprovisioning = \"sql.shop\"",
            "unknown_name",
            "add [sql.shop]",
        ),
    ] {
        let faults = bad(text);
        let [fault] = faults.list() else {
            panic!("{text}: {faults}");
        };
        assert_eq!(fault.code, code, "{text}: {fault}");
        assert!(fault.to_string().contains(words), "{text}: {fault}");
    }
}

#[test]
fn all_of_it_is_hot() {
    let newer = good(
        "[server]\nblocked = [\"10.0.0.0/8\"]\ntrusted_proxies = [\"::1\"]\nforwarded = \"forwarded\"\nprovisioning = \"handler.a\"\n\
         [resilience.handler]\nconcurrency = 1\n[overload]\ndelay = \"off\"\n[health]\nrequired = [\"keyvalue\"]\n\
         [[limit]]\nname = \"a\"\nrate = 1",
    );
    assert_eq!(good("").needs_restart(&newer), Vec::<String>::new());
    let shown = newer.redacted_json();
    assert_eq!(shown["server"]["blocked"][0], "10.0.0.0/8");
    assert_eq!(shown["limit"][0]["period"], "1m");
    assert_eq!(shown["health"]["required"][0], "keyvalue");
}
