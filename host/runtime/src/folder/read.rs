//! Reads a pair once, or says why not. Blocking: runs on the blocking pool.
//!
//! Only regular files of a bounded size are opened, without waiting (a named
//! pipe must not hang the host), and a pair that changed while it was read is
//! not used: it is not quiet yet.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;
use sha2::{Digest, Sha256};

use super::look::{FolderId, Look, PairLook, Stamp, not_a_file, unreadable};
use crate::check::digest;
use crate::error::{LoadError, SidecarFault};
use crate::settings::Settings;
use crate::sidecar::{MAX_SIDECAR_BYTES, Sidecar};

/// What to read, and what is known of it.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) dir: PathBuf,
    /// The folder it was seen in. In another one, nothing counts as removed.
    pub(super) folder: Option<FolderId>,
    pub(super) name: String,
    /// What it looked like when it was dealt with last: the same is not read.
    pub(super) known: Option<PairLook>,
    /// What it looked like when it began to wait: if it changed, it waits on.
    pub(super) expected: Option<PairLook>,
    /// The digest of what was dealt with last: the same is not offered again.
    pub(super) content: Option<[u8; 32]>,
    /// An empty file has had its time.
    pub(super) empty_counts: bool,
}

/// What came of it.
pub(super) enum Outcome {
    /// Nothing new.
    Same(PairLook),
    /// There is no such `.wasm` any more.
    Absent,
    /// The folder is not there, or is another one.
    FolderGone,
    /// It changes still.
    Unquiet(PairLook),
    /// Empty, which may be the first moment of a copy.
    Empty,
    Refused {
        look: PairLook,
        content: Option<[u8; 32]>,
        error: LoadError,
        /// Of the `.wasm`, when it was read.
        digest: Option<String>,
    },
    Read {
        look: PairLook,
        content: [u8; 32],
        wasm: Arc<[u8]>,
        sidecar: Sidecar,
    },
}

/// One file's content.
enum Content {
    Bytes(Vec<u8>),
    Changed,
    Refused(LoadError),
}

/// Reads the pair.
pub(super) fn read(order: &Order, settings: &Settings) -> Outcome {
    let look = PairLook::at(&order.dir, &order.name);
    if look.wasm == Look::Absent {
        let folder = FolderId::of(&order.dir).ok();
        return if folder.is_some() && folder == order.folder {
            Outcome::Absent
        } else {
            Outcome::FolderGone
        };
    }
    if order.known.as_ref() == Some(&look) {
        return Outcome::Same(look);
    }
    if order.expected.as_ref().is_some_and(|expected| *expected != look) {
        return Outcome::Unquiet(look);
    }
    if !order.empty_counts && (is_empty(&look.wasm) || is_empty(&look.toml)) {
        return Outcome::Empty;
    }
    let outcome = read_both(order, settings, &look);
    // A pair is only a pair if both halves were there at one moment.
    let after = PairLook::at(&order.dir, &order.name);
    if after != look {
        return Outcome::Unquiet(after);
    }
    outcome
}

fn read_both(order: &Order, settings: &Settings, look: &PairLook) -> Outcome {
    let refused = |error, content, digest| Outcome::Refused {
        look: look.clone(),
        content,
        error,
        digest,
    };
    let path = |end: &str| order.dir.join(format!("{}.{end}", order.name));
    let wasm = match content(&path("wasm"), &look.wasm, settings.max_file_bytes) {
        Content::Bytes(bytes) => bytes,
        Content::Changed => return Outcome::Unquiet(look.clone()),
        Content::Refused(error) => return refused(error, None, None),
    };
    let toml = match &look.toml {
        Look::Absent => None,
        toml => match content(&path("toml"), toml, MAX_SIDECAR_BYTES) {
            Content::Bytes(bytes) => Some(bytes),
            Content::Changed => return Outcome::Unquiet(look.clone()),
            Content::Refused(error) => {
                return refused(of_sidecar(&error), None, Some(digest(&wasm)));
            }
        },
    };
    let content = fingerprint(&wasm, toml.as_deref());
    if order.content == Some(content) {
        return Outcome::Same(look.clone());
    }
    match sidecar(toml, settings) {
        Ok(sidecar) => Outcome::Read {
            look: look.clone(),
            content,
            wasm: wasm.into(),
            sidecar,
        },
        Err(error) => refused(error, Some(content), Some(digest(&wasm))),
    }
}

fn is_empty(look: &Look) -> bool {
    matches!(look, Look::File(Stamp { len: 0, .. }))
}

/// Reads one file, which must be what it looked like before and after.
fn content(path: &Path, look: &Look, max_bytes: u64) -> Content {
    let stamp = match look {
        Look::File(stamp) => stamp,
        Look::Absent => return Content::Changed,
        Look::Useless(_, error) => return Content::Refused(error.clone()),
    };
    if stamp.len > max_bytes {
        return Content::Refused(LoadError::TooLarge {
            bytes: stamp.len,
            limit: max_bytes,
        });
    }
    match bounded(path, stamp, max_bytes) {
        Ok(Some(bytes)) => Content::Bytes(bytes),
        Ok(None) => Content::Changed,
        Err(error) => Content::Refused(unreadable(&error)),
    }
}

/// `None` when the file is not, or no longer, the one of the stamp.
fn bounded(path: &Path, stamp: &Stamp, max_bytes: u64) -> std::io::Result<Option<Vec<u8>>> {
    let file = File::options()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)?;
    let before = file.metadata()?;
    if not_a_file(&before).is_some() || Stamp::of(&before) != *stamp {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(stamp.len).unwrap_or(0));
    (&file)
        .take(max_bytes.saturating_add(1))
        .read_to_end(&mut bytes)?;
    let whole = bytes.len() as u64 == stamp.len && Stamp::of(&file.metadata()?) == *stamp;
    Ok(whole.then_some(bytes))
}

