//! What documents an index has. This is the truth: whatever the full-text index
//! finds counts only if its document stands here, under the number it was
//! indexed by. So one write makes a document appear, change or vanish for all
//! searches at once, those under way included.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::document::{Heading, Passage};

/// One version of one document, without its text.
#[derive(Debug)]
pub(super) struct Document {
    /// Never given twice.
    pub(super) number: u64,
    /// Within the folder, with `/`.
    pub(super) path: Arc<str>,
    /// Empty when the document has none.
    pub(super) title: Box<str>,
    /// Whether the text is the file, byte for byte.
    pub(super) verbatim: bool,
    pub(super) headings: Box<[Heading]>,
    pub(super) passages: Box<[Passage]>,
    /// The length of the text.
    pub(super) bytes: u64,
}

impl Document {
    pub(super) fn title(&self) -> &str {
        if self.title.is_empty() {
            &self.path
        } else {
            &self.title
        }
    }

    /// The headings above a passage, the outermost first.
    pub(super) fn headings_of(&self, passage: &Passage) -> Vec<&str> {
        let mut path = Vec::new();
        let mut at = passage.heading;
        while let Some(heading) = at.and_then(|number| self.headings.get(number as usize)) {
            path.push(&*heading.text);
            at = heading.above;
        }
        path.reverse();
        path
    }
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) documents: usize,
    pub(super) passages: usize,
    pub(super) bytes: u64,
}

/// The documents of one index.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    inner: RwLock<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: Arc<PathBuf>,
    by_number: HashMap<u64, Arc<Document>>,
    by_path: HashMap<Arc<str>, u64>,
    count: Count,
    /// Another number with each change.
    revision: u64,
}

/// Revisions, over all shelves of the process: a shelf that takes the place of
/// another never has one that the other had. They begin anywhere: a cache may outlive
/// the process or be shared with others, whose documents are not these.
static REVISIONS: LazyLock<AtomicU64> =
    LazyLock::new(|| AtomicU64::new(getrandom::u64().unwrap_or_default()));

fn revision() -> u64 {
    REVISIONS.fetch_add(1, Ordering::Relaxed)
}

impl Default for Inner {
    fn default() -> Inner {
        Inner {
            root: Arc::default(),
            by_number: HashMap::new(),
            by_path: HashMap::new(),
            count: Count::default(),
            revision: revision(),
        }
    }
}

impl Shelf {
    /// The folder, with every link resolved.
    pub(super) fn root(&self) -> Arc<PathBuf> {
        Arc::clone(&self.read().root)
    }

    pub(super) fn set_root(&self, root: &Path) {
        self.write().root = Arc::new(root.to_owned());
    }

    pub(super) fn count(&self) -> Count {
        self.read().count
    }

    /// Which state this is: another number after each change.
    pub(super) fn revision(&self) -> u64 {
        self.read().revision
    }

    pub(super) fn by_number(&self, number: u64) -> Option<Arc<Document>> {
        self.read().by_number.get(&number).cloned()
    }

    pub(super) fn by_path(&self, path: &str) -> Option<Arc<Document>> {
        let inner = self.read();
        inner.by_number.get(inner.by_path.get(path)?).cloned()
    }

    /// Puts these in the place of what their paths held.
    pub(super) fn put(&self, documents: impl IntoIterator<Item = Arc<Document>>) {
        let mut inner = self.write();
        for document in documents {
            inner.revision = revision();
            inner.take(&document.path);
            inner.count.documents += 1;
            inner.count.passages += document.passages.len();
            inner.count.bytes += document.bytes;
            inner.by_path.insert(Arc::clone(&document.path), document.number);
            inner.by_number.insert(document.number, document);
        }
    }

    /// Takes these away; the numbers of those that were there.
    pub(super) fn take<'a>(&self, paths: impl IntoIterator<Item = &'a str>) -> Vec<u64> {
        let mut inner = self.write();
        let taken: Vec<u64> = paths.into_iter().filter_map(|path| inner.take(path)).collect();
        if !taken.is_empty() {
            inner.revision = revision();
        }
        taken
    }

    pub(super) fn clear(&self) {
        let mut inner = self.write();
        *inner = Inner {
            root: Arc::clone(&inner.root),
            ..Inner::default()
        };
    }

    // What is written under the lock is whole at every step.
    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn take(&mut self, path: &str) -> Option<u64> {
        let number = self.by_path.remove(path)?;
        let document = self.by_number.remove(&number)?;
        self.count.documents -= 1;
        self.count.passages -= document.passages.len();
        self.count.bytes -= document.bytes;
        Some(number)
    }
}
