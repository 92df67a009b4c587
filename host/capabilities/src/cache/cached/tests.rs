//! One test for each row of the table.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use segue_resilience::Guards;
use tokio::runtime::Handle;
use tokio::time::advance;

use super::super::{CacheState, settings};
use super::*;

#[derive(Clone, Debug, PartialEq)]
enum Failure {
    Lost,
    Own,
}

impl From<Lost> for Failure {
    fn from(_: Lost) -> Failure {
        Failure::Lost
    }
}

struct Bench {
    cached: Cached<Failure>,
    fetches: Arc<AtomicUsize>,
}

fn bench(change: impl FnOnce(&mut settings::Cache)) -> Bench {
    let mut settings = settings::Cache::default();
    change(&mut settings);
    Bench {
        cached: Cached::new(Cache::new(
            "answers",
            settings,
            &Guards::permissive(),
            Handle::current(),
        )),
        fetches: Arc::default(),
    }
}

impl Bench {
    /// Asks as `plugin`; what is fetched is `value`.
    async fn ask(
        &self,
        plugin: &str,
        value: Result<&'static str, Failure>,
    ) -> (Result<Bytes, Failure>, Source) {
        let fetches = Arc::clone(&self.fetches);
        let owner = Owner::new(plugin, "search.docs");
        let fetch = move || async move {
            fetches.fetch_add(1, Ordering::Relaxed);
            value.map(Fetched::from)
        };
        self.cached
            .get(&owner, &["question"], vec!["docs".to_owned()], fetch)
            .await
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::Relaxed)
    }

    fn state(&self) -> CacheState {
        self.cached.cache().state()
    }
}

fn ok(value: &'static str) -> Result<Bytes, Failure> {
    Ok(Bytes::from_static(value.as_bytes()))
}

// B7, B19, O5: a time of its own for each cache.
#[tokio::test(start_paused = true)]
async fn a_fresh_entry_is_the_answer_until_its_time_is_over() {
    let bench = bench(|_| {});
    assert_eq!(bench.ask("p", Ok("one")).await, (ok("one"), Source::Miss));
    advance(Duration::from_secs(53)).await;
    assert_eq!(bench.ask("p", Ok("two")).await, (ok("one"), Source::Hit));
    advance(Duration::from_secs(8)).await;
    assert_eq!(bench.ask("p", Ok("three")).await, (ok("three"), Source::Miss));
}

#[tokio::test(start_paused = true)]
async fn what_is_past_its_time_is_given_out_while_one_fetches_it_anew() {
    let bench = bench(|settings| settings.stale_for = Duration::from_secs(60));
    let _ = bench.ask("p", Ok("one")).await;
    advance(Duration::from_secs(61)).await;
    assert_eq!(bench.ask("p", Ok("two")).await, (ok("one"), Source::Stale));
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.ask("p", Ok("three")).await, (ok("two"), Source::Hit));
    advance(Duration::from_secs(121)).await;
    assert_eq!(bench.ask("p", Ok("four")).await, (ok("four"), Source::Miss));
}

// B6
#[tokio::test(start_paused = true)]
async fn those_who_ask_while_it_is_fetched_get_the_same() {
    let bench = Arc::new(bench(|_| {}));
    let asks = (0..100).map(|_| {
        let bench = Arc::clone(&bench);
        tokio::spawn(async move { bench.ask("p", Ok("one")).await.0 })
    });
    for ask in asks.collect::<Vec<_>>() {
        assert_eq!(ask.await.unwrap(), ok("one"));
    }
    assert_eq!(bench.fetches(), 1);
    let state = bench.state();
    assert_eq!(state.misses, 1);
    assert_eq!(state.hits + state.joined, 99, "B23");
}

#[tokio::test(start_paused = true)]
async fn a_failure_and_what_is_too_large_are_not_kept() {
    let bench = bench(|settings| settings.max_value = 3);
    assert_eq!(bench.ask("p", Err(Failure::Own)).await.0, Err(Failure::Own));
    assert_eq!(bench.ask("p", Ok("large")).await, (ok("large"), Source::Miss));
    assert_eq!(bench.ask("p", Ok("ok")).await, (ok("ok"), Source::Miss));
    assert_eq!(bench.ask("p", Ok("no")).await, (ok("ok"), Source::Hit));
    let state = bench.state();
    assert_eq!((state.errors, state.misses, state.entries), (1, 3, 1));
}

#[tokio::test(start_paused = true)]
async fn nothing_crosses_from_one_plugin_to_another_unless_the_cache_is_public() {
    let private = bench(|_| {});
    let _ = private.ask("one", Ok("of one")).await;
    assert_eq!(
        private.ask("two", Ok("of two")).await,
        (ok("of two"), Source::Miss)
    );
    let public = bench(|settings| settings.public = true);
    let _ = public.ask("one", Ok("of one")).await;
    assert_eq!(public.ask("two", Ok("of two")).await, (ok("of one"), Source::Hit));
}

#[tokio::test(start_paused = true)]
async fn what_changed_is_taken_out_by_its_tag_also_while_it_is_fetched() {
    let bench = bench(|_| {});
    let _ = bench.ask("p", Ok("one")).await;
    bench.cached.cache().invalidate_tag("other").await;
    assert_eq!(bench.ask("p", Ok("two")).await.1, Source::Hit);
    bench.cached.cache().invalidate_tag("docs").await;
    let cache = Arc::clone(bench.cached.cache());
    let owner = Owner::new("p", "search.docs");
    let fetched = bench
        .cached
        .get(&owner, &["question"], vec!["docs".into()], move || async move {
            cache.invalidate_tag("docs").await;
            Ok("of before".into())
        });
    assert_eq!(fetched.await, (ok("of before"), Source::Miss));
    assert_eq!(bench.ask("p", Ok("three")).await, (ok("three"), Source::Miss));
    bench.cached.cache().clear().await;
    assert_eq!(bench.ask("p", Ok("four")).await, (ok("four"), Source::Miss));
    assert!(bench.state().invalidations >= 2);
}

#[tokio::test(start_paused = true)]
async fn entries_and_bytes_are_bounded() {
    let bench = bench(|settings| settings.max_entries = 10);
    for number in 0..100 {
        let _ = bench.ask(&format!("plugin-{number}"), Ok("value")).await;
    }
    let state = bench.state();
    assert!(state.entries <= 10, "{state:?}");
    assert_eq!(state.evictions, 100 - state.entries);
}
