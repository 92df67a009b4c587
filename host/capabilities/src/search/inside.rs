//! Opens files of a folder, and never one outside it.
//!
//! A file is judged by what was opened, not by its name: the opened file must be
//! the one that the name leads to inside the folder, with every link on the way
//! resolved. So a link that leads out, or is swapped while we look, opens
//! nothing; nor does a pipe or a device make anybody wait.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::OFlags;

/// Clocks of filesystems tick this slowly at worst: a file that was changed more
/// recently may be changed again and look the same.
pub(super) const TICK: Duration = Duration::from_millis(2_500);

/// A file at one moment, as its filesystem tells it apart from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) len: u64,
    dev: u64,
    ino: u64,
    mode: u32,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Stamp {
        Stamp {
            len: metadata.len(),
            dev: metadata.dev(),
            ino: metadata.ino(),
            mode: metadata.mode(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether the file may have been changed since `now` without looking
    /// different.
    pub(super) fn is_fresh(&self, now: SystemTime) -> bool {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let changed = Duration::from_secs(u64::try_from(self.changed.0).unwrap_or(0));
        now < changed + TICK
    }

    fn is_same_file(&self, other: &Stamp) -> bool {
        (self.dev, self.ino) == (other.dev, other.ino)
    }
}

/// Opens the file at `path`, which is relative, in the folder `root`, which is
/// canonical.
pub(super) fn open(root: &Path, path: &str) -> io::Result<(File, Stamp)> {
    let path = root.join(path);
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or(0))
        .open(&path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a regular file",
        ));
    }
    let stamp = Stamp::of(&metadata);
    let canonical = fs::canonicalize(&path)?;
    let there = Stamp::of(&fs::symlink_metadata(&canonical)?);
    if !canonical.starts_with(root) || !there.is_same_file(&stamp) {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "it leads out of the folder",
        ));
    }
    Ok((file, stamp))
}

/// Reads a file whole.
pub(super) fn read(root: &Path, path: &str, max: u64) -> Result<(Vec<u8>, Stamp), NotRead> {
    let (file, before) = open(root, path)?;
    if before.len > max {
        return Err(NotRead::TooLarge);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(before.len).unwrap_or(0));
    (&file).take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    let after = Stamp::of(&file.metadata()?);
    if before != after || bytes.len() as u64 != after.len {
        return Err(NotRead::Changing);
    }
    Ok((bytes, after))
}

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotRead {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it is larger than `max_file`")]
    TooLarge,
    #[error("it changed while it was read")]
    Changing,
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_outside_the_folder_is_opened_whatever_leads_there() {
        let temporary = tempfile::tempdir().unwrap();
        let base = fs::canonicalize(temporary.path()).unwrap();
        let root = base.join("root");
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::create_dir_all(base.join("out")).unwrap();
        fs::write(root.join("sub/in.md"), "in").unwrap();
        fs::write(base.join("out/secret.md"), "secret").unwrap();
        fs::write(base.join("root2.md"), "secret").unwrap();
        symlink("sub/in.md", root.join("link.md")).unwrap();
        symlink("../out/secret.md", root.join("bad.md")).unwrap();
        symlink("../out", root.join("folder")).unwrap();
        symlink("loop.md", root.join("loop.md")).unwrap();
        symlink("/dev/zero", root.join("zero.md")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, root.join("pipe.md"), rustix::fs::Mode::RUSR).unwrap();
        let bytes = |path: &str| read(&root, path, 100).map(|(bytes, _)| bytes).ok();
        assert_eq!(bytes("sub/in.md").as_deref(), Some(b"in".as_slice()));
        assert_eq!(bytes("link.md").as_deref(), Some(b"in".as_slice()));
        for path in [
            "bad.md",
            "folder/secret.md",
            "../out/secret.md",
            "sub/../../out/secret.md",
            "loop.md",
            "pipe.md",
            "zero.md",
            "sub",
            "",
            "none.md",
            "../root2.md",
        ] {
            assert!(bytes(path).is_none(), "{path}");
        }
        let absolute = base.join("out/secret.md");
        assert!(bytes(absolute.to_str().unwrap()).is_none());
        assert!(matches!(read(&root, "sub/in.md", 1), Err(NotRead::TooLarge)));
    }
}
