//! One test for each row of the table.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::time::advance;

use super::*;
use crate::breaker::State;

#[derive(Clone, Debug, PartialEq)]
enum Failure {
    Refused(Refused),
    Ours(Verdict),
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Failure {
        Failure::Refused(refused)
    }
}

impl Judged for Failure {
    fn verdict(&self) -> Verdict {
        match self {
            Failure::Refused(_) => Verdict::Neither,
            Failure::Ours(verdict) => *verdict,
        }
    }
}

const SOON: Failure = failure(Repeat::Soon);

const fn failure(repeat: Repeat) -> Failure {
    Failure::Ours(Verdict::Failure { repeat })
}

fn guard(change: impl FnOnce(&mut Policy)) -> Guard {
    let mut policy = Policy {
        timeout: Some(Duration::from_secs(10)),
        breaker: Some(breaker::Settings::default()),
        bulkhead: Some(bulkhead::Settings {
            concurrency: 2,
            queue: 1,
            queue_wait: Duration::from_secs(5),
        }),
        retry: retry::Settings {
            retries: 3,
            ..retry::Settings::default()
        },
    };
    change(&mut policy);
    Guard::new(Key::new("llm", "main"), policy)
}

fn counts(guard: &Guard) -> (u64, u64, u64) {
    let stats = guard.state().breaker.stats;
    (stats.successes, stats.failures, stats.neither)
}

/// Runs attempts that end one after the other as `ends` says; how many were
/// made, and the result.
async fn run(guard: &Guard, safe: bool, ends: &[Result<u32, Failure>]) -> (u32, Result<u32, Failure>) {
    let made = AtomicU32::new(0);
    let result = guard
        .run(None, safe, async |number| {
            assert_eq!(made.fetch_add(1, Ordering::Relaxed) + 1, number);
            ends[number as usize - 1].clone()
        })
        .await;
    (made.into_inner(), result)
}

#[tokio::test(start_paused = true)]
async fn a_good_answer_is_a_success_and_so_is_an_error_of_the_callers() {
    let guard = guard(|_| {});
    assert_eq!(run(&guard, true, &[Ok(7)]).await, (1, Ok(7)));
    let own = Failure::Ours(Verdict::Success);
    assert_eq!(run(&guard, true, &[Err(own.clone())]).await, (1, Err(own)));
    assert_eq!(counts(&guard), (2, 0, 0));
    let neither = Failure::Ours(Verdict::Neither);
    assert_eq!(
        run(&guard, true, &[Err(neither.clone())]).await,
        (1, Err(neither))
    );
    assert_eq!(counts(&guard), (2, 0, 1));
    assert_eq!(guard.state().latency.count(), 2);
}

// B22, O10, X6
#[tokio::test(start_paused = true)]
async fn a_failure_is_tried_again_only_if_that_is_safe_and_may_help() {
    let guard = guard(|policy| policy.breaker = None);
    let ends = [Err(SOON), Err(SOON), Ok(7)];
    assert_eq!(run(&guard, true, &ends).await, (3, Ok(7)));
    assert_eq!(run(&guard, false, &ends).await, (1, Err(SOON)));
    let never = failure(Repeat::Never);
    assert_eq!(run(&guard, true, &[Err(never.clone())]).await, (1, Err(never)));
    let ends = vec![Err(SOON); 9];
    assert_eq!(run(&guard, true, &ends).await, (4, Err(SOON)), "three retries");
    assert_eq!(guard.state().retries.retried, 5);
}

#[tokio::test(start_paused = true)]
async fn a_named_time_is_waited_for_unless_it_is_long() {
    let guard = guard(|policy| policy.breaker = None);
    let since = Instant::now();
    let after = |seconds| Err(failure(Repeat::After(Duration::from_secs(seconds))));
    assert_eq!(run(&guard, true, &[after(2), Ok(1)]).await, (2, Ok(1)));
    assert_eq!(since.elapsed(), Duration::from_secs(2));
    assert_eq!(run(&guard, true, &[after(3)]).await, (1, after(3)));
}

#[tokio::test(start_paused = true)]
async fn no_retry_is_made_that_the_deadline_or_the_budget_does_not_allow() {
    let guard = guard(|policy| policy.breaker = None);
    let made = AtomicU32::new(0);
    let deadline = Instant::now() + Duration::from_millis(120);
    let result: Result<(), _> = guard
        .run(Some(deadline), true, async |_| {
            made.fetch_add(1, Ordering::Relaxed);
            Err(SOON)
        })
        .await;
    assert_eq!(result, Err(SOON));
    assert!(Instant::now() < deadline && made.into_inner() <= 2);
    let mut made = 0;
    for _ in 0..1_000 {
        made += run(&guard, true, &vec![Err(SOON); 4]).await.0;
    }
    let retries = guard.state().retries;
    // A thousand calls within more than ten seconds, each window with its ten.
    assert_eq!(u64::from(made), 1_000 + retries.retried - 1);
    assert!(retries.budget_spent > 0);
}

