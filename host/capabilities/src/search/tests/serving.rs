//! Documents for people: only what is indexed and served, and every quote of a
//! hit is where its link says.

use super::super::locate;
use super::*;

async fn served(files: &[(&str, &str)]) -> Site {
    Site::with(files, BY_EVENTS, |index| index.serve = true).await
}

#[tokio::test]
async fn only_indexed_documents_of_a_served_index_are_given() {
    let files = [("a.md", "# Title\n\ntext"), (".hidden.md", "x"), ("b.rs", "x")];
    let site = served(&files).await;
    put(site.base.path(), "outside.md", "x");
    let document = site.indexes.document("docs", "a.md").await.unwrap();
    assert_eq!(
        (document.title.as_str(), document.text.as_str()),
        ("Title", files[0].1)
    );
    let outside = site.base.path().join("outside.md");
    for path in [
        "",
        ".",
        "/",
        "..",
        "../outside.md",
        "./a.md",
        "a.md/",
        "a.md/../a.md",
        "/a.md",
        ".hidden.md",
        "b.rs",
        "none.md",
        "a.md\0",
        outside.to_str().unwrap(),
    ] {
        let error = site.indexes.document("docs", path).await.unwrap_err();
        assert!(matches!(error, Error::NoDocument { .. }), "{path}: {error}");
    }
    let error = site.indexes.document("other", "a.md").await.unwrap_err();
    assert_eq!(error, Error::UnknownIndex("other".to_owned()));
    let unserved = Site::new(&files).await;
    let error = unserved.indexes.document("docs", "a.md").await.unwrap_err();
    assert_eq!(error, Error::NotServed("docs".to_owned()));
    assert_eq!(unserved.indexes.link("docs", "a.md", 0, "text"), None);
    assert_eq!(site.indexes.link("other", "a.md", 0, "text"), None);
    assert_eq!(
        site.indexes.link("docs", "a.md", 9, "text").as_deref(),
        Some("/v1/documents/docs/a.md?offset=9&words=text#words")
    );
}

#[tokio::test]
async fn a_changed_document_is_given_as_it_is_and_a_deleted_one_not_at_all() {
    let site = served(&[("a.md", "# One\n\nthe words")]).await;
    site.put("a.md", "# Two\n\nA new paragraph.\n\nthe\nwords");
    let document = site.indexes.document("docs", "a.md").await.unwrap();
    assert_eq!(document.title, "Two");
    let range = locate(&document.text, 7, "the words").unwrap();
    assert_eq!(&document.text[range], "the\nwords");
    fs::remove_file(site.root().join("a.md")).unwrap();
    assert!(site.indexes.document("docs", "a.md").await.is_err());
}

#[tokio::test]
async fn every_hit_stands_in_its_document_at_its_offset() {
    let html = "<html><head><title>Page</title></head><body><h1>Über</h1><p>Words &amp; more <b>words</b>.</p>\
                <pre>words\n  in code</pre><ul><li>words</ul></body></html>";
    let site = served(&[
        ("page.html", html),
        ("plain.txt", "words\r\n\r\nmore words"),
        ("marked.md", "\u{feff}# H\n\nwords — “quoted”\n\n- words 🦀\n"),
    ])
    .await;
    fs::write(site.root().join("old.txt"), b"words of K\xf6ln, and others").unwrap();
    site.finds("others", &["old.txt"]).await;
    let hits = ask(&site.indexes, "words", 50).await.unwrap();
    let found: std::collections::BTreeSet<&str> = hits.iter().map(|hit| hit.document.as_str()).collect();
    assert_eq!(found.len(), 4, "{hits:#?}");
    for hit in &hits {
        let document = site.indexes.document("docs", &hit.document).await.unwrap();
        let start = usize::try_from(hit.offset).unwrap();
        assert!(document.text[start..].starts_with(&hit.text), "{hit:#?}");
        assert_eq!(document.title, hit.title);
        assert_eq!(
            locate(&document.text, start, &hit.text),
            Some(start..start + hit.text.len())
        );
    }
}
