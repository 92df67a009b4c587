//! What an operator decides about one folder of documents: `[search.NAME]`.

use std::path::PathBuf;

/// `[search.NAME]`. The paths and patterns are already validated: `path` is
/// absolute (or as the host resolves it), each pattern is a glob that parses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// The folder. It need not be there yet: it is looked for again and again.
    pub path: PathBuf,
    /// Which files are documents: globs over the path within the folder, with
    /// `/` between its parts. `*` stays within one part, `**` does not; case does
    /// not matter. What begins with a dot is never one.
    pub include: Vec<String>,
    /// Which of these are left out after all. A folder that is named here is
    /// not entered.
    pub exclude: Vec<String>,
    /// The largest file that is read, in bytes; larger ones are left out, with
    /// a line in the log.
    pub max_file: u64,
    /// How many files of these the index may know; what is found past it is left
    /// out, with a line in the log. Those that turn out to be no documents count.
    pub max_files: usize,
    /// Whether people may read the documents at `/v1/documents/NAME/...`.
    pub serve: bool,
    /// Searches that may wait for their turn; one more is `overloaded`. Of those
    /// that run and wait, one plugin may have half.
    pub queue: usize,
    /// The cache that searches are answered from, by its name.
    pub cache: Option<String>,
}

impl Index {
    /// The patterns of `include`, where the operator gives none.
    pub const INCLUDE: [&'static str; 5] = ["**/*.md", "**/*.markdown", "**/*.txt", "**/*.html", "**/*.htm"];
    /// The default of `max_file`.
    pub const MAX_FILE: u64 = 4 << 20;
    /// The default of `max_files`.
    pub const MAX_FILES: usize = 50_000;
    /// The default of `queue`.
    pub const QUEUE: usize = 64;

    /// The defaults, over the folder at `path`.
    pub fn at(path: PathBuf) -> Index {
        Index {
            path,
            include: Index::INCLUDE.map(str::to_owned).to_vec(),
            exclude: Vec::new(),
            max_file: Index::MAX_FILE,
            max_files: Index::MAX_FILES,
            serve: false,
            queue: Index::QUEUE,
            cache: None,
        }
    }
}
