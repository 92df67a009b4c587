//! The models of a host, by name.
//!
//! Guarantees: a model whose settings did not change keeps its connections and
//! its count of what is under way over a change of the others; completions that
//! run go on as they began.

use std::collections::BTreeMap;
use std::sync::Arc;

use segue_resilience::Guards;
use segue_runtime::Meters;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::budget::{BudgetState, Budgets};
use super::completion::Completion;
use super::fault::{Fault, Kind};
use super::offline;
use super::openai::{Group, TargetCounts};
use super::prompt::Prompt;
use super::remembered::{self, Answers, Remember};
use super::settings::{Budget, Model, OpenAi, Target, Targets};
use crate::cache::{Caches, Place};

/// What a call's completions come from.
pub struct Models {
    models: BTreeMap<String, Provider>,
    /// Of the models whose answers are kept.
    answers: BTreeMap<String, Answers>,
    budgets: Arc<Budgets>,
    guards: Arc<Guards>,
    handle: Handle,
}

#[derive(Clone)]
enum Provider {
    Offline,
    OpenAi(Arc<Group>),
}

/// The call that asks.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// No plugin may have more than half of what a model does at once.
    pub plugin: &'a str,
    /// The trace that the model's server is told of.
    pub traceparent: &'a str,
    /// Where the completion counts what it uses.
    pub meters: &'a Meters,
    /// When nobody waits for the answer any more.
    pub deadline: Option<Instant>,
}

/// How a model does, for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelState {
    pub name: String,
    /// Not when its server could not be reached, or was silent, the last time
    /// that it was asked or looked at; of several, when none is. It is asked all
    /// the same.
    pub ready: bool,
    pub detail: String,
}

impl Models {
    /// Connections are made on `handle`, which has to drive input and output. What
    /// stands around each server is one of the `guards`: `llm.NAME`, and
    /// `llm.NAME/TARGET` where a model has several.
    pub fn new(
        settings: BTreeMap<String, Model>,
        budgets: BTreeMap<String, Budget>,
        guards: Arc<Guards>,
        handle: Handle,
    ) -> Arc<Models> {
        Models::none(guards, handle).update(settings, budgets)
    }

    /// Without a model yet.
    pub fn none(guards: Arc<Guards>, handle: Handle) -> Models {
        Models {
            models: BTreeMap::new(),
            answers: BTreeMap::new(),
            budgets: Arc::default(),
            guards,
            handle,
        }
    }

    /// The same under other settings.
    pub fn update(
        &self,
        settings: BTreeMap<String, Model>,
        budgets: BTreeMap<String, Budget>,
    ) -> Arc<Models> {
        Arc::new(self.updated(settings, budgets, BTreeMap::new()))
    }

    /// The same, and the answers of these models are kept.
    pub fn remembering(
        &self,
        settings: BTreeMap<String, Model>,
        budgets: BTreeMap<String, Budget>,
        remember: &BTreeMap<String, Remember>,
        caches: &Caches,
    ) -> Arc<Models> {
        let kept = remember.iter().filter_map(|(name, remember)| {
            let (model, cache) = (settings.get(name)?, caches.get(&remember.cache)?);
            Some((name.clone(), Answers::new(cache, model, remember.varied)))
        });
        let answers = kept.collect();
        Arc::new(self.updated(settings, budgets, answers))
    }

    fn updated(
        &self,
        settings: BTreeMap<String, Model>,
        budgets: BTreeMap<String, Budget>,
        answers: BTreeMap<String, Answers>,
    ) -> Models {
        let models = settings.into_iter().map(|(name, model)| {
            let before = match self.models.get(&name) {
                Some(Provider::OpenAi(group)) => Some(&**group),
                _ => None,
            };
            let group = |targets| Group::new(&name, targets, before, &self.guards, &self.handle);
            let provider = match model {
                Model::Offline => Provider::Offline,
                Model::OpenAi(server) => Provider::OpenAi(group(alone(server))),
                Model::Targets(targets) => Provider::OpenAi(group(targets)),
            };
            (name, provider)
        });
        Models {
            models: models.collect(),
            answers,
            budgets: Arc::new(self.budgets.update(budgets)),
            guards: Arc::clone(&self.guards),
            handle: self.handle.clone(),
        }
    }

