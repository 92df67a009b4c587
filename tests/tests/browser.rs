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

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use fantoccini::elements::Element;
use fantoccini::key::Key;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal, kill_process_group};
use segue_tests::{Bed, Site, component, eventually, within};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// What the page shows of one message and its answer.
const READ_PAGE: &str = r#"
    const text = (of, id) => of.querySelector(`[data-testid="${id}"]`)?.textContent ?? "";
    return [...document.querySelectorAll('[data-testid="exchange"]')].map((exchange) => ({
        state: exchange.dataset.state,
        question: exchange.querySelector('[data-testid="question"]').lastChild.textContent,
        answer: [...exchange.querySelectorAll('[data-testid="answer-text"]')].map((part) => part.textContent).join("|"),
        version: exchange.querySelector('[data-testid="badge"]')?.dataset.version ?? "",
        error: text(exchange, "error-code"),
        data: text(exchange, "data-json"),
    }));
"#;

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Exchange {
    state: String,
    question: String,
    answer: String,
    version: String,
    error: String,
    data: String,
}

struct Browser {
    page: Client,
    driver_url: String,
    // Ended and removed when the test is over, in this order.
    driver: Driver,
    _profile: TempDir,
}

/// A chromedriver and the browsers it has started: one group of processes, so
/// that a test that fails leaves none behind.
struct Driver(Child);

impl Driver {
    fn kill(&self) {
        if let Some(group) = self.0.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) {
            let _ended_already = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where a program lies. Says that the test is skipped when it is missing;
/// where everything has to run, that is a failure.
fn installed(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|file| file.is_file());
    if found.is_none() {
        let required = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!required, "{program} is not installed");
        // Past the capture of test output, so that it is seen.
        let _ = writeln!(std::io::stderr(), "skipped: {program} not installed");
    }
    found
}

impl Browser {
    /// A browser on the page of this host; `None` where there is no browser.
    async fn open(bed: &Bed) -> Option<Browser> {
        let (chromium, chromedriver) = (installed("chromium")?, installed("chromedriver")?);
        let profile = tempfile::Builder::new()
            .prefix("segue-browser-")
            .tempdir()
            .expect("a profile folder");
        let (driver, driver_url) = start_driver(&chromedriver).await;
        let page = start_browser(&chromium, profile.path(), &driver_url).await;
        page.goto(&format!("http://{}/", bed.addr()))
            .await
            .expect("opening the page");
        let browser = Browser {
            page,
            driver_url,
            driver,
            _profile: profile,
        };
        browser.status("connected").await;
        Some(browser)
    }

    async fn find(&self, testid: &str) -> Element {
        let css = format!("[data-testid=\"{testid}\"]");
        let found = self.page.find(Locator::Css(&css)).await;
        found.unwrap_or_else(|error| panic!("{testid} on the page: {error}"))
    }

    async fn click(&self, testid: &str) {
        self.find(testid)
            .await
            .click()
            .await
            .unwrap_or_else(|error| panic!("clicking {testid}: {error}"));
    }

    async fn text(&self, testid: &str) -> String {
        self.find(testid).await.text().await.expect("its text")
    }

    /// Waits until the connection is in this state.
    async fn status(&self, wanted: &str) {
        eventually(&format!("the page to be {wanted}"), || async {
            let state = self.find("status").await.attr("data-state").await.ok()??;
            (state == wanted).then_some(())
        })
        .await;
    }

    async fn say(&self, text: &str) {
        let keys = format!("{text}{}", char::from(Key::Enter));
        self.find("input").await.send_keys(&keys).await.expect("typing");
    }

    /// Asks for another message type from now on.
    async fn use_mtype(&self, mtype: &str) {
        if !self
            .find("mtype")
            .await
            .is_displayed()
            .await
            .expect("whether it shows")
        {
            self.click("options-toggle").await;
        }
        let field = self.find("mtype").await;
        field.clear().await.expect("emptying the field");
        field.send_keys(mtype).await.expect("typing");
    }

