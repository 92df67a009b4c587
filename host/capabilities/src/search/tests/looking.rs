//! One look after the other, without events: what a bind mount or a network
//! filesystem leaves, where nobody tells of changes.

use std::sync::atomic::Ordering;

use tokio_util::sync::CancellationToken;

use super::super::find::search;
use super::super::keep::Keeper;
use super::super::library::Library;
use super::super::shared::Shared;
use super::super::store::Store;
use super::super::watch::{Dirty, Looks};
use super::*;

/// An index that is only brought up to date when it is told to.
struct Desk {
    base: TempDir,
    shared: Arc<Shared>,
    keeper: Keeper,
    dirty: Arc<Dirty>,
    stop: CancellationToken,
}

impl Desk {
    fn new(files: &[(&str, &str)]) -> Desk {
        let base = tempfile::tempdir().unwrap();
        for (path, text) in files {
            put(base.path(), path, text);
        }
        let shared = Arc::new(Shared::new("docs", Store::new().unwrap()));
        let dirty = Arc::new(Dirty::default());
        let stop = CancellationToken::new();
        let settings = Arc::new(Index::at(base.path().to_owned()));
        let keeper = Keeper::new(settings, Arc::clone(&shared), Arc::clone(&dirty), stop.clone());
        Desk {
            base,
            shared,
            keeper,
            dirty,
            stop,
        }
    }

    fn put(&self, path: &str, text: &str) {
        put(self.base.path(), path, text);
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.base.path().join(path)).unwrap();
    }

    fn look(&mut self) {
        self.keeper.pass(&Looks::all()).unwrap();
    }

    fn look_at(&mut self, paths: &[&str]) {
        let looks = Looks {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
            ..Looks::default()
        };
        self.keeper.pass(&looks).unwrap();
    }

    fn number(&self, path: &str) -> Option<u64> {
        self.shared.shelf.by_path(path).map(|document| document.number)
    }

    fn documents(&self, text: &str) -> Vec<String> {
        let hits = search(&self.shared, text, 50, Index::MAX_FILE, &|| false).unwrap();
        let mut found: Vec<String> = hits.into_iter().map(|hit| hit.document).collect();
        found.sort();
        found
    }
}

/// What was found before is good as long as nothing has changed, so that a cache of
/// searches may keep it: the revision is a part of its keys.
#[test]
fn the_revision_changes_with_the_documents_and_with_nothing_else() {
    let mut desk = Desk::new(&[("a.md", "word one"), ("b.md", "word two")]);
    desk.look();
    let revision = desk.shared.shelf.revision();
    for _ in 0..3 {
        desk.look();
        desk.look_at(&["a.md", "none.md"]);
    }
    // Written again as it was, and beside it what is no document.
    desk.put("a.md", "word one");
    desk.put("notes.rs", "word");
    desk.look();
    desk.look_at(&["a.md", "notes.rs"]);
    assert_eq!(desk.shared.shelf.revision(), revision);
    let mut revisions = vec![revision];
    let mut changed = |desk: &mut Desk| {
        desk.look();
        revisions.push(desk.shared.shelf.revision());
    };
    desk.put("a.md", "word three");
    changed(&mut desk);
    desk.put("c.md", "word four");
    changed(&mut desk);
    desk.remove("b.md");
    changed(&mut desk);
    revisions.sort_unstable();
    revisions.dedup();
    assert_eq!(revisions.len(), 4, "{revisions:?}");
}

#[test]
fn a_look_finds_what_is_new_changed_and_gone() {
    let mut desk = Desk::new(&[
        ("a.md", "word one"),
        ("b/c.md", "word two"),
        ("b/d.md", "word three"),
    ]);
    desk.look();
    assert_eq!(desk.documents("word"), ["a.md", "b/c.md", "b/d.md"]);
    desk.put("a.md", "another");
    desk.put("e.md", "word four");
    desk.remove("b/c.md");
    desk.look();
    assert_eq!(desk.documents("word"), ["b/d.md", "e.md"]);
    assert_eq!(desk.documents("another"), ["a.md"]);
    let count = desk.shared.shelf.count();
    assert_eq!((count.documents, count.passages), (3, 3));
}

