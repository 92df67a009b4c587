//! Puts the manifest into a component. A component is a list of sections, each
//! with its kind and length; a custom one may stand at the end of any.

use std::fmt;

use crate::{Manifest, SECTION};

/// Magic, then version and layer, which tell a component from a module.
const COMPONENT: [u8; 8] = *b"\0asm\x0d\x00\x01\x00";
const MAGIC_BYTES: usize = 4;
const CUSTOM: u8 = 0;

/// Why a manifest cannot be put into these bytes: one sentence with its mend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoComponent(&'static str);

impl fmt::Display for NoComponent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for NoComponent {}

/// The component with this manifest, in the place of one it had.
pub fn embed(component: &[u8], manifest: &Manifest) -> Result<Vec<u8>, NoComponent> {
    let Some(mut rest) = component.strip_prefix(&COMPONENT) else {
        return Err(NoComponent(what_instead(component)));
    };
    let mut out = COMPONENT.to_vec();
    while !rest.is_empty() {
        let (section, after) = split(rest).ok_or(NoComponent(
            "this is a component that was cut short: build or copy it again",
        ))?;
        if !is_ours(section) {
            out.extend_from_slice(section.whole);
        }
        rest = after;
    }
    let json = manifest.json();
    let mut payload = leb128(SECTION.len());
    payload.extend_from_slice(SECTION.as_bytes());
    payload.extend_from_slice(json.as_bytes());
    out.push(CUSTOM);
    out.extend(leb128(payload.len()));
    out.extend(payload);
    Ok(out)
}

fn what_instead(bytes: &[u8]) -> &'static str {
    let magic = COMPONENT.get(..MAGIC_BYTES).unwrap_or_default();
    if bytes.is_empty() {
        "the file is empty: build it again"
    } else if bytes.starts_with(magic) {
        "this is a core module, not a component: build it for wasm32-wasip2, or make a component of it"
    } else {
        "this is not WebAssembly: name the .wasm file that the build made"
    }
}

#[derive(Clone, Copy)]
struct Section<'a> {
    id: u8,
    payload: &'a [u8],
    whole: &'a [u8],
}

/// The first section, and what is after it.
fn split(bytes: &[u8]) -> Option<(Section<'_>, &[u8])> {
    let (id, after_id) = bytes.split_first()?;
    let (size, content) = unsigned(after_id)?;
    let (payload, rest) = content.split_at_checked(size)?;
    let whole = bytes.get(..bytes.len() - rest.len())?;
    let id = *id;
    Some((Section { id, payload, whole }, rest))
}

fn is_ours(section: Section<'_>) -> bool {
    let name = || {
        let (size, content) = unsigned(section.payload)?;
        content.get(..size)
    };
    section.id == CUSTOM && name() == Some(SECTION.as_bytes())
}

/// Reads a number of at most 32 bits in LEB128.
fn unsigned(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0u64;
    for (at, byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            let value = u32::try_from(value).ok()?;
            return Some((usize::try_from(value).ok()?, bytes.get(at + 1..)?));
        }
    }
    None
}

fn leb128(mut value: usize) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low & 0x7f);
            return out;
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(version: &str) -> Manifest {
        Manifest {
            name: "a".into(),
            version: version.into(),
            description: "d".repeat(200),
            ..Manifest::default()
        }
    }

    /// The sections: kind and payload.
    fn sections(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut found = Vec::new();
        let mut rest = &bytes[COMPONENT.len()..];
        while let Some((section, after)) = split(rest) {
            found.push((section.id, section.payload.to_vec()));
            rest = after;
        }
        assert!(rest.is_empty());
        found
    }

    #[test]
    fn the_section_is_added_once_and_replaced() {
        // A section of a kind we know nothing of, and somebody else's custom one.
        let mut bytes = COMPONENT.to_vec();
        bytes.extend([7, 2, 1, 2, 0, 3, 2, b'x', b'y']);
        let once = embed(&bytes, &manifest("1")).unwrap();
        assert!(once.starts_with(&bytes));
        let twice = embed(&once, &manifest("2")).unwrap();
        let found = sections(&twice);
        assert_eq!(found.len(), 3);
        assert_eq!(found[1], (0, vec![2, b'x', b'y']));
        let mut expected = vec![12];
        expected.extend(b"segue:plugin");
        expected.extend(manifest("2").json().as_bytes());
        assert_eq!(found[2], (0, expected));
        assert_eq!(embed(&twice, &manifest("2")).unwrap(), twice);
    }

    #[test]
    fn what_is_no_component_is_refused_with_the_reason() {
        let refusal = |bytes: &[u8]| embed(bytes, &manifest("1")).unwrap_err().to_string();
        assert!(refusal(b"").contains("empty"));
        assert!(refusal(b"text").contains("not WebAssembly"));
        assert!(refusal(b"\0asm\x01\0\0\0").contains("core module"));
        let mut cut = COMPONENT.to_vec();
        for tail in [
            &[0][..],
            &[0, 5, 1],
            &[0, 0x80],
            &[0, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        ] {
            cut.truncate(COMPONENT.len());
            cut.extend(tail);
            assert!(refusal(&cut).contains("cut short"), "{tail:?}");
        }
    }

    #[test]
    fn numbers_are_written_as_they_are_read() {
        for value in [0, 1, 127, 128, 300, 16_383, 16_384, 2_000_000, 4_294_967_295] {
            assert_eq!(unsigned(&leb128(value)), Some((value, &[][..])));
        }
    }
}
