//! What is refused although nothing is wrong with it: requests over a limit, and
//! those that the host has no time for. And what clients are told of it: every
//! answer to a request that a limit counted says how the limit stands.
//!
//! Probes, scrapers and `DELETE`, which ends work, are never shed. Nor is `POST
//! /v1/messages` here: its message is, where it is taken.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::Method;

use super::address::ClientAddress;
use super::{respond, standing};
use crate::limits::{self, Told, UsedUp};
use crate::overload;
use crate::state::App;
use crate::telemetry::metrics::OTHER;

/// An answer carries along what the limits of its message have to say.
#[derive(Clone, Debug)]
pub(crate) struct Counted(pub Vec<Told>);

/// Middleware, inside the guard and what answers pages of others, so that they
/// can read a refusal.
pub(crate) async fn throttle(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let template = template(&app, &request);
    let counted = match request.extensions().get::<ClientAddress>() {
        Some(ClientAddress(address)) => app.limits.request(*address, &template),
        None => Ok(Vec::new()),
    };
    let (mut response, mut told) = match counted {
        Ok(told) => match shed(&app, &template, request.method()) {
            Ok(()) => (next.run(request).await, told),
            Err(error) => (respond::error(&error), told),
        },
        Err(UsedUp { error, told }) => (respond::error(&error), told),
    };
    if let Some(Counted(of_message)) = response.extensions_mut().remove() {
        told.extend(of_message);
    }
    limits::tell(response.headers_mut(), &told);
    standing::tell(&app, &template, response.headers_mut());
    response
}

/// The path as the table of routes or the configuration has it.
fn template(app: &App, request: &Request) -> Box<str> {
    if let Some(path) = request.extensions().get::<MatchedPath>() {
        return path.as_str().into();
    }
    let path = request.uri().path();
    let endpoints = &app.snapshot().config.endpoints;
    match endpoints.iter().any(|endpoint| endpoint.path == path) {
        true => path.into(),
        false => OTHER.into(),
    }
}

fn shed(app: &App, template: &str, method: &Method) -> Result<(), segue_protocol::RequestError> {
    let judged_later = template == "/v1/messages" && method == Method::POST;
    match limits::is_quiet(template) || method == Method::DELETE || judged_later {
        true => Ok(()),
        false => overload::check(app),
    }
}

#[cfg(test)]
mod tests;
