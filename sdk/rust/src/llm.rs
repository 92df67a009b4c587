//! Asks the language models that the operator granted
//! (`[grants] llm = ["main"]` in the plugin's own `.toml`).
//!
//! ```
//! use segue_sdk::{llm::Prompt, prelude::*};
//!
//! fn answer(message: Message, _: &mut Reply) -> Result<()> {
//!     Prompt::new("main")
//!         .system("Answer in one sentence, from the material alone.")
//!         .material("opening hours", "We open at nine and close at five.")
//!         .user(message.text())
//!         .complete()?
//!         .forward()
//! }
//!
//! use segue_sdk::test::{Call, FakeModel};
//!
//! let main = FakeModel::saying(["At nine."]);
//! let run = Call::text("When do you open?").model("main", main.clone()).run(answer);
//! assert_eq!(run.text(), "At nine.");
//! assert_eq!(main.asked()[0].last_user(), "When do you open?");
//! ```
//!
//! Error codes: `capability_denied`; `upstream_unavailable`, `upstream_timeout`,
//! `upstream_rate_limited`, all worth another try later; `upstream_rejected` (a
//! wrong key, too long a prompt); `upstream_failed` (broken off after it had
//! begun); `overloaded`; `invalid_argument`.

pub use crate::bindings::segue::llm::llm::Usage;
use crate::{Error, Result, host};

/// The models that are granted, in the operator's order. Empty when none is.
pub fn models() -> Vec<String> {
    host::llm::models()
}

/// Whether a model stands behind the name that can follow instructions and write
/// what was not given to it: false for the provider `offline`, which only repeats
/// from the material.
pub fn generates(model: &str) -> Result<bool> {
    host::llm::generates(model).map_err(Error::from_host)
}

/// What is asked, put together piece by piece, in order. At most 1,000 pieces
/// and 4 MiB of text; past that [`complete`](Self::complete) fails with
/// `invalid_argument`.
#[derive(Debug)]
pub struct Prompt {
    inner: host::llm::Prompt,
}

impl Prompt {
    /// For a model that is granted under this name.
    pub fn new(model: &str) -> Self {
        Self {
            inner: host::llm::Prompt::new(model),
        }
    }

    /// An instruction that stands above the conversation.
    #[must_use]
    pub fn system(self, text: impl AsRef<str>) -> Self {
        self.inner.system(text.as_ref());
        self
    }

    /// A turn of the user's.
    #[must_use]
    pub fn user(self, text: impl AsRef<str>) -> Self {
        self.inner.user(text.as_ref());
        self
    }

    /// A turn of the model's.
    #[must_use]
    pub fn assistant(self, text: impl AsRef<str>) -> Self {
        self.inner.assistant(text.as_ref());
        self
    }

    /// Something to answer from: a passage, a table of rows. A model is given all
    /// of it, numbered from 1 in order under its label, before the last turn of
    /// the user's. The provider `offline` answers from nothing else.
    #[must_use]
    pub fn material(self, label: impl AsRef<str>, text: impl AsRef<str>) -> Self {
        self.inner.material(label.as_ref(), text.as_ref());
        self
    }

    /// The longest answer, in the model's tokens. Default: the operator's.
    #[must_use]
    pub fn max_tokens(self, most: u32) -> Self {
        self.inner.max_tokens(most);
        self
    }

    /// 0 is the most predictable. Default: the operator's, or the model's.
    #[must_use]
    pub fn temperature(self, value: f32) -> Self {
        self.inner.temperature(value);
        self
    }

    /// Starts the completion, which runs while the caller goes on. The prompt may
    /// be used again.
    pub fn complete(&self) -> Result<Tokens> {
        let inner = self.inner.complete().map_err(Error::from_host)?;
        Ok(Tokens { inner, ended: false })
    }
}

/// A completion under way; dropping it stops it. Iterating gives piece after
/// piece of the answer, waiting for each.
///
/// ```
/// # use segue_sdk::{llm::Prompt, prelude::*, test};
/// # fn answer(_: Message, reply: &mut Reply) -> Result<()> {
/// let mut answer = Prompt::new("main").user("Tell me a story.").complete()?;
/// for piece in &mut answer {
///     reply.send(piece?.replace("wolf", "dog"))?;
/// }
/// let cost = answer.usage().map(|usage| usage.output_tokens);
/// # assert_eq!(cost, Some(3));
/// # Ok(()) }
/// # let model = test::FakeModel::saying(["The wolf slept."]);
/// # let run = test::Call::text("").model("main", model).run(answer);
/// # assert_eq!(run.text(), "The dog slept.");
/// ```
#[derive(Debug)]
pub struct Tokens {
    inner: host::llm::Tokens,
    ended: bool,
}

impl Tokens {
    /// The rest of the answer, all at once.
    ///
    /// ```
    /// # use segue_sdk::{llm::Prompt, prelude::*, test};
    /// # fn answer(_: Message, reply: &mut Reply) -> Result<()> {
    /// let sql = Prompt::new("main").user("Write SQL that counts orders.").complete()?.text()?;
    /// # assert_eq!(sql, "SELECT count(*) FROM orders"); reply.send(sql) }
    /// # let model = test::FakeModel::saying(["SELECT count(*) FROM orders"]);
    /// # assert!(test::Call::text("").model("main", model).run(answer).result.is_ok());
    /// ```
    pub fn text(&mut self) -> Result<String> {
        self.collect()
    }

    /// What it cost, once the answer has been read to its end, if the model's
    /// server told.
    pub fn usage(&self) -> Option<Usage> {
        self.inner.usage()
    }

    /// Hands the rest of the answer to the host, which sends it to the client as
    /// it comes, in its place among what [`Reply`](crate::Reply) sends. The
    /// handler may return at once, and had better: nothing of it is kept in
    /// memory while the answer runs. A failure of the model's server ends the
    /// message in its error; a handler that fails afterwards cancels the answer.
    ///
    /// Fails as [`Reply::send`](crate::Reply::send) does.
    pub fn forward(self) -> Result<()> {
        host::llm::Tokens::forward(self.inner).map_err(Error::from_host)
    }
}

/// One piece after the other; a failure is the last item.
impl Iterator for Tokens {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let piece = self.inner.next().map_err(Error::from_host).transpose();
        self.ended = !matches!(piece, Some(Ok(_)));
        piece
    }
}
