//! Components written by hand, so that each test sees to the instruction what
//! its guest does.

/// A component of the world `handler` whose `handle` runs `body`.
///
/// `body` may use: the locals `$payload` and `$payload_len`; the memory; `$say`
/// (text at, length) and `$log` (text at, length); `$setting` and `$meta` (key
/// at, length), which leave the answer's place and length at 32 and 36 and
/// return whether there is one; `$ok`, which returns what `handle` returns for
/// success, and `$fail` (code at, length) for failure. `$say` returns 0, or 1
/// when it failed, and then the error's code is at (16), length at (20).
///
/// `fields` are further fields of the module: data, functions, memories.
pub fn handler(fields: &str, body: &str) -> Vec<u8> {
    handler_with(&[], fields, body)
}

/// As [`handler`], with parts of the component replaced.
pub fn handler_with(changes: &[(&str, &str)], fields: &str, body: &str) -> Vec<u8> {
    let mut text = String::from(TEMPLATE);
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    let text = text.replace("{{fields}}", fields).replace("{{body}}", body);
    wat::parse_str(text).unwrap()
}

/// Says `text` and returns.
pub fn says(text: &str) -> Vec<u8> {
    let data = format!("(data (i32.const 4096) \"{text}\")");
    let len = text.len();
    handler(
        &data,
        &format!("(drop (call $say (i32.const 4096) (i32.const {len}))) (call $ok)"),
    )
}

/// Says `text` over and over, `times` times.
pub fn repeats(text: &str, times: u32) -> Vec<u8> {
    let data = format!("(data (i32.const 4096) \"{text}\") (global $n (mut i32) (i32.const {times}))");
    let len = text.len();
    handler(
        &data,
        &format!(
            "(loop $again
               (if (call $say (i32.const 4096) (i32.const {len})) (then (return (call $ok))))
               (global.set $n (i32.sub (global.get $n) (i32.const 1)))
               (br_if $again (global.get $n)))
             (call $ok)"
        ),
    )
}

/// Says what it was sent.
pub fn echo() -> Vec<u8> {
    handler(
        "",
        "(drop (call $say (local.get $payload) (local.get $payload_len))) (call $ok)",
    )
}

/// Never returns.
pub fn spins() -> Vec<u8> {
    handler("", "(loop $again (br $again)) (unreachable)")
}

const TEMPLATE: &str = r#"
(component
  (type $types (instance
    (type $payload-def (variant (case "text" string) (case "binary" (list u8))))
    (export "payload" (type $payload (eq $payload-def)))
    (type $flags-def (flags "rag-sql" "rag-doc"))
    (export "request-flags" (type $flags (eq $flags-def)))
    (type $request-def (record (field "id" string) (field "mtype" string)
      (field "payload" $payload) (field "flags" $flags)))
    (export "request" (type $request (eq $request-def)))
    (type $error-def (record (field "code" string) (field "message" string)
      (field "retryable" bool) (field "retry-after-ms" (option u64))))
    (export "error" (type $error (eq $error-def)))
  ))
  (import "segue:plugin/types@0.1.0" (instance $types-in (type $types)))
  (alias export $types-in "request" (type $request))
  (alias export $types-in "error" (type $error))
  (type $reply (instance
    (alias outer 1 $error (type $error-in))
    (export "error" (type $error (eq $error-in)))
    (export "send" (func (param "chunk" string) (result (result (error $error)))))
  ))
  (import "segue:plugin/reply@0.1.0" (instance $reply-in (type $reply)))
  (type $call (instance
    (export "meta" (func (param "key" string) (result (option string))))
    (export "setting" (func (param "key" string) (result (option string))))
  ))
  (import "segue:plugin/call@0.1.0" (instance $call-in (type $call)))
  (type $logging (instance
    (type $level-def (enum "trace" "debug" "info" "warn" "error" "critical"))
    (export "level" (type $level (eq $level-def)))
    (export "log" (func (param "level" $level) (param "context" string)
      (param "message" string)))
  ))
  (import "wasi:logging/logging@0.1.0-draft" (instance $logging-in (type $logging)))

  (core module $libc
    (memory (export "memory") 2)
    (global $top (mut i32) (i32.const 65536))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
      (global.set $top (i32.add (local.get $at) (local.get 3)))
      (block $fits
        (br_if $fits (i32.le_u (global.get $top) (i32.mul (memory.size) (i32.const 65536))))
        (br_if $fits (i32.ne (i32.const -1) (memory.grow
          (i32.add (i32.const 1) (i32.div_u (local.get 3) (i32.const 65536))))))
        (unreachable))
      (local.get $at)))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))
  (core func $send
    (canon lower (func $reply-in "send") (memory $memory) (realloc $realloc)))
  (core func $meta
    (canon lower (func $call-in "meta") (memory $memory) (realloc $realloc)))
  (core func $setting
    (canon lower (func $call-in "setting") (memory $memory) (realloc $realloc)))
  (core func $log
    (canon lower (func $logging-in "log") (memory $memory) (realloc $realloc)))

  (core module $main
    (import "libc" "memory" (memory 2))
    (import "host" "send" (func $send (param i32 i32 i32)))
    (import "host" "meta" (func $meta_in (param i32 i32 i32)))
    (import "host" "setting" (func $setting_in (param i32 i32 i32)))
    (import "host" "log" (func $log_in (param i32 i32 i32 i32 i32)))
    {{fields}}
    (func $say (param i32 i32) (result i32)
      (call $send (local.get 0) (local.get 1) (i32.const 8))
      (i32.load8_u (i32.const 8)))
    (func $meta (param i32 i32) (result i32)
      (call $meta_in (local.get 0) (local.get 1) (i32.const 28))
      (i32.load8_u (i32.const 28)))
    (func $setting (param i32 i32) (result i32)
      (call $setting_in (local.get 0) (local.get 1) (i32.const 28))
      (i32.load8_u (i32.const 28)))
    (func $log (param i32 i32)
      (call $log_in (i32.const 2) (i32.const 0) (i32.const 0) (local.get 0) (local.get 1)))
    (func $ok (result i32)
      (i32.store8 (i32.const 64) (i32.const 0))
      (i32.const 64))
    (func $fail (param i32 i32) (result i32)
      (i32.store8 (i32.const 64) (i32.const 1))
      (i32.store (i32.const 72) (local.get 0))
      (i32.store (i32.const 76) (local.get 1))
      (i32.store (i32.const 80) (local.get 0))
      (i32.store (i32.const 84) (local.get 1))
      (i32.store8 (i32.const 88) (i32.const 1))
      (i32.store8 (i32.const 96) (i32.const 1))
      (i64.store (i32.const 104) (i64.const 1500))
      (i32.const 64))
    (func (export "handle")
      (param $id i32) (param $id_len i32) (param $mtype i32) (param $mtype_len i32)
      (param $kind i32) (param $payload i32) (param $payload_len i32) (param $flags i32)
      (result i32)
      {{body}}))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "send" (func $send))
      (export "meta" (func $meta))
      (export "setting" (func $setting))
      (export "log" (func $log))))))
  (alias core export $main "handle" (core func $handle))
  (func $lifted (param "request" $request) (result (result (error $error)))
    (canon lift (core func $handle) (memory $memory) (realloc $realloc)))
  (export "handle" (func $lifted))
)
"#;
