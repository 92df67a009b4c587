//! A citation opens on the words it quotes, whatever the document and the
//! address hold; and nothing is shown that is not served.

use http::StatusCode;

use super::*;
use crate::edge::testing::{Bench, bench, json, text};

const CONFIG: &str = "\
[search.docs]
path = \"docs\"
serve = true
[search.private]
path = \"docs\"
";

const NASTY: &str =
    "# A <b>\"title\"</b> & more\r\n\n<script>alert(1)</script>\n</pre><img src=x>\n the end\n";

/// A host whose indexes have been read.
async fn served() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let docs = folder.path().join("docs");
    std::fs::create_dir_all(docs.join("a b")).unwrap();
    std::fs::write(
        docs.join("guide.md"),
        "# Guide\n\nOne two three.\nOne two four.\n",
    )
    .unwrap();
    std::fs::write(docs.join("a b/ü#?.md"), "# Odd\n\nname\n").unwrap();
    std::fs::write(docs.join("nasty.md"), NASTY).unwrap();
    std::fs::write(docs.join("code.rs"), "not indexed").unwrap();
    std::fs::write(folder.path().join("secret.md"), "# Secret").unwrap();
    let bench = bench_in(folder).await;
    let read = async {
        while !bench
            .app
            .snapshot()
            .backends
            .state()
            .iter()
            .all(|state| state.ready)
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), read)
        .await
        .unwrap();
    bench
}

async fn bench_in(folder: tempfile::TempDir) -> Bench {
    crate::edge::testing::bench_in(folder, CONFIG).await
}

#[tokio::test]
async fn the_quoted_words_are_marked_where_they_stand_now() {
    let bench = served().await;
    let client = bench.public();
    let shown = client
        .get("/v1/documents/docs/guide.md?offset=24&words=One%20two")
        .await;
    assert_eq!(shown.status(), StatusCode::OK);
    assert_eq!(shown.headers()["content-type"], "text/html; charset=utf-8");
    let policy = shown.headers()["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );
    assert!(
        !policy.contains("unsafe") && !policy.contains("script"),
        "{policy}"
    );
    let page = text(shown).await;
    let marked = "One two three.\n<mark id=\"words\" tabindex=\"-1\">One two</mark> four.";
    assert!(page.contains(marked), "{page}");
    assert!(page.contains("<title>Guide</title>"), "{page}");

    // A link for people to read has no words: the line is marked that stands there.
    let page = text(client.get("/v1/documents/docs/guide.md?offset=28").await).await;
    let marked = "One two three.\n<mark id=\"words\" tabindex=\"-1\">One two four.</mark>\n";
    assert!(page.contains(marked), "{page}");
    for bare in ["", "?offset=8", "?offset=99999"] {
        let page = text(client.get(&format!("/v1/documents/docs/guide.md{bare}")).await).await;
        assert!(!page.contains("<mark"), "{bare}: {page}");
    }

    // Moved a little, wrapped otherwise, and gone.
    let page = text(
        client
            .get("/v1/documents/docs/guide.md?offset=3&words=two%0Athree")
            .await,
    )
    .await;
    assert!(
        page.contains("One <mark id=\"words\" tabindex=\"-1\">two three</mark>."),
        "{page}"
    );
    let page = text(client.get("/v1/documents/docs/guide.md?words=%3Cfive%3E").await).await;
    assert!(
        page.contains("no longer in this document: <q>&lt;five&gt;</q>"),
        "{page}"
    );
    assert!(!page.contains("<mark"), "{page}");
    let page = text(client.get("/v1/documents/docs/guide.md").await).await;
    assert!(
        page.contains("One two three.") && !page.contains("no longer"),
        "{page}"
    );
    let odd = client.get("/v1/documents/docs/a%20b/%C3%BC%23%3F.md").await;
    assert_eq!(odd.status(), StatusCode::OK);
}

#[tokio::test]
async fn nothing_a_document_says_becomes_markup() {
    let bench = served().await;
    let page = text(
        bench
            .public()
            .get("/v1/documents/docs/nasty.md?words=alert")
            .await,
    )
    .await;
    let (_, body) = page.split_once("<body>").unwrap();
    for tag in ["<script", "<img", "<b>"] {
        assert!(!body.contains(tag), "{tag} in {page}");
    }
    assert_eq!(body.matches("</pre>").count(), 1, "{page}");
    assert!(
        body.contains("&lt;script&gt;<mark id=\"words\" tabindex=\"-1\">alert</mark>(1)"),
        "{page}"
    );
    assert_eq!(page.matches("</style>").count(), 1);
}

#[tokio::test]
async fn what_is_not_served_is_as_if_it_were_not_there() {
    let bench = served().await;
    let client = bench.public();
    let mut told = Vec::new();
    for path in [
        "docs/none.md",
        "docs/code.rs",
        "docs/../secret.md",
        "docs/%2e%2e/secret.md",
        "docs/%2e%2e%2fsecret.md",
        "docs/./guide.md",
        "docs//guide.md",
        "docs/%2fetc%2fpasswd",
        "docs/guide.md%00",
        "docs/GUIDE.md",
        "private/guide.md",
        "none/guide.md",
    ] {
        let response = client.get(&format!("/v1/documents/{path}")).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        told.push(json(response).await["error"]["message"].clone());
    }
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
    let bad = client.get("/v1/documents/docs/guide.md?offset=-1").await;
    assert_eq!(json(bad).await["error"]["code"], "invalid_message");
}

#[tokio::test]
async fn while_it_is_read_or_gone_it_says_to_come_back() {
    let bench = bench(CONFIG).await;
    let response = bench.public().get("/v1/documents/docs/guide.md").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(json(response).await["error"]["code"], "store_unavailable");
}

#[test]
fn every_text_on_the_page_is_escaped() {
    let nasty = "</title></q><script>\0\"'&";
    let document = Document {
        text: nasty.to_owned(),
        title: nasty.to_owned(),
    };
    let quoted = Quoted {
        offset: Some(u64::MAX),
        words: format!("gone {nasty}"),
    };
    let html = page(nasty, nasty, &document, &quoted);
    let escaped = "&lt;/title&gt;&lt;/q&gt;&lt;script&gt;\u{fffd}&quot;&#39;&amp;";
    assert_eq!(html.matches(escaped).count(), 6, "{html}");
    assert!(!html.contains("<script") && !html.contains('\0'), "{html}");
}

#[test]
fn the_style_ends_where_it_should() {
    assert!(!STYLE.contains("</") && !STYLE.contains("url(") && !STYLE.contains("@import"));
}
