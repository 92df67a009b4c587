//! `[settings]`, and which database and model are asked.

use segue_sdk::prelude::*;
use segue_sdk::{llm, sql};

use crate::words::Synonyms;

/// How many rows an answer shows unless told.
const MAX_ROWS: usize = 50;

/// What the operator set.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Only this database, whatever the client says.
    database: Option<String>,
    model: Option<String>,
    /// As many rows as an answer shows.
    pub(crate) max_rows: usize,
    /// The model may word the answer.
    pub(crate) summarise: bool,
    pub(crate) synonyms: Synonyms,
}

impl Settings {
    pub(crate) fn new(message: &Message) -> Result<Self> {
        let max_rows = match message.setting("max_rows") {
            None => MAX_ROWS,
            Some(text) => match text.parse() {
                Ok(rows @ 1..=1000) => rows,
                _ => return Err(fault("[settings] max_rows is a number from 1 to 1000")),
            },
        };
        let summarise = match message.setting("summarise").as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(fault("[settings] summarise is true or false")),
        };
        let synonyms = match message.setting("synonyms") {
            None => Synonyms::default(),
            Some(table) => Synonyms::new(&table).map_err(|wrong| fault(&wrong))?,
        };
        Ok(Self {
            database: message.setting("database"),
            model: message.setting("model"),
            max_rows,
            summarise,
            synonyms,
        })
    }

    /// The database: the operator's choice, else the client's, else the only one.
    pub(crate) fn database(&self, message: &Message) -> Result<String> {
        if let Some(name) = self.database.clone().or_else(|| message.meta("database")) {
            return Ok(name);
        }
        let mut granted = sql::databases();
        match (granted.pop(), &*granted) {
            (Some(only), []) => Ok(only),
            (None, _) => Err(Error::new(
                "capability_denied",
                "no database is granted to sql-rag: add `sql = [\"NAME\"]` under [grants] in sql-rag.toml",
            )),
            (Some(last), others) => Err(Error::new(
                "invalid_argument",
                format!(
                    "which database? say \"database\" in meta: {}, {last}",
                    others.join(", ")
                ),
            )),
        }
    }

    /// The model that writes SQL, if there is one that can.
    pub(crate) fn model(&self) -> Result<Option<String>> {
        if let Some(name) = &self.model {
            return Ok(llm::generates(name)?.then(|| name.clone()));
        }
        let mut able = Vec::new();
        for name in llm::models() {
            if llm::generates(&name)? {
                able.push(name);
            }
        }
        match (able.pop(), &*able) {
            (only, []) => Ok(only),
            _ => Err(fault("several models are granted: name one in [settings] model")),
        }
    }
}

/// The operator's fault, which is for the log.
fn fault(detail: &str) -> Error {
    Error::new(Error::HANDLER_FAILED, "sql-rag is not set up right").with_detail(detail)
}
