//! What the person types, or a pipe brings.
//!
//! Read on a thread of its own, so that the socket is served while nobody
//! types. The thread runs at most [`AHEAD`] lines ahead and ends with the
//! process; it holds nothing that must be given back.

use std::io::{self, BufRead as _, Read as _};

use tokio::sync::mpsc;

/// Lines read ahead of the conversation.
const AHEAD: usize = 16;
/// A longer line is refused; hosts take far less.
const MAX_LINE_BYTES: u64 = 16 << 20;

#[derive(Debug, PartialEq)]
pub(super) enum Input {
    Say(String),
    Quit,
    Connect,
    Disconnect,
    Cancel,
    Help,
    /// Begins like a command, but is none.
    Unknown(String),
    /// Why a line cannot be used.
    Unusable(String),
}

/// Lines until the input ends; then the channel closes.
pub(super) fn lines() -> mpsc::Receiver<Input> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    std::thread::spawn(move || {
        let mut stdin = io::stdin().lock();
        while let Some(input) = read(&mut stdin) {
            if sender.blocking_send(input).is_err() {
                return;
            }
        }
    });
    receiver
}

fn read(stdin: &mut impl io::BufRead) -> Option<Input> {
    let mut line = Vec::new();
    match stdin.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line) {
        Ok(0) | Err(_) => return None,
        Ok(_) => {}
    }
    if !line.ends_with(b"\n") && line.len() as u64 == MAX_LINE_BYTES {
        // The rest of the line goes unread, in pieces.
        while let Ok(1..) = stdin.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line) {
            if line.ends_with(b"\n") {
                break;
            }
            line.clear();
        }
        return Some(Input::Unusable(format!(
            "a line is longer than {} MiB",
            MAX_LINE_BYTES >> 20
        )));
    }
    while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        line.pop();
    }
    Some(match String::from_utf8(line) {
        Ok(line) => parse(line),
        Err(_) => Input::Unusable("a line is not UTF-8".to_owned()),
    })
}

/// Tells commands from messages. A message that begins with a slash is written
/// with two.
fn parse(line: String) -> Input {
    match line.trim() {
        "/quit" | "/exit" => Input::Quit,
        "/connect" => Input::Connect,
        "/disconnect" => Input::Disconnect,
        "/cancel" => Input::Cancel,
        "/help" => Input::Help,
        other => match other.strip_prefix('/') {
            Some(escaped) if escaped.starts_with('/') => Input::Say(escaped.to_owned()),
            Some(_) => Input::Unknown(line),
            None => Input::Say(line),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<Input> {
        let mut stdin = io::BufReader::new(bytes);
        std::iter::from_fn(|| read(&mut stdin)).collect()
    }

    #[test]
    fn lines_are_messages_or_commands() {
        let read = all(b"hi there\r\n/quit\n /help \n//etc/hosts\n/etc\nlast");
        let say = |text: &str| Input::Say(text.to_owned());
        assert_eq!(
            read,
            [
                say("hi there"),
                Input::Quit,
                Input::Help,
                say("/etc/hosts"),
                Input::Unknown("/etc".into()),
                say("last")
            ]
        );
    }

    #[test]
    fn what_is_not_text_or_too_long_is_refused_and_the_next_line_read() {
        assert!(matches!(
            all(b"\xff\nok\n").as_slice(),
            [Input::Unusable(_), Input::Say(_)]
        ));
        let mut long = vec![b'x'; usize::try_from(MAX_LINE_BYTES).unwrap() + 5];
        long.extend_from_slice(b"\nok\n");
        assert!(matches!(all(&long).as_slice(), [Input::Unusable(_), Input::Say(ok)] if ok == "ok"));
    }
}
