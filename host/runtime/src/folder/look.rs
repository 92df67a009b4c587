//! What a file looks like from outside, without opening it: enough to tell
//! whether it is still the one that was read.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::SystemTime;

use rustix::io::Errno;

use crate::error::LoadError;

/// The identity of a folder: another one under the same path is another one,
/// even where the filesystem gives it the number of the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FolderId {
    dev: u64,
    ino: u64,
    born: Option<SystemTime>,
}

impl FolderId {
    pub(super) fn of(dir: &Path) -> std::io::Result<Self> {
        let metadata = fs::metadata(dir)?;
        if !metadata.is_dir() {
            return Err(ErrorKind::NotADirectory.into());
        }
        Ok(Self {
            dev: metadata.dev(),
            ino: metadata.ino(),
            born: metadata.created().ok(),
        })
    }
}

/// A file at one moment, links followed. The change time is part of it, so that
/// a file that became readable is not taken for the one that was not.
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
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            len: metadata.len(),
            dev: metadata.dev(),
            ino: metadata.ino(),
            mode: metadata.mode(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// One file of a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Absent,
    File(Stamp),
    /// There, and of no use: a directory, a pipe, a link to nothing.
    Useless(Option<Stamp>, LoadError),
}

impl Look {
    pub(super) fn at(path: &Path) -> Self {
        match fs::metadata(path) {
            Ok(metadata) => match not_a_file(&metadata) {
                None => Self::File(Stamp::of(&metadata)),
                Some(what) => Self::Useless(Some(Stamp::of(&metadata)), LoadError::NotAFile { what }),
            },
            // Nothing there, no folder either, or a link to nothing.
            Err(error) if is_nothing(error.kind()) => match fs::symlink_metadata(path) {
                Ok(link) => Self::Useless(
                    Some(Stamp::of(&link)),
                    LoadError::Unreadable {
                        reason: "it is a link to a file that does not exist".to_owned(),
                        mend: "put the file where the link points, or make the link anew",
                    },
                ),
                Err(_) => Self::Absent,
            },
            Err(error) => Self::Useless(None, unreadable(&error)),
        }
    }
}

/// A pair at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PairLook {
    pub(super) wasm: Look,
    pub(super) toml: Look,
}

impl PairLook {
    pub(super) fn at(dir: &Path, name: &str) -> Self {
        Self {
            wasm: Look::at(&dir.join(format!("{name}.wasm"))),
            toml: Look::at(&dir.join(format!("{name}.toml"))),
        }
    }
}

fn is_nothing(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// What it is, when it is not a regular file.
pub(super) fn not_a_file(metadata: &Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some("a directory")
    } else if kind.is_fifo() {
        Some("a named pipe")
    } else if kind.is_socket() {
        Some("a socket")
    } else {
        Some("a device")
    }
}

pub(super) fn unreadable(error: &std::io::Error) -> LoadError {
    LoadError::Unreadable {
        reason: error.to_string(),
        mend: match Errno::from_io_error(error) {
            Some(Errno::ACCESS | Errno::PERM) => "let the host's user read the file (chmod +r)",
            Some(Errno::LOOP) => "make the link point to the file itself",
            _ => "see that the disk is well and the file whole, then copy it again",
        },
    }
}
