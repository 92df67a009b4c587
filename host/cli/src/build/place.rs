//! Puts a file where others may be reading.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use crate::term;

/// Writes a file so that whoever reads or watches `to` has the old one or the new
/// one, never half of either.
pub(super) fn write(to: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    // Neither this beginning nor this end is a plugin's.
    let part = to.with_file_name(format!(".{name}.{}.part", std::process::id()));
    let written = whole(&part, bytes).and_then(|()| fs::rename(&part, to));
    if written.is_err() {
        let _was_not_made = fs::remove_file(&part);
    }
    written.map_err(|error| anyhow::anyhow!(term::unwritable(to, &error)))
}

fn whole(part: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(part)?;
    file.write_all(bytes)?;
    // A rename may reach the disk before what it renames.
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_replaces_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("a.wasm");
        for content in ["one", "two"] {
            write(&to, content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&to).unwrap(), content);
        }
        let said = write(&dir.path().join("none/a.wasm"), b"").unwrap_err();
        assert!(said.to_string().starts_with("cannot write "), "{said}");
        fs::create_dir(dir.path().join("b.wasm")).unwrap();
        fs::write(dir.path().join("b.wasm/c"), "").unwrap();
        write(&dir.path().join("b.wasm"), b"").unwrap_err();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
