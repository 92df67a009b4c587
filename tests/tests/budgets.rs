//! Budgets of models: what is used up is refused with the time to come back, over a
//! socket and over HTTP, until an operator allows more; answers that break off or
//! are cancelled are charged too; and what is left can be read.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use segue_tests::{Act, Bed, Site, Upstream};
use serde_json::json;

/// A host whose message type `chat` is answered by the model `main`, at 2 and 8 for
/// a million tokens, under this budget.
async fn bed(upstream: &Upstream, budget: &str) -> Bed {
    let base_url = upstream.base_url();
    Site::builder()
        .plugin("chat")
        .sidecar("chat", "[grants]\nllm = [\"main\"]\nsession = [\"history\"]\n")
        .config(&format!(
            r#"
            [plugins.max_grants]
            llm = ["main"]
            session = ["history"]

            [llm.main]
            provider = "openai"
            base_url = "{base_url}"
            model = "scripted"
            input_cost = 2.0
            output_cost = 8.0

            [budget.day]
            {budget}

            [[route]]
            match = {{ mtype = "chat" }}
            handler = "chat"
            "#
        ))
        .start()
        .await
}

// O18
#[tokio::test(flavor = "multi_thread")]
async fn what_is_used_up_is_refused_until_there_is_more() {
    let upstream = Upstream::start().await;
    upstream.answer(|_| vec![Act::say("Well."), Act::usage(90, 20)]);
    let bed = bed(&upstream, "tokens = 100\nper = [\"plugin\"]\nperiod = \"1h\"").await;
    let mut chat = bed.chat().await;
    let first = chat.ask("a", "chat", "Hello").await;
    assert_eq!(first.text, "Well.");
    let meters = &first.last["parts"][0]["usage"]["meters"];
    assert_eq!(
        (&meters["llm.input_tokens"], &meters["llm.output_tokens"]),
        (&json!(90), &json!(20))
    );

    let refused = chat.ask("b", "chat", "Hello").await;
    assert_eq!(refused.error_code(), "budget_exceeded");
    let wait = refused.last["retry_after_ms"].as_u64().unwrap();
    assert!((3_500_000..=3_600_000).contains(&wait), "{}", refused.last);
    assert_eq!(upstream.requests().len(), 1, "nothing was sent");
    let http = bed.http();
    let request = http
        .request(reqwest::Method::POST, "/v1/messages")
        .header("accept", "application/json");
    let answer = http
        .send(request.json(&json!({"mtype": "chat", "content": "Hello"})))
        .await;
    assert_eq!(answer.status().as_u16(), 429);
    let seconds: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((3_500..=3_600).contains(&seconds));

    let admin = bed.admin();
    let state = admin.get_ok("/budgets").await;
    let day = &state["budgets"][0];
    assert_eq!((&day["budget"], &day["plugin"]), (&json!("day"), &json!("chat")));
    assert_eq!((&day["tokens"], &day["tokens_left"]), (&json!(110), &json!(0)));
    let left = "segue_llm_budget_remaining{budget=\"day\",unit=\"tokens\"}";
    assert!(http.metric(left).await.abs() < f64::EPSILON);
    let cost = "segue_llm_cost_total{model=\"main\",target=\"default\"}";
    let expected = (90.0 * 2.0 + 20.0 * 8.0) / 1e6;
    assert!((http.metric(cost).await - expected).abs() < 1e-12);

    // More, while the host runs: what was spent stays spent.
    let config = std::fs::read_to_string(bed.config_path()).unwrap();
    std::fs::write(bed.config_path(), config.replace("tokens = 100", "tokens = 200")).unwrap();
    assert_eq!(admin.post("/reload", &json!({})).await.0, 200);
    assert_eq!(chat.ask("c", "chat", "Hello").await.text, "Well.");
    assert_eq!(
        chat.ask("d", "chat", "Hello").await.error_code(),
        "budget_exceeded"
    );
}

// O18
#[tokio::test(flavor = "multi_thread")]
async fn answers_that_break_off_or_are_cancelled_are_charged() {
    let upstream = Upstream::start().await;
    let bed = bed(&upstream, "tokens = 1000000\ncost = 1.0").await;
    let mut chat = bed.chat().await;
    let spent = async || {
        let state = bed.admin().get_ok("/budgets").await;
        state["budgets"][0]["tokens"].as_u64().unwrap()
    };
    // 4 tokens of text, by estimate, and the prompt.
    upstream.script([Act::say("Sixteen letters."), Act::Cut]);
    assert_eq!(
        chat.ask("a", "chat", "Hello").await.error_code(),
        "upstream_failed"
    );
    let broken = spent().await;
    assert!(broken > 4, "{broken}");
    upstream.script([Act::say("Sixteen letters."), Act::Hang]);
    chat.message("b", "chat", "Hello").await;
    chat.until("chunk").await;
    chat.send(json!({"type": "cancel", "id": "b"})).await;
    assert_eq!(chat.reply("b").await.error_code(), "cancelled");
    upstream.closed(1).await;
    let cancelled = spent().await;
    assert!(cancelled >= broken + 4, "{cancelled} after {broken}");
    // Refused: nothing.
    upstream.script([Act::status(500, "out of order")]);
    assert_eq!(
        chat.ask("c", "chat", "Hello").await.error_code(),
        "upstream_unavailable"
    );
    assert_eq!(spent().await, cancelled);
}
