//! Compiled components on disk, so that a start or a swap back costs no
//! compilation.
//!
//! Guarantees: an entry is code that will run in this process, so the folder
//! and each entry must belong to this user and be writable by nobody else; an
//! entry carries a digest of its content, so that a torn or rotten file is
//! thrown away and compiled again, never run; entries appear by rename. What
//! goes wrong with the cache never goes wrong with the plugin.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::generation::hex;

/// Begins each entry; another format has another first line.
const MAGIC: &[u8; 16] = b"segue compiled 1";
const DIGEST_BYTES: usize = 32;
const EXTENSION: &str = "cwasm";

/// A file that was being written this long ago belongs to a process that died.
const ABANDONED: Duration = Duration::from_secs(3600);

/// How many files of the folder are looked at when it is trimmed.
const ENTRIES_MAX: usize = 100_000;

/// The cache folder, checked.
pub(crate) struct Cache {
    dir: PathBuf,
    max_bytes: u64,
    /// What the entries take, as last counted, and what was written since.
    bytes: AtomicU64,
    /// Distinguishes what this engine compiled from what any other did.
    engine: String,
    serial: AtomicU64,
}

impl Cache {
    /// Opens `dir`, which is made if it is missing.
    pub(crate) fn open(dir: &Path, max_bytes: u64, engine: &Engine) -> Result<Cache, String> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|error| format!("it cannot be made: {error}"))?;
        let meta = fs::metadata(dir).map_err(|error| format!("it cannot be read: {error}"))?;
        if !meta.is_dir() {
            return Err(String::from("it is not a folder"));
        }
        check_owner(&meta)?;
        let mut hasher = std::hash::DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let cache = Cache {
            dir: dir.to_path_buf(),
            max_bytes,
            bytes: AtomicU64::new(0),
            engine: format!("{:016x}", hasher.finish()),
            serial: AtomicU64::new(0),
        };
        cache.check_writable()?;
        cache.trim();
        Ok(cache)
    }

    fn check_writable(&self) -> Result<(), String> {
        let probe = self.temporary();
        let made = create(&probe).map(drop);
        let _ = fs::remove_file(&probe);
        made.map_err(|error| format!("it cannot be written to: {error}"))
    }

    fn path(&self, digest: &[u8]) -> PathBuf {
        let name = format!("{}-{}.{EXTENSION}", hex(digest), self.engine);
        self.dir.join(name)
    }

    fn temporary(&self) -> PathBuf {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{serial}.tmp", std::process::id());
        self.dir.join(name)
    }

    /// The component compiled from the bytes with this digest, if it is there
    /// and sound.
    pub(crate) fn get(&self, digest: &[u8], engine: &Engine) -> Option<Component> {
        let path = self.path(digest);
        let file = File::open(&path).ok()?;
        match load(file, engine) {
            Ok(component) => {
                touch(&path);
                Some(component)
            }
            Err(reason) => {
                let file = path.display();
                tracing::warn!("the cached {file} is thrown away and compiled again: {reason}");
                let _ = fs::remove_file(&path);
                None
            }
        }
    }

    /// Keeps `component` for later. A failure is logged and otherwise ignored.
    pub(crate) fn put(&self, digest: &[u8], component: &Component) {
        let path = self.path(digest);
        match self.write(&path, component) {
            Ok(bytes) => {
                let total = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
                if total > self.max_bytes {
                    self.trim();
                }
            }
            Err(error) => {
                let file = path.display();
                tracing::warn!("{file} cannot be kept, it will be compiled again: {error}");
            }
        }
    }

    fn write(&self, path: &Path, component: &Component) -> io::Result<u64> {
        let code = component.serialize().map_err(io::Error::other)?;
        let temporary = self.temporary();
        let written = create(&temporary).and_then(|mut file| {
            file.write_all(MAGIC)?;
            file.write_all(&Sha256::digest(&code))?;
            file.write_all(&code)?;
            fs::rename(&temporary, path)
        });
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written.map(|()| code.len() as u64)
    }

    /// Removes the entries not used for longest until the rest fits, and files
    /// that a process left half-written.
    fn trim(&self) {
        let mut entries: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        let files = fs::read_dir(&self.dir).into_iter().flatten();
        for file in files.take(ENTRIES_MAX).flatten() {
            let path = file.path();
            let Ok(meta) = file.metadata() else { continue };
            let modified = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            match path.extension().and_then(|extension| extension.to_str()) {
                Some(EXTENSION) => entries.push((modified, meta.len(), path)),
                Some("tmp") if modified.elapsed().is_ok_and(|age| age > ABANDONED) => {
                    let _ = fs::remove_file(path);
                }
                _ => {}
            }
        }
        entries.sort();
        let mut total: u64 = entries.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, path) in &entries {
            if total <= self.max_bytes {
                break;
            }
            if fs::remove_file(path).is_ok() {
                total -= bytes;
            }
        }
        self.bytes.store(total, Ordering::Relaxed);
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Marks an entry as used just now.
fn touch(path: &Path) {
    // Only the order of trimming depends on it.
    if let Ok(file) = OpenOptions::new().append(true).open(path) {
        let _ = file.set_modified(SystemTime::now());
    }
}

