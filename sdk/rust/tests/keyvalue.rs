//! Guards that a bucket of a native test keeps values as the host's do: bounds,
//! pages, batches and numbers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use segue_sdk::keyvalue::{self, Bucket};
use segue_sdk::prelude::*;
use segue_sdk::test::{Call, FakeBucket, call};

fn run(bucket: &FakeBucket, handler: impl FnOnce(Bucket) -> Result<()>) {
    let run = Call::text("").bucket("notes", bucket.clone()).run(|_, reply| {
        handler(keyvalue::open("notes")?)?;
        reply.send("done")
    });
    assert!(run.result.is_ok(), "{:?}", run.result);
}

fn code<T>(result: Result<T>) -> String {
    result.map(drop).unwrap_err().code().to_owned()
}

#[test]
fn values_are_kept_found_and_removed() {
    let bucket = FakeBucket::new().with("a", "1");
    run(&bucket, |notes| {
        notes.set("b", [0, 255])?;
        assert_eq!(notes.get("b")?, Some(vec![0, 255]));
        assert!(notes.exists("a")? && !notes.exists("c")?);
        notes.set_many(&[("c", b"3"), ("d", b"4")])?;
        assert_eq!(
            notes.get_many(&["d", "none", "c"])?,
            [Some(b"4".to_vec()), None, Some(b"3".to_vec())]
        );
        notes.delete_many(&["a", "b", "none"])?;
        notes.delete("none")
    });
    assert_eq!(
        (bucket.value("a"), bucket.value("c")),
        (None, Some(b"3".to_vec()))
    );
}

#[test]
fn keys_come_page_after_page() {
    let bucket = (0..2500).fold(FakeBucket::new(), |bucket, n| bucket.with(&format!("{n:04}"), ""));
    run(&bucket, |notes| {
        let keys: Vec<String> = notes.keys().collect::<Result<_>>()?;
        assert_eq!(
            (keys.len(), keys[0].as_str(), keys[2499].as_str()),
            (2500, "0000", "2499")
        );
        Ok(())
    });
    run(&FakeBucket::new(), |notes| {
        assert_eq!(notes.keys().count(), 0);
        Ok(())
    });
}

#[test]
fn numbers_add_up_to_64_bits() {
    let bucket = FakeBucket::new().with("text", "seven");
    run(&bucket, |notes| {
        assert_eq!(notes.increment("n", 2)?, 2);
        assert_eq!(notes.increment("n", 3)?, 5);
        assert_eq!(code(notes.increment("n", u64::MAX)), Error::INVALID_ARGUMENT);
        assert_eq!(code(notes.increment("text", 1)), Error::INVALID_ARGUMENT);
        Ok(())
    });
    assert_eq!(bucket.value("n"), Some(5u64.to_le_bytes().to_vec()));
}

#[test]
fn keys_and_values_have_bounds_and_a_batch_is_all_or_nothing() {
    let bucket = FakeBucket::new();
    run(&bucket, |notes| {
        assert_eq!(code(notes.get("")), Error::INVALID_ARGUMENT);
        assert_eq!(code(notes.set(&"k".repeat(1025), "")), Error::INVALID_ARGUMENT);
        let long = vec![0; (1 << 20) + 1];
        assert_eq!(
            code(notes.set_many(&[("a", b"1"), ("b", &long)])),
            Error::INVALID_ARGUMENT
        );
        Ok(())
    });
    assert_eq!(bucket.value("a"), None);
}

#[test]
fn what_is_not_granted_is_denied_with_the_line_to_add() {
    let run = call(|_, _| keyvalue::open("notes").map(drop), "");
    let denied = run.result.unwrap_err();
    assert_eq!(denied.code(), Error::CAPABILITY_DENIED);
    assert!(denied.message().contains(r#"keyvalue = ["notes"]"#), "{denied}");
}
