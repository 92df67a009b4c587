//! The folder with real files, real events and the real registry.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::broadcast::Receiver;
use tokio::time::{sleep, timeout};

use crate::check::tests::handler;
use crate::{PluginEvent, PluginState, Runtime, Settings};

/// Longer than any test: what is awaited under it came from an event alone.
const NEVER: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_secs(20);
const SETTLE: Duration = Duration::from_millis(50);

/// Puts something at a path.
type Make<'a> = &'a dyn Fn(&Path);

struct Site {
    root: TempDir,
    runtime: Runtime,
    events: Receiver<PluginEvent>,
}

/// A plugin folder with these files, and a runtime that has scanned it.
async fn start(files: &[(&str, Vec<u8>)], set: impl FnOnce(&mut Settings)) -> Site {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("plugins");
    fs::create_dir(&dir).unwrap();
    for (file, content) in files {
        fs::write(dir.join(file), content).unwrap();
    }
    let mut settings = Settings {
        dir,
        settle: SETTLE,
        rescan: NEVER,
        instances: 8,
        per_plugin: 8,
        guest_threads: 1,
        ..Settings::default()
    };
    set(&mut settings);
    let runtime = Runtime::start(settings).unwrap();
    timeout(SOON, runtime.scanned()).await.unwrap();
    let events = runtime.events();
    Site {
        root,
        runtime,
        events,
    }
}

fn by_events_alone(settings: &mut Settings) {
    settings.settle = NEVER;
}

impl Site {
    fn path(&self, file: &str) -> PathBuf {
        self.root.path().join("plugins").join(file)
    }

    fn write(&self, file: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(file), content).unwrap();
    }

    /// As a careful deployment does it.
    fn place(&self, file: &str, content: impl AsRef<[u8]>) {
        let temporary = self.path(".deploy.tmp");
        fs::write(&temporary, content).unwrap();
        fs::rename(temporary, self.path(file)).unwrap();
    }

    fn remove(&self, file: &str) {
        fs::remove_file(self.path(file)).unwrap();
    }

    fn version(&self, name: &str) -> Option<String> {
        let generation = self.runtime.generation(name)?;
        Some(generation.version().to_owned())
    }

    async fn event(&mut self) -> PluginEvent {
        loop {
            let event = timeout(SOON, self.events.recv()).await;
            match event.expect("nothing happened").unwrap() {
                PluginEvent::Freed { .. } => {}
                event => return event,
            }
        }
    }

    /// The new version of a plugin.
    async fn loaded(&mut self) -> String {
        match self.event().await {
            PluginEvent::Loaded { version, .. } => version,
            other => panic!("{other:?}"),
        }
    }

    /// The code and the message of a refusal.
    async fn refused(&mut self) -> (&'static str, String) {
        match self.event().await {
            PluginEvent::Refused { code, message, .. } => (code, message),
            other => panic!("{other:?}"),
        }
    }

    async fn removed(&mut self) -> String {
        match self.event().await {
            PluginEvent::Removed { name } => name,
            other => panic!("{other:?}"),
        }
    }

    async fn rescan(&self) {
        timeout(SOON, self.runtime.rescan()).await.unwrap();
    }

    fn nothing_happened(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            assert!(matches!(event, PluginEvent::Freed { .. }), "{event:?}");
        }
    }
}

