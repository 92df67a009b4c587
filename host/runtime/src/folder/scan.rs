//! Looks at the whole folder once. Blocking: runs on the blocking pool.
//!
//! A scan needs no events, so it finds what bind mounts, network filesystems and
//! overflowing queues did not tell. It also sees to it that the folder which is
//! watched is the one that is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use notify::RecommendedWatcher;

use super::look::{FolderId, PairLook};
use super::name::{FileName, Part};
use super::watch::Ear;

/// Wrong names that are remembered, so that each is logged once.
const MAX_WRONG: usize = 64;

/// What to look at.
pub(super) struct Order {
    pub(super) dir: PathBuf,
    /// The plugins that have a place already: they keep it.
    pub(super) known: BTreeSet<String>,
    pub(super) max_plugins: usize,
    /// The folder that is being watched.
    pub(super) watched: Option<FolderId>,
    pub(super) ear: Ear,
}

/// What is there.
pub(super) struct Listing {
    pub(super) folder: FolderId,
    /// Set when another folder had to be watched: the watcher, or why not.
    pub(super) watcher: Option<Result<RecommendedWatcher, String>>,
    pub(super) pairs: BTreeMap<String, PairLook>,
    /// Names past `max_plugins`, at most as many again.
    pub(super) excess: BTreeSet<String>,
    pub(super) wrong: BTreeSet<String>,
    /// Some plugin is reached through a link.
    pub(super) links: bool,
}

/// Watches the folder, if it is not, and then lists it: in this order, so that
/// nothing falls between.
pub(super) fn scan(order: &Order) -> std::io::Result<Listing> {
    let folder = FolderId::of(&order.dir)?;
    let watcher =
        (order.watched != Some(folder)).then(|| order.ear.watch().map_err(|error| error.to_string()));
    let names = Names::read(order)?;
    let pairs = names
        .plugins
        .into_iter()
        .map(|name| {
            let look = PairLook::at(&order.dir, &name);
            (name, look)
        })
        .collect();
    Ok(Listing {
        folder,
        watcher,
        pairs,
        excess: names.excess,
        wrong: names.wrong,
        links: names.links,
    })
}

#[derive(Default)]
struct Names {
    plugins: BTreeSet<String>,
    excess: BTreeSet<String>,
    wrong: BTreeSet<String>,
    links: bool,
}

impl Names {
    /// However many files there are, only bounded sets of names are kept: the
    /// plugins that have a place, then the first of the others by name.
    fn read(order: &Order) -> std::io::Result<Self> {
        let mut names = Self::default();
        let mut others = BTreeSet::new();
        for entry in fs::read_dir(&order.dir)? {
            let entry = entry?;
            match FileName::of(&entry.file_name()) {
                FileName::Plugin(name, part) => {
                    names.links |= entry.file_type().is_ok_and(|kind| kind.is_symlink());
                    if part == Part::Wasm && order.known.contains(&name) {
                        names.plugins.insert(name);
                    } else if part == Part::Wasm {
                        others.insert(name);
                        if others.len() > order.max_plugins.saturating_mul(2) {
                            others.pop_last();
                        }
                    }
                }
                FileName::Wrong(name) if names.wrong.len() < MAX_WRONG => {
                    names.wrong.insert(name);
                }
                FileName::Wrong(_) | FileName::Other => {}
            }
        }
        for name in others {
            if names.plugins.len() < order.max_plugins {
                names.plugins.insert(name);
            } else if names.excess.len() < order.max_plugins {
                names.excess.insert(name);
            }
        }
        Ok(names)
    }
}
