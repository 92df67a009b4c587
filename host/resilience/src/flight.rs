//! Single flight: of those who ask for the same at the same time, one does the
//! work, and all get what came of it.
//!
//! | somebody asks for a key | and | then |
//! |---|---|---|
//! | nobody works on it | | the work begins, in a task of its own |
//! | somebody does | | it waits for that work |
//! | the work has ended | | the next one to ask begins anew; nothing is kept here |
//!
//! | | then |
//! |---|---|
//! | nobody waits (`start`) | it runs to its end |
//! | one who waits leaves | the others notice nothing, also if it was the first |
//! | the last one leaves | the work is stopped, and the key is free |
//! | the work fails | all get the error; the key is free |
//! | the work panics | all get [`Lost`]; the key is free |
//!
//! What is under way is bounded by those who wait: each holds one key.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// The work broke off inside the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the work broke off")]
pub struct Lost;

/// What is under way, by key. A clone is the same.
#[derive(Debug)]
pub struct Flights<K, V> {
    flying: Arc<Mutex<HashMap<K, Flight<V>>>>,
    numbers: Arc<AtomicU64>,
    handle: Handle,
}

impl<K, V> Clone for Flights<K, V> {
    fn clone(&self) -> Self {
        Flights {
            flying: Arc::clone(&self.flying),
            numbers: Arc::clone(&self.numbers),
            handle: self.handle.clone(),
        }
    }
}

#[derive(Debug)]
struct Flight<V> {
    number: u64,
    result: watch::Receiver<Option<V>>,
    /// Held by those who wait.
    crew: Weak<Crew>,
}

/// Stops the work when the last one who waits has left.
#[derive(Debug, Default)]
struct Crew(OnceLock<AbortHandle>);

impl Drop for Crew {
    fn drop(&mut self) {
        if let Some(work) = self.0.get() {
            work.abort();
        }
    }
}

impl<K, V> Flights<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Work is done on `handle`.
    pub fn new(handle: Handle) -> Self {
        Flights {
            flying: Arc::default(),
            numbers: Arc::default(),
            handle,
        }
    }

    /// What comes of the work for `key`: somebody's who is at it, or that of
    /// `work`. Says which.
    pub async fn join<F>(&self, key: K, work: impl FnOnce() -> F) -> (Result<V, Lost>, Role)
    where
        F: Future<Output = V> + Send + 'static,
    {
        let (mut result, crew, role) = self.board(key, work);
        let landed = result.wait_for(Option::is_some).await;
        let value = landed.ok().and_then(|value| value.clone()).ok_or(Lost);
        drop(crew);
        (value, role)
    }

    /// Begins `work` for `key` unless somebody is at it, and does not wait for it.
    pub fn start<F>(&self, key: K, work: impl FnOnce() -> F)
    where
        F: Future<Output = V> + Send + 'static,
    {
        let (mut result, crew, role) = self.board(key, work);
        if role == Role::Led {
            self.handle.spawn(async move {
                let _ = result.wait_for(Option::is_some).await;
                drop(crew);
            });
        }
    }

    /// Neither `work` is called nor its task spawned under the lock: the runtime may
    /// be ending, and drop the task where it stands.
    fn board<F>(&self, key: K, work: impl FnOnce() -> F) -> (watch::Receiver<Option<V>>, Arc<Crew>, Role)
    where
        F: Future<Output = V> + Send + 'static,
    {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (sender, result) = watch::channel(None);
        let crew = Arc::<Crew>::default();
        {
            let mut flying = self.lock();
            if let Some(flight) = flying.get(&key)
                && let Some(crew) = flight.crew.upgrade()
            {
                return (flight.result.clone(), crew, Role::Joined);
            }
            let flight = Flight {
                number,
                result: result.clone(),
                crew: Arc::downgrade(&crew),
            };
            flying.insert(key.clone(), flight);
        }
        let landing = Landing {
            flights: self.clone(),
            key,
            number,
        };
        let work = work();
        let task = self.handle.spawn(async move {
            let value = work.await;
            // Whoever asks from now on begins anew.
            drop(landing);
            let _ = sender.send(Some(value));
        });
        let _ = crew.0.set(task.abort_handle());
        (result, crew, Role::Led)
    }

    /// Keys that are worked on.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K, V> Flights<K, V> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, Flight<V>>> {
        self.flying.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who did the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Led,
    Joined,
}

/// Frees the key when the work ends, however it does.
struct Landing<K: Eq + Hash, V> {
    flights: Flights<K, V>,
    key: K,
    number: u64,
}

