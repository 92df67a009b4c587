//! Which scan runs, which comes next, and who waits for one to be through.
//!
//! Scans run one at a time, and those that events ask for come at most once in a
//! settle time: a folder full of other business costs little.

use std::collections::BTreeSet;
use std::future::pending;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::scan::{self, Listing, Order};
use super::settle::{Settle, WRITE_WAIT};

/// Scans that callers may wait for at once; further ones wait in the queue.
const MAX_WAITERS: usize = 64;

pub(super) struct Scans {
    settle: Duration,
    running: Option<Running>,
    next: Option<Wanted>,
    last: Option<Instant>,
}

struct Running {
    job: JoinHandle<std::io::Result<Listing>>,
    at_once: bool,
    waiting: Vec<Done>,
}

struct Wanted {
    at: Instant,
    at_once: bool,
    waiting: Vec<Done>,
}

/// A scan that is over.
pub(super) struct Scanned {
    pub(super) listing: std::io::Result<Listing>,
    /// What it found may be read without waiting for quiet.
    pub(super) at_once: bool,
    pub(super) waiting: Vec<Done>,
}

/// Who waits for a scan to be through.
pub(super) enum Done {
    First(watch::Sender<bool>),
    Caller(oneshot::Sender<()>),
}

impl Done {
    fn tell(self) {
        // Whoever waited may have left.
        match self {
            Self::First(scanned) => drop(scanned.send(true)),
            Self::Caller(done) => drop(done.send(())),
        }
    }
}

impl Scans {
    pub(super) fn new(settle: Duration) -> Self {
        Self {
            settle,
            running: None,
            next: None,
            last: None,
        }
    }

    /// Asks for a scan at a time.
    pub(super) fn want(&mut self, at: Instant, at_once: bool, waiting: Option<Done>) {
        let wanted = self.next.get_or_insert_with(|| Wanted {
            at,
            at_once,
            waiting: Vec::new(),
        });
        wanted.at = wanted.at.min(at);
        wanted.at_once |= at_once;
        wanted.waiting.extend(waiting);
    }

    /// Asks for a scan now, or a settle time after the last one.
    pub(super) fn want_soon(&mut self, at_once: bool) {
        let now = Instant::now();
        let at = self.last.map_or(now, |last| now.max(last + self.settle));
        self.want(at, at_once, None);
    }

    /// When the next scan is to start; `None` while one runs.
    pub(super) fn next_at(&self) -> Option<Instant> {
        match (&self.running, &self.next) {
            (None, Some(wanted)) => Some(wanted.at),
            _ => None,
        }
    }

    /// Starts the scan that is wanted.
    pub(super) fn start(&mut self, order: Order) {
        if let Some(wanted) = self.next.take() {
            self.running = Some(Running {
                job: tokio::task::spawn_blocking(move || scan::scan(&order)),
                at_once: wanted.at_once,
                waiting: wanted.waiting,
            });
        }
    }

    /// Waits for the running scan; for ever, if there is none. Cancel-safe.
    pub(super) async fn over(&mut self) -> Scanned {
        let listing = match &mut self.running {
            Some(scan) => (&mut scan.job).await,
            None => pending().await,
        };
        self.last = Some(Instant::now());
        let (at_once, waiting) = match self.running.take() {
            Some(scan) => (scan.at_once, scan.waiting),
            None => (false, Vec::new()),
        };
        Scanned {
            listing: listing.unwrap_or_else(|error| Err(std::io::Error::other(error))),
            at_once,
            waiting,
        }
    }
}

/// Those whose scan is over while its pairs are being dealt with.
#[derive(Default)]
pub(super) struct Waiters(Vec<Waiter>);

struct Waiter {
    names: BTreeSet<String>,
    /// A pair that is still not quiet then is not waited for.
    until: Instant,
    done: Done,
}

impl Waiters {
    pub(super) fn have_room(&self) -> bool {
        self.0.len() < MAX_WAITERS
    }

    pub(super) fn add(&mut self, done: Done, names: impl Iterator<Item = String>, now: Instant) {
        self.0.push(Waiter {
            names: names.collect(),
            until: now + WRITE_WAIT,
            done,
        });
    }

    /// Tells those whose pairs are all dealt with.
    pub(super) fn tell(&mut self, settle: &Settle, now: Instant) {
        for mut waiter in std::mem::take(&mut self.0) {
            let until = waiter.until;
            waiter
                .names
                .retain(|name| settle.is_busy(name) || (settle.is_waiting(name) && now < until));
            if waiter.names.is_empty() {
                waiter.done.tell();
            } else {
                self.0.push(waiter);
            }
        }
    }
}
