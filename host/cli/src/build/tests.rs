use super::*;

const MANIFEST: &str = "name = \"a\"\nversion = \"0.1.0\"\n";

fn args(dir: &Path, component: &str) -> BuildArgs {
    BuildArgs {
        dir: dir.to_path_buf(),
        to: None,
        component: Some(dir.join(component)),
    }
}

fn said(args: &BuildArgs) -> String {
    format!("{:#}", run(args).unwrap_err())
}

#[test]
fn what_no_host_would_load_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("plugin.toml"), MANIFEST).unwrap();
    fs::write(dir.path().join("a.wasm"), "old").unwrap();
    for (bytes, words) in [
        (&b"text"[..], "not WebAssembly"),
        (b"\0asm\x01\0\0\0", "core module"),
        (b"\0asm\x0d\0\x01\0", "exports nothing, not even `handle`"),
    ] {
        fs::write(dir.path().join("built.wasm"), bytes).unwrap();
        let said = said(&args(dir.path(), "built.wasm"));
        assert!(said.contains("built.wasm") && said.contains(words), "{said}");
    }
    assert_eq!(fs::read_to_string(dir.path().join("a.wasm")).unwrap(), "old");
}

#[test]
fn what_is_missing_is_said_before_anything_is_built() {
    let dir = tempfile::tempdir().unwrap();
    let mut args = args(dir.path(), "none.wasm");
    assert!(said(&args).contains("there is no") && said(&args).contains("segue new"));
    fs::write(dir.path().join("plugin.toml"), MANIFEST).unwrap();
    assert!(said(&args).contains("none.wasm"));
    args.to = Some(dir.path().join("plugins"));
    assert!(said(&args).contains("no plugin folder"));
    args.dir = dir.path().join("nowhere");
    assert!(said(&args).contains("there is no folder"));
}

fn plugin(wants: &[&str]) -> Plugin {
    let settings = Config::default_for(Path::new(".")).runtime_settings();
    let bytes = b"\0asm\x0d\0\x01\0";
    let mut inspection = segue_runtime::describe(bytes, &settings.capabilities).unwrap();
    inspection.wants = wants.iter().map(ToString::to_string).collect();
    Plugin {
        name: "a".into(),
        bytes: bytes.to_vec(),
        inspection,
    }
}

#[test]
fn a_sidecar_is_written_where_there_is_none_and_one_is_needed() {
    let dir = tempfile::tempdir().unwrap();
    let (own, beside) = (dir.path().join("own.toml"), dir.path().join("a.toml"));
    assert!(!plugin(&[]).place_sidecar(&own, &beside).unwrap());
    assert!(plugin(&["sql"]).place_sidecar(&own, &beside).unwrap());
    let text = fs::read_to_string(&beside).unwrap();
    assert!(text.contains("[grants]\n# sql = ["), "{text}");
    // Its operator's, from now on.
    fs::write(&own, "[grants]\nsql = [\"shop\"]\n").unwrap();
    assert!(!plugin(&["sql"]).place_sidecar(&own, &beside).unwrap());
    fs::remove_file(&beside).unwrap();
    assert!(plugin(&[]).place_sidecar(&own, &beside).unwrap());
    assert_eq!(
        fs::read_to_string(&beside).unwrap(),
        fs::read_to_string(&own).unwrap()
    );
}
