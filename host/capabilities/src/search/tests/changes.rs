//! The index follows its folder: what is there is found, what is gone is not.
//! Everything here is told by events alone, unless it says otherwise.

use std::io::Write;
use std::os::unix::fs::symlink;

use super::*;

async fn site(files: &[(&str, &str)]) -> Site {
    Site::with(files, BY_EVENTS, |_| {}).await
}

#[tokio::test]
async fn a_new_a_changed_and_a_moved_document_are_found() {
    let site = site(&[("a.md", "# Apples\n\nThey grow on trees.")]).await;
    site.put("b.md", "# Bananas\n\nThey grow in bunches.");
    site.finds("grow", &["a.md", "b.md"]).await;
    site.put("a.md", "# Apples\n\nThey are eaten.");
    site.finds("grow", &["b.md"]).await;
    site.finds("eaten", &["a.md"]).await;
    fs::rename(site.root().join("a.md"), site.root().join("c.md")).unwrap();
    site.finds("eaten", &["c.md"]).await;
    fs::remove_file(site.root().join("c.md")).unwrap();
    site.finds("eaten", &[]).await;
}

#[tokio::test]
async fn a_deleted_document_is_not_found_by_a_search_that_begins_after_it() {
    let names: Vec<String> = (0..40).map(|n| format!("{}/n{n}.md", n % 3)).collect();
    let files: Vec<(&str, &str)> = names
        .iter()
        .map(|name| (name.as_str(), "A word of its own."))
        .collect();
    // Nobody tells the index anything here: it looks for itself.
    let site = site(&files).await;
    for name in &names {
        fs::remove_file(site.root().join(name)).unwrap();
        let found = site.documents("word").await;
        assert!(!found.contains(name), "{name} is gone, and found");
    }
    site.finds("word", &[]).await;
}

#[tokio::test]
async fn words_that_were_changed_are_not_quoted_from_that_moment_on() {
    let site = site(&[("a.md", "old words"), ("b.html", "<p>old words on a page</p>")]).await;
    assert_eq!(site.documents("words").await.len(), 2);
    for n in 0..30 {
        let new = format!("version {n} of the words");
        site.put("a.md", &new);
        site.put("b.html", &format!("<p>{new} on its page</p>"));
        for hit in site.ask("words").await {
            assert!(hit.text.starts_with(&new), "{n}: {hit:?}");
        }
    }
    site.finds("29", &["a.md", "b.html"]).await;
}

#[tokio::test]
async fn what_stands_where_it_stood_is_found_while_a_file_grows() {
    let site = site(&[("log.txt", "The first line of it.\n\n")]).await;
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(site.root().join("log.txt"))
        .unwrap();
    for n in 0..100 {
        writeln!(file, "Then comes number{n}.\n").unwrap();
        let hits = site.ask("first").await;
        assert!(
            hits.iter().all(|hit| hit.text.starts_with("The first line")),
            "{hits:?}"
        );
    }
    drop(file);
    site.finds("number99", &["log.txt"]).await;
    site.finds("first", &["log.txt"]).await;
}

#[tokio::test]
async fn editors_may_write_as_they_like() {
    let site = site(&[("a.md", "before")]).await;
    // Into another file, then renamed over it.
    site.put(".a.md.swp", "renamed over");
    fs::rename(site.root().join(".a.md.swp"), site.root().join("a.md")).unwrap();
    site.finds("renamed", &["a.md"]).await;
    // The old one moved away first, as a backup.
    fs::rename(site.root().join("a.md"), site.root().join("a.md~")).unwrap();
    site.put("a.md", "backed up");
    site.finds("backed", &["a.md"]).await;
    site.finds("renamed", &[]).await;
    // Cut to nothing, then written in pieces.
    let mut file = fs::File::create(site.root().join("a.md")).unwrap();
    for piece in ["# In p", "ieces\n\nof a fi", "le.\n"] {
        file.write_all(piece.as_bytes()).unwrap();
        file.sync_all().unwrap();
        site.ask("pieces").await;
    }
    drop(file);
    site.finds("pieces file", &["a.md"]).await;
}

#[tokio::test]
async fn folders_come_and_go_with_all_that_is_in_them() {
    let site = site(&[("a/b/c/one.md", "whale")]).await;
    let (root, away) = (site.root(), site.base.path().join("away"));
    // A whole tree appears at once, and deeper than what is watched.
    fs::rename(root.join("a"), &away).unwrap();
    site.finds("whale", &[]).await;
    fs::rename(&away, root.join("x")).unwrap();
    site.finds("whale", &["x/b/c/one.md"]).await;
    // What was moved is watched where it is now.
    site.put("x/b/c/two.md", "whale, another");
    site.finds("whale", &["x/b/c/one.md", "x/b/c/two.md"]).await;
    fs::rename(root.join("x/b"), root.join("y")).unwrap();
    site.put("y/c/three.md", "whale, a third");
    site.finds("whale", &["y/c/one.md", "y/c/three.md", "y/c/two.md"])
        .await;
    fs::remove_dir_all(root.join("y")).unwrap();
    site.finds("whale", &[]).await;
    // The same names again, made step by step.
    site.put("y/c/d/e/f/one.md", "whale");
    site.finds("whale", &["y/c/d/e/f/one.md"]).await;
    site.put("y/c/d/e/f/one.md", "shark");
    site.finds("whale", &[]).await;
}