/// Whether nobody but this user could have written it.
fn check_owner(meta: &fs::Metadata) -> Result<(), String> {
    let user = rustix::process::geteuid().as_raw();
    if meta.uid() != user {
        let owner = meta.uid();
        return Err(format!("it belongs to user {owner}, not to this one ({user})"));
    }
    if meta.mode() & 0o022 != 0 {
        let mode = meta.mode() & 0o777;
        return Err(format!("others may write to it (mode {mode:o}; want 700)"));
    }
    Ok(())
}

fn load(mut file: File, engine: &Engine) -> Result<Component, String> {
    let meta = file.metadata().map_err(|error| error.to_string())?;
    if !meta.is_file() {
        return Err(String::from("it is not a regular file"));
    }
    check_owner(&meta)?;
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0));
    file.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    let rest = bytes.strip_prefix(MAGIC).ok_or("it has no header")?;
    let (digest, code) = rest.split_at_checked(DIGEST_BYTES).ok_or("it is cut off")?;
    if Sha256::digest(code).as_slice() != digest {
        return Err(String::from("its content does not match its digest"));
    }
    deserialize(engine, code)
}

/// Turns `code` into a component without compiling.
///
/// Only for bytes that [`load`] has checked.
#[allow(unsafe_code)]
fn deserialize(engine: &Engine, code: &[u8]) -> Result<Component, String> {
    // SAFETY: wasmtime demands that the bytes were made by `serialize` and not
    // changed since. They come from an entry whose name ends in the hash of this
    // engine's settings and version (wasmtime checks both again), whose digest
    // matches, and which, like its folder, only this user can have written.
    unsafe { Component::deserialize(engine, code) }.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const EMPTY: &str = "(component)";

    fn entry(cache: &Cache) -> PathBuf {
        cache.path(&[7; 32])
    }

    #[test]
    fn what_was_put_comes_back_and_a_changed_entry_is_thrown_away() {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::default();
        let cache = Cache::open(&dir.path().join("a/b"), 1 << 20, &engine).unwrap();
        assert!(cache.get(&[7; 32], &engine).is_none());
        let component = Component::new(&engine, wat::parse_str(EMPTY).unwrap()).unwrap();
        cache.put(&[7; 32], &component);
        assert!(cache.get(&[7; 32], &engine).is_some());

        let mut bytes = fs::read(entry(&cache)).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(entry(&cache), &bytes).unwrap();
        assert!(cache.get(&[7; 32], &engine).is_none());
        assert!(!entry(&cache).exists());

        for torn in [0, 10, 20, 60, bytes.len() - 1] {
            fs::write(entry(&cache), &bytes[..torn]).unwrap();
            assert!(cache.get(&[7; 32], &engine).is_none(), "cut at {torn}");
        }
    }

    #[test]
    fn an_entry_or_folder_that_others_may_write_is_not_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::default();
        let cache = Cache::open(dir.path(), 1 << 20, &engine).unwrap();
        let component = Component::new(&engine, wat::parse_str(EMPTY).unwrap()).unwrap();
        cache.put(&[7; 32], &component);
        fs::set_permissions(entry(&cache), fs::Permissions::from_mode(0o666)).unwrap();
        assert!(cache.get(&[7; 32], &engine).is_none());

        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let refused = Cache::open(dir.path(), 1 << 20, &engine).err().unwrap();
        assert!(refused.contains("others may write"), "{refused}");
    }

    #[test]
    fn past_its_bound_the_entries_not_used_for_longest_go() {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::default();
        let now = SystemTime::now();
        for (name, age_s) in [("old", 300), ("older", 400), ("new", 100)] {
            let path = dir.path().join(format!("{name}.{EXTENSION}"));
            fs::write(&path, [0; 1000]).unwrap();
            let file = OpenOptions::new().append(true).open(&path).unwrap();
            file.set_modified(now - Duration::from_secs(age_s)).unwrap();
        }
        Cache::open(dir.path(), 2500, &engine).unwrap();
        let exists = |name: &str| dir.path().join(format!("{name}.{EXTENSION}")).exists();
        assert!(exists("old") && exists("new") && !exists("older"));
    }
}
