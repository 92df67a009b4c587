//! One order, one use of one capability.

use std::time::Duration;

use segue_sdk::llm::Prompt;
use segue_sdk::{Error, Result, cache, config, http, keyvalue, llm, search, session, sql};
use serde_json::{Value, json};

pub(crate) fn answer(order: &Value) -> Result<Value> {
    let has = |key: &str| order.get(key).is_some();
    if has("cache") {
        cached(order)
    } else if has("sql") {
        query(order)
    } else if has("check") {
        sql::check(text(order, "database")?, text(order, "check")?)?;
        Ok(Value::Null)
    } else if has("drop_query") {
        drop(sql::query(
            text(order, "database")?,
            text(order, "drop_query")?,
            &[],
        )?);
        Ok(Value::Null)
    } else if has("schema") {
        schema(text(order, "schema")?)
    } else if has("samples") {
        samples(order)
    } else if has("search") {
        found(order)
    } else if has("complete") {
        let mut tokens = prompt(order, text(order, "complete")?).complete()?;
        let said = tokens.text()?;
        let usage = tokens
            .usage()
            .map(|usage| [usage.input_tokens, usage.output_tokens]);
        Ok(json!({ "text": said, "usage": usage }))
    } else if has("bucket") || has("keys") {
        kept(order)
    } else if has("state") || has("swap") || has("history") {
        conversation(order)
    } else if has("fetch") {
        fetched(order)
    } else if has("config") {
        Ok(json!(config::get(text(order, "config")?)?))
    } else {
        Ok(json!({
            "sql": sql::databases(),
            "search": search::indexes(),
            "llm": llm::models(),
            "cache": cache::caches(),
        }))
    }
}

fn text<'a>(order: &'a Value, key: &str) -> Result<&'a str> {
    let found = order.get(key).and_then(Value::as_str);
    found.ok_or_else(|| Error::new("bad_order", format!("the order has no text `{key}`")))
}

fn number(order: &Value, key: &str) -> Option<u64> {
    order.get(key).and_then(Value::as_u64)
}

fn items<'a>(order: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    order.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// Pairs of texts.
fn pairs<'a>(order: &'a Value, key: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    items(order, key).filter_map(|pair| Some((pair.get(0)?.as_str()?, pair.get(1)?.as_str()?)))
}

fn query(order: &Value) -> Result<Value> {
    let params: Vec<sql::Value> = items(order, "params")
        .map(|param| match param {
            Value::Null => sql::Value::Null,
            Value::Number(number) => match number.as_i64() {
                Some(number) => number.into(),
                None => number.as_f64().into(),
            },
            other => other.as_str().into(),
        })
        .collect();
    let rows = sql::query(text(order, "database")?, text(order, "sql")?, &params)?;
    Ok(json!(rows.all()?))
}

fn schema(database: &str) -> Result<Value> {
    let tables = sql::tables(database)?.into_iter().map(|table| {
        let columns: Vec<_> = table
            .columns
            .iter()
            .map(|column| json!([column.name, column.decl_type, column.not_null, column.primary_key]))
            .collect();
        let keys: Vec<_> = table
            .foreign_keys
            .iter()
            .map(|key| json!([key.columns, key.table, key.references]))
            .collect();
        json!({ "name": table.name, "view": table.is_view, "columns": columns, "keys": keys })
    });
    Ok(json!({ "dialect": sql::dialect(database)?, "tables": tables.collect::<Vec<_>>() }))
}

fn samples(order: &Value) -> Result<Value> {
    let names: Vec<&str> = items(order, "samples").filter_map(Value::as_str).collect();
    match names.as_slice() {
        [database, table, column] => Ok(json!(sql::samples(database, table, column, 5)?)),
        _ => Err(Error::new("bad_order", "samples wants three names")),
    }
}

fn found(order: &Value) -> Result<Value> {
    let index = text(order, "index")?;
    let limit = number(order, "limit")
        .and_then(|n| u32::try_from(n).ok())
        .unwrap_or(5);
    let hits = search::query(index, text(order, "search")?, limit)?.read()?;
    let hits = hits.into_iter().map(|hit| {
        let link = search::link(index, &hit.document, hit.offset, &hit.text)?;
        Ok(json!({
            "document": hit.document, "title": hit.title, "headings": hit.headings,
            "text": hit.text, "offset": hit.offset, "link": link,
        }))
    });
    Ok(Value::Array(hits.collect::<Result<Vec<_>>>()?))
}

