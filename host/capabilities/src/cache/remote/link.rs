//! The connection to a Redis, and what is sent over it.
//!
//! Guarantees: there is one connection, which all share; it is made when it is needed
//! and made anew once anything on it has failed or was not waited for, since nobody
//! knows then whether it is still one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo as _, RedisError, Value};

use super::Away;
use crate::cache::settings::Redis;

/// What it takes at most, whatever its guard says.
const CONNECT: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(2);

/// A script of Redis's: what it does is one step.
pub(super) struct Script {
    code: &'static str,
    made: OnceLock<redis::Script>,
}

impl Script {
    pub(super) const fn new(code: &'static str) -> Script {
        Script {
            code,
            made: OnceLock::new(),
        }
    }

    fn get(&self) -> &redis::Script {
        self.made.get_or_init(|| redis::Script::new(self.code))
    }
}

/// A script with what it is about.
pub(super) struct Command {
    script: &'static Script,
    keys: Vec<String>,
    args: Vec<Vec<u8>>,
}

impl Command {
    pub(super) fn new(script: &'static Script) -> Command {
        Command {
            script,
            keys: Vec::new(),
            args: Vec::new(),
        }
    }

    pub(super) fn key(mut self, key: String) -> Command {
        self.keys.push(key);
        self
    }

    pub(super) fn arg(mut self, arg: impl Into<Vec<u8>>) -> Command {
        self.args.push(arg.into());
        self
    }
}

pub(super) struct Link {
    /// Or why there cannot be one.
    client: Result<Client, RedisError>,
    open: Mutex<Option<Open>>,
    /// Held by the one who connects.
    connecting: tokio::sync::Mutex<()>,
    numbers: AtomicU64,
}

#[derive(Clone)]
struct Open {
    number: u64,
    connection: MultiplexedConnection,
}

impl Link {
    pub(super) fn new(redis: &Redis) -> Link {
        Link {
            client: client(redis),
            open: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
            numbers: AtomicU64::new(0),
        }
    }

    pub(super) async fn run(&self, command: &Command) -> Result<Value, Away> {
        let failed = |error: RedisError| Away::Redis(error.to_string());
        let Open {
            number,
            mut connection,
        } = self.connection().await.map_err(failed)?;
        let mut proof = Proof {
            link: self,
            number,
            proven: false,
        };
        let mut invocation = command.script.get().prepare_invoke();
        command.keys.iter().for_each(|key| {
            invocation.key(key);
        });
        command.args.iter().for_each(|arg| {
            invocation.arg(arg.as_slice());
        });
        let answer = invocation.invoke_async(&mut connection).await;
        proof.proven = answer.is_ok();
        answer.map_err(failed)
    }

    async fn connection(&self) -> Result<Open, RedisError> {
        if let Some(open) = self.lock().clone() {
            return Ok(open);
        }
        let _connecting = self.connecting.lock().await;
        // Made while this one waited.
        if let Some(open) = self.lock().clone() {
            return Ok(open);
        }
        let client = self.client.as_ref().map_err(RedisError::clone)?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER));
        let connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        let open = Open {
            number: self.numbers.fetch_add(1, Ordering::Relaxed),
            connection,
        };
        *self.lock() = Some(open.clone());
        Ok(open)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn client(redis: &Redis) -> Result<Client, RedisError> {
    let info = redis.url.as_str().into_connection_info()?;
    let mut settings = info.redis_settings().clone();
    if let Some(username) = &redis.username {
        settings = settings.set_username(username);
    }
    if let Some(password) = &redis.password {
        settings = settings.set_password(password.expose());
    }
    Client::open(info.set_redis_settings(settings))
}

/// Lets go of the connection unless an answer came.
struct Proof<'l> {
    link: &'l Link,
    number: u64,
    proven: bool,
}

impl Drop for Proof<'_> {
    fn drop(&mut self) {
        let mut open = self.link.lock();
        if !self.proven && open.as_ref().is_some_and(|open| open.number == self.number) {
            *open = None;
        }
    }
}