    /// How each of them does.
    pub fn state(&self) -> Vec<ModelState> {
        let state = |(name, provider): (&String, &Provider)| {
            let (ready, detail) = match provider {
                Provider::Offline => (true, String::from("no model: answers from the material alone")),
                Provider::OpenAi(group) => group.state(),
            };
            ModelState {
                name: name.clone(),
                ready,
                detail,
            }
        };
        self.models.iter().map(state).collect()
    }

    /// What was asked of each server of each model.
    pub fn counts(&self) -> Vec<TargetCounts> {
        let counted = |(name, provider): (&String, &Provider)| match provider {
            Provider::Offline => Vec::new(),
            Provider::OpenAi(group) => group.counts(name),
        };
        self.models.iter().flat_map(counted).collect()
    }

    /// How each budget stands.
    pub fn budgets(&self) -> Vec<BudgetState> {
        self.budgets.state()
    }

    /// Whether the model can write what was not given to it.
    pub fn generates(&self, model: &str) -> Result<bool, Fault> {
        Ok(matches!(self.provider(model)?, Provider::OpenAi(_)))
    }

    /// Starts a completion.
    pub fn complete(&self, model: &str, prompt: &Prompt, asker: Asker<'_>) -> Result<Completion, Fault> {
        prompt.check()?;
        let place = self.answers.get(model);
        let place = place.and_then(|answers| answers.place(asker.plugin, model, prompt));
        match (self.provider(model)?, place) {
            (Provider::OpenAi(group), Some(place)) => {
                Ok(self.remembered(place, Arc::clone(group), model, prompt, asker))
            }
            (Provider::OpenAi(group), None) => {
                let charged = self.budgets.admit(asker.plugin, model)?;
                let answering = group.ask(prompt, asker, charged)?;
                Ok(Completion::openai(answering))
            }
            (Provider::Offline, _) => {
                asker.meters.add("llm.requests", 1);
                Ok(Completion::whole(offline::answer(prompt)))
            }
        }
    }

    /// The answer that was kept, or else one that is. What would be refused at once is
    /// refused at the first read.
    fn remembered(
        &self,
        mut place: Place,
        group: Arc<Group>,
        model: &str,
        prompt: &Prompt,
        asker: Asker<'_>,
    ) -> Completion {
        let (plugin, traceparent) = (asker.plugin.to_owned(), asker.traceparent.to_owned());
        let (meters, deadline) = (asker.meters.clone(), asker.deadline);
        let (model, prompt, budgets) = (model.to_owned(), prompt.clone(), Arc::clone(&self.budgets));
        Completion::coming(self.handle.spawn(async move {
            let kept = place.look().await;
            if let Some(pieces) = kept.and_then(|kept| remembered::read(&kept)) {
                meters.add("llm.cached", 1);
                return Ok(Completion::whole(pieces));
            }
            let asker = Asker {
                plugin: &plugin,
                traceparent: &traceparent,
                meters: &meters,
                deadline,
            };
            let charged = budgets.admit(&plugin, &model)?;
            let answering = group.ask(&prompt, asker, charged)?;
            Ok(Completion::openai(answering).kept_in(place))
        }))
    }

    #[cfg(test)]
    pub(super) fn of(group: Arc<Group>, guards: Arc<Guards>, handle: Handle) -> Arc<Models> {
        let models = BTreeMap::from([(String::from("main"), Provider::OpenAi(group))]);
        Arc::new(Models {
            models,
            answers: BTreeMap::new(),
            budgets: Arc::default(),
            guards,
            handle,
        })
    }

    #[cfg(test)]
    pub(super) fn group(&self, model: &str) -> &Group {
        match self.provider(model) {
            Ok(Provider::OpenAi(group)) => group,
            _ => panic!("no server of {model}"),
        }
    }

    fn provider(&self, model: &str) -> Result<&Provider, Fault> {
        // A grant can name what the configuration does not have (any more).
        self.models.get(model).ok_or_else(|| {
            let mend = "the operator has to add it to the host's configuration";
            Fault::new(
                Kind::Unavailable,
                format!("there is no model of this name: {mend}"),
            )
        })
    }
}

/// One server, which has the name of its model.
fn alone(server: OpenAi) -> Targets {
    let target = Target {
        order: 1,
        weight: 1,
        server,
    };
    Targets {
        max_in_flight: target.server.max_in_flight,
        targets: BTreeMap::from([(String::new(), target)]),
    }
}
