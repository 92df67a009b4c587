//! Searches the folders of documents that the operator granted
//! (`[grants] search = ["docs"]` in the plugin's own `.toml`).
//!
//! ```
//! use segue_sdk::{prelude::*, search};
//!
//! fn look_up(message: Message, reply: &mut Reply) -> Result<()> {
//!     let hits = search::query("docs", message.text(), 3)?.read()?;
//!     for hit in &hits {
//!         reply.send(format!("{}: {}\n", hit.title, hit.text))?;
//!     }
//!     if hits.is_empty() {
//!         reply.send("Nothing there about that.")?;
//!     }
//!     Ok(())
//! }
//!
//! use segue_sdk::test::{Call, FakeIndex};
//!
//! let docs = FakeIndex::new().document("tea.md", "# Tea\n\nSteep it for three minutes.");
//! let run = Call::text("how long to steep?").index("docs", docs).run(look_up);
//! assert_eq!(run.text(), "Tea: Steep it for three minutes.\n");
//! ```
//!
//! Error codes: `capability_denied`, `store_unavailable` (the index cannot be
//! read, or its first reading has not ended), `overloaded`, `invalid_argument`.

pub use crate::bindings::segue::search::search::Hit;
use crate::{Error, Result, host};

/// The indexes that are granted, in the operator's order. Empty when none is.
pub fn indexes() -> Vec<String> {
    host::search::indexes()
}

/// Starts a search for passages that have words of `text`, which is plain
/// language and not a query language; at most 4 KiB of it. At most `limit`
/// passages, and at most 50. The search runs while the caller goes on.
pub fn query(index: &str, text: &str, limit: u32) -> Result<Hits> {
    let inner = host::search::query(index, text, limit).map_err(Error::from_host)?;
    Ok(Hits { inner })
}

/// Where a person can read the document with these words marked: a path on the
/// host's public address. `words` are the quoted words as they stand at `offset`.
/// `None` when the operator does not serve the documents of this index.
///
/// ```
/// # use segue_sdk::{prelude::*, search, test};
/// # fn answer(_: Message, reply: &mut Reply) -> Result<()> {
/// for hit in search::query("docs", "steep", 1)?.read()? {
///     let words = hit.text.get(..8).unwrap_or(&hit.text);
///     match search::link("docs", &hit.document, hit.offset, words)? {
///         Some(link) => reply.send(format!("[{}]({link})", hit.title))?,
///         None => reply.send(hit.title)?,
///     }
/// }
/// # Ok(()) }
/// # let docs = test::FakeIndex::new().document("tea.md", "Steep it for long.").served();
/// # let run = test::Call::text("").index("docs", docs).run(answer);
/// # assert_eq!(run.text(), "[tea.md](/v1/documents/docs/tea.md?offset=0&words=Steep%20it#words)");
/// ```
pub fn link(index: &str, document: &str, offset: u64, words: &str) -> Result<Option<String>> {
    host::search::link(index, document, offset, words).map_err(Error::from_host)
}

/// A search under way.
#[derive(Debug)]
pub struct Hits {
    inner: host::search::Hits,
}

impl Hits {
    /// What was found, the best first. Waits for the search.
    pub fn read(self) -> Result<Vec<Hit>> {
        self.inner.read().map_err(Error::from_host)
    }
}
