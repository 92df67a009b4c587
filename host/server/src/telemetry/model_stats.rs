//! What language models were asked, read when it is asked for.

use std::collections::BTreeMap;
use std::sync::Weak;

use prometheus::core::{Collector, Desc};
use prometheus::{CounterVec, GaugeVec, IntCounterVec, Opts, proto};
use segue_capabilities::llm::{BudgetState, TargetCounts};

use crate::state::App;

/// The target of a model that has one server and no name for it.
const ONLY: &str = "default";

/// Models, their targets and budgets are named by the configuration.
pub(super) struct ModelCollector {
    app: Weak<App>,
    families: Families,
}

struct Families {
    requests: IntCounterVec,
    tokens: IntCounterVec,
    cost: CounterVec,
    left: GaugeVec,
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
                "Tokens, as the model's server counted them, or by estimate.",
                &["model", "target", "direction"],
            )?,
            cost: CounterVec::new(
                Opts::new(
                    "segue_llm_cost_total",
                    "What tokens cost, by the prices of the configuration.",
                ),
                &["model", "target"],
            )?,
            left: GaugeVec::new(
                Opts::new(
                    "segue_llm_budget_remaining",
                    "What is left of a budget: of tokens, of cost; of several shares the least.",
                ),
                &["budget", "unit"],
            )?,
        })
    }

    fn all(&self) -> [&dyn Collector; 4] {
        [&self.requests, &self.tokens, &self.cost, &self.left]
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
        self.cost.with_label_values(&[model, target]).inc_by(counts.cost);
    }

    fn fill_left(&self, budgets: &[BudgetState]) {
        let mut least: BTreeMap<(&str, &str), f64> = BTreeMap::new();
        for budget in budgets {
            let tokens = budget.tokens_left.map(|left| ("tokens", left as f64));
            let cost = budget.cost_left.map(|left| ("cost", left));
            for (unit, left) in tokens.into_iter().chain(cost) {
                let known = least.entry((&budget.budget, unit)).or_insert(left);
                *known = known.min(left);
            }
        }
        for ((budget, unit), left) in least {
            self.left.with_label_values(&[budget, unit]).set(left);
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
        let snapshot = app.snapshot();
        let models = snapshot.backends.models();
        for counts in models.counts() {
            families.fill(&counts);
        }
        families.fill_left(&models.budgets());
        let all = families.all().into_iter().flat_map(Collector::collect);
        all.filter(|family| !family.get_metric().is_empty()).collect()
    }
}
