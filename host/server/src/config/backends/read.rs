//! Reads the sections about what plugins may be granted, and says which names
//! there are to grant. What stands on this machine is read here, what is asked
//! over the network in `models.rs` and `remote.rs`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use segue_capabilities::{keyvalue, search, sql};

use super::budgets::{self, budget};
use super::caches::cache;
use super::models::model;
use super::remote::egress;
use super::{Backends, Cache, DatabaseUrl, KeyValue, Llm, Search, Sql};
use crate::config::reader::{Shape, Table};
use crate::config::sections::is_name;
use crate::config::throttle::or_off;
use crate::config::value::{
    self, Complaint, GIB, KIB, MIB, Value, amount, count, count32, duration, flag, size,
};

/// Databases, indexes or models, of each at most so many.
const MAX_NAMED: usize = 100;
const MAX_PATTERNS: usize = 100;
const MAX_PATTERN_BYTES: usize = 1024;

/// The names that stand in the file, by capability: also of what is faulty, so
/// that granting it is no second fault.
pub(in crate::config) type Names = BTreeMap<&'static str, Vec<String>>;

pub(super) type Parsed<T> = Result<T, Complaint>;

pub(super) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(super) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(in crate::config) fn backends(root: &Table<'_, '_>, state: &Path) -> (Backends, Names) {
    let mut names = Names::new();
    let backends = Backends {
        cache: named(root, "cache", &mut names, cache),
        sql: named(root, "sql", &mut names, database),
        search: named(root, "search", &mut names, index),
        llm: named(root, "llm", &mut names, model),
        budget: named(root, "budget", &mut names, budget),
        http: egress(root),
        keyvalue: buckets(root, state),
    };
    let caches = &backends.cache;
    for (name, index) in &backends.search {
        is_there(
            root,
            &format!("search.{name}.cache"),
            index.cache.as_deref(),
            caches,
        );
    }
    for (name, database) in &backends.sql {
        is_there(
            root,
            &format!("sql.{name}.cache"),
            database.cache.as_deref(),
            caches,
        );
    }
    for (name, model) in &backends.llm {
        if let Llm::OpenAi(model) = model {
            is_there(root, &format!("llm.{name}.cache"), model.cache.as_deref(), caches);
        }
    }
    let models = names.get("llm").map(Vec::as_slice).unwrap_or_default();
    budgets::check(root, &backends.budget, &backends.llm, models);
    (backends, names)
}

/// What names a cache names one that there is.
fn is_there(root: &Table<'_, '_>, path: &str, cache: Option<&str>, caches: &BTreeMap<String, Cache>) {
    let Some(cache) = cache.filter(|cache| !caches.contains_key(*cache)) else {
        return;
    };
    let mend = match value::nearest(cache, caches.keys().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("add [cache.{cache}], or leave the key out"),
    };
    let message = format!("names `{cache}`, which is no cache");
    let place = root.reader.place_of(path).unwrap_or(root.place.clone());
    root.reader
        .fault(place, path, Complaint::new("unknown_name", message, mend));
}

/// The tables under `[key]`, whose names the operator makes up. What is faulty
/// is left out.
fn named<T>(
    root: &Table<'_, '_>,
    key: &'static str,
    names: &mut Names,
    read: fn(&Table<'_, '_>) -> Option<T>,
) -> BTreeMap<String, T> {
    let group = root.table(key);
    let mut all = BTreeMap::new();
    let mut known = Vec::new();
    for (at, (name, place)) in group.keys().into_iter().enumerate() {
        let path = group.path_of(&name);
        let complain = |complaint| group.reader.fault(place.clone(), &path, complaint);
        if !group.is_table(&name) {
            group.pass_over(&name);
            complain(Complaint::new(
                "wrong_type",
                format!("stands in [{key}] itself, which holds only tables"),
                format!("give it a name of your choice: [{key}.NAME]"),
            ));
            continue;
        }
        if !is_name(&name) {
            group.pass_over(&name);
            complain(Complaint::new(
                "bad_name",
                "is no name",
                "write lower-case letters, digits, - and _, at most 64, such as shop",
            ));
            continue;
        }
        if at == MAX_NAMED {
            let message = format!("is one too many: [{key}] holds at most {MAX_NAMED}");
            complain(Complaint::new("out_of_range", message, "remove some"));
        }
        let t = group.table(&name);
        if let Some(one) = read(&t) {
            all.insert(name.clone(), one);
        }
        t.finish();
        known.push(name);
    }
    group.finish();
    names.insert(key, known);
    all
}

