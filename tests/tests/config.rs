//! The configuration follows its file while the host runs: whole or not at all,
//! and never at the cost of a conversation.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::fs;

use segue_tests::{Chat, LogLine, Process, Site};

fn refused(line: &LogLine, why: &str) -> bool {
    line.field("level") == "ERROR" && line.text.contains("was not taken") && line.text.contains(why)
}

/// As editors do: a new file in the place of the old one.
fn replace(site: &Site, text: &str) {
    let beside = site.config_path().with_extension("new");
    fs::write(&beside, text).expect("the new config");
    fs::rename(&beside, site.config_path()).expect("the config");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_in_force_without_a_word_and_a_faulty_one_changes_nothing() {
    let site = Site::builder().standard().build();
    let mut host = Process::serve(&site);
    let (public, _) = host.serving().await;
    let mut chat = Chat::connect(public).await;
    let before = fs::read_to_string(site.config_path()).expect("the config");
    let route = "\n[[route]]\nmatch = { mtype = \"new\" }\nhandler = \"echo\"\n";

    replace(&site, &format!("{before}\n[session]\nqeue = 3\n"));
    host.line("a fault", |line| refused(line, "qeue")).await;
    let listen = "[server]\nlisten = \"127.0.0.1:1\"\n";
    let moved = if before.contains("[server]") {
        let kept: Vec<&str> = before.lines().filter(|l| !l.starts_with("listen")).collect();
        kept.join("\n").replace("[server]", listen)
    } else {
        format!("{before}\n{listen}")
    };
    replace(&site, &moved);
    host.line("a key that needs a restart", |line| {
        refused(line, "server.listen")
    })
    .await;

    replace(&site, &format!("{before}{route}"));
    host.line("the new config", |line| {
        line.field("message") == "configuration reloaded"
    })
    .await;
    assert_eq!(chat.ask("m1", "new", "x").await.text, "x", "on the same socket");
}
