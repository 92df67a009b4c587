//! What may be spent on models within a period: tokens, cost, or both.
//!
//! A budget holds an account for each of those that it is `per`; a question is
//! refused when an account that it falls to has nothing left, and what has begun is
//! finished, so the last ones may go over. The prompt is charged, by estimate, when
//! it is sent and what it came to when the answer ends, however it ends:
//!
//! | the answer | is charged with |
//! |---|---|
//! | was finished, and the server told its usage | that |
//! | was finished without | the estimate: a token for each four bytes, of the prompt and of the text that came |
//! | broke off, was silent for too long, or was left by its client | the estimate or what the server told, whichever is more |
//! | was refused, or its server not reached | what the server told, or nothing |
//!
//! A period begins with the first question after the one before has ended.
//! Everything is kept in memory: a host that starts anew has spent nothing. Past
//! [`ACCOUNTS_MAX`] accounts of a budget, and where none of them is of a period
//! that has ended, newcomers share one.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::fault::{Fault, Kind};
use super::openai::Usage;
use super::settings::{Budget, Per, Price};

/// Accounts of one budget.
const ACCOUNTS_MAX: usize = 10_000;

/// Whose account it is that newcomers share.
const OTHER: &str = "other";

/// Bytes of text to a token, where the server does not count.
const BYTES_PER_TOKEN: u64 = 4;

/// Every budget of the host.
#[derive(Default)]
pub(super) struct Budgets(BTreeMap<String, Arc<Ledger>>);

struct Ledger {
    name: String,
    settings: Budget,
    /// The same over a change of the settings.
    accounts: Arc<Mutex<HashMap<Owner, Account>>>,
}

/// Whose account it is; what a budget is not per is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Owner {
    plugin: Arc<str>,
    model: Arc<str>,
}

#[derive(Clone, Copy, Debug)]
struct Account {
    since: Instant,
    tokens: u64,
    cost: f64,
}

/// The budgets that a question falls to.
pub(super) struct Charged(Vec<(Arc<Ledger>, Owner)>);

/// What one attempt costs, charged as far as it is known.
pub(super) struct Bill {
    charged: Arc<Charged>,
    price: Price,
    usage: Usage,
}

/// How an account stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BudgetState {
    pub budget: String,
    /// Empty where the budget is not per plugin.
    pub plugin: String,
    /// Empty where the budget is not per model.
    pub model: String,
    pub tokens: u64,
    pub cost: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_left: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_left: Option<f64>,
    /// When it is full again; nothing was spent where it is 0.
    pub resets_in_ms: u64,
}

impl Budgets {
    pub(super) fn update(&self, settings: BTreeMap<String, Budget>) -> Budgets {
        let ledger = |(name, settings): (String, Budget)| {
            let before = self.0.get(&name);
            let same = before.filter(|before| before.settings.per == settings.per);
            let accounts = same.map_or_else(Arc::default, |before| Arc::clone(&before.accounts));
            let ledger = Ledger {
                name: name.clone(),
                settings,
                accounts,
            };
            (name, Arc::new(ledger))
        };
        Budgets(settings.into_iter().map(ledger).collect())
    }

    /// Those that a question of `plugin` to `model` falls to, or the refusal of one
    /// that is used up.
    pub(super) fn admit(&self, plugin: &str, model: &str) -> Result<Arc<Charged>, Fault> {
        let mut charged = Vec::new();
        for ledger in self.0.values().filter(|ledger| ledger.is_about(plugin, model)) {
            let owner = ledger.owner(plugin, model);
            if let Some(wait) = ledger.used_up(&owner) {
                let name = &ledger.name;
                return Err(Fault {
                    retry_after: Some(wait),
                    ..Fault::new(
                        Kind::BudgetExceeded,
                        format!("the budget {name} for language models is used up"),
                    )
                });
            }
            charged.push((Arc::clone(ledger), owner));
        }
        Ok(Arc::new(Charged(charged)))
    }

    /// How each account stands; of a budget that nobody has used, one that is full.
    pub(super) fn state(&self) -> Vec<BudgetState> {
        self.0.values().flat_map(|ledger| ledger.state()).collect()
    }
}

