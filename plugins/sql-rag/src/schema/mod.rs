//! What a database holds, as the readers of questions see it: tables, columns
//! and the references between them, with nothing of their contents.

mod graph;
mod names;
mod roles;

pub(crate) use graph::{Graph, NoPath, Step};
pub(crate) use names::{joined, words_of};
pub(crate) use roles::DATE_WORDS;

/// The whole of it. Tables keep the order the database gave them.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    pub(crate) tables: Vec<Table>,
}

/// A table or a view.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: String,
    /// The name in words, singular and in lower case: `order_items` is
    /// `order`, `item`.
    pub(crate) words: Vec<String>,
    pub(crate) view: bool,
    pub(crate) columns: Vec<Column>,
    pub(crate) references: Vec<Reference>,
}

/// A column of a table.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) words: Vec<String>,
    pub(crate) kind: Kind,
    /// The type as it was declared; may be empty.
    pub(crate) declared: String,
    /// Its place in the primary key, from 1; 0 when it is not part of it.
    pub(crate) primary: u32,
    /// Part of a reference to another table.
    pub(crate) foreign: bool,
}

/// What a column's declared type says of its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Integer,
    Real,
    Text,
    Date,
    Bool,
    Blob,
    Unknown,
}

/// `columns` refer to `to` of `table`, pair by pair.
#[derive(Debug)]
pub(crate) struct Reference {
    pub(crate) columns: Vec<String>,
    pub(crate) table: String,
    pub(crate) to: Vec<String>,
}

/// A column together with its table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field<'a> {
    pub(crate) table: &'a Table,
    pub(crate) column: &'a Column,
}

impl PartialEq for Field<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.table == other.table && std::ptr::eq(self.column, other.column)
    }
}

impl PartialEq for Table {
    /// Tables of one schema differ in name.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Schema {
    pub(crate) fn table(&self, name: &str) -> Option<&Table> {
        let same = |table: &&Table| table.name.eq_ignore_ascii_case(name);
        self.tables.iter().find(same)
    }

    pub(crate) fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        self.tables.iter().flat_map(Table::fields)
    }
}

impl Table {
    pub(crate) fn new(name: &str, view: bool, columns: Vec<Column>, mut references: Vec<Reference>) -> Self {
        let mut columns = columns;
        references.retain(|reference| !reference.columns.is_empty());
        for column in &mut columns {
            column.foreign = references
                .iter()
                .any(|reference| reference.columns.contains(&column.name));
        }
        Self {
            name: name.into(),
            words: words_of(name),
            view,
            columns,
            references,
        }
    }

    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        let same = |column: &&Column| column.name.eq_ignore_ascii_case(name);
        self.columns.iter().find(same)
    }

    pub(crate) fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        self.columns.iter().map(|column| Field { table: self, column })
    }

    /// The columns of the primary key, in its order. Empty when there is none.
    pub(crate) fn primary(&self) -> Vec<Field<'_>> {
        let place = |place: u32| self.fields().find(move |field| field.column.primary == place);
        (1..).map_while(place).collect()
    }
}

impl Column {
    pub(crate) fn new(name: &str, declared: &str, primary: u32) -> Self {
        Self {
            name: name.into(),
            words: words_of(name),
            kind: Kind::of(declared),
            declared: declared.into(),
            primary,
            foreign: false,
        }
    }

    pub(crate) fn has(&self, word: &str) -> bool {
        self.words.iter().any(|own| own == word)
    }

    pub(crate) fn has_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.has(word))
    }
}

impl Kind {
    /// After SQLite's rules of affinity, with dates and truth values told apart.
    fn of(declared: &str) -> Self {
        let declared = declared.to_ascii_uppercase();
        let says = |parts: &[&str]| parts.iter().any(|part| declared.contains(part));
        if says(&["BOOL"]) {
            Self::Bool
        } else if says(&["DATE", "TIME"]) {
            Self::Date
        } else if says(&["INT"]) {
            Self::Integer
        } else if says(&["CHAR", "CLOB", "TEXT", "STRING", "UUID"]) {
            Self::Text
        } else if says(&["BLOB", "BINARY"]) {
            Self::Blob
        } else if says(&["REAL", "FLOA", "DOUB", "NUM", "DEC", "MONEY"]) {
            Self::Real
        } else {
            Self::Unknown
        }
    }

    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Real)
    }
}
