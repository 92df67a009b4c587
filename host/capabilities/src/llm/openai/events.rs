//! Server-sent events, as they arrive: bytes in, the data of each event out.
//!
//! Lines may end in LF, CR or CRLF and may be cut anywhere; several `data` lines
//! make one event; comments and fields that mean nothing here are passed over.
//! Between two events nothing is held, not even an empty buffer. A line that
//! cannot be one of an event stream (HTML, binary) is an error at once.

use std::mem;

/// The longest event, and the longest line, in bytes.
pub(super) const EVENT_MAX_BYTES: usize = 256 * 1024;

/// A stream that is read no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadStream {
    #[error("a line or an event of more than 256 KiB")]
    TooLong,
    #[error("something that is no event stream")]
    Garbage,
}

/// What stands between two reads.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// A line whose end has not come.
    line: Vec<u8>,
    /// The data of an event whose end has not come.
    data: Option<Vec<u8>>,
    /// The last line ended in CR, so an LF that follows belongs to it.
    after_cr: bool,
    begun: bool,
}

impl Events {
    /// Takes what has arrived, and gives `on_event` the data of each event that
    /// it ends.
    pub(super) fn feed<E: From<BadStream>>(
        &mut self,
        mut bytes: &[u8],
        on_event: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(first) = bytes.first() {
            if mem::take(&mut self.after_cr) && *first == b'\n' {
                bytes = bytes.get(1..).unwrap_or_default();
                continue;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let Some((line, [terminator, rest @ ..])) = end.and_then(|end| bytes.split_at_checked(end))
            else {
                return Ok(append(&mut self.line, bytes)?);
            };
            self.after_cr = *terminator == b'\r';
            bytes = rest;
            if self.line.is_empty() {
                self.take_line(line, on_event)?;
            } else {
                append(&mut self.line, line)?;
                let line = mem::take(&mut self.line);
                self.take_line(&line, on_event)?;
            }
        }
        Ok(())
    }

    /// The stream has ended: what has no end of its own ends here.
    pub(super) fn finish<E: From<BadStream>>(
        &mut self,
        on_event: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let line = mem::take(&mut self.line);
        self.take_line(&line, on_event)?;
        self.take_line(b"", on_event)
    }

    fn take_line<E: From<BadStream>>(
        &mut self,
        mut line: &[u8],
        on_event: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if !mem::replace(&mut self.begun, true) {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        if line.is_empty() {
            return match self.data.take() {
                Some(data) => on_event(&data),
                None => Ok(()),
            };
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (field, value) = line.split_at_checked(colon).unwrap_or((line, b""));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        if field == b"data" {
            match &mut self.data {
                Some(data) => {
                    append(data, b"\n")?;
                    append(data, value)?;
                }
                data => {
                    let mut begun = Vec::new();
                    append(&mut begun, value)?;
                    *data = Some(begun);
                }
            }
        } else if !field
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        {
            return Err(BadStream::Garbage.into());
        }
        Ok(())
    }
}

fn append(to: &mut Vec<u8>, bytes: &[u8]) -> Result<(), BadStream> {
    if to.len().saturating_add(bytes.len()) > EVENT_MAX_BYTES {
        return Err(BadStream::TooLong);
    }
    to.extend_from_slice(bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The events of `stream`, read in pieces of `size` bytes.
    fn events(stream: &[u8], size: usize) -> Result<Vec<String>, BadStream> {
        let mut events = Events::default();
        let mut found = Vec::new();
        let mut take = |data: &[u8]| {
            found.push(String::from_utf8(data.to_vec()).unwrap());
            Ok(())
        };
        for piece in stream.chunks(size) {
            events.feed(piece, &mut take)?;
        }
        events.finish(&mut take)?;
        Ok(found)
    }

    #[test]
    fn events_are_the_same_however_the_stream_is_cut() {
        let cases: [(&[u8], &[&str]); 9] = [
            (b"data: a\n\ndata: b\n\n", &["a", "b"]),
            (b"data: a\r\n\r\ndata:b\r\n\r\n", &["a", "b"]),
            (b"data: a\r\rdata:  b\r\r", &["a", " b"]),
            (b"\xef\xbb\xbfdata: a\n\n", &["a"]),
            (
                b": a comment\n\nevent: x\nid: 7\nretry: 3\nfoo\ndata: a\n\n",
                &["a"],
            ),
            (b"data: {\ndata: }\n\n", &["{\n}"]),
            (b"data\n\ndata:\n\n", &["", ""]),
            (b"data: a\n\ndata: [DONE]", &["a", "[DONE]"]),
            (b"\n\n\n", &[]),
        ];
        for (stream, expected) in cases {
            for size in 1..=stream.len() {
                assert_eq!(
                    events(stream, size).unwrap(),
                    expected,
                    "in pieces of {size}: {stream:?}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_event_stream_is_refused_at_its_first_line() {
        for stream in [
            &b"<!DOCTYPE html>\n"[..],
            b"\x00\x9f\x92\x96\n",
            b"502 Bad Gateway\n",
        ] {
            assert_eq!(events(stream, 3), Err(BadStream::Garbage));
        }
    }

    #[test]
    fn lines_and_events_are_bounded() {
        let endless = [b"data: ".as_slice(), &vec![b'x'; EVENT_MAX_BYTES]].concat();
        assert_eq!(events(&endless, 4096), Err(BadStream::TooLong));
        let many = [b"data: ".as_slice(), &[b'x'; 1000], b"\n"].concat().repeat(300);
        assert_eq!(events(&many, 4096), Err(BadStream::TooLong));
    }

    #[test]
    fn nothing_is_held_between_events() {
        let mut events = Events::default();
        let take = &mut |_: &[u8]| Ok::<(), BadStream>(());
        events.feed(b"data: a\n\n", take).unwrap();
        assert_eq!((events.line.capacity(), events.data), (0, None));
    }
}
