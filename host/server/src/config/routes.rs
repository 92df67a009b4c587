//! `[[route]]` and `[[endpoint]]`: which handler gets what.
//!
//! Guarantees: [`winner`] is the one place that decides between routes, used
//! for messages and for finding routes that can never match; so `segue check`
//! and the dispatcher cannot disagree.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::faults::Place;
use super::model::{Endpoint, Limits, Mode, Route};
use super::reader::Table;
use super::sections::is_name;
use super::value::{Complaint, Value, choice, duration, flag, text};

/// Past this a table of routes should be a policy.
const MAX_ROUTES: usize = 1000;
const MAX_ENDPOINTS: usize = 100;
const MAX_HANDLERS: usize = 16;
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

pub(super) fn routes(root: &Table<'_, '_>, max_limits: &Limits) -> Vec<Route> {
    let mut routes = Vec::new();
    let mut places = Vec::new();
    for t in root.tables("route", MAX_ROUTES) {
        let (route, sound) = route(&t, max_limits);
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

fn route(t: &Table<'_, '_>, max_limits: &Limits) -> (Route, bool) {
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

fn mtype(value: &Value<'_>) -> Result<String, Complaint> {
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

fn line_of(place: &Place) -> usize {
    match place {
        Place::File { line, .. } => *line,
        Place::Variable { .. } | Place::DotEnv { .. } | Place::Key(_) => 0,
    }
}
