//! A language model for tests: completions that are scripted, prompts that are
//! kept.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

use super::Call;
use crate::{Error, Result};

type Answer = Rc<dyn Fn(&Asked) -> Result<String>>;

/// A model behind [`Call::model`]. A clone is the same one, so that a test can
/// ask afterwards what it was asked.
///
/// ```
/// use segue_sdk::{prelude::*, test::FakeModel};
///
/// // The first two are answered, the third fails, the fourth breaks off.
/// let scripted = FakeModel::saying(["SELECT 1", "One."])
///     .then_fails(Error::new("upstream_rate_limited", "too many requests"))
///     .then_breaks("One day ", Error::new("upstream_failed", "the connection was cut"));
///
/// let clever = FakeModel::answering(|asked| Ok(format!("You said {}.", asked.last_user())));
/// let offline = FakeModel::offline();
/// # drop((scripted, clever, offline));
/// ```
#[derive(Clone, Default)]
pub struct FakeModel {
    offline: bool,
    script: Rc<RefCell<VecDeque<Completion>>>,
    answer: Option<Answer>,
    asked: Rc<RefCell<Vec<Asked>>>,
}

/// What a completion says, and how it ends.
#[derive(Debug, Clone, Default)]
struct Completion {
    text: String,
    failure: Option<Error>,
}

impl FakeModel {
    /// Gives these answers, one a completion. One more is `upstream_unavailable`.
    pub fn saying(answers: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let model = Self::default();
        let answers = answers.into_iter().map(|text| Completion {
            text: text.into(),
            failure: None,
        });
        model.script.borrow_mut().extend(answers);
        model
    }

    /// Makes each answer from what is asked.
    pub fn answering(answer: impl Fn(&Asked) -> Result<String> + 'static) -> Self {
        Self {
            answer: Some(Rc::new(answer)),
            ..Self::default()
        }
    }

    /// In the place of the provider `offline`: generates nothing and repeats the
    /// material.
    pub fn offline() -> Self {
        let repeat = |asked: &Asked| {
            let material = asked.material();
            let texts: Vec<&str> = material.iter().map(|(_, text)| *text).collect();
            Ok(texts.join("\n"))
        };
        Self {
            offline: true,
            ..Self::answering(repeat)
        }
    }

    /// Has the next completion fail before its first word.
    #[must_use]
    pub fn then_fails(self, error: Error) -> Self {
        self.then_breaks("", error)
    }

    /// Has the next completion fail after this much of it.
    #[must_use]
    pub fn then_breaks(self, text: &str, error: Error) -> Self {
        self.script.borrow_mut().push_back(Completion {
            text: text.into(),
            failure: Some(error),
        });
        self
    }

    /// What it was asked so far, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.borrow().clone()
    }

    fn complete(&self, asked: &Asked) -> Completion {
        self.asked.borrow_mut().push(asked.clone());
        let scripted = self.script.borrow_mut().pop_front();
        let answer = match (scripted, &self.answer) {
            (Some(completion), _) => return completion,
            (None, Some(answer)) => answer(asked),
            (None, None) => Err(Error::new(
                Error::UPSTREAM_UNAVAILABLE,
                "the test's model was asked once more than it has answers",
            )),
        };
        match answer {
            Ok(text) => Completion { text, failure: None },
            Err(error) => Completion {
                text: String::new(),
                failure: Some(error),
            },
        }
    }
}

impl fmt::Debug for FakeModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeModel")
            .field("offline", &self.offline)
            .field("asked", &self.asked.borrow().len())
            .finish_non_exhaustive()
    }
}

/// What a model was asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Asked {
    /// In order.
    pub pieces: Vec<Piece>,
    pub max_tokens: Option<u32>,
    pub temperature: Option<f32>,
}

/// A piece of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    System(String),
    User(String),
    Assistant(String),
    Material { label: String, text: String },
}

impl Asked {
    /// Everything that was said, piece after piece.
    pub fn text(&self) -> String {
        let texts = self.pieces.iter().map(|piece| match piece {
            Piece::System(text) | Piece::User(text) | Piece::Assistant(text) => text.clone(),
            Piece::Material { label, text } => format!("{label}\n{text}"),
        });
        texts.collect::<Vec<_>>().join("\n")
    }

    /// The instructions, joined by newlines.
    pub fn system(&self) -> String {
        let texts = self.pieces.iter().filter_map(|piece| match piece {
            Piece::System(text) => Some(text.as_str()),
            _ => None,
        });
        texts.collect::<Vec<_>>().join("\n")
    }

    /// The last turn of the user's; empty when there is none.
    pub fn last_user(&self) -> &str {
        let last = self.pieces.iter().rev().find_map(|piece| match piece {
            Piece::User(text) => Some(text.as_str()),
            _ => None,
        });
        last.unwrap_or_default()
    }

