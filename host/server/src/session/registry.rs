//! All sessions of the host.
//!
//! At most `max_sessions`: past it sessions that nobody is connected to make
//! room, empty ones first, then those deserted longest; when there is none, the
//! newcomer is refused. A session that nobody has visited for `ttl` is
//! forgotten, at the latest an eighth of `ttl` (at most a minute) after it is
//! due.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use super::session::Session;

/// How many idempotency keys the host remembers for messages without a session.
const MAX_KEYS: usize = 10_000;

#[derive(Debug, Default)]
pub struct Sessions {
    all: Mutex<HashMap<Arc<str>, Arc<Session>>>,
    keys: Mutex<Keys>,
}

/// Which session a message went to that named an id but no session.
#[derive(Debug, Default)]
struct Keys {
    sessions: HashMap<String, Arc<str>>,
    order: VecDeque<String>,
}

/// The host holds as many sessions as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimit;

/// Lets go of a hundredth of the sessions, so that looking through all of them
/// is rare: deserted ones, first those nobody has said anything in, then those
/// deserted longest. Says how many went.
fn make_room(all: &mut HashMap<Arc<str>, Arc<Session>>) -> usize {
    let mut deserted: Vec<_> = all
        .values()
        .filter(|s| is_nobodys(s))
        .filter_map(|s| Some((s.message_count() > 0, s.deserted_since()?, s.id.clone())))
        .collect();
    deserted.sort_unstable();
    deserted.truncate(all.len() / 100 + 1);
    for (_, _, id) in &deserted {
        all.remove(id);
    }
    deserted.len()
}

/// A session as operators see it.
#[derive(Debug, Serialize)]
pub struct SessionStatus {
    pub session: Arc<str>,
    pub created_at_ms: u64,
    pub connected: bool,
    pub busy: bool,
    pub messages: usize,
    pub last_seq: u64,
    pub dropped: u64,
}

impl Sessions {
    fn all(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Session>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new session.
    pub fn open(&self, max_sessions: usize) -> Result<Arc<Session>, SessionLimit> {
        let session = Arc::new(Session::new(
            crate::ids::random().into(),
            crate::ids::random().into(),
        ));
        let mut all = self.all();
        if all.len() >= max_sessions && make_room(&mut all) == 0 {
            return Err(SessionLimit);
        }
        all.insert(session.id.clone(), session.clone());
        Ok(session)
    }

    pub fn get(&self, id: &str) -> Option<Arc<Session>> {
        self.all().get(id).cloned()
    }

    /// Finds the session of an earlier message with this key, or opens one.
    pub fn by_key(&self, key: &str, max_sessions: usize) -> Result<Arc<Session>, SessionLimit> {
        let mut keys = self.keys();
        if let Some(session) = keys.sessions.get(key).and_then(|id| self.get(id)) {
            return Ok(session);
        }
        let session = self.open(max_sessions)?;
        if keys.sessions.insert(key.to_owned(), session.id.clone()).is_none() {
            keys.order.push_back(key.to_owned());
        }
        if keys.order.len() > MAX_KEYS
            && let Some(oldest) = keys.order.pop_front()
        {
            keys.sessions.remove(&oldest);
        }
        Ok(session)
    }

    /// Erases a session everywhere. `false` if there is none.
    pub fn erase(&self, id: &str) -> bool {
        let Some(session) = self.all().remove(id) else {
            return false;
        };
        session.erase();
        true
    }

    /// Cancels whatever runs or waits, in every session.
    pub fn cancel_all(&self) {
        for session in self.snapshot() {
            session.cancel_all();
        }
    }

    pub fn len(&self) -> usize {
        self.all().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn snapshot(&self) -> Vec<Arc<Session>> {
        self.all().values().cloned().collect()
    }

    /// What operators see, newest first, at most `limit`.
    pub fn status(&self, limit: usize) -> Vec<SessionStatus> {
        let mut sessions = self.snapshot();
        sessions.sort_by_key(|s| std::cmp::Reverse(s.created_at));
        sessions.iter().take(limit).map(|s| s.status()).collect()
    }

    fn forget_deserted(&self, ttl: Duration) {
        let now = Instant::now();
        self.all().retain(|_, s| {
            if !is_nobodys(s) {
                return true;
            }
            s.deserted_since()
                .is_none_or(|since| now.duration_since(since) < ttl)
        });
    }

    /// Forgets deserted sessions until the host stops. `ttl` is read anew at
    /// each turn, since it can be changed while the host runs.
    pub async fn sweep(&self, ttl: impl Fn() -> Duration) {
        loop {
            let pause = (ttl() / 8).clamp(Duration::from_millis(100), Duration::from_secs(60));
            tokio::time::sleep(pause).await;
            self.forget_deserted(ttl());
        }
    }
}

/// Whether nobody but the registry holds it, whose lock the caller has. Who has
/// just found a session, and not yet said so to it, must not lose it.
fn is_nobodys(session: &Arc<Session>) -> bool {
    Arc::strong_count(session) == 1
}

impl Session {
    pub fn status(&self) -> SessionStatus {
        SessionStatus {
            session: self.id.clone(),
            created_at_ms: self
                .created_at
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
            connected: self.is_attached(),
            busy: !self.is_idle(),
            messages: self.message_count(),
            last_seq: self.outbox.last_seq(),
            dropped: self.outbox.dropped_total(),
        }
    }
}
