//! Every kind of fault, its place and its mend.

use super::super::{LoadFailure, Place, exposure, load};
use super::{bad, good, read};

/// A config with one fault: its code, its line, and words of its report.
struct Case(&'static str, &'static str, usize, &'static str);

const CASES: &[Case] = &[
    Case(
        "[server]\nlisen = \"x\"",
        "unknown_key",
        2,
        "did you mean `listen`?",
    ),
    Case(
        "[servr]\nlisten = \"127.0.0.1:1\"",
        "unknown_key",
        1,
        "did you mean [server]?",
    ),
    Case(
        "max_in_flight = 3",
        "unknown_key",
        1,
        "`max_in_flight` belongs in [http] or [session]",
    ),
    Case("[log]\nzzz = 3", "unknown_key", 2, "[log] knows format, level"),
    Case(
        "[server]\nlisten = 8000",
        "wrong_type",
        2,
        "must be text, not a whole number",
    ),
    Case(
        "[server]\nmax_connections = \"10\"",
        "wrong_type",
        2,
        "write a whole number from 1",
    ),
    Case("server = 3", "wrong_type", 1, "write [server]"),
    Case("[route]\nhandler = \"a\"", "wrong_type", 1, "write [[route]]"),
    Case(
        "[server]\nhosts = \"a\"",
        "wrong_type",
        2,
        "must be a list, not text",
    ),
    Case(
        "[server]\nhosts = [1]",
        "wrong_type",
        2,
        "must be text, not a whole number",
    ),
    Case(
        "[plugins]\nauto_widen = \"yes\"",
        "wrong_type",
        2,
        "true or false, without quotes",
    ),
    Case("[outbox]\nwait = 5", "wrong_type", 2, "such as \"30s\""),
    Case("[outbox]\nbytes = 1.5", "wrong_type", 2, "not a fraction"),
    Case("[outbox]\nbytes = \"8 MX\"", "bad_size", 2, "is no size: `8 MX`"),
    Case("[outbox]\nwait = \"5\"", "bad_duration", 2, "is no duration: `5`"),
    Case(
        "[session]\nmax_in_flight = 65",
        "out_of_range",
        2,
        "is 65, outside",
    ),
    Case("[session]\nqueue = -1", "out_of_range", 2, "give 0 to 10000"),
    Case(
        "[session]\nqueue = 99999999999999999999",
        "out_of_range",
        2,
        "give 0 to 10000",
    ),
    Case(
        "[server]\nmax_frame = 12",
        "out_of_range",
        2,
        "is 12 bytes, outside what is allowed\n  mend: give 1 KiB to 64 MiB",
    ),
    Case("[session]\nttl = \"31d\"", "out_of_range", 2, "give 1s to 30days"),
    Case(
        "[server]\nlisten = \"localhost:9000\"",
        "bad_address",
        2,
        "write 127.0.0.1:9000",
    ),
    Case(
        "[server]\nlisten = \":9000\"",
        "bad_address",
        2,
        "write 0.0.0.0:9000",
    ),
    Case(
        "[admin]\nlisten = \"127.0.0.1:8000\"",
        "same_address",
        2,
        "the same as `server.listen`",
    ),
    Case(
        "[log]\nformat = \"prety\"",
        "unknown_choice",
        2,
        "did you mean \"pretty\"?",
    ),
    Case(
        "[log]\nlevel = \"infoo\"",
        "unknown_choice",
        2,
        "did you mean `info`?",
    ),
    Case("[plugins]\ndir = \"\"", "empty", 2, "is empty"),
    Case(
        "[server]\nhosts = [\"*\"]",
        "bad_host",
        2,
        "without scheme, path or *",
    ),
    Case(
        "[server]\norigins = [\"app.example.com\"]",
        "bad_origin",
        2,
        "such as https://",
    ),
    Case(
        "[server]\nexpose = [\"metrics\"]",
        "bad_path",
        2,
        "from its slash",
    ),
    Case(
        "[plugins.max_grants]\nSQL = [\"a\"]",
        "unknown_capability",
        2,
        "is no capability that is granted",
    ),
    Case(
        "[limits]\nmemory = \"512 MiB\"",
        "out_of_range",
        2,
        "give 64 KiB to 256 MiB",
    ),
    Case(
        "[runtime]\ninstances = 10\nper_plugin = 11",
        "out_of_range",
        3,
        "give 1 to 10",
    ),
    Case(
        "[admin]\ntoken = \"env:NOT_SET\"",
        "unresolved_secret",
        2,
        "NOT_SET, which is not set",
    ),
    Case(
        "[admin]\ntoken = \"file:no/such\"",
        "unresolved_secret",
        2,
        "/srv/segue/no/such, and there is no such file",
    ),
    Case(
        "[admin]\ntoken = \"hunter2hunter2\"",
        "plain_secret",
        2,
        "must not stand in the file",
    ),
    Case("[[route]]", "no_handler", 1, "names no handler"),
    Case(
        "[[route]]\nhandlers = []",
        "no_handler",
        1,
        "without a handler in it",
    ),
    Case(
        "[[route]]\nhandler = \"a\"\nhandlers = [\"b\"]",
        "both_handlers",
        1,
        "keep one of the two",
    ),
    Case(
        "[[route]]\nhandlers = [\"a\", \"a\"]",
        "twice",
        2,
        "names `a` twice",
    ),
    Case(
        "[[route]]\nhandler = \"echo.wasm\"",
        "bad_name",
        2,
        "write \"echo\", without .wasm",
    ),
    Case(
        "[[route]]\nhandler = \"a\"\nmode = \"sequense\"",
        "unknown_choice",
        3,
        "did you mean \"sequence\"?",
    ),
    Case(
        "[[route]]\nhandler = \"a\"\ndeadline = \"11m\"",
        "out_of_range",
        3,
        "give 1ms to 10m",
    ),
    Case(
        "[[route]]\nmatch = { type = \"a\" }\nhandler = \"a\"",
        "unknown_key",
        2,
        "in [route.match]",
    ),
    Case("[[endpoint]]\nhandler = \"a\"", "missing_key", 1, "has no `path`"),
    Case(
        "[[endpoint]]\npath = \"echo\"\nhandler = \"a\"",
        "bad_path",
        2,
        "write a slash",
    ),
    Case(
        "[[endpoint]]\npath = \"/v1/x\"\nhandler = \"a\"",
        "reserved_path",
        2,
        "the host's own",
    ),
    Case(
        "[[endpoint]]\npath = \"/a\"\nkind = \"row\"\nhandler = \"a\"",
        "unknown_choice",
        3,
        "did you mean \"raw\"?",
    ),
];

#[test]
fn every_kind_of_fault_is_found_at_its_line_with_its_mend() {
    for Case(text, code, line, words) in CASES {
        let faults = bad(text);
        let [fault] = faults.list() else {
            panic!("not one fault in {text:?}: {faults}");
        };
        assert_eq!(fault.code, *code, "{text:?}: {faults}");
        let Place::File { line: found, .. } = fault.place else {
            panic!("no line: {faults}");
        };
        assert_eq!(found, *line, "{text:?}: {faults}");
        assert!(
            faults.to_string().contains(words),
            "{text:?} lacks {words:?}: {faults}"
        );
        assert!(!fault.mend.is_empty());
    }
}

#[test]
fn all_faults_of_a_file_are_told_at_once_in_its_order() {
    let faults = bad("\
[server]
listen = \"nowhere\"
pign_interval = \"1s\"

[outbox]
size = 1

[[route]]
mode = \"all\"
");
    let found: Vec<_> = faults
        .list()
        .iter()
        .map(|f| (f.code, f.place.to_string()))
        .collect();
    assert_eq!(
        found,
        [
            ("bad_address", "segue.toml:2:10".to_owned()),
            ("unknown_key", "segue.toml:3:1".to_owned()),
            ("out_of_range", "segue.toml:6:8".to_owned()),
            ("no_handler", "segue.toml:8:1".to_owned()),
            ("unknown_choice", "segue.toml:9:8".to_owned()),
        ]
    );
    assert!(faults.to_string().ends_with("5 faults\n"));
}

#[test]
fn a_text_that_is_not_toml_tells_every_break_and_nothing_made_of_it() {
    let faults = bad("[server]\nlisten = \n[log\nlevel = \"info\"\n[x]\na = 1\na = 2\n");
    assert!(faults.list().len() >= 2, "{faults}");
    assert!(faults.list().iter().all(|f| f.code == "syntax"), "{faults}");
}

#[test]
fn a_fault_is_quoted_with_its_file_and_line_in_a_terminal() {
    let shown = bad("[server]\nlisen = \"x\"").report(true);
    assert!(shown.contains("segue.toml:2:1"), "{shown}");
    assert!(shown.contains("lisen = \"x\""), "{shown}");
    assert!(shown.contains("did you mean `listen`?"), "{shown}");
}

#[test]
fn a_path_taken_twice_is_a_fault_that_names_the_first() {
    let endpoint = "[[endpoint]]\npath = \"/a\"\nhandler = \"a\"\n";
    let faults = bad(&endpoint.repeat(2));
    assert_eq!(faults.list()[0].code, "duplicate_path");
    assert!(faults.to_string().contains("line 1"), "{faults}");
}

#[test]
fn a_route_that_can_never_match_is_told_with_the_lines_that_hide_it() {
    let twice = "[[route]]\nmatch = { mtype = \"a\" }\nhandler = \"x\"\n".repeat(2);
    let faults = bad(&twice);
    assert_eq!(faults.list()[0].code, "never_matches");
    assert!(
        faults
            .to_string()
            .contains("segue.toml:4:1: `route` can never match: the route at line 1"),
        "{faults}"
    );

    // Nothing is left for the last: it is hidden by two together.
    let both = "\
[[route]]
match = { rag_sql = true }
handler = \"x\"
[[route]]
match = { rag_sql = false }
handler = \"y\"
[[route]]
handler = \"z\"
";
    let faults = bad(both);
    assert!(faults.to_string().contains("lines 1, 4"), "{faults}");

    // A more specific one after a general one does match.
    let order = "[[route]]\nhandler = \"x\"\n[[route]]\nmatch = { mtype = \"a\" }\nhandler = \"y\"\n";
    assert!(read(order).is_ok());
}

#[test]
fn a_listener_beyond_loopback_is_refused_unless_told() {
    for (listen, open) in [
        ("127.0.0.1:1", false),
        ("127.9.9.9:1", false),
        ("[::1]:1", false),
        ("[::ffff:127.0.0.1]:1", false),
        ("0.0.0.0:1", true),
        ("[::]:1", true),
        ("10.0.0.1:1", true),
    ] {
        let config = good(&format!("[server]\nlisten = \"{listen}\""));
        assert_eq!(exposure(&config, false).is_err(), open, "{listen}");
        assert!(exposure(&config, true).is_ok());
    }
    let config = good("[server]\nlisten = \"0.0.0.0:80\"");
    let fault = exposure(&config, false).unwrap_err().to_string();
    assert!(fault.starts_with("segue.toml:2:10: "), "{fault}");
    assert!(fault.contains("--insecure"), "{fault}");
}

#[test]
fn a_file_that_cannot_be_read_is_no_fault_of_its_text() {
    let dir = tempfile::tempdir().unwrap();
    let reason = |path: &std::path::Path| match load(path) {
        Err(LoadFailure::Unreadable { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    assert!(reason(&dir.path().join("none.toml")).contains("--config FILE"));
    assert!(reason(dir.path()).contains("folder"));
    let file = dir.path().join("segue.toml");
    std::fs::write(&file, [0xff, 0xfe]).unwrap();
    assert!(reason(&file).contains("UTF-8"));
    std::fs::write(&file, "#".repeat(1 << 20) + "#").unwrap();
    assert!(reason(&file).contains("1 MiB"));
}

#[test]
fn a_fallback_says_one_thing_to_do_and_names_what_there_is() {
    let base = "[llm.main]\nprovider = \"offline\"\n[llm.small]\nprovider = \"offline\"\n";
    let route = |fallback: &str| format!("{base}[[route]]\nhandler = \"chat\"\nfallback = [{fallback}]\n");
    let all =
        "{ model = { main = \"small\" } }, { handler = \"eliza\" }, { cached = \"10m\" }, { text = \"t\" }";
    let config = good(&route(all));
    assert_eq!(config.routes[0].fallback.len(), 4);
    assert_eq!(
        config.handlers().into_keys().collect::<Vec<_>>(),
        ["chat", "eliza"]
    );
    for (fallback, code, mend) in [
        ("{}", "bad_fallback", "give each entry one of"),
        (
            "{ handler = \"a\", text = \"b\" }",
            "bad_fallback",
            "give each entry one of",
        ),
        ("{ text = \"b\", shared = true }", "bad_fallback", "remove it"),
        (
            "{ model = { main = \"smal\" } }",
            "unknown_name",
            "did you mean `small`?",
        ),
        ("{ cached = \"10ms\" }", "out_of_range", "give 1s to"),
    ] {
        let faults = bad(&route(fallback));
        let found = faults.list().iter().find(|fault| fault.code == code);
        let found = found.unwrap_or_else(|| panic!("{fallback}: {faults}"));
        assert!(found.mend.contains(mend), "{fallback}: {}", found.mend);
    }
}
