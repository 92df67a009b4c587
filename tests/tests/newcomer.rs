//! A plugin's way from `segue new` to an answer in the chat, as somebody goes it
//! who has a checkout and nothing else: what is written builds, passes its own
//! tests, is served as it is, and swapped while the host runs.
//!
//! Cargo is run without the network: what the SDK needs is what the workspace
//! needs. One folder of build results is kept between runs.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use segue_tests::{Chat, LogLine, Process, Site, component, segue_binary, target_dir, within};

/// Where plugins are begun, anew each time: cargo tells crates apart by their
/// place, so another one each time would fill the disk.
fn bench() -> PathBuf {
    let bench = target_dir().join("newcomer").join("crates");
    let _none_yet = fs::remove_dir_all(&bench);
    fs::create_dir_all(&bench).expect("a folder for new crates");
    bench
}

/// Runs a program to its end and returns all that it said.
fn run(dir: &Path, program: &Path, args: &[&str]) -> String {
    let output = Command::new(program)
        .args(args)
        .current_dir(dir)
        .env("CARGO_TARGET_DIR", target_dir().join("newcomer"))
        .env("CARGO_NET_OFFLINE", "true")
        // Nobody looks into what is built here, nor builds it bit by bit.
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_INCREMENTAL", "0")
        .output()
        .expect("starting it");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{} {args:?}: {said}", program.display());
    said
}

fn segue(dir: &Path, args: &[&str]) -> String {
    run(dir, &segue_binary(), args)
}

fn cargo(dir: &Path, args: &[&str]) -> String {
    run(dir, Path::new("cargo"), args)
}

/// What the SDK has and a plugin does not call is no import of it.
#[test]
fn a_bundled_plugin_says_who_it_is_and_wants_what_it_uses() {
    let settings = segue_server::Config::default_for(Path::new(".")).runtime_settings();
    for (name, wants) in [
        ("echo", &[][..]),
        ("eliza", &[]),
        ("chat", &["llm", "session"]),
        ("doc-rag", &["llm", "search"]),
        ("sql-rag", &["llm", "sql"]),
    ] {
        let plugin = segue_runtime::describe(&component(name), &settings.capabilities).expect(name);
        assert_eq!(plugin.wants, wants, "{name}");
        let manifest = plugin.manifest.expect(name);
        assert_eq!(manifest.name, name);
        assert!(!manifest.description.is_empty(), "{name}");
    }
}

const SHOP: &str = "
    CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT);
    INSERT INTO products (name) VALUES ('Green tea'), ('Black tea');
";

#[tokio::test(flavor = "multi_thread")]
async fn from_segue_new_to_an_answer_and_to_a_better_one() {
    let bench = bench();
    // Every capability at once: what is written passes its tests, without a
    // warning, and asks for what it uses.
    segue(
        &bench,
        &[
            "new",
            "everything",
            "--with",
            "sql,search,session,keyvalue,cache,http,llm",
        ],
    );
    let everything = bench.join("everything");
    let said = cargo(&everything, &["test"]);
    assert!(said.contains("9 passed") && !said.contains("warning"), "{said}");
    let said = segue(&bench, &["build", "everything"]);
    assert!(
        said.contains("wants cache, http, keyvalue, llm, search, session, sql"),
        "{said}"
    );

    segue(&bench, &["new", "stock", "--with", "sql"]);
    let stock = bench.join("stock");
    let said = cargo(&stock, &["test"]);
    assert!(said.contains("3 passed"), "{said}");

    let site = Site::builder()
        .config("[sql.shop]\nurl = \"sqlite:shop.db\"\n[plugins.max_grants]\nsql = [\"shop\"]\n")
        .config("[[route]]\nmatch = { mtype = \"stock\" }\nhandler = \"stock\"\n")
        .database("shop.db", SHOP)
        .build();
    let plugins = site.plugins();
    let to = plugins.to_str().expect("a path in UTF-8");
    let said = segue(&stock, &["build", "--to", to]);
    assert!(said.contains("wrote") && said.contains("stock.toml"), "{said}");

    let mut process = Process::serve(&site);
    let (public, _admin) = process.serving().await;
    let serves = |line: &LogLine| line.text.contains("plugin stock serves in version");
    process.line("the plugin to be loaded", serves).await;
    let mut chat = Chat::connect(public).await;
    let reply = chat.ask("m0", "stock", "Ada").await;
    let expected = "Hello, Ada.\nproducts has 2 rows.\n";
    assert_eq!(reply.text, expected, "{:?}\n{}", reply.last, process.said());

    // The operator's file stays as it is, whatever is put beside it.
    fs::write(plugins.join("stock.toml"), "[grants]\nsql = [\"shop\"]\n# mine\n").expect("a sidecar");
    let code = fs::read_to_string(stock.join("src/lib.rs")).expect("its code");
    fs::write(
        stock.join("src/lib.rs"),
        code.replace("Hello, {}.", "Good day, {}."),
    )
    .expect("its code");
    segue(&stock, &["build", "--to", to]);
    let kept = fs::read_to_string(plugins.join("stock.toml")).expect("a sidecar");
    assert!(kept.contains("# mine"), "{kept}");
    let mut answers = 0;
    let better = async {
        loop {
            answers += 1;
            let reply = chat.ask(&format!("n{answers}"), "stock", "Ada").await;
            if reply.text != expected {
                return reply.text;
            }
        }
    };
    let text = within("the new version to answer", better).await;
    assert_eq!(text, "Good day, Ada.\nproducts has 2 rows.\n");

    // One with a bug: the host's log says what it said, and where it was.
    let code = fs::read_to_string(stock.join("src/lib.rs")).expect("its code");
    let broken = code.replacen("reply.send(", "pour(message.text());\n    reply.send(", 1);
    assert_ne!(broken, code);
    // Small functions are built into those that call them, and have no frame.
    let pour = "#[inline(never)]\nfn pour(name: &str) {\n    assert!(name != \"Ada\", \"no tea left\");\n}\n";
    let broken = format!("{broken}\n{pour}");
    fs::write(stock.join("src/lib.rs"), broken).expect("its code");
    segue(&stock, &["build", "--to", to]);
    let crash = async {
        for n in 0.. {
            let reply = chat.ask(&format!("c{n}"), "stock", "Ada").await;
            if reply.last["type"] == "error" {
                return reply.last["code"].clone();
            }
        }
        unreachable!()
    };
    assert_eq!(
        within("the broken version to crash", crash).await,
        "handler_trapped"
    );
    let failed = |line: &LogLine| line.text.contains("a call failed");
    let line = process.line("the crash to be told", failed).await;
    let extra = &line.json.expect("a JSON line")["extra"];
    let (words, backtrace) = (extra["stderr"].to_string(), extra["backtrace"].to_string());
    assert!(
        words.contains("src/lib.rs:") && words.contains("no tea left"),
        "{extra}"
    );
    assert!(backtrace.contains("stock::pour < "), "{extra}");
}
