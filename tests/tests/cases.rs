//! Every folder under `tests/cases` is an end-to-end case; see
//! `segue_tests::run_case` for what one holds.

#![allow(clippy::expect_used, clippy::panic, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};

#[tokio::test(flavor = "multi_thread")]
async fn every_case_holds() {
    let wanted = std::env::var("SEGUE_CASE").ok();
    let mut failed = Vec::new();
    for folder in folders() {
        let name = folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if wanted.as_ref().is_some_and(|wanted| *wanted != name) {
            continue;
        }
        let case = tokio::spawn(async move { segue_tests::run_case(&folder).await });
        if case.await.is_err() {
            failed.push(name);
        }
    }
    assert!(
        failed.is_empty(),
        "failed: {failed:?}; run one alone with SEGUE_CASE=NAME"
    );
}

fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let entries = fs::read_dir(root).expect("tests/cases");
    let mut folders: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    assert!(!folders.is_empty(), "tests/cases is empty");
    folders
}

/// A guest that no test drives guards nothing.
#[test]
fn every_guest_is_driven_by_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = String::new();
    read_all(&root.join("tests"), &mut texts);
    read_all(&root.join("cases"), &mut texts);
    let guests = fs::read_dir(root.join("guests")).expect("tests/guests");
    let idle: Vec<String> = guests
        .map(|guest| guest.expect("a guest").path())
        .filter(|guest| guest.join("Cargo.toml").is_file())
        .map(|guest| {
            guest
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|guest| !texts.contains(&format!("\"{guest}\"")))
        .collect();
    assert!(idle.is_empty(), "no test drives {idle:?}");
}

fn read_all(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder of tests") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            read_all(&path, into);
        } else {
            into.push_str(&fs::read_to_string(&path).unwrap_or_default());
        }
    }
}
