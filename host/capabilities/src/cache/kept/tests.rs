use std::collections::BTreeMap;

use segue_resilience::Guards;
use tokio::runtime::Handle;
use tokio::time::advance;

use super::super::{Caches, settings};
use super::*;

fn caches(change: impl FnOnce(&mut settings::Cache)) -> Arc<Caches> {
    let mut settings = settings::Cache::default();
    change(&mut settings);
    let both = ["answers", "others"].map(|name| (name.to_owned(), settings.clone()));
    Caches::new(BTreeMap::from(both), Guards::permissive(), Handle::current())
}

fn kept(change: impl FnOnce(&mut settings::Cache)) -> Kept {
    caches(change).of("p", "answers").unwrap()
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

async fn set(kept: &Kept, key: &str, value: &str, tags: &[&str]) -> bool {
    let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
    kept.set(key, bytes(value), None, &tags).await.unwrap()
}

async fn get(kept: &Kept, key: &str) -> Option<String> {
    let found = kept.get(key).await.unwrap();
    found.map(|value| String::from_utf8(value.to_vec()).unwrap())
}

async fn turn(kept: &Kept) -> Turn {
    match kept.obtain("k").await.unwrap() {
        Obtained::Turn(turn) => *turn,
        Obtained::Value(value) => panic!("{value:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_crosses_between_tenants_plugins_and_caches_by_no_key_and_no_tag() {
    let caches = caches(|_| {});
    let mine = caches.of("p", "answers").unwrap();
    let others_cache = caches.of("p", "others").unwrap();
    let another = caches.of("q", "answers").unwrap();
    let mut elsewhere = mine.clone();
    elsewhere.owner.tenant = "another".into();
    let mut tagged = mine.clone();
    tagged.owner.tags = vec!["session-1".into()];
    let all = [mine, others_cache, another, elsewhere, tagged];
    for (n, each) in all.iter().enumerate() {
        assert_eq!(get(each, "k").await, None);
        set(each, "k", &n.to_string(), &["t"]).await;
    }
    for (n, each) in all.iter().enumerate() {
        assert_eq!(get(each, "k").await, Some(n.to_string()));
    }
    // What one takes out stays with the others.
    all[0].invalidate("t").await.unwrap();
    all[1].delete("k").await.unwrap();
    for (n, each) in all.iter().enumerate() {
        assert_eq!(get(each, "k").await, (n > 1).then(|| n.to_string()));
    }
    // A turn is nobody else's to wait for.
    let _turn = turn(&all[0]).await;
    let _turn = turn(&all[1]).await;
}

#[tokio::test(start_paused = true)]
async fn a_public_cache_is_one_for_all_plugins() {
    let caches = caches(|settings| settings.public = true);
    let (one, two) = (
        caches.of("p", "answers").unwrap(),
        caches.of("q", "answers").unwrap(),
    );
    set(&one, "k", "v", &["t"]).await;
    assert_eq!(get(&two, "k").await.as_deref(), Some("v"));
    two.invalidate("t").await.unwrap();
    assert_eq!(get(&one, "k").await, None);
}

// B19: a time of its own for each entry, within the operator's.
#[tokio::test(start_paused = true)]
async fn an_entry_lives_as_long_as_it_is_told_and_no_longer_than_the_operator_says() {
    let kept = kept(|_| {});
    let ttl = |seconds| Some(Duration::from_secs(seconds));
    kept.set("short", bytes("v"), ttl(10), &[]).await.unwrap();
    kept.set("long", bytes("v"), ttl(86_400), &[]).await.unwrap();
    advance(Duration::from_secs(8)).await;
    assert!(get(&kept, "short").await.is_some());
    advance(Duration::from_secs(3)).await;
    assert!(get(&kept, "short").await.is_none() && get(&kept, "long").await.is_some());
    advance(Duration::from_secs(50)).await;
    assert!(get(&kept, "long").await.is_none());
}

#[tokio::test(start_paused = true)]
async fn each_bound_has_its_answer() {
    let kept = kept(|settings| settings.max_value = 4);
    let long = "k".repeat(MAX_KEY_BYTES + 1);
    for key in ["", &long] {
        assert_eq!(kept.get(key).await, Err(KeptError::BadKey(key.len())));
    }
    let tags = vec!["t".repeat(MAX_TAG_BYTES + 1)];
    let refused = kept.set("k", bytes("v"), None, &tags).await;
    assert_eq!(refused, Err(KeptError::BadTag(MAX_TAG_BYTES + 1)));
    let tags = vec!["t".to_owned(); MAX_TAGS + 1];
    let refused = kept.set("k", bytes("v"), None, &tags).await;
    assert_eq!(refused, Err(KeptError::TooManyTags(MAX_TAGS + 1)));
    // One that is too large is not kept, and what was there is not its value any more.
    assert!(set(&kept, "k", "four", &[]).await);
    assert!(!set(&kept, "k", "large", &[]).await);
    assert_eq!(get(&kept, "k").await, None);
    for error in [
        KeptError::BadKey(0),
        KeptError::BadTag(0),
        KeptError::TooManyTags(17),
    ] {
        assert_eq!(HandlerError::from(error).code, "invalid_argument");
    }
}

// B6
#[tokio::test(start_paused = true)]
async fn of_many_who_ask_one_makes_it_and_it_is_kept() {
    let kept = kept(|_| {});
    let turn = turn(&kept).await;
    let all: Vec<_> = (0..100)
        .map(|_| {
            let kept = kept.clone();
            tokio::spawn(async move { kept.obtain("k").await })
        })
        .collect();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(turn.fill(bytes("v"), None, &[]).await.unwrap());
    for each in all {
        assert!(matches!(each.await.unwrap(), Ok(Obtained::Value(value)) if value == "v"));
    }
    assert_eq!(get(&kept, "k").await.as_deref(), Some("v"));
    let state = kept.cache.state();
    assert_eq!((state.misses, state.joined, state.hits), (1, 100, 1), "{state:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_invalidated_while_it_is_made_is_given_out_and_not_kept() {
    let caches = caches(|_| {});
    let kept = caches.of("p", "answers").unwrap();
    let tags = ["t".to_owned()];
    for (n, out) in [(0, false), (1, false), (2, false), (3, true), (4, true)] {
        let turn = turn(&kept).await;
        match n {
            0 => kept.delete("k").await.unwrap(),
            1 => kept.invalidate("t").await.unwrap(),
            2 => kept.cache.clear().await,
            3 => kept.delete("other").await.unwrap(),
            _ => caches.of("q", "answers").unwrap().invalidate("t").await.unwrap(),
        }
        assert_eq!(turn.fill(bytes("v"), None, &tags).await, Ok(out), "{n}");
        assert_eq!(get(&kept, "k").await.is_some(), out, "{n}");
        kept.delete("k").await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_value_is_given_to_all_but_the_one_who_makes_the_new_one() {
    let kept = kept(|settings| settings.stale_for = Duration::from_secs(60));
    set(&kept, "k", "old", &[]).await;
    advance(Duration::from_secs(61)).await;
    assert_eq!(get(&kept, "k").await, None, "not fresh");
    let turn = turn(&kept).await;
    let other = kept.obtain("k").await.unwrap();
    assert!(matches!(other, Obtained::Value(value) if value == "old"));
    turn.fill(bytes("new"), None, &[]).await.unwrap();
    assert_eq!(get(&kept, "k").await.as_deref(), Some("new"));
}

#[tokio::test(start_paused = true)]
async fn an_old_value_that_is_taken_out_or_too_old_is_given_to_nobody_while_the_new_one_is_made() {
    for removed in [true, false] {
        let kept = kept(|settings| settings.stale_for = Duration::from_secs(60));
        set(&kept, "k", "old", &[]).await;
        advance(Duration::from_secs(61)).await;
        let turn = turn(&kept).await;
        match removed {
            true => kept.delete("k").await.unwrap(),
            false => advance(Duration::from_secs(120)).await,
        }
        let other = kept.clone();
        let waits = tokio::spawn(async move { other.obtain("k").await });
        tokio::task::yield_now().await;
        if removed {
            turn.fill(bytes("new"), None, &[]).await.unwrap();
            assert!(matches!(waits.await.unwrap(), Ok(Obtained::Value(value)) if value == "new"));
        } else {
            // Who made it for so long has lost the turn.
            assert!(matches!(waits.await.unwrap(), Ok(Obtained::Turn(_))));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_is_told_to_all_and_not_kept() {
    let kept = kept(|_| {});
    let why = HandlerError {
        code: "upstream_failed".to_owned(),
        ..HandlerError::default()
    };
    let first = turn(&kept).await;
    let other = kept.clone();
    let waits = tokio::spawn(async move { other.obtain("k").await.map(drop) });
    tokio::task::yield_now().await;
    first.fail(why.clone());
    let told = waits.await.unwrap().unwrap_err();
    assert_eq!(HandlerError::from(told), why);
    drop(turn(&kept).await);
    assert_eq!(kept.cache.state().errors, 1);
}
