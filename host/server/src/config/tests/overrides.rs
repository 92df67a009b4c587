//! The environment beats `.env`, which beats the file.

use std::path::Path;

use super::super::load::{Absent, load_with};
use super::super::parse;
use super::env;

fn faults_of(text: &str, pairs: &[(&str, &str)]) -> String {
    parse(text, Path::new("/srv"), &env(pairs))
        .expect_err("a fault")
        .to_string()
}

#[test]
fn the_environment_beats_dotenv_which_beats_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("segue.toml");
    std::fs::write(&file, "[session]\nqueue = 1\nid_max = 1\nmax_sessions = 1\n").unwrap();
    std::fs::write(
        dir.path().join(".env"),
        "SEGUE_SESSION__QUEUE=2\nSEGUE_SESSION__ID_MAX=2\nOTHER=x\n",
    )
    .unwrap();
    let config = load_with(
        &file,
        env(&[("SEGUE_SESSION__QUEUE", "3")]),
        Absent::IsNoted,
        Vec::new(),
    )
    .unwrap();
    assert_eq!(config.session.queue, 3);
    assert_eq!(config.session.id_max, 2);
    assert_eq!(config.session.max_sessions, 1);
    let place = |key| config.place(key).unwrap().to_string();
    assert_eq!(place("session.queue"), "SEGUE_SESSION__QUEUE (environment)");
    assert!(place("session.id_max").ends_with(".env)"));
    assert!(place("session.max_sessions").ends_with("segue.toml:4:16"));
    assert!(std::env::var("OTHER").is_err());
}

#[test]
fn scalars_of_every_type_can_be_overridden() {
    let config = parse(
        "",
        Path::new("/srv"),
        &env(&[
            ("SEGUE_SERVER__LISTEN", "127.0.0.1:9"),
            ("SEGUE_SERVER__MAX_FRAME", "2 MiB"),
            ("SEGUE_OUTBOX__BYTES", "1048576"),
            ("SEGUE_OUTBOX__ON_FULL", "drop_oldest"),
            ("SEGUE_PLUGINS__AUTO_WIDEN", "true"),
            ("SEGUE_PLUGINS__DIR", "elsewhere"),
            ("SEGUE_LIMITS__DEADLINE", "5s"),
            ("SEGUE_LOG__LEVEL", "debug"),
            ("SEGUE_UNRELATED", "left alone"),
        ]),
    )
    .unwrap();
    assert_eq!(config.server.listen.port(), 9);
    assert_eq!(config.server.max_frame, 2 << 20);
    assert_eq!(config.outbox.bytes, 1 << 20);
    assert!(config.plugins.auto_widen);
    assert_eq!(config.plugins.dir, Path::new("/srv/elsewhere"));
    assert_eq!(config.limits.deadline.as_secs(), 5);
    assert_eq!(config.log.level, "debug");
}

#[test]
fn a_fault_in_an_override_names_the_variable() {
    let said = faults_of("", &[("SEGUE_OUTBOX__SIZE", "many")]);
    assert!(
        said.contains("SEGUE_OUTBOX__SIZE (environment): `outbox.size` must be a whole"),
        "{said}"
    );
    let said = faults_of("", &[("SEGUE_OUTBOX__SIZE", "")]);
    assert!(said.contains("is overridden by nothing at all"), "{said}");
    let said = faults_of("", &[("SEGUE_PLUGINS__AUTO_WIDEN", "1")]);
    assert!(said.contains("must be true or false"), "{said}");
}

#[test]
fn a_variable_that_sets_nothing_is_a_fault() {
    let said = faults_of("", &[("SEGUE_SERVER__LISEN", "x")]);
    assert!(said.contains("did you mean SEGUE_SERVER__LISTEN?"), "{said}");
    let said = faults_of("", &[("SEGUE_server__listen", "x")]);
    assert!(said.contains("did you mean SEGUE_SERVER__LISTEN?"), "{said}");
    let said = faults_of("", &[("SEGUE_SERVER__HOSTS", "x")]);
    assert!(
        said.contains("`server.hosts` cannot be set by a variable"),
        "{said}"
    );
    let text = "[[route]]\nhandler = \"a\"";
    let said = faults_of(text, &[("SEGUE_ROUTE__HANDLER", "x")]);
    assert!(
        said.contains("`route.handler` cannot be set by a variable"),
        "{said}"
    );
}

#[test]
fn a_broken_line_of_dotenv_is_told_by_number_and_not_quoted() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("segue.toml");
    std::fs::write(&file, "").unwrap();
    std::fs::write(dir.path().join(".env"), "A=1\nhunter2 hunter2\nB=2\n").unwrap();
    let said = load_with(&file, env(&[]), Absent::IsNoted, Vec::new())
        .unwrap_err()
        .to_string();
    assert!(said.contains(".env:2: "), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}
