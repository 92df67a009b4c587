//! `[[route]]` and `[[endpoint]]`: which handler gets what, and what happens when
//! it cannot answer.
//!
//! Guarantees: [`winner`] is the one place that decides between routes, used
//! for messages and for finding routes that can never match; so `segue check`
//! and the dispatcher cannot disagree.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::backends::Names;
use super::faults::Place;
use super::model::{Endpoint, Fallback, Limits, Mode, Route};
use super::reader::Table;
use super::sections::is_name;
use super::value::{Complaint, Value, choice, duration, flag, nearest, text};

/// Past this a table of routes should be a policy.
const MAX_ROUTES: usize = 1000;
const MAX_ENDPOINTS: usize = 100;
const MAX_HANDLERS: usize = 16;
const MAX_FALLBACKS: usize = 8;
const MAX_TEXT_BYTES: usize = 4096;
const MAX_MTYPE_BYTES: usize = 128;
const MAX_PATH_BYTES: usize = 256;

/// The host's own public paths; whatever is below them is the host's too,
/// except below `/`.
pub const RESERVED_PATHS: [&str; 9] = [
    "/",
    "/api",
    "/chat",
    "/engines",
    "/events",
    "/health",
    "/metrics",
    "/openapi.json",
    "/v1",
];

impl Route {
    /// Whether a message with this type and these flags meets its conditions.
    pub fn matches(&self, mtype: &str, rag_sql: bool, rag_doc: bool) -> bool {
        self.mtype.as_deref().is_none_or(|wanted| wanted == mtype)
            && self.rag_sql.is_none_or(|wanted| wanted == rag_sql)
            && self.rag_doc.is_none_or(|wanted| wanted == rag_doc)
    }

    /// Every plugin that it may call.
    pub fn every_handler(&self) -> impl Iterator<Item = &str> {
        let others = self.fallback.iter().filter_map(|fallback| match fallback {
            Fallback::Handler(name) => Some(name),
            _ => None,
        });
        self.handlers.iter().chain(others).map(String::as_str)
    }

    /// How many conditions it has.
    pub fn specificity(&self) -> usize {
        usize::from(self.mtype.is_some())
            + usize::from(self.rag_sql.is_some())
            + usize::from(self.rag_doc.is_some())
    }
}

/// The route that gets such a message: of those that match the most specific,
/// and of equals the first.
pub fn winner<'r>(
    routes: impl IntoIterator<Item = &'r Route>,
    mtype: &str,
    rag_sql: bool,
    rag_doc: bool,
) -> Option<&'r Route> {
    let mut best: Option<&Route> = None;
    for route in routes {
        let better = best.is_none_or(|b| route.specificity() > b.specificity());
        if better && route.matches(mtype, rag_sql, rag_doc) {
            best = Some(route);
        }
    }
    best
}

pub(super) fn routes(root: &Table<'_, '_>, max_limits: &Limits, names: &Names) -> Vec<Route> {
    let mut routes = Vec::new();
    let mut places = Vec::new();
    for t in root.tables("route", MAX_ROUTES) {
        let (route, sound) = route(&t, max_limits, names);
        t.finish();
        // A faulty route neither hides others nor is hidden.
        if sound {
            routes.push(route);
            places.push(t.place.clone());
        }
    }
    report_hidden(root, &routes, &places);
    routes
}

fn route(t: &Table<'_, '_>, max_limits: &Limits, names: &Names) -> (Route, bool) {
    let before = t.reader.faults.borrow().len();
    let conditions = t.table("match");
    let mtype = conditions.read("mtype", mtype);
    let rag_sql = conditions.read("rag_sql", flag);
    let rag_doc = conditions.read("rag_doc", flag);
    conditions.finish();
    let modes = choice(&[
        ("parallel", Mode::Parallel),
        ("sequence", Mode::Sequence),
        ("first", Mode::First),
    ]);
    let deadlines = duration(Duration::from_millis(1)..=max_limits.deadline);
    let route = Route {
        mtype,
        rag_sql,
        rag_doc,
        handlers: handlers(t),
        mode: t.or("mode", Mode::default(), modes),
        deadline: t.read("deadline", deadlines),
        fallback: fallbacks(t, names),
        line: line_of(&t.place),
    };
    let sound = t.reader.faults.borrow().len() == before;
    (route, sound)
}

