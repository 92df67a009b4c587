//! What is not fit to serve is refused with its reason and disturbs nothing;
//! what was compiled once is not compiled again.

use std::fs;
use std::path::PathBuf;

use segue_runtime::{PluginEvent, PluginState, Runtime, Settings, StartError, VersionState};

use crate::guest;
use crate::host::{Host, settings};

/// A component that exports nothing.
fn no_world() -> Vec<u8> {
    wat::parse_str("(component)").unwrap()
}

/// A component that imports `meta` with a parameter too many.
fn mistyped() -> Vec<u8> {
    let two = "(param \"key\" string)";
    let changes = [
        (two, "(param \"key\" string) (param \"more\" string)"),
        ("$meta_in (param i32 i32", "$meta_in (param i32 i32 i32 i32"),
        ("$setting_in (param i32 i32", "$setting_in (param i32 i32 i32 i32"),
        (
            "$meta_in (local.get 0)",
            "$meta_in (i32.const 0) (i32.const 0) (local.get 0)",
        ),
        (
            "$setting_in (local.get 0)",
            "$setting_in (i32.const 0) (i32.const 0) (local.get 0)",
        ),
    ];
    guest::handler_with(&changes, "", "(call $ok)")
}

#[tokio::test]
async fn a_bad_file_leaves_the_good_version_serving_and_says_why() {
    let host = Host::start(&[("p", guest::says("good"))]).await;
    let good = String::from(host.generation("p").version());
    let mut events = host.runtime.events();
    for (bytes, code, names) in [
        (Vec::new(), "empty", ""),
        (b"hello, world".to_vec(), "not_wasm", ""),
        (wat::parse_str("(module)").unwrap(), "core_module", ""),
        (no_world(), "wrong_world", ""),
        (mistyped(), "link_failed", "segue:plugin/call"),
    ] {
        host.put("p.wasm", bytes).await;
        let status = host.runtime.plugin("p").unwrap();
        let error = status.last_error.unwrap();
        assert_eq!(error.code, code, "{}", error.message);
        assert!(error.message.contains(names), "{}", error.message);
        assert_eq!(status.state, PluginState::Active);
        assert_eq!(status.version.as_ref(), Some(&good));
        assert_eq!(host.ask("p", "").await, "good");
        match events.recv().await.unwrap() {
            PluginEvent::Refused { code: told, .. } => assert_eq!(told, code),
            other => panic!("unexpected {other:?}"),
        }
    }
    assert_eq!(host.runtime.stats().plugins[0].refused, 5);

    host.put("p.wasm", guest::says("good")).await;
    let status = host.runtime.plugin("p").unwrap();
    assert_eq!(status.last_error, None);
    assert_eq!(status.version, Some(good));
}

#[tokio::test]
async fn an_import_the_host_lacks_is_named() {
    let types = "(import \"segue:plugin/types@0.1.0\"";
    let more = "(import \"shop:till/drawer@1.0.0\" (instance (export \"open\" (func))))";
    let wants_more = guest::handler_with(&[(types, &format!("{more} {types}"))], "", "(call $ok)");
    let host = Host::start(&[("p", wants_more)]).await;
    assert!(host.runtime.generation("p").is_none());
    let status = host.runtime.plugin("p").unwrap();
    assert_eq!(status.state, PluginState::Refused);
    assert_eq!(status.versions[0].state, VersionState::Refused);
    let error = status.last_error.unwrap();
    assert_eq!(error.code, "unknown_import");
    assert!(
        error.message.contains("shop:till/drawer@1.0.0"),
        "{}",
        error.message
    );
}

#[tokio::test]
async fn what_can_never_run_within_its_limits_is_refused_at_once() {
    let host = Host::start_with(
        &[
            ("big", guest::handler("(memory 40)", "(call $ok)")),
            (
                "wide",
                guest::handler("(memory 1) (memory 1) (memory 1)", "(call $ok)"),
            ),
        ],
        |settings| {
            settings.per_plugin = 3;
            settings.default_limits.memory_bytes = 2 << 20;
        },
    )
    .await;
    let code = |name| host.runtime.plugin(name).unwrap().last_error.unwrap().code;
    assert_eq!(code("big"), "memory_too_small");
    assert_eq!(code("wide"), "too_many_instances");
}

#[tokio::test]
async fn there_are_never_more_plugins_than_allowed() {
    let plugins = [
        ("a", guest::says("a")),
        ("b", guest::says("b")),
        ("c", guest::says("c")),
    ];
    let host = Host::start_with(&plugins, |settings| settings.max_plugins = 2).await;
    let states: Vec<_> = host
        .runtime
        .plugins()
        .into_iter()
        .map(|plugin| plugin.state)
        .collect();
    let active = states.iter().filter(|state| **state == PluginState::Active);
    assert_eq!((states.len(), active.count()), (3, 2));
}

fn with_cache(cache: PathBuf) -> impl FnOnce(&mut Settings) {
    move |settings| settings.cache = Some(cache)
}

#[tokio::test]
async fn a_second_runtime_finds_what_the_first_one_compiled() {
    let cache = tempfile::tempdir().unwrap();
    let dir = cache.path().join("cache");
    let plugins = [("p", guest::says("cached"))];
    let first = Host::start_with(&plugins, with_cache(dir.clone())).await;
    let stats = first.runtime.stats();
    assert_eq!((stats.compile_hits, stats.compile_misses), (0, 1));
    drop(first);

    let second = Host::start_with(&plugins, with_cache(dir.clone())).await;
    assert_eq!(second.ask("p", "").await, "cached");
    let stats = second.runtime.stats();
    assert_eq!((stats.compile_hits, stats.compile_misses), (1, 0));
    drop(second);

    let entry = fs::read_dir(&dir).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&entry).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    fs::write(&entry, &bytes).unwrap();
    let third = Host::start_with(&plugins, with_cache(dir)).await;
    assert_eq!(third.ask("p", "").await, "cached");
    let stats = third.runtime.stats();
    assert_eq!((stats.compile_hits, stats.compile_misses), (0, 1));
}

#[tokio::test]
async fn a_cache_that_cannot_be_used_is_done_without() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let plugins = [("p", guest::says("anyway"))];
    let host = Host::start_with(&plugins, with_cache(file.path().to_path_buf())).await;
    assert_eq!(host.ask("p", "").await, "anyway");
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_one_clear_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let missing = settings(&dir.path().join("nowhere"));
    let error = Runtime::start(missing).unwrap_err();
    assert!(matches!(error, StartError::Folder { .. }));
    let text = error.to_string();
    assert!(text.contains("nowhere does not exist"), "{text}");
    assert!(text.contains("[plugins] dir"), "{text}");
}

#[test]
fn outside_tokio_it_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let error = Runtime::start(settings(dir.path())).unwrap_err();
    assert!(matches!(error, StartError::NoTokio));
}