    /// The material, each piece as label and text.
    pub fn material(&self) -> Vec<(&str, &str)> {
        let pieces = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Material { label, text } => Some((label.as_str(), text.as_str())),
            _ => None,
        });
        pieces.collect()
    }
}

impl Call {
    /// Grants `llm = [name]`, with this model behind the name.
    #[must_use]
    pub fn model(mut self, name: &str, model: FakeModel) -> Self {
        self.fake.models.grant(name, model);
        self
    }
}

/// In the place of `segue:llm/llm`.
pub(crate) mod host {
    use std::cell::{Cell, RefCell};
    use std::collections::VecDeque;

    use super::super::fake::current;
    use super::super::grants::refusal;
    use super::{Asked, FakeModel, Piece};
    use crate::Error;
    use crate::bindings::segue::llm::llm::Usage;
    use crate::bindings::segue::plugin::types;

    #[derive(Debug)]
    pub(crate) struct Prompt {
        model: String,
        asked: RefCell<Asked>,
    }

    impl Prompt {
        pub(crate) fn new(model: &str) -> Self {
            Self {
                model: model.into(),
                asked: RefCell::default(),
            }
        }

        fn add(&self, piece: Piece) {
            self.asked.borrow_mut().pieces.push(piece);
        }

        pub(crate) fn system(&self, text: &str) {
            self.add(Piece::System(text.into()));
        }

        pub(crate) fn user(&self, text: &str) {
            self.add(Piece::User(text.into()));
        }

        pub(crate) fn assistant(&self, text: &str) {
            self.add(Piece::Assistant(text.into()));
        }

        pub(crate) fn material(&self, label: &str, text: &str) {
            self.add(Piece::Material {
                label: label.into(),
                text: text.into(),
            });
        }

        pub(crate) fn max_tokens(&self, most: u32) {
            self.asked.borrow_mut().max_tokens = Some(most);
        }

        pub(crate) fn temperature(&self, value: f32) {
            self.asked.borrow_mut().temperature = Some(value);
        }

        pub(crate) fn complete(&self) -> Result<Tokens, types::Error> {
            let model = granted("llm.complete", &self.model)?;
            let asked = self.asked.borrow();
            let bytes = asked.text().len();
            if asked.pieces.is_empty() || asked.pieces.len() > 1000 || bytes > 4 << 20 {
                let message = "a prompt has 1 to 1,000 pieces and at most 4 MiB of text";
                return Err(refusal(Error::INVALID_ARGUMENT, message));
            }
            let completion = model.complete(&asked);
            let pieces = completion.text.split_inclusive(' ').map(str::to_owned);
            let pieces: VecDeque<String> = pieces.collect();
            let count = |of: usize| u64::try_from(of).unwrap_or(u64::MAX);
            Ok(Tokens {
                usage: Usage {
                    input_tokens: count(asked.text().split_whitespace().count()),
                    output_tokens: count(pieces.len()),
                },
                pieces: RefCell::new(pieces),
                failure: RefCell::new(completion.failure),
                ended: Cell::new(false),
            })
        }
    }

    /// A completion, word by word.
    #[derive(Debug)]
    pub(crate) struct Tokens {
        pieces: RefCell<VecDeque<String>>,
        failure: RefCell<Option<Error>>,
        usage: Usage,
        ended: Cell<bool>,
    }

    impl Tokens {
        pub(crate) fn next(&self) -> Result<Option<String>, types::Error> {
            if let Some(piece) = self.pieces.borrow_mut().pop_front() {
                return Ok(Some(piece));
            }
            if let Some(failure) = self.failure.borrow_mut().take() {
                return Err(failure.into_host());
            }
            self.ended.set(true);
            Ok(None)
        }

        pub(crate) fn usage(&self) -> Option<Usage> {
            self.ended.get().then_some(self.usage)
        }

        /// At once to its end: what comes of a source while the handler goes on
        /// is the same for the client.
        pub(crate) fn forward(this: Tokens) -> Result<(), types::Error> {
            current(|host| {
                for piece in this.pieces.take() {
                    host.send_text(&piece)?;
                }
                if let Some(failure) = this.failure.take() {
                    host.fail(failure.into_host());
                }
                Ok(())
            })
        }
    }

    pub(crate) fn models() -> Vec<String> {
        current(|host| host.models.names())
    }

    pub(crate) fn generates(model: &str) -> Result<bool, types::Error> {
        granted("llm.generates", model).map(|model| !model.offline)
    }

    fn granted(function: &str, name: &str) -> Result<FakeModel, types::Error> {
        current(|host| host.models.get(function, name, ".model(..)"))
    }
}
