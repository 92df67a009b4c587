use clap::ValueEnum as _;

use super::*;

fn args(dir: &Path, name: &str) -> NewArgs {
    NewArgs {
        name: name.into(),
        with: Part::value_variants().to_vec(),
        sdk: None,
        dir: dir.to_path_buf(),
    }
}

fn said(args: &NewArgs) -> String {
    format!("{:#}", run(args).unwrap_err())
}

#[test]
fn a_new_plugin_has_all_its_files_and_they_are_sound() {
    let dir = tempfile::tempdir().unwrap();
    run(&args(dir.path(), "my-stock")).unwrap();
    let read = |name: &str| fs::read_to_string(dir.path().join("my-stock").join(name)).unwrap();
    for name in ["Cargo.toml", "my-stock.toml"] {
        let _table: toml::Table = read(name).parse().unwrap();
    }
    segue_manifest::Source::parse(&read("plugin.toml")).unwrap();
    let grants = "[grants]\nsql = [\"shop\"]\nsearch = [\"docs\"]\nsession = [\"state\"]\n\
                  keyvalue = [\"my-stock\"]\ncache = [\"answers\"]\nhttp = [\"example.com\"]\nllm = [\"main\"]\n";
    assert!(
        read("my-stock.toml").contains(grants),
        "{}",
        read("my-stock.toml")
    );
    let code = read("src/lib.rs");
    assert!(
        !code.contains("NAME") && code.contains("const BUCKET: &str = \"my-stock\";"),
        "{code}"
    );
    assert!(read("README.md").contains("segue build --to PLUGINS"));
    assert!(read(".gitignore").contains("/target"));
}

#[test]
fn without_capabilities_there_is_nothing_to_grant() {
    let dir = tempfile::tempdir().unwrap();
    let mut args = args(dir.path(), "greet");
    args.with.clear();
    run(&args).unwrap();
    let folder = dir.path().join("greet");
    assert!(!folder.join("greet.toml").exists());
    assert!(
        !fs::read_to_string(folder.join("README.md"))
            .unwrap()
            .contains("max_grants")
    );
}

#[test]
fn what_is_there_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("greet")).unwrap();
    assert!(said(&args(dir.path(), "greet")).contains("is there already"));
    assert_eq!(fs::read_dir(dir.path().join("greet")).unwrap().count(), 0);
    fs::write(dir.path().join("file"), "mine").unwrap();
    assert!(said(&args(dir.path(), "file")).contains("is there already"));
    assert!(said(&args(&dir.path().join("none"), "greet")).contains("there is no folder"));
}

#[test]
fn what_cannot_be_written_leaves_nothing_half() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("greet");
    // A file where a folder has to be.
    let files = ["src", "src/lib.rs"].map(|name| (name.to_owned(), String::new()));
    let error = write(&folder, &files).unwrap_err();
    let said = error.to_string();
    assert!(
        said.starts_with("cannot write ") && said.contains("greet/src/lib.rs"),
        "{said}"
    );
    assert!(!folder.exists());
}

#[test]
fn names_that_cannot_be_are_refused_with_what_can() {
    let dir = tempfile::tempdir().unwrap();
    for bad in [
        "",
        "Greet",
        "7up",
        "-a",
        "a b",
        "../a",
        "a.b",
        "ä",
        &"a".repeat(65),
    ] {
        let said = said(&args(dir.path(), bad));
        assert!(said.contains("begin with a letter"), "{said}");
    }
    for taken in ["match", "std", "proc-macro", "segue-sdk"] {
        assert!(said(&args(dir.path(), taken)).contains(&format!("try `{taken}-plugin`")));
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn the_sdk_has_to_be_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut args = args(dir.path(), "greet");
    args.sdk = Some(dir.path().to_path_buf());
    assert!(said(&args).contains("no Segue SDK in"));
    args.sdk = Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/rust"));
    run(&args).unwrap();
    let manifest = fs::read_to_string(dir.path().join("greet/Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let path = manifest["dependencies"]["segue-sdk"]["path"].as_str().unwrap();
    assert!(Path::new(path).is_absolute() && Path::new(path).join("Cargo.toml").is_file());
}
