use super::*;

/// Types as a toolchain writes them for the world `handler`, at a version of
/// `segue:plugin`; `more` follows the imports.
fn types(version: &str, more: &str) -> String {
    format!(
        r#"(import "segue:plugin/types@{version}" (instance $types
    (type $bytes (list u8))
    (type $payload' (variant (case "text" string) (case "binary" $bytes)))
    (export "payload" (type $payload (eq $payload')))
    (type $flags' (flags "rag-sql" "rag-doc"))
    (export "request-flags" (type $flags (eq $flags')))
    (type $request' (record (field "id" string) (field "mtype" string)
        (field "payload" $payload) (field "flags" $flags)))
    (export "request" (type $request (eq $request')))
    (type $retry (option u64))
    (type $error' (record (field "code" string) (field "message" string)
        (field "retryable" bool) (field "retry-after-ms" $retry)))
    (export "error" (type $error (eq $error')))))
  (alias export $types "request" (type $request))
  (import "request" (type $request-import (eq $request)))
  (alias export $types "error" (type $error))
  (import "error" (type $error-import (eq $error)))
  {more}"#
    )
}

/// A handler that returns at once without a word. `mark` makes versions differ.
pub(crate) fn handler(mark: &str) -> Vec<u8> {
    handler_with("0.1.0", mark, "", "handle")
}

fn handler_with(version: &str, mark: &str, more: &str, export: &str) -> Vec<u8> {
    let types = types(version, more);
    let wat = format!(
        r#"(component {types}
  (core module $code
    (memory (export "memory") 1)
    (data (i32.const 4096) "{mark}")
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
    (func (export "handle") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32) i32.const 0))
  (core instance $core (instantiate $code))
  (type $answer (result (error $error-import)))
  (func $handle (param "request" $request-import) (result $answer)
    (canon lift (core func $core "handle") (memory (core memory $core "memory"))
      (realloc (core func $core "realloc"))))
  (export "{export}" (func $handle)))"#
    );
    wat::parse_str(wat).unwrap()
}

fn refusal(bytes: &[u8]) -> LoadError {
    super::inspect(bytes, &Capabilities::default()).unwrap_err()
}

#[test]
fn a_handler_is_told_by_its_exports_and_imports() {
    let logging = r#"(import "wasi:logging/logging@0.1.0-draft" (instance
        (type $level' (enum "trace" "debug" "info" "warn" "error" "critical"))
        (export "level" (type $level (eq $level')))
        (export "log" (func (param "level" $level) (param "context" string) (param "message" string)))))
      (import "wasi:cli/environment@0.2.6" (instance))"#;
    let bytes = handler_with("0.1.0", "", logging, "handle");
    let found = super::inspect(&bytes, &Capabilities::default()).unwrap();
    assert_eq!(found.world, Some(World::Handler));
    assert_eq!(found.wit_version.as_deref(), Some("0.1.0"));
    assert_eq!(
        found.imports,
        [
            "segue:plugin/types@0.1.0",
            "wasi:logging/logging@0.1.0-draft",
            "wasi:cli/environment@0.2.6"
        ]
    );
    assert_eq!(found.exports, ["handle"]);
    assert!(found.wants.is_empty() && found.unknown.is_empty());
    assert_eq!(found.digest, digest(&bytes));
    assert_eq!(found.digest.len(), "sha256:".len() + 64);
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json.get("world").unwrap(), "handler");
}

#[test]
fn what_is_no_component_is_told_apart_with_a_mend() {
    let core = wat::parse_str("(module)").unwrap();
    let cases: [(&[u8], &str, &str); 12] = [
        (b"", "empty", "copy"),
        (b"hello, world\n", "not_wasm", "text"),
        (b"(component)", "not_wasm", "wasm-tools parse"),
        (b"<!DOCTYPE html><html>", "not_wasm", "web page"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "not_wasm",
            "git lfs pull",
        ),
        (b"\x1f\x8b\x08\x00", "not_wasm", "unpack"),
        (b"PK\x03\x04", "not_wasm", "unpack"),
        (b"\x7fELF\x02\x01", "not_wasm", "native"),
        (b"\x00\x01\x02\xff", "not_wasm", "binary data"),
        (b"\0as", "truncated", "8 bytes"),
        (b"\0asm\x0d\0\x01", "truncated", "8 bytes"),
        (&core, "core_module", "wasm32-wasip2"),
    ];
    for (bytes, code, part) in cases {
        let refusal = refusal(bytes);
        assert_eq!(refusal.code(), code, "{refusal}");
        assert!(refusal.to_string().contains(part), "{refusal}");
    }
}

#[test]
fn no_truncation_passes_and_none_is_called_something_else() {
    let bytes = handler("v1");
    let mut cuts = 0;
    for end in 1..bytes.len() {
        // Cut exactly between two sections it is a component that lacks the
        // rest, which may be no more than the names at the end.
        let code = super::inspect(&bytes[..end], &Capabilities::default())
            .map_or_else(|refusal| refusal.code(), |_| "whole");
        let between = matches!(code, "wrong_world" | "whole");
        assert!(code == "truncated" || between, "{end}: {code}");
        cuts += usize::from(between);
    }
    assert!(cuts < 16, "{cuts} cuts were not seen as such");
}

#[test]
fn damage_is_refused_and_never_panics() {
    let bytes = handler("v1");
    for at in 8..bytes.len() {
        for value in [0x00, 0x7f, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] = value;
            let _ = super::inspect(&damaged, &Capabilities::default());
        }
    }
    let mut damaged = bytes;
    damaged.extend_from_slice(&[0x00, 0x05, 0xff]);
    assert_eq!(refusal(&damaged).code(), "truncated");
    damaged.truncate(damaged.len() - 3);
    damaged.extend_from_slice(&[0x20, 0x00]);
    let refusal = refusal(&damaged);
    assert_eq!(refusal.code(), "invalid", "{refusal}");
}

#[test]
fn other_worlds_are_named() {
    for (wat, code, part) in [
        ("(component)", "wrong_world", "exports nothing"),
        (
            r#"(component (import "f" (func $f)) (export "init" (func $f)))"#,
            "wrong_world",
            "only init",
        ),
        (
            r#"(component (import "f" (func $f)) (export "handle" (func $f)))"#,
            "wrong_world",
            "`handle` is not",
        ),
        (
            r#"(component (instance $i) (export "wasi:cli/run@0.2.0" (instance $i)))"#,
            "wrong_world",
            "command-line program",
        ),
        (
            r#"(component (instance $i) (export "wasi:http/incoming-handler@0.2.0" (instance $i)))"#,
            "wrong_world",
            "WASI HTTP",
        ),
        (
            r#"(component (import "f" (func $f)) (export "decide" (func $f)))"#,
            "unknown_world",
            "policy",
        ),
        (
            r#"(component (import "f" (func $f)) (export "plan" (func $f)))"#,
            "unknown_world",
            "strategy",
        ),
    ] {
        let refusal = refusal(&wat::parse_str(wat).unwrap());
        assert_eq!(refusal.code(), code, "{wat}");
        let message = refusal.to_string();
        assert!(message.contains(part) && message.contains(SPEAKS), "{message}");
    }
}

#[test]
fn extra_exports_beside_handle_are_ignored() {
    let extra = r#"(import "wasi:cli/exit@0.2.0" (instance $exit (export "exit" (func))))
      (alias export $exit "exit" (func $init)) (export "init" (func $init))"#;
    let found = super::inspect(
        &handler_with("0.1.0", "", extra, "handle"),
        &Capabilities::default(),
    )
    .unwrap();
    assert_eq!(found.exports, ["init", "handle"]);
}

#[test]
fn a_newer_patch_version_runs_if_all_it_imports_is_known() {
    let call = |function: &str| {
        format!(
            r#"(import "segue:plugin/call@0.1.9" (instance
                (export "deadline-ms" (func (result u64)))
                (export "{function}" (func (result u64)))))"#
        )
    };
    let fits = handler_with("0.1.9", "", &call("attempt"), "handle");
    assert_eq!(
        super::inspect(&fits, &Capabilities::default())
            .unwrap()
            .wit_version
            .as_deref(),
        Some("0.1.9")
    );

    let refusal = refusal(&handler_with("0.1.9", "", &call("budget"), "handle"));
    assert_eq!(refusal.code(), "unknown_import");
    let message = refusal.to_string();
    assert!(
        message.contains("segue:plugin/call@0.1.9 (its function `budget`)"),
        "{message}"
    );
}

#[test]
fn a_newer_version_is_refused_with_both_versions_named() {
    for version in ["0.2.0", "1.0.0"] {
        let refusal = refusal(&handler_with(version, "", "", "handle"));
        assert_eq!(refusal.code(), "newer_version");
        let message = refusal.to_string();
        assert!(message.contains(&format!("segue:plugin@{version}")), "{message}");
        assert!(message.contains("speaks segue:plugin@0.1.0"), "{message}");
    }
}

#[test]
fn unknown_imports_are_all_named_and_are_what_it_wants() {
    let more = r#"(import "segue:sql/query@0.1.0" (instance))
      (import "segue:sql/schema@0.1.0" (instance))
      (import "wasi:http/outgoing-handler@0.2.0" (instance))
      (import "wasi:clocks/monotonic-clock@0.3.0" (instance))
      (import "segue:plugin/reply@0.1.0" (func))
      (import "lucky-number" (func (result u64)))"#;
    let bytes = handler_with("0.1.0", "", more, "handle");
    let found = describe(&bytes, &Capabilities::default()).unwrap();
    assert_eq!(found.wants, ["clocks", "http", "lucky-number", "sql"]);
    let refusal = found.verdict().unwrap_err();
    assert_eq!(refusal.code(), "unknown_import");
    let message = refusal.to_string();
    for name in [
        "segue:sql/query@0.1.0",
        "segue:sql/schema@0.1.0",
        "wasi:http/outgoing-handler@0.2.0",
        "wasi:clocks/monotonic-clock@0.3.0",
        "segue:plugin/reply@0.1.0 (which is not an interface)",
        "lucky-number",
    ] {
        assert!(message.contains(name), "{message}");
    }
}
