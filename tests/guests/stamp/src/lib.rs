//! Answers `VERSION:WORD` for each word of the content, one chunk a word, so that
//! a reply mixed from two versions shows.
//!
//! VERSION is `setting("stamp")` where that is set. Otherwise it stands in the
//! 48 bytes that begin with [`MARKER`]: a test overwrites the rest of them in the
//! component's file and has a version of its own, without a compiler.

use std::hint::black_box;

use segue_sdk::prelude::*;

/// What a test looks for. The version follows it, up to the first dot.
const MARKER: &str = "segue-test-stamp";

static STAMP: [u8; 48] = *b"segue-test-stamporiginal........................";

#[handler]
fn stamp(message: Message, reply: &mut Reply) -> Result<()> {
    let version = match message.setting("stamp") {
        Some(version) => version,
        None => built_in()?,
    };
    for word in message.text().split_whitespace() {
        reply.send(format!("{version}:{word} "))?;
    }
    Ok(())
}

fn built_in() -> Result<String> {
    // Without the black box the optimiser would copy parts of the static into
    // the code, and overwriting it would not change them.
    let stamp = std::str::from_utf8(black_box(&STAMP))?;
    let version = stamp.strip_prefix(MARKER).unwrap_or(stamp);
    let (version, _dots) = version.split_once('.').unwrap_or((version, ""));
    Ok(version.to_string())
}

#[cfg(test)]
mod tests {
    use segue_sdk::test::{Call, call};

    #[test]
    fn each_chunk_carries_the_version() {
        let run = call(super::stamp, "one two");
        assert_eq!(run.chunks(), ["original:one ", "original:two "]);
        let run = Call::text("one").setting("stamp", "v7").run(super::stamp);
        assert_eq!(run.text(), "v7:one ");
    }
}
