//! Gives out the words of passages, from the files as they are now.
//!
//! The index keeps no text, so nothing it quotes can be older than the file:
//! what is given out stands there, word for word, at its offset, at the moment
//! it is read. Of a file that is gone or leads out of the folder nothing is
//! given out, of one that changed only what still stands where it stood.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::document::{self, Kind, Passage};
use super::inside::{self, Stamp};
use super::shelf::Document;

/// Texts that are not their files (of HTML, mostly) and were asked for last.
const MAX_CACHED_BYTES: usize = 16 << 20;

#[derive(Debug, Default)]
pub(super) struct Texts {
    cached: Mutex<VecDeque<Cached>>,
}

#[derive(Clone, Debug)]
struct Cached {
    number: u64,
    stamp: Stamp,
    text: Arc<str>,
}

impl Texts {
    /// The words of some passages of one document, each `None` if they do not
    /// stand there any more. `max_file` bounds what is read.
    pub(super) fn quote(
        &self,
        root: &Path,
        document: &Document,
        passages: &[usize],
        max_file: u64,
    ) -> Vec<Option<String>> {
        let words = |passage: &usize, read: &dyn Fn(&Passage) -> Option<String>| {
            let passage = document.passages.get(*passage)?;
            read(passage).filter(|words| document::hash(words) == passage.hash)
        };
        let none = || passages.iter().map(|_| None).collect();
        let Ok((file, stamp)) = inside::open(root, &document.path) else {
            return none();
        };
        if document.verbatim {
            let read = |passage: &Passage| slice(&file, passage);
            return passages.iter().map(|passage| words(passage, &read)).collect();
        }
        let Some(text) = self.rendered(root, document, stamp, max_file) else {
            return none();
        };
        let read = |passage: &Passage| {
            let start = passage.offset as usize;
            let text = text.get(start..start.checked_add(passage.len as usize)?)?;
            Some(text.to_owned())
        };
        passages.iter().map(|passage| words(passage, &read)).collect()
    }

    fn rendered(&self, root: &Path, document: &Document, now: Stamp, max_file: u64) -> Option<Arc<str>> {
        let is_this = |cached: &Cached| cached.number == document.number && cached.stamp == now;
        let mut cached = self.lock();
        if let Some(at) = cached.iter().position(is_this)
            && let Some(found) = cached.remove(at)
        {
            let text = Arc::clone(&found.text);
            cached.push_back(found);
            return Some(text);
        }
        drop(cached);
        let (bytes, stamp) = inside::read(root, &document.path, max_file).ok()?;
        let text = document::text(Kind::of(&document.path), bytes).ok()?;
        let text: Arc<str> = text.text.into();
        self.keep(Cached {
            number: document.number,
            stamp,
            text: Arc::clone(&text),
        });
        Some(text)
    }

    fn keep(&self, new: Cached) {
        let mut cached = self.lock();
        cached.retain(|other| other.number != new.number);
        cached.push_back(new);
        let mut bytes: usize = cached.iter().map(|cached| cached.text.len()).sum();
        while bytes > MAX_CACHED_BYTES
            && let Some(oldest) = cached.pop_front()
        {
            bytes -= oldest.text.len();
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Cached>> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn slice(file: &File, passage: &Passage) -> Option<String> {
    let mut bytes = vec![0; passage.len as usize];
    file.read_exact_at(&mut bytes, u64::from(passage.offset)).ok()?;
    String::from_utf8(bytes).ok()
}