/// A key that has no default: absent and not overridden it is a fault.
pub(super) fn wanted<T>(
    t: &Table<'_, '_>,
    key: &str,
    mend: &str,
    parse: impl FnOnce(&Value<'_>) -> Parsed<T>,
) -> Option<T> {
    let before = t.reader.faults.borrow().len();
    let read = t.read(key, parse);
    if read.is_none() && t.reader.faults.borrow().len() == before {
        let complaint = Complaint::new("missing_key", format!("has no `{key}`"), mend);
        t.reader.fault(t.place.clone(), &t.path, complaint);
    }
    read
}

/// Notes that what `key` names is not there, for `segue check`.
fn absent(t: &Table<'_, '_>, key: &str, what: &str, path: &Path) {
    let kind = match path.exists() {
        true => format!("which is no {what}"),
        false => format!("and there is no such {what}"),
    };
    let message = format!("names {}, {kind}", path.display());
    let mend = format!(
        "put the {what} there, or name another; the host serves without it, and plugins are told \
         `store_unavailable`"
    );
    t.reader
        .absence(&t.path_of(key), Complaint::new("not_there", message, mend));
}

fn database(t: &Table<'_, '_>) -> Option<Sql> {
    use sql::settings::Database;
    t.hide_unless("url", |url| url.starts_with("sqlite:"));
    let base = t.reader.base;
    let url = wanted(t, "url", "write url = \"sqlite:FILE\"", |value| {
        database_url(&value::text(value)?, base)
    });
    let max_rows = t.or("max_rows", Database::MAX_ROWS, count32(1..=1_000_000));
    let max_bytes = t.or("max_bytes", Database::MAX_BYTES, size(KIB..=GIB));
    let timeout = t.or("timeout", Database::TIMEOUT, duration(ms(1)..=seconds(3600)));
    let connections = t.or("connections", Database::CONNECTIONS, amount(1..=256));
    let queue = t.or("queue", Database::QUEUE, amount(1..=10_000));
    let slow_query = t.or(
        "slow_query",
        Database::SLOW_QUERY,
        or_off(duration(ms(1)..=seconds(3600))),
    );
    let cache = t.read("cache", value::text);
    let url = url?;
    let DatabaseUrl::Sqlite(path) = &url;
    if !path.is_file() {
        absent(t, "url", "file", path);
    }
    Some(Sql {
        url,
        max_rows,
        max_bytes,
        timeout,
        connections,
        queue,
        slow_query,
        cache,
    })
}

fn database_url(url: &str, base: &Path) -> Parsed<DatabaseUrl> {
    let bad = |message: &str, mend: &str| Err(Complaint::new("bad_url", message, mend));
    let Some((scheme, rest)) = url.split_once(':') else {
        return bad("is no address of a database", "write it as \"sqlite:FILE\"");
    };
    match scheme {
        "sqlite" => {}
        "postgres" | "postgresql" | "mysql" | "mariadb" => {
            return bad(
                "names a kind of database that this version cannot ask: postgres and mysql are not there yet",
                "use an SQLite file: \"sqlite:FILE\"",
            );
        }
        _ => return bad("is of no known scheme", "write it as \"sqlite:FILE\""),
    }
    // `sqlite:///srv/shop.db` is how others write an absolute path.
    let file = match rest.strip_prefix("//") {
        Some(path) if path.starts_with('/') => path,
        Some(_) => {
            return bad(
                "names a host, which a file has not",
                "write it as \"sqlite:FILE\"",
            );
        }
        None => rest,
    };
    match file {
        "" => bad("names no file", "write it as \"sqlite:FILE\""),
        ":memory:" => bad(
            "is a database in memory, which would always be empty",
            "name a file: \"sqlite:FILE\"",
        ),
        _ if file.contains('?') => bad(
            "has parameters, and takes none",
            "remove what follows the question mark; it is only ever read",
        ),
        _ => Ok(DatabaseUrl::Sqlite(base.join(file))),
    }
}

fn index(t: &Table<'_, '_>) -> Option<Search> {
    use search::settings::Index;
    let path = wanted(t, "path", "write path = \"FOLDER\"", value::path(t.reader.base));
    let sound = t.reader.faults.borrow().len();
    let include = match t.has("include") {
        true => patterns(t, "include"),
        false => {
            t.ignore("include", Shape::List);
            Index::INCLUDE.map(str::to_owned).to_vec()
        }
    };
    if include.is_empty() && t.reader.faults.borrow().len() == sound {
        let complaint = Complaint::new(
            "empty",
            "is a list without a pattern in it, so nothing is a document",
            "give it patterns such as \"**/*.md\", or leave the key out",
        );
        t.reader.fault(t.place.clone(), &t.path_of("include"), complaint);
    }
    let exclude = patterns(t, "exclude");
    let max_file = t.or("max_file", Index::MAX_FILE, size(KIB..=256 * MIB));
    let max_files = t.or("max_files", Index::MAX_FILES, amount(1..=1_000_000));
    let serve = t.or("serve", false, flag);
    let queue = t.or("queue", Index::QUEUE, amount(1..=10_000));
    let cache = t.read("cache", value::text);
    let path = path?;
    if !path.is_dir() {
        absent(t, "path", "folder", &path);
    }
    Some(Search {
        path,
        include,
        exclude,
        max_file,
        max_files,
        serve,
        queue,
        cache,
    })
}

fn patterns(t: &Table<'_, '_>, key: &str) -> Vec<String> {
    let found = t.list(key, MAX_PATTERNS, pattern);
    found.into_iter().map(|(pattern, _)| pattern).collect()
}

fn pattern(value: &Value<'_>) -> Parsed<String> {
    let found = value::text(value)?;
    let bad = |message: String| {
        let mend = "write a glob over the path within the folder, such as \"guides/**/*.md\"";
        Err(Complaint::new("bad_pattern", message, mend))
    };
    if found.len() > MAX_PATTERN_BYTES {
        return bad(format!("is longer than {MAX_PATTERN_BYTES} bytes"));
    }
    if found.starts_with(['/', '.']) {
        return bad(format!("begins outside the folder: `{found}`"));
    }
    match globset::GlobBuilder::new(&found).literal_separator(true).build() {
        Ok(_) => Ok(found),
        Err(error) => bad(format!("is no pattern: `{found}` ({})", error.kind())),
    }
}

fn buckets(root: &Table<'_, '_>, state: &Path) -> KeyValue {
    use keyvalue::settings::KeyValue as Usual;
    let t = root.table("keyvalue");
    let path = t.read("path", value::path(t.reader.base));
    if let Some(folder) = path.as_deref().and_then(Path::parent)
        && !folder.is_dir()
    {
        absent(&t, "path", "folder", folder);
    }
    let buckets = KeyValue {
        path: path.unwrap_or_else(|| state.join("keyvalue.db")),
        max_keys: t.or("max_keys", Usual::MAX_KEYS, count(1..=100_000_000)),
        max_bytes: t.or("max_bytes", Usual::MAX_BYTES, size(KIB..=1024 * GIB)),
    };
    t.finish();
    buckets
}
