//! What the conversation looks like on a terminal, and what of it goes where.
//!
//! Standard output carries the answers and nothing else, so that it can be
//! piped on (with `--json`: the host's frames). What an answer rests on, rows and
//! citations, goes to standard error, also where that is no terminal: an answer
//! refers to it as `[1]`. What is merely about the answers (status, versions,
//! times) goes there dimly, and only where somebody can see it; what went wrong
//! goes there always. A plugin's text cannot move the cursor: on a terminal,
//! control characters are replaced.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write as _};

use super::event::{Continuity, Event, Failure};
use super::evidence::{self, Citation, Evidence};
use super::frame::Part;
use super::hyperlink;

const DIM: &str = "\x1b[2m";
const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";

#[derive(Debug)]
pub(super) struct Screen {
    /// Somebody types here and reads here.
    pub(super) interactive: bool,
    json: bool,
    out_is_terminal: bool,
    err_is_terminal: bool,
    colours: bool,
    /// The terminal of standard error opens what is clicked.
    hyperlinks: bool,
    /// What links are relative to.
    host: String,
    /// The last thing on standard output did not end its line.
    midline: bool,
    prompted: bool,
    /// Nobody reads standard output any more.
    pub(super) gone: bool,
}

impl Screen {
    pub(super) fn new(json: bool, host: String) -> Screen {
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
            || std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        Screen {
            interactive: out && io::stdin().is_terminal(),
            json,
            out_is_terminal: out,
            err_is_terminal: err,
            colours: err && !plain,
            hyperlinks: err && hyperlink::are_shown(|name| std::env::var(name).ok()),
            host,
            midline: false,
            prompted: false,
            gone: false,
        }
    }

    /// A frame as it came.
    pub(super) fn raw(&mut self, frame: &str) {
        if self.json {
            self.write(frame);
            self.write("\n");
        }
    }

    pub(super) fn show(&mut self, event: &Event) {
        match event {
            Event::Text(text) => self.answer(text),
            Event::Again(text) => {
                self.warn("frames were missing; the answer again, whole:");
                self.answer(text);
            }
            Event::Void => self.warn("what was said is void, another answer follows:"),
            Event::Other { handler, text } => {
                self.end_line();
                self.note(&format!("{handler}:"));
                self.answer(text);
                self.end_line();
            }
            Event::Status { handler, text } => self.note(&format!("{handler}: {text}")),
            Event::Data { handler, data } => match evidence::read(data, &self.host) {
                Some(Evidence::Rows(words)) => self.ground(&words),
                Some(Evidence::Citation(citation)) => self.cite(&citation),
                None => self.note(&format!("{handler}: data {data:#}")),
            },
            Event::Swapped { handler, version } => {
                self.note(&format!(
                    "{handler} is now {}…",
                    short(version, "sha256:".len() + 8)
                ));
            }
            Event::PartFailed {
                handler,
                code,
                message,
            } => self.fail(&format!("{handler}: {message} ({code})")),
            Event::Done { parts, seq, ms, gap } => self.done(parts, *seq, *ms, *gap),
            Event::Failed(failure) => self.failed(failure),
            Event::Connected(continuity) => self.connected(*continuity),
            Event::Dropped(1) => self.warn("one frame was dropped on the way"),
            Event::Dropped(count) => self.warn(&format!("{count} frames were dropped on the way")),
            Event::Warning(words) => self.warn(words),
        }
    }

    fn connected(&mut self, continuity: Continuity) {
        match continuity {
            Continuity::New => {}
            Continuity::Whole => self.note("connected again; nothing was missed"),
            Continuity::Gaps => {
                self.warn("connected again, but the host could not keep everything: something may be missing")
            }
            Continuity::Forgotten => {
                self.warn(
                    "connected again, but the host no longer knows the conversation so far; a new one begins",
                );
            }
        }
    }

    fn done(&mut self, parts: &[Part], seq: u64, ms: f64, gap: bool) {
        self.end_line();
        let mut words: Vec<String> = parts
            .iter()
            .map(|part| match (&part.version, part.ok) {
                (Some(version), true) => format!("{}@{}", part.handler, short_hex(version)),
                (_, true) => part.handler.clone(),
                (_, false) => format!(
                    "{} failed ({})",
                    part.handler,
                    part.error.as_deref().unwrap_or("no reason given")
                ),
            })
            .collect();
        words.push(format!("seq {seq}"));
        words.push(format!("{ms:.1} ms"));
        self.note(&words.join(" · "));
        if gap {
            self.fail("part of this answer is missing");
        }
    }

    fn failed(&mut self, failure: &Failure) {
        self.end_line();
        let mut words = failure.message.clone();
        if failure.code != failure.message {
            words.push_str(&format!(" ({})", failure.code));
        }
        match (failure.retryable, failure.retry_after) {
            (true, Some(wait)) => words.push_str(&format!("; it may work in {:.1} s", wait.as_secs_f64())),
            (true, None) => words.push_str("; it may work later"),
            (false, _) => {}
        }
        self.fail(&words);
    }

    /// Something about the answers: for whoever watches.
    pub(super) fn note(&mut self, words: &str) {
        if self.err_is_terminal && !self.json {
            self.aside(DIM, words);
        }
    }

    /// What an answer rests on: for whoever reads the answer, wherever it goes.
    fn ground(&mut self, words: &str) {
        if !self.json {
            let words = self.fit(words).into_owned();
            self.aside_as_is(DIM, &words);
        }
    }

