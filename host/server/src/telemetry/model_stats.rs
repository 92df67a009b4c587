//! What language models were asked, read when it is asked for.

use std::sync::Weak;

use prometheus::core::{Collector, Desc};
use prometheus::{IntCounterVec, Opts, proto};
use segue_capabilities::llm::TargetCounts;

use crate::state::App;

/// The target of a model that has one server and no name for it.
const ONLY: &str = "default";

/// Models and their targets are named by the configuration.
pub(super) struct ModelCollector {
    app: Weak<App>,
    families: Families,
}

struct Families {
    requests: IntCounterVec,
    tokens: IntCounterVec,
}

impl Families {
    fn new() -> Result<Families, prometheus::Error> {
        let counters =
            |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        Ok(Families {
            requests: counters(
                "segue_llm_requests_total",
                "Requests to a model's server, by how they ended.",
                &["model", "target", "outcome"],
            )?,
            tokens: counters(
                "segue_llm_tokens_total",
                "Tokens, as the model's server counted them.",
                &["model", "target", "direction"],
            )?,
        })
    }

    fn all(&self) -> [&dyn Collector; 2] {
        [&self.requests, &self.tokens]
    }

    fn fill(&self, counts: &TargetCounts) {
        let model = counts.model.as_str();
        let target = match counts.target.is_empty() {
            true => ONLY,
            false => counts.target.as_str(),
        };
        for (outcome, count) in &counts.requests {
            let labels = [model, target, outcome.as_str()];
            self.requests.with_label_values(&labels).inc_by(*count);
        }
        for (direction, count) in [
            ("input", counts.tokens.input_tokens),
            ("output", counts.tokens.output_tokens),
        ] {
            self.tokens
                .with_label_values(&[model, target, direction])
                .inc_by(count);
        }
    }
}

impl ModelCollector {
    pub(super) fn new(app: Weak<App>) -> Result<ModelCollector, prometheus::Error> {
        Ok(ModelCollector {
            app,
            families: Families::new()?,
        })
    }
}

impl Collector for ModelCollector {
    fn desc(&self) -> Vec<&Desc> {
        let families = self.families.all();
        families.into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        // Made anew each time, so that a target that is gone is not told for ever.
        let (Ok(families), Some(app)) = (Families::new(), self.app.upgrade()) else {
            return Vec::new();
        };
        for counts in app.snapshot().backends.models().counts() {
            families.fill(&counts);
        }
        let all = families.all().into_iter().flat_map(Collector::collect);
        all.filter(|family| !family.get_metric().is_empty()).collect()
    }
}
