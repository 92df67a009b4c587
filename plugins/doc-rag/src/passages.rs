//! Which passages answer a question.

use segue_sdk::prelude::*;
use segue_sdk::search::{self, Hit};

use crate::words::Words;

/// A passage and the index it was found in.
#[derive(Debug, Clone)]
pub(crate) struct Passage {
    pub(crate) index: String,
    pub(crate) hit: Hit,
}

/// Searches that run at the same time; a call may hold twice as many.
const AT_ONCE: usize = 8;

/// The passages that fit best, at most `most`, the best first. Several indexes
/// are searched at the same time and take turns: scores of two searches cannot be
/// compared.
pub(crate) fn find(indexes: &[String], text: &str, most: u32, asked: &Words) -> Result<Vec<Passage>> {
    let mut found = Vec::with_capacity(indexes.len());
    for some in indexes.chunks(AT_ONCE) {
        let searches: Vec<_> = some
            .iter()
            .map(|index| Ok((index, search::query(index, text, most)?)))
            .collect::<Result<_>>()?;
        for (index, hits) in searches {
            let hits = hits.read()?.into_iter().filter(|hit| is_about(hit, asked));
            found.push((index, hits));
        }
    }
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut passages = Vec::new();
    loop {
        let before = passages.len();
        for (index, hits) in &mut found {
            if let Some(hit) = hits.next() {
                let index = index.clone();
                passages.push(Passage { index, hit });
            }
        }
        if passages.len() >= most || passages.len() == before {
            passages.truncate(most);
            return Ok(passages);
        }
    }
}

/// A search finds whatever has one of the words. A passage is about the question
/// if it has two of those that matter, or one of three.
fn is_about(hit: &Hit, asked: &Words) -> bool {
    let text = [&hit.text, &hit.title, &hit.headings.join(" "), &hit.document];
    let shared = asked.shared_with(&Words::of(&text.map(String::as_str).join(" ")));
    // In a question of stop words alone the search has to be believed.
    asked.len() == 0 || shared >= 2 || shared * 3 >= asked.len() && shared > 0
}
