//! Answers that are given again.
//!
//! Guarantees: an answer is kept only once it has come to its end, well; one that
//! broke off, or that nobody read to its end, is not. It is given again to the same
//! plugin alone, for the same model under the same settings, asked the same with the
//! same words before it; and only where the model was asked to be predictable
//! (temperature 0), unless the operator says that any answer will do. It comes in the
//! pieces that it came in first, and costs nothing.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::prompt::Prompt;
use super::settings::Model;
use crate::cache::{Cache, Owner, Place};

/// What an operator says of a model's answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remember {
    /// The `[cache.NAME]`.
    pub cache: String,
    /// Also those that another time would be others.
    pub varied: bool,
}

/// Where the answers of one model are kept.
pub(super) struct Answers {
    cache: Arc<Cache>,
    /// Stands for the model and its settings.
    settings: String,
    /// What it is asked with if a plugin says nothing is temperature 0.
    predictable: bool,
    varied: bool,
}

impl Answers {
    pub(super) fn new(cache: Arc<Cache>, model: &Model, varied: bool) -> Answers {
        let zero = |temperature: Option<f32>| temperature == Some(0.0);
        Answers {
            cache,
            settings: digest(&[&format!("{model:?}")]),
            predictable: match model {
                Model::Offline => true,
                Model::OpenAi(server) => zero(server.temperature),
                Model::Targets(targets) => {
                    let mut servers = targets.targets.values();
                    servers.all(|target| zero(target.server.temperature))
                }
            },
            varied,
        }
    }

    /// Where the answer to this belongs, if it may be kept.
    pub(super) fn place(&self, plugin: &str, model: &str, prompt: &Prompt) -> Option<Place> {
        let predictable = prompt.temperature.map_or(self.predictable, |asked| asked == 0.0);
        if !predictable && !self.varied {
            return None;
        }
        let scope = format!("llm.{model}");
        let owner = Owner::new(plugin, &scope);
        let asked = digest(&[&self.settings, &format!("{prompt:?}")]);
        Some(Place::new(&self.cache, &owner, &["answer", &asked], vec![scope]))
    }
}

fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().fold(String::new(), |mut digits, byte| {
        // Writing into a string does not fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

/// The pieces of a kept answer; `None` for what is none.
pub(super) fn read(kept: &Bytes) -> Option<Vec<String>> {
    serde_json::from_slice(kept).ok()
}

/// An answer that comes, as far as it has come.
pub(super) struct Keeping {
    /// Taken at the end, or once there is no keeping it.
    place: Option<Place>,
    pieces: Vec<String>,
    bytes: usize,
}

impl Keeping {
    pub(super) fn new(place: Place) -> Keeping {
        Keeping {
            place: Some(place),
            pieces: Vec::new(),
            bytes: 0,
        }
    }

    pub(super) fn piece(&mut self, piece: &str) {
        let Some(place) = &self.place else { return };
        self.bytes += piece.len();
        if self.bytes > place.max_value() {
            *self = Keeping {
                place: None,
                pieces: Vec::new(),
                bytes: 0,
            };
            return;
        }
        self.pieces.push(piece.to_owned());
    }

    /// It has come to its end, well.
    pub(super) fn ended(mut self) {
        let whole = serde_json::to_vec(&self.pieces);
        if let (Some(place), Ok(whole), false) = (self.place.take(), whole, self.pieces.is_empty()) {
            place.keep(whole.into());
        }
    }
}