fn handlers(t: &Table<'_, '_>) -> Vec<String> {
    let one = t.read("handler", handler);
    let many = t.list("handlers", MAX_HANDLERS, handler);
    let complain = |place: &Place, complaint| t.reader.fault(place.clone(), &t.path, complaint);
    match (t.has("handler"), t.has("handlers")) {
        (true, true) => complain(
            &t.place,
            Complaint::new(
                "both_handlers",
                "has both `handler` and `handlers`",
                "keep one of the two",
            ),
        ),
        (false, false) => complain(
            &t.place,
            Complaint::new(
                "no_handler",
                "names no handler",
                "add handler = \"NAME\", or handlers = [\"A\", \"B\"]",
            ),
        ),
        (false, true) if many.is_empty() => complain(
            &t.place,
            Complaint::new(
                "no_handler",
                "has a list of handlers without a handler in it",
                "name at least one",
            ),
        ),
        _ => {}
    }
    let mut seen = BTreeSet::new();
    for (name, place) in &many {
        if !seen.insert(name) {
            let message = format!("names `{name}` twice");
            complain(place, Complaint::new("twice", message, "remove one"));
        }
    }
    one.into_iter()
        .chain(many.into_iter().map(|(name, _)| name))
        .collect()
}

fn fallbacks(t: &Table<'_, '_>, names: &Names) -> Vec<Fallback> {
    let tables = t.tables("fallback", MAX_FALLBACKS);
    tables.iter().filter_map(|t| fallback(t, names)).collect()
}

fn fallback(t: &Table<'_, '_>, names: &Names) -> Option<Fallback> {
    const KINDS: [&str; 4] = ["handler", "model", "cached", "text"];
    let other = t.read("handler", handler).map(Fallback::Handler);
    let models = t.table("model");
    let model = t.has("model").then(|| substitutes(&models, names));
    let ages = duration(Duration::from_secs(1)..=Duration::from_secs(30 * 24 * 3600));
    let age = t.read("cached", ages);
    let shared = t.read("shared", flag);
    let cached = age.map(|max_age| Fallback::Cached {
        max_age,
        shared: shared.unwrap_or(false),
    });
    let words = t.read("text", words).map(Fallback::Text);
    t.finish();
    let given = KINDS.iter().filter(|kind| t.has(kind)).count();
    if given != 1 {
        let message = match given {
            0 => "says nothing to do",
            _ => "says more than one thing to do",
        };
        let mend = "give each entry one of handler = \"NAME\", model = { main = \"small\" }, \
                    cached = \"10m\" or text = \"...\"";
        t.reader.fault(
            t.place.clone(),
            &t.path,
            Complaint::new("bad_fallback", message, mend),
        );
        return None;
    }
    if shared.is_some() && age.is_none() {
        let message = "has `shared`, which is about a cached answer";
        let complaint = Complaint::new("bad_fallback", message, "remove it");
        t.reader.fault(t.place.clone(), &t.path, complaint);
    }
    other.or(model.map(Fallback::Model)).or(cached).or(words)
}

/// Which model stands in for which.
fn substitutes(t: &Table<'_, '_>, names: &Names) -> BTreeMap<String, String> {
    let known = names.get("llm").map(Vec::as_slice).unwrap_or_default();
    let check = |name: String, place: &Place| {
        if known.contains(&name) {
            return Some(name);
        }
        let mend = match nearest(&name, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("add [llm.{name}], or name another"),
        };
        let complaint = Complaint::new("unknown_name", format!("names `{name}`, which is no model"), mend);
        t.reader.fault(place.clone(), &t.path, complaint);
        None
    };
    let mut all = BTreeMap::new();
    for (name, place) in t.keys().into_iter().take(MAX_FALLBACKS) {
        let other = t.read(&name, text);
        let other = other.and_then(|other| check(other, &place));
        if let (Some(name), Some(other)) = (check(name, &place), other) {
            all.insert(name, other);
        }
    }
    t.finish();
    all
}

fn words(value: &Value<'_>) -> Result<String, Complaint> {
    let found = text(value)?;
    match found.len() <= MAX_TEXT_BYTES {
        true => Ok(found),
        false => Err(Complaint::new(
            "out_of_range",
            format!("is {} bytes long", found.len()),
            format!("give at most {MAX_TEXT_BYTES} bytes"),
        )),
    }
}

fn handler(value: &Value<'_>) -> Result<String, Complaint> {
    let found = text(value)?;
    if is_name(&found) {
        return Ok(found);
    }
    let mend = match found.strip_suffix(".wasm").filter(|name| is_name(name)) {
        Some(name) => format!("write \"{name}\", without .wasm"),
        None => "write the plugin's file name without .wasm: lower-case letters, digits, - and _, \
                 at most 64"
            .to_owned(),
    };
    let message = format!("is no name of a plugin: `{found}`");
    Err(Complaint::new("bad_name", message, mend))
}

pub(super) fn mtype(value: &Value<'_>) -> Result<String, Complaint> {
    let found = text(value)?;
    match found.len() <= MAX_MTYPE_BYTES {
        true => Ok(found),
        false => Err(Complaint::new(
            "out_of_range",
            format!("is {} bytes long", found.len()),
            format!("give at most {MAX_MTYPE_BYTES} bytes"),
        )),
    }
}

