//! Answers from documents through `doc-rag`: every citation opens on the words
//! that it quotes; what changed is found, what is gone is never quoted again.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::fs;
use std::path::Path;

use segue_tests::{Bed, Chat, Reply, Site, SiteBuilder, eventually, within};
use serde_json::{Value, json};

const CONFIG: &str = r#"
    [search.docs]
    path = "docs"
    serve = true

    [plugins.max_grants]
    search = ["docs"]

    [[route]]
    handler = "doc-rag"
"#;

const TEA: &str = "# Tea\n\nA short guide.\n\n## Green tea\n\nSteep green tea for two minutes at eighty \
    degrees. Longer makes it bitter.\n\n## Black tea\n\nSteep black tea for four minutes in boiling water.\n";

fn site() -> SiteBuilder {
    Site::builder()
        .config(CONFIG)
        .plugin("doc-rag")
        .sidecar("doc-rag", "[grants]\nsearch = [\"docs\"]\n")
        .file("docs/tea.md", TEA)
        .file(
            "docs/coffee.txt",
            "Grind coffee beans just before brewing.\n\nUse water below boiling.",
        )
        .file(
            "docs/cake & more/süß.html",
            "<html><head><title>Cake</title><style>b { color: red }</style></head><body><h1>Cake</h1>\
             <p>Bake a <b>lemon</b> cake for <i>fifty</i> minutes &amp; let it rest.</p>\
             <script>var x = 'lemon';</script></body></html>",
        )
}

async fn ready() -> Bed {
    let bed = site().start().await;
    eventually("the index to be read", async || {
        let (status, _) = bed.http().get("/health/ready").await;
        (status == 200).then_some(())
    })
    .await;
    bed
}

fn citations(reply: &Reply) -> Vec<Value> {
    let data = reply.of("data").into_iter().map(|frame| frame["data"].clone());
    data.filter(|data| data["kind"] == "citation").collect()
}

