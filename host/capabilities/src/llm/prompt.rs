//! What is asked of a model, put together piece by piece.

use super::fault::{Fault, Kind};

/// The most pieces of a prompt.
pub const PIECES_MAX: usize = 1000;

/// The longest prompt, all its texts together.
pub const PROMPT_MAX_BYTES: usize = 4 << 20;

/// A prompt. A piece past a bound is not kept: the prompt only remembers that it
/// is too large, and cannot be asked.
#[derive(Clone, Debug, Default)]
pub struct Prompt {
    pieces: Vec<Piece>,
    bytes: usize,
    fault: Option<&'static str>,
    pub(super) max_tokens: Option<u32>,
    pub(super) temperature: Option<f32>,
}

/// A piece, in the order in which it was added.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// An instruction that stands above the conversation.
    System(String),
    User(String),
    Assistant(String),
    Material {
        label: String,
        text: String,
    },
}

impl Piece {
    /// How much text it has, in bytes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Piece::System(text) | Piece::User(text) | Piece::Assistant(text) => text.len(),
            Piece::Material { label, text } => label.len() + text.len(),
        }
    }
}

/// Something to answer from, with the number under which an answer cites it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Material<'a> {
    pub(super) number: usize,
    pub(super) label: &'a str,
    pub(super) text: &'a str,
}

impl Prompt {
    /// An empty one.
    pub fn new() -> Prompt {
        Prompt::default()
    }

    /// Adds a piece. Past a bound, [`check`](Prompt::check) fails from then on.
    pub fn push(&mut self, piece: Piece) {
        let bytes = self.bytes.saturating_add(piece.bytes());
        if self.pieces.len() >= PIECES_MAX {
            self.fault = Some("the prompt has more than 1,000 pieces");
        } else if bytes > PROMPT_MAX_BYTES {
            self.fault = Some("the prompt has more than 4 MiB of text");
        } else {
            self.pieces.push(piece);
            self.bytes = bytes;
        }
    }

    /// Has [`check`](Prompt::check) fail from now on, for this reason.
    pub(super) fn refuse(&mut self, fault: &'static str) {
        self.fault = Some(fault);
    }

    /// The longest answer, in the model's tokens.
    pub fn max_tokens(&mut self, most: u32) {
        self.max_tokens = Some(most);
    }

    /// How much the model may vary.
    pub fn temperature(&mut self, value: f32) {
        self.temperature = Some(value);
    }

    /// How much text it has, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether it can be asked.
    pub(super) fn check(&self) -> Result<(), Fault> {
        let temperature = self.temperature.unwrap_or_default();
        let fault = if let Some(fault) = self.fault {
            fault
        } else if self.max_tokens == Some(0) {
            "max-tokens has to be at least 1"
        } else if !temperature.is_finite() || temperature < 0.0 {
            "the temperature has to be a number from 0 up"
        } else if !self.pieces.iter().any(|piece| !matches!(piece, Piece::System(_))) {
            "the prompt has nothing to answer: add a turn of the user's"
        } else {
            return Ok(());
        };
        Err(Fault::new(Kind::Invalid, fault))
    }

    pub(super) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The material, numbered from 1 in order.
    pub(super) fn material(&self) -> impl Iterator<Item = Material<'_>> {
        let found = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Material { label, text } => Some((label, text)),
            _ => None,
        });
        found.zip(1..).map(|((label, text), number)| Material {
            number,
            label: label.as_str(),
            text: text.as_str(),
        })
    }

    /// The last turn of the user's.
    pub(super) fn question(&self) -> Option<&str> {
        self.pieces.iter().rev().find_map(|piece| match piece {
            Piece::User(text) => Some(text.as_str()),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault_of(prompt: &Prompt) -> String {
        prompt.check().unwrap_err().message
    }

    #[test]
    fn a_prompt_is_bounded_and_what_is_past_the_bound_is_not_kept() {
        let mut many = Prompt::new();
        (0..=PIECES_MAX).for_each(|_| many.push(Piece::User(String::from("a"))));
        assert_eq!(many.pieces().len(), PIECES_MAX);
        assert!(fault_of(&many).contains("pieces"));

        let mut long = Prompt::new();
        long.push(Piece::User("a".repeat(PROMPT_MAX_BYTES)));
        assert_eq!(long.check(), Ok(()));
        long.push(Piece::System(String::from("b")));
        assert!(fault_of(&long).contains("4 MiB"));
        assert_eq!(long.bytes(), PROMPT_MAX_BYTES);
    }

    #[test]
    fn senseless_settings_and_empty_prompts_are_refused() {
        assert!(fault_of(&Prompt::new()).contains("nothing to answer"));
        for temperature in [f32::NAN, f32::INFINITY, -0.1] {
            let mut prompt = Prompt::new();
            prompt.push(Piece::User(String::from("a")));
            prompt.temperature(temperature);
            assert!(fault_of(&prompt).contains("temperature"));
        }
        let mut prompt = Prompt::new();
        prompt.push(Piece::User(String::from("a")));
        prompt.max_tokens(0);
        assert!(fault_of(&prompt).contains("max-tokens"));
    }

    #[test]
    fn material_is_numbered_in_order_whatever_stands_between() {
        let mut prompt = Prompt::new();
        let material = |label: &str| Piece::Material {
            label: String::from(label),
            text: String::from("t"),
        };
        prompt.push(material("a"));
        prompt.push(Piece::User(String::from("first")));
        prompt.push(material("b"));
        prompt.push(Piece::User(String::from("second")));
        prompt.push(Piece::Assistant(String::from("so")));
        let found: Vec<_> = prompt.material().map(|it| (it.number, it.label)).collect();
        assert_eq!(found, [(1, "a"), (2, "b")]);
        assert_eq!(prompt.question(), Some("second"));
    }
}
