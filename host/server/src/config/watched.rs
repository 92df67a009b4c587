//! `[health]`, and `[server] provisioning`: dependencies whose state is the
//! host's own affair.

use serde::{Serialize, Serializer};

use super::backends::Names;
use super::reader::Table;
use super::resilience::{KINDS, Knob, Resilience, Setting};
use super::sections::is_name;
use super::value::{self, Complaint, Value, nearest};

const MAX_REQUIRED: usize = 100;

/// A dependency or a handler, as `[resilience]` and `GET /breakers` name it:
/// `llm.main`, `handler.chat`, `keyvalue`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dependency {
    pub kind: &'static str,
    /// Empty where there is one of its kind.
    pub name: String,
}

impl std::fmt::Display for Dependency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name.is_empty() {
            true => f.write_str(self.kind),
            false => write!(f, "{}.{}", self.kind, self.name),
        }
    }
}

impl Serialize for Dependency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// `[health]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Health {
    /// What the host is not ready without, such as `llm.main` or `sql.shop`: while
    /// the breaker of one is open, or it cannot answer at all, `/health/ready` is
    /// 503. Default none, at most 100: what is down for all would take all of them
    /// out of their balancer.
    pub required: Vec<Dependency>,
}

pub(super) fn health(root: &Table<'_, '_>, names: &Names) -> Health {
    let t = root.table("health");
    let required = t.list("required", MAX_REQUIRED, |value| dependency(value, names));
    t.finish();
    Health {
        required: required.into_iter().map(|(one, _)| one).collect(),
    }
}

/// The bulkhead that `[server] provisioning` shows has to be one.
pub(super) fn check_provisioning(
    root: &Table<'_, '_>,
    shown: Option<&Dependency>,
    names: &Names,
    resilience: &Resilience,
) {
    let Some(shown) = shown else { return };
    let settings = resilience.in_force(shown.kind, &shown.name);
    let bounded = settings
        .get(&Knob::Concurrency)
        .is_some_and(|found| found.value != Setting::Off);
    let complaint = match missing(shown, names) {
        Some(complaint) => complaint,
        None if bounded => return,
        None => Complaint::new(
            "contradiction",
            format!("names {shown}, which takes any number of calls at a time"),
            format!("add concurrency = 10 to [resilience.{shown}]"),
        ),
    };
    let place = root.reader.place_of("server.provisioning");
    let place = place.unwrap_or_else(|| root.place.clone());
    root.reader.fault(place, "server.provisioning", complaint);
}

/// One that there is. `names` are those of the file, by kind.
fn dependency(value: &Value<'_>, names: &Names) -> Result<Dependency, Complaint> {
    let found = parse(value)?;
    match missing(&found, names) {
        None => Ok(found),
        Some(complaint) => Err(complaint),
    }
}

pub(super) fn parse(value: &Value<'_>) -> Result<Dependency, Complaint> {
    let found = value::text(value)?;
    let (kind, name) = found.split_once('.').unwrap_or((&found, ""));
    let Some(kind) = KINDS.iter().copied().find(|known| *known == kind) else {
        let mend = match nearest(kind, KINDS.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("write KIND.NAME, where KIND is one of {}", KINDS.join(", ")),
        };
        let message = format!("is of no known kind: `{found}`");
        return Err(Complaint::new("unknown_choice", message, mend));
    };
    Ok(Dependency {
        kind,
        name: name.to_owned(),
    })
}

fn missing(found: &Dependency, names: &Names) -> Option<Complaint> {
    let Dependency { kind, name } = found;
    let unknown = |mend: String| {
        let message = format!("names what is not there: `{found}`");
        Some(Complaint::new("unknown_name", message, mend))
    };
    match (*kind, names.get(kind)) {
        ("keyvalue", _) if name.is_empty() => None,
        ("keyvalue", _) => unknown("write `keyvalue`: there is one".to_owned()),
        ("handler", _) if is_name(name) => None,
        ("handler", _) => unknown("write handler.NAME, after a plugin's file".to_owned()),
        (_, Some(known)) if !known.iter().any(|known| known == name) => {
            unknown(match nearest(name, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{kind}.{near}`?"),
                None => format!("add [{kind}.{name}], or remove this"),
            })
        }
        (_, None) if name.is_empty() => unknown(format!("write {kind}.NAME")),
        _ => None,
    }
}