    fn cite(&mut self, citation: &Citation) {
        if self.json {
            return;
        }
        let words = self.citation(citation);
        self.aside_as_is(DIM, &words);
    }

    /// A citation on its lines. Where the terminal can, its place opens the
    /// document; elsewhere the address stands below.
    fn citation(&self, citation: &Citation) -> String {
        let place = self.fit(&citation.place);
        let (place, address) = match &citation.link {
            Some(link) if self.hyperlinks => (hyperlink::on(&place, &link.whole), None),
            Some(link) => (place.into_owned(), Some(&link.short)),
            None => (place.into_owned(), None),
        };
        let mut words = format!("{} {place}\n    \"{}\"", citation.mark, self.fit(&citation.quote));
        if let Some(address) = address {
            words.push_str("\n    ");
            words.push_str(address);
        }
        words
    }

    /// Something that may matter: said wherever it goes.
    pub(super) fn warn(&mut self, words: &str) {
        self.aside(YELLOW, words);
    }

    pub(super) fn fail(&mut self, words: &str) {
        self.aside(RED, words);
    }

    /// Invites the next line.
    pub(super) fn prompt(&mut self) {
        if self.interactive && !self.json && !self.prompted {
            self.end_line();
            let _gone = write!(io::stdout(), "> ").and_then(|()| io::stdout().flush());
            self.prompted = true;
        }
    }

    /// A line was read. Where a person typed it, the cursor is at the beginning
    /// of the next one.
    pub(super) fn typed(&mut self) {
        if self.interactive {
            self.prompted = false;
            self.midline = false;
        }
    }

    fn answer(&mut self, text: &str) {
        if self.json || text.is_empty() {
            return;
        }
        self.leave_prompt();
        let text = if self.out_is_terminal {
            harmless(text)
        } else {
            Cow::Borrowed(text)
        };
        self.write(&text);
        self.midline = !text.ends_with('\n');
    }

    /// Ends the line of the answer, if one is open.
    pub(super) fn end_line(&mut self) {
        self.leave_prompt();
        if std::mem::take(&mut self.midline) {
            self.write("\n");
        }
    }

    /// What interrupts a prompt begins on a line of its own.
    fn leave_prompt(&mut self) {
        if std::mem::take(&mut self.prompted) {
            self.write("\n");
        }
    }

    fn aside(&mut self, colour: &str, words: &str) {
        let words = self.fit(words).into_owned();
        self.aside_as_is(colour, &words);
    }

    /// The text as standard error may have it.
    fn fit<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.err_is_terminal {
            true => harmless(text),
            false => Cow::Borrowed(text),
        }
    }

    /// Writes what is fit to be written.
    fn aside_as_is(&mut self, colour: &str, words: &str) {
        if self.out_is_terminal && self.err_is_terminal {
            self.end_line();
        }
        let mut err = io::stderr();
        let _gone = if self.colours {
            writeln!(err, "{colour}{words}\x1b[0m")
        } else {
            writeln!(err, "{words}")
        };
    }

    fn write(&mut self, text: &str) {
        let mut out = io::stdout().lock();
        if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
            self.gone = true;
        }
    }
}

/// The text without what a terminal would obey.
fn harmless(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(obeyed) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\r\n", "\n").replace(obeyed, "\u{fffd}"))
}

fn short(text: &str, bytes: usize) -> &str {
    text.get(..bytes).unwrap_or(text)
}

fn short_hex(version: &str) -> &str {
    short(version.strip_prefix("sha256:").unwrap_or(version), 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_cannot_command_the_terminal() {
        assert_eq!(harmless("plain\ttext\n"), "plain\ttext\n");
        assert_eq!(harmless("a\x1b[2Jb\r\nc\u{9b}d"), "a\u{fffd}[2Jb\nc\u{fffd}d");
    }

    fn screen(terminal: bool, hyperlinks: bool) -> Screen {
        Screen {
            err_is_terminal: terminal,
            hyperlinks,
            ..Screen::new(false, "http://h".to_owned())
        }
    }

    #[test]
    fn a_citation_can_be_opened_wherever_it_is_shown() {
        let data = serde_json::json!({
            "kind": "citation", "n": 1, "document": "a\u{1b}.md", "headings": ["Tea"], "quote": "Two minutes.",
            "link": "/v1/documents/docs/a.md?offset=3&words=Two#words",
        });
        let Some(Evidence::Citation(citation)) = evidence::read(&data, "http://h") else {
            panic!("no citation");
        };
        let short = "http://h/v1/documents/docs/a.md?offset=3#words";
        assert_eq!(
            screen(true, false).citation(&citation),
            format!("[1] a\u{fffd}.md › Tea\n    \"Two minutes.\"\n    {short}")
        );
        let whole = "http://h/v1/documents/docs/a.md?offset=3&words=Two#words";
        assert_eq!(
            screen(true, true).citation(&citation),
            format!("[1] \x1b]8;;{whole}\x1b\\a\u{fffd}.md › Tea\x1b]8;;\x1b\\\n    \"Two minutes.\"")
        );
    }

    #[test]
    fn versions_are_shortened() {
        assert_eq!(short_hex("sha256:0123456789ab"), "01234567");
        assert_eq!(short_hex("odd"), "odd");
    }
}
