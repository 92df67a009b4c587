//! The full-text index of one folder: which passages have which words.
//!
//! It lives in memory and is made anew at every start. Its source is on the disk
//! anyway and is read far faster than anybody asks; a copy of it would be one
//! more thing that can be old, torn, locked by another host or full. It holds no
//! text and no positions, so it takes a fraction of what the documents do.
//!
//! Nothing runs here while nothing changes: the writer, with its one thread for
//! indexing and one for merging, is opened for a run of changes and closed after
//! it.

use tantivy::collector::{Collector, TopDocs};
use tantivy::directory::RamDirectory;
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::query::{EnableScoring, Query};
use tantivy::schema::{Field, IndexRecordOption, NumericOptions, Schema, TextFieldIndexing, TextOptions};
use tantivy::{
    Index, IndexReader, IndexSettings, IndexWriter, ReloadPolicy, Searcher, TantivyDocument, TantivyError,
    Term,
};

use super::words::{ANALYZER, FORMS_ANALYZER, analyzer, forms_analyzer};

/// The least that the writer asks for.
const WRITER_BYTES: usize = 16 << 20;
/// How much of a segment may be deleted before it is written anew.
const MAX_DELETED: f32 = 0.3;

/// The fields that hold words, and what a word counts in each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    /// Title and path of the document.
    pub(super) title: Field,
    /// The headings above, but for the innermost.
    pub(super) above: Field,
    /// The innermost heading.
    pub(super) heading: Field,
    pub(super) body: Field,
    /// Words as they are written; nothing is searched in it, it says which there
    /// are.
    pub(super) forms: Field,
    document: Field,
    passage: Field,
}

/// The words of a passage, by where they stand.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry<'a> {
    pub(super) document: u64,
    pub(super) passage: u64,
    pub(super) title: &'a str,
    pub(super) above: &'a str,
    pub(super) heading: &'a str,
    pub(super) body: &'a str,
    pub(super) forms: &'a str,
}

/// A passage that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) document: u64,
    pub(super) passage: usize,
    pub(super) score: f32,
}

pub(super) struct Store {
    index: Index,
    reader: IndexReader,
    pub(super) fields: Fields,
}

impl Store {
    pub(super) fn new() -> Result<Store, TantivyError> {
        let (schema, fields) = schema();
        let index = Index::create(RamDirectory::create(), schema, IndexSettings::default())?;
        index.tokenizers().register(ANALYZER, analyzer());
        index.tokenizers().register(FORMS_ANALYZER, forms_analyzer());
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .try_into()?;
        Ok(Store {
            index,
            reader,
            fields,
        })
    }

    pub(super) fn writer(&self) -> Result<Writer, TantivyError> {
        let options = IndexWriterOptions::builder()
            .memory_budget_per_thread(WRITER_BYTES)
            .num_worker_threads(1)
            .num_merge_threads(1)
            .build();
        let writer = self.index.writer_with_options(options)?;
        let mut merges = LogMergePolicy::default();
        merges.set_del_docs_ratio_before_merge(MAX_DELETED);
        writer.set_merge_policy(Box::new(merges));
        Ok(Writer {
            writer,
            reader: self.reader.clone(),
            fields: self.fields,
        })
    }

    /// A view of the index that does not change.
    pub(super) fn searcher(&self) -> Searcher {
        self.reader.searcher()
    }
}

fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let words = |analyzer: &str, what: IndexRecordOption| {
        let indexing = TextFieldIndexing::default()
            .set_tokenizer(analyzer)
            .set_index_option(what)
            .set_fieldnorms(what.has_freq());
        TextOptions::default().set_indexing_options(indexing)
    };
    let scored = words(ANALYZER, IndexRecordOption::WithFreqs);
    let listed = words(FORMS_ANALYZER, IndexRecordOption::Basic);
    let number = NumericOptions::default().set_fast();
    let fields = Fields {
        title: schema.add_text_field("title", scored.clone()),
        above: schema.add_text_field("above", scored.clone()),
        heading: schema.add_text_field("heading", scored.clone()),
        body: schema.add_text_field("body", scored),
        forms: schema.add_text_field("forms", listed),
        document: schema.add_u64_field("document", number.clone().set_indexed()),
        passage: schema.add_u64_field("passage", number),
    };
    (schema.build(), fields)
}

/// Writes to the index. One at a time; nothing is seen before
/// [`Writer::commit`].
pub(super) struct Writer {
    writer: IndexWriter,
    reader: IndexReader,
    fields: Fields,
}

impl Writer {
    pub(super) fn add(&self, entry: &Entry<'_>) -> Result<(), TantivyError> {
        let mut document = TantivyDocument::new();
        document.add_u64(self.fields.document, entry.document);
        document.add_u64(self.fields.passage, entry.passage);
        for (field, words) in [
            (self.fields.title, entry.title),
            (self.fields.above, entry.above),
            (self.fields.heading, entry.heading),
            (self.fields.body, entry.body),
            (self.fields.forms, entry.forms),
        ] {
            if !words.is_empty() {
                document.add_text(field, words);
            }
        }
        self.writer.add_document(document)?;
        Ok(())
    }

    pub(super) fn remove(&self, document: u64) {
        self.writer
            .delete_term(Term::from_field_u64(self.fields.document, document));
    }

    pub(super) fn remove_all(&self) -> Result<(), TantivyError> {
        self.writer.delete_all_documents()?;
        Ok(())
    }

    /// Makes what was added and removed known to searches that begin after it.
    pub(super) fn commit(&mut self) -> Result<(), TantivyError> {
        self.writer.commit()?;
        self.reader.reload()
    }

    /// Ends the writer and its threads, once what they merge is merged.
    pub(super) fn close(self) -> Result<(), TantivyError> {
        self.writer.wait_merging_threads()?;
        // What was merged takes the place of what it was made of, and frees it.
        self.reader.reload()
    }
}

/// The best passages for a query, best first; `None` when `give_up` says so.
pub(super) fn best(
    searcher: &Searcher,
    fields: &Fields,
    query: &dyn Query,
    limit: usize,
    give_up: &dyn Fn() -> bool,
) -> Result<Option<Vec<Found>>, TantivyError> {
    let weight = query.weight(EnableScoring::enabled_from_searcher(searcher))?;
    let collector = TopDocs::with_limit(limit).order_by_score();
    let mut fruits = Vec::new();
    for (ordinal, segment) in (0_u32..).zip(searcher.segment_readers()) {
        if give_up() {
            return Ok(None);
        }
        fruits.push(collector.collect_segment(weight.as_ref(), ordinal, segment)?);
    }
    let mut found = Vec::new();
    for (score, address) in collector.merge_fruits(fruits)? {
        let columns = searcher.segment_reader(address.segment_ord).fast_fields();
        let number = |field: Field| -> Result<Option<u64>, TantivyError> {
            let name = searcher.schema().get_field_name(field);
            Ok(columns.u64(name)?.first(address.doc_id))
        };
        let (Some(document), Some(passage)) = (number(fields.document)?, number(fields.passage)?) else {
            continue;
        };
        found.push(Found {
            document,
            passage: usize::try_from(passage).unwrap_or(usize::MAX),
            score,
        });
    }
    Ok(Some(found))
}
