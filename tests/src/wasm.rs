//! Bytes for the plugin folder: a component in other versions, and files that
//! are no component at all.

/// What marks the version inside the `stamp` guest; 48 bytes with the version
/// behind it, up to the first dot.
const MARKER: &[u8] = b"segue-test-stamp";
const STAMP_BYTES: usize = 48;

/// The same component with one more custom section: other bytes, another
/// version, the same behaviour.
#[must_use]
pub fn with_custom_section(bytes: &[u8], content: &str) -> Vec<u8> {
    const NAME: &[u8] = b"segue-test";
    let mut section = leb128(NAME.len());
    section.extend_from_slice(NAME);
    section.extend_from_slice(content.as_bytes());

    let mut out = bytes.to_vec();
    out.push(0);
    out.extend(leb128(section.len()));
    out.extend(section);
    out
}

/// The `stamp` guest with this version built in, at most 31 bytes without dots.
#[must_use]
pub fn stamped(bytes: &[u8], version: &str) -> Vec<u8> {
    let room = STAMP_BYTES - MARKER.len();
    assert!(version.len() < room && !version.contains('.'), "{version}");
    let mut stamp = MARKER.to_vec();
    stamp.extend_from_slice(version.as_bytes());
    stamp.resize(STAMP_BYTES, b'.');

    let mut out = bytes.to_vec();
    let mut found = 0;
    let mut at = 0;
    while let Some(window) = out.get_mut(at..at + STAMP_BYTES) {
        if window.starts_with(MARKER) && window.ends_with(b".") {
            window.copy_from_slice(&stamp);
            found += 1;
            at += STAMP_BYTES;
        } else {
            at += 1;
        }
    }
    assert_eq!(found, 1, "the guest holds its stamp once");
    out
}

/// A WebAssembly module that is not a component.
#[must_use]
pub fn core_module() -> Vec<u8> {
    b"\0asm\x01\0\0\0".to_vec()
}

fn leb128(mut value: usize) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let byte = u8::try_from(value & 0x7f).expect("seven bits");
        value >>= 7;
        if value == 0 {
            out.push(byte);
            return out;
        }
        out.push(byte | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_over_127_take_two_bytes() {
        assert_eq!(leb128(0), [0]);
        assert_eq!(leb128(127), [0x7f]);
        assert_eq!(leb128(128), [0x80, 0x01]);
        assert_eq!(leb128(300), [0xac, 0x02]);
    }

    #[test]
    fn a_stamp_changes_its_own_bytes_and_no_others() {
        let guest = b"before segue-test-stamporiginal........................ after";
        let out = stamped(guest, "v2");
        assert_eq!(
            out,
            b"before segue-test-stampv2.............................. after"
        );
    }
}
