//! Whatever is put into the folder: it is found, or left out; nothing else
//! suffers, and nothing outside is ever read.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

#[tokio::test]
async fn links_are_followed_only_within_the_folder_and_never_in_circles() {
    let site = Site::with(
        &[
            ("in/a.md", "inside word"),
            (".hidden/b.md", "inside word, hidden"),
            (".other/c.md", "inside word, deeper"),
        ],
        BY_EVENTS,
        |_| {},
    )
    .await;
    let (root, out) = (site.root(), site.base.path().join("out"));
    put(&out, "secret.md", "outside word");
    symlink(out.join("secret.md"), root.join("file.md")).unwrap();
    symlink(&out, root.join("folder")).unwrap();
    symlink("../../out/secret.md", root.join("in/up.md")).unwrap();
    symlink("..", root.join("in/loop")).unwrap();
    symlink("self.md", root.join("self.md")).unwrap();
    symlink("in/a.md", root.join("same.md")).unwrap();
    symlink(".hidden/b.md", root.join("shown.md")).unwrap();
    symlink(".other", root.join("shown")).unwrap();
    symlink("..", root.join(".other/again")).unwrap();
    site.put("last.md", "inside word, last");
    site.finds("word", &["in/a.md", "last.md", "shown.md", "shown/c.md"])
        .await;
    // The same words by another way are there too, and known once.
    assert!(
        site.indexes
            .query("plugin", "docs", "outside", 5)
            .unwrap()
            .read()
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(site.indexes.state()[0].detail, "4 documents, 4 passages");
}

#[tokio::test]
async fn a_document_that_becomes_a_link_out_of_the_folder_is_gone() {
    let site = Site::new(&[("a.md", "the same words")]).await;
    let out = site.base.path().join("out.md");
    fs::write(&out, "the same words").unwrap();
    fs::remove_file(site.root().join("a.md")).unwrap();
    symlink(&out, site.root().join("a.md")).unwrap();
    assert!(site.documents("words").await.is_empty());
    assert!(site.indexes.document("docs", "a.md").await.is_err());
}

#[tokio::test]
async fn files_mounted_as_links_into_a_hidden_folder_are_swapped_at_once() {
    let site = Site::with(
        &[("..v1/a.md", "first version"), ("..v1/sub/b.md", "first below")],
        BY_EVENTS,
        |_| {},
    )
    .await;
    let root = site.root();
    symlink("..v1", root.join("..data")).unwrap();
    symlink("..data/a.md", root.join("a.md")).unwrap();
    symlink("..data/sub", root.join("sub")).unwrap();
    site.finds("first", &["a.md", "sub/b.md"]).await;
    put(&root, "..v2/a.md", "second version");
    put(&root, "..v2/sub/b.md", "second below");
    symlink("..v2", root.join("..new")).unwrap();
    fs::rename(root.join("..new"), root.join("..data")).unwrap();
    site.finds("second", &["a.md", "sub/b.md"]).await;
    site.finds("first", &[]).await;
}

#[tokio::test]
async fn what_is_no_text_too_large_or_too_many_is_left_out() {
    let small = |index: &mut Index| {
        index.max_file = 200;
        index.max_files = 6;
        index.exclude = vec!["drafts/**".to_owned()];
    };
    let site = Site::with(&[("a.md", "good word")], BY_EVENTS, small).await;
    let root = site.root();
    fs::write(root.join("binary.md"), b"word\0word").unwrap();
    fs::write(root.join("latin.md"), b"good word of K\xf6ln").unwrap();
    fs::write(root.join("utf16.txt"), b"\xff\xfeg\0o\0o\0d\0 \0o\0n\0e\0").unwrap();
    site.put("drafts/b.md", "good word");
    site.put("c.rs", "good word");
    site.put("large.md", &"good word ".repeat(30));
    site.finds("good", &["a.md", "latin.md", "utf16.txt"]).await;
    // A large one that shrinks is a document, and so is text that was none.
    site.put("large.md", "good and small");
    site.put("binary.md", "good as text");
    site.finds(
        "good",
        &["a.md", "binary.md", "large.md", "latin.md", "utf16.txt"],
    )
    .await;
    site.put("sixth.md", "good sixth");
    site.finds("sixth", &["sixth.md"]).await;
    site.put("seventh.md", "good seventh");
    site.put("a.md", "good marker");
    site.finds("marker", &["a.md"]).await;
    site.finds("seventh", &[]).await;
}

#[tokio::test]
async fn there_is_room_again_when_others_go() {
    let pace = Pace {
        rescan: Duration::from_millis(50),
        ..BY_EVENTS
    };
    let two = |index: &mut Index| index.max_files = 2;
    let site = Site::with(
        &[("a.md", "word a"), ("b.md", "word b"), ("c.md", "word c")],
        pace,
        two,
    )
    .await;
    let found = site.documents("word").await;
    assert_eq!(found.len(), 2);
    fs::remove_file(site.root().join(&found[0])).unwrap();
    let mut left = vec!["a.md", "b.md", "c.md"];
    left.retain(|name| *name != found[0]);
    site.finds("word", &left).await;
}

#[tokio::test]
async fn a_file_that_may_not_be_read_is_left_out_until_it_may() {
    let site = Site::with(&[("a.md", "word a")], BY_EVENTS, |_| {}).await;
    let path = site.root().join("secret.md");
    site.put("secret.md", "word secret");
    site.finds("word", &["a.md", "secret.md"]).await;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&path).is_ok() {
        eprintln!("skipped: this user may read everything");
        return;
    }
    assert_eq!(site.documents("word").await, ["a.md"]);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    site.finds("word", &["a.md", "secret.md"]).await;
}

#[tokio::test]
async fn names_of_all_kinds_are_documents_paths() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let names = [
        "a b.md",
        "ünï©ödé/日本.md",
        "q?&#%.md",
        "[x]{y}*.md",
        "-dash.md",
        "CAPS.MD",
        "back\\slash.md",
    ];
    let files: Vec<(&str, &str)> = names.iter().map(|name| (*name, "odd name")).collect();
    let site = Site::with(&[], BY_EVENTS, |index| index.serve = true).await;
    fs::write(site.root().join(OsStr::from_bytes(b"bad\xff.md")), "odd name").unwrap();
    for (name, text) in &files {
        site.put(name, &format!("{text} {name}"));
    }
    let detail = format!("{} documents, {} passages", names.len(), names.len());
    site.until(&detail, || async { site.indexes.state()[0].detail == detail })
        .await;
    for name in names {
        let document = site.indexes.document("docs", name).await.unwrap();
        assert_eq!(document.text, format!("odd name {name}"));
    }
}

#[tokio::test]
async fn an_empty_document_is_one() {
    let site = Site::with(&[("empty.md", ""), ("blank.txt", " \n\n")], BY_EVENTS, |index| {
        index.serve = true
    })
    .await;
    assert_eq!(site.indexes.state()[0].detail, "2 documents, 0 passages");
    assert_eq!(site.indexes.document("docs", "empty.md").await.unwrap().text, "");
    assert!(site.documents("anything").await.is_empty());
}