pub(crate) fn prompt(order: &Value, text: &str) -> Prompt {
    let model = order.get("model").and_then(Value::as_str).unwrap_or("main");
    let prompt = Prompt::new(model).user(text);
    pairs(order, "material").fold(prompt, |prompt, (label, text)| prompt.material(label, text))
}

fn kept(order: &Value) -> Result<Value> {
    if let Some(name) = order.get("keys").and_then(Value::as_str) {
        let keys: Result<Vec<String>> = keyvalue::open(name)?.keys().collect();
        return Ok(json!(keys?));
    }
    let bucket = keyvalue::open(text(order, "bucket")?)?;
    if let Some(key) = order.get("set").and_then(Value::as_str) {
        bucket.set(key, text(order, "value")?)?;
        return Ok(Value::Null);
    }
    if let Some(key) = order.get("increment").and_then(Value::as_str) {
        return Ok(json!(bucket.increment(key, 1)?));
    }
    if let Some(key) = order.get("delete").and_then(Value::as_str) {
        bucket.delete(key)?;
        return Ok(Value::Null);
    }
    let value = bucket.get(text(order, "get")?)?;
    Ok(json!(
        value.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    ))
}

fn cached(order: &Value) -> Result<Value> {
    let mut kept = cache::open(text(order, "cache")?);
    if let Some(ms) = number(order, "ttl_ms") {
        kept = kept.ttl(Duration::from_millis(ms));
    }
    for tag in items(order, "tags").filter_map(Value::as_str) {
        kept = kept.tag(tag);
    }
    let order_of = |key: &str| order.get(key).and_then(Value::as_str);
    if let Some(key) = order_of("cache_set") {
        return Ok(json!(kept.set(key, text(order, "value")?)?));
    }
    if let Some(key) = order_of("forget") {
        kept.delete(key)?;
        return Ok(Value::Null);
    }
    if let Some(tag) = order_of("invalidate") {
        kept.invalidate(tag)?;
        return Ok(Value::Null);
    }
    if let Some(key) = order_of("get_or_set") {
        let mut made = false;
        let value = kept.get_or_set_json(key, || {
            made = true;
            match (order_of("fail"), order_of("sql")) {
                (Some(code), _) => Err(Error::new(code, "as told")),
                (_, Some(_)) => query(order),
                _ => Ok(json!(text(order, "value")?)),
            }
        })?;
        return Ok(json!([value, made]));
    }
    let value = kept.get(text(order, "cached")?)?;
    Ok(json!(
        value.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    ))
}

fn conversation(order: &Value) -> Result<Value> {
    if let Some(limit) = number(order, "history") {
        let turns = session::history(u32::try_from(limit).unwrap_or(u32::MAX))?;
        let turns = turns.iter().map(|turn| json!([turn.id, turn.user, turn.reply]));
        return Ok(turns.collect());
    }
    if let Some(key) = order.get("swap").and_then(Value::as_str) {
        let value = order.get("value").and_then(Value::as_str);
        let version = session::swap(key, value.map(str::as_bytes), number(order, "expected"))?;
        return Ok(json!(version));
    }
    let entry = session::get(text(order, "state")?)?;
    Ok(json!(entry.map(|entry| json!([
        String::from_utf8_lossy(&entry.value),
        entry.version
    ]))))
}

fn fetched(order: &Value) -> Result<Value> {
    let method = order.get("method").and_then(Value::as_str).unwrap_or("GET");
    let mut request = http::Request::new(method, text(order, "fetch")?);
    for (name, value) in pairs(order, "headers") {
        request = request.header(name, value);
    }
    if let Some(body) = order.get("body").and_then(Value::as_str) {
        request = request.body(body);
    }
    let response = request.send()?;
    let (status, headers) = (response.status(), json!(response.headers()));
    Ok(json!({ "status": status, "headers": headers, "body": response.text()? }))
}
