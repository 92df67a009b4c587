//! What `deploy/` hands to an operator is true: Prometheus takes the rules, each
//! alert fires in a test of its own and has a runbook, and whatever a rule or a
//! panel asks for is there once a host has been under load. What the documents say
//! about metrics is what `/metrics` says.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use segue_tests::{Act, Bed, Http, Site, Upstream, eventually, within};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// What only the program has: a host that runs within another has no log of its own.
const OF_THE_PROGRAM: &str = "segue_log_dropped_total";

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Whether `program` is there; where tests must not be skipped it has to be.
fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|folder| folder.join(program).is_file()) {
        return true;
    }
    let must = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!must, "{program} is not installed");
    println!("skipped: {program} not installed");
    false
}

/// What follows `key` on the lines that have it.
fn values<'a>(text: &'a str, key: &'a str) -> BTreeSet<&'a str> {
    let found = text.lines().filter_map(|line| Some(line.split_once(key)?.1));
    found.map(|value| value.trim_matches([' ', '}', '"'])).collect()
}

// O48-O50, X34-X36, O30-O38: each is an alert that a test fires.
#[tokio::test]
async fn prometheus_takes_the_rules_and_every_alert_fires() {
    let rules = read("deploy/prometheus/orchestrator.rules.yml");
    let fired = read("deploy/prometheus/orchestrator.test.yml");
    assert_eq!(values(&rules, "alert: "), values(&fired, "  - name: "));
    if !installed("promtool") {
        return;
    }
    for args in [
        ["check", "rules", "orchestrator.rules.yml"],
        ["check", "config", "prometheus.yml"],
        ["test", "rules", "orchestrator.test.yml"],
    ] {
        let done = Command::new("promtool")
            .args(args)
            .current_dir(repository("deploy/prometheus"))
            .output();
        let done = within("promtool", done).await.expect("promtool");
        assert!(done.status.success(), "{args:?}: {done:?}");
    }
}

// X37
#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let rules = read("deploy/prometheus/orchestrator.rules.yml");
    let named: BTreeSet<String> = values(&rules, "runbook: ")
        .into_iter()
        .map(str::to_owned)
        .collect();
    let by_alert = values(&rules, "alert: ").into_iter();
    let by_alert: BTreeSet<_> = by_alert
        .map(|alert| format!("deploy/runbooks/{alert}.md"))
        .collect();
    let there = fs::read_dir(repository("deploy/runbooks")).unwrap();
    let there: BTreeSet<_> = there
        .map(|file| format!("deploy/runbooks/{}", file.unwrap().file_name().display()))
        .collect();
    assert_eq!(named, by_alert);
    assert_eq!(there, by_alert);
    for runbook in there {
        let text = read(&runbook);
        for part in ["## Meaning", "## First looks", "## Causes", "## Mends"] {
            assert!(text.contains(part), "{runbook} has no {part}");
        }
    }
}

/// A host that has produced everything there is to watch: answers, errors,
/// crashes, a fallback, a model and a database. `more` is added to its configuration.
async fn under_load(upstream: &Upstream, more: &str) -> Bed {
    upstream.answer(|_| vec![Act::say("Hello."), Act::usage(3, 1)]);
    let base_url = upstream.base_url();
    let bed = Site::builder()
        .standard()
        .plugin("chat")
        .sidecar("chat", "[grants]\nllm = [\"main\"]\nsession = [\"history\"]\n")
        .database("shop.db", "create table item (name text);")
        .plugin("doc-rag")
        .sidecar("doc-rag", "[grants]\nsearch = [\"docs\"]\n")
        .file("docs/tea.md", "# Tea\n\nSteep green tea for two minutes.\n")
        .config(&format!(
            r#"
            [plugins.max_grants]
            llm = ["main"]
            session = ["history"]
            search = ["docs"]

            [llm.main]
            provider = "openai"
            base_url = "{base_url}"
            model = "scripted"

            [budget.day]
            tokens = 1000000

            [cache.retrievals]

            [search.docs]
            path = "docs"
            cache = "retrievals"

            [[limit]]
            name = "few"
            match = {{ mtype = "few" }}
            rate = 1

            [sql.shop]
            url = "sqlite:shop.db"

            [resilience.sql]
            concurrency = 4

            [[route]]
            match = {{ mtype = "docs" }}
            handler = "doc-rag"

            [[route]]
            match = {{ mtype = "few" }}
            handler = "chat"

            [[route]]
            match = {{ mtype = "model" }}
            handler = "chat"

            [[route]]
            match = {{ mtype = "absent" }}
            handler = "absent"
            fallback = [{{ text = "Later." }}]
            "#
        ))
        .config(more)
        .start()
        .await;
    load(&bed).await;
    bed
}

