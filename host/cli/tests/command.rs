//! The command as a person meets it: what it says and how it exits.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

fn segue(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_segue"));
    command.current_dir(dir);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SEGUE_") {
            command.env_remove(name);
        }
    }
    command
}

fn run(dir: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = segue(dir).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

fn folder(config: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("plugins")).unwrap();
    std::fs::write(dir.path().join("segue.toml"), config).unwrap();
    dir
}

const ANY_PORT: &str = "\
[server]
listen = \"127.0.0.1:0\"
drain_delay = \"0s\"
[admin]
listen = \"127.0.0.1:0\"
";

/// One sentence, perhaps with a mend, and nothing of the program's inside.
fn is_clear(said: &str) -> bool {
    (1..=2).contains(&said.lines().count()) && !said.contains("panicked") && !said.contains("Error {")
}

#[test]
fn check_exits_0_when_sound_1_with_faults_2_when_unreadable() {
    let sound = folder("[[route]]\nhandler = \"echo\"\n");
    let (code, out, err) = run(sound.path(), &["check"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(
        out.contains("no faults; 1 route, 0 endpoints, 1 warning"),
        "{out}"
    );
    assert!(
        err.starts_with("segue.toml:1: warning: nothing answers for `echo`"),
        "{err}"
    );

    let faulty = folder("[server]\nlisen = 1\n[log]\nlevel = 2\n");
    let (code, _, err) = run(faulty.path(), &["check"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("segue.toml:2:1: unknown key `lisen`"), "{err}");
    assert!(err.contains("segue.toml:4:9: "), "{err}");
    assert!(err.contains("2 faults"), "{err}");

    for args in [&["check", "none.toml"][..], &["check", "--config", "none.toml"]] {
        let (code, _, err) = run(sound.path(), args);
        assert_eq!(code, Some(2));
        assert!(err.contains("none.toml") && is_clear(&err), "{err}");
    }
    let (code, _, err) = run(sound.path(), &["serve", "--port", "9000"]);
    assert_eq!(code, Some(2));
    assert!(
        err.contains("[server] listen") && err.contains("SEGUE_SERVER__LISTEN"),
        "{err}"
    );

    let open = folder("[server]\nlisten = \"0.0.0.0:8000\"\n");
    let (code, out, err) = run(open.path(), &["check"]);
    assert_eq!(code, Some(1), "{out}");
    assert!(
        out.contains("1 fault;") && err.starts_with("segue.toml:2:"),
        "{out}{err}"
    );
    let (code, _, err) = run(open.path(), &["check", "--insecure"]);
    assert_eq!(code, Some(0), "{err}");
}

#[test]
fn a_host_that_cannot_start_says_why_in_one_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let busy = folder(&ANY_PORT.replacen("127.0.0.1:0", &taken.to_string(), 1));
    let gone = folder(&format!("{ANY_PORT}[plugins]\ndir = \"nowhere\"\n"));
    let open = folder(&ANY_PORT.replacen("127.0.0.1:0", "0.0.0.0:0", 1));
    let kept = folder(&format!("{ANY_PORT}\n").replacen("drain", "state = \"/proc/no\"\ndrain", 1));
    for (dir, words) in [
        (&busy, "another program listens there"),
        (&gone, "[plugins] dir"),
        (&open, "--insecure"),
        (&kept, "admin token"),
    ] {
        let (code, _, err) = run(dir.path(), &["serve"]);
        assert_eq!(code, Some(1), "{err}");
        let said: String = err
            .lines()
            .filter(|l| !l.starts_with('{'))
            .map(|l| format!("{l}\n"))
            .collect();
        assert!(said.contains(words), "{err}");
        assert!(is_clear(&said), "{err}");
    }
}

/// A host that serves; killed if a test fails.
struct Serving {
    child: Child,
    lines: BufReader<std::process::ChildStderr>,
    /// The admin listener.
    admin: String,
}

impl Serving {
    /// Returns when it serves.
    fn start(dir: &Path) -> Serving {
        let mut child = segue(dir).arg("serve").stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        let admin = String::new();
        let mut serving = Serving { child, lines, admin };
        let line = serving.line_with("\"serving\"");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        let admin = line.pointer("/extra/admin").and_then(|a| a.as_str());
        serving.admin = format!("http://{}", admin.unwrap());
        serving
    }

    fn line_with(&mut self, words: &str) -> String {
        let mut all = String::new();
        loop {
            let from = all.len();
            assert_ne!(self.lines.read_line(&mut all).unwrap(), 0, "no {words} in: {all}");
            if all[from..].contains(words) {
                return all[from..].to_owned();
            }
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

#[test]
fn sigterm_drains_and_exits_0() {
    let dir = folder(ANY_PORT);
    let mut host = Serving::start(dir.path());
    host.signal(Signal::TERM);
    host.line_with("\"stopped\"");
    assert_eq!(host.exit_code(), Some(0));
}

#[test]
fn ctrl_c_says_how_to_stop_at_once_and_skips_the_delay() {
    let dir = folder(&ANY_PORT.replace("\"0s\"", "\"10m\""));
    let mut host = Serving::start(dir.path());
    // It leaves, and would for ten minutes.
    host.signal(Signal::TERM);
    host.line_with("leaving");
    host.signal(Signal::INT);
    host.line_with("finishing 0 calls, press Ctrl-C again to stop at once");
    assert_eq!(host.exit_code(), Some(0));
}

#[test]
fn sighup_reads_the_config_again_and_a_faulty_one_is_not_taken() {
    let dir = folder(ANY_PORT);
    let mut host = Serving::start(dir.path());
    let file = dir.path().join("segue.toml");
    std::fs::write(
        &file,
        format!("{ANY_PORT}[log]\nlevel = \"warn\"\n[session]\nqueue = \"x\""),
    )
    .unwrap();
    host.signal(Signal::HUP);
    let said = host.line_with("not taken");
    assert!(said.contains("session.queue"), "{said}");
    std::fs::write(&file, format!("{ANY_PORT}[session]\nqueue = 3")).unwrap();
    host.signal(Signal::HUP);
    host.line_with("configuration reloaded");
}

/// Runs the command again until it says `word`: a host serves before it has read
/// its plugins.
fn run_until(dir: &Path, args: &[&str], word: &str) -> (Option<i32>, String, String) {
    let mut last = run(dir, args);
    for _ in 0..1_000 {
        if last.1.contains(word) {
            break;
        }
        last = run(dir, args);
    }
    last
}

#[test]
fn plugins_ls_lists_with_the_token_that_the_host_keeps() {
    let dir = folder(ANY_PORT);
    std::fs::write(dir.path().join("plugins/bad.wasm"), "text").unwrap();
    let mut host = Serving::start(dir.path());
    let url = host.admin.clone();
    let (code, out, err) = run_until(dir.path(), &["plugins", "ls", "--admin", &url], "refused");
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("NAME"), "{out}");
    assert!(out.contains("bad") && out.contains("not_wasm: "), "{out}");

    std::fs::write(dir.path().join("other"), "not the token").unwrap();
    let (code, _, err) = run(
        dir.path(),
        &["plugins", "ls", "--admin", &url, "--token-file", "other"],
    );
    assert_eq!(code, Some(1));
    assert!(err.contains("refused the token"), "{err}");

    host.signal(Signal::TERM);
    assert_eq!(host.exit_code(), Some(0));
    let (code, _, err) = run(dir.path(), &["plugins", "ls", "--admin", &url]);
    assert_eq!(code, Some(1));
    assert!(err.contains("is it running"), "{err}");
    assert!(is_clear(&err), "{err}");
}

/// Whoever names the listener and the token needs no config on this machine.
#[test]
fn plugins_needs_no_config_where_admin_and_token_are_given() {
    let dir = folder(ANY_PORT);
    let host = Serving::start(dir.path());
    let file = dir.path().join(".segue/admin.token");
    let token = std::fs::read_to_string(&file).unwrap().trim().to_owned();
    let (file, address) = (file.to_str().unwrap(), host.admin.replace("http://", ""));

    let empty = tempfile::tempdir().unwrap();
    let broken = folder("[server\n");
    for elsewhere in [&empty, &broken] {
        for admin in [&host.admin, &address] {
            let ask = |args: &[&str], variable: Option<&str>| {
                let mut command = segue(elsewhere.path());
                command.args(["plugins", "ls", "--admin", admin]).args(args);
                command.envs(variable.map(|token| ("SEGUE_ADMIN_TOKEN", token)));
                let Output { status, stderr, .. } = command.output().unwrap();
                (status.code(), String::from_utf8(stderr).unwrap())
            };
            for (args, variable) in [
                (&["--token-file", file][..], None),
                (&["--token", &token], None),
                (&[], Some(token.as_str())),
                (&["--token", &token], Some("another")),
            ] {
                let (code, err) = ask(args, variable);
                assert_eq!((code, err.as_str()), (Some(0), ""), "{args:?}");
            }
            let (code, err) = ask(&[], Some("another"));
            assert_eq!(code, Some(1), "{err}");
            assert!(err.contains("refused the token") && is_clear(&err), "{err}");
            // Without one, the config is asked for it, and why is told.
            let (code, err) = ask(&[], None);
            assert!(code == Some(1) || code == Some(2), "{err}");
            assert!(err.contains("--token-file or in SEGUE_ADMIN_TOKEN"), "{err}");
        }
    }
}

#[test]
fn plugins_show_tells_of_one_and_promote_of_nothing_that_waits() {
    let dir = folder(ANY_PORT);
    std::fs::write(dir.path().join("plugins/bad.wasm"), "text").unwrap();
    let mut host = Serving::start(dir.path());
    let url = host.admin.clone();
    let show = ["plugins", "show", "bad", "--admin", &url];
    let (code, out, err) = run_until(dir.path(), &show, "refused");
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("state       refused\n"), "{out}");
    assert!(out.contains("wants no capability"), "{out}");
    for (args, words) in [
        (["plugins", "show", "none"], "there is no plugin of this name"),
        (["plugins", "promote", "bad"], "no version of it waits"),
        (["plugins", "promote", "../x"], "is no name of a plugin"),
    ] {
        let (code, _, err) = run(dir.path(), &[&args[..], &["--admin", &url]].concat());
        assert_eq!(code, Some(1), "{err}");
        assert!(err.contains(words) && is_clear(&err), "{err}");
    }
    host.signal(Signal::TERM);
    assert_eq!(host.exit_code(), Some(0));
}

#[test]
fn what_a_config_names_and_is_not_there_is_a_fault_to_check_and_none_to_serve() {
    let dir = folder(&format!("{ANY_PORT}[sql.shop]\nurl = \"sqlite:shop.db\"\n"));
    let (code, _, err) = run(dir.path(), &["check"]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("shop.db, and there is no such file"), "{err}");
    let mut host = Serving::start(dir.path());
    host.signal(Signal::TERM);
    assert_eq!(host.exit_code(), Some(0));
}

#[test]
fn new_begins_a_plugin_or_says_why_not_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (code, out, err) = run(dir.path(), &["new", "stock", "--with", "sql,llm"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("cargo test") && out.contains("segue build"), "{out}");
    assert!(out.contains("sql = [\"shop\"]\nllm = [\"main\"]"), "{out}");
    let code_of = std::fs::read_to_string(dir.path().join("stock/src/lib.rs")).unwrap();

    for (args, words) in [
        (&["new", "stock"][..], "is there already"),
        (&["new", "My Plugin"], "begin with a letter"),
        (&["new", "match"], "try `match-plugin`"),
        (&["new", "other", "--dir", "none"], "there is no folder none"),
        (&["new", "other", "--sdk", "stock"], "no Segue SDK in stock"),
    ] {
        let (code, _, err) = run(dir.path(), args);
        assert_eq!(code, Some(1), "{err}");
        assert!(err.contains(words), "{err}");
        assert!(is_clear(&err), "{err}");
    }
    let (code, _, err) = run(dir.path(), &["new", "other", "--with", "sqll"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("a similar value exists: 'sql'"), "{err}");

    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(
        std::fs::read_to_string(dir.path().join("stock/src/lib.rs")).unwrap(),
        code_of
    );
}

#[test]
fn build_says_what_is_wrong_with_a_manifest_before_it_builds() {
    let dir = tempfile::tempdir().unwrap();
    let write = |text: &str| std::fs::write(dir.path().join("plugin.toml"), text).unwrap();
    let (code, _, err) = run(dir.path(), &["build"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("there is no plugin.toml") && is_clear(&err), "{err}");

    write("nmae = \"a\"\nversion = \"1\"\nisolation = [\"none\"]\n");
    let (code, _, err) = run(dir.path(), &["build"]);
    assert_eq!(code, Some(1));
    for line in [
        "plugin.toml:1:1: unknown key `nmae`",
        "plugin.toml:1:1: there is no `name`",
        "  mend: add name = \"my-plugin\"",
        "plugin.toml:3:14: `none` is no isolation",
    ] {
        assert!(err.lines().any(|known| known == line), "{line} in {err}");
    }

    write("name = \"a\"\nversion = \"1\"\n");
    let (code, _, err) = run(dir.path(), &["build"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("no crate in .") && is_clear(&err), "{err}");
    let (code, _, err) = run(dir.path(), &["build", "--to", "plugins"]);
    assert_eq!(code, Some(1));
    assert!(
        err.contains("no plugin folder plugins") && is_clear(&err),
        "{err}"
    );
}

#[test]
fn build_takes_what_a_command_of_any_language_made() {
    let dir = tempfile::tempdir().unwrap();
    // What it makes is a component, and none that a host would load.
    std::fs::write(
        dir.path().join("plugin.toml"),
        "name = \"a\"\nversion = \"1\"\n[build]\ncommand = \"printf '\\\\0asm\\\\r\\\\0\\\\1\\\\0' > out.wasm\"\noutput = \"out.wasm\"\n",
    )
    .unwrap();
    let (code, _, err) = run(dir.path(), &["build"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("it exports nothing, not even `handle`"), "{err}");
    assert!(!dir.path().join("a.wasm").exists());
}
