//! What comes out: defaults, paths, secrets, and what may change while the
//! host runs.

use std::path::Path;
use std::time::Duration;

use super::super::{Config, Mode, parse, winner};
use super::{bad, env, good};

#[test]
fn an_empty_file_is_a_whole_config() {
    let config = good("");
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8000");
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:8001");
    assert_eq!(config.plugins.dir, Path::new("/srv/segue/plugins"));
    assert_eq!(config.plugins.cache, Path::new("/srv/segue/.segue/cache"));
    assert_eq!(config.session.max_in_flight, 1);
    assert_eq!(config.session.id_window, Duration::from_secs(24 * 3600));
    let default = Config::default_for(Path::new("/srv/segue"));
    assert_eq!(default.redacted_json(), config.redacted_json());
}

#[test]
fn routes_and_endpoints_read_as_written() {
    let config = good(
        "\
[[route]]
match = { mtype = \"chat\", rag_sql = true }
handler = \"sql-rag\"
[[route]]
match.rag_sql = true
match.rag_doc = true
handlers = [\"sql-rag\", \"doc-rag\"]
mode = \"sequence\"
deadline = \"5s\"
[[endpoint]]
path = \"/echo\"
kind = \"raw\"
handler = \"echo\"
",
    );
    assert_eq!(config.routes[0].handlers, ["sql-rag"]);
    assert_eq!(config.routes[0].line, 1);
    assert_eq!(config.routes[1].mode, Mode::Sequence);
    assert_eq!(config.routes[1].deadline, Some(Duration::from_secs(5)));
    assert_eq!(config.endpoints[0].path, "/echo");
    let handlers: Vec<_> = config.handlers().into_iter().collect();
    assert_eq!(handlers, [("doc-rag", 4), ("echo", 10), ("sql-rag", 1)]);
}

#[test]
fn the_most_specific_route_wins_and_equals_go_by_order() {
    let config = good(
        "\
[[route]]
handler = \"any\"
[[route]]
match = { mtype = \"chat\" }
handler = \"chat\"
[[route]]
match = { rag_sql = true }
handler = \"sql\"
",
    );
    let to = |mtype, sql| &winner(&config.routes, mtype, sql, false).unwrap().handlers[0];
    assert_eq!(to("chat", true), "chat");
    assert_eq!(to("x", true), "sql");
    assert_eq!(to("x", false), "any");
}

#[test]
fn a_default_yields_to_a_lower_ceiling() {
    let config = good("[max_limits]\nmemory = \"32 MiB\"\n[runtime]\ninstances = 100");
    assert_eq!(config.limits.memory, 32 << 20);
    assert_eq!(config.runtime.per_plugin, 100);
    let settings = config.runtime_settings();
    assert_eq!(settings.default_limits.memory_bytes, 32 << 20);
    assert_eq!(settings.instances, 100);
}

#[test]
fn secrets_resolve_and_are_never_told() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("token"), "hunter2-from-file\n").unwrap();
    let by_file = parse("[admin]\ntoken = \"file:token\"", dir.path(), &env(&[])).unwrap();
    let vars = env(&[("T", "hunter2-from-env")]);
    let by_env = parse("[admin]\ntoken = \"env:T\"", dir.path(), &vars).unwrap();
    let vars = env(&[("SEGUE_ADMIN__TOKEN", "hunter2-direct")]);
    let direct = parse("", dir.path(), &vars).unwrap();
    for (config, value) in [
        (&by_file, "hunter2-from-file"),
        (&by_env, "hunter2-from-env"),
        (&direct, "hunter2-direct"),
    ] {
        assert_eq!(config.admin.token.as_ref().unwrap().expose(), value);
        assert!(!format!("{config:?}").contains("hunter2"));
        assert!(!config.redacted_json().to_string().contains("hunter2"));
    }
    assert_eq!(by_env.redacted_json()["admin"]["token"], "env:T");
}

#[test]
fn a_secret_in_the_file_is_not_quoted_even_beside_another_fault() {
    let faults = bad("admin = { token = \"hunter2 höchst geheim\", lisen = 3 }");
    assert_eq!(faults.list().len(), 2);
    for report in [faults.report(true), faults.report(false)] {
        assert!(!report.contains("hunter2"), "{report}");
        assert!(report.contains("listen"), "{report}");
    }
    let said = parse("", Path::new("/"), &env(&[("SEGUE_ADMIN__TOKEN", "hunter2 x")]));
    assert!(!said.unwrap_err().to_string().contains("hunter2"));
}

#[test]
fn what_is_shown_says_where_each_value_was_set() {
    let shown = good("[server]\nmax_frame = \"2 MiB\"\n").redacted_json();
    assert_eq!(shown["server"]["max_frame"], 2 << 20);
    assert_eq!(shown["server"]["ping_interval"], "20s");
    assert_eq!(shown["sources"]["server.max_frame"], "segue.toml:2:13");
}

#[test]
fn a_change_is_hot_or_named_as_needing_a_restart() {
    let old = good("");
    let hot = good(
        "\
[log]
level = \"debug\"
[server]
max_frame = \"2 MiB\"
[session]
queue = 1
[[route]]
handler = \"a\"
",
    );
    assert!(old.needs_restart(&hot).is_empty());
    let cold = good(
        "\
[server]
listen = \"127.0.0.1:1\"
state = \"s\"
[plugins]
dir = \"p\"
[runtime]
instances = 9
[session]
queue = 2
",
    );
    assert_eq!(
        old.needs_restart(&cold),
        [
            "plugins.cache",
            "plugins.dir",
            "runtime.instances",
            "runtime.per_plugin",
            "server.listen",
            "server.state",
        ]
    );
    let token = |value| {
        let vars = env(&[("T", value)]);
        parse("[admin]\ntoken = \"env:T\"", Path::new("/"), &vars).unwrap()
    };
    let (one, two) = (token("hunter2-one"), token("hunter2-two"));
    assert_eq!(one.needs_restart(&two), ["admin.token"]);
    assert!(one.needs_restart(&one).is_empty());
}

#[test]
fn the_example_says_what_holds_without_it() {
    let example = good(include_str!("../../../../../examples/minimal/segue.toml")).redacted_json();
    let empty = good("").redacted_json();
    for section in ["server", "admin", "plugins", "limits", "session", "outbox"] {
        assert_eq!(example[section], empty[section]);
    }
    assert_eq!(example["route"][0]["handlers"][0], "echo");
}
