//! What an answer rests on: citations that open on the words they quote, and
//! rows with their SQL. A handler in Rust says what the bundled plugins say, so
//! that nothing else can go wrong here.

use std::collections::BTreeMap;
use std::sync::Arc;

use fantoccini::Locator;
use segue_runtime::{Reply, Request};
use segue_server::{Host, HostOptions, NativeFuture, NativeHandler, config};
use segue_tests::eventually;
use serde_json::{Value, json};

use crate::driver::Browser;

const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
[admin]
listen = "127.0.0.1:0"
[search.docs]
path = "docs"
serve = true
[[route]]
handler = "scribe"
"#;

/// Says each line of what it is told: `data JSON` or text.
struct Scribe;

impl NativeHandler for Scribe {
    fn handle(&self, request: Request, replies: tokio::sync::mpsc::Sender<Reply>) -> NativeFuture {
        Box::pin(async move {
            let flags = json!({ "rag_sql": request.rag_sql, "rag_doc": request.rag_doc });
            for reply in script(&flags) {
                let _ = replies.send(reply).await;
            }
            Ok(())
        })
    }
}

fn script(flags: &Value) -> Vec<Reply> {
    let data = |value: Value| Reply::Data(value.to_string());
    let mut said = Vec::new();
    if flags["rag_doc"] == true {
        said.push(data(json!({
            "kind": "citation", "n": 1, "index": "docs", "document": "guide.md", "title": "Guide",
            "headings": ["Guide", "Swap <b>"], "offset": 0, "quote": "the <b>very</b> words",
            "link": "/v1/documents/docs/guide.md?offset=0&words=the%20%3Cb%3Every%3C%2Fb%3E%20words",
        })));
        said.push(Reply::Chunk("As it is written [".into()));
        said.push(Reply::Chunk("1] and elsewhere [2][9].".into()));
        // After its mark, and one that must not be followed.
        said.push(data(json!({
            "kind": "citation", "n": 2, "index": "docs", "document": "other.md", "title": "",
            "headings": [], "offset": 0, "quote": "x", "link": "javascript:alert(1)",
        })));
    }
    if flags["rag_sql"] == true {
        let rows: Vec<Value> = (0..25).map(|n| json!([n, format!("<i>{n}</i>"), null])).collect();
        said.push(data(json!({
            "kind": "sql", "database": "shop", "sql": "SELECT a, b, c FROM t WHERE x = ?1",
            "params": ["<u>"], "columns": ["a", "b", "c"], "rows": rows, "truncated": true,
        })));
        said.push(Reply::Chunk("Twenty-five rows.".into()));
    }
    if said.is_empty() {
        said.push(data(json!({ "kind": "citation", "n": "one" })));
        said.push(Reply::Chunk("[1]".into()));
    }
    said
}

async fn host() -> (Host, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(dir.path().join("docs")).expect("a folder");
    std::fs::create_dir_all(dir.path().join("plugins")).expect("a folder");
    let guide = format!("# Guide\n\n{}\nthe <b>very</b> words\n", "line\n".repeat(500));
    std::fs::write(dir.path().join("docs/guide.md"), guide).expect("a document");
    let config = config::parse(CONFIG, dir.path(), &BTreeMap::new()).expect("a config");
    let mut options = HostOptions::default();
    options.natives.insert("scribe".to_owned(), Arc::new(Scribe));
    let host = Host::start(config, options).await.expect("a host");
    (host, dir)
}

impl Browser {
    async fn texts(&self, css: &str) -> Vec<String> {
        let mut texts = Vec::new();
        for element in self.page.find_all(Locator::Css(css)).await.expect("elements") {
            texts.push(element.text().await.expect("its text"));
        }
        texts
    }

