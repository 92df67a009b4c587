//! Whose turn it is to make a value that others wait for.
//!
//! | somebody wants the value of a key | then |
//! |---|---|
//! | nobody makes it | it is their turn |
//! | somebody does | they wait, or get the old value where there is one |
//!
//! | who has the turn | then |
//! |---|---|
//! | fills it | all who wait get the value; the key is free |
//! | fails | all who wait get the error; the key is free |
//! | leaves it | the key is free; one of those who wait has the turn |
//! | takes longer than [`PATIENCE`] | one of those who wait has the turn; a late value is given to all who wait all the same |
//!
//! Bounded by those who wait and those who have a turn: each is a call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use segue_runtime::HandlerError;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long one is waited for before the next one tries.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

type Made = Result<Bytes, HandlerError>;

/// What those who wait are told.
#[derive(Clone, Debug)]
enum Told {
    Nothing,
    /// There is an old value, while the new one is made.
    Old,
    Done(Made),
}

#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    numbers: u64,
    keys: HashMap<String, Making>,
}

#[derive(Debug)]
struct Making {
    number: u64,
    told: watch::Sender<Told>,
    since: Instant,
}

/// The turn to make the value of a key. Dropping it frees the key.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Arc<Turns>,
    pub(super) key: String,
    number: u64,
}

#[derive(Debug)]
pub(super) enum Taken {
    Mine(Turn),
    /// There is an old value, and another makes the new one.
    Old,
    /// What another made of it.
    Theirs(Made),
}

impl Turns {
    /// Waits for what another makes of the key, if one does. `old_will_do`: does not
    /// wait where there is an old value.
    pub(super) async fn take(self: &Arc<Turns>, key: &str, old_will_do: bool) -> Taken {
        loop {
            let (mut told, number, since) = match self.board(key) {
                Ok(mine) => return Taken::Mine(mine),
                Err(theirs) => theirs,
            };
            let is_news = |told: &Told| match told {
                Told::Nothing => false,
                Told::Old => old_will_do,
                Told::Done(_) => true,
            };
            let news = told.wait_for(|told| is_news(told));
            let news = tokio::time::timeout_at(since + PATIENCE, news).await;
            match news.map(|news| news.map(|told| Told::clone(&told))) {
                Ok(Ok(Told::Done(made))) => return Taken::Theirs(made),
                Ok(Ok(Told::Old)) => return Taken::Old,
                // Left without a word: somebody else's turn, perhaps mine.
                Ok(Ok(Told::Nothing) | Err(_)) => {}
                Err(_) => {
                    if let Some(mine) = self.take_over(key, number) {
                        return Taken::Mine(mine);
                    }
                }
            }
        }
    }

    fn board(self: &Arc<Turns>, key: &str) -> Result<Turn, (watch::Receiver<Told>, u64, Instant)> {
        let mut open = self.lock();
        match open.keys.get(key) {
            Some(making) => Err((making.told.subscribe(), making.number, making.since)),
            None => Ok(self.begin(&mut open, key, watch::Sender::new(Told::Nothing))),
        }
    }

    /// The turn of one that took too long, unless another has it already. Those who
    /// wait wait on.
    fn take_over(self: &Arc<Turns>, key: &str, number: u64) -> Option<Turn> {
        let mut open = self.lock();
        let told = match open.keys.get(key) {
            Some(making) if making.number == number => making.told.clone(),
            _ => return None,
        };
        Some(self.begin(&mut open, key, told))
    }

    fn begin(self: &Arc<Turns>, open: &mut Open, key: &str, told: watch::Sender<Told>) -> Turn {
        open.numbers += 1;
        let number = open.numbers;
        let since = Instant::now();
        open.keys.insert(key.to_owned(), Making { number, told, since });
        Turn {
            turns: Arc::clone(self),
            key: key.to_owned(),
            number,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Tells those who wait and who come that there is an old value.
    pub(super) fn tell_old(&self) {
        let open = self.turns.lock();
        if let Some(making) = open.keys.get(&self.key) {
            making.told.send_replace(Told::Old);
        }
    }

    /// Gives what came of it to all who wait, and frees the key, whoever has the
    /// turn by now.
    pub(super) fn done(self, made: Made) {
        let making = self.turns.lock().keys.remove(&self.key);
        if let Some(making) = making {
            making.told.send_replace(Told::Done(made));
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut open = self.turns.lock();
        if open
            .keys
            .get(&self.key)
            .is_some_and(|making| making.number == self.number)
        {
            open.keys.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests;