#[test]
fn what_did_not_change_is_not_indexed_again() {
    let mut desk = Desk::new(&[("a.md", "word one"), ("b.md", "word two")]);
    desk.look();
    let before = (desk.number("a.md"), desk.number("b.md"));
    assert!(before.0.is_some() && before.1.is_some());
    desk.look();
    // Written again, with the same words.
    desk.put("a.md", "word one");
    desk.look();
    assert_eq!((desk.number("a.md"), desk.number("b.md")), before);
    desk.put("a.md", "word own");
    desk.look();
    assert!(desk.number("a.md") != before.0 && desk.number("b.md") == before.1);
}

#[test]
fn a_look_at_one_path_sees_that_path_alone() {
    let mut desk = Desk::new(&[
        ("a.md", "word one"),
        ("b/c.md", "word two"),
        ("bb.md", "word three"),
    ]);
    desk.look();
    desk.put("a.md", "other");
    fs::remove_dir_all(desk.base.path().join("b")).unwrap();
    desk.remove("bb.md");
    let before = desk.number("a.md");
    desk.look_at(&["b"]);
    assert_eq!((desk.number("b/c.md"), desk.number("a.md")), (None, before));
    assert!(desk.number("bb.md").is_some());
    // A path in a folder that nobody knows: then it looks at everything.
    desk.put("x/y/z.md", "deep");
    desk.look_at(&["x/y/z.md"]);
    assert_eq!(desk.documents("deep"), ["x/y/z.md"]);
    assert_eq!(desk.number("bb.md"), None);
}

#[test]
fn an_index_that_is_made_anew_knows_nothing_of_the_old_one() {
    let mut desk = Desk::new(&[("a.md", "word one"), ("b.md", "word two")]);
    desk.look();
    let before = desk.number("a.md");
    let settings = Arc::new(Index::at(desk.base.path().to_owned()));
    let dirty = Arc::clone(&desk.dirty);
    desk.keeper = Keeper::new(settings, Arc::clone(&desk.shared), dirty, desk.stop.clone());
    desk.keeper.anew = true;
    desk.remove("b.md");
    desk.look();
    assert_eq!(desk.documents("word"), ["a.md"]);
    assert!(desk.number("a.md") > before, "a number was given twice");
}

#[test]
fn a_stop_in_the_middle_forgets_nothing() {
    let mut desk = Desk::new(&[("a.md", "word one")]);
    desk.look();
    desk.remove("a.md");
    desk.stop.cancel();
    desk.look();
    assert!(desk.number("a.md").is_some());
    // Which is no reason to give it out.
    assert!(desk.documents("word").is_empty());
}

#[test]
fn many_small_changes_do_not_pile_up() {
    let mut desk = Desk::new(&[("a.md", "word")]);
    for n in 0..60 {
        desk.put("a.md", &format!("word number{n}"));
        desk.look();
        assert_eq!(desk.documents("word"), ["a.md"]);
    }
    desk.keeper.rest().unwrap();
    let searcher = desk.shared.store.searcher();
    assert!(
        searcher.segment_readers().len() < 10,
        "{}",
        searcher.segment_readers().len()
    );
    assert_eq!(searcher.num_docs(), 1);
}

#[tokio::test]
async fn an_index_that_nobody_holds_ends() {
    let base = tempfile::tempdir().unwrap();
    put(base.path(), "a.md", "word");
    let library = Library::open(
        "docs",
        Index::at(base.path().to_owned()),
        None,
        Guards::permissive().get("search", "docs"),
        &Handle::current(),
        BY_EVENTS,
    )
    .unwrap();
    let shared = Arc::downgrade(&library.shared);
    let began = Instant::now();
    while library.shared.available().is_err() {
        assert!(began.elapsed() < SOON);
        sleep(Duration::from_millis(5)).await;
    }
    drop(library);
    while shared.upgrade().is_some() {
        assert!(began.elapsed() < SOON, "it goes on");
        sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn a_link_makes_every_entry_matter() {
    let mut desk = Desk::new(&[("a.md", "word")]);
    desk.look();
    assert!(!desk.dirty.links.load(Ordering::Relaxed));
    std::os::unix::fs::symlink("a.md", desk.base.path().join("b.md")).unwrap();
    desk.look();
    assert!(desk.dirty.links.load(Ordering::Relaxed));
}
