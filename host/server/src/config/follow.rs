//! The configuration is read again when its file changes.
//!
//! The folder is watched, not the file: editors and volume mounts put a new
//! file in the place of the old one. Once it is quiet the text is compared with
//! the one before, so that other files' events cost a read and nothing else. A
//! text that cannot be taken leaves the one in force, and says why in the log.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use crate::state::App;

/// How long the folder must be quiet.
const SETTLE: Duration = Duration::from_millis(250);
/// Past so much unrest the file is read all the same.
const PATIENCE: Duration = Duration::from_secs(2);

/// Follows the file until the future is dropped.
pub(crate) async fn follow(app: Arc<App>, path: PathBuf) {
    let stirred = Arc::new(Notify::new());
    // Dropping the watcher ends it.
    let _watcher = match watch(&path, stirred.clone()) {
        Ok(watcher) => watcher,
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "the config cannot be watched; POST /reload or SIGHUP reads it again");
            return;
        }
    };
    let mut before = read(&path).await;
    loop {
        stirred.notified().await;
        let _ = tokio::time::timeout(PATIENCE, quiet(&stirred)).await;
        let now = read(&path).await;
        // Gone for a moment, or for good: what is in force stays.
        if now.is_none() || now == before {
            continue;
        }
        before = now;
        if let Err(error) = app.reload().await {
            tracing::error!(%error, "the config has changed and was not taken; the one in force stays");
        }
    }
}

async fn quiet(stirred: &Notify) {
    while tokio::time::timeout(SETTLE, stirred.notified()).await.is_ok() {}
}

fn watch(path: &Path, stirred: Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        let reading = matches!(&event, Ok(event) if matches!(event.kind, EventKind::Access(notify::event::AccessKind::Open(_) | notify::event::AccessKind::Read)));
        if !reading {
            stirred.notify_one();
        }
    })?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    watcher.watch(folder, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// The file's text and that of the `.env` beside it.
async fn read(path: &Path) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let text = tokio::fs::read(path).await.ok()?;
    let beside = tokio::fs::read(path.with_file_name(".env")).await.ok();
    Some((text, beside))
}