async fn load(bed: &Bed) {
    let mut chat = bed.chat().await;
    for (id, (mtype, content)) in [
        ("chat", "Hello"),
        ("model", "Hello"),
        ("absent", "Hello"),
        ("do", "panic"),
        ("nobody", "Hello"),
    ]
    .into_iter()
    .enumerate()
    {
        chat.ask(&format!("m{id}"), mtype, content).await;
    }
    chat.ask("docs", "docs", "How long do I steep green tea?").await;
    chat.message("few-1", "few", "Hello").await;
    chat.until("done").await;
    chat.message("few-2", "few", "Hello").await;
    assert_eq!(chat.until("error").await["code"], "rate_limited");
    bed.http().get_ok("/health/live").await;
}

/// A Prometheus that reads one host every fifth of a second.
struct Prometheus {
    _child: Child,
    _folder: tempfile::TempDir,
    http: Http,
}

impl Prometheus {
    async fn watching(bed: &Bed) -> Prometheus {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "global: {{ scrape_interval: 200ms, scrape_timeout: 200ms }}\nscrape_configs:\n  - job_name: segue\n    static_configs:\n      - targets: [\"{}\"]\n",
            bed.addr()
        );
        let path = folder.path().join("prometheus.yml");
        fs::write(&path, config).unwrap();
        let mut child = Command::new("prometheus")
            .arg(format!("--config.file={}", path.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg("--web.listen-address=127.0.0.1:0")
            .arg("--log.format=json")
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("starting prometheus");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let addr = within("prometheus to listen", async {
            while let Some(line) = lines.next_line().await.unwrap() {
                let line: Value = serde_json::from_str(&line).unwrap_or_default();
                if line["msg"] == "Listening on" {
                    return line["address"].as_str().unwrap().parse().unwrap();
                }
            }
            panic!("prometheus ended");
        })
        .await;
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Prometheus {
            _child: child,
            _folder: folder,
            http: Http::new(addr, None),
        }
    }

    /// How many series answer a query; an error is the query's fault.
    async fn series(&self, query: &str) -> usize {
        let query_bytes: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let path = format!("/api/v1/query?query={query_bytes}");
        let request = self.http.request(reqwest::Method::GET, &path);
        let answer = self.http.send(request).await;
        if answer.status() == 503 {
            return 0;
        }
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        answer["data"]["result"].as_array().unwrap().len()
    }
}

/// Every query of the dashboard, with its variables filled in.
fn panel_queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana/segue.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let queries = targets.map(|target| target["expr"].as_str().unwrap());
    queries
        .map(|query| {
            query
                .replace("$instance", ".+")
                .replace("$__rate_interval", "10s")
        })
        .collect()
}

