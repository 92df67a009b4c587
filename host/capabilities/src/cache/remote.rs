//! The entries of one cache in a Redis that several hosts share.
//!
//! Guarantees: what it does is bounded in time by its guard; no failure of Redis is
//! more than a miss; what was invalidated is not given out again, also if the
//! invalidation could not be made at once; garbage is a miss.
//!
//! | key | holds | lives |
//! |---|---|---|
//! | `P:k:DIGEST` | an entry: format, tags with their tokens, checksum, value | as long as the entry |
//! | | or, after a deletion, a token that keeps out what was being made | 10 minutes |
//! | `P:t:DIGEST` | the token of a tag | as long as an entry made last |
//! | `P:era` | a token that each invalidation changes | for good |
//!
//! `P` is `segue:1:{NAME}:LIFE`: the format, the cache, how long its entries live, so
//! that hosts of different words share nothing. An entry holds the tokens that its
//! tags had. Whoever takes out a tag deletes its token, and all entries of before are
//! stale in one step, however many there are and whichever host made them; a token
//! that Redis lost does the same. There are no lists of keys that grow and that
//! somebody would have to tidy up. The time of an entry is Redis's own, so the clocks
//! of hosts do not matter.
//!
//! | Redis | then |
//! |---|---|
//! | answers | it is asked, and nothing is kept in this host's memory |
//! | fails, or its breaker is open | this host's memory answers, and keeps what is made |
//! | could not be told of an invalidation | all entries are taken out as soon as it answers |
//! | answers again | the memory of meanwhile is forgotten |

mod link;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use redis::Value;
use segue_resilience::{Guard, Judged, Refused, Repeat, Verdict};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;

use super::settings;
use link::{Command, Link, Script};

static LOOK: Script = Script::new(include_str!("remote/look.lua"));
static KEEP: Script = Script::new(include_str!("remote/keep.lua"));
static REMOVE: Script = Script::new(include_str!("remote/remove.lua"));
static UNTAG: Script = Script::new(include_str!("remote/untag.lua"));

/// How long a deletion keeps out what was being made meanwhile.
const TOMB: Duration = Duration::from_secs(600);
/// How soon it is tried again to make up for an invalidation.
const AGAIN: Duration = Duration::from_secs(1);
/// The tag of every entry.
const EVERYTHING: &str = "*";

pub(super) struct Remote {
    name: String,
    prefix: String,
    /// How long a tag's token lives at least.
    life: Duration,
    max_value: usize,
    link: Arc<Link>,
    guard: Arc<Guard>,
    handle: Handle,
    /// The last time that it was asked it did not answer.
    away: AtomicBool,
    /// An invalidation could not be made.
    missed: AtomicBool,
    /// What was asked of it and not answered.
    unanswered: AtomicU64,
}

/// What a look has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) value: Bytes,
    pub(super) fresh: bool,
}

/// When the making of something began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    era: String,
    tomb: String,
}

/// It could not be asked.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Away {
    #[error("{0}")]
    Refused(Refused),
    #[error("{0}")]
    Redis(String),
    #[error("the work broke off")]
    Lost,
}

impl From<Refused> for Away {
    fn from(refused: Refused) -> Away {
        Away::Refused(refused)
    }
}

impl Judged for Away {
    fn verdict(&self) -> Verdict {
        match self {
            Away::Redis(_) => Verdict::Failure { repeat: Repeat::Soon },
            Away::Refused(_) | Away::Lost => Verdict::Neither,
        }
    }
}

impl Remote {
    pub(super) fn new(
        name: &str,
        settings: &settings::Cache,
        redis: &settings::Redis,
        guard: Arc<Guard>,
        handle: Handle,
    ) -> Arc<Remote> {
        let life = settings.ttl + settings.stale_for;
        Arc::new(Remote {
            name: name.to_owned(),
            prefix: format!("segue:1:{{{name}}}:{}", life.as_millis()),
            life,
            max_value: settings.max_value,
            link: Arc::new(Link::new(redis)),
            guard,
            handle,
            away: AtomicBool::new(false),
            missed: AtomicBool::new(false),
            unanswered: AtomicU64::new(0),
        })
    }

    /// Whether it did not answer the last time.
    pub(super) fn is_away(&self) -> bool {
        self.away.load(Ordering::Acquire)
    }

    pub(super) fn unanswered(&self) -> u64 {
        self.unanswered.load(Ordering::Relaxed)
    }

    /// What is under the key, and the mark to keep what is made in its place.
    pub(super) async fn look(&self, key: &str) -> Result<(Option<Found>, Mark), Away> {
        let most = i64::try_from(self.max_value).unwrap_or(i64::MAX);
        self.read(key, most).await
    }

    /// The mark alone.
    pub(super) async fn mark(&self, key: &str) -> Result<Mark, Away> {
        self.read(key, -1).await.map(|(_, mark)| mark)
    }

    async fn read(&self, key: &str, most: i64) -> Result<(Option<Found>, Mark), Away> {
        let command = self.command(&LOOK).key(self.entry(key)).key(self.era());
        let command = command.arg(self.tags()).arg(token()).arg(most.to_string());
        let told = self.ask(command).await?;
        let told: (i64, String, String, Vec<u8>, String) = redis::from_redis_value(told)
            .map_err(|error| Away::Redis(format!("the answer makes no sense: {error}")))?;
        let (state, era, tomb, value, sum) = told;
        let whole = state > 0 && checksum(key, &value) == sum;
        let found = whole.then(|| Found {
            value: value.into(),
            fresh: state == 1,
        });
        Ok((found, Mark { era, tomb }))
    }

