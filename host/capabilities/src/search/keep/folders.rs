//! The folders that are looked into, and the watches on them.

use std::path::Path;
use std::sync::Arc;

use super::super::inside::Stamp;
use super::super::walk::{Folder, FolderId, Visit};
use super::super::watch::Watches;
use super::{Keeper, Look};

/// Folders that are looked into, at most.
const MAX_FOLDERS: usize = 50_000;
/// Paths that are remembered as said.
const MAX_SAID: usize = 64;

#[derive(Clone, Copy, Debug)]
pub(super) struct KnownFolder {
    id: FolderId,
    linked: bool,
    watched: bool,
    /// The last pass that saw it.
    pass: u64,
}

impl Keeper {
    pub(super) fn is_known(&self, folder: &str) -> bool {
        self.folders.contains_key(folder)
    }

    pub(super) fn is_linked(&self, folder: &str) -> bool {
        self.folders.get(folder).is_some_and(|folder| folder.linked)
    }

    pub(super) fn watch(&mut self, root: &Path) {
        match Watches::new(root, Arc::clone(&self.scope), Arc::clone(&self.dirty)) {
            Ok(watches) => self.watches = Some(watches),
            Err(error) => self.unwatched(&error.to_string()),
        }
    }

    fn unwatched(&mut self, reason: &str) {
        if !std::mem::replace(&mut self.said.unwatched, true) {
            tracing::warn!(
                index = self.shared.name,
                "the system does not tell all changes of {} ({reason}): it is looked at again and again instead; on Linux, fs.inotify.max_user_instances or max_user_watches may be too low",
                self.settings.path.display(),
            );
        }
    }

    /// What an event was about may be another folder now, or none: the watches
    /// at and below it are made anew by the look that follows.
    pub(super) fn forget_watches(&mut self, path: &str) {
        let below = format!("{path}/");
        let inner = self.folders.range(below.clone()..);
        let mut paths: Vec<String> = inner
            .map(|(folder, _)| folder)
            .take_while(|folder| folder.starts_with(&below))
            .cloned()
            .collect();
        if self.folders.contains_key(path) {
            paths.push(path.to_owned());
        }
        for path in paths {
            self.forget_folder(&path);
        }
    }

    /// Forgets the folders that a look at all of them did not see.
    pub(super) fn forget_folders(&mut self) {
        let pass = self.pass;
        let unseen = self.folders.iter().filter(|(_, folder)| folder.pass != pass);
        let unseen: Vec<(String, FolderId)> =
            unseen.map(|(path, folder)| (path.clone(), folder.id)).collect();
        if unseen.is_empty() {
            return;
        }
        for (path, _) in &unseen {
            self.forget_folder(path);
        }
        // The system watches folders, not paths: of one that was moved, the
        // watch under its new path went with the one under the old.
        let moved = self
            .folders
            .iter()
            .filter(|(_, folder)| unseen.iter().any(|(_, id)| *id == folder.id));
        let moved: Vec<String> = moved.map(|(path, _)| path.clone()).collect();
        for path in moved {
            self.watch_folder(&path);
        }
    }

    fn forget_folder(&mut self, path: &str) {
        let watched = self.folders.remove(path).is_some_and(|folder| folder.watched);
        if let (true, Some(watches)) = (watched, &mut self.watches) {
            watches.remove(path);
        }
    }

    fn watch_folder(&mut self, path: &str) {
        let Some(watches) = &mut self.watches else {
            return;
        };
        let result = watches.add(path);
        if let Some(folder) = self.folders.get_mut(path) {
            folder.watched = result.is_ok();
        }
        if let Err(error) = result
            && !matches!(error.kind, notify::ErrorKind::PathNotFound)
        {
            self.unwatched(&error.to_string());
        }
    }
}

impl Visit for Look<'_> {
    /// Watched first and read then, so that nothing falls between.
    fn folder(&mut self, folder: &Folder) -> bool {
        let keeper = &mut *self.keeper;
        if keeper.stop.is_cancelled() {
            return false;
        }
        let known = keeper.folders.get(&folder.path);
        if known.is_none() && keeper.folders.len() >= MAX_FOLDERS {
            self.left_out(
                &folder.path,
                "there are too many folders; leave out some with `exclude`",
            );
            return false;
        }
        let same = known
            .filter(|known| known.id == folder.id && known.watched)
            .copied();
        if same.is_none() {
            keeper.forget_folder(&folder.path);
        }
        let now = KnownFolder {
            id: folder.id,
            linked: folder.linked,
            watched: same.is_some(),
            pass: keeper.pass,
        };
        keeper.folders.insert(folder.path.clone(), now);
        if same.is_none() {
            keeper.watch_folder(&folder.path);
        }
        true
    }

    fn file(&mut self, path: String, stamp: Stamp) {
        self.found(path, stamp);
    }

    fn link(&mut self) {
        self.links = true;
    }

    /// Said once, however often it is seen.
    fn left_out(&mut self, path: &str, reason: &str) {
        let said = &mut self.keeper.said.paths;
        if said.len() < MAX_SAID && said.insert(path.to_owned()) {
            self.keeper.say(path, reason);
        }
    }
}
