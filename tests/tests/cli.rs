//! The `segue` program as a person and an orchestrator use it: exit codes, one
//! clear sentence for what is wrong, and an orderly end.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::fs;
use std::time::{Duration, Instant};

use segue_tests::{Chat, Connect, Event, Http, LogLine, Process, Site, component, eventually};
use serde_json::{Value, json};

async fn run(args: &[&str]) -> (i32, String) {
    let finished = Process::run(args).finished().await;
    (finished.code(), finished.output)
}

fn path(site: &Site) -> String {
    site.config_path().display().to_string()
}

/// A host that does not start says why in one sentence with all these words.
async fn does_not_start(site: &Site, code: i32, words: &[&str]) {
    let finished = Process::serve(site).finished().await;
    assert_eq!(finished.code(), code, "{}", finished.output);
    // The log of the start may stand before; what went wrong stands last.
    let last = finished.output.lines().last().unwrap_or_default();
    for word in words {
        assert!(last.contains(word), "no `{word}` in: {}", finished.output);
    }
    // In words, not by the system's number.
    assert!(!last.contains("os error"), "{last}");
    assert!(!finished.output.contains("panicked"), "{}", finished.output);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_exits_0_1_or_2() {
    let good = Site::builder().standard().build();
    let (code, said) = run(&["check", "--config", &path(&good)]).await;
    assert_eq!(code, 0, "{said}");

    let bad = Site::builder().standard().build();
    fs::write(
        bad.config_path(),
        "[server]\nlisten = 7\nmax_conections = 5\n[log]\nlevel = \"loud\"\n",
    )
    .expect("a config");
    let (code, said) = run(&["check", "--config", &path(&bad)]).await;
    assert_eq!(code, 1, "{said}");
    // All faults at once, each with its line and its mend.
    for word in [
        "2",
        "3",
        "5",
        "listen",
        "max_conections",
        "max_connections",
        "loud",
    ] {
        assert!(said.contains(word), "no `{word}` in: {said}");
    }

    let (code, said) = run(&["check", "--config", "/no/such/segue.toml"]).await;
    assert_eq!(code, 2, "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_warns_in_the_order_of_the_file() {
    let site = Site::builder().build();
    let routes = ["zebra", "echo", "ant"]
        .map(|name| format!("[[route]]\nmatch = {{ mtype = \"{name}\" }}\nhandler = \"{name}\"\n"));
    fs::write(site.config_path(), routes.concat()).expect("a config");
    let (code, said) = run(&["check", "--config", &path(&site)]).await;
    assert_eq!(code, 0, "{said}");
    let at = |name: &str| said.find(&format!("nothing answers for `{name}`")).expect(name);
    assert!(at("zebra") < at("echo") && at("echo") < at("ant"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_names_a_route_that_can_never_match() {
    let site = Site::builder()
        .standard()
        .config("[[route]]\nmatch = { mtype = \"chat\" }\nhandler = \"stamp\"")
        .build();
    let (_, said) = run(&["check", "--config", &path(&site)]).await;
    assert!(said.contains("never"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_capability_lacks_is_a_fault_to_check_and_a_warning_to_serve() {
    let site = Site::builder()
        .standard()
        .plugin("probe")
        .config(
            "[sql.shop]\nurl = \"sqlite:nowhere.db\"\n[search.docs]\npath = \"nowhere\"\n\
             [plugins.max_grants]\nsql = [\"shop\"]\n",
        )
        .build();
    let (code, said) = run(&["check", "--config", &path(&site)]).await;
    assert_eq!(code, 1, "{said}");
    for word in ["sql.shop", "nowhere.db", "search.docs"] {
        assert!(said.contains(word), "no `{word}` in: {said}");
    }
    let mut serving = Process::serve(&site);
    serving.serving().await;
    serving.terminate();
    assert_eq!(serving.finished().await.code(), 0);

    // A ceiling over what there is not can only be a mistake.
    let site = Site::builder()
        .standard()
        .config("[sql.shop]\nurl = \"sqlite:shop.db\"\n[plugins.max_grants]\nsql = [\"shpo\"]\n")
        .database("shop.db", "CREATE TABLE a (b);")
        .build();
    let (code, said) = run(&["check", "--config", &path(&site)]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("shpo") && said.contains("\"shop\""), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn inspect_tells_what_a_component_is() {
    let site = Site::builder().plugin("echo").plugin("greedy").build();
    let file = |name: &str| site.plugin_path(name).display().to_string();
    let (code, said) = run(&["inspect", &file("echo.wasm")]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("handler") && said.contains("0.1.0"), "{said}");

    let (code, said) = run(&["inspect", &file("greedy.wasm")]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("acme:secret/vault"), "{said}");

    fs::write(site.plugin_path("text.wasm"), "no component").expect("a file");
    let (code, said) = run(&["inspect", &file("text.wasm")]).await;
    assert_eq!(code, 1, "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_ls_asks_the_running_host() {
    let site = Site::builder().standard().plugin_as("bad", b"rubbish").build();
    let mut host = Process::serve(&site);
    let (public, admin) = host.serving().await;
    ready(public).await;
    let url = format!("http://{admin}");
    let config = path(&site);
    let (code, said) = run(&["plugins", "ls", "--config", &config, "--admin", &url]).await;
    assert_eq!(code, 0, "{said}");
    for word in [
        "echo",
        "misbehave",
        "stamp",
        "active",
        "bad",
        "refused",
        "not_wasm",
    ] {
        assert!(said.contains(word), "no `{word}` in: {said}");
    }
    let (_, said) = run(&["plugins", "ls", "--config", &config, "--admin", &url, "--json"]).await;
    serde_json::from_str::<Value>(&said).expect("JSON");

    host.terminate();
    host.finished().await;
    let (code, said) = run(&["plugins", "ls", "--config", &config, "--admin", &url]).await;
    assert_eq!(code, 1, "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("running"), "{said}");
}

/// What `inspect` tells of a file can be found again in a host that serves it.
#[tokio::test(flavor = "multi_thread")]
async fn inspect_names_the_version_and_the_digest_that_the_host_has() {
    let site = Site::builder()
        .plugin("echo")
        .sidecar(
            "echo",
            "[settings]\nmax_rows = 5\n[limits]\nmemory = \"32 MiB\"\n",
        )
        .config("[limits]\ndeadline = \"7s\"\n[[route]]\nhandler = \"echo\"")
        .build();
    let mut host = Process::serve(&site);
    let (public, admin) = host.serving().await;
    ready(public).await;
    let (config, admin) = (path(&site), admin.to_string());
    let asked = ["show", "echo", "--config", &config, "--admin", &admin];
    let (code, shown) = run(&[&["plugins"], &asked[..]].concat()).await;
    assert_eq!(code, 0, "{shown}");
    let file = site.plugin_path("echo.wasm").display().to_string();
    let (code, inspected) = run(&["inspect", &file, "--config", &config]).await;
    assert_eq!(code, 0, "{inspected}");
    for key in ["version ", "file "] {
        let line = |said: &str| {
            let line = said.lines().find(|line| line.starts_with(key));
            line.unwrap_or_else(|| panic!("no `{key}` in {said}")).to_owned()
        };
        assert!(line(&shown).contains("sha256:"), "{shown}");
        assert_eq!(line(&shown), line(&inspected));
    }
    // Without the config nobody knows its limits, and that is said.
    let (_, inspected) = run(&["inspect", &file]).await;
    assert!(
        inspected.contains("unless [limits] of its config differ"),
        "{inspected}"
    );
    host.terminate();
    host.finished().await;
}

/// Whoever looks up why a message failed finds the panic's own words on that line,
/// however much the guest wrote before, and nothing about variables it cannot have.
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_told_with_its_message_where_its_call_failed() {
    let site = Site::builder().standard().build();
    let mut host = Process::serve(&site);
    let (public, _) = host.serving().await;
    ready(public).await;
    let mut chat = Chat::connect(public).await;
    let reply = chat.ask("m1", "do", "panic").await;
    assert_eq!(reply.error_code(), "handler_trapped");
    let failed = |line: &LogLine| line.text.contains("a call failed");
    let line = host.line("the crash to be told", failed).await;
    let extra = &line.json.expect("a JSON line")["extra"];
    let words = extra["stderr"].as_str().expect("the panic's words");
    assert!(
        words.contains("panicked at tests/guests/misbehave/src/lib.rs:"),
        "{words}"
    );
    assert!(words.ends_with(": as you wished"), "{words}");
    // This guest is stripped of its names: numbers of functions would say nothing.
    assert_eq!(extra.get("backtrace"), None, "{extra}");
    assert_eq!(extra.get("detail"), None, "{extra}");
    host.terminate();
    let said = host.finished().await.output;
    assert!(!said.contains("RUST_BACKTRACE"), "{said}");
}

async fn ready(addr: std::net::SocketAddr) {
    let http = Http::new(addr, None);
    eventually("the host to be ready", || async {
        (http.get("/health/ready").await.0 == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_told() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let addr = taken.local_addr().expect("an address").to_string();
    for section in ["server", "admin"] {
        let site = Site::builder()
            .standard()
            .config(&format!("[{section}]\nlisten = \"{addr}\""))
            .build();
        does_not_start(&site, 1, &[&addr, "another program listens there", "listen"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_plugin_folder_is_told() {
    let site = Site::builder()
        .standard()
        .config("[plugins]\ndir = \"nowhere\"")
        .build();
    does_not_start(&site, 1, &["nowhere", "dir"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_config_is_told_with_its_line() {
    let site = Site::builder().standard().build();
    fs::write(site.config_path(), "[server]\nlisten = \"127.0.0.1:0\n").expect("a config");
    let finished = Process::serve(&site).finished().await;
    assert_eq!(finished.code(), 1, "{}", finished.output);
    assert!(finished.output.contains("segue.toml:2"), "{}", finished.output);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_beyond_loopback_needs_insecure() {
    let site = Site::builder()
        .standard()
        .config("[server]\nlisten = \"0.0.0.0:0\"")
        .build();
    let finished = Process::serve(&site).finished().await;
    assert_eq!(finished.code(), 1, "{}", finished.output);
    assert!(finished.output.contains("--insecure"), "{}", finished.output);

    let mut host = Process::serve_with(&site, &["--insecure"]);
    host.serving().await;
    host.interrupt();
    assert_eq!(host.finished().await.code(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_cannot_be_used_costs_one_warning() {
    let site = Site::builder()
        .standard()
        .config("[plugins]\ncache = \"cache\"")
        .build();
    // Whoever runs as root may write anywhere, but not into a file.
    fs::write(site.root().join("cache"), "a file").expect("a file");
    let mut host = Process::serve(&site);
    let (public, _) = host.serving().await;
    ready(public).await;
    let mut chat = Chat::connect(public).await;
    assert_eq!(chat.ask("m1", "chat", "on").await.text, "on");
    chat.close().await;
    host.interrupt();
    let finished = host.finished().await;
    assert_eq!(finished.code(), 0);
    let warnings = finished
        .output
        .lines()
        .filter(|line| line.contains("WARN") && line.contains("cache"));
    assert_eq!(warnings.count(), 1, "{}", finished.output);
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_finishes_what_runs_and_exits_0() {
    let site = Site::builder().standard().build();
    let mut host = Process::serve(&site);
    let (public, _) = host.serving().await;
    ready(public).await;
    let mut chat = Chat::connect(public).await;
    chat.message("m1", "do", "slow 5 100").await;
    chat.until("chunk").await;
    host.interrupt();
    assert_eq!(chat.until("done").await["id"], "m1");
    chat.until("drain").await;
    assert_eq!(chat.closed().await, Some(4000));
    assert_eq!(host.finished().await.code(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_ctrl_c_ends_at_once() {
    let site = Site::builder()
        .standard()
        .config("[server]\ndrain_timeout = \"10m\"")
        .build();
    let mut host = Process::serve(&site);
    let (public, _) = host.serving().await;
    ready(public).await;
    let mut chat = Chat::connect(public).await;
    chat.message("m1", "do", "slow 1000000 20").await;
    chat.until("chunk").await;
    host.interrupt();
    host.line("the first Ctrl-C to be taken", |line| line.text.contains("again"))
        .await;
    let began = Instant::now();
    host.interrupt();
    assert_eq!(host.finished().await.code(), 130);
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "it took {:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_fails_ready_first_then_drains() {
    let site = Site::builder()
        .standard()
        .config("[server]\ndrain_delay = \"2s\"")
        .build();
    let mut host = Process::serve(&site);
    let (public, _) = host.serving().await;
    ready(public).await;
    let mut busy = Chat::connect(public).await;
    let mut idle = Chat::connect(public).await;
    idle.ask("m0", "chat", "idle").await;
    host.terminate();

    // Ready fails at once; everything else goes on throughout the delay.
    let http = Http::new(public, None);
    eventually("ready to fail", || async {
        (http.get("/health/ready").await.0 == 503).then_some(())
    })
    .await;
    assert_eq!(http.get("/health/live").await.0, 200);
    busy.message("m1", "do", "slow 40 100").await;
    busy.until("chunk").await;
    Chat::connect(public).await.close().await;

    // The drain: who is idle is sent away, what runs finishes first.
    let drain = idle.expect("drain").await;
    assert!(drain["reconnect_in_ms"].is_u64(), "{drain}");
    assert_eq!(drain.get("seq"), None);
    assert_eq!(idle.closed().await, Some(4000));
    busy.message("m2", "chat", "too late").await;
    let (mut done, mut refused) = (false, false);
    loop {
        match busy.event().await {
            Event::Frame(frame) if frame["type"] == "done" => done = frame["id"] == "m1",
            Event::Frame(frame) if frame["type"] == "error" => refused = frame["code"] == "draining",
            Event::Frame(_) => {}
            Event::Closed(code) => {
                assert_eq!(code, Some(4000));
                break;
            }
        }
    }
    assert!(done, "the running reply did not finish");
    assert!(refused, "a message during the drain was not refused");
    let finished = host.finished().await;
    assert_eq!(finished.code(), 0, "{}", finished.output);
    assert!(Connect::default().socket(public, "/chat").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_outlasts_the_drain_is_ended_and_told_so() {
    let site = Site::builder()
        .standard()
        .config("[server]\ndrain_timeout = \"300ms\"")
        .build();
    let mut host = Process::serve(&site);
    let (public, _) = host.serving().await;
    ready(public).await;
    let mut chat = Chat::connect(public).await;
    chat.message("m1", "do", "slow 1000000 20").await;
    chat.until("chunk").await;
    host.terminate();
    let error = chat.until("error").await;
    assert_eq!(
        (&error["id"], &error["code"]),
        (&json!("m1"), &json!("draining")),
        "{error}"
    );
    assert_eq!(error["retryable"], true);
    assert_eq!(chat.closed().await, Some(4000));
    assert_eq!(host.finished().await.code(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_token_is_for_its_owner_only_and_survives_a_restart() {
    use std::os::unix::fs::PermissionsExt;
    let site = Site::builder().standard().build();
    let file = site.root().join(".segue/admin.token");
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let mut host = Process::serve(&site);
        let (_, admin) = host.serving().await;
        let mode = fs::metadata(&file)
            .expect("the token's file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(host.admin(&site, admin).get("/plugins").await.0, 200);
        tokens.push(fs::read_to_string(&file).expect("the token"));
        host.interrupt();
        let finished = host.finished().await;
        assert!(
            !finished.output.contains(tokens[0].trim()),
            "the token is in the log"
        );
    }
    assert_eq!(tokens[0], tokens[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_reads_the_config_again() {
    let site = Site::builder().standard().build();
    let mut host = Process::serve(&site);
    let (public, _) = host.serving().await;
    ready(public).await;
    let mut chat = Chat::connect(public).await;
    assert_eq!(chat.ask("m1", "new", "x").await.error_code(), "no_route");
    let config = fs::read_to_string(site.config_path()).expect("the config");
    let route = "\n[[route]]\nmatch = { mtype = \"new\" }\nhandler = \"echo\"\n";
    fs::write(site.config_path(), format!("{config}{route}")).expect("the config");
    host.hang_up();
    host.line("the config to be read again", |line| {
        line.field("message") == "configuration reloaded"
    })
    .await;
    assert_eq!(chat.ask("m2", "new", "x").await.text, "x");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_needs_no_signal_and_no_restart() {
    let site = Site::builder().standard().build();
    let mut host = Process::serve(&site);
    let (public, _) = host.serving().await;
    ready(public).await;
    let mut chat = Chat::connect(public).await;
    let first = chat.ask("m1", "stamp", "x").await;
    site.drop_by_copy("stamp.wasm", &segue_tests::stamped(&component("stamp"), "second"));
    host.line("the new version to load", |line| {
        line.field("plugin") == "stamp" && line.field("previous") == first.version()
    })
    .await;
    let second = chat.ask("m2", "stamp", "x").await;
    assert_eq!(second.text, "second:x ");
}
