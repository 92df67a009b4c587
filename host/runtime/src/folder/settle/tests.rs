use tokio::time::{advance, sleep_until};

use super::Happened::{Closed, Created, Gone, Placed, Touched, Written};
use super::Part::{Toml, Wasm};
use super::*;

const SETTLE: Duration = Duration::from_millis(250);
const MS: Duration = Duration::from_millis(1);

fn machine() -> Settle {
    Settle::new(SETTLE, true, 8)
}

fn happened(settle: &mut Settle, part: Part, events: &[Happened]) {
    for what in events {
        assert!(settle.happened("echo", part, *what, Instant::now()));
    }
}

fn due_now(settle: &mut Settle) -> Vec<String> {
    let due = settle.take_due(Instant::now());
    due.into_iter().map(|due| due.name).collect()
}

/// Waits as the folder's task does, and says how long it took.
async fn until_due(settle: &mut Settle) -> Duration {
    let start = Instant::now();
    while let Some(at) = settle.next_due() {
        sleep_until(at).await;
        if !due_now(settle).is_empty() {
            return start.elapsed();
        }
    }
    panic!("nothing is ever due");
}

#[tokio::test(start_paused = true)]
async fn a_closed_file_and_one_renamed_into_place_are_due_at_once() {
    for last in [Closed, Placed] {
        let mut settle = machine();
        happened(&mut settle, Wasm, &[Created, Written, Written, last]);
        assert_eq!(
            settle.take_due(Instant::now()),
            [Due {
                name: "echo".into(),
                certain: true
            }]
        );
        assert_eq!(settle.next_due(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn what_no_event_completes_waits_for_quiet_since_the_last_event() {
    for what in [Created, Touched, Gone] {
        let mut settle = machine();
        happened(&mut settle, Wasm, &[what]);
        advance(SETTLE - MS).await;
        assert!(due_now(&mut settle).is_empty());
        happened(&mut settle, Wasm, &[what]);
        assert_eq!(until_due(&mut settle).await, SETTLE, "{what:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_copy_is_read_once_it_is_closed_however_long_it_pauses() {
    let mut settle = machine();
    happened(&mut settle, Wasm, &[Created]);
    for _ in 0..20 {
        happened(&mut settle, Wasm, &[Written]);
        advance(9 * SETTLE).await;
        assert!(due_now(&mut settle).is_empty());
    }
    happened(&mut settle, Wasm, &[Closed]);
    assert_eq!(due_now(&mut settle), ["echo"]);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_never_closed_is_read_in_the_end() {
    let mut settle = machine();
    happened(&mut settle, Wasm, &[Written]);
    advance(WRITE_WAIT / 2).await;
    happened(&mut settle, Wasm, &[Written, Touched]);
    assert_eq!(until_due(&mut settle).await, WRITE_WAIT);
}

#[tokio::test(start_paused = true)]
async fn where_closes_are_not_told_a_written_file_waits_for_quiet() {
    let mut settle = Settle::new(SETTLE, false, 8);
    happened(&mut settle, Wasm, &[Created, Written]);
    assert_eq!(until_due(&mut settle).await, SETTLE);
}

#[tokio::test(start_paused = true)]
async fn a_pair_is_due_once_both_files_are() {
    let mut settle = machine();
    happened(&mut settle, Toml, &[Created, Written]);
    happened(&mut settle, Wasm, &[Created, Written, Closed]);
    assert!(due_now(&mut settle).is_empty());
    happened(&mut settle, Toml, &[Closed]);
    assert_eq!(due_now(&mut settle), ["echo"]);
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_is_followed_by_the_new_file_is_one_change() {
    let mut settle = machine();
    happened(&mut settle, Wasm, &[Gone]);
    advance(SETTLE / 2).await;
    assert!(due_now(&mut settle).is_empty());
    happened(&mut settle, Wasm, &[Created, Written, Closed]);
    assert_eq!(due_now(&mut settle), ["echo"]);
    settle.release("echo");
    assert_eq!(settle.next_due(), None);
}

#[tokio::test(start_paused = true)]
async fn a_busy_pair_is_not_due_and_what_happens_meanwhile_is_not_lost() {
    let mut settle = machine();
    happened(&mut settle, Wasm, &[Closed]);
    assert_eq!(due_now(&mut settle), ["echo"]);
    happened(&mut settle, Toml, &[Closed]);
    assert!(due_now(&mut settle).is_empty());
    assert_eq!(settle.next_due(), None, "or the task would spin");
    assert!(settle.is_busy("echo") && settle.is_waiting("echo"));
    settle.release("echo");
    assert_eq!(due_now(&mut settle), ["echo"]);
    settle.release("echo");
    assert!(!settle.is_busy("echo") && !settle.is_waiting("echo"));
}

#[tokio::test(start_paused = true)]
async fn a_postponed_pair_waits_another_settle_time_unless_more_happened() {
    let mut settle = machine();
    happened(&mut settle, Wasm, &[Closed]);
    due_now(&mut settle);
    settle.postpone("echo", Instant::now());
    settle.release("echo");
    assert_eq!(until_due(&mut settle).await, SETTLE);

    happened(&mut settle, Wasm, &[Closed]);
    settle.postpone("echo", Instant::now());
    settle.release("echo");
    assert_eq!(due_now(&mut settle), ["echo"]);
}

#[tokio::test(start_paused = true)]
async fn a_scan_waits_for_quiet_or_not_but_never_interrupts_a_writer() {
    let mut settle = machine();
    settle.found("echo", false, Instant::now());
    advance(SETTLE / 2).await;
    // A second scan does not push the first one's finding away.
    settle.found("echo", false, Instant::now());
    assert_eq!(until_due(&mut settle).await, SETTLE / 2);
    settle.release("echo");

    settle.found("echo", true, Instant::now());
    assert_eq!(
        settle.take_due(Instant::now()),
        [Due {
            name: "echo".into(),
            certain: false
        }]
    );
    settle.release("echo");

    happened(&mut settle, Wasm, &[Written]);
    settle.found("echo", true, Instant::now());
    assert!(due_now(&mut settle).is_empty());
}

#[tokio::test(start_paused = true)]
async fn no_more_pairs_are_followed_than_the_bound() {
    let mut settle = machine();
    for n in 0..8 {
        assert!(settle.happened(&format!("p{n}"), Wasm, Created, Instant::now()));
    }
    assert!(!settle.happened("p8", Wasm, Created, Instant::now()));
    assert!(!settle.found("p9", true, Instant::now()));
    assert!(settle.happened("p0", Wasm, Closed, Instant::now()));
}
