//! The token of the admin listener.
//!
//! Set by `[admin] token`, or kept in `<state>/admin.token`, which only its
//! owner may read. A file that an earlier start left is used again if it is
//! still private and whole, so that a restart locks nobody out; to change the
//! token, delete the file and restart. Anything else at that path is replaced.

use std::fmt;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::config::Config;

const FILE: &str = "admin.token";
/// Hexadecimal digits: 256 random bits.
const LENGTH: usize = 64;

/// What the admin listener wants as bearer token. `Debug` does not show it.
#[derive(Clone)]
pub struct Token(Arc<str>);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// The token can neither be read nor made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error(
        "cannot keep the admin token in {}: {source}; make that folder writable, name another with `state` under [server], or set `token` under [admin]",
        path.display()
    )]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the system gives no random numbers, so no admin token can be made: {0}")]
    Random(getrandom::Error),
}

impl Token {
    /// The token itself. Keep it out of logs and answers.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `given` is the token, in a time that tells nothing about it.
    pub(super) fn matches(&self, given: &str) -> bool {
        // Digests have one length, whatever the length of what was given.
        let given = Sha256::digest(given.as_bytes());
        let own = Sha256::digest(self.0.as_bytes());
        given.as_slice().ct_eq(own.as_slice()).into()
    }
}

/// Where the token is kept when the config sets none.
pub fn path(config: &Config) -> PathBuf {
    config.server.state.join(FILE)
}

/// The token that the config sets, or the kept one, or a new one.
pub fn prepare(config: &Config) -> Result<Token, TokenError> {
    match &config.admin.token {
        Some(token) => Ok(Token(token.expose().into())),
        None => kept(&path(config)),
    }
}

fn kept(path: &Path) -> Result<Token, TokenError> {
    if let Some(token) = read(path) {
        return Ok(Token(token.into()));
    }
    let mut random = [0_u8; LENGTH / 2];
    getrandom::fill(&mut random).map_err(TokenError::Random)?;
    let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    write(path, &token).map_err(|source| TokenError::File {
        path: path.to_owned(),
        source,
    })?;
    Ok(Token(token.into()))
}

/// The token in the file, if nobody but us can have written or read it.
fn read(path: &Path) -> Option<String> {
    // Looked at before it is opened: opening a pipe would wait for ever.
    if !fs::symlink_metadata(path).ok()?.is_file() {
        return None;
    }
    let file = fs::File::open(path).ok()?;
    let meta = file.metadata().ok()?;
    if !meta.is_file() || meta.mode() & 0o077 != 0 || Some(meta.uid()) != own_user(path) {
        return None;
    }
    let mut text = String::new();
    file.take(LENGTH as u64 + 2).read_to_string(&mut text).ok()?;
    let token = text.trim_end();
    let whole = token.len() == LENGTH && token.bytes().all(|b| b.is_ascii_hexdigit());
    whole.then(|| token.to_owned())
}

/// The user we run as; where the system does not say, the folder's.
fn own_user(path: &Path) -> Option<u32> {
    let process = fs::metadata("/proc/self").ok();
    let folder = || path.parent().and_then(|folder| fs::metadata(folder).ok());
    process.or_else(folder).map(|meta| meta.uid())
}

/// Written beside and renamed, so that whoever reads sees all of it or none.
fn write(path: &Path, token: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let beside = path.with_extension(format!("token.{}.tmp", std::process::id()));
    let _ = fs::remove_file(&beside);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    let written = writeln!(file, "{token}").and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_made_private_and_kept_over_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/state").join(FILE);
        let first = kept(&path).unwrap();
        assert_eq!(first.expose().len(), LENGTH);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(
            fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777,
            0o700
        );
        assert_eq!(kept(&path).unwrap().expose(), first.expose());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn what_others_could_read_or_write_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let first = kept(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let second = kept(&path).unwrap();
        assert_ne!(first.expose(), second.expose());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);

        fs::write(&path, "short").unwrap();
        assert_ne!(kept(&path).unwrap().expose(), "short");

        let elsewhere = folder.path().join("elsewhere");
        fs::rename(&path, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        let through_link = fs::read_to_string(&elsewhere).unwrap();
        assert_ne!(kept(&path).unwrap().expose(), through_link.trim());
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
    }

    #[test]
    fn a_folder_that_cannot_be_used_is_told_in_one_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = kept(&file.join(FILE)).unwrap_err().to_string();
        assert!(error.contains("`token` under [admin]"), "{error}");
    }

    #[test]
    fn only_the_whole_token_matches() {
        let token = Token("secret".into());
        assert!(token.matches("secret"));
        for other in ["", "secre", "secrets", "Secret"] {
            assert!(!token.matches(other), "{other}");
        }
        assert!(!format!("{token:?}").contains("secret"));
    }
}
