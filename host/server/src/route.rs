//! Which handlers get a message.
//!
//! [`config::winner`] chooses: of the routes that match, the one with the most
//! conditions, and of equals the first in the file.

use std::collections::HashSet;

use segue_protocol::{ErrorCode, Incoming, RequestError};

use crate::config::{self, Route};
use crate::telemetry::metrics::OTHER;

#[derive(Debug, Default)]
pub struct Routes {
    /// In the order of the file.
    routes: Vec<Route>,
    mtypes: HashSet<String>,
}

impl Routes {
    pub fn new(routes: &[Route]) -> Routes {
        Routes {
            routes: routes.to_vec(),
            mtypes: routes.iter().filter_map(|r| r.mtype.clone()).collect(),
        }
    }

    pub fn find(&self, message: &Incoming) -> Result<&Route, RequestError> {
        config::winner(&self.routes, &message.mtype, message.rag_sql, message.rag_doc).ok_or_else(|| {
            RequestError::new(
                ErrorCode::NoRoute,
                format!(
                    "no route takes messages of type {:?} with rag_sql = {} and rag_doc = {}",
                    message.mtype, message.rag_sql, message.rag_doc
                ),
            )
        })
    }

    /// The message type as a metric label, which never takes a client's text.
    pub fn label<'a>(&self, mtype: &'a str) -> &'a str {
        if self.mtypes.contains(mtype) { mtype } else { OTHER }
    }

    /// Every handler that some route names.
    pub fn handlers(&self) -> impl Iterator<Item = &str> {
        self.routes.iter().flat_map(Route::every_handler)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Mode;

    fn route(mtype: Option<&str>, rag_sql: Option<bool>, handler: &str) -> Route {
        Route {
            mtype: mtype.map(str::to_owned),
            rag_sql,
            rag_doc: None,
            handlers: vec![handler.to_owned()],
            mode: Mode::Parallel,
            deadline: None,
            fallback: Vec::new(),
            line: 1,
        }
    }

    fn message(mtype: &str, rag_sql: bool) -> Incoming {
        Incoming {
            id: None,
            mtype: mtype.into(),
            content: String::new(),
            rag_sql,
            rag_doc: false,
            meta: serde_json::Map::new(),
            traceparent: None,
        }
    }

    #[test]
    fn the_most_specific_match_wins_and_ties_go_by_order() {
        let routes = Routes::new(&[
            route(None, None, "any"),
            route(Some("chat"), None, "chat"),
            route(None, Some(true), "sql"),
            route(Some("chat"), Some(true), "chat-sql"),
        ]);
        let to = |mtype, sql| routes.find(&message(mtype, sql)).unwrap().handlers[0].clone();
        assert_eq!(to("chat", true), "chat-sql");
        assert_eq!(to("chat", false), "chat");
        assert_eq!(to("other", true), "sql");
        assert_eq!(to("other", false), "any");
        assert_eq!(routes.label("chat"), "chat");
        assert_eq!(routes.label("a client's text"), OTHER);
    }

    #[test]
    fn a_message_that_no_route_takes_is_told_so() {
        let routes = Routes::new(&[route(Some("chat"), None, "chat")]);
        assert_eq!(
            routes.find(&message("x", false)).unwrap_err().code,
            ErrorCode::NoRoute
        );
    }
}
