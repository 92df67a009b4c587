//! What the public listener answers over plain HTTP.
//!
//! | file | paths |
//! |---|---|
//! | `messages.rs` | `POST /v1/messages`: a message, answered as a stream or as one object |
//! | `sessions.rs` | `/v1/sessions`: conversations and their history |
//! | `plugins.rs` | `/v1/plugins`: who answers here, in which version |
//! | `health.rs` | `/health/...`: whether the host lives and is ready |
//! | `metrics.rs`, `openapi.rs` | `/metrics`, `/openapi.json` |
//! | `page.rs` | `/`: the chat page |

pub(crate) mod health;
pub(crate) mod messages;
pub(crate) mod metrics;
pub(crate) mod openapi;
pub(crate) mod page;
pub(crate) mod plugins;
pub(crate) mod sessions;

use axum::routing::{delete, get, post};

use crate::edge::router::Served;

/// The routes, without what is around them.
pub(crate) fn routes() -> Vec<Served> {
    vec![
        Served::new("GET", "/", get(page::page)),
        Served::new("GET", "/chat", get(crate::ws::chat::upgrade)),
        Served::new("POST", "/v1/messages", post(messages::send)),
        Served::new("GET", "/v1/sessions", get(sessions::list)),
        Served::new("GET", "/v1/sessions/{id}/messages", get(sessions::messages)),
        Served::new("DELETE", "/v1/sessions/{id}", delete(sessions::erase)),
        Served::new("GET", "/v1/plugins", get(plugins::list)),
        Served::new("GET", "/metrics", get(metrics::metrics)),
        Served::new("GET", "/openapi.json", get(openapi::document)),
    ]
    .into_iter()
    .chain(probes())
    .collect()
}

/// What is answered even when no more connections are taken.
pub(crate) fn probes() -> Vec<Served> {
    vec![
        Served::new("GET", "/health/live", get(health::live)),
        Served::new("GET", "/health/liveness", get(health::liveness)),
        Served::new("GET", "/health/ready", get(health::ready)),
        Served::new("GET", "/health/readiness", get(health::readiness)),
    ]
}
