//! What a newcomer asks Segue's own documentation, as the demo has it: its
//! configuration, its plugin, no model. The answer says what was asked, in words
//! that stand in the documents, and cites where.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use segue_tests::{Bed, Site, eventually};
use serde_json::{Value, json};

const CONFIG: &str = include_str!("../../host/xtask/src/demo/segue.toml");
const GRANTS: [(&str, &str); 3] = [
    ("chat", include_str!("../../host/xtask/src/demo/chat.toml")),
    ("sql-rag", include_str!("../../host/xtask/src/demo/sql-rag.toml")),
    ("doc-rag", include_str!("../../host/xtask/src/demo/doc-rag.toml")),
];

/// A question, what its answer must say, and the document that it begins with.
#[rustfmt::skip]
const ASKED: &[(&str, &[&str], &str)] = &[
    ("What happens if my plugin uses too much memory?", &["memory_exceeded", "64 MiB"], "docs/writing-a-handler.md"),
    ("What is the default deadline of a call?", &["30 s"], "docs/writing-a-handler.md"),
    ("How do I write a handler?", &["segue new NAME", "segue build"], "docs/writing-a-handler.md"),
    ("How do I swap a plugin?", &["copy the new NAME.wasm over the old one"], "docs/operating.md"),
    ("How do I go back to the old version of a plugin?", &["copy the old file again"], "docs/operating.md"),
    ("Which port does the host listen on?", &["port 8000"], "docs/operating.md"),
    ("Can I write a handler in Python?", &["can be written in Python"], "docs/writing-a-handler.md"),
    ("What does a breaker do when it is open?", &["rejects calls at once", "circuit_open"], "docs/resilience.md"),
    ("What happens when my plugin crashes?", &["ends its own message"], "docs/writing-a-handler.md"),
    ("How do I add a route?", &["[[route]]", "segue.toml"], "docs/writing-a-handler.md"),
    ("How do I stop the host?", &["Ctrl-C"], "docs/operating.md"),
    ("Where is the admin token?", &[".segue/admin.token"], "docs/operating.md"),
    ("How do I give the host a language model?", &["[llm.main]"], "docs/questions.md"),
    // The row of a table.
    ("What is failure_threshold?", &["built in: 5", "Failures in a row"], "docs/resilience.md"),
];

async fn demo() -> Bed {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut site = Site::builder()
        .config(&CONFIG.replace("@CHECKOUT@", root.to_str().unwrap()))
        .config("[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n")
        .database("shop.db", "CREATE TABLE products (name TEXT);");
    for (plugin, grants) in GRANTS {
        site = site.plugin(plugin).sidecar(plugin, grants);
    }
    let bed = site.start().await;
    eventually("the documentation to be read", async || {
        let (status, _) = bed.http().get("/health/ready").await;
        (status == 200).then_some(())
    })
    .await;
    bed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomers_question_is_answered_with_the_words_that_say_it() {
    let bed = demo().await;
    let mut faults = Vec::new();
    for (question, words, document) in ASKED {
        let asked = json!({"mtype": "chat", "content": question, "rag_doc": true});
        let request = bed
            .http()
            .request(reqwest::Method::POST, "/v1/messages")
            .header("accept", "application/json")
            .json(&asked);
        let answer = bed.http().send(request).await;
        assert_eq!(answer.status(), 200, "{question}");
        let answer: Value = answer.json().await.unwrap();
        let said = answer["content"].as_str().unwrap();
        let first = first_cited(said).and_then(|n| {
            let mut cited = answer["data"].as_array().unwrap().iter();
            cited.find(|citation| citation["n"] == n)
        });
        let from = first.map_or("nowhere", |citation| citation["document"].as_str().unwrap());
        if !words.iter().all(|words| said.contains(words)) || from != *document {
            faults.push(format!("{question}\n  from {from}: {said}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The number in the first `[1]` of an answer.
fn first_cited(said: &str) -> Option<u64> {
    said.split('[')
        .find_map(|rest| rest.split_once(']')?.0.parse().ok())
}