/// The words that the page behind a citation's link marks.
async fn marked(bed: &Bed, link: &str) -> Result<String, String> {
    let path = link.split('#').next().unwrap();
    let request = bed.http().request(reqwest::Method::GET, path);
    let answer = bed.http().send(request).await;
    let status = answer.status();
    let page = answer.text().await.unwrap();
    if !status.is_success() {
        return Err(format!("{status}: {page}"));
    }
    let Some((_, rest)) = page.split_once("<mark id=\"words\"") else {
        return Err(page);
    };
    let (_, rest) = rest.split_once('>').unwrap();
    let (words, _) = rest.split_once("</mark>").unwrap();
    Ok(words
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&#x27;", "'")
        .replace("&amp;", "&"))
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

async fn opens_on_its_words(bed: &Bed, citation: &Value) {
    let link = citation["link"]
        .as_str()
        .unwrap_or_else(|| panic!("no link: {citation}"));
    let words = marked(bed, link)
        .await
        .unwrap_or_else(|page| panic!("{link}: {page}"));
    let quote = squeezed(citation["quote"].as_str().unwrap());
    let words = squeezed(&words);
    assert!(!words.is_empty());
    assert!(
        quote.starts_with(&words) || words.starts_with(&quote),
        "{link}: {words:?} is not {quote:?}"
    );
}

async fn ask(chat: &mut Chat, id: &str, question: &str) -> Reply {
    let reply = chat.ask(id, "chat", question).await;
    assert_eq!(reply.last["type"], "done", "{question}: {}", reply.last);
    reply
}

#[tokio::test(flavor = "multi_thread")]
async fn every_citation_opens_on_the_words_it_quotes() {
    let bed = ready().await;
    let mut chat = bed.chat().await;
    for (question, document, words) in [
        ("How long do I steep green tea?", "tea.md", "two minutes"),
        ("black tea boiling water", "tea.md", "four minutes"),
        ("When should I grind coffee?", "coffee.txt", "before brewing"),
        (
            "How long does a lemon cake bake?",
            "cake & more/süß.html",
            "fifty minutes",
        ),
    ] {
        let reply = ask(&mut chat, question, question).await;
        let cited = citations(&reply);
        let first = cited
            .first()
            .unwrap_or_else(|| panic!("{question}: {}", reply.text));
        assert_eq!(first["document"], document, "{question}: {first}");
        assert!(
            first["quote"].as_str().unwrap().contains(words),
            "{question}: {first}"
        );
        assert!(reply.text.contains("[1]"), "{question}: {}", reply.text);
        for citation in &cited {
            opens_on_its_words(&bed, citation).await;
        }
    }
    let reply = ask(&mut chat, "headings", "How long do I steep green tea?").await;
    assert_eq!(citations(&reply)[0]["headings"], json!(["Tea", "Green tea"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_repositorys_own_documentation_is_quoted_word_for_word() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut site = site();
    for file in ["README.md", "host/ARCHITECTURE.md"] {
        site = site.file(&format!("docs/{file}"), fs::read(root.join(file)).unwrap());
    }
    let bed = site.start().await;
    eventually("the index to be read", async || {
        let (status, _) = bed.http().get("/health/ready").await;
        (status == 200).then_some(())
    })
    .await;
    let mut chat = bed.chat().await;
    let mut opened = 0;
    for question in [
        "How do I write a handler?",
        "What happens to a plugin that hangs?",
        "the life of a message",
        "How are sessions resumed?",
        "What does segue check do?",
        "Which crates are there?",
        "memory of an idle session",
        "compile cache",
    ] {
        let reply = ask(&mut chat, question, question).await;
        for citation in citations(&reply) {
            opens_on_its_words(&bed, &citation).await;
            opened += 1;
        }
    }
    assert!(opened >= 12, "only {opened} citations");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_found_and_a_deleted_one_never_again() {
    let bed = ready().await;
    let mut chat = bed.chat().await;
    assert!(citations(&ask(&mut chat, "before", "rooibos caffeine").await).is_empty());

    bed.write(
        "docs/tea.md",
        format!("{TEA}\n## Rooibos\n\nRooibos has no caffeine at all.\n"),
    );
    let reply = within("the change to be found", async {
        for tries in 0.. {
            let reply = ask(&mut chat, &format!("after {tries}"), "rooibos caffeine").await;
            if !citations(&reply).is_empty() {
                return reply;
            }
        }
        unreachable!()
    })
    .await;
    let first = &citations(&reply)[0];
    assert!(
        first["quote"].as_str().unwrap().contains("no caffeine"),
        "{first}"
    );
    opens_on_its_words(&bed, first).await;
    let link = first["link"].as_str().unwrap().to_owned();

    fs::remove_file(bed.root().join("docs/tea.md")).unwrap();
    // From the first question on: nothing waits for the index to notice.
    for (n, question) in ["rooibos caffeine", "green tea", "black tea"]
        .iter()
        .cycle()
        .take(60)
        .enumerate()
    {
        let reply = ask(&mut chat, &format!("gone {n}"), question).await;
        for citation in citations(&reply) {
            assert_ne!(citation["document"], "tea.md", "{question}: {citation}");
        }
    }
    let gone = marked(&bed, &link).await.unwrap_err();
    assert!(gone.starts_with("404"), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_served_only_where_the_operator_says_so_and_only_indexed_ones() {
    let bed = ready().await;
    for path in [
        "/v1/documents/docs/../segue.toml",
        "/v1/documents/docs/..%2Fsegue.toml",
        "/v1/documents/docs/%2e%2e/segue.toml",
        "/v1/documents/docs/nothing.md",
        "/v1/documents/docs//etc/passwd",
        "/v1/documents/other/tea.md",
        "/v1/documents/docs/",
    ] {
        let request = bed.http().request(reqwest::Method::GET, path);
        let status = bed.http().send(request).await.status();
        assert!(status.is_client_error(), "{path}: {status}");
    }
    let closed = site().config("[search.docs]\nserve = false\n").start().await;
    eventually("the index to be read", async || {
        let (status, _) = closed.http().get("/health/ready").await;
        (status == 200).then_some(())
    })
    .await;
    let mut chat = closed.chat().await;
    let reply = ask(&mut chat, "m1", "How long do I steep green tea?").await;
    let cited = citations(&reply);
    assert!(!cited.is_empty());
    assert_eq!(cited[0]["link"], Value::Null);
    let request = closed
        .http()
        .request(reqwest::Method::GET, "/v1/documents/docs/tea.md");
    assert_eq!(closed.http().send(request).await.status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_in_the_documents_is_not_answered() {
    let bed = ready().await;
    let mut chat = bed.chat().await;
    let reply = ask(&mut chat, "m1", "quantum chromodynamics lattice").await;
    assert!(citations(&reply).is_empty());
    assert!(!reply.text.is_empty());
}

/// B6: identical retrievals at the same time cost the index one search, and what
/// the cache tells of itself is what happened.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_identical_questions_cost_one_search() {
    const QUESTIONS: usize = 1_000;
    // However late a busy machine makes the host: no question is to be turned away.
    let config = format!(
        "{CONFIG}\n[server]\nmax_connections = 4000\n[runtime]\ninstances = 2000\nper_plugin = 2000\n\
         [overload]\ndelay = \"off\"\n[cache.retrievals]\nttl = \"1h\"\n"
    )
    .replace("serve = true", "serve = true\n    cache = \"retrievals\"");
    let site = Site::builder()
        .config(&config)
        .plugin("doc-rag")
        .sidecar("doc-rag", "[grants]\nsearch = [\"docs\"]\n")
        .file("docs/tea.md", TEA);
    let bed = site.start().await;
    eventually("the index to be read", async || {
        let (status, _) = bed.http().get("/health/ready").await;
        (status == 200).then_some(())
    })
    .await;
    let addr = bed.addr();
    let ask = |_| async move {
        let body = json!({"mtype": "chat", "content": "How long do I steep green tea?"});
        let http = segue_tests::Http::new(addr, None);
        let request = http
            .request(reqwest::Method::POST, "/v1/messages")
            .header("accept", "application/json")
            .json(&body);
        let answer = http.send(request).await;
        assert_eq!(answer.status(), 200);
        answer.json::<Value>().await.unwrap()["parts"].clone()
    };
    let asking: Vec<_> = (0..QUESTIONS).map(|n| tokio::spawn(ask(n))).collect();
    for answer in asking {
        within("an answer", answer).await.unwrap();
    }

    let http = bed.http();
    let searches = "segue_breaker_calls_total{dependency=\"search.docs\",outcome=\"success\"}";
    assert_eq!(http.metric(searches).await as usize, 1);
    let told = bed.admin().get_ok("/caches").await["caches"][0].clone();
    let count = |outcome: &str| told[outcome].as_u64().unwrap() as usize;
    assert_eq!(count("misses"), 1, "{told}");
    assert_eq!(count("hits") + count("joined"), QUESTIONS - 1, "{told}");
    assert_eq!(count("entries"), 1, "{told}");
    for (outcome, field) in [("hit", "hits"), ("miss", "misses"), ("joined", "joined")] {
        let sample = format!("segue_cache_requests_total{{cache=\"retrievals\",outcome=\"{outcome}\"}}");
        assert_eq!(http.metric(&sample).await as usize, count(field), "{outcome}");
    }

    // A document that changes is found at once.
    bed.write("docs/tea.md", TEA.replace("two minutes", "three minutes"));
    eventually("the change to be found", async || {
        let reply = bed
            .chat()
            .await
            .ask("m", "chat", "How long do I steep green tea?")
            .await;
        reply.text.contains("three minutes").then_some(())
    })
    .await;
    let (status, _) = bed
        .admin()
        .post("/caches/retrievals/invalidate", &json!({"tag": "search.docs"}))
        .await;
    assert_eq!(status, 200);
    let told = bed.admin().get_ok("/caches").await["caches"][0].clone();
    assert!(told["invalidations"].as_u64().unwrap() >= 1, "{told}");
}
