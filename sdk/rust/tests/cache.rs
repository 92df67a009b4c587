//! Guards that a cache of a native test keeps values as the host's do: what is there
//! is not made again, what fails is not kept, and the bounds hold.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::Cell;
use std::time::Duration;

use segue_sdk::cache;
use segue_sdk::prelude::*;
use segue_sdk::test::{Call, FakeCache, call};

fn run(kept: &FakeCache, handler: impl FnOnce() -> Result<()>) {
    let run = Call::text("").cache("answers", kept.clone()).run(|_, reply| {
        handler()?;
        reply.send("done")
    });
    assert!(run.result.is_ok(), "{:?}", run.result);
}

fn code<T>(result: Result<T>) -> String {
    result.map(drop).unwrap_err().code().to_owned()
}

#[test]
fn what_is_there_is_not_made_again_until_its_time_is_over() {
    let (kept, made) = (FakeCache::new(), Cell::new(0));
    let make = || {
        made.set(made.get() + 1);
        Ok(format!("made {}", made.get()))
    };
    run(&kept, || {
        let answers = cache::open("answers")
            .ttl(Duration::from_secs(5))
            .tag("t")
            .tag("u");
        assert_eq!(answers.get("k")?, None);
        assert_eq!(answers.get_or_set("k", make)?, b"made 1");
        assert_eq!(answers.get_or_set("k", make)?, b"made 1");
        Ok(())
    });
    assert_eq!(kept.ttl("k"), Some(Duration::from_secs(5)));
    assert_eq!(kept.tags("k"), ["t", "u"]);
    kept.expire("k");
    run(&kept, || {
        assert_eq!(cache::open("answers").get_or_set("k", make)?, b"made 2");
        Ok(())
    });
    assert_eq!(kept.ttl("k"), None);
}

#[test]
fn what_fails_is_told_and_not_kept() {
    let kept = FakeCache::new();
    run(&kept, || {
        let answers = cache::open("answers");
        let failed = || Err::<Vec<u8>, _>(Error::new("upstream_failed", "no"));
        assert_eq!(code(answers.get_or_set("k", failed)), "upstream_failed");
        let failed = || Err::<u32, _>(Error::new("upstream_failed", "no"));
        assert_eq!(code(answers.get_or_set_json("k", failed)), "upstream_failed");
        assert_eq!(answers.get_or_set_json("k", || Ok(7))?, 7);
        assert_eq!(answers.get_or_set_json("k", || Ok(8))?, 7);
        Ok(())
    });
}

#[test]
fn entries_are_replaced_and_removed_by_key_and_by_tag() {
    let kept = FakeCache::new().with("plain", "1");
    run(&kept, || {
        let answers = cache::open("answers");
        assert!(answers.clone().tag("t").set("a", "1")?);
        assert!(answers.clone().tag("t").set("b", "1")?);
        assert!(answers.set("b", "2")?);
        answers.invalidate("t")?;
        assert_eq!(
            (answers.get("a")?, answers.get("b")?),
            (None, Some(b"2".to_vec()))
        );
        answers.delete("b")?;
        answers.delete("none")
    });
    assert_eq!(
        (kept.value("b"), kept.value("plain")),
        (None, Some(b"1".to_vec()))
    );
}

#[test]
fn the_bounds_are_the_hosts() {
    run(&FakeCache::new(), || {
        let answers = cache::open("answers");
        assert_eq!(code(answers.get("")), "invalid_argument");
        assert_eq!(code(answers.get(&"k".repeat(1_025))), "invalid_argument");
        assert_eq!(code(answers.clone().tag("").set("k", "v")), "invalid_argument");
        let many = (0..17).fold(answers.clone(), |answers, n| answers.tag(format!("t{n}")));
        assert_eq!(code(many.set("k", "v")), "invalid_argument");
        assert!(answers.set("k", "v")?);
        assert!(!answers.set("k", vec![0; (1 << 20) + 1])?, "too large to be kept");
        assert_eq!(answers.get("k")?, None, "nor is what was there before");
        Ok(())
    });
}

#[test]
fn what_is_not_granted_is_denied() {
    let run = call(|_, _| cache::open("answers").get("k").map(drop), "");
    let error = run.result.unwrap_err();
    assert_eq!(error.code(), "capability_denied");
    assert!(error.message().contains("cache = [\"answers\"]"), "{error}");
}

// O19: keys like `workflow:{{workflowId}}`.
#[test]
fn a_template_makes_two_keys_of_two_values() {
    let key = |id: &str, step: &str| {
        cache::key("workflow:{{id}}:{{ step }}", [("id", id), ("step", step)]).unwrap()
    };
    assert_eq!(key("7", "1"), "workflow:7:1");
    assert_ne!(key("7:1", ""), key("7", "1:"));
    assert_ne!(key("{{step}}", "1"), key("1", "1"));
    assert_eq!(key("Ä b", "%"), "workflow:Ä b:%25");
    assert_eq!(code(cache::key("{{id}", [("id", "7")])), "invalid_argument");
    assert_eq!(cache::key("plain", []).unwrap(), "plain");
}
