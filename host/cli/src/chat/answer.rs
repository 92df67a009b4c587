//! One answer as it is written to a terminal: forward only.
//!
//! What has been written cannot be taken back, so the first handler that speaks
//! is written as it speaks and the others are kept until the end. When the host
//! says an answer again, only what was not written yet comes out.

#[derive(Debug, Default)]
pub(super) struct Answer {
    /// The handler that is written as it speaks.
    live: Option<String>,
    /// How many bytes of it have arrived in this telling.
    heard: usize,
    /// How many bytes of it have been written, in all tellings.
    written: usize,
    /// What the other handlers have said.
    kept: Vec<(String, String)>,
    retelling: bool,
    /// Something is missing in between.
    gap: bool,
}

/// What an arriving piece makes visible.
#[derive(Debug, PartialEq)]
pub(super) enum Piece {
    Nothing,
    Text(String),
    /// What was written has a gap or is void; this begins the answer again.
    Again(String),
}

impl Answer {
    /// A piece of `handler`'s reply. `retold` marks a finished reply that the
    /// host sends again, from its beginning.
    pub(super) fn hear(&mut self, handler: &str, text: &str, retold: bool) -> Piece {
        let again = retold && !self.retelling && self.begin_again();
        if self.live.as_deref().unwrap_or(handler) != handler {
            self.keep(handler, text);
            return Piece::Nothing;
        }
        self.live.get_or_insert_with(|| handler.to_owned());
        let before = self.heard;
        self.heard += text.len();
        // A retold reply has the same text, so `written` falls between
        // characters; if it does not, all of the piece is written.
        let new = text
            .get(self.written.saturating_sub(before)..)
            .unwrap_or(if self.heard > self.written { text } else { "" });
        self.written = self.written.max(self.heard);
        match (new.is_empty(), again) {
            (true, false) => Piece::Nothing,
            (_, true) => Piece::Again(new.to_owned()),
            (false, false) => Piece::Text(new.to_owned()),
        }
    }

    /// The host tells the whole reply from here. `true` if what was written is
    /// no beginning of it.
    fn begin_again(&mut self) -> bool {
        self.retelling = true;
        self.heard = 0;
        self.kept.clear();
        let spoiled = std::mem::take(&mut self.gap) && self.written > 0;
        if spoiled {
            self.written = 0;
        }
        spoiled
    }

    /// What `handler` has said so far is void. `true` if some of it was written.
    pub(super) fn restart(&mut self, handler: &str) -> bool {
        self.kept.retain(|(other, _)| other != handler);
        if self.live.as_deref() != Some(handler) {
            return false;
        }
        self.live = None;
        self.heard = 0;
        std::mem::take(&mut self.written) > 0
    }

    /// Frames were lost while it was being told.
    pub(super) fn lost_some(&mut self) {
        self.gap = true;
    }

    pub(super) fn has_gap(&self) -> bool {
        self.gap
    }

    /// What the other handlers said, to be written at the end.
    pub(super) fn take_kept(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.kept)
    }

    fn keep(&mut self, handler: &str, text: &str) {
        match self.kept.iter_mut().find(|(other, _)| other == handler) {
            Some((_, said)) => said.push_str(text),
            None => self.kept.push((handler.to_owned(), text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Piece {
        Piece::Text(text.to_owned())
    }

    #[test]
    fn the_first_speaker_is_written_and_the_others_are_kept() {
        let mut answer = Answer::default();
        assert_eq!(answer.hear("sql", "two ", false), text("two "));
        assert_eq!(answer.hear("doc", "see ", false), Piece::Nothing);
        assert_eq!(answer.hear("sql", "rows", false), text("rows"));
        assert_eq!(answer.hear("doc", "page 4", false), Piece::Nothing);
        assert_eq!(answer.take_kept(), [("doc".to_owned(), "see page 4".to_owned())]);
    }

    #[test]
    fn a_retold_answer_writes_only_what_is_new() {
        let mut answer = Answer::default();
        answer.hear("chat", "one two ", false);
        assert_eq!(answer.hear("chat", "one two three", true), text("three"));
        assert!(!answer.has_gap());
        let mut whole = Answer::default();
        whole.hear("chat", "all", false);
        assert_eq!(whole.hear("chat", "all", true), Piece::Nothing);
    }

    #[test]
    fn after_a_gap_the_retold_answer_is_written_whole() {
        let mut answer = Answer::default();
        answer.hear("chat", "one ", false);
        answer.lost_some();
        answer.hear("chat", "three", false);
        assert_eq!(
            answer.hear("chat", "one two ", true),
            Piece::Again("one two ".to_owned())
        );
        assert_eq!(answer.hear("chat", "three", true), text("three"));
        assert!(!answer.has_gap());
    }

    #[test]
    fn text_that_changed_between_tellings_never_splits_a_character() {
        let mut answer = Answer::default();
        answer.hear("chat", "abc", false);
        assert_eq!(answer.hear("chat", "äöü", true), text("äöü"));
    }

    #[test]
    fn a_restart_voids_one_handler() {
        let mut answer = Answer::default();
        answer.hear("first", "half", false);
        answer.hear("other", "kept", false);
        assert!(answer.restart("first"));
        assert_eq!(answer.hear("second", "whole", false), text("whole"));
        assert_eq!(answer.take_kept().len(), 1);
        assert!(!answer.restart("never"));
    }
}