fn one(mark: &str) -> [(&'static str, Vec<u8>); 1] {
    [("echo.wasm", handler(mark))]
}

#[tokio::test]
async fn the_first_scan_is_over_when_each_file_is_loaded_or_refused() {
    let files = [
        ("bad.wasm", b"text".to_vec()),
        ("empty.wasm", Vec::new()),
        ("good.wasm", handler("1")),
        ("good.toml", b"[limits]\ndeadline = \"2s\"\n".to_vec()),
        ("alone.toml", b"[limits]\n".to_vec()),
        ("Bad Name.wasm", handler("1")),
        (".hidden.wasm", handler("1")),
        ("half.wasm.part", handler("1")),
    ];
    let site = start(&files, |_| {}).await;
    let plugins = site.runtime.plugins();
    let found: Vec<_> = plugins
        .iter()
        .map(|plugin| {
            let code = plugin.last_error.as_ref().map(|error| error.code);
            (plugin.name.as_str(), plugin.state, code)
        })
        .collect();
    assert_eq!(
        found,
        [
            ("bad", PluginState::Refused, Some("not_wasm")),
            ("empty", PluginState::Refused, Some("empty")),
            ("good", PluginState::Active, None),
        ]
    );
    let good = site.runtime.generation("good").unwrap();
    assert_eq!(good.limits().deadline, Duration::from_secs(2));
}

#[tokio::test]
async fn a_file_is_loaded_at_once_when_it_is_closed_or_renamed_into_place() {
    let mut site = start(&[], by_events_alone).await;
    site.write("echo.wasm", handler("1"));
    let first = site.loaded().await;
    site.write("echo.wasm", handler("2"));
    let second = site.loaded().await;
    assert_ne!(first, second);
    site.place("echo.wasm", handler("1"));
    assert_eq!(site.loaded().await, first);
    assert_eq!(site.version("echo"), Some(first));
}

#[tokio::test]
async fn a_refused_file_leaves_the_old_version_and_a_mended_one_replaces_it() {
    let mut site = start(&one("old"), |settings| settings.max_file_bytes = 1 << 20).await;
    let old = site.version("echo");
    let whole = handler("new");
    let component = |wat: &str| wat::parse_str(wat).unwrap();
    let newer = r#"(component (import "segue:plugin/types@0.2.0" (instance)))"#;
    let unknown = r#"(component (import "segue:sql/query@0.1.0" (instance))
        (import "f" (func $f (param "r" u8) (result u8))) (export "handle" (func $f)))"#;
    let cases = [
        ("truncated", whole[..whole.len() / 2].to_vec(), "copy it again"),
        ("empty", Vec::new(), "copy the component again"),
        ("not_wasm", b"hello\n".to_vec(), "text"),
        ("core_module", component("(module)"), "wasm-tools component new"),
        ("wrong_world", component("(component)"), "world `handler`"),
        ("newer_version", component(newer), "update the host"),
        ("unknown_import", component(unknown), "segue:sql/query@0.1.0"),
        ("too_large", vec![0; (1 << 20) + 1], "max_file"),
    ];
    for (code, bytes, mend) in cases {
        site.place("echo.wasm", bytes);
        let (found, message) = site.refused().await;
        assert_eq!(found, code, "{message}");
        assert!(message.contains(mend), "{message}");
        assert_eq!(site.version("echo"), old, "{code}");
        let status = site.runtime.plugin("echo").unwrap();
        assert_eq!(status.state, PluginState::Active);
        assert_eq!(status.last_error.unwrap().code, code);
    }
    site.place("echo.wasm", whole);
    let new = site.loaded().await;
    assert_eq!(site.version("echo"), Some(new));
    assert_eq!(site.runtime.plugin("echo").unwrap().last_error, None);
}