    async fn ask(&self, script: &str) -> Value {
        self.page
            .execute(script, vec![])
            .await
            .expect("an answer of the page")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_citation_opens_on_the_words_it_quotes() {
    let (host, _dir) = host().await;
    let Some(browser) = Browser::open_at(host.public_addr()).await else {
        return;
    };
    browser.click_toggle("rag-doc").await;
    browser.say("which words?").await;
    let shown = browser.settled(1).await;
    assert_eq!(shown[0].answer, "As it is written [1] and elsewhere [2][9].");
    // Only marks that a source answers to are links.
    assert_eq!(browser.texts("[data-testid=cite]").await, ["[1]", "[2]"]);
    assert_eq!(
        browser.texts("[data-testid=citation-quote]").await,
        ["the <b>very</b> words", "x"]
    );
    assert!(browser.texts("[data-testid=citation]").await[0].contains("› Swap <b> (guide.md)"));
    assert_eq!(browser.texts("a[data-testid=citation-link]").await, ["Guide"]);
    browser.click("cite").await;
    let focused = browser.ask("return document.activeElement.dataset.testid").await;
    assert_eq!(focused, "citation", "a mark leads to its source");

    // The same after a reload, from the history.
    browser.page.refresh().await.expect("a reload");
    browser.status("connected").await;
    assert_eq!(browser.settled(1).await, shown);
    assert_eq!(browser.texts("[data-testid=cite]").await, ["[1]", "[2]"]);

    let link = browser.find("citation-link").await;
    let url = link.prop("href").await.expect("a property").expect("an address");
    assert!(url.ends_with("#words"), "{url}");
    assert_eq!(
        link.attr("target").await.expect("an attribute").as_deref(),
        Some("_blank")
    );
    eventually("the document to be read", || async {
        browser.page.goto(&url).await.ok()?;
        browser.page.find(Locator::Css("mark#words")).await.ok().map(drop)
    })
    .await;
    assert_eq!(browser.texts("mark#words").await, ["the <b>very</b> words"]);
    let seen = "const box = document.querySelector('#words').getBoundingClientRect();
        return box.top >= 0 && box.bottom <= innerHeight && scrollY > 1000";
    eventually("the words to be in view", || async {
        (browser.ask(seen).await == true).then_some(())
    })
    .await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_a_table_with_their_sql() {
    let (host, _dir) = host().await;
    let Some(browser) = Browser::open_at(host.public_addr()).await else {
        return;
    };
    browser.click_toggle("rag-sql").await;
    browser.say("which rows?").await;
    browser.settled(1).await;
    assert_eq!(browser.texts("[data-testid=sql-rows] th").await, ["a", "b", "c"]);
    let rows = "[data-testid=sql-rows] tbody tr";
    assert_eq!(browser.texts(rows).await.len(), 20);
    assert_eq!(
        browser
            .texts("[data-testid=sql-rows] tbody tr:first-child td")
            .await,
        ["0", "<i>0</i>", "null"]
    );
    browser.click("sql-all").await;
    assert_eq!(browser.texts(rows).await.len(), 25);
    assert_eq!(
        browser.texts("[data-testid=sql-count]").await,
        ["25 rows, and there are more in the database"]
    );
    let statement = browser.page.find(Locator::Css("[data-testid=sql] summary")).await;
    statement.expect("the statement").click().await.expect("a click");
    assert_eq!(
        browser.text("sql-text").await,
        "SELECT a, b, c FROM t WHERE x = ?1"
    );
    assert_eq!(browser.text("sql-params").await, "?1 = \"<u>\"");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_does_not_know_is_shown_as_it_came() {
    let (host, _dir) = host().await;
    let Some(browser) = Browser::open_at(host.public_addr()).await else {
        return;
    };
    browser.say("anything").await;
    let shown = browser.settled(1).await;
    let data: Value = serde_json::from_str(&shown[0].data).expect("JSON");
    assert_eq!(data, json!({ "kind": "citation", "n": "one" }));
    assert!(browser.texts("[data-testid=cite]").await.is_empty());
    browser.close().await;
}
