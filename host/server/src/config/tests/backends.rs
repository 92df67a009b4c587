//! `[sql.NAME]`, `[search.NAME]`, `[llm.NAME]`, `[http]`, `[keyvalue]` and what
//! `[plugins.max_grants]` may name of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::super::load::{Absent, load_with};
use super::super::{DatabaseUrl, Llm, LoadFailure, Place, parse};
use super::{bad, env, good};

/// A config with one fault: its code, its line, and words of its report.
struct Case(&'static str, &'static str, usize, &'static str);

const CASES: &[Case] = &[
    Case("[sql.shop]", "missing_key", 1, "write url = \"sqlite:FILE\""),
    Case(
        "[sql]\nurl = \"sqlite:shop.db\"",
        "wrong_type",
        2,
        "give it a name of your choice: [sql.NAME]",
    ),
    Case("[sql.Shop]\nurl = \"sqlite:s\"", "bad_name", 1, "is no name"),
    Case(
        "[sql.shop]\nurl = \"sqlite:s\"\nmax_row = 5",
        "unknown_key",
        3,
        "did you mean `max_rows`?",
    ),
    Case(
        "[sql.shop]\nurl = \"sqlite:s\"\nmax_answer = 5",
        "unknown_key",
        3,
        "[sql.shop] knows cache, connections, max_bytes, max_rows, queue, slow_query, timeout, url",
    ),
    Case(
        "[sql.shop]\nurl = \"postgres://me:hunter2@db/shop\"",
        "bad_url",
        2,
        "postgres and mysql are not there yet",
    ),
    Case("[sql.shop]\nurl = \"shop.db\"", "bad_url", 2, "\"sqlite:FILE\""),
    Case(
        "[sql.shop]\nurl = \"file:shop.db\"",
        "bad_url",
        2,
        "no known scheme",
    ),
    Case(
        "[sql.shop]\nurl = \"sqlite://shop.db\"",
        "bad_url",
        2,
        "names a host",
    ),
    Case("[sql.shop]\nurl = \"sqlite:\"", "bad_url", 2, "names no file"),
    Case(
        "[sql.shop]\nurl = \"sqlite::memory:\"",
        "bad_url",
        2,
        "always be empty",
    ),
    Case(
        "[sql.shop]\nurl = \"sqlite:s?mode=rwc\"",
        "bad_url",
        2,
        "takes none",
    ),
    Case(
        "[sql.shop]\nurl = \"sqlite:s\"\ntimeout = \"2h\"",
        "out_of_range",
        3,
        "give 1ms to 1h",
    ),
    Case(
        "[sql.shop]\nurl = \"sqlite:s\"\nconnections = 0",
        "out_of_range",
        3,
        "give 1 to 256",
    ),
    Case("[search.docs]\nserve = true", "missing_key", 1, "has no `path`"),
    Case(
        "[search.docs]\npath = \"d\"\ninclude = []",
        "empty",
        1,
        "nothing is a document",
    ),
    Case(
        "[search.docs]\npath = \"d\"\ninclude = [\"{a\"]",
        "bad_pattern",
        3,
        "is no pattern: `{a`",
    ),
    Case(
        "[search.docs]\npath = \"d\"\nexclude = [\"../x\"]",
        "bad_pattern",
        3,
        "begins outside the folder",
    ),
    Case(
        "[search.docs]\npath = \"d\"\nserve = \"yes\"",
        "wrong_type",
        3,
        "true or false",
    ),
    Case(
        "[llm.main]",
        "missing_key",
        1,
        "provider = \"openai\", or \"offline\"",
    ),
    Case(
        "[llm.main]\nprovider = \"openapi\"",
        "unknown_choice",
        2,
        "did you mean \"openai\"?",
    ),
    Case(
        "[llm.main]\nprovider = \"openai\"\nmodel = \"m\"",
        "missing_key",
        1,
        "has no `base_url`",
    ),
    Case(
        "[llm.main]\nprovider = \"openai\"\nbase_url = \"http://h/v1\"",
        "missing_key",
        1,
        "has no `model`",
    ),
    Case(
        "[llm.main]\nprovider = \"openai\"\nmodel = \"m\"\nbase_url = \"llm.example.com\"",
        "bad_url",
        4,
        "such as https://llm.example.com/v1",
    ),
    Case(
        "[llm.main]\nprovider = \"openai\"\nmodel = \"m\"\nbase_url = \"https://h/v1?x=1\"",
        "bad_url",
        4,
        "it has a `?`",
    ),
    Case(
        "[llm.main]\nprovider = \"openai\"\nmodel = \"m\"\nbase_url = \"https://me:hunter2@h/v1\"",
        "plain_secret",
        4,
        "must not stand in the file",
    ),
    Case(
        "[llm.main]\nprovider = \"openai\"\nmodel = \"m\"\nbase_url = \"https://h\"\napi_key = \"hunter2\"",
        "plain_secret",
        5,
        "\"env:NAME\" or \"file:PATH\"",
    ),
    Case(
        "[llm.main]\nprovider = \"openai\"\nmodel = \"m\"\nbase_url = \"https://h\"\napi_key = \"env:NONE\"",
        "unresolved_secret",
        5,
        "NONE, which is not set",
    ),
    Case(
        "[llm.main]\nprovider = \"openai\"\nmodel = \"m\"\nbase_url = \"https://h\"\ntemperature = 3",
        "out_of_range",
        5,
        "give 0 to 2",
    ),
    Case(
        "[llm.main]\nprovider = \"openai\"\nmodel = \"m\"\nbase_url = \"https://h\"\ntemperature = \"hot\"",
        "wrong_type",
        5,
        "must be a number, not text",
    ),
    Case(
        "[llm.main]\nprovider = \"offline\"\nmodle = \"m\"",
        "unknown_key",
        3,
        "did you mean `model`?",
    ),
    Case(
        "[http]\nallow_networks = [\"10.0.0.0/33\"]",
        "bad_network",
        2,
        "is no network",
    ),
    Case(
        "[http]\nallow_networks = [\"10.1.2.3/8\"]",
        "bad_network",
        2,
        "write 10.0.0.0/8",
    ),
    Case("[http]\ntimeout = \"0s\"", "out_of_range", 2, "give 10ms to 1h"),
    Case("[keyvalue]\nmax_keys = 0", "out_of_range", 2, "give 1 to"),
    Case(
        "[plugins.max_grants]\nsqll = [\"shop\"]",
        "unknown_capability",
        2,
        "did you mean `sql`?",
    ),
    Case(
        "[plugins.max_grants]\nfilesystem = [\"/\"]",
        "unknown_capability",
        2,
        "what can be granted is cache, http, keyvalue, llm, search, session, sql",
    ),
    Case(
        "[sql.shop]\nurl = \"sqlite:s\"\n[plugins.max_grants]\nsql = [\"shpo\"]",
        "unknown_name",
        4,
        "did you mean \"shop\"? or add [sql.shpo]",
    ),
    Case(
        "[plugins.max_grants]\nsearch = [\"docs\"]",
        "unknown_name",
        2,
        "add [search.docs], or remove the name",
    ),
    Case(
        "[plugins.max_grants]\nllm = [\"main\"]",
        "unknown_name",
        2,
        "there is no [llm.main]",
    ),
    Case(
        "[plugins.max_grants]\nsession = [\"all\"]",
        "unknown_name",
        2,
        "write \"state\" or \"history\"",
    ),
    Case(
        "[plugins.max_grants]\nhttp = [\"*\"]",
        "bad_grant",
        2,
        "write api.example.com",
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
        let told = faults.to_string();
        assert!(told.contains(words), "{text:?} lacks {words:?}: {told}");
        for report in [told, faults.report(true)] {
            assert!(!report.contains("hunter2"), "{report}");
        }
    }
}

#[test]
fn a_faulty_database_is_one_fault_and_not_a_second_one_where_it_is_granted() {
    let faults = bad("[sql.shop]\n[plugins.max_grants]\nsql = [\"shop\"]");
    assert_eq!(faults.list().len(), 1, "{faults}");
    let too_many: String = (0..101)
        .map(|n| format!("[sql.s{n}]\nurl = \"sqlite:s\"\n"))
        .collect();
    assert_eq!(bad(&too_many).list()[0].code, "out_of_range");
}

const WHOLE: &str = r#"
[sql.shop]
url = "sqlite:data/shop.db"
max_rows = 10
[sql.absolute]
url = "sqlite:///srv/other.db"
[search.docs]
path = "docs"
exclude = ["drafts/**"]
serve = true
[llm.main]
provider = "openai"
base_url = "https://llm.example.com/v1"
api_key = "env:LLM_KEY"
model = "large"
temperature = 0.5
[llm.none]
provider = "offline"
[http]
allow_networks = ["10.1.0.0/16", "::1"]
[keyvalue]
max_bytes = "1 MiB"
[plugins.max_grants]
sql = ["shop"]
search = ["docs"]
llm = ["main", "none"]
session = ["state", "history"]
http = ["*.example.com", "http://localhost:9000"]
keyvalue = ["notes"]
"#;

#[test]
fn what_is_written_is_read_and_the_rest_is_as_documented() {
    let config = parse(WHOLE, Path::new("/srv/segue"), &env(&[("LLM_KEY", "hunter2")])).unwrap();
    let shop = &config.backends.sql["shop"];
    assert_eq!(shop.url, DatabaseUrl::Sqlite("/srv/segue/data/shop.db".into()));
    assert_eq!(
        config.backends.sql["absolute"].url.to_string(),
        "sqlite:/srv/other.db"
    );
    assert_eq!(
        (shop.max_rows, shop.max_bytes, shop.connections),
        (10, 4 << 20, 4)
    );
    let docs = &config.backends.search["docs"];
    assert_eq!(docs.include.len(), 5);
    assert_eq!((docs.max_files, docs.serve), (50_000, true));
    let Llm::OpenAi(main) = &config.backends.llm["main"] else {
        panic!("{:?}", config.backends.llm);
    };
    let server = main.server.as_ref().unwrap();
    assert_eq!(server.base_url.as_str(), "https://llm.example.com/v1");
    assert_eq!(server.temperature, Some(0.5));
    assert_eq!(server.first_token_timeout, Duration::from_secs(30));
    assert_eq!(server.api_key.as_ref().unwrap().expose(), "hunter2");
    assert!(matches!(config.backends.llm["none"], Llm::Offline));
    assert_eq!(
        config.backends.keyvalue.path,
        Path::new("/srv/segue/.segue/keyvalue.db")
    );
    assert_eq!(config.backends.keyvalue.max_bytes, 1 << 20);
    assert_eq!(config.plugins.max_grants["http"].len(), 2);

    let settings = config.backends.settings();
    assert_eq!(settings.sql["shop"].max_rows, 10);
    assert_eq!(settings.http.allow_networks.len(), 2);

    let shown = config.redacted_json();
    assert_eq!(shown["sql"]["shop"]["url"], "sqlite:/srv/segue/data/shop.db");
    assert_eq!(shown["llm"]["main"]["provider"], "openai");
    assert_eq!(shown["llm"]["main"]["api_key"], "env:LLM_KEY");
    assert_eq!(shown["http"]["allow_networks"][1], "::1/128");
    assert_eq!(shown["sources"]["sql.shop.max_rows"], "segue.toml:4:12");
    for text in [shown.to_string(), format!("{config:?} {settings:?}")] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn a_variable_overrides_a_key_of_a_table_with_a_name() {
    let vars = env(&[
        ("SEGUE_LLM__MAIN__API_KEY", "hunter2"),
        ("SEGUE_SQL__SHOP__MAX_ROWS", "7"),
        ("SEGUE_SQL__MY_OTHER__URL", "sqlite:elsewhere.db"),
        ("SEGUE_HTTP__TIMEOUT", "1s"),
    ]);
    let text = WHOLE.replace("[sql.absolute]", "[sql.my-other]");
    let config = parse(&text, Path::new("/srv"), &vars).unwrap();
    assert_eq!(config.backends.sql["shop"].max_rows, 7);
    assert_eq!(
        config.backends.sql["my-other"].url.to_string(),
        "sqlite:/srv/elsewhere.db"
    );
    assert_eq!(config.backends.http.timeout, Duration::from_secs(1));
    let place = config.place("sql.shop.max_rows").unwrap().to_string();
    assert_eq!(place, "SEGUE_SQL__SHOP__MAX_ROWS (environment)");
    assert!(!config.redacted_json().to_string().contains("hunter2"));

    // Without its key and its server, a model can be taken offline.
    let offline = env(&[("SEGUE_LLM__MAIN__PROVIDER", "offline")]);
    let config = parse(WHOLE, Path::new("/srv"), &offline).unwrap();
    assert!(matches!(config.backends.llm["main"], Llm::Offline));

    let said = parse(
        "",
        Path::new("/srv"),
        &env(&[("SEGUE_LLM__MAIN__API_KEY", "hunter2")]),
    );
    let said = said.unwrap_err().to_string();
    assert!(said.contains("add the table to the file first"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn all_of_it_changes_without_a_restart() {
    let vars = env(&[("LLM_KEY", "one")]);
    let old = parse(WHOLE, Path::new("/srv"), &vars).unwrap();
    assert!(good("").needs_restart(&old).contains(&"server.state".to_owned()));
    let empty = parse("", Path::new("/srv"), &env(&[])).unwrap();
    assert_eq!(old.needs_restart(&empty), [""; 0]);
    assert_eq!(empty.needs_restart(&old), [""; 0]);
    let widening = parse("[plugins]\nauto_widen = true", Path::new("/srv"), &env(&[])).unwrap();
    assert_eq!(empty.needs_restart(&widening), [""; 0]);
}

#[test]
fn what_is_not_there_is_a_fault_to_who_checks_and_not_to_a_host_that_starts() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("segue.toml");
    let text = "\
[sql.shop]
url = \"sqlite:shop.db\"
[search.docs]
path = \"docs\"
[keyvalue]
path = \"none/kv.db\"
";
    std::fs::write(&file, text).unwrap();
    let load = |absent| load_with(&file, env(&[]), absent, Vec::new());
    let config = load(Absent::IsNoted).unwrap();
    assert_eq!(config.absences().len(), 3);
    let Err(LoadFailure::Faults(faults)) = load(Absent::IsFault) else {
        panic!("three things are not there");
    };
    let told = faults.to_string();
    for (line, words) in [
        (
            "segue.toml:2:7: `sql.shop.url` names ",
            "shop.db, and there is no such file",
        ),
        (
            "segue.toml:4:8: `search.docs.path` names ",
            "docs, and there is no such folder",
        ),
        (
            "segue.toml:6:8: `keyvalue.path` names ",
            "none, and there is no such folder",
        ),
    ] {
        assert!(told.contains(line) && told.contains(words), "{told}");
    }
    assert!(faults.list().iter().all(|f| f.code == "not_there"), "{told}");

    std::fs::write(dir.path().join("shop.db"), "").unwrap();
    std::fs::write(dir.path().join("docs"), "").unwrap();
    std::fs::create_dir(dir.path().join("none")).unwrap();
    let said = load(Absent::IsFault).unwrap_err().to_string();
    assert!(said.contains("docs, which is no folder"), "{said}");
    std::fs::remove_file(dir.path().join("docs")).unwrap();
    std::fs::create_dir(dir.path().join("docs")).unwrap();
    assert!(load(Absent::IsFault).unwrap().absences().is_empty());
}

/// O19: cache tiers.
#[test]
fn a_cache_in_redis_has_an_address_and_its_password_is_nowhere_to_be_seen() {
    let text = |more: &str| format!("[cache.answers]\ntier = \"redis\"\n{more}\n");
    let variables = BTreeMap::from([("P".to_owned(), "hunter2".to_owned())]);
    let whole = text("url = \"rediss://cache.example:6380/1\"\nusername = \"segue\"\npassword = \"env:P\"");
    let config = parse(&whole, Path::new("/srv/segue"), &variables).unwrap();
    let shown = config.redacted_json()["cache"]["answers"].clone();
    assert_eq!(
        (&shown["tier"], &shown["password"]),
        (&json!("redis"), &json!("env:P"))
    );
    assert!(!format!("{config:?}{shown}").contains("hunter2"));
    let settings = config.backends.settings();
    assert!(!format!("{settings:?}").contains("hunter2"));
    assert!(settings.cache["answers"].redis.is_some());
    for (more, code) in [
        ("", "missing_key"),
        ("url = \"redis://:hunter2@localhost/0\"", "plain_secret"),
        ("url = \"http://localhost\"", "bad_url"),
        ("url = \"redis://localhost/x\"", "bad_url"),
        (
            "url = \"redis://localhost\"\npassword = \"hunter2\"",
            "plain_secret",
        ),
        ("url = \"redis://localhost\"\nusername = \"\"", "empty"),
    ] {
        let faults = bad(&text(more));
        assert_eq!(faults.list()[0].code, code, "{more}: {faults}");
        assert!(!faults.to_string().contains("hunter2"), "{faults}");
    }
    // What a variable can switch off is not looked at.
    let memory = "[cache.answers]\ntier = \"memory\"\nurl = \"redis://localhost\"\n";
    assert!(good(memory).backends.settings().cache["answers"].redis.is_none());
    let health = format!(
        "{whole}\n[health]\nrequired = [\"cache.answers\"]\n[resilience.cache.answers]\ntimeout = \"50ms\"\n"
    );
    parse(&health, Path::new("/srv/segue"), &variables).unwrap();
}

#[test]
fn a_section_names_a_cache_that_there_is() {
    let text = |cache: &str| {
        format!("[cache.answers]\nttl = \"5m\"\n[search.docs]\npath = \"docs\"\ncache = \"{cache}\"\n")
    };
    let config = good(&text("answers"));
    assert_eq!(config.backends.search["docs"].cache.as_deref(), Some("answers"));
    assert_eq!(
        config.backends.cache["answers"].ttl,
        std::time::Duration::from_secs(300)
    );
    let database = "[cache.answers]\n[sql.shop]\nurl = \"sqlite:shop.db\"\ncache = \"answers\"\n";
    assert_eq!(
        good(database).backends.sql["shop"].cache.as_deref(),
        Some("answers")
    );
    assert_eq!(
        bad(&database.replace("[cache.answers]\n", "")).list()[0].code,
        "unknown_name"
    );
    let model = "[cache.answers]\n[llm.main]\nprovider = \"openai\"\nbase_url = \"https://a.example/v1\"\n\
                 model = \"a\"\ncache = \"answers\"\ncache_varied = true\n";
    let remember = good(model).backends.settings().remember.remove("main").unwrap();
    assert_eq!((remember.cache.as_str(), remember.varied), ("answers", true));
    let faults = bad(&model.replace("[cache.answers]\n", ""));
    assert_eq!(faults.list()[0].code, "unknown_name", "{faults}");
    let faults = bad(&text("answer"));
    let [fault] = faults.list() else {
        panic!("{faults}")
    };
    assert_eq!(
        (fault.code, fault.mend.as_str()),
        ("unknown_name", "did you mean `answers`?")
    );
}
