//! `[metrics]`: further names of metrics.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::reader::Table;
use super::value::{self, Complaint, Value, choice, nearest};
use crate::telemetry::catalogue::{self, KNOWN, Kind, Known};
use crate::telemetry::{Alias, AliasSet};

const MAX_ALIASES: usize = 200;
const MAX_LABELS: usize = 16;
const MAX_NAME_BYTES: usize = 200;

/// `[metrics]`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Metrics {
    /// Names that come ready: `nyx`, `acexy`, `nest`; `docs/observing.md` has each.
    /// Default none.
    pub aliases: Vec<AliasSet>,
    /// `[[metrics.alias]]`: one's own names. One that a set has too takes its place
    /// there. At most 200.
    ///
    /// `name` is a metric's name that no metric of the host's begins like, `metric`
    /// what it is a name of. `match` holds the series that count, each label with
    /// its value or the start of it before `*`; `rename` how labels are called, ""
    /// leaves one out; `labels` what every series has besides. All three default to
    /// nothing and hold at most 16.
    pub alias: Vec<Alias>,
}

impl Metrics {
    /// Every further name, of sets and one's own.
    pub fn names(&self) -> Vec<Alias> {
        let own: BTreeSet<&str> = self.alias.iter().map(|alias| alias.name.as_str()).collect();
        let mut names = Vec::new();
        for (at, set) in self.aliases.iter().enumerate() {
            // A set that is named twice counts once.
            if !self.aliases.iter().take(at).any(|before| before == set) {
                names.extend(set.aliases().filter(|alias| !own.contains(alias.name.as_str())));
            }
        }
        names.extend(self.alias.iter().cloned());
        names
    }
}

pub(super) fn metrics(root: &Table<'_, '_>) -> Metrics {
    let t = root.table("metrics");
    let sets = t.list("aliases", MAX_ALIASES, choice(&AliasSet::ALL));
    let mut own: Vec<(Alias, &Known)> = Vec::new();
    for row in t.tables("alias", MAX_ALIASES) {
        let found = alias(&row);
        row.finish();
        let Some((alias, metric)) = found else { continue };
        match clash(&own, &alias, metric) {
            Some(complaint) => row.reader.fault(row.place.clone(), &row.path, complaint),
            None => own.push((alias, metric)),
        }
    }
    t.finish();
    Metrics {
        aliases: sets.into_iter().map(|(set, _)| set).collect(),
        alias: own.into_iter().map(|(alias, _)| alias).collect(),
    }
}

fn alias(t: &Table<'_, '_>) -> Option<(Alias, &'static Known)> {
    let name = t.read("name", alias_name);
    let metric = t.read("metric", metric);
    let labels = metric.map_or(&[][..], |metric| metric.labels);
    // Where the metric is unknown nothing can be said about its labels.
    let own = |label: &str| match metric.is_none() || labels.contains(&label) {
        true => Ok(()),
        false => Err(unknown_label(label, labels)),
    };
    let only = pairs(t, "match", own, value::text);
    let rename = pairs(t, "rename", own, |value| match value {
        Value::Written(written) if written.as_str() == Some("") => Ok(String::new()),
        _ => value::text(value).and_then(label_name),
    });
    let fixed = pairs(
        t,
        "labels",
        |label| label_name(label.to_owned()).map(drop),
        value::text,
    );
    for key in ["name", "metric"].into_iter().filter(|key| !t.has(key)) {
        let mend = "write name = \"my_connections\" and metric = \"segue_connections\"";
        let complaint = Complaint::new("missing_key", format!("has no `{key}`"), mend);
        t.reader.fault(t.place.clone(), &t.path, complaint);
    }
    let (name, metric) = (name?, metric?);
    let alias = Alias {
        name,
        metric: metric.name.to_owned(),
        only,
        rename,
        labels: fixed,
    };
    if let Some(complaint) = twice(&alias, metric) {
        t.reader.fault(t.place.clone(), &t.path, complaint);
    }
    Some((alias, metric))
}

