//! The capability with real folders, real events and real documents.

mod asking;
mod changes;
mod looking;
mod oddities;
mod real;
mod serving;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use segue_resilience::Guards;
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use super::follow::Pace;
use super::{Error, Hit, Index, Indexes, guest};
use crate::cache::Caches;

/// Where nothing is kept.
fn no_caches() -> Arc<Caches> {
    Caches::new(BTreeMap::new(), Guards::permissive(), Handle::current())
}

/// Longer than anything takes on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// Longer than any test: what is found under it was told by events alone.
const BY_EVENTS: Pace = Pace {
    rescan: Duration::from_secs(3600),
    rest: Duration::from_millis(200),
};

/// A folder, and the index `docs` of it.
struct Site {
    base: TempDir,
    indexes: Arc<Indexes>,
}

impl Site {
    /// The index of these files, read once.
    async fn new(files: &[(&str, &str)]) -> Site {
        Site::with(files, Pace::default(), |_| {}).await
    }

    async fn with(files: &[(&str, &str)], pace: Pace, set: impl FnOnce(&mut Index)) -> Site {
        let base = tempfile::tempdir().unwrap();
        let root = base.path().join("docs");
        fs::create_dir(&root).unwrap();
        for (path, text) in files {
            put(&root, path, text);
        }
        let mut index = Index::at(root);
        set(&mut index);
        let settings = BTreeMap::from([("docs".to_owned(), index)]);
        let indexes = Indexes::with_pace(
            settings,
            &no_caches(),
            Guards::permissive(),
            Handle::current(),
            pace,
        );
        let site = Site { base, indexes };
        site.until("it is read", || async { site.ready() }).await;
        site
    }

    fn root(&self) -> PathBuf {
        self.base.path().join("docs")
    }

    fn put(&self, path: &str, text: &str) {
        put(&self.root(), path, text);
    }

    fn ready(&self) -> bool {
        self.indexes.state().iter().all(|state| state.ready)
    }

    async fn ask(&self, text: &str) -> Vec<Hit> {
        ask(&self.indexes, text, 10).await.unwrap()
    }

    /// The documents that are found, the best first.
    async fn documents(&self, text: &str) -> Vec<String> {
        let hits = self.ask(text).await;
        for hit in &hits {
            self.check(hit);
        }
        hits.into_iter().map(|hit| hit.document).collect()
    }

    /// That a hit of Markdown or plain text stands where it says.
    fn check(&self, hit: &Hit) {
        if hit.document.ends_with(".md") {
            let text = fs::read_to_string(self.root().join(&hit.document)).unwrap();
            let start = usize::try_from(hit.offset).unwrap();
            assert_eq!(text.get(start..start + hit.text.len()), Some(hit.text.as_str()));
        }
    }

    /// Waits until exactly these documents, in order of name, are found by
    /// `text`.
    async fn finds(&self, text: &str, documents: &[&str]) {
        let what = format!("{text} is found in {documents:?}");
        self.until(&what, || async {
            let Ok(hits) = ask(&self.indexes, text, 50).await else {
                return false;
            };
            let mut found: Vec<String> = hits.into_iter().map(|hit| hit.document).collect();
            found.sort();
            found.dedup();
            found == documents
        })
        .await;
    }

    async fn until<F: Future<Output = bool>>(&self, what: &str, is: impl Fn() -> F) {
        let began = Instant::now();
        while !is().await {
            assert!(
                began.elapsed() < SOON,
                "not in time: {what}; {:?}",
                self.indexes.state()
            );
            sleep(Duration::from_millis(10)).await;
        }
    }
}

fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

async fn ask(indexes: &Indexes, text: &str, limit: usize) -> Result<Vec<Hit>, Error> {
    indexes.query("plugin", "docs", text, limit)?.read().await
}