    /// Keeps a value whose making began at `mark`; says whether it was kept.
    pub(super) async fn keep(
        &self,
        mark: &Mark,
        key: &str,
        value: &Bytes,
        tags: &[String],
        fresh: Duration,
        stale: Duration,
    ) -> Result<bool, Away> {
        let command = self.command(&KEEP).key(self.entry(key)).key(self.era());
        let command = command.arg(self.tags()).arg(token());
        let command = command.arg(mark.era.as_str()).arg(mark.tomb.as_str());
        let command = command.arg(ms(fresh + stale)).arg(ms(stale)).arg(ms(self.life));
        let command = command.arg(checksum(key, value)).arg(&value[..]);
        let tags = tags.iter().map(String::as_str).chain([EVERYTHING]);
        let command = tags.fold(command, |command, tag| command.arg(digest(tag)));
        self.ask(command).await.map(|kept| kept == Value::Int(1))
    }

    /// Takes out what is under the key.
    pub(super) async fn remove(self: &Arc<Remote>, key: &str) {
        let command = self.command(&REMOVE).key(self.entry(key));
        let removed = self.ask(command.arg(token()).arg(ms(TOMB))).await;
        self.made(removed);
    }

    /// Takes out what has this tag.
    pub(super) async fn remove_tagged(self: &Arc<Remote>, tag: &str) {
        let removed = self.ask(self.untag(tag)).await;
        self.made(removed);
    }

    /// Takes everything out.
    pub(super) async fn clear(self: &Arc<Remote>) {
        self.remove_tagged(EVERYTHING).await;
    }

    fn untag(&self, tag: &str) -> Command {
        let tag = format!("{}{}", self.tags(), digest(tag));
        self.command(&UNTAG).key(tag).key(self.era()).arg(token())
    }

    /// Notes an invalidation that could not be made, and has it made up for.
    fn made(self: &Arc<Remote>, made: Result<Value, Away>) {
        if made.is_ok() || self.missed.swap(true, Ordering::AcqRel) {
            return;
        }
        let remote = Arc::downgrade(self);
        self.handle.spawn(async move {
            while let Some(remote) = Weak::upgrade(&remote) {
                if remote.make_up().await.is_ok() {
                    return;
                }
                drop(remote);
                tokio::time::sleep(AGAIN).await;
            }
        });
    }

    /// Takes everything out if an invalidation was missed: which entries it was
    /// about is not remembered.
    async fn make_up(&self) -> Result<(), Away> {
        if self.missed.load(Ordering::Acquire) {
            self.call(self.untag(EVERYTHING)).await?;
            self.missed.store(false, Ordering::Release);
        }
        Ok(())
    }

    /// Asks, once what was missed has been made up for.
    async fn ask(&self, command: Command) -> Result<Value, Away> {
        let answer = match self.make_up().await {
            Ok(()) => self.call(command).await,
            Err(away) => Err(away),
        };
        if answer.is_err() {
            self.unanswered.fetch_add(1, Ordering::Relaxed);
        }
        let away = answer.is_err();
        if self.away.swap(away, Ordering::AcqRel) != away {
            match &answer {
                Err(error) => tracing::warn!(
                    cache = self.name,
                    %error,
                    "the cache's Redis does not answer: this host's memory stands in for it"
                ),
                Ok(_) => tracing::info!(cache = self.name, "the cache's Redis answers again"),
            }
        }
        answer
    }

    /// On the host's own threads, whoever waits for it.
    async fn call(&self, command: Command) -> Result<Value, Away> {
        let (guard, link, command) = (Arc::clone(&self.guard), Arc::clone(&self.link), Arc::new(command));
        let asking = async move {
            let attempt = |_| {
                let (link, command) = (Arc::clone(&link), Arc::clone(&command));
                async move { link.run(&command).await }
            };
            guard.run(None, true, attempt).await
        };
        self.handle.spawn(asking).await.unwrap_or(Err(Away::Lost))
    }

    fn command(&self, script: &'static Script) -> Command {
        Command::new(script)
    }

    fn entry(&self, key: &str) -> String {
        format!("{}:k:{}", self.prefix, digest(key))
    }

    fn era(&self) -> String {
        format!("{}:era", self.prefix)
    }

    /// What the digest of a tag is added to.
    fn tags(&self) -> String {
        format!("{}:t:", self.prefix)
    }
}

fn ms(time: Duration) -> String {
    time.as_millis().max(1).to_string()
}

/// Differs each time.
fn token() -> String {
    let (a, b) = (
        getrandom::u64().unwrap_or_default(),
        getrandom::u64().unwrap_or_default(),
    );
    format!("{a:016x}{b:016x}")
}

/// Stands for a key or a tag: whatever is in them, it is short and tells nothing.
fn digest(text: &str) -> String {
    hex(&Sha256::digest(text))
}

fn checksum(key: &str, value: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(key.len().to_le_bytes());
    hash.update(key);
    hash.update(value);
    hex(&hash.finalize())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    digits.collect()
}

#[cfg(test)]
mod tests;
