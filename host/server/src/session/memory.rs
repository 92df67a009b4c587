//! What plugins keep in a session and read of it: the conversation as
//! `segue:session` shows it.
//!
//! Gone with the session. Once it is erased nothing is kept any more and nothing
//! read, also by calls that have not ended yet.

use segue_capabilities::session::{Conversation, Entry, SessionError, Turn};

use super::exchange::{Exchange, reply_text};
use super::session::Session;

impl Conversation for Session {
    fn get(&self, plugin: &str, key: &str) -> Result<Option<Entry>, SessionError> {
        self.states(|states| states.get(plugin, key))
    }

    fn swap(
        &self,
        plugin: &str,
        key: &str,
        value: Option<Vec<u8>>,
        expected: Option<u64>,
    ) -> Result<u64, SessionError> {
        self.states(|states| states.swap(plugin, key, value, expected))
    }

    fn recent(&self, limit: usize) -> Vec<Turn> {
        if self.is_erased() {
            return Vec::new();
        }
        let exchanges = self.exchanges();
        let finished = exchanges.iter().rev().filter(|exchange| exchange.is_finished());
        let mut turns: Vec<Turn> = finished.take(limit).map(|exchange| turn(exchange)).collect();
        turns.reverse();
        turns
    }
}

fn turn(exchange: &Exchange) -> Turn {
    Turn {
        id: exchange.id.to_string(),
        user: exchange.message.content.clone(),
        reply: reply_text(&exchange.record().parts),
    }
}

#[cfg(test)]
mod tests;
