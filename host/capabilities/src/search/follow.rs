//! The task that keeps an index like its folder: it decides when to look, and
//! has the blocking pool do the looking.
//!
//! Events are followed at once. Without any (bind mounts and network filesystems
//! send none) everything is looked at again and again, every second while that
//! takes next to nothing, and otherwise so often that it takes a fiftieth of one
//! processor.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::inside::TICK;
use super::keep::Keeper;
use super::settings::Index;
use super::shared::Shared;
use super::watch::{Dirty, Looks};

/// How often a task of this kind does what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// The shortest time between two looks at everything.
    pub(super) rescan: Duration,
    /// The writer is closed when nothing changed for this long.
    pub(super) rest: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            rescan: Duration::from_secs(1),
            rest: Duration::from_secs(10),
        }
    }
}

/// A look at everything may take one part in so many of the time.
const SHARE: u32 = 50;
/// A file that never stops changing may take half of the time: a pass is
/// followed by a pause as long as itself, up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// After a failure inside the host, everything is read anew, but not at once.
const RETRY: Duration = Duration::from_secs(5);

/// Follows the folder until `stop`.
pub(super) async fn follow(follower: Follower) {
    let stop = follower.stop.clone();
    // A pass that was begun sees the token by itself.
    tokio::select! {
        () = stop.cancelled() => {}
        () = follower.run() => {}
    }
}

pub(super) struct Follower {
    pub(super) settings: Arc<Index>,
    pub(super) shared: Arc<Shared>,
    pub(super) pace: Pace,
    pub(super) runtime: Handle,
    pub(super) stop: CancellationToken,
}

impl Follower {
    async fn run(self) {
        let mut keeper = self.keeper();
        loop {
            let reason = self.keep(keeper).await;
            tracing::error!(
                index = self.shared.name,
                "the index failed inside the host ({reason}): it is made anew"
            );
            self.shared.status().read = false;
            sleep(RETRY).await;
            keeper = self.keeper();
            keeper.anew = true;
        }
    }

    fn keeper(&self) -> Keeper {
        Keeper::new(
            Arc::clone(&self.settings),
            Arc::clone(&self.shared),
            Arc::new(Dirty::default()),
            self.stop.clone(),
        )
    }

    /// Looks whenever there is a reason to. Ends only with a failure.
    async fn keep(&self, mut keeper: Keeper) -> String {
        let dirty = keeper.dirty();
        let mut all_at = Instant::now();
        let mut fresh_at = None;
        let mut pause_until = Instant::now();
        loop {
            let rest_at = keeper
                .idle_since()
                .map(|since| Instant::from_std(since) + self.pace.rest);
            let looks = tokio::select! {
                () = sleep_until(all_at) => Looks::all(),
                looks = after(pause_until, dirty.settled()) => looks,
                () = at(fresh_at) => {
                    fresh_at = None;
                    dirty.add(keeper.fresh());
                    continue;
                }
                () = at(rest_at) => Looks::default(),
            };
            let (all, began) = (looks.all, Instant::now());
            let work = self.runtime.spawn_blocking(move || {
                let done = match looks == Looks::default() {
                    true => keeper.rest().map(|()| Duration::ZERO),
                    false => keeper.pass(&looks),
                };
                (keeper, done)
            });
            let looking = match work.await {
                Ok((back, Ok(looking))) => {
                    keeper = back;
                    looking
                }
                Ok((_, Err(error))) => return error.to_string(),
                Err(error) => return error.to_string(),
            };
            let now = Instant::now();
            if all {
                all_at = now + self.pace.rescan.max(looking.saturating_mul(SHARE));
            }
            pause_until = now + (now - began).min(LONGEST_PAUSE);
            if fresh_at.is_none() && keeper.has_fresh() {
                fresh_at = Some(now + TICK);
            }
        }
    }
}

async fn after<T>(time: Instant, then: impl Future<Output = T>) -> T {
    sleep_until(time).await;
    then.await
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
