//! Whatever lands in the plugin folder, the version that served goes on
//! serving, and the reason is told: by the admin API, by a log line, by a
//! metric. And what is right is loaded, however it arrives.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;

use segue_runtime::PluginEvent;
use segue_tests::{Bed, Chat, Process, Site, component, core_module, stamped, with_custom_section};
use serde_json::Value;

/// A host on which `stamp` serves as `good`, and a client of it.
async fn good() -> (Bed, Chat) {
    let bed = Site::builder()
        .plugin_as("stamp", &stamped(&component("stamp"), "good"))
        .config(ROUTE)
        .start()
        .await;
    let chat = bed.chat().await;
    (bed, chat)
}

const ROUTE: &str = "[[route]]\nmatch = { mtype = \"stamp\" }\nhandler = \"stamp\"\n";

async fn answers(chat: &mut Chat, stamp: &str) {
    let id = format!("after-{}", chat.seq);
    let reply = chat.ask(&id, "stamp", "word").await;
    assert_eq!(reply.text, format!("{stamp}:word "));
}

/// After `spoil` the good version answers still, the refusal has this code and
/// a message that holds each of these words, and it is told everywhere.
async fn refused_while_the_good_one_serves(code: &str, words: &[&str], spoil: impl FnOnce(&Path)) {
    let (mut bed, mut chat) = good().await;
    answers(&mut chat, "good").await;
    let version = serving(&bed).await;
    let before = refusals(&bed).await;

    spoil(&bed.plugins());
    let (found, message) = bed.refused("stamp").await;
    assert_eq!(found, code, "{message}");
    for word in words {
        assert!(message.contains(word), "no `{word}` in: {message}");
    }

    answers(&mut chat, "good").await;
    let status = bed.admin().get_ok("/plugins/stamp").await;
    assert_eq!(status["state"], "active", "{status}");
    assert_eq!(status["version"], version, "{status}");
    assert_eq!(status["last_error"]["code"], code, "{status}");
    assert_eq!(status["last_error"]["message"], message, "{status}");
    assert!(refusals(&bed).await > before, "no metric counts the refusal");
}

async fn serving(bed: &Bed) -> Value {
    bed.admin().get_ok("/plugins/stamp").await["version"].clone()
}

