//! One test for each row of the table.

use tokio::time::advance;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn settings() -> Settings {
    Settings {
        failure_threshold: 3,
        minimum_calls: 10,
        slow_call: Some(SECOND),
        probes: 2,
        ..Settings::default()
    }
}

fn breaker(settings: Settings) -> Arc<Breaker> {
    Breaker::new(Key::new("llm", "main"), Some(settings))
}

fn fail(breaker: &Arc<Breaker>) {
    breaker.admit().unwrap().failed(None);
}

fn succeed(breaker: &Arc<Breaker>) {
    breaker.admit().unwrap().succeeded();
}

/// Open, by failures in a row.
fn opened(settings: Settings) -> Arc<Breaker> {
    let breaker = breaker(settings);
    for _ in 0..settings.failure_threshold {
        fail(&breaker);
    }
    assert_eq!(breaker.state(), State::Open);
    breaker
}

// B2, N40
#[tokio::test(start_paused = true)]
async fn failures_in_a_row_open_it_and_a_success_between_begins_the_row_anew() {
    let breaker = breaker(settings());
    for end in [fail, fail, succeed, fail, fail] {
        end(&breaker);
    }
    assert_eq!(breaker.state(), State::Closed);
    fail(&breaker);
    assert_eq!(breaker.state(), State::Open);
    let standing = breaker.standing();
    assert_eq!(
        (
            standing.stats.total,
            standing.stats.failures,
            standing.stats.successes
        ),
        (6, 5, 1)
    );
    assert_eq!(standing.retry_after_ms, Some(30_000), "B3");
}

