//! What commands say on the terminal, and the runtime they wait in.
//!
//! A reader that goes away (`segue plugins ls | head`) is no error, so writes
//! to the terminal never fail and never panic.

use std::future::Future;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use segue_server::config::{Faults, LoadFailure};

/// One line, or several, of what was asked for.
pub(crate) fn say(text: &str) {
    let _gone = writeln!(io::stdout(), "{}", text.trim_end());
}

/// One sentence about what went wrong.
pub(crate) fn complain(text: &str) {
    tell(&format!("segue: {text}"));
}

/// Something beside what was asked for.
pub(crate) fn tell(text: &str) {
    let _gone = writeln!(io::stderr(), "{}", text.trim_end());
}

/// Why a file could not be read, in words and with what mends it.
pub(crate) fn unreadable(file: &Path, error: &io::Error) -> String {
    let shown = file.display();
    match error.kind() {
        io::ErrorKind::NotFound => format!("there is no file {shown}; check the path"),
        io::ErrorKind::PermissionDenied => {
            format!("cannot read {shown}: this user may not; run as one that may, or change its permissions")
        }
        io::ErrorKind::IsADirectory => format!("{shown} is a folder; name the file in it"),
        _ => format!("cannot read {shown}: {error}"),
    }
}

/// Why a file could not be written, likewise.
pub(crate) fn unwritable(file: &Path, error: &io::Error) -> String {
    let shown = file.display();
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).display();
    match error.kind() {
        io::ErrorKind::NotFound => {
            format!("cannot write {shown}: there is no folder {folder}; make it first")
        }
        io::ErrorKind::PermissionDenied => {
            format!("cannot write {shown}: this user may not write into {folder}; choose another place")
        }
        _ => format!("cannot write {shown}: {error}"),
    }
}

/// Says why there is no config; returns the exit code for it.
pub(crate) fn no_config(failure: &LoadFailure) -> ExitCode {
    match failure {
        LoadFailure::Faults(faults) => {
            show(faults);
            ExitCode::FAILURE
        }
        LoadFailure::Unreadable { .. } => {
            complain(&failure.to_string());
            ExitCode::from(super::UNREADABLE)
        }
    }
}

fn show(faults: &Faults) {
    tell(&faults.report(io::stderr().is_terminal()));
}

/// Runs a command that waits for the network. What still blocks in the
/// background (a read of the keyboard) does not keep the command.
pub(crate) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the threads of this command cannot be started")?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}

/// Lines of columns, each as wide as it must be, two spaces apart.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths);
        let cells: Vec<String> = cells.map(|(cell, width)| format!("{cell:width$}")).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_lacks_is_told_in_words() {
        let file = Path::new("a/b.wasm");
        for kind in [
            io::ErrorKind::NotFound,
            io::ErrorKind::PermissionDenied,
            io::ErrorKind::IsADirectory,
        ] {
            let error = io::Error::from(kind);
            let said = unreadable(file, &error);
            assert!(said.contains("a/b.wasm") && !said.contains("os error"), "{said}");
        }
        let none = io::Error::from_raw_os_error(2);
        assert_eq!(
            unreadable(file, &none),
            "there is no file a/b.wasm; check the path"
        );
        assert_eq!(
            unwritable(file, &none),
            "cannot write a/b.wasm: there is no folder a; make it first"
        );
    }

    #[test]
    fn columns_line_up_and_lines_do_not_trail() {
        let rows = [["NAME", "STATE"], ["a", "active"], ["longer-name", ""]];
        let rows: Vec<Vec<String>> = rows.iter().map(|r| r.map(str::to_owned).to_vec()).collect();
        assert_eq!(
            table(&rows),
            "NAME         STATE\na            active\nlonger-name\n"
        );
    }
}