// B4, E10
#[tokio::test(start_paused = true)]
async fn an_open_breaker_makes_no_attempt_and_no_one_queue() {
    let guard = guard(|policy| policy.retry.retries = 0);
    for _ in 0..5 {
        assert_eq!(run(&guard, true, &[Err(SOON)]).await.0, 1);
    }
    let (made, result) = run(&guard, true, &[]).await;
    let open = Refused::Open {
        retry_after: Duration::from_secs(30),
    };
    assert_eq!((made, result), (0, Err(Failure::Refused(open))));
    assert_eq!(
        (open.code(), open.retry_after()),
        ("circuit_open", Some(Duration::from_secs(30)))
    );
    assert_eq!(guard.try_admit().unwrap_err(), open);
    assert_eq!(guard.state().breaker.stats.rejections, 2);
    assert_eq!(guard.state().bulkhead.rejected, 0);
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_opens_between_two_attempts_ends_with_the_first_failure() {
    let guard = guard(|_| {});
    let ends = vec![Err(SOON); 9];
    assert_eq!(run(&guard, true, &ends).await, (4, Err(SOON)));
    assert_eq!(
        run(&guard, true, &ends).await,
        (1, Err(SOON)),
        "the fifth opens it"
    );
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_takes_too_long_is_a_failure() {
    let guard = guard(|policy| policy.retry.retries = 1);
    let since = Instant::now();
    let result: Result<(), Failure> = guard
        .run(None, true, async |_| std::future::pending().await)
        .await;
    let after = Duration::from_secs(10);
    assert_eq!(result, Err(Failure::Refused(Refused::TimedOut { after })));
    assert!(since.elapsed() >= 2 * after, "and it was tried again");
    assert_eq!(counts(&guard), (0, 2, 0));
}

#[tokio::test(start_paused = true)]
async fn the_callers_deadline_blames_only_who_had_a_fair_time() {
    let guard = guard(|policy| policy.retry.retries = 0);
    for (ms, expected) in [(999, (0, 0, 1)), (1_000, (0, 1, 1))] {
        let deadline = Instant::now() + Duration::from_millis(ms);
        let result: Result<(), Failure> = guard
            .run(Some(deadline), true, async |_| std::future::pending().await)
            .await;
        assert!(matches!(result, Err(Failure::Refused(Refused::TimedOut { .. }))));
        assert_eq!(counts(&guard), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_counts_as_neither_and_gives_its_place_back() {
    let guard = Arc::new(guard(|_| {}));
    let leaving = Arc::clone(&guard);
    let task = tokio::spawn(async move {
        let _: Result<(), Failure> = leaving
            .run(None, true, async |_| std::future::pending().await)
            .await;
    });
    tokio::task::yield_now().await;
    assert_eq!(guard.state().bulkhead.in_flight, 1);
    task.abort();
    let _ = task.await;
    assert_eq!(guard.state().bulkhead.in_flight, 0);
    assert_eq!(counts(&guard), (0, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn places_are_bounded_and_a_stream_may_keep_its_own_after_it_proved_well() {
    let guard = guard(|policy| policy.bulkhead.as_mut().unwrap().queue = 0);
    let place = guard.admit(None).await.unwrap().works();
    let second = guard.admit(None).await.unwrap();
    assert_eq!(guard.admit(None).await.unwrap_err(), Refused::Full);
    assert_eq!(Refused::Full.code(), "overloaded");
    second.failed(None);
    assert_eq!(counts(&guard), (1, 1, 0));
    assert_eq!(guard.state().bulkhead.in_flight, 1);
    drop(place);
    assert_eq!(guard.state().bulkhead.in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn other_policies_hold_at_once_and_counts_stay() {
    let guard = guard(|_| {});
    assert_eq!(run(&guard, true, &[Ok(1)]).await.0, 1);
    guard.configure(Policy::default());
    for _ in 0..50 {
        assert_eq!(run(&guard, true, &[Err(SOON)]).await.0, 1);
    }
    assert_eq!(
        (guard.breaker().state(), counts(&guard)),
        (State::Closed, (1, 50, 0))
    );
    advance(Duration::from_secs(1)).await;
    assert_eq!(guard.is_out(), None);
}