fn sidecar(toml: Option<Vec<u8>>, settings: &Settings) -> Result<Sidecar, LoadError> {
    let Some(toml) = toml else {
        return Ok(Sidecar::absent(settings));
    };
    match std::str::from_utf8(&toml) {
        Ok(text) => Sidecar::parse(text, settings),
        Err(error) => {
            let valid = toml.get(..error.valid_up_to()).unwrap_or_default();
            let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
            let message = "this is not UTF-8: save the file as UTF-8 text".to_owned();
            Err(LoadError::Sidecar(vec![SidecarFault { line, message }]))
        }
    }
}

/// A `.toml` that cannot be read refuses the pair: without it, the plugin would
/// run under limits that its operator did not mean.
fn of_sidecar(error: &LoadError) -> LoadError {
    let message = match error {
        LoadError::TooLarge { .. } => format!(
            "the file is larger than {} KiB: let the plugin read large settings from elsewhere",
            MAX_SIDECAR_BYTES / 1024
        ),
        other => other.to_string(),
    };
    LoadError::Sidecar(vec![SidecarFault { line: 1, message }])
}

fn fingerprint(wasm: &[u8], toml: Option<&[u8]>) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update((wasm.len() as u64).to_le_bytes());
    hash.update(wasm);
    if let Some(toml) = toml {
        // An empty `.toml` and none are the same in effect, but not a change
        // that should go unnoticed by whoever made it.
        hash.update([1]);
        hash.update(toml);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn order(dir: &Path) -> Order {
        Order {
            dir: dir.to_owned(),
            folder: FolderId::of(dir).ok(),
            name: "echo".to_owned(),
            known: None,
            expected: None,
            content: None,
            empty_counts: false,
        }
    }

    fn settings() -> Settings {
        Settings {
            max_file_bytes: 100,
            ..Settings::default()
        }
    }

    #[test]
    fn a_pair_that_changed_while_it_waited_waits_on() {
        let dir = tempfile::tempdir().unwrap();
        let wasm = dir.path().join("echo.wasm");
        fs::write(&wasm, "one").unwrap();
        let mut order = order(dir.path());
        order.expected = Some(PairLook::at(dir.path(), "echo"));
        fs::write(&wasm, "three").unwrap();
        let Outcome::Unquiet(look) = read(&order, &settings()) else {
            panic!("read while it changes");
        };
        order.expected = Some(look);
        assert!(matches!(read(&order, &settings()), Outcome::Read { .. }));
    }

    #[test]
    fn the_same_look_is_not_read_and_the_same_content_not_offered() {
        let dir = tempfile::tempdir().unwrap();
        let wasm = dir.path().join("echo.wasm");
        fs::write(&wasm, "one").unwrap();
        let mut order = order(dir.path());
        let Outcome::Read { look, content, .. } = read(&order, &settings()) else {
            panic!("not read");
        };
        order.known = Some(look);
        order.content = Some(content);
        assert!(matches!(read(&order, &settings()), Outcome::Same(_)));
        fs::remove_file(&wasm).unwrap();
        fs::write(&wasm, "one").unwrap();
        assert!(matches!(read(&order, &settings()), Outcome::Same(_)));
        fs::write(dir.path().join("echo.toml"), "[settings]").unwrap();
        assert!(matches!(read(&order, &settings()), Outcome::Read { .. }));
    }

    #[test]
    fn a_file_counts_as_removed_only_from_the_folder_it_was_in() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("plugins");
        fs::create_dir(&inner).unwrap();
        let order = order(&inner);
        assert!(matches!(read(&order, &settings()), Outcome::Absent));
        fs::rename(&inner, dir.path().join("away")).unwrap();
        assert!(matches!(read(&order, &settings()), Outcome::FolderGone));
        fs::create_dir(&inner).unwrap();
        assert!(matches!(read(&order, &settings()), Outcome::FolderGone));
        fs::remove_dir(&inner).unwrap();
        fs::write(&inner, "a file").unwrap();
        assert!(matches!(read(&order, &settings()), Outcome::FolderGone));
    }

    #[test]
    fn an_empty_file_has_a_settle_time_to_fill() {
        let dir = tempfile::tempdir().unwrap();
        for empty in ["echo.wasm", "echo.toml"] {
            fs::write(dir.path().join("echo.wasm"), "one").unwrap();
            fs::write(dir.path().join(empty), "").unwrap();
            let mut order = order(dir.path());
            assert!(matches!(read(&order, &settings()), Outcome::Empty));
            order.empty_counts = true;
            // Whether it is a plugin is for the check to say.
            assert!(matches!(read(&order, &settings()), Outcome::Read { .. }));
        }
    }

    #[test]
    fn the_bound_on_size_is_exact() {
        let dir = tempfile::tempdir().unwrap();
        let wasm = dir.path().join("echo.wasm");
        fs::write(&wasm, [b'x'; 100]).unwrap();
        assert!(matches!(
            read(&order(dir.path()), &settings()),
            Outcome::Read { .. }
        ));
        fs::write(&wasm, [b'x'; 101]).unwrap();
        let Outcome::Refused { error, .. } = read(&order(dir.path()), &settings()) else {
            panic!("not refused");
        };
        assert_eq!(
            error,
            LoadError::TooLarge {
                bytes: 101,
                limit: 100
            }
        );
    }
}
