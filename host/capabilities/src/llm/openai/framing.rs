//! Where a response's body ends, and what of the bytes on the wire belongs to
//! it: RFC 9112, sections 6 and 7.
//!
//! Guarantees: what is given out are the body's own bytes, in order; a length or
//! a chunk that cannot be right is an error, never a guess. Nothing is buffered.

use http::header::{CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Version};

/// The most that chunks may carry beside the body: extensions and trailers.
const ASIDE_MAX_BYTES: u32 = 16 * 1024;

/// A response that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct BadFraming(&'static str);

/// How far a body has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Chunked {
        at: At,
        aside: u32,
    },
    /// So many bytes are still to come.
    Length(u64),
    /// All until the connection ends.
    UntilClose,
    /// Nothing is to come.
    Ended,
}

/// A place in chunked coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Size {
        so_far: u64,
        digits: u8,
    },
    Extension {
        size: u64,
    },
    SizeLf {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    /// `empty` while nothing stands in the line.
    Trailer {
        empty: bool,
    },
    TrailerLf {
        empty: bool,
    },
}

impl Framing {
    /// How the body of a response with these headers is framed.
    pub(super) fn of(status: u16, headers: &HeaderMap) -> Result<Framing, BadFraming> {
        if headers
            .get_all(CONTENT_ENCODING)
            .iter()
            .any(|coding| coding != "identity")
        {
            return Err(BadFraming("a body that is compressed, which was not asked for"));
        }
        if status == 204 || status == 304 {
            return Ok(Framing::Ended);
        }
        if headers.contains_key(TRANSFER_ENCODING) {
            let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
            let chunked = codings.next().is_some_and(|coding| {
                coding
                    .to_str()
                    .is_ok_and(|coding| coding.trim().eq_ignore_ascii_case("chunked"))
            });
            if !chunked || codings.next().is_some() {
                return Err(BadFraming("a transfer coding other than chunked"));
            }
            return Ok(Framing::Chunked {
                at: At::START,
                aside: 0,
            });
        }
        let mut length = None;
        for value in headers.get_all(CONTENT_LENGTH) {
            let value = value
                .to_str()
                .ok()
                .filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()));
            let value: Option<u64> = value.and_then(|value| value.parse().ok());
            match (value, length) {
                (Some(value), None) => length = Some(value),
                (Some(value), Some(length)) if value == length => {}
                _ => return Err(BadFraming("a length that is none")),
            }
        }
        Ok(match length {
            Some(0) => Framing::Ended,
            Some(length) => Framing::Length(length),
            None => Framing::UntilClose,
        })
    }

    /// Whether nothing more is to come.
    pub(super) fn is_ended(self) -> bool {
        self == Framing::Ended
    }

    /// Whether the body may end where the connection does.
    pub(super) fn may_close(self) -> bool {
        matches!(self, Framing::Ended | Framing::UntilClose)
    }

    /// Takes bytes off the wire: the first piece of the body in them, which may
    /// be empty, and what stands behind it. Bytes behind the body's end are no
    /// part of it and stay where they are.
    pub(super) fn split<'a>(&mut self, bytes: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), BadFraming> {
        match self {
            Framing::Ended => Ok((b"", bytes)),
            Framing::UntilClose => Ok((bytes, b"")),
            Framing::Length(left) => {
                let (body, rest) = take(bytes, left);
                if *left == 0 {
                    *self = Framing::Ended;
                }
                Ok((body, rest))
            }
            Framing::Chunked { at, aside } => {
                let mut bytes = bytes;
                while let Some((byte, rest)) = bytes.split_first() {
                    if let At::Data { left } = at {
                        let (body, rest) = take(bytes, left);
                        if *left == 0 {
                            *at = At::DataCr;
                        }
                        return Ok((body, rest));
                    }
                    bytes = rest;
                    match at.step(*byte)? {
                        Some(next) => {
                            if next.is_aside() {
                                *aside += 1;
                            }
                            if *aside > ASIDE_MAX_BYTES {
                                return Err(BadFraming("too much beside the chunks"));
                            }
                            *at = next;
                        }
                        None => {
                            *self = Framing::Ended;
                            break;
                        }
                    }
                }
                Ok((b"", bytes))
            }
        }
    }
}

impl At {
    const START: At = At::Size { so_far: 0, digits: 0 };

    fn is_aside(self) -> bool {
        matches!(
            self,
            At::Extension { .. } | At::Trailer { .. } | At::TrailerLf { .. }
        )
    }

    /// Where `byte`, which is none of the body's, leads to; `None` is the end.
    fn step(self, byte: u8) -> Result<Option<At>, BadFraming> {
        let bad = Err(BadFraming("a chunk that is none"));
        Ok(Some(match (self, byte) {
            (At::Size { so_far, digits }, _) if byte.is_ascii_hexdigit() && digits < 15 => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                At::Size {
                    so_far: so_far << 4 | u64::from(digit),
                    digits: digits + 1,
                }
            }
            (At::Size { digits: 0, .. }, _) => return bad,
            (At::Size { so_far: size, .. }, b';' | b' ' | b'\t') => At::Extension { size },
            (At::Size { so_far: size, .. }, b'\r') | (At::Extension { size }, b'\r') => At::SizeLf { size },
            (At::Extension { size }, _) if byte != b'\n' => At::Extension { size },
            (At::SizeLf { size: 0 }, b'\n') => At::Trailer { empty: true },
            (At::SizeLf { size }, b'\n') => At::Data { left: size },
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => At::START,
            (At::Trailer { empty }, b'\r') => At::TrailerLf { empty },
            (At::Trailer { .. }, _) if byte != b'\n' => At::Trailer { empty: false },
            (At::TrailerLf { empty: true }, b'\n') => return Ok(None),
            (At::TrailerLf { empty: false }, b'\n') => At::Trailer { empty: true },
            _ => return bad,
        }))
    }
}

