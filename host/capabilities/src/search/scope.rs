//! Which paths of a folder are documents, by their names alone.
//!
//! Case does not matter (`README.MD` is Markdown too), and what is hidden, as
//! names that begin with `.` are, is left out: editors and version control put
//! their own there.

use globset::{Glob, GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};

use super::settings::Index;

/// The patterns of one index.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    include: GlobSet,
    exclude: GlobSet,
    ways: Vec<Way>,
}

/// The folders on the way to what a pattern of `include` matches, one part after
/// the other. What no pattern leads to (a folder of build output beside the
/// documents) is not looked into, and costs nothing.
#[derive(Clone, Debug)]
struct Way {
    folders: Vec<GlobMatcher>,
    /// From here on, any folder may be on the way.
    any: bool,
}

impl Scope {
    /// A pattern that does not parse matches nothing: the configuration was
    /// refused before it came here.
    pub(super) fn of(index: &Index) -> Scope {
        Scope {
            include: set(&index.include),
            exclude: set(&index.exclude),
            ways: index.include.iter().map(|pattern| Way::of(pattern)).collect(),
        }
    }

    /// Whether a file of this path is a document.
    pub(super) fn has(&self, path: &str) -> bool {
        !is_hidden(path) && self.include.is_match(path) && !self.is_excluded(path)
    }

    /// Whether the folder of this path is looked into.
    pub(super) fn enters(&self, path: &str) -> bool {
        !is_hidden(path) && !self.is_excluded(path) && self.ways.iter().any(|way| way.leads_through(path))
    }

    /// Whether the operator leaves it out, or a folder it is in.
    pub(super) fn is_excluded(&self, path: &str) -> bool {
        let folders = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
        !self.exclude.is_empty() && folders.chain([path]).any(|path| self.exclude.is_match(path))
    }
}

impl Way {
    fn of(pattern: &str) -> Way {
        let mut way = Way {
            folders: Vec::new(),
            any: false,
        };
        let mut parts = pattern.split('/').peekable();
        while let Some(part) = parts.next() {
            let is_last = parts.peek().is_none();
            // Alternatives may have a slash in them.
            let anywhere = part.contains("**") || (!is_last && part.contains(['{', '[', '\\']));
            match glob(part) {
                Some(glob) if !anywhere && !is_last => way.folders.push(glob.compile_matcher()),
                Some(_) if !anywhere => {}
                _ => {
                    way.any = true;
                    break;
                }
            }
        }
        way
    }

    fn leads_through(&self, path: &str) -> bool {
        let mut folders = self.folders.iter();
        for part in path.split('/').filter(|part| !part.is_empty()) {
            match folders.next() {
                Some(folder) if folder.is_match(part) => {}
                Some(_) => return false,
                None => return self.any,
            }
        }
        true
    }
}

fn is_hidden(path: &str) -> bool {
    path.split('/').any(|part| part.starts_with('.'))
}

fn set(patterns: &[String]) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        // `dir/**` names all that is in `dir`, so there is no need to enter it.
        let folder = pattern.strip_suffix("/**");
        for pattern in [Some(pattern.as_str()), folder].into_iter().flatten() {
            if let Some(glob) = glob(pattern) {
                set.add(glob);
            }
        }
    }
    set.build().unwrap_or_default()
}

fn glob(pattern: &str) -> Option<Glob> {
    let mut glob = GlobBuilder::new(pattern);
    glob.literal_separator(true).case_insensitive(true).build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(include: &[&str], exclude: &[&str]) -> Scope {
        let owned = |patterns: &[&str]| patterns.iter().map(|p| (*p).to_owned()).collect();
        Scope::of(&Index {
            include: owned(include),
            exclude: owned(exclude),
            ..Index::at("/docs".into())
        })
    }

    #[test]
    fn by_default_every_text_that_is_not_hidden_is_a_document() {
        let scope = scope(&Index::INCLUDE, &[]);
        for (path, expected) in [
            ("a.md", true),
            ("deep/er/README.MD", true),
            ("x.htm", true),
            ("x.rs", false),
            ("md", false),
            (".a.md", false),
            (".git/a.md", false),
            ("a/.b/c.md", false),
            ("..data/c.md", false),
        ] {
            assert_eq!(scope.has(path), expected, "{path}");
        }
    }

    #[test]
    fn what_is_excluded_is_not_entered() {
        let scope = scope(
            &["**/*.md", "docs/*.txt"],
            &["**/target", "drafts/**", "*.tmp.md"],
        );
        for (path, expected) in [
            ("docs/a.txt", true),
            ("docs/b/a.txt", false),
            ("a.tmp.md", false),
            ("b/a.tmp.md", true),
            ("target/a.md", false),
            ("x/target/y/a.md", false),
            ("drafts/a.md", false),
        ] {
            assert_eq!(scope.has(path), expected, "{path}");
        }
        assert!(!scope.enters("drafts") && !scope.enters("a/target/b") && scope.enters("a/drafts"));
    }

    #[test]
    fn only_folders_on_the_way_to_a_document_are_entered() {
        let scope = scope(
            &["*.md", "docs/**/*.md", "host/*/notes/*.{txt,md}"],
            &["docs/old"],
        );
        for (path, expected) in [
            ("", true),
            ("docs", true),
            ("DOCS/a/b/c", true),
            ("docs/old/a", false),
            ("host", true),
            ("host/x/notes", true),
            ("host/x/other", false),
            ("host/x/notes/deeper", false),
        ] {
            assert_eq!(scope.enters(path), expected, "{path}");
        }
        // Where alternatives lead is not told: anywhere, perhaps.
        assert!(self::scope(&["{a,b/c}/*.md"], &[]).enters("target"));
        let scope = self::scope(&["*.md", "docs/**"], &[]);
        assert!(!scope.enters("target") && !scope.enters("target/docs") && scope.enters("docs/target"));
        assert!(scope.has("docs/x/y") && !scope.has("docs/.x/y"));
    }
}
