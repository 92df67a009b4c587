//! What columns are for, told from their names and types: what a row is called,
//! when it happened, what it costs. Nothing here knows any particular database.

use super::{Column, Field, Kind, Table};

/// Words of a date column that say no more than that it is one.
pub(crate) const DATE_WORDS: &[&str] = &["date", "at", "on", "time", "day", "datetime", "timestamp"];

/// Money, the best word first.
const MONEY: &[&str] = &["price", "total", "amount", "subtotal", "cost", "fee", "fare"];
/// What the whole of an order or a bill is called, the best word first.
const TOTAL: &[&str] = &["total", "amount", "subtotal", "revenue", "sale"];
const SIZE: &[&str] = &["size", "population", "area"];
const QUANTITY: &[&str] = &["quantity", "qty"];
/// Tables whose rows are sales.
const SALES: &[&str] = &[
    "order",
    "invoice",
    "sale",
    "purchase",
    "payment",
    "transaction",
    "receipt",
    "booking",
];

/// Those who do things, and among them those who buy.
const AGENTS: &str = "artist|author|band|brand|company|composer|director|doctor|employee|manager|manufacturer|musician|\
    organization|player|publisher|seller|shipper|singer|staff|student|supplier|teacher|team|vendor|worker|writer";
const BUYERS: &str = "buyer|client|contact|customer|guest|member|patient|person|shopper|subscriber|user";

impl Column {
    /// Whether it may hold dates as text; `Facts` looks whether it does.
    pub(crate) fn may_be_date(&self) -> bool {
        let named = self
            .words
            .last()
            .is_some_and(|word| DATE_WORDS.contains(&&**word));
        match self.kind {
            Kind::Date => true,
            Kind::Text | Kind::Unknown => named,
            _ => false,
        }
    }

    pub(crate) fn is_text(&self) -> bool {
        matches!(self.kind, Kind::Text) && !self.may_be_date()
    }

    /// A number that says how much, not which.
    pub(crate) fn is_measure(&self) -> bool {
        let names = [
            "id", "number", "no", "code", "year", "zip", "phone", "fax", "key", "index",
        ];
        self.kind.is_number() && self.primary == 0 && !self.foreign && !self.has_any(&names)
    }
}

impl Table {
    /// The columns by which people know a row; empty when only its key tells.
    pub(crate) fn label(&self) -> Vec<Field<'_>> {
        let text: Vec<Field<'_>> = self
            .fields()
            .filter(|field| field.column.is_text() && !field.column.foreign)
            .collect();
        let find = |words: &[&str]| text.iter().find(|field| field.column.words == *words).copied();
        let own = |last: &str| {
            let full = |field: &&Field<'_>| {
                let words = &field.column.words;
                words.split_last().is_some_and(|(end, rest)| {
                    end == last && (rest.is_empty() || rest.iter().all(|word| self.words.contains(word)))
                })
            };
            text.iter().find(full).copied()
        };
        if let Some(name) = own("name").or_else(|| find(&["full", "name"])) {
            return vec![name];
        }
        if let (Some(first), Some(last)) = (find(&["first", "name"]), find(&["last", "name"])) {
            return vec![first, last];
        }
        let others = own("title")
            .or_else(|| find(&["company", "name"]))
            .or_else(|| find(&["display", "name"]))
            .or_else(|| own("label"))
            .or_else(|| find(&["username"]))
            .or_else(|| find(&["user", "name"]))
            .or_else(|| {
                let described = own("description")?;
                (described.column.words.len() > 1).then_some(described)
            });
        others.into_iter().collect()
    }

    /// Whether the column is (part of) what a row is called.
    pub(crate) fn is_label(&self, column: &Column) -> bool {
        self.label()
            .iter()
            .any(|field| std::ptr::eq(field.column, column))
    }

    pub(crate) fn measures(&self) -> Vec<Field<'_>> {
        self.fields().filter(|field| field.column.is_measure()).collect()
    }

    /// What a row costs.
    pub(crate) fn money(&self) -> Option<Field<'_>> {
        self.best_measure(MONEY)
    }

    /// What a row comes to as a whole.
    pub(crate) fn total(&self) -> Option<Field<'_>> {
        self.best_measure(TOTAL)
    }

    pub(crate) fn quantity(&self) -> Option<Field<'_>> {
        self.best_measure(QUANTITY)
    }

    /// How large a row is, where its columns leave no doubt.
    pub(crate) fn size(&self) -> Option<Field<'_>> {
        self.total().or_else(|| self.best_measure(SIZE))
    }

    /// The first word that exactly one measure has decides.
    fn best_measure(&self, words: &[&str]) -> Option<Field<'_>> {
        let measures = self.measures();
        let with = |word: &&str| {
            let having: Vec<_> = measures.iter().filter(|field| field.column.has(word)).collect();
            // "total" beside "total tax": the bare name is the whole.
            let bare = having.iter().find(|field| field.column.words.len() == 1);
            match (bare, &*having) {
                (Some(bare), _) => Some(**bare),
                (None, [only]) => Some(**only),
                _ => None,
            }
        };
        words.iter().find_map(with)
    }

    /// Lines of an order or a bill: so many of something at a price each.
    pub(crate) fn line(&self) -> Option<Line<'_>> {
        let price = self
            .measures()
            .into_iter()
            .find(|field| field.column.has("price"));
        let discount = self
            .measures()
            .into_iter()
            .find(|field| field.column.has("discount"));
        Some(Line {
            quantity: self.quantity()?,
            price: price?,
            discount,
        })
    }

    /// Whether rows can do things.
    pub(crate) fn is_agent(&self) -> bool {
        self.is_named(AGENTS) || self.buys()
    }

    /// Whether rows buy, rather than sell or are sold.
    pub(crate) fn buys(&self) -> bool {
        self.is_named(BUYERS)
    }

    fn is_named(&self, list: &str) -> bool {
        let last = self.words.last();
        last.is_some_and(|last| list.split('|').any(|word| word == last))
    }

    /// Whether a row is a sale.
    pub(crate) fn is_sale(&self) -> bool {
        self.words.last().is_some_and(|word| SALES.contains(&&**word))
    }
}

/// What the lines of an order are made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    pub(crate) quantity: Field<'a>,
    pub(crate) price: Field<'a>,
    pub(crate) discount: Option<Field<'a>>,
}
