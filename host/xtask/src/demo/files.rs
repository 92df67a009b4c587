//! What lies in the demo's folder, and how it is kept.
//!
//! Guarantees: a file that a person has changed is left alone; any other is as
//! this run makes it, and is there. What the last run wrote is kept in `.last`,
//! to tell the one from the other.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::paths::Paths;
use crate::{guests, shop};

/// The plugins of the demo, and what is granted to each.
pub(crate) const PLUGINS: [(&str, &str); 3] = [
    ("chat", include_str!("chat.toml")),
    ("sql-rag", include_str!("sql-rag.toml")),
    ("doc-rag", include_str!("doc-rag.toml")),
];

/// Stands in the configuration for the folder of the checkout.
const CHECKOUT: &str = "@CHECKOUT@";

/// The demo's configuration, for a checkout at `root`.
pub(crate) fn config(root: &Path) -> String {
    let root = root.display().to_string();
    let quoted = root.replace('\\', "\\\\").replace('"', "\\\"");
    include_str!("segue.toml").replace(CHECKOUT, &quoted)
}

/// Writes the demo's files, but none that a person has changed: those are
/// returned.
pub(super) fn lay_out(paths: &Paths, folder: &Path) -> Result<Vec<PathBuf>> {
    let plugins = folder.join("plugins");
    let last = folder.join(".last");
    for folder in [&plugins, &last] {
        fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
    }
    // What plugins ask comes before the plugins, and what they are granted before
    // what they are: a host that runs already looks at each as it comes.
    let mut files = vec![
        (folder.join("shop.db"), shop(&last)?),
        (folder.join("segue.toml"), config(&paths.root).into_bytes()),
    ];
    for (name, granted) in PLUGINS {
        let component = format!("{name}.wasm");
        let built = paths.target.join("plugins").join(&component);
        let built = fs::read(&built).with_context(|| format!("{}", built.display()))?;
        files.push((plugins.join(format!("{name}.toml")), granted.into()));
        files.push((plugins.join(component), built));
    }
    let mut kept = Vec::new();
    for (file, content) in files {
        let name = file.file_name().unwrap_or_default();
        if !renew(&content, &file, &last.join(name))? {
            kept.push(file);
        }
    }
    Ok(kept)
}

/// The shop's database, made in `folder` and taken out of it again.
fn shop(folder: &Path) -> Result<Vec<u8>> {
    let file = folder.join("shop.new");
    shop::write(&file)?;
    let bytes = fs::read(&file).with_context(|| format!("{}", file.display()))?;
    fs::remove_file(&file).with_context(|| format!("{}", file.display()))?;
    Ok(bytes)
}

/// Brings `file` up to `new`, unless a person made it something else than `last`,
/// which is what an earlier run wrote. Whether `file` is now `new`.
fn renew(new: &[u8], file: &Path, last: &Path) -> Result<bool> {
    let untouched = match (fs::read(file), fs::read(last)) {
        (Ok(file), _) if file == new => true,
        (Ok(file), Ok(last)) => file == last,
        (Ok(_), Err(_)) => false,
        // Removed: the demo would have nothing to show.
        (Err(_), _) => true,
    };
    if untouched {
        guests::place(new, file)?;
        guests::place(new, last)?;
    }
    Ok(untouched)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_run_renews_what_is_untouched_and_keeps_what_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let [file, last] = ["file", "last"].map(|name| folder.path().join(name));
        let run = |content: &str| {
            renew(content.as_bytes(), &file, &last).unwrap();
            fs::read_to_string(&file).unwrap()
        };
        assert_eq!(run("one"), "one");
        assert_eq!(run("two"), "two");
        fs::write(&file, "mine").unwrap();
        assert_eq!(run("three"), "mine");
        fs::remove_file(&file).unwrap();
        assert_eq!(run("four"), "four");
        fs::write(&file, "five").unwrap();
        assert_eq!(run("five"), "five");
        assert_eq!(run("six"), "six");
    }

    #[test]
    fn everything_the_demo_needs_is_laid_out() {
        let target = tempfile::tempdir().unwrap();
        let paths = Paths {
            root: Paths::find().unwrap().root,
            target: target.path().to_path_buf(),
        };
        fs::create_dir(target.path().join("plugins")).unwrap();
        for (name, _) in PLUGINS {
            fs::write(target.path().join(format!("plugins/{name}.wasm")), name).unwrap();
        }
        let demo = target.path().join("demo");
        assert!(lay_out(&paths, &demo).unwrap().is_empty());
        assert_eq!(
            fs::read_to_string(demo.join("plugins/doc-rag.wasm")).unwrap(),
            "doc-rag"
        );
        assert!(
            fs::read(demo.join("shop.db"))
                .unwrap()
                .starts_with(b"SQLite format 3")
        );

        // Again, with a person's changes: a swapped plugin and a route.
        fs::write(demo.join("plugins/chat.wasm"), "eliza").unwrap();
        fs::write(demo.join("segue.toml"), "# mine").unwrap();
        fs::remove_file(demo.join("shop.db")).unwrap();
        let kept = lay_out(&paths, &demo).unwrap();
        assert_eq!(kept, [demo.join("segue.toml"), demo.join("plugins/chat.wasm")]);
        assert_eq!(
            fs::read_to_string(demo.join("plugins/chat.wasm")).unwrap(),
            "eliza"
        );
        assert_eq!(fs::read_to_string(demo.join("segue.toml")).unwrap(), "# mine");
        assert!(demo.join("shop.db").is_file());
    }
}