#[tokio::test(start_paused = true)]
async fn a_share_of_failures_opens_it_once_enough_calls_were_made() {
    let breaker = breaker(settings());
    for _ in 0..4 {
        succeed(&breaker);
        fail(&breaker);
    }
    assert_eq!(breaker.state(), State::Closed, "eight calls are not enough");
    succeed(&breaker);
    assert_eq!(breaker.state(), State::Closed, "a success opens nothing");
    fail(&breaker);
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn failures_older_than_the_window_do_not_count() {
    let breaker = breaker(Settings {
        failure_threshold: 0,
        ..settings()
    });
    for _ in 0..9 {
        fail(&breaker);
    }
    advance(settings().window).await;
    fail(&breaker);
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_share_of_slow_calls_opens_it_although_they_succeed() {
    let breaker = breaker(settings());
    for slow in [false, false, true, true, true, true, true, true, true, true] {
        assert_eq!(breaker.state(), State::Closed);
        let permit = breaker.admit().unwrap();
        if slow {
            advance(SECOND).await;
        }
        permit.succeeded();
    }
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(breaker.standing().stats.slow, 8);
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_names_a_time_opens_it_for_that_time() {
    let breaker = breaker(settings());
    breaker.admit().unwrap().failed(Some(7 * SECOND));
    assert_eq!(breaker.is_out(), Some(7 * SECOND));
    advance(7 * SECOND).await;
    assert_eq!(breaker.is_out(), None);
    breaker.admit().unwrap().failed(Some(100_000 * SECOND));
    assert_eq!(breaker.is_out(), Some(settings().reset_timeout_max));
}

// B4
#[tokio::test(start_paused = true)]
async fn open_it_rejects_every_call_and_says_when_to_come_back() {
    let breaker = opened(settings());
    advance(20 * SECOND).await;
    for _ in 0..100 {
        let rejected = breaker.admit().unwrap_err();
        assert_eq!(rejected.retry_after, 10 * SECOND);
    }
    assert_eq!(breaker.standing().stats.rejections, 100);
    assert_eq!(breaker.standing().stats.total, 3, "none of them was let through");
}

#[tokio::test(start_paused = true)]
async fn who_looks_on_sees_it_half_open_once_its_time_is_over() {
    let breaker = opened(settings());
    assert_eq!(breaker.standing().state, State::Open);
    advance(30 * SECOND).await;
    let standing = breaker.standing();
    assert_eq!((standing.state, standing.retry_after_ms), (State::HalfOpen, None));
    assert_eq!(standing.stats.half_opened, 0, "looking on moves nothing");
}

#[tokio::test(start_paused = true)]
async fn after_its_time_a_call_is_a_probe_and_no_more_than_so_many_are_under_way() {
    let breaker = opened(settings());
    advance(30 * SECOND).await;
    let probes = [breaker.admit().unwrap(), breaker.admit().unwrap()];
    assert_eq!(breaker.state(), State::HalfOpen);
    for _ in 0..10 {
        breaker.admit().unwrap_err();
    }
    for probe in probes {
        probe.succeeded();
    }
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(breaker.standing().failures, 0);
}

// B20
#[tokio::test(start_paused = true)]
async fn a_probe_that_fails_opens_it_for_twice_as_long_up_to_the_bound() {
    let breaker = opened(settings());
    for seconds in [30, 60, 120, 240, 300, 300] {
        assert_eq!(breaker.is_out(), Some(seconds * SECOND));
        advance(seconds * SECOND).await;
        fail(&breaker);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_probe_opens_it_again() {
    let breaker = opened(settings());
    advance(30 * SECOND).await;
    let probe = breaker.admit().unwrap();
    advance(SECOND).await;
    probe.succeeded();
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_probe_makes_room_for_another_and_proves_nothing() {
    let breaker = opened(settings());
    advance(30 * SECOND).await;
    for _ in 0..10 {
        drop(breaker.admit().unwrap());
    }
    assert_eq!(breaker.state(), State::HalfOpen);
    succeed(&breaker);
    succeed(&breaker);
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(breaker.standing().stats.neither, 10);
}

#[tokio::test(start_paused = true)]
async fn a_call_of_an_earlier_state_is_counted_and_moves_nothing() {
    let breaker = breaker(settings());
    let early: Vec<_> = (0..6).map(|_| breaker.admit().unwrap()).collect();
    let mut early = early.into_iter();
    let mut next = || early.next().unwrap();
    for _ in 0..3 {
        fail(&breaker);
    }
    next().succeeded();
    assert_eq!(breaker.state(), State::Open, "late news");
    advance(30 * SECOND).await;
    let probe = breaker.admit().unwrap();
    next().failed(None);
    next().succeeded();
    next().succeeded();
    assert_eq!(breaker.state(), State::HalfOpen);
    probe.succeeded();
    succeed(&breaker);
    for _ in 0..2 {
        next().failed(None);
    }
    assert_eq!((breaker.state(), breaker.standing().failures), (State::Closed, 0));
}

#[tokio::test(start_paused = true)]
async fn neither_is_no_failure_and_no_success() {
    let breaker = breaker(settings());
    for _ in 0..2 {
        fail(&breaker);
    }
    for _ in 0..50 {
        drop(breaker.admit().unwrap());
    }
    fail(&breaker);
    assert_eq!(breaker.state(), State::Open, "the row was not broken");
}

#[tokio::test(start_paused = true)]
async fn who_flaps_is_asked_less_and_less_and_who_stays_well_begins_anew() {
    let settings = Settings {
        probes: 1,
        failure_threshold: 1,
        ..settings()
    };
    let breaker = opened(settings);
    for seconds in [30, 60, 120] {
        assert_eq!(breaker.is_out(), Some(seconds * SECOND));
        advance(seconds * SECOND).await;
        succeed(&breaker);
        assert_eq!(breaker.state(), State::Closed);
        fail(&breaker);
    }
    advance(240 * SECOND).await;
    succeed(&breaker);
    advance(240 * SECOND).await;
    fail(&breaker);
    assert_eq!(breaker.is_out(), Some(30 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn an_operator_may_close_it_and_switch_it_off() {
    let breaker = opened(settings());
    breaker.reset();
    assert_eq!(breaker.state(), State::Closed);
    for _ in 0..3 {
        fail(&breaker);
    }
    assert_eq!(breaker.is_out(), Some(30 * SECOND), "nothing is held against it");
    breaker.configure(None);
    for _ in 0..100 {
        fail(&breaker);
    }
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(breaker.standing().stats.failures, 106, "it still counts");
}

#[tokio::test(start_paused = true)]
async fn other_settings_hold_from_the_next_call_on() {
    let breaker = breaker(settings());
    fail(&breaker);
    breaker.configure(Some(Settings {
        failure_threshold: 2,
        reset_timeout: SECOND,
        ..settings()
    }));
    fail(&breaker);
    assert_eq!(breaker.is_out(), Some(SECOND));
}
