//! One test for each row of the tables.

use tokio::task::JoinHandle;

use super::*;

fn turns() -> Arc<Turns> {
    Arc::default()
}

async fn mine(turns: &Arc<Turns>) -> Turn {
    match turns.take("k", true).await {
        Taken::Mine(turn) => turn,
        other => panic!("{other:?}"),
    }
}

fn waiting(turns: &Arc<Turns>) -> JoinHandle<Taken> {
    let turns = Arc::clone(turns);
    tokio::spawn(async move { turns.take("k", true).await })
}

async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

fn made() -> Made {
    Ok(Bytes::from_static(b"made"))
}

// B6
#[tokio::test(start_paused = true)]
async fn all_who_wait_get_what_one_has_made_or_why_not() {
    let why = HandlerError {
        code: "upstream_failed".to_owned(),
        ..HandlerError::default()
    };
    for came in [made(), Err(why)] {
        let turns = turns();
        let turn = mine(&turns).await;
        let all: Vec<_> = (0..1_000).map(|_| waiting(&turns)).collect();
        settle().await;
        turn.done(came.clone());
        for each in all {
            assert!(matches!(each.await.unwrap(), Taken::Theirs(got) if got == came));
        }
        drop(mine(&turns).await);
        assert!(turns.lock().keys.is_empty(), "nothing is kept here");
    }
}

#[tokio::test(start_paused = true)]
async fn who_leaves_gives_the_turn_to_one_of_those_who_wait() {
    let turns = turns();
    let turn = mine(&turns).await;
    let (first, second) = (waiting(&turns), waiting(&turns));
    settle().await;
    drop(turn);
    settle().await;
    assert_ne!(first.is_finished(), second.is_finished());
    let (next, other) = if first.is_finished() {
        (first, second)
    } else {
        (second, first)
    };
    match next.await.unwrap() {
        Taken::Mine(turn) => turn.done(made()),
        other => panic!("{other:?}"),
    }
    assert!(matches!(other.await.unwrap(), Taken::Theirs(Ok(_))));
}

#[tokio::test(start_paused = true)]
async fn who_takes_too_long_loses_the_turn_and_may_still_fill_it() {
    let turns = turns();
    let slow = mine(&turns).await;
    let all: Vec<_> = (0..10).map(|_| waiting(&turns)).collect();
    settle().await;
    tokio::time::advance(PATIENCE).await;
    settle().await;
    let finished = all.iter().filter(|each| each.is_finished()).count();
    assert_eq!(finished, 1, "one has the turn, the others wait for it");
    slow.done(made());
    let (mut turned, mut told) = (0, 0);
    for each in all {
        match each.await.unwrap() {
            Taken::Mine(_) => turned += 1,
            Taken::Theirs(made) => told += usize::from(made.is_ok()),
            Taken::Old => panic!("there is none"),
        }
    }
    assert_eq!((turned, told), (1, 9));
    assert!(turns.lock().keys.is_empty());
}

#[tokio::test(start_paused = true)]
async fn where_there_is_an_old_value_nobody_waits() {
    let turns = turns();
    let turn = mine(&turns).await;
    let waits = waiting(&turns);
    settle().await;
    turn.tell_old();
    for each in [waits, waiting(&turns)] {
        assert!(matches!(each.await.unwrap(), Taken::Old));
    }
}
