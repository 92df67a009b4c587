//! Reads `[resilience]`, `[resilience.KIND]` and `[resilience.KIND.NAME]`.

use std::collections::BTreeMap;

use segue_capabilities::http::Grant;

use super::knob::{Knob, Setting};
use super::tables::{KINDS, Profile, Tier};
use super::{InForce, KindLayers, Layer, Origin, Resilience};
use crate::config::backends::Names;
use crate::config::reader::{Shape, Table};
use crate::config::sections::is_name;
use crate::config::value::{Complaint, choice, nearest};

/// Names of one kind that may have a table.
const MAX_NAMED: usize = 1000;

/// `names` are those that there are, by kind.
pub(in crate::config) fn resilience(root: &Table<'_, '_>, names: &Names) -> Resilience {
    let t = root.table("resilience");
    let profile = t
        .read("profile", choice(&Profile::ALL))
        .map(|profile| (profile, origin(&t, "profile")));
    let all = layer(&t);
    let mut kinds = BTreeMap::new();
    for kind in KINDS {
        let group = t.table(kind);
        let known = names.get(kind).map(Vec::as_slice);
        let layers = KindLayers {
            all: layer(&group),
            names: named(&group, kind, known),
        };
        group.finish();
        if layers != KindLayers::default() {
            kinds.insert(kind, layers);
        }
    }
    t.finish();
    Resilience { profile, all, kinds }
}

/// The tables under `[resilience.KIND]`, by the names that the kind knows.
fn named(group: &Table<'_, '_>, kind: &str, known: Option<&[String]>) -> BTreeMap<String, Layer> {
    let mut all = BTreeMap::new();
    for (name, place) in group.keys() {
        if !group.is_table(&name) {
            continue;
        }
        let complain = |complaint| {
            group.pass_over(&name);
            group
                .reader
                .fault(place.clone(), &group.path_of(&name), complaint);
        };
        if let Some(complaint) = unfit(kind, &name, known) {
            complain(complaint);
        } else if all.len() >= MAX_NAMED {
            let message = format!("is one too many: [{}] holds at most {MAX_NAMED}", group.path);
            complain(Complaint::new("out_of_range", message, "remove some"));
        } else {
            let t = group.table(&name);
            all.insert(name, layer(&t));
            t.finish();
        }
    }
    all
}

/// Why nothing is called so.
fn unfit(kind: &str, name: &str, known: Option<&[String]>) -> Option<Complaint> {
    let unknown = |message: String, mend: String| Some(Complaint::new("unknown_name", message, mend));
    match (kind, known) {
        // Goes by the form that guards are named by.
        ("http", _) if Grant::parse(name).is_ok_and(|grant| grant.to_string() == name) => None,
        ("http", _) => {
            let mend = match Grant::parse(name) {
                Ok(grant) => format!("write [resilience.http.\"{grant}\"]"),
                Err(_) => {
                    "write an origin in quotes, such as [resilience.http.\"https://api.example.com\"]".into()
                }
            };
            Some(Complaint::new(
                "bad_name",
                "is no origin as requests are known by",
                mend,
            ))
        }
        ("keyvalue", _) => unknown(
            "has a name, and there is one store of keys and values".to_owned(),
            "write [resilience.keyvalue]".to_owned(),
        ),
        ("handler", _) if !is_name(name) => Some(Complaint::new(
            "bad_name",
            "is no name of a plugin",
            "write the plugin's file name without .wasm",
        )),
        (_, Some(known)) if !known.iter().any(|known| known == name) => {
            let mend = match nearest(name, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean [resilience.{kind}.{near}]?"),
                None => format!("add [{kind}.{name}], or remove this"),
            };
            unknown(format!("is about [{kind}.{name}], which is not there"), mend)
        }
        _ => None,
    }
}

fn layer(t: &Table<'_, '_>) -> Layer {
    let tier = t.read("tier", choice(&Tier::ALL));
    let mut own = BTreeMap::new();
    for knob in Knob::ALL {
        // A table of this name is the table of a dependency.
        if t.is_table(knob.key()) {
            t.ignore(knob.key(), Shape::Scalar);
            continue;
        }
        if let Some(value) = t.read(knob.key(), |value| knob.parse(value)) {
            let from = origin(t, knob.key());
            own.insert(*knob, InForce { value, from });
        }
    }
    check(t, &own);
    Layer {
        tier: tier.map(|tier| (tier, origin(t, "tier"))),
        own,
    }
}

/// What does not fit together within one table.
fn check(t: &Table<'_, '_>, own: &BTreeMap<Knob, InForce>) {
    let time = |knob| own.get(&knob).and_then(|found: &InForce| found.value.time());
    for (less, more) in [
        (Knob::ResetTimeout, Knob::ResetTimeoutMax),
        (Knob::RetryBackoff, Knob::RetryBackoffMax),
    ] {
        if let (Some(low), Some(high)) = (time(less), time(more))
            && low > high
        {
            let place = t.reader.place_of(&t.path_of(more.key()));
            let message = format!("is less than `{}`", less.key());
            let mend = format!("give it {} or more", crate::config::value::time(low));
            let complaint = Complaint::new("out_of_range", message, mend);
            t.reader.fault(
                place.unwrap_or(t.place.clone()),
                &t.path_of(more.key()),
                complaint,
            );
        }
    }
    let queue = own.get(&Knob::Queue).is_some();
    let unbounded = own
        .get(&Knob::Concurrency)
        .is_some_and(|found| found.value == Setting::Off);
    if queue && unbounded {
        let complaint = Complaint::new(
            "contradiction",
            "is set where `concurrency` is \"off\": nobody would wait",
            "give `concurrency` a number, or remove `queue`",
        );
        let place = t.reader.place_of(&t.path_of(Knob::Queue.key()));
        t.reader
            .fault(place.unwrap_or(t.place.clone()), &t.path_of("queue"), complaint);
    }
}

/// Where a key was set.
fn origin(t: &Table<'_, '_>, key: &str) -> Origin {
    let place = t.reader.place_of(&t.path_of(key));
    place.map_or_else(|| "the configuration".into(), |place| place.to_string().into())
}
