//! How much a thread has written. A query's connection cannot write to a
//! database, so what the thread it runs on writes are SQLite's temporary files:
//! rows that are sorted, grouped or kept to be told apart.
//!
//! SQLite itself has no bound for them. Linux counts what each thread writes;
//! elsewhere only the query's time bounds them.

/// What one query may write to temporary files, in bytes. They lie where SQLite
/// puts them (`SQLITE_TMPDIR`, `TMPDIR`, `/var/tmp`, `/tmp`) and have no name.
pub(super) const MAX_BYTES: u64 = 256 << 20;

/// What this thread has written since it began, in bytes, if that is known.
#[cfg(target_os = "linux")]
pub(super) fn written_bytes() -> Option<u64> {
    let counters = std::fs::read_to_string("/proc/thread-self/io").ok()?;
    let line = counters.lines().find_map(|line| line.strip_prefix("wchar: "))?;
    line.trim().parse().ok()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn written_bytes() -> Option<u64> {
    None
}
