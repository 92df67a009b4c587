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

use super::completion::Completion;
use super::fault::{Fault, Kind};
use super::offline;
use super::openai::Client;
use super::prompt::Prompt;
use super::settings::Model;

/// What a call's completions come from.
pub struct Models {
    models: BTreeMap<String, Provider>,
    guards: Arc<Guards>,
    handle: Handle,
}

#[derive(Clone)]
enum Provider {
    Offline,
    OpenAi(Arc<Client>),
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
}

/// How a model does, for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelState {
    pub name: String,
    /// Not when its server could not be reached, or was silent, the last time
    /// that it was asked. It is asked all the same.
    pub ready: bool,
    pub detail: String,
}

impl Models {
    /// Connections are made on `handle`, which has to drive input and output.
    pub fn new(settings: BTreeMap<String, Model>, guards: Arc<Guards>, handle: Handle) -> Arc<Models> {
        let none = Models {
            models: BTreeMap::new(),
            guards,
            handle,
        };
        none.update(settings)
    }

    /// The same under other settings.
    pub fn update(&self, settings: BTreeMap<String, Model>) -> Arc<Models> {
        let models = settings.into_iter().map(|(name, model)| {
            let provider = match (self.models.get(&name), model) {
                (_, Model::Offline) => Provider::Offline,
                (Some(Provider::OpenAi(client)), Model::OpenAi(settings))
                    if *client.settings() == settings =>
                {
                    Provider::OpenAi(Arc::clone(client))
                }
                (_, Model::OpenAi(settings)) => {
                    let guard = self.guards.get("llm", &name);
                    Provider::OpenAi(Arc::new(Client::new(&name, settings, guard, self.handle.clone())))
                }
            };
            (name, provider)
        });
        Arc::new(Models {
            models: models.collect(),
            guards: Arc::clone(&self.guards),
            handle: self.handle.clone(),
        })
    }

    /// How each of them does.
    pub fn state(&self) -> Vec<ModelState> {
        let state = |(name, provider): (&String, &Provider)| {
            let (ready, detail) = match provider {
                Provider::Offline => (true, String::from("no model: answers from the material alone")),
                Provider::OpenAi(client) => client.state(),
            };
            ModelState {
                name: name.clone(),
                ready,
                detail,
            }
        };
        self.models.iter().map(state).collect()
    }

    /// Whether the model can write what was not given to it.
    pub fn generates(&self, model: &str) -> Result<bool, Fault> {
        Ok(matches!(self.provider(model)?, Provider::OpenAi(_)))
    }

    /// Starts a completion.
    pub fn complete(&self, model: &str, prompt: &Prompt, asker: Asker<'_>) -> Result<Completion, Fault> {
        prompt.check()?;
        match self.provider(model)? {
            Provider::OpenAi(client) => {
                let answering = client.ask(prompt, asker)?;
                Ok(Completion::openai(answering))
            }
            Provider::Offline => {
                asker.meters.add("llm.requests", 1);
                Ok(Completion::offline(offline::answer(prompt)))
            }
        }
    }

    #[cfg(test)]
    pub(super) fn of(client: Client, handle: Handle) -> Arc<Models> {
        let models = BTreeMap::from([(String::from("main"), Provider::OpenAi(Arc::new(client)))]);
        let guards = Guards::permissive();
        Arc::new(Models {
            models,
            guards,
            handle,
        })
    }

    #[cfg(test)]
    pub(super) fn client(&self, model: &str) -> &Client {
        match self.provider(model) {
            Ok(Provider::OpenAi(client)) => client,
            _ => panic!("no client {model}"),
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