#[tokio::test]
async fn what_is_no_regular_file_is_refused_and_hangs_nothing() {
    let mut site = start(&one("old"), |_| {}).await;
    let old = site.version("echo");
    let dir = site.root.path().join("elsewhere");
    fs::create_dir(&dir).unwrap();
    let swaps: [(&str, &str, Make<'_>); 7] = [
        ("not_a_file", "a directory", &|path| fs::create_dir(path).unwrap()),
        ("not_a_file", "a device", &|path| {
            symlink("/dev/zero", path).unwrap()
        }),
        ("not_a_file", "a directory", &|path| symlink(&dir, path).unwrap()),
        ("not_a_file", "a named pipe", &|path| {
            let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        }),
        ("unreadable", "does not exist", &|path| {
            symlink("nowhere", path).unwrap()
        }),
        ("unreadable", "point to the file", &|path| {
            symlink(path, path).unwrap()
        }),
        ("too_large", "95.4 MiB", &|path| {
            fs::File::create(path).unwrap().set_len(100_000_000).unwrap();
        }),
    ];
    for (code, part, make) in swaps {
        let path = site.path("echo.wasm");
        if path.is_dir() && !path.is_symlink() {
            fs::remove_dir(&path).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
        make(&path);
        let (found, message) = site.refused().await;
        assert_eq!(found, code, "{message}");
        assert!(message.contains(part), "{message}");
        assert_eq!(site.version("echo"), old, "{code}");
    }
    site.remove("echo.wasm");
    site.write("echo.wasm", handler("new"));
    site.loaded().await;
}

#[tokio::test]
async fn a_file_that_may_not_be_read_is_refused_until_it_may() {
    if rustix::process::geteuid().is_root() {
        // Root reads everything; `unreadable` is had by broken links too.
        return;
    }
    use std::os::unix::fs::PermissionsExt;
    let mut site = start(&[], |_| {}).await;
    let hidden = site.path(".new");
    fs::write(&hidden, handler("1")).unwrap();
    fs::set_permissions(&hidden, fs::Permissions::from_mode(0o000)).unwrap();
    fs::rename(&hidden, site.path("echo.wasm")).unwrap();
    assert_eq!(site.refused().await.0, "unreadable");
    fs::set_permissions(site.path("echo.wasm"), fs::Permissions::from_mode(0o644)).unwrap();
    site.loaded().await;
}

#[tokio::test]
async fn a_slow_copy_is_loaded_once_and_only_when_it_is_whole() {
    let mut site = start(&one("old"), |_| {}).await;
    let old = site.version("echo");
    let bytes = handler("new");
    let mut file = fs::File::create(site.path("echo.wasm")).unwrap();
    for piece in bytes.chunks(bytes.len() / 4) {
        file.write_all(piece).unwrap();
        // The stimulus, not a wait: the copy stalls for longer than it takes a
        // file without a writer to count as quiet.
        sleep(3 * SETTLE).await;
        site.nothing_happened();
        assert_eq!(site.version("echo"), old);
    }
    drop(file);
    let new = site.loaded().await;
    assert_eq!(site.version("echo"), Some(new));
    site.rescan().await;
    site.nothing_happened();
}

#[tokio::test]
async fn a_removed_file_unloads_its_plugin_and_a_replaced_one_does_not() {
    let mut site = start(&one("1"), |_| {}).await;
    site.remove("echo.wasm");
    assert_eq!(site.removed().await, "echo");
    assert!(site.runtime.generation("echo").is_none());
    site.write("echo.wasm", handler("1"));
    site.loaded().await;

    let mut site = start(&one("1"), by_events_alone).await;
    site.remove("echo.wasm");
    site.write("echo.wasm", handler("2"));
    site.loaded().await;
    fs::rename(site.path("echo.wasm"), site.path("echo.wasm~")).unwrap();
    site.write("echo.wasm", handler("3"));
    site.loaded().await;
}

#[tokio::test]
async fn a_refused_plugin_is_forgotten_with_its_file() {
    let mut site = start(&[("echo.wasm", b"text".to_vec())], |_| {}).await;
    assert!(site.runtime.plugin("echo").is_some());
    site.remove("echo.wasm");
    assert_eq!(site.removed().await, "echo");
    assert_eq!(site.runtime.plugin("echo"), None);
}

#[tokio::test]
async fn a_toml_makes_a_new_version_when_it_comes_changes_and_goes() {
    let mut site = start(&one("1"), |_| {}).await;
    let alone = site.version("echo").unwrap();
    site.write("echo.toml", "[settings]\nrows = 1\n");
    let first = site.loaded().await;
    site.write("echo.toml", "[settings]\nrows = 2\n");
    let second = site.loaded().await;
    assert!(alone != first && first != second);
    site.remove("echo.toml");
    assert_eq!(site.loaded().await, alone);
}

#[tokio::test]
async fn a_broken_toml_refuses_the_pair_with_every_line() {
    let mut site = start(&one("1"), |_| {}).await;
    let old = site.version("echo");
    let cases: [(Vec<u8>, &str); 4] = [
        (b"[limits]\ndeadlin = 1\n\nchunks = 0\n".to_vec(), "line 4"),
        (b"[limits\n".to_vec(), "line 1"),
        (
            b"\n[settings]\na = \"\xff\"\n".to_vec(),
            "line 3: this is not UTF-8",
        ),
        (vec![b'#'; 70_000], "larger than 64 KiB"),
    ];
    for (toml, part) in cases {
        site.write("echo.toml", toml);
        let (code, message) = site.refused().await;
        assert_eq!(code, "sidecar_invalid");
        assert!(message.contains(part), "{message}");
        assert_eq!(site.version("echo"), old);
    }
    site.remove("echo.toml");
    fs::create_dir(site.path("echo.toml")).unwrap();
    assert_eq!(site.refused().await.0, "sidecar_invalid");
    fs::remove_dir(site.path("echo.toml")).unwrap();
    site.write("echo.toml", "[settings]\nrows = 1\n");
    site.loaded().await;
}

#[tokio::test]
async fn the_same_content_is_neither_refused_nor_loaded_twice() {
    let files = [("bad.wasm", b"text".to_vec()), ("good.wasm", handler("1"))];
    let mut site = start(&files, |_| {}).await;
    for _ in 0..3 {
        site.rescan().await;
        for (file, content) in &files {
            site.place(file, content);
        }
        site.rescan().await;
    }
    site.nothing_happened();
    site.place("bad.wasm", handler("1"));
    site.loaded().await;
}

#[tokio::test]
async fn links_are_followed_and_a_swapped_target_is_a_new_version() {
    // As Kubernetes mounts a config map: the plugin is a link through `..data`,
    // which is itself a link that is renamed over.
    let mut site = start(&[], |_| {}).await;
    for (folder, mark) in [("..one", "1"), ("..two", "2")] {
        fs::create_dir(site.path(folder)).unwrap();
        site.write(&format!("{folder}/echo.wasm"), handler(mark));
    }
    symlink("..one", site.path("..data")).unwrap();
    symlink("..data/echo.wasm", site.path("echo.wasm")).unwrap();
    site.rescan().await;
    let first = site.loaded().await;

    symlink("..two", site.path("..data_tmp")).unwrap();
    fs::rename(site.path("..data_tmp"), site.path("..data")).unwrap();
    site.rescan().await;
    let second = site.loaded().await;
    assert_ne!(first, second);
}

#[tokio::test]
async fn a_swapped_link_is_seen_by_its_event() {
    let mut site = start(&[], |_| {}).await;
    for (folder, mark) in [("..one", "1"), ("..two", "2")] {
        fs::create_dir(site.path(folder)).unwrap();
        site.write(&format!("{folder}/echo.wasm"), handler(mark));
    }
    symlink("..one", site.path("..data")).unwrap();
    symlink("..data/echo.wasm", site.path("echo.wasm")).unwrap();
    site.loaded().await;
    site.rescan().await;
    symlink("..two", site.path("..data_tmp")).unwrap();
    fs::rename(site.path("..data_tmp"), site.path("..data")).unwrap();
    site.loaded().await;
}

#[tokio::test]
async fn what_no_event_tells_the_rescan_finds() {
    let mut site = start(&[], |settings| settings.rescan = Duration::from_millis(100)).await;
    // Changes behind a link out of the folder send no events, as on mapped
    // volumes.
    let outside = site.root.path().join("outside.wasm");
    fs::write(&outside, handler("1")).unwrap();
    symlink(&outside, site.path("echo.wasm")).unwrap();
    let first = site.loaded().await;
    fs::write(&outside, handler("2")).unwrap();
    assert_ne!(site.loaded().await, first);
    fs::write(&outside, "text").unwrap();
    assert_eq!(site.refused().await.0, "not_wasm");
    fs::remove_file(&outside).unwrap();
    assert_eq!(site.refused().await.0, "unreadable");
    fs::write(&outside, handler("1")).unwrap();
    assert_eq!(site.loaded().await, first);
}

#[tokio::test]
async fn one_plugin_too_many_is_refused_and_comes_in_when_there_is_room() {
    let files = [("a.wasm", handler("a")), ("b.wasm", handler("b"))];
    let mut site = start(&files, |settings| settings.max_plugins = 2).await;
    site.write("c.wasm", handler("c"));
    assert_eq!(site.refused().await.0, "too_many_plugins");
    site.write("a.wasm", handler("a2"));
    site.loaded().await;
    site.remove("a.wasm");
    assert_eq!(site.removed().await, "a");
    site.loaded().await;
    assert!(site.runtime.generation("c").is_some());
}

#[tokio::test]
async fn a_folder_that_vanishes_unloads_nothing_and_is_followed_again() {
    let mut site = start(&one("1"), |settings| settings.rescan = Duration::from_millis(100)).await;
    let old = site.version("echo");
    let (dir, away) = (site.path(""), site.root.path().join("away"));
    fs::rename(&dir, &away).unwrap();
    site.rescan().await;
    site.rescan().await;
    assert_eq!(site.version("echo"), old);

    // An empty folder in its place is an accident as well.
    fs::create_dir(&dir).unwrap();
    site.rescan().await;
    assert_eq!(site.version("echo"), old);
    site.nothing_happened();

    // The first plugin in it says that the folder is meant.
    site.write("other.wasm", handler("2"));
    let mut names = Vec::new();
    for _ in 0..2 {
        names.push(match site.event().await {
            PluginEvent::Loaded { name, .. } | PluginEvent::Removed { name } => name,
            other => panic!("{other:?}"),
        });
    }
    names.sort();
    assert_eq!(names, ["echo", "other"]);
    assert!(site.runtime.generation("other").is_some());
    assert!(site.runtime.generation("echo").is_none());
    site.write("echo.wasm", handler("3"));
    site.loaded().await;
}

#[tokio::test]
async fn a_folder_that_is_made_anew_under_the_same_name_is_followed() {
    let mut site = start(&one("1"), |_| {}).await;
    let dir = site.path("");
    fs::remove_dir_all(&dir).unwrap();
    fs::create_dir(&dir).unwrap();
    site.write("echo.wasm", handler("2"));
    site.rescan().await;
    site.loaded().await;
    // Only an event can tell of this one.
    site.write("echo.wasm", handler("3"));
    site.loaded().await;
}

#[tokio::test]
async fn fifty_swaps_are_fifty_versions_in_order() {
    let mut site = start(&one("start"), by_events_alone).await;
    for n in 0..50 {
        let bytes = handler(&format!("{n}"));
        if n % 2 == 0 {
            site.place("echo.wasm", bytes);
        } else {
            site.write("echo.wasm", bytes);
        }
        let version = site.loaded().await;
        assert_eq!(site.version("echo"), Some(version));
    }
}

#[tokio::test]
async fn a_runtime_that_stops_answers_whoever_waits() {
    let site = start(&one("1"), |_| {}).await;
    site.runtime.stop().await;
    site.rescan().await;
    timeout(SOON, site.runtime.scanned()).await.unwrap();
}