#[tokio::test]
async fn a_file_and_a_folder_may_take_each_others_place() {
    let site = site(&[("a.md", "as a file")]).await;
    let path = site.root().join("a.md");
    fs::remove_file(&path).unwrap();
    site.put("a.md/b.md", "in a folder");
    site.finds("folder", &["a.md/b.md"]).await;
    site.finds("file", &[]).await;
    fs::remove_dir_all(&path).unwrap();
    site.put("a.md", "as a file");
    site.finds("file", &["a.md"]).await;
    site.finds("folder", &[]).await;
}

#[tokio::test]
async fn a_storm_of_changes_ends_in_what_is_there() {
    let site = site(&[]).await;
    for round in 0..4 {
        for n in 0..300 {
            let path = format!("d{}/n{n}.md", n % 7);
            match (n + round) % 3 {
                0 => site.put(&path, &format!("Storm round{round} number{n}.")),
                1 => drop(fs::remove_file(site.root().join(path))),
                _ => site.put(&path, &format!("Calm round{round} number{n}.")),
            }
        }
    }
    let there = |n: usize| (n + 3) % 3 != 1;
    for n in [0, 1, 2, 150, 151, 152, 297, 298, 299] {
        let path = format!("d{}/n{n}.md", n % 7);
        let expected = if there(n) { vec![path.as_str()] } else { Vec::new() };
        site.finds(&format!("number{n}"), &expected).await;
    }
    let documents = (0..300).filter(|n| there(*n)).count();
    let detail = format!("{documents} documents, {documents} passages");
    site.until(&detail, || async { site.indexes.state()[0].detail == detail })
        .await;
}

#[tokio::test]
async fn the_folder_itself_may_be_missing_vanish_and_come_back() {
    let base = tempfile::tempdir().unwrap();
    let root = base.path().join("docs");
    let settings = BTreeMap::from([("docs".to_owned(), Index::at(root.clone()))]);
    // No events here: there is nothing to watch.
    let pace = Pace {
        rescan: Duration::from_millis(50),
        ..BY_EVENTS
    };
    let indexes = Indexes::with_pace(
        settings,
        &no_caches(),
        Guards::permissive(),
        Handle::current(),
        pace,
    );
    let site = Site { base, indexes };
    let gone = || async { matches!(ask(&site.indexes, "x", 1).await, Err(Error::FolderGone { .. })) };
    site.until("it is missing", gone).await;
    assert!(!site.indexes.state()[0].ready);
    site.put("a.md", "here at last");
    site.finds("last", &["a.md"]).await;
    fs::rename(&root, site.base.path().join("away")).unwrap();
    site.until("it is gone", gone).await;
    fs::rename(site.base.path().join("away"), &root).unwrap();
    site.finds("last", &["a.md"]).await;
    // Another folder under the same path, by way of a link.
    fs::rename(&root, site.base.path().join("v1")).unwrap();
    put(&site.base.path().join("v2"), "b.md", "at last a second");
    symlink(site.base.path().join("v2"), &root).unwrap();
    site.finds("last", &["b.md"]).await;
    fs::remove_file(&root).unwrap();
    symlink(site.base.path().join("v1"), &root).unwrap();
    site.finds("last", &["a.md"]).await;
}

#[tokio::test]
async fn settings_that_change_no_document_keep_the_index() {
    let site = site(&[("a.md", "kept")]).await;
    let mut index = Index::at(site.root());
    index.serve = true;
    let settings = |index: &Index| BTreeMap::from([("docs".to_owned(), index.clone())]);
    let served = site.indexes.update(settings(&index), &no_caches());
    assert!(served.state()[0].ready, "read again");
    assert!(served.link("docs", "a.md", 0, "kept").is_some());
    assert!(site.indexes.link("docs", "a.md", 0, "kept").is_none());
    // The old one goes, the index stays, and still follows its folder.
    let site = Site {
        indexes: served,
        ..site
    };
    site.put("b.md", "kept too");
    site.finds("kept", &["a.md", "b.md"]).await;
    index.exclude = vec!["b.md".to_owned()];
    let narrowed = site.indexes.update(settings(&index), &no_caches());
    assert!(narrowed.state()[0].reading);
    let site = Site {
        indexes: narrowed,
        ..site
    };
    site.finds("kept", &["a.md"]).await;
    let none = site.indexes.update(BTreeMap::new(), &no_caches());
    let error = none.query("plugin", "docs", "kept", 1).unwrap_err();
    assert_eq!(error, Error::UnknownIndex("docs".to_owned()));
}