async fn refusals(bed: &Bed) -> f64 {
    let metrics = bed.http().get_ok("/metrics").await;
    metrics
        .as_str()
        .expect("metrics are text")
        .lines()
        .filter(|line| line.starts_with("segue_plugin_loads_total{") && line.contains("plugin=\"stamp\""))
        .filter(|line| !line.contains("outcome=\"loaded\"") && !line.contains("outcome=\"ok\""))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

/// Renames a file with these bytes over `stamp.wasm`.
fn over(folder: &Path, bytes: &[u8]) {
    let aside = folder.join(".stamp.tmp");
    fs::write(&aside, bytes).expect("a file");
    fs::rename(aside, folder.join("stamp.wasm")).expect("a rename");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_component_is_refused() {
    let whole = stamped(&component("stamp"), "next");
    refused_while_the_good_one_serves("truncated", &[], |folder| over(folder, &whole[..whole.len() / 2]))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_file_is_refused() {
    refused_while_the_good_one_serves("empty", &[], |folder| over(folder, b"")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_file_is_refused() {
    refused_while_the_good_one_serves("not_wasm", &[], |folder| over(folder, b"this is no component\n"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_core_module_is_refused() {
    refused_while_the_good_one_serves("core_module", &["wasm32-wasip2"], |folder| {
        over(folder, &core_module())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_of_another_world_is_refused() {
    let wrong = component("wrong-world");
    refused_while_the_good_one_serves("wrong_world", &["handle"], |folder| over(folder, &wrong)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_for_a_newer_wit_is_refused_by_its_version() {
    let newer = component("newer");
    refused_while_the_good_one_serves("newer_version", &["0.2.0", "0.1"], |folder| over(folder, &newer))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_with_an_unknown_import_is_refused_by_its_name() {
    let greedy = component("greedy");
    refused_while_the_good_one_serves("unknown_import", &["acme:secret/vault"], |folder| {
        over(folder, &greedy)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_100_mb_is_refused_unread() {
    refused_while_the_good_one_serves("too_large", &["64 MiB", "max_file"], |folder| {
        let aside = folder.join(".stamp.tmp");
        let file = fs::File::create(&aside).expect("a file");
        file.set_len(100_000_000).expect("a sparse file");
        drop(file);
        fs::rename(aside, folder.join("stamp.wasm")).expect("a rename");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_in_a_components_place_is_refused() {
    refused_while_the_good_one_serves("not_a_file", &[], |folder| {
        fs::remove_file(folder.join("stamp.wasm")).expect("removing the component");
        fs::create_dir(folder.join("stamp.wasm")).expect("a directory");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dangling_symlink_is_refused() {
    refused_while_the_good_one_serves("unreadable", &[], |folder| {
        let link = folder.join(".stamp.link");
        symlink(folder.join("nowhere.wasm"), &link).expect("a link");
        fs::rename(link, folder.join("stamp.wasm")).expect("a rename");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_sidecar_is_refused_with_its_line() {
    refused_while_the_good_one_serves("sidecar_invalid", &["2"], |folder| {
        fs::write(folder.join("stamp.toml"), "[settings]\nstamp = \"unfinished\n").expect("a sidecar");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_with_an_unknown_key_is_refused_with_its_name() {
    refused_while_the_good_one_serves("sidecar_invalid", &["dead_line", "2"], |folder| {
        fs::write(folder.join("stamp.toml"), "[limits]\ndead_line = \"1s\"\n").expect("a sidecar");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_past_the_ceiling_is_refused() {
    refused_while_the_good_one_serves("sidecar_invalid", &["deadline"], |folder| {
        fs::write(folder.join("stamp.toml"), "[limits]\ndeadline = \"11h\"\n").expect("a sidecar");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_file_over_a_refused_one_serves_and_clears_the_error() {
    let (mut bed, mut chat) = good().await;
    over(&bed.plugins(), b"rubbish");
    bed.refused("stamp").await;
    bed.drop_by_copy("stamp.wasm", &stamped(&component("stamp"), "mended"));
    bed.loaded("stamp").await;
    answers(&mut chat, "mended").await;
    let status = bed.admin().get_ok("/plugins/stamp").await;
    assert_eq!(status["last_error"], Value::Null, "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_copy_is_loaded_once_and_only_when_it_is_whole() {
    let (mut bed, mut chat) = good().await;
    let whole = stamped(&component("stamp"), "slow");
    let mut file = fs::File::create(bed.plugin_path("stamp.wasm")).expect("a file");
    // A pace, not a wait: every pause is longer than the folder's settling time.
    let mut pace = tokio::time::interval(std::time::Duration::from_millis(400));
    for piece in whole.chunks(whole.len().div_ceil(5)) {
        pace.tick().await;
        file.write_all(piece).expect("a piece");
        answers(&mut chat, "good").await;
    }
    drop(file);
    let settled =
        |event: &PluginEvent| matches!(event, PluginEvent::Loaded { .. } | PluginEvent::Refused { .. });
    let first = bed.event("the copy to be taken", settled).await;
    assert!(matches!(first, PluginEvent::Loaded { .. }), "{first:?}");
    answers(&mut chat, "slow").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_renamed_over_is_served() {
    let (mut bed, mut chat) = good().await;
    bed.drop_by_rename("stamp.wasm", &stamped(&component("stamp"), "renamed"));
    bed.loaded("stamp").await;
    answers(&mut chat, "renamed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_file_unloads_and_comes_back() {
    let (mut bed, mut chat) = good().await;
    fs::remove_file(bed.plugin_path("stamp.wasm")).expect("a removal");
    bed.removed("stamp").await;
    assert_eq!(
        chat.ask("gone", "stamp", "word").await.error_code(),
        "handler_unavailable"
    );
    bed.drop_by_rename("stamp.wasm", &stamped(&component("stamp"), "again"));
    bed.loaded("stamp").await;
    answers(&mut chat, "again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_symlink_is_followed_and_so_is_its_change() {
    let (mut bed, mut chat) = good().await;
    let elsewhere = bed.root().join("elsewhere");
    fs::create_dir(&elsewhere).expect("a folder");
    for name in ["one", "two"] {
        let bytes = stamped(&component("stamp"), name);
        fs::write(elsewhere.join(format!("{name}.wasm")), bytes).expect("a component");
        let link = bed.plugin_path(".stamp.link");
        symlink(elsewhere.join(format!("{name}.wasm")), &link).expect("a link");
        fs::rename(link, bed.plugin_path("stamp.wasm")).expect("a rename");
        bed.loaded("stamp").await;
        answers(&mut chat, name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_that_comes_after_its_component_is_taken() {
    let mut bed = Site::builder().config(ROUTE).start().await;
    let mut chat = bed.chat().await;
    bed.drop_by_rename("stamp.wasm", &stamped(&component("stamp"), "alone"));
    bed.loaded("stamp").await;
    answers(&mut chat, "alone").await;
    bed.drop_by_copy("stamp.toml", b"[settings]\nstamp = \"paired\"\n");
    bed.loaded("stamp").await;
    answers(&mut chat, "paired").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_before_its_component_is_kept_for_it() {
    let mut bed = Site::builder().config(ROUTE).start().await;
    let mut chat = bed.chat().await;
    bed.drop_by_copy("stamp.toml", b"[settings]\nstamp = \"first\"\n");
    bed.drop_by_rename("stamp.wasm", &component("stamp"));
    bed.loaded("stamp").await;
    answers(&mut chat, "first").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_again_are_no_new_version() {
    let (mut bed, mut chat) = good().await;
    let version = serving(&bed).await;
    bed.drop_by_rename("stamp.wasm", &stamped(&component("stamp"), "good"));
    bed.host.runtime().rescan().await;
    assert_eq!(serving(&bed).await, version);
    bed.drop_by_rename(
        "stamp.wasm",
        &with_custom_section(&stamped(&component("stamp"), "good"), "other bytes"),
    );
    assert_ne!(Value::from(bed.loaded("stamp").await), version);
    answers(&mut chat, "good").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_no_plugin_are_left_alone() {
    let (bed, mut chat) = good().await;
    for name in [
        ".hidden.wasm",
        "stamp.wasm~",
        "stamp.wasm.part",
        "stamp.wasm.tmp",
        "notes.txt",
        "Upper.wasm",
    ] {
        fs::write(bed.plugin_path(name), b"rubbish").expect("a file");
    }
    bed.host.runtime().rescan().await;
    let listed = bed.admin().get_ok("/plugins").await.to_string();
    for name in ["hidden", "notes", "part", "tmp"] {
        assert!(!listed.contains(name), "{name} in {listed}");
    }
    answers(&mut chat, "good").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_goes_away_and_comes_back_stops_nothing() {
    let (mut bed, mut chat) = good().await;
    let aside = bed.root().join("moved");
    fs::rename(bed.plugins(), &aside).expect("moving the folder");
    bed.host.runtime().rescan().await;
    answers(&mut chat, "good").await;
    fs::rename(&aside, bed.plugins()).expect("moving it back");
    bed.drop_by_rename("stamp.wasm", &stamped(&component("stamp"), "back"));
    bed.host.runtime().rescan().await;
    bed.loaded("stamp").await;
    answers(&mut chat, "back").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_release_still_runs() {
    let bed = Site::builder()
        .plugin("first-release")
        .config("[[route]]\nmatch = { mtype = \"old\" }\nhandler = \"first-release\"")
        .start()
        .await;
    let mut chat = bed.chat().await;
    let reply = chat.ask("m1", "old", "still here").await;
    assert_eq!(reply.text, "still here");
    assert_eq!(reply.of("status").len(), 1);
    assert_eq!(reply.of("data")[0]["data"]["attempt"], 1);
    assert!(reply.version().starts_with("sha256:"), "{}", reply.last);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_plugin_at_start_stops_neither_the_host_nor_the_others_and_is_logged() {
    let site = Site::builder()
        .plugin_as("bad", b"rubbish")
        .plugin("stamp")
        .config(ROUTE)
        .build();
    let mut host = Process::serve(&site);
    let (public, admin) = host.serving().await;
    let line = host
        .line("the refusal's log line", |line| {
            line.field("plugin") == "bad" && line.field("code") == "not_wasm"
        })
        .await;
    assert!(matches!(line.field("level"), "WARN" | "ERROR"), "{}", line.text);
    host.line("the other's log line", |line| {
        line.field("plugin") == "stamp" && line.field("message").contains("serves in version")
    })
    .await;
    let mut chat = Chat::connect(public).await;
    answers(&mut chat, "original").await;
    let status = host.admin(&site, admin).get_ok("/plugins/bad").await;
    assert_eq!(status["state"], "refused", "{status}");
    assert_eq!(status["last_error"]["code"], "not_wasm", "{status}");
}
