use super::*;

/// With a ceiling over grants that is wide enough for these tests.
fn settings() -> Settings {
    let ceiling = ["shop", "staff"].map(String::from).to_vec();
    Settings {
        max_grants: [(String::from("sql"), ceiling)].into(),
        ..Settings::default()
    }
}

fn faults(text: &str) -> Vec<SidecarFault> {
    match Sidecar::parse(text, &settings()) {
        Err(LoadError::Sidecar(faults)) => faults,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn a_whole_file_is_read_and_silence_means_the_defaults() {
    let text = r#"
[grants]
sql = ["shop", "shop", "staff"]
llm = []

[limits]
deadline = "1m 30s"
memory = "128 MiB"
chunks = 0x10

[settings]
max_rows = 50
ratio = 0.5
since = 2026-01-01
nested = { names = ["a", "b"], on = true }
"#;
    let sidecar = Sidecar::parse(text, &settings()).unwrap();
    assert_eq!(sidecar.grants.get("sql").unwrap(), &["shop", "staff"]);
    assert!(sidecar.grants.get("llm").unwrap().is_empty());
    let defaults = Limits::default();
    assert_eq!(sidecar.limits.deadline, Duration::from_secs(90));
    assert_eq!(sidecar.limits.memory_bytes, 128 << 20);
    assert_eq!(sidecar.limits.reply_bytes, defaults.reply_bytes);
    assert_eq!(sidecar.limits.chunks, 16);
    assert_eq!(
        Value::Object(sidecar.settings),
        serde_json::json!({
            "max_rows": 50, "ratio": 0.5, "since": "2026-01-01",
            "nested": {"names": ["a", "b"], "on": true}
        })
    );
}

#[test]
fn an_empty_file_says_what_no_file_says() {
    let settings = Settings::default();
    for text in ["", "\n# nothing yet\n", "[grants]\n[limits]\n[settings]\n"] {
        assert_eq!(
            Sidecar::parse(text, &settings).unwrap(),
            Sidecar::absent(&settings)
        );
    }
}

#[test]
fn every_fault_is_reported_with_its_line() {
    let text = r#"grant = 1
[limits]
deadlin = "30s"
deadline = 30
memory = "64 MeB"
reply = "1 TiB"
chunks = 0
[grants]
sql = "shop"
llm = ["main", 7]
Sql = ["shop"]
[settings]
far = inf
[extra]
"#;
    let found: Vec<(usize, String)> = faults(text)
        .into_iter()
        .map(|fault| (fault.line, fault.message))
        .collect();
    let expected = [
        (1, "`grant` is not known"),
        (3, "`deadlin` is not a limit"),
        (4, "\"30s\""),
        (5, "64 MeB"),
        (6, "at most 64 MiB"),
        (7, "1 to 1000000"),
        (9, "list of names"),
        (10, "quotes"),
        (10, "`llm` may not grant `main`"),
        (11, "lower-case"),
        (13, "as JSON"),
        (14, "`extra` is not known"),
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for ((line, message), (expected_line, part)) in found.iter().zip(expected) {
        assert_eq!(*line, expected_line, "{message}");
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn limits_that_nothing_could_run_under_are_faults() {
    for text in [
        "[limits]\ndeadline = \"0s\"",
        "[limits]\ndeadline = \"20m\"",
        "[limits]\nmemory = 1000",
        "[limits]\nmemory = -1",
        "[limits]\nmemory = \"2 GiB\"",
        "[limits]\nreply = 0",
        "[limits]\nchunks = \"many\"",
        "limits = 3",
    ] {
        assert_eq!(faults(text).len(), 1, "{text}");
    }
}

#[test]
fn broken_toml_is_reported_with_what_is_wrong_before_it() {
    let found = faults("[limits]\nmemory = 1\n[grants]\nsql = 3\n[oh\n[settings]\na = 1\na = 2\n");
    let lines: Vec<usize> = found.iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [2, 4, 5], "{found:#?}");
}

#[test]
fn one_broken_line_is_one_fault() {
    for (text, line) in [
        ("[limits\nmemory = \"64 MiB\"\n[settings]\na = 1\n", 1),
        ("[[limits]\nmemory = \"64 MiB\"\n", 1),
        ("[grants]\nsql = [\"shop\n[limits]\nmemory = \"64 MiB\"\n", 2),
        ("[limits]\nmemory = 64 MiB\n", 2),
        ("[limits]\nmemory = \"64 MiB\n", 2),
        ("[limits]\nmemory\n", 2),
        ("[limits]\nmemory = \n", 2),
        ("limits]\nmemory = \"64 MiB\"\n", 1),
        ("this is no TOML\n", 1),
        ("{\"grants\": {\"sql\": [\"shop\"]}}\n", 1),
        ("[settings]\na = { b = 1\nc = 2\n", 3),
    ] {
        let found = faults(text);
        let lines: Vec<usize> = found.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [line], "{text}{found:#?}");
    }
}

#[test]
fn no_text_makes_the_parser_panic_or_hang() {
    let whole = "[grants]\nsql = [\"shop\"]\n[limits]\ndeadline = \"30s\"\n[settings]\na = { b = [1, 2.5, 1979-05-27] }\n";
    for end in 0..whole.len() {
        let _ = Sidecar::parse(&whole[..end], &Settings::default());
        let _ = Sidecar::parse(&whole[end..], &Settings::default());
    }
    let deep = format!("[settings]\na = {}1{}", "[".repeat(20_000), "]".repeat(20_000));
    assert!(Sidecar::parse(&deep, &Settings::default()).is_err());
    let dotted = format!("[settings]\n{}a = 1", "a.".repeat(20_000));
    let _ = Sidecar::parse(&dotted, &Settings::default());
}
