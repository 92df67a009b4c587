//! Metrics under further names, so that dashboards and alerts made for another
//! host go on to work.
//!
//! Guarantees: a metric's own name always stays; an alias is read off its metric
//! when `/metrics` is asked for, so it costs nothing until then, is there exactly
//! when its metric has a series, and never says anything else; one name is told
//! once, and no two series of it have the same labels.

mod sets;

use std::collections::BTreeMap;

use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily};
use serde::Serialize;

pub use sets::AliasSet;

use super::catalogue::{self, Kind};

/// A further name of a metric.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alias {
    pub name: String,
    /// The metric that it is a name of.
    pub metric: String,
    /// Which series count: a label, and its value or the start of it before `*`.
    #[serde(rename = "match")]
    pub only: BTreeMap<String, String>,
    /// Labels that are called otherwise; one that becomes nothing is left out.
    pub rename: BTreeMap<String, String>,
    /// Labels that every series has besides.
    pub labels: BTreeMap<String, String>,
}

/// Adds the aliases to what was gathered.
pub(super) fn add(aliases: &[Alias], gathered: &mut Vec<MetricFamily>) {
    let mut added: BTreeMap<&str, MetricFamily> = BTreeMap::new();
    for alias in aliases {
        let Some(family) = gathered.iter().find(|family| family.name() == alias.metric) else {
            continue;
        };
        let series = alias.series(family);
        if series.is_empty() {
            continue;
        }
        let named = added.entry(&alias.name).or_insert_with(|| {
            let mut named = MetricFamily::default();
            named.set_name(alias.name.clone());
            named.set_help(format!("{} (of {})", family.help(), family.name()));
            named.set_field_type(family.get_field_type());
            named
        });
        let kind = catalogue::find(&alias.metric).map_or(Kind::Gauge, catalogue::Known::kind);
        let mut all = named.take_metric();
        series.into_iter().for_each(|one| join(kind, &mut all, one));
        named.set_metric(all);
    }
    gathered.extend(added.into_values());
}

/// Puts a series among the others. Two that come to have the same labels are one:
/// counted together, or, of flags, true if one of them is.
fn join(kind: Kind, all: &mut Vec<Metric>, one: Metric) {
    let Some(same) = all.iter_mut().find(|other| other.get_label() == one.get_label()) else {
        all.push(one);
        return;
    };
    match kind {
        Kind::Counter => {
            let mut sum = Counter::default();
            sum.set_value(same.get_counter().get_value() + one.get_counter().get_value());
            same.set_counter(sum);
        }
        Kind::Gauge | Kind::Flag => {
            let (a, b) = (same.get_gauge().get_value(), one.get_gauge().get_value());
            let mut both = Gauge::default();
            both.set_value(if kind == Kind::Flag { a.max(b) } else { a + b });
            same.set_gauge(both);
        }
        Kind::Histogram => {
            let both = histograms(same.get_histogram(), one.get_histogram());
            same.set_histogram(both);
        }
    }
}

/// Both are of one metric, so their bounds are the same.
fn histograms(a: &Histogram, b: &Histogram) -> Histogram {
    let buckets = a.get_bucket().iter().zip(b.get_bucket()).map(|(a, b)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(a.upper_bound());
        bucket.set_cumulative_count(a.cumulative_count() + b.cumulative_count());
        bucket
    });
    let mut both = Histogram::default();
    both.set_bucket(buckets.collect());
    both.set_sample_count(a.get_sample_count() + b.get_sample_count());
    both.set_sample_sum(a.get_sample_sum() + b.get_sample_sum());
    both
}

impl Alias {
    fn series(&self, family: &MetricFamily) -> Vec<Metric> {
        let chosen = family.get_metric().iter().filter(|metric| self.takes(metric));
        let relabelled = chosen.map(|metric| {
            let mut metric = metric.clone();
            let labels = metric.take_label();
            let mut labels: Vec<_> = labels.into_iter().filter_map(|label| self.label(label)).collect();
            labels.extend(self.labels.iter().map(|(name, value)| {
                let mut label = LabelPair::default();
                label.set_name(name.clone());
                label.set_value(value.clone());
                label
            }));
            // In one order, so that the same labels are known for the same.
            labels.sort_by(|a, b| a.name().cmp(b.name()));
            metric.set_label(labels);
            metric
        });
        relabelled.collect()
    }

    fn takes(&self, metric: &Metric) -> bool {
        self.only.iter().all(|(name, wanted)| {
            let mut labels = metric.get_label().iter().filter(|label| label.name() == name);
            labels.any(|label| match wanted.strip_suffix('*') {
                Some(start) => label.value().starts_with(start),
                None => label.value() == wanted,
            })
        })
    }

    fn label(&self, mut label: LabelPair) -> Option<LabelPair> {
        match self.rename.get(label.name()).map(String::as_str) {
            Some("") => None,
            Some(to) => {
                label.set_name(to.to_owned());
                Some(label)
            }
            None => Some(label),
        }
    }
}

#[cfg(test)]
mod tests;
