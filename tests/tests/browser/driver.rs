//! A browser on the page of a host: what it shows, and how a person uses it.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use fantoccini::elements::Element;
use fantoccini::key::Key;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal, kill_process_group};
use segue_tests::{Bed, eventually, within};
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
pub struct Exchange {
    pub state: String,
    pub question: String,
    pub answer: String,
    pub version: String,
    pub error: String,
    pub data: String,
}

pub struct Browser {
    pub page: Client,
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
    pub async fn open(bed: &Bed) -> Option<Browser> {
        Browser::open_at(bed.addr()).await
    }

    /// The same of the host at this address.
    pub async fn open_at(addr: SocketAddr) -> Option<Browser> {
        let (chromium, chromedriver) = (installed("chromium")?, installed("chromedriver")?);
        let profile = tempfile::Builder::new()
            .prefix("segue-browser-")
            .tempdir()
            .expect("a profile folder");
        let (driver, driver_url) = start_driver(&chromedriver).await;
        let page = start_browser(&chromium, profile.path(), &driver_url).await;
        page.goto(&format!("http://{addr}/"))
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

    pub async fn find(&self, testid: &str) -> Element {
        let css = format!("[data-testid=\"{testid}\"]");
        let found = self.page.find(Locator::Css(&css)).await;
        found.unwrap_or_else(|error| panic!("{testid} on the page: {error}"))
    }

    pub async fn click(&self, testid: &str) {
        self.find(testid)
            .await
            .click()
            .await
            .unwrap_or_else(|error| panic!("clicking {testid}: {error}"));
    }

    /// A toggle is a box under its label.
    pub async fn click_toggle(&self, testid: &str) {
        let css = format!("label:has([data-testid=\"{testid}\"])");
        let label = self.page.find(Locator::Css(&css)).await;
        label.expect("a toggle").click().await.expect("a click");
    }

    pub async fn text(&self, testid: &str) -> String {
        self.find(testid).await.text().await.expect("its text")
    }

    /// Waits until the connection is in this state.
    pub async fn status(&self, wanted: &str) {
        eventually(&format!("the page to be {wanted}"), || async {
            let state = self.find("status").await.attr("data-state").await.ok()??;
            (state == wanted).then_some(())
        })
        .await;
    }

    pub async fn say(&self, text: &str) {
        let keys = format!("{text}{}", char::from(Key::Enter));
        self.find("input").await.send_keys(&keys).await.expect("typing");
    }

    /// Asks for another message type from now on.
    pub async fn use_mtype(&self, mtype: &str) {
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

    pub async fn exchanges(&self) -> Vec<Exchange> {
        let read = self
            .page
            .execute(READ_PAGE, vec![])
            .await
            .expect("reading the page");
        serde_json::from_value(read).expect("what the page shows")
    }

    /// Waits until `count` messages stand on the page and none waits for more.
    pub async fn settled(&self, count: usize) -> Vec<Exchange> {
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
    pub async fn streaming(&self, said: &str) {
        eventually(&format!("{said:?} in a running answer"), || async {
            let last = self.exchanges().await.pop()?;
            (last.state == "running" && last.answer.contains(said)).then_some(())
        })
        .await;
    }

    pub async fn notices(&self) -> Vec<String> {
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

    pub async fn session(&self) -> String {
        self.find("session")
            .await
            .attr("title")
            .await
            .expect("a title")
            .expect("a session")
    }

    pub async fn seq(&self) -> u64 {
        self.text("seq").await.parse().expect("a number")
    }

    /// Everything was seen; the browser must have had nothing to complain of.
    pub async fn close(mut self) {
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
        let answer = segue_tests::client()
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
