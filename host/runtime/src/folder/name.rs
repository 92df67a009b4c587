//! Which files of the folder are plugins, by their names alone.

use std::ffi::OsStr;

use crate::error::clip;

/// Which half of a pair a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Wasm,
    Toml,
}

/// What a file's name makes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FileName {
    Plugin(String, Part),
    /// Ends in `.wasm` and cannot be a plugin: worth a line in the log.
    Wrong(String),
    /// None of our business: temporary files, other files.
    Other,
}

const MAX_NAME: usize = 64;

impl FileName {
    pub(super) fn of(file: &OsStr) -> Self {
        let text = file.to_string_lossy();
        // What editors, `rsync` and downloads call a file in the making. The
        // other marks (`~`, `.tmp`, `.part`, `.swp`) end neither in `.wasm` nor
        // in `.toml`.
        if text.starts_with('.') {
            return Self::Other;
        }
        let (stem, part) = if let Some(stem) = text.strip_suffix(".wasm") {
            (stem, Part::Wasm)
        } else if let Some(stem) = text.strip_suffix(".toml") {
            (stem, Part::Toml)
        } else {
            return Self::Other;
        };
        match part {
            _ if is_plugin_name(stem) => Self::Plugin(stem.to_owned(), part),
            Part::Wasm => Self::Wrong(clip(&text, 100)),
            Part::Toml => Self::Other,
        }
    }
}

/// `[a-z0-9][a-z0-9_-]{0,63}`: safe in a path, a URL, a metric and a config key.
fn is_plugin_name(stem: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    stem.len() <= MAX_NAME
        && stem.bytes().next().is_some_and(plain)
        && stem
            .bytes()
            .all(|byte| plain(byte) || byte == b'_' || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_files_into_plugins_mistakes_and_the_rest() {
        let long = "a".repeat(64);
        for (file, expected) in [
            ("echo.wasm", FileName::Plugin("echo".into(), Part::Wasm)),
            ("sql-rag_2.toml", FileName::Plugin("sql-rag_2".into(), Part::Toml)),
            (
                &format!("{long}.wasm"),
                FileName::Plugin(long.clone(), Part::Wasm),
            ),
            ("Echo.wasm", FileName::Wrong("Echo.wasm".into())),
            ("-echo.wasm", FileName::Wrong("-echo.wasm".into())),
            ("my plugin.wasm", FileName::Wrong("my plugin.wasm".into())),
            ("echo.1.wasm", FileName::Wrong("echo.1.wasm".into())),
            (&format!("{long}a.wasm"), FileName::Wrong(format!("{long}a.wasm"))),
            (".wasm", FileName::Other),
            (".echo.wasm", FileName::Other),
            ("..data", FileName::Other),
            ("Echo.toml", FileName::Other),
            ("echo.wasm~", FileName::Other),
            ("echo.wasm.part", FileName::Other),
            ("echo.wasm.tmp", FileName::Other),
            ("echo.wasm.swp", FileName::Other),
            ("README.md", FileName::Other),
        ] {
            assert_eq!(FileName::of(OsStr::new(file)), expected, "{file}");
        }
    }
}
