//! How the databases stand, read when it is asked for.

use std::sync::Weak;

use prometheus::core::{Collector, Desc};
use prometheus::{IntCounterVec, IntGaugeVec, Opts, proto};
use segue_capabilities::sql::State;

use crate::state::App;

/// Databases are named by the configuration.
pub(super) struct DatabaseCollector {
    app: Weak<App>,
    families: Families,
}

struct Families {
    connections: IntGaugeVec,
    active: IntGaugeVec,
    max: IntGaugeVec,
    slow: IntCounterVec,
}

impl Families {
    fn new() -> Result<Families, prometheus::Error> {
        let gauges = |name: &str, help: &str| IntGaugeVec::new(Opts::new(name, help), &["database"]);
        Ok(Families {
            connections: gauges("segue_sql_connections", "Connections open now, in use or not.")?,
            active: gauges("segue_sql_queries_active", "Queries that run now.")?,
            max: gauges("segue_sql_queries_max", "Queries that may run at a time.")?,
            slow: IntCounterVec::new(
                Opts::new(
                    "segue_sql_slow_queries_total",
                    "Queries that took as long as `slow_query` says.",
                ),
                &["database"],
            )?,
        })
    }

    fn all(&self) -> [&dyn Collector; 4] {
        [&self.connections, &self.active, &self.max, &self.slow]
    }

    fn fill(&self, database: &State) {
        let name = &[database.name.as_str()];
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.connections
            .with_label_values(name)
            .set(gauge(database.connections));
        self.active.with_label_values(name).set(gauge(database.active));
        self.max.with_label_values(name).set(gauge(database.max_active));
        self.slow.with_label_values(name).inc_by(database.slow_queries);
    }
}

impl DatabaseCollector {
    pub(super) fn new(app: Weak<App>) -> Result<DatabaseCollector, prometheus::Error> {
        Ok(DatabaseCollector {
            app,
            families: Families::new()?,
        })
    }
}

impl Collector for DatabaseCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.families
            .all()
            .into_iter()
            .flat_map(Collector::desc)
            .collect()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        // Made anew each time, so that a database that is gone is not told for ever.
        let (Ok(families), Some(app)) = (Families::new(), self.app.upgrade()) else {
            return Vec::new();
        };
        for database in app.snapshot().backends.databases().state() {
            families.fill(&database);
        }
        let all = families.all().into_iter().flat_map(Collector::collect);
        all.filter(|family| !family.get_metric().is_empty()).collect()
    }
}
