//! The chat page, as a person sees it in a browser: answers stream, a swapped
//! plugin shows, and neither a lost connection nor a reload loses or doubles
//! anything.
//!
//! Drives Debian's headless Chromium through its chromedriver, one browser a
//! test.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod driver;
mod sources;

use fantoccini::Locator;
use segue_tests::{Bed, Site, component, eventually, within};
use serde_json::{Value, json};

use driver::Browser;

/// `chat` is answered by a plugin of that name, at first `echo`; `do` by
/// `misbehave`.
async fn bed() -> Bed {
    Site::builder()
        .plugin_as("chat", &component("echo"))
        .plugin("misbehave")
        .config(
            r#"
            [[route]]
            match = { mtype = "chat" }
            handler = "chat"

            [[route]]
            match = { mtype = "do" }
            handler = "misbehave"
            "#,
        )
        .start()
        .await
}

/// What `slow N MS` answers.
fn counted(chunks: u32) -> String {
    (0..chunks).map(|n| format!("{n} ")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_under_the_page_shows_with_the_next_answer() {
    let mut bed = bed().await;
    let Some(browser) = Browser::open(&bed).await else {
        return;
    };
    browser.say("Good morning").await;
    let before = browser.settled(1).await.remove(0);
    assert_eq!(
        (before.question.as_str(), before.answer.as_str()),
        ("Good morning", "Good morning")
    );
    assert_eq!(
        before.version,
        bed.host
            .runtime()
            .generation("chat")
            .expect("a generation")
            .version()
    );

    bed.drop_by_rename("chat.wasm", &component("eliza"));
    let swapped_to = bed.loaded("chat").await;
    browser.say("I need a holiday").await;
    let shown = browser.settled(2).await;
    assert_eq!(shown[0], before, "what was answered stays as it is");
    assert_eq!(shown[1].version, swapped_to);
    assert_ne!(shown[1].answer, shown[1].question, "another plugin answers");
    assert_eq!(
        browser.notices().await,
        [format!("chat is now {}…", &swapped_to[..15])]
    );

    // The list beside it follows.
    eventually("the list of plugins to show the new version", || async {
        let css = format!("[data-testid=plugin][data-name=chat][data-version=\"{swapped_to}\"]");
        browser.page.find(Locator::Css(&css)).await.ok().map(drop)
    })
    .await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disconnect_in_the_middle_of_an_answer_loses_and_doubles_nothing() {
    let bed = bed().await;
    let Some(browser) = Browser::open(&bed).await else {
        return;
    };
    browser.say("before").await;
    browser.settled(1).await;
    browser.use_mtype("do").await;
    browser.say("slow 40 50").await;
    browser.streaming("5 ").await;
    browser.click("connect").await;
    browser.status("offline").await;
    let left_at = browser.seq().await;

    browser.use_mtype("chat").await;
    browser.say("typed while away").await;
    browser.say("and another").await;
    // The answer goes on without the page.
    eventually("the host to go on", || async {
        let sessions = bed.http().get_ok("/v1/sessions").await;
        let last = sessions["sessions"][0]["last_seq"].as_u64().expect("a number");
        (last > left_at + 5).then_some(())
    })
    .await;
    assert_eq!(
        browser.seq().await,
        left_at,
        "a page without a connection hears nothing"
    );

    browser.click("connect").await;
    browser.status("connected").await;
    assert_eq!(browser.text("recovered").await, "yes");
    let shown = browser.settled(4).await;
    let said: Vec<(&str, &str)> = shown
        .iter()
        .map(|e| (e.question.as_str(), e.answer.as_str()))
        .collect();
    let whole = counted(40);
    let expected = [
        ("before", "before"),
        ("slow 40 50", whole.as_str()),
        ("typed while away", "typed while away"),
        ("and another", "and another"),
    ];
    assert_eq!(said, expected);
    assert_eq!(browser.notices().await, ["Connected again. Nothing was missed."]);
    assert_eq!(
        asked_of_host(&bed, &browser.session().await).await,
        ["before", "slow 40 50", "typed while away", "and another"]
    );

    browser.page.refresh().await.expect("a reload");
    browser.status("connected").await;
    assert_eq!(browser.settled(4).await, shown, "a reload shows the conversation");
    assert_eq!(browser.text("recovered").await, "yes");
    browser.close().await;
}

/// The messages that the host has taken, in order.
async fn asked_of_host(bed: &Bed, session: &str) -> Vec<String> {
    let history = bed
        .http()
        .get_ok(&format!("/v1/sessions/{session}/messages"))
        .await;
    let turns = history["messages"].as_array().expect("turns");
    turns
        .iter()
        .filter(|turn| turn["role"] == "user")
        .map(|turn| turn["content"].as_str().expect("content").to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_in_the_middle_of_an_answer_goes_on_where_it_was() {
    let bed = bed().await;
    let Some(browser) = Browser::open(&bed).await else {
        return;
    };
    let session = browser.session().await;
    browser.use_mtype("do").await;
    browser.say("slow 40 50").await;
    browser.streaming("5 ").await;
    browser.page.refresh().await.expect("a reload");
    browser.status("connected").await;
    assert_eq!(browser.session().await, session);
    let shown = browser.settled(1).await;
    assert_eq!(shown[0].answer, counted(40));
    assert_eq!(browser.text("recovered").await, "yes");
    assert_eq!(asked_of_host(&bed, &session).await, ["slow 40 50"]);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_data_cancel_and_refused_plugins_are_shown() {
    let mut bed = bed().await;
    let Some(browser) = Browser::open(&bed).await else {
        return;
    };
    browser.use_mtype("do").await;
    browser.say("trap-mid").await;
    let shown = browser.settled(1).await;
    assert_eq!(
        (shown[0].answer.as_str(), shown[0].error.as_str()),
        ("one two ", "handler_trapped")
    );
    browser.say("data").await;
    let shown = browser.settled(2).await;
    assert_eq!(
        serde_json::from_str::<Value>(&shown[1].data).expect("JSON"),
        json!({ "rows": [1, 2, 3] })
    );
    browser.say("slow 1000 50").await;
    browser.streaming("3 ").await;
    let cancel = browser
        .page
        .find(Locator::Css("[data-state=running] [data-testid=cancel]"))
        .await;
    cancel
        .expect("a button to cancel")
        .click()
        .await
        .expect("a click");
    let shown = browser.settled(3).await;
    assert_eq!(
        (shown[2].state.as_str(), shown[2].error.as_str()),
        ("cancelled", "cancelled")
    );
    assert!(shown[2].answer.starts_with("0 1 2 3 "), "{:?}", shown[2]);
    browser.say("<img src=x onerror=alert(1)>").await;
    let shown = browser.settled(4).await;
    assert_eq!(shown[3].question, "<img src=x onerror=alert(1)>");

    browser.say("retryable overloaded 200").await;
    browser.settled(5).await;
    let css = "[data-testid=retry]:enabled";
    let retry = within(
        "a way to try again",
        browser.page.wait().for_element(Locator::Css(css)),
    )
    .await;
    retry.expect("a button").click().await.expect("a click");
    let shown = browser.settled(5).await;
    assert_eq!(shown[4].error, "overloaded");

    bed.drop_by_rename("chat.wasm", b"no component");
    let (_, why) = bed.refused("chat").await;
    browser.click("plugins-toggle").await;
    browser.click("plugins-toggle").await;
    let refusal = eventually("the refusal in the list", || async {
        let css = "[data-name=chat] [data-testid=plugin-error]";
        browser.page.find(Locator::Css(css)).await.ok()?.text().await.ok()
    })
    .await;
    assert!(refusal.contains(&why), "{refusal:?} without {why:?}");

    // Failed answers stay, with what was said, over a reload.
    browser.page.refresh().await.expect("a reload");
    browser.status("connected").await;
    assert_eq!(browser.exchanges().await[..4], shown[..4]);
    browser.close().await;
}