impl Ledger {
    fn accounts(&self) -> MutexGuard<'_, HashMap<Owner, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_about(&self, plugin: &str, model: &str) -> bool {
        let within =
            |names: &[String], name: &str| names.is_empty() || names.iter().any(|known| known == name);
        within(&self.settings.plugins, plugin) && within(&self.settings.models, model)
    }

    fn owner(&self, plugin: &str, model: &str) -> Owner {
        let per = |per: Per, name: &str| match self.settings.per.contains(&per) {
            true => Arc::from(name),
            false => Arc::default(),
        };
        Owner {
            plugin: per(Per::Plugin, plugin),
            model: per(Per::Model, model),
        }
    }

    /// How long it is so, if nothing is left.
    fn used_up(&self, owner: &Owner) -> Option<Duration> {
        let accounts = self.accounts();
        let account = accounts.get(&of(owner, &accounts))?;
        let left = self.left(account)?;
        let tokens = self.settings.tokens.is_some_and(|most| account.tokens >= most);
        let cost = self.settings.cost.is_some_and(|most| account.cost >= most);
        (tokens || cost).then_some(left)
    }

    /// What is left of its period; nothing once it has ended.
    fn left(&self, account: &Account) -> Option<Duration> {
        let left = (account.since + self.settings.period).saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    fn charge(&self, owner: &Owner, from: Usage, to: Usage, price: Price) {
        let mut accounts = self.accounts();
        let known = accounts
            .get(owner)
            .is_some_and(|account| self.left(account).is_some());
        if !known && accounts.len() >= ACCOUNTS_MAX {
            accounts.retain(|_, account| self.left(account).is_some());
        }
        let owner = of(owner, &accounts);
        let fresh = Account {
            since: Instant::now(),
            tokens: 0,
            cost: 0.0,
        };
        let account = accounts.entry(owner).or_insert(fresh);
        if self.left(account).is_none() {
            *account = fresh;
        }
        // What was charged in a period that has ended is not given back in this one.
        let tokens = account.tokens.saturating_add(to.total());
        account.tokens = tokens.saturating_sub(from.total());
        account.cost = (account.cost + price.of(to) - price.of(from)).max(0.0);
    }

    fn state(&self) -> Vec<BudgetState> {
        let settings = &self.settings;
        let mut all: Vec<BudgetState> = Vec::new();
        for (owner, account) in self.accounts().iter() {
            let Some(left) = self.left(account) else { continue };
            all.push(BudgetState {
                budget: self.name.clone(),
                plugin: owner.plugin.to_string(),
                model: owner.model.to_string(),
                tokens: account.tokens,
                cost: account.cost,
                tokens_left: settings.tokens.map(|most| most.saturating_sub(account.tokens)),
                cost_left: settings.cost.map(|most| (most - account.cost).max(0.0)),
                resets_in_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
            });
        }
        if all.is_empty() {
            all.push(BudgetState {
                budget: self.name.clone(),
                plugin: String::new(),
                model: String::new(),
                tokens: 0,
                cost: 0.0,
                tokens_left: settings.tokens,
                cost_left: settings.cost,
                resets_in_ms: 0,
            });
        }
        all.sort_by(|a, b| (&a.plugin, &a.model).cmp(&(&b.plugin, &b.model)));
        all
    }
}

/// Whose account is charged.
fn of(owner: &Owner, accounts: &HashMap<Owner, Account>) -> Owner {
    match accounts.len() < ACCOUNTS_MAX || accounts.contains_key(owner) {
        true => owner.clone(),
        false => Owner {
            plugin: Arc::from(OTHER),
            model: Arc::from(OTHER),
        },
    }
}

impl Bill {
    /// A request with so much text is sent.
    pub(super) fn new(charged: Arc<Charged>, price: Price, prompt_bytes: usize) -> Bill {
        let mut bill = Bill {
            charged,
            price,
            usage: Usage::default(),
        };
        bill.comes_to(estimate(prompt_bytes as u64, 0));
        bill
    }

    /// What it comes to, as far as is known now.
    pub(super) fn comes_to(&mut self, usage: Usage) {
        for (ledger, owner) in &self.charged.0 {
            ledger.charge(owner, self.usage, usage, self.price);
        }
        self.usage = usage;
    }

    pub(super) fn cost(&self) -> f64 {
        self.price.of(self.usage)
    }
}

