//! Guards that a session of a native test keeps state as the host does: compare
//! and swap, bounds, and nothing without a session or a grant.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use segue_sdk::prelude::*;
use segue_sdk::session;
use segue_sdk::test::{Call, FakeState, call};

fn run(state: &FakeState, handler: impl FnOnce() -> Result<()>) {
    let run = Call::text("").state(state.clone()).run(|_, reply| {
        handler()?;
        reply.send("done")
    });
    assert!(run.result.is_ok(), "{:?}", run.result);
}

fn code<T>(result: Result<T>) -> String {
    result.map(drop).unwrap_err().code().to_owned()
}

#[test]
fn a_swap_wants_the_version_that_was_read() {
    let state = FakeState::new();
    run(&state, || {
        assert_eq!(session::get("k")?, None);
        let first = session::swap("k", Some(b"one"), None)?;
        assert_eq!(
            code(session::swap("k", Some(b"two"), None)),
            Error::STATE_CONFLICT
        );
        let second = session::swap("k", Some(b"two"), Some(first))?;
        assert_ne!(first, second);
        assert_eq!(code(session::swap("k", None, Some(first))), Error::STATE_CONFLICT);
        let entry = session::get("k")?.unwrap();
        assert_eq!((entry.value.as_slice(), entry.version), (&b"two"[..], second));
        assert_eq!(session::swap("k", None, Some(second))?, 0);
        // The key never had this version before.
        assert!(session::swap("k", Some(b"three"), None)? > second);
        Ok(())
    });
    assert_eq!(state.value("k"), Some(b"three".to_vec()));
}

#[test]
fn an_update_tries_again_and_gives_up_some_time() {
    let append = || {
        session::update("k", |kept| {
            let mut value = kept.unwrap_or_default().to_vec();
            value.push(b'x');
            Ok(Some(value))
        })
    };
    let state = FakeState::new().with("k", "a").with_rivals(9);
    run(&state, append);
    assert_eq!(state.value("k"), Some(b"ax".to_vec()));
    let state = FakeState::new().with_rivals(10);
    run(&state, || {
        assert_eq!(code(append()), Error::STATE_CONFLICT);
        session::update("other", |kept| Ok(kept.map(<[u8]>::to_vec)))?;
        append()?;
        session::update("k", |_| Ok(None))
    });
    assert_eq!(state.value("k"), None);
}

#[test]
fn state_has_bounds() {
    run(&FakeState::new(), || {
        for n in 0..64 {
            session::swap(&n.to_string(), Some(b""), None)?;
        }
        assert_eq!(
            code(session::swap("one more", Some(b""), None)),
            Error::STATE_FULL
        );
        let long = vec![0; (64 << 10) + 1];
        let version = session::get("0")?.map(|entry| entry.version);
        assert_eq!(code(session::swap("0", Some(&long), version)), Error::STATE_FULL);
        assert_eq!(code(session::get("")), Error::INVALID_ARGUMENT);
        assert_eq!(code(session::get(&"k".repeat(65))), Error::INVALID_ARGUMENT);
        Ok(())
    });
    run(&FakeState::new(), || {
        let most = vec![0; 64 << 10];
        for key in ["a", "b", "c"] {
            session::swap(key, Some(&most), None)?;
        }
        assert_eq!(code(session::swap("d", Some(&most), None)), Error::STATE_FULL);
        Ok(())
    });
}

#[test]
fn history_is_the_last_turns_the_oldest_first() {
    let turns = [("1", "one"), ("2", "two"), ("3", "three")];
    let run = Call::text("").history(turns).run(|_, reply| {
        let users: Vec<String> = session::history(2)?.into_iter().map(|turn| turn.user).collect();
        assert_eq!(session::history(9)?.len(), 3);
        assert!(session::history(0)?.is_empty());
        reply.send(users.join(","))
    });
    assert_eq!(run.text(), "2,3");
}

#[test]
fn without_a_grant_or_a_session_there_is_nothing() {
    let run = call(
        |_, reply| {
            let error = session::get("k").unwrap_err();
            assert!(error.message().contains(r#"session = ["state"]"#), "{error}");
            let error = session::history(1).unwrap_err();
            assert!(error.message().contains(r#"session = ["history"]"#), "{error}");
            reply.send("denied")
        },
        "",
    );
    assert_eq!(run.text(), "denied");
    let none: [(&str, &str); 0] = [];
    let raw = Call::text("").state(FakeState::new()).history(none).raw();
    let run = raw.run(|_, _| {
        assert_eq!(code(session::history(1)), Error::NO_SESSION);
        session::get("k").map(drop)
    });
    assert_eq!(run.result.unwrap_err().code(), Error::NO_SESSION);
}
