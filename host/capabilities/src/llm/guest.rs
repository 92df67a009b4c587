//! `segue:llm` as guests see it.
//!
//! Every function that is about a model and can fail passes the gate under the
//! model's name, so an answer of one that is no longer granted is not read
//! further. A prompt can be put together without a grant, since that asks
//! nobody. Dropping the call drops its tokens, and with them what they wait for.

use futures_util::StreamExt as _;
use segue_runtime::trace::Scope;
use segue_runtime::{CallState, Capability, HandlerError, HostFunction, Interface, Pass};
use wasmtime::component::{HasSelf, Linker, Resource};

use super::told::Told;
use super::{Asker, Completion, Fault, Kind, Models, Piece, Prompt, Substitutes};
use bindings::segue::llm::llm;
use bindings::segue::plugin::types::Error;

mod bindings {
    wasmtime::component::bindgen!({
        inline: "
            package segue:llm-host@0.1.0;

            world host {
                import segue:llm/llm@0.1.0;
            }
        ",
        world: "segue:llm-host/host",
        path: ["../../wit/plugin", "../../wit/llm"],
        imports: {
            "segue:llm/llm.[method]tokens.next": async | trappable,
            "segue:llm/llm.[static]tokens.forward": async | trappable,
            default: trappable,
        },
        with: {
            "segue:plugin/types": segue_runtime::wit::types,
            "segue:llm/llm.prompt": super::Asked,
            "segue:llm/llm.tokens": super::Tokens,
        },
    });
}

static PROMPT: HostFunction = HostFunction::new("llm", "llm.prompt").untraced();
static COMPLETE: HostFunction = HostFunction::new("llm", "llm.complete");
static NEXT: HostFunction = HostFunction::new("llm", "llm.next").untraced();
static USAGE: HostFunction = HostFunction::new("llm", "llm.usage").untraced();
static FORWARD: HostFunction = HostFunction::new("llm", "llm.forward");
static MODELS: HostFunction = HostFunction::new("llm", "llm.models").untraced();
static GENERATES: HostFunction = HostFunction::new("llm", "llm.generates").untraced();

static FUNCTIONS: [&HostFunction; 7] = [&PROMPT, &COMPLETE, &NEXT, &USAGE, &FORWARD, &MODELS, &GENERATES];

/// How much text the prompts of one call may hold together, in bytes.
const PROMPTS_MAX_BYTES: usize = 16 << 20;

/// How many completions one call may have under way, those that it handed over
/// not counted.
const COMPLETIONS_MAX: usize = 16;

/// The capability.
#[derive(Clone, Copy, Debug, Default)]
pub struct Llm;

/// A prompt of a guest's.
pub struct Asked {
    model: String,
    prompt: Prompt,
}

/// A completion of a guest's.
pub struct Tokens {
    model: String,
    completion: Completion,
    told: Told,
}

/// What a call holds.
#[derive(Default)]
struct Local {
    prompt_bytes: usize,
    completions: usize,
}

impl Capability for Llm {
    fn name(&self) -> &'static str {
        "llm"
    }

    fn interfaces(&self) -> &'static [Interface] {
        &[Interface {
            name: "segue:llm/llm",
            version: "0.1.0",
            functions: &[
                "[constructor]prompt",
                "[method]prompt.system",
                "[method]prompt.user",
                "[method]prompt.assistant",
                "[method]prompt.material",
                "[method]prompt.max-tokens",
                "[method]prompt.temperature",
                "[method]prompt.complete",
                "[resource-drop]prompt",
                "[method]tokens.next",
                "[method]tokens.usage",
                "[static]tokens.forward",
                "[resource-drop]tokens",
                "models",
                "generates",
            ],
        }]
    }

    fn functions(&self) -> &'static [&'static HostFunction] {
        &FUNCTIONS
    }

    fn link(&self, linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
        llm::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state)
    }
}

/// Enters, or answers with the denial.
macro_rules! enter {
    ($state:expr, $function:expr, $model:expr, $bytes:expr) => {
        match $state.enter($function, Some($model), $bytes) {
            Ok(pass) => pass,
            Err(denied) => return Ok(Err(HandlerError::from(denied).into())),
        }
    };
}

