//! What a plugin may do is the operator's word: asked for and given, widened
//! only with consent, withdrawn at once, and all of it to be seen.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use segue_tests::{Bed, Site, eventually};
use serde_json::{Value, json};

const CONFIG: &str = r#"
    [search.docs]
    path = "docs"

    [plugins.max_grants]
    search = ["docs"]

    [[route]]
    handler = "doc-rag"
"#;

const GRANT: &[u8] = b"[grants]\nsearch = [\"docs\"]\n";

/// `doc-rag`, which wants `search` and is granted nothing.
async fn bed() -> Bed {
    Site::builder()
        .config(CONFIG)
        .plugin("doc-rag")
        .file("docs/tea.md", "# Tea\n\nSteep green tea for two minutes.\n")
        .start()
        .await
}

async fn status(bed: &Bed) -> Value {
    bed.admin().get_ok("/plugins/doc-rag").await
}

/// What stands there of the capability `search`.
async fn access(bed: &Bed) -> Value {
    let status = status(bed).await;
    let rows = status["access"].as_array().expect("rows");
    let row = rows.iter().find(|row| row["capability"] == "search");
    row.unwrap_or_else(|| panic!("{status}")).clone()
}

/// The documents that an answer cites.
async fn cited(bed: &Bed) -> Vec<Value> {
    let mut chat = bed.chat().await;
    let reply = chat.ask("m", "chat", "How long is green tea steeped?").await;
    let data = reply.frames.iter().filter(|frame| frame["type"] == "data");
    data.map(|frame| frame["data"]["document"].clone()).collect()
}

async fn wait_for_pending(bed: &Bed) -> Value {
    eventually("a version to wait", async || {
        let status = status(bed).await;
        (!status["pending"].is_null()).then_some(status)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_reaches_further_waits_for_the_operator() {
    let bed = bed().await;
    let before = status(&bed).await;
    let row = access(&bed).await;
    assert_eq!((&row["wanted"], &row["granted"]), (&json!(true), &json!([])));
    assert!(cited(&bed).await.is_empty());

    bed.drop_by_rename("doc-rag.toml", GRANT);
    let waits = wait_for_pending(&bed).await;
    assert_eq!(waits["version"], before["version"], "the one before serves");
    assert_eq!(waits["pending"]["widens"], json!(["search: docs"]));
    assert!(cited(&bed).await.is_empty());

    let (code, answer) = bed
        .admin()
        .post(
            "/plugins/doc-rag/promote",
            &json!({ "version": before["version"] }),
        )
        .await;
    assert_eq!(
        (code, &answer["error"]["code"]),
        (409, &json!("state_conflict")),
        "{answer}"
    );
    let wanted = &waits["pending"]["version"];
    let (code, answer) = bed
        .admin()
        .post("/plugins/doc-rag/promote", &json!({ "version": wanted }))
        .await;
    assert_eq!((code, &answer["version"]), (200, wanted), "{answer}");
    eventually("the index to be read", async || {
        let (code, _) = bed.http().get("/health/ready").await;
        (code == 200).then_some(())
    })
    .await;
    assert_eq!(cited(&bed).await, ["tea.md"]);
    let row = access(&bed).await;
    assert_eq!(row["granted"], json!(["docs"]));
    assert!(row["used"].as_u64() > Some(0), "{row}");
    let (code, _) = bed.admin().post("/plugins/doc-rag/promote", &json!({})).await;
    assert_eq!(code, 404, "nothing waits any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_is_withdrawn_is_gone_at_once_and_comes_back() {
    let bed = bed().await;
    bed.drop_by_rename("doc-rag.toml", GRANT);
    wait_for_pending(&bed).await;
    let (code, _) = bed.admin().post("/plugins/doc-rag/promote", &json!({})).await;
    assert_eq!(code, 200);
    eventually("a citation", async || {
        (!cited(&bed).await.is_empty()).then_some(())
    })
    .await;

    let text = std::fs::read_to_string(bed.config_path()).expect("the config");
    let narrow = text.replace("search = [\"docs\"]", "search = []");
    assert_ne!(narrow, text);
    std::fs::write(bed.config_path(), narrow).expect("the config");
    let (code, answer) = bed.admin().post("/reload", &json!({})).await;
    assert_eq!(code, 200, "{answer}");
    assert!(cited(&bed).await.is_empty());

    std::fs::write(bed.config_path(), text).expect("the config");
    let (code, answer) = bed.admin().post("/reload", &json!({})).await;
    assert_eq!(code, 200, "{answer}");
    assert_eq!(cited(&bed).await, ["tea.md"]);
}
