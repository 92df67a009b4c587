//! Ties the words of a question to what the database holds: at every place the
//! tables, columns and values that the words from there on may mean. Which of
//! them they do mean is decided by the grammar (`read`) and by what fits
//! together (`plan`).

mod facts;
mod names;
mod values;

use std::rc::Rc;

use segue_sdk::Result;
pub(crate) use segue_sdk::sql::Value;

use crate::schema::{Field, Graph, Schema, Table};
use crate::words::{Question, Synonyms};

pub(crate) use facts::Facts;

/// Where questions are asked of the database.
pub(crate) trait Database {
    /// The rows of one statement, with `?1`, `?2` ... bound to `params`.
    fn query(&self, sql: &str, params: &[Value]) -> Result<Vec<Vec<Value>>>;
}

/// What the words may mean.
#[derive(Debug)]
pub(crate) struct Links<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) graph: Graph<'a>,
    spots: Vec<Spot<'a>>,
}

/// What may be meant by the words that begin at one place.
#[derive(Debug, Default)]
pub(crate) struct Spot<'a> {
    pub(crate) tables: Vec<Named<'a>>,
    pub(crate) columns: Vec<Mention<'a>>,
    pub(crate) values: Vec<Rc<Said<'a>>>,
    /// Columns of dates by a participle: "hired".
    pub(crate) dates: Vec<Mention<'a>>,
}

/// A table by its name.
#[derive(Debug, Clone)]
pub(crate) struct Named<'a> {
    pub(crate) table: &'a Table,
    /// How far the words are from its name.
    pub(crate) cost: u32,
    /// The word after it.
    pub(crate) end: usize,
    pub(crate) plural: bool,
}

/// A column by its name: whose, the rest of the question may tell.
#[derive(Debug, Clone)]
pub(crate) struct Mention<'a> {
    /// What it may be, and how far the words are from its name.
    pub(crate) fields: Vec<(Field<'a>, u32)>,
    /// The table it is said to be of.
    pub(crate) owner: Option<&'a Table>,
    pub(crate) end: usize,
    /// The words themselves, singular.
    pub(crate) said: String,
    pub(crate) plural: bool,
}

/// A value that some columns hold.
#[derive(Debug)]
pub(crate) struct Said<'a> {
    pub(crate) text: String,
    pub(crate) end: usize,
    pub(crate) hits: Vec<Hit<'a>>,
}

/// A column that holds a value, or the label of a table if that takes several.
#[derive(Debug, Clone)]
pub(crate) struct Hit<'a> {
    pub(crate) place: Place<'a>,
    /// As the column has it, in all its spellings.
    pub(crate) stored: Vec<String>,
}

/// Where a value stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Place<'a> {
    Column(Field<'a>),
    /// All columns of a label, with blanks between: a person's names.
    Label(&'a Table),
}

impl<'a> Place<'a> {
    pub(crate) fn table(&self) -> &'a Table {
        match self {
            Self::Column(field) => field.table,
            Self::Label(table) => table,
        }
    }

    /// Whether a row is called by the value, rather than described.
    pub(crate) fn is_label(&self) -> bool {
        match self {
            Self::Column(field) => field.table.is_label(field.column),
            Self::Label(_) => true,
        }
    }
}

impl<'a> Links<'a> {
    /// Ties names at once, and values by one question to the database.
    pub(crate) fn new(
        question: &Question,
        schema: &'a Schema,
        synonyms: &Synonyms,
        database: &dyn Database,
    ) -> Result<Self> {
        let mut spots: Vec<Spot<'a>> = Vec::new();
        for at in 0..question.tokens.len() {
            spots.push(names::spot(question, at, schema, synonyms));
        }
        for (at, said) in values::find(question, schema, database)? {
            if let Some(spot) = spots.get_mut(at) {
                spot.values.push(Rc::new(said));
            }
        }
        let graph = Graph::new(schema);
        Ok(Self { schema, graph, spots })
    }

    pub(crate) fn spot(&self, at: usize) -> Option<&Spot<'a>> {
        self.spots.get(at)
    }

    pub(crate) fn spots(&self) -> impl Iterator<Item = &Spot<'a>> {
        self.spots.iter()
    }

    /// The columns that a word of one's own choosing may mean.
    pub(crate) fn columns_called(&self, word: &str, end: usize) -> Option<Mention<'a>> {
        names::columns_called(self.schema, word, end)
    }
}