/// The series that a query selects: names with their matchers.
fn selectors(query: &str) -> Vec<String> {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let mut found = Vec::new();
    let mut rest = query;
    while let Some(start) = rest.find(|letter: char| is_name(letter) || letter == '"') {
        rest = &rest[start..];
        if let Some(quoted) = rest.strip_prefix('"') {
            rest = quoted.split_once('"').unwrap().1;
            continue;
        }
        let end = rest.find(|letter| !is_name(letter)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        rest = after;
        if !(name.starts_with("segue_") || name.starts_with("process_")) {
            continue;
        }
        let matchers = match after.strip_prefix('{') {
            Some(inside) => &after[..=inside.find('}').unwrap() + 1],
            None => "",
        };
        found.push(format!("{name}{matchers}"));
    }
    found
}

#[test]
fn selectors_are_names_with_their_matchers() {
    assert_eq!(
        selectors(r#"sum by (a) (rate(segue_a{x="segue_b"}[5m])) / segue_c > 0"#),
        [r#"segue_a{x="segue_b"}"#, "segue_c"]
    );
}

// X33, N47, B25
#[tokio::test(flavor = "multi_thread")]
async fn whatever_rules_and_panels_ask_for_is_there_under_load() {
    if !installed("prometheus") {
        return;
    }
    let upstream = Upstream::start().await;
    let bed = under_load(&upstream, "").await;
    let prometheus = Prometheus::watching(&bed).await;
    let rules = read("deploy/prometheus/orchestrator.rules.yml");
    let panels = panel_queries();
    assert!(panels.len() > 30, "{panels:?}");
    let asked = panels.iter().flat_map(|query| selectors(query));
    let asked: BTreeSet<String> = asked.chain(selectors(&without_texts(&rules))).collect();
    for selector in asked {
        if selector.starts_with(OF_THE_PROGRAM) {
            continue;
        }
        let what = format!("series of {selector}");
        eventually(&what, async || {
            (prometheus.series(&selector).await > 0).then_some(())
        })
        .await;
    }
    // A panel that looks for what is out of order may well be empty.
    let told = |query: &&String| !query.contains(" == ") && !query.contains(OF_THE_PROGRAM);
    for query in panels.iter().filter(told) {
        let what = format!("an answer to {query}");
        eventually(&what, async || (prometheus.series(query).await > 0).then_some(())).await;
    }
}

/// The rules without comments, names and annotations.
fn without_texts(rules: &str) -> String {
    let lines = rules.lines().filter(|line| {
        let line = line.trim_start();
        !["#", "summary:", "runbook:"]
            .iter()
            .any(|start| line.starts_with(start))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Metrics as `docs/observing.md` has them, with their labels.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let page = read("docs/observing.md");
    let mut documented = BTreeMap::new();
    for row in page.lines().filter(|line| line.starts_with("| `segue_")) {
        let names_in = |cell: &str| {
            let quoted = cell.split('`').skip(1).step_by(2);
            quoted.map(str::to_owned).collect::<BTreeSet<_>>()
        };
        let mut cells = row.split('|').skip(1).map(names_in);
        let (names, labels) = (cells.next().unwrap(), cells.next().unwrap());
        documented.extend(names.into_iter().map(|name| (name, labels.clone())));
    }
    documented
}

/// The types of what a scrape has, by name.
fn types(scraped: &str) -> BTreeMap<&str, &str> {
    let types = scraped.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.filter_map(|line| line.split_once(' ')).collect()
}

/// The labels of a metric's samples, but the bound of a histogram's bucket.
fn labels<'a>(scraped: &'a str, name: &str) -> BTreeSet<&'a str> {
    let samples = scraped
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.split_once('{'));
    let samples = samples.filter(|(suffix, _)| ["", "_bucket"].contains(suffix));
    let pairs = samples.flat_map(|(_, labels)| labels.rsplit_once('}').unwrap().0.split("\","));
    let names = pairs.map(|pair| pair.split_once('=').unwrap().0);
    names.filter(|name| *name != "le").collect()
}

// B25: and each can have a further name, which says what it says.
#[tokio::test(flavor = "multi_thread")]
async fn the_documented_metrics_are_the_metrics() {
    let documented = documented();
    let named = documented
        .keys()
        .map(|name| format!("[[metrics.alias]]\nname = \"also_{name}\"\nmetric = \"{name}\"\n"));
    let named: String = named.collect();
    let upstream = Upstream::start().await;
    let bed = under_load(&upstream, &named).await;
    let scraped = bed.http().get_ok("/metrics").await;
    let scraped = scraped.as_str().unwrap();
    let types = types(scraped);
    let told: BTreeSet<&str> = types
        .keys()
        .copied()
        .filter(|name| name.starts_with("segue_"))
        .collect();
    let mut names: BTreeSet<&str> = documented.keys().map(String::as_str).collect();
    assert!(names.remove(OF_THE_PROGRAM));
    assert_eq!(names, told);
    for name in told {
        let labels = labels(scraped, name);
        assert_eq!(
            labels,
            documented[name].iter().map(String::as_str).collect(),
            "{name}"
        );
        let also = format!("also_{name}");
        assert_eq!(types.get(also.as_str()), Some(&types[name]), "{name}");
        // Of the very same moment, so the same to the last digit.
        let samples = |name: &str| {
            let lines = scraped.lines().filter_map(|line| line.strip_prefix(name));
            let lines = lines.filter(|rest| rest.starts_with(['{', ' ', '_']));
            let values = lines.map(|rest| rest.rsplit_once(' ').unwrap().1.to_owned());
            let mut values: Vec<String> = values.collect();
            values.sort();
            values
        };
        let own = samples(name);
        assert!(!own.is_empty(), "{name}");
        if !told_with_more(name, &types) {
            assert_eq!(samples(&also), own, "{name}");
        }
    }
}

/// Whether another metric's name begins with this one's.
fn told_with_more(name: &str, types: &BTreeMap<&str, &str>) -> bool {
    let longer = |other: &&str| other.strip_prefix(name).is_some_and(|rest| rest.starts_with('_'));
    types.keys().any(longer)
}

const ALIASES: &str = r#"
    [metrics]
    aliases = ["nyx", "acexy", "nest"]

    [[metrics.alias]]
    name = "circuit_breaker_state"
    metric = "segue_breaker_state"
    match = { dependency = "llm.main", state = "open" }
    rename = { dependency = "", state = "" }
    labels = { service = "message-queue" }

    [resilience.llm.main]
    failure_threshold = 1
    reset_timeout = "10m"
    retries = 0
"#;

// N33-N36, X9, X10, X12, X14, X33-X35, O49, O50
#[tokio::test(flavor = "multi_thread")]
async fn dashboards_and_alerts_made_for_other_names_go_on_to_work() {
    if !installed("prometheus") {
        return;
    }
    let upstream = Upstream::start().await;
    let bed = under_load(&upstream, ALIASES).await;
    upstream.answer(|_| vec![Act::status(500, "out of order")]);
    bed.chat().await.ask("out", "model", "Hello").await;
    let prometheus = Prometheus::watching(&bed).await;
    for query in [
        // As the alerts and the panels of those hosts have them.
        r#"circuit_breaker_state{service="message-queue"} == 1"#,
        r#"orch_circuit_state{state="open"} == 1"#,
        "database_connections_active / database_connections_max <= 0.8",
        "histogram_quantile(0.95, rate(orch_api_duration_seconds_bucket[10s])) < 60",
        "rate(orch_communication_errors_total[10s]) >= 0",
        "histogram_quantile(0.95, nyx_orchestrator_message_processing_seconds_bucket) < 60",
        // What they say is what the metric says, at the same moment.
        "nyx_orchestrator_active_connections == segue_connections",
        r#"nyx_orchestrator_messages_received_total == on(message_type)
            label_replace(segue_messages_received_total, "message_type", "$1", "mtype", "(.*)") > 0"#,
        "nyx_orchestrator_messages_sent_total == segue_frames_sent_total > 0",
        r#"nyx_orchestrator_message_processing_seconds_sum == on(message_type)
            label_replace(segue_message_seconds_sum, "message_type", "$1", "mtype", "(.*)") > 0"#,
        r#"orch_api_requests_total == on(endpoint, method, status)
            label_replace(segue_http_requests_total, "endpoint", "$1", "route", "(.*)") > 0"#,
        r#"orch_api_duration_seconds_count == on(endpoint, method)
            label_replace(segue_http_request_seconds_count, "endpoint", "$1", "route", "(.*)") > 0"#,
        r#"orch_communication_errors_total{source="llm.main", error_type="failure"} == on(job)
            segue_breaker_calls_total{dependency="llm.main", outcome="failure"} > 0"#,
        r#"database_connections_max == on(database) segue_sql_queries_max > 0"#,
    ] {
        let what = format!("an answer to {query}");
        eventually(&what, async || (prometheus.series(query).await > 0).then_some(())).await;
    }
}
