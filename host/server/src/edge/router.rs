//! Which path is answered by what, and what every request passes first.
//!
//! The routes are a table, so that tests can compare them with the API's
//! document. Raw endpoints are not in it: they stand in the config, which can
//! change while the host runs, and are looked up when nothing else matches.

use std::sync::Arc;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Request, State};
use axum::handler::Handler;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{self, MethodRouter};
use segue_protocol::{ErrorCode, RequestError};

use super::address::{ClientAddress, UNKNOWN};
use super::observe::Template;
use super::{address, body, cors, guard, observe, respond, throttle};
use crate::admin::token::Token;
use crate::state::App;
use crate::ws::raw;
use crate::{admin, http as public_http};

/// One line of the table.
pub(crate) struct Served {
    #[cfg_attr(not(test), expect(dead_code, reason = "what the table is compared by"))]
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    route: MethodRouter<Arc<App>>,
}

impl Served {
    pub(crate) fn get<H: Handler<T, Arc<App>>, T: 'static>(path: &'static str, handler: H) -> Served {
        let route = routing::get(handler);
        Served {
            method: "GET",
            path,
            route,
        }
    }

    pub(crate) fn post<H: Handler<T, Arc<App>>, T: 'static>(path: &'static str, handler: H) -> Served {
        let route = routing::post(handler);
        Served {
            method: "POST",
            path,
            route,
        }
    }

    pub(crate) fn delete<H: Handler<T, Arc<App>>, T: 'static>(path: &'static str, handler: H) -> Served {
        let route = routing::delete(handler);
        Served {
            method: "DELETE",
            path,
            route,
        }
    }
}

/// The public listener.
pub fn public(app: Arc<App>) -> Router {
    table(public_http::routes())
        .fallback(endpoint)
        .layer(from_fn_with_state(app.clone(), body::whole))
        .layer(from_fn_with_state(app.clone(), throttle::throttle))
        .layer(from_fn(cors::answer))
        .layer(from_fn_with_state(app.clone(), guard::public))
        .layer(from_fn_with_state(app.clone(), address::settle))
        .layer(from_fn(respond::in_json))
        .layer(from_fn_with_state(app.clone(), observe::observe))
        .layer(DefaultBodyLimit::disable())
        .with_state(app)
}

/// The admin listener.
pub fn admin(app: Arc<App>, token: Token) -> Router {
    table(admin::routes())
        .fallback(nothing)
        .layer(from_fn_with_state(app.clone(), body::whole))
        .layer(from_fn_with_state(token, admin::authorize))
        .layer(from_fn_with_state(app.clone(), guard::admin))
        .layer(from_fn(respond::in_json))
        .layer(from_fn_with_state(app.clone(), observe::observe))
        .layer(DefaultBodyLimit::disable())
        .with_state(app)
}

/// What answers when a listener holds all the connections it may: probes, and
/// a refusal for everyone else.
pub fn spare(app: Arc<App>) -> Router {
    table(public_http::probes())
        .fallback(full)
        .layer(from_fn_with_state(app.clone(), body::whole))
        .layer(from_fn_with_state(app.clone(), guard::public))
        .layer(from_fn_with_state(app.clone(), address::settle))
        .layer(from_fn(respond::in_json))
        .layer(from_fn_with_state(app.clone(), observe::observe))
        .with_state(app)
}

fn table(served: Vec<Served>) -> Router<Arc<App>> {
    served
        .into_iter()
        .fold(Router::new(), |router, line| router.route(line.path, line.route))
}

/// A path that is no route may be a raw endpoint of the config.
async fn endpoint(State(app): State<Arc<App>>, request: Request) -> Response {
    let snapshot = app.snapshot();
    let named = snapshot
        .config
        .endpoints
        .iter()
        .find(|e| e.path == request.uri().path());
    let Some(endpoint) = named else {
        return nothing().await;
    };
    let (path, handler): (Arc<str>, String) = (endpoint.path.as_str().into(), endpoint.handler.clone());
    drop(snapshot);

    let (mut head, _) = request.into_parts();
    let peer = head.extensions.get().copied();
    let line = raw::Line {
        path: path.clone(),
        handler,
        traceparent: head
            .headers
            .get("traceparent")
            .and_then(|v| v.to_str().ok())
            .map(str::to_owned),
        address: peer.map_or(UNKNOWN, |ClientAddress(address)| address),
    };
    let mut response = match WebSocketUpgrade::from_request_parts(&mut head, &()).await {
        Ok(upgrade) => raw::upgrade(app, line, upgrade).await,
        Err(rejection) => rejection.into_response(),
    };
    response.extensions_mut().insert(Template(path));
    response
}

async fn nothing() -> Response {
    respond::error(&RequestError::new(
        ErrorCode::NotFound,
        "there is nothing at this path",
    ))
}

async fn full() -> Response {
    respond::error(
        &RequestError::new(
            ErrorCode::ConnectionLimit,
            "the host holds as many connections as `max_connections` under [server] allows",
        )
        .retry_after_ms(1_000),
    )
}

#[cfg(test)]
mod tests;
