//! What the caches count, read when it is asked for.

use std::sync::Weak;

use prometheus::core::{Collector, Desc};
use prometheus::{IntCounterVec, IntGaugeVec, Opts, proto};
use segue_capabilities::cache::CacheState;

use crate::state::App;

/// Caches are named by the configuration.
pub(super) struct CacheCollector {
    app: Weak<App>,
    families: Families,
}

struct Families {
    requests: IntCounterVec,
    errors: IntCounterVec,
    evictions: IntCounterVec,
    invalidations: IntCounterVec,
    entries: IntGaugeVec,
    bytes: IntGaugeVec,
}

impl Families {
    fn new() -> Result<Families, prometheus::Error> {
        let counters =
            |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let gauges = |name: &str, help: &str| IntGaugeVec::new(Opts::new(name, help), &["cache"]);
        Ok(Families {
            requests: counters(
                "segue_cache_requests_total",
                "Questions to the cache: hit, stale, miss, or joined to what another was fetching.",
                &["cache", "outcome"],
            )?,
            errors: counters(
                "segue_cache_errors_total",
                "Fetches for the cache that failed.",
                &["cache"],
            )?,
            evictions: counters(
                "segue_cache_evictions_total",
                "Entries that made room, or whose time was over.",
                &["cache"],
            )?,
            invalidations: counters(
                "segue_cache_invalidations_total",
                "Entries that were taken out.",
                &["cache"],
            )?,
            entries: gauges("segue_cache_entries", "Entries now.")?,
            bytes: gauges("segue_cache_bytes", "Bytes of all entries now.")?,
        })
    }

    fn all(&self) -> [&dyn Collector; 6] {
        [
            &self.requests,
            &self.errors,
            &self.evictions,
            &self.invalidations,
            &self.entries,
            &self.bytes,
        ]
    }

    fn fill(&self, cache: &CacheState) {
        let name = cache.name.as_str();
        for (outcome, count) in [
            ("hit", cache.hits),
            ("stale", cache.stale),
            ("miss", cache.misses),
            ("joined", cache.joined),
        ] {
            self.requests.with_label_values(&[name, outcome]).inc_by(count);
        }
        self.errors.with_label_values(&[name]).inc_by(cache.errors);
        self.evictions.with_label_values(&[name]).inc_by(cache.evictions);
        self.invalidations
            .with_label_values(&[name])
            .inc_by(cache.invalidations);
        let gauge = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.entries.with_label_values(&[name]).set(gauge(cache.entries));
        self.bytes.with_label_values(&[name]).set(gauge(cache.bytes));
    }
}

impl CacheCollector {
    pub(super) fn new(app: Weak<App>) -> Result<CacheCollector, prometheus::Error> {
        Ok(CacheCollector {
            app,
            families: Families::new()?,
        })
    }
}

impl Collector for CacheCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.families
            .all()
            .into_iter()
            .flat_map(Collector::desc)
            .collect()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        // Made anew each time, so that a cache that is gone is not told for ever.
        let (Ok(families), Some(app)) = (Families::new(), self.app.upgrade()) else {
            return Vec::new();
        };
        for cache in app.snapshot().backends.caches().state() {
            families.fill(&cache);
        }
        let all = families.all().into_iter().flat_map(Collector::collect);
        all.filter(|family| !family.get_metric().is_empty()).collect()
    }
}