/// A table of texts whose keys are labels.
fn pairs(
    t: &Table<'_, '_>,
    key: &str,
    label: impl Fn(&str) -> Result<(), Complaint>,
    parse: impl Fn(&Value<'_>) -> Result<String, Complaint>,
) -> BTreeMap<String, String> {
    let table = t.table(key);
    let mut pairs = BTreeMap::new();
    for (at, (name, _)) in table.keys().into_iter().enumerate() {
        let fits = match at < MAX_LABELS {
            true => label(&name),
            false => Err(Complaint::new(
                "out_of_range",
                format!("has more than {MAX_LABELS} labels"),
                "remove some",
            )),
        };
        let value = table.read(&name, |value| fits.and_then(|()| parse(value)));
        pairs.extend(value.map(|value| (name, value)));
    }
    table.finish();
    pairs
}

fn alias_name(value: &Value<'_>) -> Result<String, Complaint> {
    let found = value::text(value)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    if found.len() > MAX_NAME_BYTES
        || !found.chars().all(fits)
        || found.starts_with(|c: char| c.is_ascii_digit())
    {
        let message = format!("is no name of a metric: `{found}`");
        let mend = "write letters, digits and _, at most 200, such as my_connections";
        return Err(Complaint::new("bad_name", message, mend));
    }
    match ["segue_", "process_"].iter().find(|own| found.starts_with(**own)) {
        Some(own) => Err(Complaint::new(
            "bad_name",
            format!("is `{found}`, as the host's own metrics are named"),
            format!("begin it with something else than {own}"),
        )),
        None => Ok(found),
    }
}

fn metric(value: &Value<'_>) -> Result<&'static Known, Complaint> {
    let found = value::text(value)?;
    catalogue::find(&found).ok_or_else(|| {
        let mend = match nearest(&found, KNOWN.iter().map(|known| known.name)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write one that /metrics has, such as segue_connections".to_owned(),
        };
        Complaint::new(
            "unknown_metric",
            format!("is no metric of this host: `{found}`"),
            mend,
        )
    })
}

fn unknown_label(found: &str, labels: &[&str]) -> Complaint {
    let mend = match labels {
        [] => "leave it out: the metric has no labels".to_owned(),
        _ => format!("write one of {}", labels.join(", ")),
    };
    Complaint::new(
        "unknown_label",
        format!("is no label of the metric: `{found}`"),
        mend,
    )
}

fn label_name(found: String) -> Result<String, Complaint> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let reserved = found == "le" || found.starts_with("__");
    match !reserved && found.chars().all(fits) && !found.starts_with(|c: char| c.is_ascii_digit()) {
        true => Ok(found),
        false => Err(Complaint::new(
            "bad_name",
            format!("is no label: `{found}`"),
            "write letters, digits and _, but not le, nor __ at the start",
        )),
    }
}

/// A label that the series would have twice.
fn twice(alias: &Alias, metric: &Known) -> Option<Complaint> {
    let own = metric
        .labels
        .iter()
        .map(|label| alias.rename.get(*label).map_or(*label, String::as_str));
    let mut seen = BTreeSet::new();
    let all = own
        .filter(|label| !label.is_empty())
        .chain(alias.labels.keys().map(String::as_str));
    let mut twice = all.filter(|label| !seen.insert(*label));
    let label = twice.next()?;
    Some(Complaint::new(
        "contradiction",
        format!("gives its series the label `{label}` twice"),
        format!("rename one of them, or leave it out: rename = {{ {label} = \"\" }}"),
    ))
}

/// What cannot be told beside the aliases before it.
fn clash(before: &[(Alias, &Known)], alias: &Alias, metric: &Known) -> Option<Complaint> {
    for (other, of) in before {
        let same = other.name == alias.name;
        let mixed =
            of.kind() != metric.kind() || (metric.kind() == Kind::Histogram && of.name != metric.name);
        if same && mixed {
            let message = format!(
                "gives the name `{}` to {} and to {}",
                alias.name, of.name, metric.name
            );
            let mend = "give them names of their own: their values do not go together";
            return Some(Complaint::new("contradiction", message, mend));
        }
        let (a, b) = ((&other.name, *of), (&alias.name, metric));
        for ((whole, of), (part, _)) in [(a, b), (b, a)] {
            let suffix = part.strip_prefix(whole.as_str()).unwrap_or_default();
            if of.kind() == Kind::Histogram && ["_bucket", "_sum", "_count"].contains(&suffix) {
                let message = format!("gives the name `{part}`, which is part of the histogram `{whole}`");
                return Some(Complaint::new("contradiction", message, "rename one of them"));
            }
        }
    }
    None
}