/// At most `left` bytes, and what is behind them.
fn take<'a>(bytes: &'a [u8], left: &mut u64) -> (&'a [u8], &'a [u8]) {
    let most = usize::try_from(*left).unwrap_or(usize::MAX);
    let (taken, rest) = bytes.split_at_checked(most).unwrap_or((bytes, b""));
    *left -= taken.len() as u64;
    (taken, rest)
}

/// Whether the server keeps the connection open for another request.
pub(super) fn is_kept(version: Version, headers: &HeaderMap) -> bool {
    let closes = headers.get_all(CONNECTION).iter().any(|value| {
        let options = value.to_str().unwrap_or("close");
        options
            .split(',')
            .any(|option| option.trim().eq_ignore_ascii_case("close"))
    });
    version == Version::HTTP_11 && !closes
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn framing(headers: &[(&'static str, &'static str)]) -> Result<Framing, BadFraming> {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        Framing::of(200, &headers)
    }

    /// The body in `wire`, which arrives in pieces of `size` bytes, and how many
    /// bytes stand behind it.
    fn body(mut framing: Framing, wire: &[u8], size: usize) -> Result<(Vec<u8>, usize, Framing), BadFraming> {
        let (mut body, mut behind) = (Vec::new(), 0);
        for mut piece in wire.chunks(size) {
            while !piece.is_empty() {
                if framing.is_ended() {
                    behind += piece.len();
                    break;
                }
                let (part, rest) = framing.split(piece)?;
                body.extend_from_slice(part);
                piece = rest;
            }
        }
        Ok((body, behind, framing))
    }

    #[test]
    fn a_body_is_the_same_however_the_wire_is_cut() {
        let chunked = framing(&[("transfer-encoding", "Chunked")]).unwrap();
        let cases: [(Framing, &[u8], &str, usize); 6] = [
            (chunked, b"5\r\nhello\r\n0\r\n\r\n", "hello", 0),
            (
                chunked,
                b"5;a=b\r\nhello\r\n00A \r\n0123456789\r\n0\r\nX: y\r\nZ: \r\n\r\nHTTP",
                "hello0123456789",
                4,
            ),
            (Framing::Length(5), b"hello, world", "hello", 7),
            (Framing::UntilClose, b"hello", "hello", 0),
            (Framing::Ended, b"hello", "", 5),
            (chunked, b"0\r\n\r\n", "", 0),
        ];
        for (framing, wire, expected, expected_behind) in cases {
            for size in 1..=wire.len() {
                let (body, behind, end) = body(framing, wire, size).unwrap();
                assert_eq!(body, expected.as_bytes(), "in pieces of {size}");
                if framing != Framing::UntilClose {
                    assert_eq!(
                        (behind, end),
                        (expected_behind, Framing::Ended),
                        "in pieces of {size}"
                    );
                }
            }
        }
    }

    #[test]
    fn chunks_that_cannot_be_right_are_errors() {
        let chunked = framing(&[("transfer-encoding", "chunked")]).unwrap();
        for wire in [
            &b"\r\n"[..],
            b"x\r\n",
            b"-1\r\n",
            b"5\nhello",
            b"5\r\nhelloX",
            b"5\r\nhello\r\r",
            b"5;\n",
            b"0\r\nX\n",
            b"1234567890abcdef0\r\n",
            b"data: {}\n\n",
        ] {
            assert!(body(chunked, wire, 3).is_err(), "{wire:?}");
        }
        let aside = [b"5;".as_slice(), &[b'x'; 20_000]].concat();
        assert!(body(chunked, &aside, 1000).is_err());
    }

    #[test]
    fn headers_say_how_a_body_is_framed() {
        assert_eq!(framing(&[]), Ok(Framing::UntilClose));
        assert_eq!(
            framing(&[("content-length", "7"), ("content-length", "7")]),
            Ok(Framing::Length(7))
        );
        assert_eq!(framing(&[("content-length", "0")]), Ok(Framing::Ended));
        let both = framing(&[("content-length", "7"), ("transfer-encoding", "chunked")]).unwrap();
        assert!(matches!(both, Framing::Chunked { .. }));
        for bad in [
            &[("content-length", "7"), ("content-length", "8")][..],
            &[("content-length", "+7")],
            &[("content-length", "99999999999999999999")],
            &[("transfer-encoding", "gzip, chunked")],
            &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
            &[("content-encoding", "gzip")],
        ] {
            assert!(framing(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_connection_is_kept_unless_somebody_says_otherwise() {
        let with = |value| HeaderMap::from_iter([(CONNECTION, HeaderValue::from_static(value))]);
        assert!(is_kept(Version::HTTP_11, &HeaderMap::new()));
        assert!(is_kept(Version::HTTP_11, &with("keep-alive")));
        assert!(!is_kept(Version::HTTP_11, &with("x, Close")));
        assert!(!is_kept(Version::HTTP_10, &with("keep-alive")));
    }
}