/// What text costs where the server does not say.
pub(super) fn estimate(prompt_bytes: u64, answer_bytes: u64) -> Usage {
    Usage {
        input_tokens: prompt_bytes.div_ceil(BYTES_PER_TOKEN),
        output_tokens: answer_bytes.div_ceil(BYTES_PER_TOKEN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(per: &[Per]) -> Budget {
        Budget {
            per: per.to_vec(),
            tokens: Some(100),
            cost: None,
            period: Duration::from_secs(60),
            plugins: Vec::new(),
            models: Vec::new(),
        }
    }

    fn budgets(budget: Budget) -> Budgets {
        Budgets::default().update(BTreeMap::from([(String::from("day"), budget)]))
    }

    fn used(input_tokens: u64, output_tokens: u64) -> Usage {
        Usage {
            input_tokens,
            output_tokens,
        }
    }

    fn spend(budgets: &Budgets, plugin: &str, model: &str, usage: Usage) -> Bill {
        let charged = budgets.admit(plugin, model).unwrap();
        let mut bill = Bill::new(charged, Price::default(), 0);
        bill.comes_to(usage);
        bill
    }

    // O18
    #[tokio::test(start_paused = true)]
    async fn what_is_used_up_is_refused_until_its_period_is_over() {
        let budgets = budgets(budget(&[]));
        spend(&budgets, "a", "main", used(60, 39));
        tokio::time::advance(Duration::from_secs(20)).await;
        spend(&budgets, "b", "main", used(5, 5));
        let refused = budgets.admit("a", "small").err().unwrap();
        assert_eq!(
            (refused.kind, refused.retry_after),
            (Kind::BudgetExceeded, Some(Duration::from_secs(40)))
        );
        let state = budgets.state();
        assert_eq!((state[0].tokens, state[0].tokens_left), (109, Some(0)));
        tokio::time::advance(Duration::from_secs(40)).await;
        assert!(budgets.admit("a", "small").is_ok());
        assert_eq!(budgets.state()[0].tokens_left, Some(100));
    }

    #[tokio::test(start_paused = true)]
    async fn each_of_those_it_is_per_has_its_own() {
        let budgets = budgets(budget(&[Per::Plugin, Per::Model]));
        spend(&budgets, "a", "main", used(100, 0));
        assert!(budgets.admit("a", "main").is_err());
        assert!(budgets.admit("a", "small").is_ok() && budgets.admit("b", "main").is_ok());
        spend(&budgets, "b", "main", used(1, 0));
        let states = budgets.state();
        let whose: Vec<_> = states
            .iter()
            .map(|state| (&*state.plugin, &*state.model))
            .collect();
        assert_eq!(whose, [("a", "main"), ("b", "main")]);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_about_the_plugins_and_models_that_it_names() {
        let budgets = budgets(Budget {
            plugins: vec![String::from("a")],
            models: vec![String::from("main")],
            ..budget(&[])
        });
        spend(&budgets, "a", "main", used(100, 0));
        assert!(budgets.admit("a", "main").is_err());
        assert!(budgets.admit("a", "small").is_ok() && budgets.admit("b", "main").is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn cost_is_tokens_by_their_price_for_a_million() {
        let budgets = budgets(Budget {
            tokens: None,
            cost: Some(5.0),
            ..budget(&[])
        });
        let price = Price {
            input: 2.0,
            output: 8.0,
        };
        let mut bill = Bill::new(budgets.admit("a", "main").unwrap(), price, 4_000_000);
        assert_eq!(budgets.state()[0].cost, 2.0, "a million tokens, by estimate");
        bill.comes_to(used(500_000, 250_000));
        assert_eq!((bill.cost(), budgets.state()[0].cost_left), (3.0, Some(2.0)));
        bill.comes_to(used(500_000, 500_000));
        assert!(budgets.admit("a", "main").is_err());
        bill.comes_to(Usage::default());
        assert!(budgets.admit("a", "main").is_ok(), "given back");
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_of_the_limit_keeps_what_was_spent() {
        let before = budgets(budget(&[]));
        spend(&before, "a", "main", used(100, 0));
        let more = Budget {
            tokens: Some(200),
            ..budget(&[])
        };
        let after = before.update(BTreeMap::from([(String::from("day"), more)]));
        assert_eq!(after.state()[0].tokens_left, Some(100));
        assert!(after.admit("a", "main").is_ok() && before.admit("a", "main").is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn accounts_are_bounded_and_those_whose_time_is_over_make_room() {
        let budgets = budgets(budget(&[Per::Plugin]));
        for number in 0..ACCOUNTS_MAX + 5 {
            spend(&budgets, &format!("p{number}"), "main", used(1, 0));
        }
        assert_eq!(budgets.state().len(), ACCOUNTS_MAX + 1);
        let other = budgets.state().into_iter().find(|state| state.plugin == "other");
        assert_eq!(other.unwrap().tokens, 5);
        tokio::time::advance(Duration::from_secs(60)).await;
        spend(&budgets, "late", "main", used(1, 0));
        assert_eq!(budgets.state().len(), 1);
    }

    #[test]
    fn four_bytes_are_a_token() {
        assert_eq!(estimate(0, 1), used(0, 1));
        assert_eq!(estimate(9, 8), used(3, 2));
    }
}
