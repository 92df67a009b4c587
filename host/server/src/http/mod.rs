//! What the public listener answers over plain HTTP.
//!
//! | file | paths |
//! |---|---|
//! | `messages.rs` | `POST /v1/messages`: a message, answered as a stream or as one object |
//! | `sessions.rs` | `/v1/sessions`: conversations and their history |
//! | `documents.rs` | `/v1/documents/...`: what citations link to |
//! | `plugins.rs` | `/v1/plugins`: who answers here, in which version |
//! | `health.rs`, `health/` | `/health/...`: whether the host lives, is ready, and how it does |
//! | `metrics.rs`, `openapi.rs` | `/metrics`, `/openapi.json` |
//! | `page.rs` | `/`: the chat page |

pub(crate) mod documents;
pub(crate) mod health;
pub(crate) mod messages;
pub(crate) mod metrics;
pub(crate) mod openapi;
pub(crate) mod page;
pub(crate) mod plugins;
pub(crate) mod sessions;

use crate::edge::router::Served;

/// The routes, without what is around them.
pub(crate) fn routes() -> Vec<Served> {
    vec![
        Served::get("/", page::page),
        Served::get("/chat", crate::ws::chat::upgrade),
        Served::post("/v1/messages", messages::send),
        Served::get("/v1/sessions", sessions::list),
        Served::get("/v1/sessions/{id}/messages", sessions::messages),
        Served::delete("/v1/sessions/{id}", sessions::erase),
        Served::get("/v1/documents/{index}/{*path}", documents::document),
        Served::get("/v1/plugins", plugins::list),
        Served::get("/health/detailed", health::detailed::detailed),
        Served::get("/api/health/detailed", health::detailed::aliased),
        Served::get("/health/info", health::info::info),
        Served::get("/metrics", metrics::metrics),
        Served::get("/openapi.json", openapi::document),
    ]
    .into_iter()
    .chain(probes())
    .collect()
}

/// The paths of the routes, as they are served.
pub(crate) fn paths() -> Vec<&'static str> {
    routes().iter().map(|line| line.path).collect()
}

/// What is answered even when no more connections are taken.
pub(crate) fn probes() -> Vec<Served> {
    vec![
        Served::get("/health/live", health::live),
        Served::get("/health/liveness", health::liveness),
        Served::get("/health/ready", health::ready),
        Served::get("/health/readiness", health::readiness),
    ]
}
