//! What kind of file this is, before anything is parsed: people put text, web
//! pages, archives and halves of components into the folder, and each has a
//! mend of its own.

use crate::error::LoadError;

const MAGIC: &[u8] = b"\0asm";
/// Magic, version and layer.
const HEADER: usize = 8;
/// The layer of a core module, and of a component, in the header's last two bytes.
const CORE: [u8; 2] = [0, 0];

/// Refuses what is not a whole component binary: `empty`, `not_wasm`,
/// `core_module`, `truncated`, in this order. A whole one may still be invalid.
pub(super) fn whole_component(bytes: &[u8]) -> Result<(), LoadError> {
    if bytes.is_empty() {
        return Err(LoadError::Empty);
    }
    let magic = MAGIC.len().min(bytes.len());
    if bytes.get(..magic) != MAGIC.get(..magic) {
        return Err(not_wasm(bytes));
    }
    let Some(layer) = bytes.get(6..HEADER) else {
        return Err(LoadError::Truncated {
            have: bytes.len() as u64,
            need: HEADER as u64,
        });
    };
    if layer == CORE {
        return Err(LoadError::CoreModule);
    }
    whole(bytes)
}

/// Walks the sections by their lengths alone. A file cut exactly between two
/// sections passes: that it lacks its exports is found later.
fn whole(bytes: &[u8]) -> Result<(), LoadError> {
    let have = bytes.len() as u64;
    let mut at = HEADER;
    while at < bytes.len() {
        let truncated = |need: u64| LoadError::Truncated { have, need };
        let Some((length, size_of_length)) = leb128(bytes.get(at + 1..).unwrap_or_default()) else {
            return Err(truncated(have + 1));
        };
        let end = (at + 1 + size_of_length) as u64 + length;
        if end > have {
            return Err(truncated(end));
        }
        // Fits: it is no more than the file's length.
        at = end as usize;
    }
    Ok(())
}

/// An unsigned number of at most 32 bits, and how many bytes it took.
fn leb128(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}

fn not_wasm(bytes: &[u8]) -> LoadError {
    let (found, mend) = sort(bytes);
    LoadError::NotWasm { found, mend }
}

fn sort(bytes: &[u8]) -> (&'static str, &'static str) {
    const BUILD: &str = "build the component and put its .wasm here";
    if bytes.starts_with(b"\x1f\x8b") || bytes.starts_with(b"\x28\xb5\x2f\xfd") {
        return ("a compressed file", "unpack it and put the .wasm here");
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return ("a zip archive", "unpack it and put the .wasm here");
    }
    if bytes.starts_with(b"\x7fELF") {
        return (
            "native code (a program, or a precompiled component)",
            "put the .wasm here that it was made from; the host compiles it by itself",
        );
    }
    let head = bytes.get(..bytes.len().min(512)).unwrap_or_default();
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The cut may have gone through a character.
        Err(error) if error.valid_up_to() + 4 > head.len() => {
            std::str::from_utf8(head.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default()
        }
        Err(_) => return ("other binary data", BUILD),
    };
    if text.contains('\0') {
        return ("other binary data", BUILD);
    }
    let start = text
        .trim_start_matches('\u{feff}')
        .trim_start()
        .to_ascii_lowercase();
    if start.starts_with("(component") || start.starts_with("(module") || start.starts_with(";;") {
        return (
            "WebAssembly in text form",
            "turn it into a binary with `wasm-tools parse FILE.wat -o NAME.wasm`",
        );
    }
    if start.starts_with("<!doctype") || start.starts_with("<html") || start.starts_with("<?xml") {
        return ("a web page", "the download went wrong, so fetch the file itself");
    }
    if start.starts_with("version https://git-lfs") {
        return (
            "a pointer of Git LFS",
            "fetch the file itself with `git lfs pull`",
        );
    }
    ("text", BUILD)
}