/// Messages differ, for routing, in finitely many ways: each named type and
/// one that nobody names, times the flags. A route that wins none of them
/// never matches, and those that win in its place hide it.
fn report_hidden(root: &Table<'_, '_>, routes: &[Route], places: &[Place]) {
    let mut mtypes: BTreeSet<&str> = routes.iter().filter_map(|r| r.mtype.as_deref()).collect();
    // Longer than any type that can be named.
    let unnamed = "?".repeat(MAX_MTYPE_BYTES + 1);
    mtypes.insert(&unnamed);
    let mut alive = BTreeSet::new();
    // By index: the lines of those that won in its place.
    let mut hidden_by: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    let flags = [(false, false), (false, true), (true, false), (true, true)];
    for (mtype, (rag_sql, rag_doc)) in mtypes.into_iter().flat_map(|m| flags.map(|f| (m, f))) {
        let Some(best) = winner(routes, mtype, rag_sql, rag_doc) else {
            continue;
        };
        for (index, route) in routes.iter().enumerate() {
            if std::ptr::eq(route, best) {
                alive.insert(index);
            } else if route.matches(mtype, rag_sql, rag_doc) {
                hidden_by.entry(index).or_default().insert(best.line);
            }
        }
    }
    for (index, place) in places.iter().enumerate() {
        if !alive.contains(&index) {
            let lines = hidden_by.remove(&index).unwrap_or_default();
            root.reader.fault(place.clone(), "route", hidden(&lines));
        }
    }
}

fn hidden(by: &BTreeSet<usize>) -> Complaint {
    const NAMED: usize = 5;
    let mut lines: Vec<String> = by.iter().take(NAMED).map(usize::to_string).collect();
    if by.len() > NAMED {
        lines.push(format!("{} more", by.len() - NAMED));
    }
    let message = match lines.as_slice() {
        [line] => format!("can never match: the route at line {line} takes its messages"),
        _ => format!(
            "can never match: the routes at lines {} take its messages",
            lines.join(", ")
        ),
    };
    let mend = "remove it, or give it a condition that those lack";
    Complaint::new("never_matches", message, mend)
}

pub(super) fn endpoints(root: &Table<'_, '_>) -> Vec<Endpoint> {
    let mut endpoints = Vec::new();
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    for t in root.tables("endpoint", MAX_ENDPOINTS) {
        let line = line_of(&t.place);
        let path = t.read("path", |value| {
            let path = endpoint_path(value)?;
            match taken.insert(path.clone(), line) {
                None => Ok(path),
                Some(first) => Err(Complaint::new(
                    "duplicate_path",
                    format!("is `{path}`, as is the endpoint at line {first}"),
                    "give each endpoint a path of its own",
                )),
            }
        });
        t.or("kind", (), choice(&[("raw", ())]));
        let handler = t.read("handler", handler);
        for key in ["path", "handler"].into_iter().filter(|key| !t.has(key)) {
            let message = format!("has no `{key}`");
            let mend = "write path = \"/echo\" and handler = \"NAME\"";
            let complaint = Complaint::new("missing_key", message, mend);
            t.reader.fault(t.place.clone(), &t.path, complaint);
        }
        t.finish();
        if let (Some(path), Some(handler)) = (path, handler) {
            endpoints.push(Endpoint { path, handler, line });
        }
    }
    endpoints
}

fn endpoint_path(value: &Value<'_>) -> Result<String, Complaint> {
    let path = text(value)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    let segments_fit = path.strip_prefix('/').is_some_and(|rest| {
        (rest.split('/')).all(|s| !s.is_empty() && s != "." && s != ".." && s.chars().all(plain))
    });
    if path == "/" || RESERVED_PATHS.iter().skip(1).any(|own| is_under(&path, own)) {
        return Err(Complaint::new(
            "reserved_path",
            format!("is `{path}`, which is the host's own"),
            format!("choose a path outside {}", RESERVED_PATHS.join(", ")),
        ));
    }
    match segments_fit && path.len() <= MAX_PATH_BYTES {
        true => Ok(path),
        false => Err(Complaint::new(
            "bad_path",
            format!("is no path of an endpoint: `{path}`"),
            "write a slash, then letters, digits, - . _ ~ and single slashes, such as \"/echo\"",
        )),
    }
}

fn is_under(path: &str, own: &str) -> bool {
    (path.strip_prefix(own)).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

pub(super) fn line_of(place: &Place) -> usize {
    match place {
        Place::File { line, .. } => *line,
        Place::Variable { .. } | Place::DotEnv { .. } | Place::Key(_) => 0,
    }
}