fn error(fault: Fault) -> Error {
    HandlerError::from(fault).into()
}

/// The way into a function that is about no model, which is never denied.
fn anyway(state: &CallState, function: &'static HostFunction, bytes: usize) -> Option<Pass> {
    state.enter(function, None, bytes).ok()
}

fn leave<T>(pass: Option<Pass>, value: T) -> T {
    match pass {
        Some(pass) => pass.leave_with(value),
        None => value,
    }
}

fn no_models() -> Fault {
    Fault::new(Kind::Unavailable, "this host has no models")
}

/// Adds a piece to a prompt, unless the call's prompts are too large already;
/// then the prompt cannot be asked.
fn add(state: &mut CallState, prompt: &Resource<Asked>, piece: Piece) -> wasmtime::Result<()> {
    let pass = anyway(state, &PROMPT, piece.bytes());
    let (table, local) = state.table_and_local::<Local>();
    let prompt = &mut table.get_mut(prompt)?.prompt;
    let room = PROMPTS_MAX_BYTES.saturating_sub(local.prompt_bytes);
    if piece.bytes() > room {
        prompt.refuse("the prompts of this call have more than 16 MiB of text together");
    } else {
        let before = prompt.bytes();
        prompt.push(piece);
        local.prompt_bytes += prompt.bytes() - before;
    }
    leave(pass, Ok(()))
}

impl llm::Host for CallState {
    fn models(&mut self) -> wasmtime::Result<Vec<String>> {
        let pass = anyway(self, &MODELS, 0);
        let granted = self.granted("llm");
        Ok(leave(pass, granted))
    }

    fn generates(&mut self, model: String) -> wasmtime::Result<Result<bool, Error>> {
        let pass = enter!(self, &GENERATES, &model, model.len());
        let answer = match self.service::<Models>() {
            Some(models) => models.generates(&answering(self, &model)),
            None => Err(no_models()),
        };
        Ok(pass.leave(answer.map_err(error)))
    }
}

impl llm::HostPrompt for CallState {
    fn new(&mut self, model: String) -> wasmtime::Result<Resource<Asked>> {
        let pass = anyway(self, &PROMPT, model.len());
        let prompt = Prompt::new();
        let made = self.table().push(Asked { model, prompt })?;
        Ok(leave(pass, made))
    }

    fn system(&mut self, this: Resource<Asked>, text: String) -> wasmtime::Result<()> {
        add(self, &this, Piece::System(text))
    }

    fn user(&mut self, this: Resource<Asked>, text: String) -> wasmtime::Result<()> {
        add(self, &this, Piece::User(text))
    }

    fn assistant(&mut self, this: Resource<Asked>, text: String) -> wasmtime::Result<()> {
        add(self, &this, Piece::Assistant(text))
    }

    fn material(&mut self, this: Resource<Asked>, label: String, text: String) -> wasmtime::Result<()> {
        add(self, &this, Piece::Material { label, text })
    }

    fn max_tokens(&mut self, this: Resource<Asked>, most: u32) -> wasmtime::Result<()> {
        let pass = anyway(self, &PROMPT, 0);
        self.table().get_mut(&this)?.prompt.max_tokens(most);
        leave(pass, Ok(()))
    }

    fn temperature(&mut self, this: Resource<Asked>, value: f32) -> wasmtime::Result<()> {
        let pass = anyway(self, &PROMPT, 0);
        self.table().get_mut(&this)?.prompt.temperature(value);
        leave(pass, Ok(()))
    }

    fn complete(&mut self, this: Resource<Asked>) -> wasmtime::Result<Result<Resource<Tokens>, Error>> {
        let Asked { model, prompt } = self.table().get(&this)?;
        let (model, bytes) = (model.clone(), prompt.bytes());
        let pass = enter!(self, &COMPLETE, &model, bytes);
        let started = start(self, &this, &model, pass.trace())?;
        let (completion, told) = match pass.leave_told(started, |fault: &Fault| fault.kind.code()) {
            Ok(started) => started,
            Err(fault) => return Ok(Err(error(fault))),
        };
        let tokens = self.table().push(Tokens {
            model,
            completion,
            told,
        })?;
        self.local::<Local>().completions += 1;
        Ok(Ok(tokens))
    }