impl<K: Eq + Hash, V> Drop for Landing<K, V> {
    fn drop(&mut self) {
        let mut flying = self.flights.lock();
        if flying
            .get(&self.key)
            .is_some_and(|flight| flight.number == self.number)
        {
            flying.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::sync::Notify;

    use super::*;

    type Result_ = Result<u32, String>;

    fn flights() -> Flights<&'static str, Result_> {
        Flights::new(Handle::current())
    }

    async fn settle() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    // B6
    #[tokio::test]
    async fn a_thousand_who_ask_at_once_cost_one_piece_of_work_and_get_the_same() {
        let (flights, work) = (flights(), Arc::new(AtomicUsize::new(0)));
        let gate = Arc::new(Notify::new());
        let mut waiting = Vec::new();
        for _ in 0..1_000 {
            let (flights, work, gate) = (flights.clone(), Arc::clone(&work), Arc::clone(&gate));
            waiting.push(tokio::spawn(async move {
                flights
                    .join("k", || async move {
                        work.fetch_add(1, Ordering::Relaxed);
                        gate.notified().await;
                        Ok(7)
                    })
                    .await
            }));
        }
        settle().await;
        gate.notify_one();
        let mut led = 0;
        for each in waiting {
            let (result, role) = each.await.unwrap();
            assert_eq!(result, Ok(Ok(7)));
            led += usize::from(role == Role::Led);
        }
        assert_eq!((led, work.load(Ordering::Relaxed)), (1, 1));
        assert!(flights.is_empty());
        let (result, role) = flights.join("k", || async { Ok(8) }).await;
        assert_eq!((result, role), (Ok(Ok(8)), Role::Led), "nothing is kept");
    }

    #[tokio::test]
    async fn who_leaves_hurts_nobody_even_if_it_was_the_first() {
        let flights = flights();
        let gate = Arc::new(Notify::new());
        let (first_flights, first_gate) = (flights.clone(), Arc::clone(&gate));
        let first = tokio::spawn(async move {
            let work = || async move {
                first_gate.notified().await;
                Ok(1)
            };
            first_flights.join("k", work).await
        });
        settle().await;
        let second_flights = flights.clone();
        let second = tokio::spawn(async move { second_flights.join("k", || async { Ok(2) }).await });
        settle().await;
        first.abort();
        let _ = first.await;
        gate.notify_one();
        assert_eq!(second.await.unwrap(), (Ok(Ok(1)), Role::Joined));
    }

    #[tokio::test]
    async fn when_the_last_one_leaves_the_work_stops_and_the_key_is_free() {
        let flights = flights();
        let (dropped, told) = tokio::sync::oneshot::channel::<()>();
        let alone = flights.clone();
        let task = tokio::spawn(async move {
            let work = || async move {
                let _dropped = dropped;
                std::future::pending::<Result_>().await
            };
            alone.join("k", work).await
        });
        settle().await;
        assert_eq!(flights.len(), 1);
        task.abort();
        let _ = task.await;
        told.await.unwrap_err();
        settle().await;
        assert!(flights.is_empty());
        assert_eq!(flights.join("k", || async { Ok(3) }).await.0, Ok(Ok(3)));
    }

    #[tokio::test]
    async fn what_is_started_runs_once_and_to_its_end_with_nobody_waiting() {
        let (flights, work) = (flights(), Arc::new(AtomicUsize::new(0)));
        let gate = Arc::new(Notify::new());
        for _ in 0..10 {
            let (work, gate) = (Arc::clone(&work), Arc::clone(&gate));
            flights.start("k", || async move {
                gate.notified().await;
                work.fetch_add(1, Ordering::Relaxed);
                Ok(1)
            });
        }
        settle().await;
        gate.notify_one();
        settle().await;
        assert_eq!(work.load(Ordering::Relaxed), 1);
        assert!(flights.is_empty());
    }

    /// A runtime that has ended drops what it is given at once: that must find the
    /// lock free.
    #[test]
    fn on_a_runtime_that_has_ended_the_key_is_free_and_the_work_lost() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let flights = Flights::<&str, Result_>::new(runtime.handle().clone());
        runtime.shutdown_background();
        let waiting = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let result = waiting.block_on(flights.join("k", || async { Ok(1) }));
        assert_eq!(result.0, Err(Lost));
        assert!(flights.is_empty());
    }

    #[tokio::test]
    async fn an_error_is_everybodys_and_is_not_kept() {
        let flights = flights();
        let failed = flights.join("k", || async { Err("no".to_owned()) }).await;
        assert_eq!(failed.0, Ok(Err("no".to_owned())));
        assert_eq!(flights.join("k", || async { Ok(1) }).await.0, Ok(Ok(1)));
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_frees_the_key() {
        let flights = flights();
        let panicked = flights.join("k", || async { panic!("on purpose") }).await;
        assert_eq!(panicked.0, Err(Lost));
        assert!(flights.is_empty());
    }
}
