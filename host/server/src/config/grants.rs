//! `[plugins.max_grants]`: what plugins may be granted at most.
//!
//! Guarantees: what is granted is there to be granted. A capability that this
//! host does not have, or a database, an index or a model that no section
//! configures, is a fault, with the name that was probably meant.

use std::collections::{BTreeMap, BTreeSet};

use segue_runtime::Capabilities;

use super::backends::Names;
use super::faults::Place;
use super::reader::{Shape, Table};
use super::value::{self, Complaint, nearest};

/// Names granted within one capability.
const MAX_NAMES: usize = 1000;

pub(super) fn max_grants(plugins: &Table<'_, '_>, names: &Names) -> BTreeMap<String, Vec<String>> {
    let t = plugins.table("max_grants");
    let capabilities = Capabilities::new(segue_capabilities::all());
    let mut grants = BTreeMap::new();
    for (capability, place) in t.keys() {
        if !capabilities.is_grantable(&capability) {
            t.ignore(&capability, Shape::List);
            let complaint = no_capability(&capability, &capabilities);
            t.reader.fault(place, &t.path_of(&capability), complaint);
            continue;
        }
        let granted = t.list(&capability, MAX_NAMES, value::text);
        for (name, place) in &granted {
            check(&t, &capability, name, place, names);
        }
        grants.insert(capability, granted.into_iter().map(|(name, _)| name).collect());
    }
    t.finish();
    grants
}

fn no_capability(found: &str, capabilities: &Capabilities) -> Complaint {
    let known: BTreeSet<&str> = capabilities.grantable().collect();
    let mend = match nearest(found, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let known: Vec<&str> = known.into_iter().collect();
            format!("remove it; what can be granted is {}", known.join(", "))
        }
    };
    Complaint::new("unknown_capability", "is no capability that is granted", mend)
}

fn check(t: &Table<'_, '_>, capability: &str, name: &str, place: &Place, names: &Names) {
    let complaint = match (capability, names.get(capability)) {
        (_, Some(known)) if !known.iter().any(|known| known == name) => {
            let mend = match nearest(name, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean \"{near}\"? or add [{capability}.{name}]"),
                None => format!("add [{capability}.{name}], or remove the name"),
            };
            let message = format!("names \"{name}\", and there is no [{capability}.{name}]");
            Complaint::new("unknown_name", message, mend)
        }
        ("session", _) if !segue_capabilities::session::SCOPES.contains(&name) => {
            let all = segue_capabilities::session::SCOPES.map(|scope| format!("\"{scope}\""));
            let message = format!("knows no \"{name}\"");
            Complaint::new("unknown_name", message, format!("write {}", all.join(" or ")))
        }
        ("http", _) => match segue_capabilities::http::Grant::parse(name) {
            Ok(_) => return,
            Err(bad) => {
                let bad = bad.to_string();
                let (what, mend) = bad
                    .rsplit_once(": ")
                    .unwrap_or((&bad, "write a host or an origin"));
                Complaint::new("bad_grant", format!("cannot be granted: {what}"), mend)
            }
        },
        _ => return,
    };
    t.reader.fault(place.clone(), &t.path_of(capability), complaint);
}
