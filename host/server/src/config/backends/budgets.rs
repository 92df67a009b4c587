//! Reads `[budget.NAME]`.

use std::collections::BTreeMap;

use super::read::{Parsed, seconds};
use super::{Budget, BudgetPer, Llm};
use crate::config::reader::Table;
use crate::config::sections::is_name;
use crate::config::value::{self, Complaint, Value, choice, count, decimal, duration, nearest};

const MAX_NAMES: usize = 100;

pub(super) fn budget(t: &Table<'_, '_>) -> Option<Budget> {
    let per = choice(&[
        ("tenant", BudgetPer::Tenant),
        ("plugin", BudgetPer::Plugin),
        ("model", BudgetPer::Model),
    ]);
    let day = seconds(24 * 3600);
    let budget = Budget {
        per: t.list("per", 3, per).into_iter().map(|(per, _)| per).collect(),
        plugins: names(t, "plugins"),
        models: names(t, "models"),
        tokens: t.read("tokens", count(1..=1_000_000_000_000_000)),
        cost: t.read("cost", decimal(0.000_001..=1e9)),
        period: t.or("period", day, duration(seconds(1)..=366 * day)),
    };
    let bounds = budget.tokens.is_some() || budget.cost.is_some();
    if !bounds && !t.has("tokens") && !t.has("cost") {
        let mend = "write tokens = 1000000, or cost = 10.0, or both";
        let complaint = Complaint::new("missing_key", "has neither `tokens` nor `cost`", mend);
        t.reader.fault(t.place.clone(), &t.path, complaint);
    }
    bounds.then_some(budget)
}

fn names(t: &Table<'_, '_>, key: &str) -> Vec<String> {
    let name = |value: &Value<'_>| -> Parsed<String> {
        let found = value::text(value)?;
        match is_name(&found) {
            true => Ok(found),
            false => Err(Complaint::new(
                "bad_name",
                format!("holds what is no name: `{found}`"),
                "write lower-case letters, digits, - and _, at most 64",
            )),
        }
    };
    let list = t.list(key, MAX_NAMES, name);
    list.into_iter().map(|(name, _)| name).collect()
}

/// What the models have to be for their budgets.
pub(super) fn check(
    root: &Table<'_, '_>,
    budgets: &BTreeMap<String, Budget>,
    models: &BTreeMap<String, Llm>,
    known: &[String],
) {
    for (name, budget) in budgets {
        let fault = |key: &str, complaint| {
            let path = format!("budget.{name}.{key}");
            let place = root.reader.place_of(&path).unwrap_or_else(|| root.place.clone());
            root.reader.fault(place, &path, complaint);
        };
        for model in budget.models.iter().filter(|model| !known.contains(model)) {
            let mend = match nearest(model, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add [llm.{model}], or name another"),
            };
            let message = format!("names `{model}`, which is no model");
            fault("models", Complaint::new("unknown_name", message, mend));
        }
        let counts = |name: &String| budget.models.is_empty() || budget.models.contains(name);
        let counted = models.iter().filter(|(name, _)| counts(name));
        let counted: Vec<_> = counted.filter_map(is_paid).collect();
        let nobody_is = counted.iter().all(|(_, is_paid)| !is_paid);
        if let (Some(_), true, Some((model, _))) = (budget.cost, nobody_is, counted.first()) {
            let mend = format!("add input_cost and output_cost to [llm.{model}]");
            let complaint = Complaint::new("contradiction", "counts what has no price", mend);
            fault("cost", complaint);
        }
    }
}

/// Whether any server of a model has a price. One that is offline is none.
fn is_paid<'m>((name, model): (&'m String, &Llm)) -> Option<(&'m String, bool)> {
    let Llm::OpenAi(it) = model else { return None };
    let targets = it.targets.values().map(|target| &target.server);
    let mut servers = it.server.iter().chain(targets);
    let is_paid = servers.any(|server| server.input_cost > 0.0 || server.output_cost > 0.0);
    Some((name, is_paid))
}
