//! W3C trace context (<https://www.w3.org/TR/trace-context/>, level 1).
//!
//! A `traceparent` that is not well formed counts as absent, as the standard
//! demands: nothing of it is used, and a new trace begins.

use std::fmt;

/// Where in which trace some work happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    flags: u8,
}

/// The caller keeps this trace.
const SAMPLED: u8 = 1;
/// `00-` + 32 + `-` + 16 + `-` + 2
const LENGTH: usize = 55;

impl TraceContext {
    /// A new trace.
    pub fn generate() -> Self {
        TraceContext {
            trace_id: random(),
            span_id: random(),
            flags: SAMPLED,
        }
    }

    /// Reads a `traceparent`. Versions after 00 are read as 00, as long as what
    /// they add comes after another dash.
    pub fn parse(header: &str) -> Option<Self> {
        let header = header.trim_matches([' ', '\t']);
        let (known, more) = header.split_at_checked(LENGTH)?;
        let mut fields = known.split('-');
        let version: [u8; 1] = hex(fields.next()?)?;
        let trace_id: [u8; 16] = hex(fields.next()?)?;
        let span_id: [u8; 8] = hex(fields.next()?)?;
        let flags: [u8; 1] = hex(fields.next()?)?;
        let extended = match version {
            [0] => more.is_empty(),
            [0xff] => false,
            _ => more.is_empty() || more.starts_with('-'),
        };
        let named = trace_id != [0; 16] && span_id != [0; 8];
        (extended && named && fields.next().is_none()).then_some(TraceContext {
            trace_id,
            span_id,
            // The other bits have no meaning in version 00 and are not passed on.
            flags: flags[0] & SAMPLED,
        })
    }

    /// The context that a caller sent, or a new trace.
    pub fn continue_from(header: Option<&str>) -> Self {
        header
            .and_then(Self::parse)
            .map_or_else(Self::generate, |caller| caller.child())
    }

    /// A step within the same trace.
    #[must_use]
    pub fn child(&self) -> Self {
        TraceContext {
            span_id: random(),
            ..*self
        }
    }

    /// 32 hexadecimal digits.
    pub fn trace_id(&self) -> impl fmt::Display + use<> {
        Hex(self.trace_id)
    }

    /// 16 hexadecimal digits.
    pub fn span_id(&self) -> impl fmt::Display + use<> {
        Hex(self.span_id)
    }

    pub fn flags(&self) -> u8 {
        self.flags
    }

    /// Whether whoever began the trace wants it taken.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    pub fn trace(&self) -> [u8; 16] {
        self.trace_id
    }

    pub fn span(&self) -> [u8; 8] {
        self.span_id
    }

    /// The same, to be taken if its id is within the first `share` of all ids.
    /// That is OpenTelemetry's way to choose (`TraceIdRatioBased`), so that hosts
    /// agree on a trace.
    pub(super) fn taken_by(self, share: f64) -> Self {
        let [.., a, b, c, d, e, f, g, h] = self.trace_id;
        // 63 bits, of which a fraction holds 53.
        let place = (u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1) as f64;
        let taken = place < share * (1u64 << 63) as f64;
        TraceContext {
            flags: if taken { SAMPLED } else { 0 },
            ..self
        }
    }
}

/// The value of a `traceparent` header.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{}-{}-{:02x}",
            Hex(self.trace_id),
            Hex(self.span_id),
            self.flags
        )
    }
}

struct Hex<const N: usize>([u8; N]);

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Exactly `N` bytes as lower case hexadecimal digits: the standard refuses
/// upper case.
fn hex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        let &[high, low] = pair else { return None };
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(bytes)
}

/// Random bytes, never all zero. Trace ids need to be distinct, not secret:
/// where the system has no randomness to give, the hasher's keys will do.
fn random<const N: usize>() -> [u8; N] {
    use std::hash::{BuildHasher, RandomState};
    let mut bytes = [0; N];
    if getrandom::fill(&mut bytes).is_err() || bytes == [0; N] {
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = RandomState::new().hash_one(index).to_le_bytes()[0] | 1;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_well_formed_header_reads_back_as_it_was() {
        let context = TraceContext::parse(GOOD).unwrap();
        assert_eq!(context.to_string(), GOOD);
        assert_eq!(context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.span_id().to_string(), "00f067aa0ba902b7");
        assert_eq!(context.flags(), 1);
    }

    #[test]
    fn what_the_standard_refuses_counts_as_absent() {
        for bad in [
            "",
            "00",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-é",
        ] {
            assert_eq!(TraceContext::parse(bad), None, "{bad}");
        }
        let later = format!("cc{}-what-comes-later", &GOOD[2..]);
        assert_eq!(TraceContext::parse(&later).unwrap().to_string(), GOOD);
    }

    #[test]
    fn a_child_stays_in_its_trace_and_two_traces_differ() {
        let caller = TraceContext::parse(GOOD).unwrap();
        let step = TraceContext::continue_from(Some(GOOD));
        assert_eq!(step.trace_id, caller.trace_id);
        assert_ne!(step.span_id, caller.span_id);
        assert_ne!(
            TraceContext::continue_from(Some("rubbish")).trace_id,
            TraceContext::generate().trace_id
        );
    }
}
