//! One pair's way from the folder into the registry: read, then offered or
//! refused. Bounded in files read at once and in bytes held while they wait to
//! be compiled, so that a full folder does not fill the memory at start.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::look::PairLook;
use super::read::{self, Order, Outcome};
use crate::registry::{Candidate, Registry};
use crate::settings::Settings;

/// Pairs that are read at once.
const READS: usize = 2;
/// Bytes of components that may wait for the compiler, at least.
const HELD_BYTES: u64 = 256 << 20;
/// What they are counted in.
const UNIT_BYTES: u64 = 64 << 10;

/// What loads share.
pub(super) struct Loader {
    pub(super) settings: Arc<Settings>,
    pub(super) registry: Arc<Registry>,
    reads: Arc<Semaphore>,
    held: Arc<Semaphore>,
    held_units: u32,
}

/// How a load ended.
pub(super) enum Ended {
    Same(PairLook),
    Absent,
    FolderGone,
    Unquiet(PairLook),
    Empty,
    /// Offered or refused: the registry knows.
    Dealt {
        look: PairLook,
        content: Option<[u8; 32]>,
    },
}

impl Loader {
    pub(super) fn new(settings: Arc<Settings>, registry: Arc<Registry>) -> Self {
        let bytes = HELD_BYTES.max(settings.max_file_bytes);
        let held_units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
        Self {
            settings,
            registry,
            reads: Arc::new(Semaphore::new(READS)),
            held: Arc::new(Semaphore::new(held_units as usize)),
            held_units,
        }
    }

    /// Reads the pair and sees it through to the end of its load. Fails only if
    /// the reader itself failed.
    pub(super) async fn load(&self, order: Order) -> Result<Ended, tokio::task::JoinError> {
        // Never closed, so never an error; without a permit the bound is off.
        let permit = Arc::clone(&self.reads).acquire_owned().await.ok();
        let settings = self.registry.with_ceiling(&self.settings);
        let name = order.name.clone();
        let outcome = tokio::task::spawn_blocking(move || read::read(&order, &settings)).await?;
        Ok(match outcome {
            Outcome::Same(look) => Ended::Same(look),
            Outcome::Absent => Ended::Absent,
            Outcome::FolderGone => Ended::FolderGone,
            Outcome::Unquiet(look) => Ended::Unquiet(look),
            Outcome::Empty => Ended::Empty,
            Outcome::Refused {
                look,
                content,
                error,
                digest,
            } => {
                self.registry.refuse(&name, error, digest);
                Ended::Dealt { look, content }
            }
            Outcome::Read {
                look,
                content,
                wasm,
                sidecar,
            } => {
                let _held = self.hold(wasm.len() as u64).await;
                drop(permit);
                self.registry.offer(Candidate { name, wasm, sidecar }).await;
                Ended::Dealt {
                    look,
                    content: Some(content),
                }
            }
        })
    }

    async fn hold(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
        Arc::clone(&self.held)
            .acquire_many_owned(units.min(self.held_units))
            .await
            .ok()
    }
}