    fn drop(&mut self, this: Resource<Asked>) -> wasmtime::Result<()> {
        let (table, local) = self.table_and_local::<Local>();
        let Asked { prompt, .. } = table.delete(this)?;
        local.prompt_bytes = local.prompt_bytes.saturating_sub(prompt.bytes());
        Ok(())
    }
}

/// Who answers for `model` in this call.
fn answering(state: &CallState, model: &str) -> String {
    match state.service::<Substitutes>() {
        Some(substitutes) => substitutes.of(model).to_owned(),
        None => model.to_owned(),
    }
}

fn start(
    state: &mut CallState,
    prompt: &Resource<Asked>,
    model: &str,
    under: &Scope,
) -> wasmtime::Result<Result<(Completion, Told), Fault>> {
    if state.local::<Local>().completions >= COMPLETIONS_MAX {
        let fault = Fault::new(
            Kind::Overloaded,
            "this call has 16 completions under way: end one first",
        );
        return Ok(Err(fault));
    }
    let Some(models) = state.service::<Models>() else {
        return Ok(Err(no_models()));
    };
    let meters = state.meters().clone();
    let plugin = state.plugin_name().to_owned();
    let model = answering(state, model);
    let provider = match models.generates(&model) {
        Ok(false) => "segue",
        _ => "openai",
    };
    let mut told = Told::of(under, &model, provider);
    let asker = Asker {
        plugin: &plugin,
        traceparent: &told.traceparent(),
        meters: &meters,
        deadline: Some(state.deadline().into()),
    };
    let prompt = &state.table().get(prompt)?.prompt;
    let started = models
        .complete(&model, prompt, asker)
        .inspect_err(|fault| told.failed(fault));
    Ok(started.map(|completion| (completion, told)))
}

impl llm::HostTokens for CallState {
    async fn next(&mut self, this: Resource<Tokens>) -> wasmtime::Result<Result<Option<String>, Error>> {
        let model = self.table().get(&this)?.model.clone();
        let pass = enter!(self, &NEXT, &model, 0);
        let tokens = self.table().get_mut(&this)?;
        let next = tokens.completion.next().await;
        let came = next.as_ref().map(Option::is_some);
        tokens.told.came(&tokens.completion, came);
        Ok(pass.leave(next.map_err(error)))
    }

    fn usage(&mut self, this: Resource<Tokens>) -> wasmtime::Result<Option<llm::Usage>> {
        let pass = anyway(self, &USAGE, 0);
        let usage = self.table().get(&this)?.completion.usage();
        let usage = usage.map(|usage| llm::Usage {
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
        });
        Ok(leave(pass, usage))
    }

    async fn forward(&mut self, this: Resource<Tokens>) -> wasmtime::Result<Result<(), Error>> {
        let Tokens {
            model,
            completion,
            told,
        } = take(self, this)?;
        let pass = enter!(self, &FORWARD, &model, 0);
        // Nobody asks for the rest any more but the host, so it is asked here
        // whether the model is still granted.
        let gate = self.gate().clone();
        let source = told.along(completion).map(move |piece| {
            gate.still(&FORWARD, &model)?;
            piece
        });
        // The function of the runtime, not this one.
        let forwarded = CallState::forward(self, Box::pin(source)).await?;
        Ok(pass.leave(forwarded.map_err(Error::from)))
    }

    fn drop(&mut self, this: Resource<Tokens>) -> wasmtime::Result<()> {
        take(self, this).map(drop)
    }
}

fn take(state: &mut CallState, tokens: Resource<Tokens>) -> wasmtime::Result<Tokens> {
    let (table, local) = state.table_and_local::<Local>();
    let tokens = table.delete(tokens)?;
    local.completions = local.completions.saturating_sub(1);
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use wasmtime::component::Linker;

    use super::*;

    #[test]
    fn it_links_and_names_each_function_once() {
        let engine = wasmtime::Engine::default();
        Llm.link(&mut Linker::new(&engine)).unwrap();
        let names: std::collections::BTreeSet<_> = Llm.interfaces()[0].functions.iter().collect();
        assert_eq!(names.len(), Llm.interfaces()[0].functions.len());
    }
}
