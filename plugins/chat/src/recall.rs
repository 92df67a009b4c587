//! What was said before.

use segue_sdk::prelude::*;
use segue_sdk::session::{self, Turn};

/// The most text of earlier turns that a model is shown. The latest count most.
const MAX_BYTES: usize = 48 << 10;

/// The last turns, at most `most`, the oldest first. None where there is no
/// history to read: a conversation without memory is still one.
pub(crate) fn turns(most: u32) -> Result<Vec<Turn>> {
    if most == 0 {
        return Ok(Vec::new());
    }
    let turns = match session::history(most) {
        Ok(turns) => turns,
        Err(error) if [Error::CAPABILITY_DENIED, Error::NO_SESSION].contains(&error.code()) => {
            log::info!("without memory: {}", error.message());
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    // Of a turn that failed before its first word there is nothing to show.
    let turns: Vec<Turn> = turns.into_iter().filter(|turn| !turn.reply.is_empty()).collect();
    let mut bytes = 0;
    let fitting = turns.iter().rev().take_while(|turn| {
        bytes += turn.user.len() + turn.reply.len();
        bytes <= MAX_BYTES
    });
    let skipped = turns.len() - fitting.count();
    Ok(turns.into_iter().skip(skipped).collect())
}
