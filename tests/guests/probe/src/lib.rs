//! A handler that uses every capability as it is told, and tells what came of it:
//! a test's hand inside the sandbox. The content is one JSON object:
//!
//! | content | what it does |
//! |---|---|
//! | `{"sql": S, "database": D, "params": [..]}` | runs a query; `{"columns", "rows", "truncated"}` |
//! | `{"check": S, "database": D}` | has a statement checked |
//! | `{"schema": D}` | the tables and their columns |
//! | `{"samples": [D, TABLE, COLUMN]}` | values of a column |
//! | `{"drop_query": S, "database": D}` | starts a query and drops it |
//! | `{"search": TEXT, "index": I, "limit": N}` | what is found, with links |
//! | `{"complete": TEXT, "model": M, "material": [[LABEL, TEXT]]}` | the whole answer and its usage |
//! | `{"forward": TEXT, "model": M, "then": "fail"}` | hands the answer over; then fails, if told so |
//! | `{"get": K, "bucket": B}`, `{"set": K, "value": V, ..}`, `{"keys": B}`, `{"increment": K, ..}` | keys and values |
//! | `{"cached": K, "cache": C}`, `{"cache_set": K, "value": V, "ttl_ms": N, "tags": [..], ..}`, `{"forget": K, ..}`, `{"invalidate": TAG, ..}` | a cache |
//! | `{"get_or_set": K, "cache": C, "value": V}` | what is there, or else the value; then whether it was made |
//! | `{"get_or_set": K, "cache": C, "sql": S, "database": D}` | the same of a query's rows; with `"fail": CODE` it fails |
//! | `{"state": K}`, `{"swap": K, "value": V, "expected": N}`, `{"history": N}` | the session |
//! | `{"fetch": URL, "method": M, "body": TEXT, "headers": [[K, V]]}` | status, headers and body of a response |
//! | `{"granted": true}` | what may be used, by capability |
//!
//! The answer is sent as data: `{"ok": ..}`, or `{"error": {"code", "message"}}`.

mod uses;

use segue_sdk::prelude::*;
use serde_json::{Value, json};

#[handler]
fn probe(message: Message, reply: &mut Reply) -> Result<()> {
    let order: Value = serde_json::from_str(message.text())?;
    if let Some(text) = order.get("forward").and_then(Value::as_str) {
        return forward(&order, text, reply);
    }
    let answer = match uses::answer(&order) {
        Ok(value) => json!({ "ok": value }),
        Err(error) => json!({ "error": { "code": error.code(), "message": error.message() } }),
    };
    reply.data(&answer)
}

fn forward(order: &Value, text: &str, reply: &mut Reply) -> Result<()> {
    reply.send("before ")?;
    uses::prompt(order, text).complete()?.forward()?;
    reply.send(" after")?;
    match order.get("then").and_then(Value::as_str) {
        Some(_) => Err(Error::new("as_told", "failed after it had forwarded")),
        None => Ok(()),
    }
}