    async fn exchanges(&self) -> Vec<Exchange> {
        let read = self
            .page
            .execute(READ_PAGE, vec![])
            .await
            .expect("reading the page");
        serde_json::from_value(read).expect("what the page shows")
    }

    /// Waits until `count` messages stand on the page and none waits for more.
    async fn settled(&self, count: usize) -> Vec<Exchange> {
        eventually(&format!("{count} answered messages"), || async {
            let all = self.exchanges().await;
            let settled = all
                .iter()
                .all(|e| ["done", "failed", "cancelled"].contains(&e.state.as_str()));
            (all.len() == count && settled).then_some(all)
        })
        .await
    }

    /// Waits until the last answer runs and has said this much.
    async fn streaming(&self, said: &str) {
        eventually(&format!("{said:?} in a running answer"), || async {
            let last = self.exchanges().await.pop()?;
            (last.state == "running" && last.answer.contains(said)).then_some(())
        })
        .await;
    }

    async fn notices(&self) -> Vec<String> {
        let mut notices = Vec::new();
        for notice in self
            .page
            .find_all(Locator::Css("[data-testid=notice]"))
            .await
            .expect("notices")
        {
            notices.push(notice.text().await.expect("a notice"));
        }
        notices
    }

    async fn session(&self) -> String {
        self.find("session")
            .await
            .attr("title")
            .await
            .expect("a title")
            .expect("a session")
    }

    async fn seq(&self) -> u64 {
        self.text("seq").await.parse().expect("a number")
    }

    /// Everything was seen; the browser must have had nothing to complain of.
    async fn close(mut self) {
        let complaints: Vec<Value> = self
            .log()
            .await
            .into_iter()
            .filter(|entry| entry["level"] == "SEVERE")
            .collect();
        assert!(complaints.is_empty(), "{complaints:#?}");
        self.page.close().await.expect("closing the browser");
        // What still writes into the profile would keep it from being removed.
        self.driver.kill();
        within("chromedriver to end", self.driver.0.wait())
            .await
            .expect("its end");
    }

    /// What stands on the page's console, violations of its policy among it.
    async fn log(&self) -> Vec<Value> {
        let session = self
            .page
            .session_id()
            .await
            .expect("the driver's session")
            .expect("a session");
        let url = format!("{}/session/{session}/se/log", self.driver_url);
        let client = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("an HTTP client");
        let answer = client
            .post(url)
            .json(&json!({ "type": "browser" }))
            .send()
            .await
            .expect("the browser's log");
        let body: Value = answer.json().await.expect("the log in JSON");
        body["value"].as_array().expect("entries").clone()
    }
}

/// Starts chromedriver on a port of its own choice.
async fn start_driver(program: &Path) -> (Driver, String) {
    let mut driver = Command::new(program)
        .arg("--port=0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("starting chromedriver");
    let mut lines = BufReader::new(driver.stdout.take().expect("its output")).lines();
    let started = async {
        loop {
            let line = lines
                .next_line()
                .await
                .expect("its output")
                .expect("the line that names its port");
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                return port.trim_end_matches('.').to_owned();
            }
        }
    };
    let driver = Driver(driver);
    let port = within("chromedriver to start", started).await;
    // It blocks once nobody reads what it says.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (driver, format!("http://127.0.0.1:{port}"))
}

async fn start_browser(program: &Path, profile: &Path, driver_url: &str) -> Client {
    let args = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        "--window-size=1280,900",
    ];
    let mut args: Vec<String> = args.iter().map(ToString::to_string).collect();
    args.push(format!("--user-data-dir={}", profile.display()));
    let wishes = json!({
        "browserName": "chrome",
        "goog:chromeOptions": { "binary": program, "args": args },
        "goog:loggingPrefs": { "browser": "ALL" },
    });
    let wishes = wishes.as_object().expect("an object").clone();
    let mut builder = ClientBuilder::new(HttpConnector::new());
    within(
        "Chromium to start",
        builder.capabilities(wishes).connect(driver_url),
    )
    .await
    .expect("starting Chromium")
}

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
