//! Looks at a folder, or at one path in it, and says what is there. Blocking.
//!
//! Links to files are followed, links to folders too, as long as what they lead
//! to is inside the folder and is not found by its own path anyway (a mounted
//! set of files often consists of links into a hidden folder). Within a folder
//! that was reached by a link no further one is followed, so there are no loops.

use std::fs::{self, FileType, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use super::inside::Stamp;
use super::scope::Scope;

/// Folders within each other.
const MAX_DEPTH: usize = 64;

/// The identity of a folder: another one under the same path is another one,
/// even where the filesystem gives it the number of the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FolderId {
    dev: u64,
    ino: u64,
    born: Option<SystemTime>,
}

impl FolderId {
    pub(super) fn of(metadata: &Metadata) -> FolderId {
        FolderId {
            dev: metadata.dev(),
            ino: metadata.ino(),
            born: metadata.created().ok(),
        }
    }
}

/// A folder that is looked into.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    /// Empty for the root.
    pub(super) path: String,
    pub(super) id: FolderId,
    /// It, or one above it, was reached by a link.
    pub(super) linked: bool,
}

/// Is told what is found.
pub(super) trait Visit {
    /// Before the folder is read. `false`: it is not to be.
    fn folder(&mut self, folder: &Folder) -> bool;
    /// A file that is a document by its name.
    fn file(&mut self, path: String, stamp: Stamp);
    /// A link, whether it was followed or not.
    fn link(&mut self);
    /// Something that is not looked at, for good reason.
    fn left_out(&mut self, path: &str, reason: &str);
}

/// Looks at the folder `path` of `root` and all that is in it. `root` is
/// canonical. Fails only if the folder at `path` itself cannot be read.
pub(super) fn folder(
    root: &Path,
    path: &str,
    linked: bool,
    scope: &Scope,
    visit: &mut dyn Visit,
) -> io::Result<()> {
    let metadata = fs::metadata(root.join(path))?;
    if !metadata.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    let first = Folder {
        path: path.to_owned(),
        id: FolderId::of(&metadata),
        linked,
    };
    let mut walk = Walk {
        root,
        scope,
        visit,
        todo: Vec::new(),
    };
    walk.read(first)?;
    walk.all();
    Ok(())
}

/// Looks at whatever is at `path`, in a folder that is looked into.
pub(super) fn path(root: &Path, path: &str, linked: bool, scope: &Scope, visit: &mut dyn Visit) {
    let mut walk = Walk {
        root,
        scope,
        visit,
        todo: Vec::new(),
    };
    if let Ok(metadata) = fs::symlink_metadata(root.join(path)) {
        walk.entry(path.to_owned(), metadata.file_type(), linked);
    }
    walk.all();
}

struct Walk<'a> {
    root: &'a Path,
    scope: &'a Scope,
    visit: &'a mut dyn Visit,
    todo: Vec<Folder>,
}

impl Walk<'_> {
    fn all(&mut self) {
        while let Some(next) = self.todo.pop() {
            let path = next.path.clone();
            // Gone in between: then it is simply not there.
            if let Err(error) = self.read(next)
                && error.kind() != io::ErrorKind::NotFound
            {
                let reason = format!("the folder cannot be read ({error})");
                self.visit.left_out(&path, &reason);
            }
        }
    }

    fn read(&mut self, folder: Folder) -> io::Result<()> {
        if !self.visit.folder(&folder) {
            return Ok(());
        }
        for entry in fs::read_dir(self.root.join(&folder.path))? {
            let entry = entry?;
            let name = entry.file_name();
            let path = |name: &str| match folder.path.as_str() {
                "" => name.to_owned(),
                above => format!("{above}/{name}"),
            };
            let Some(path) = name.to_str().map(path) else {
                let path = path(&name.to_string_lossy());
                if self.scope.has(&path) {
                    self.visit.left_out(&path, "its name is not UTF-8");
                }
                continue;
            };
            self.entry(path, entry.file_type()?, folder.linked);
        }
        Ok(())
    }

    fn entry(&mut self, path: String, kind: FileType, linked: bool) {
        if kind.is_symlink() {
            self.visit.link();
            self.link(path, linked);
        } else if kind.is_dir() {
            if self.scope.enters(&path)
                && let Ok(metadata) = fs::symlink_metadata(self.root.join(&path))
            {
                self.enter(path, &metadata, linked);
            }
        } else if kind.is_file()
            && self.scope.has(&path)
            && let Ok(metadata) = fs::symlink_metadata(self.root.join(&path))
            && metadata.is_file()
        {
            self.visit.file(path, Stamp::of(&metadata));
        }
    }

    fn link(&mut self, path: String, linked: bool) {
        if !self.scope.enters(&path) {
            return;
        }
        let Ok(target) = fs::canonicalize(self.root.join(&path)) else {
            return;
        };
        let Ok(metadata) = fs::symlink_metadata(&target) else {
            return;
        };
        let Some(own) = target.strip_prefix(self.root).ok().and_then(Path::to_str) else {
            return;
        };
        // An operator who leaves a folder out means what is in it.
        if self.scope.is_excluded(own) {
            return;
        }
        if metadata.is_file() && self.scope.has(&path) && !self.scope.has(own) {
            self.visit.file(path, Stamp::of(&metadata));
        } else if metadata.is_dir() && !linked && !self.scope.enters(own) {
            self.enter(path, &metadata, true);
        }
    }

    fn enter(&mut self, path: String, metadata: &Metadata, linked: bool) {
        if path.matches('/').count() >= MAX_DEPTH {
            self.visit.left_out(&path, "folders are nested too deep");
            return;
        }
        self.todo.push(Folder {
            path,
            id: FolderId::of(metadata),
            linked,
        });
    }
}
