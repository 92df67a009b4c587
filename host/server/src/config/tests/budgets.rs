//! `[budget.NAME]`, and the prices that a cost is counted by.

use std::path::Path;
use std::time::Duration;

use super::super::{BudgetPer, parse};
use super::{bad, env, good};

const MODEL: &str = "[llm.main]\nprovider = \"openai\"\nbase_url = \"http://h/v1\"\nmodel = \"m\"\n";

#[test]
fn what_is_written_is_read_and_the_rest_is_as_documented() {
    let text = format!(
        "{MODEL}input_cost = 2.5\noutput_cost = 10\n\
         [llm.main.targets.east]\n[llm.main.targets.west]\noutput_cost = 0.1\n\
         [budget.day]\ncost = 20\nper = [\"plugin\", \"model\"]\nmodels = [\"main\"]\n\
         [budget.all]\ntokens = 1_000_000\n"
    );
    let config = good(&text);
    let day = &config.backends.budget["day"];
    assert_eq!(
        (day.cost, day.tokens, &*day.models),
        (Some(20.0), None, &["main".to_owned()][..])
    );
    assert_eq!(day.per, [BudgetPer::Plugin, BudgetPer::Model]);
    assert_eq!(day.period, Duration::from_secs(24 * 3600));
    let shown = config.redacted_json();
    assert_eq!(shown["budget"]["day"]["per"][0], "plugin");
    let west = &shown["llm"]["main"]["targets"]["west"];
    assert_eq!(
        (&west["input_cost"], &west["output_cost"]),
        (&2.5.into(), &0.1.into())
    );
    assert_eq!(shown["budget"]["all"]["tokens"], 1_000_000);
    assert_eq!(good("").needs_restart(&config), [""; 0]);
    let vars = env(&[("SEGUE_BUDGET__DAY__COST", "7.5")]);
    let config = parse(&text, Path::new("/srv"), &vars).unwrap();
    assert_eq!(config.backends.budget["day"].cost, Some(7.5));
}

#[test]
fn a_model_that_is_taken_offline_leaves_its_budget_as_it_is() {
    let text = format!("{MODEL}input_cost = 1\n[budget.day]\ncost = 20\n");
    let vars = env(&[("SEGUE_LLM__MAIN__PROVIDER", "offline")]);
    assert!(parse(&text, Path::new("/srv"), &vars).is_ok());
}

#[test]
fn every_fault_has_its_mend() {
    for (text, code, words) in [
        ("[budget.day]\n", "missing_key", "write tokens = 1000000"),
        (
            "[budget.day]\ntokens = 0\n",
            "out_of_range",
            "1 to 1000000000000000",
        ),
        (
            "[budget.day]\ncost = 1.0\n",
            "contradiction",
            "add input_cost and output_cost to [llm.main]",
        ),
        (
            "[budget.day]\ntokens = 1\nmodels = [\"mian\"]\n",
            "unknown_name",
            "did you mean `main`?",
        ),
        (
            "[budget.day]\ntokens = 1\nper = [\"plugins\"]\n",
            "unknown_choice",
            "did you mean \"plugin\"?",
        ),
        (
            "[budget.day]\ntokens = 1\nperiod = \"1ms\"\n",
            "out_of_range",
            "1s to",
        ),
        (
            "[budget.day]\ntokens = 1\nplugins = [\"A b\"]\n",
            "bad_name",
            "lower-case",
        ),
        ("input_cost = -1\n", "out_of_range", "0 to 1000000"),
    ] {
        let faults = bad(&format!("{MODEL}{text}"));
        let [fault] = faults.list() else {
            panic!("not one fault in {text:?}: {faults}");
        };
        assert_eq!(fault.code, code, "{text:?}: {faults}");
        assert!(
            faults.to_string().contains(words),
            "{text:?} lacks {words:?}: {faults}"
        );
    }
}
