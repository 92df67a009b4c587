//! Who may talk to the host at all: checks of `Host` and `Origin`.
//!
//! A page anywhere on the web can make a browser send requests to this host,
//! and open WebSockets to it. Two checks keep such pages out, on every path of
//! both listeners, before anything else is done:
//!
//! 1. `Host` must be a name of this host: a loopback name or address, the
//!    address it listens on, or one of `[server] hosts`. A page that rebinds
//!    its own name to this machine's address fails here.
//! 2. `Origin`, which browsers send and scripts cannot change, must be the
//!    host's own or one of `[server] origins`. Asked for under a loopback
//!    name, the host also answers pages that come from loopback themselves.
//!
//! A denial says which line of the config would allow the request.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, Uri};
use segue_protocol::{ErrorCode, RequestError};

use super::respond;
use crate::state::{App, Snapshot};

/// What the config allows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowed<'a> {
    /// The address of the listener.
    pub listen: IpAddr,
    /// Names with or without a port.
    pub hosts: &'a [String],
    pub origins: &'a [String],
}

/// Where an allowed request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Not from a page, or from the host's own.
    Own,
    /// From a page of another origin that is allowed.
    Foreign,
}

/// The guard of the public listener.
pub(crate) async fn public(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let now = app.snapshot();
    pass(&now, now.config.server.listen.ip(), request, next).await
}

/// The guard of the admin listener.
pub(crate) async fn admin(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let now = app.snapshot();
    pass(&now, now.config.admin.listen.ip(), request, next).await
}

async fn pass(now: &Snapshot, listen: IpAddr, mut request: Request, next: Next) -> Response {
    let allowed = Allowed {
        listen,
        hosts: &now.config.server.hosts,
        origins: &now.config.server.origins,
    };
    match check(request.uri(), request.headers(), &allowed) {
        Ok(source) => {
            request.extensions_mut().insert(source);
            next.run(request).await
        }
        Err(error) => {
            tracing::info!(code = error.code.as_str(), reason = %error.message, "request refused");
            respond::error(&error)
        }
    }
}

/// Checks the names of one request.
pub(crate) fn check(uri: &Uri, headers: &HeaderMap, allowed: &Allowed<'_>) -> Result<Source, RequestError> {
    let host = host_of(uri, headers)?;
    if !host_allowed(&host, allowed) {
        return Err(RequestError::new(
            ErrorCode::ForbiddenHost,
            format!(
                "`{name}` is no name of this host; to make it one, set in segue.toml, under [server]: hosts = [\"{name}\"]",
                name = host.name
            ),
        ));
    }
    let Some(origin) = single(headers, &ORIGIN)? else {
        return Ok(Source::Own);
    };
    if is_own(origin, &host) {
        return Ok(Source::Own);
    }
    let listed = allowed.origins.iter().any(|one| same_origin(one, origin));
    let local =
        is_loopback(&host.name) && Name::of_origin(origin).is_some_and(|name| is_loopback(&name.name));
    if listed || local {
        return Ok(Source::Foreign);
    }
    let shown = if Name::of_origin(origin).is_some() {
        origin
    } else {
        "https://app.example.com"
    };
    Err(RequestError::new(
        ErrorCode::ForbiddenOrigin,
        format!(
            "pages of this origin may not talk to this host; to allow one, set in segue.toml, under [server]: origins = [\"{shown}\"]"
        ),
    ))
}

/// A host name in lower case, with its port if one was written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Name {
    name: String,
    port: Option<u16>,
}

impl Name {
    fn parse(text: &str) -> Option<Name> {
        let authority: Authority = text.parse().ok()?;
        // No user names, and no port that is not a number.
        let port_written = authority.as_str().len() > authority.host().len();
        if authority.as_str().contains('@')
            || authority.host().is_empty()
            || (port_written && authority.port().is_none())
        {
            return None;
        }
        let name = authority.host().trim_end_matches('.').to_ascii_lowercase();
        Some(Name {
            name,
            port: authority.port_u16(),
        })
    }

    /// The host of a web origin, with the port that its scheme implies.
    fn of_origin(origin: &str) -> Option<Name> {
        let (scheme, rest) = origin.split_once("://")?;
        let mut name = Name::parse(rest)?;
        name.port = name.port.or(default_port(scheme));
        name.port.is_some().then_some(name)
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// The name the request was sent to. A request that names two is refused:
/// whoever stands in front may have believed the other one.
fn host_of(uri: &Uri, headers: &HeaderMap) -> Result<Name, RequestError> {
    let header = single(headers, &HOST)?;
    let invalid = || {
        RequestError::new(
            ErrorCode::ForbiddenHost,
            "the request names no host, or one that cannot be read",
        )
    };
    let host = header.and_then(Name::parse);
    match uri.authority() {
        None => host.ok_or_else(invalid),
        Some(authority) => {
            let written = Name::parse(authority.as_str()).ok_or_else(invalid)?;
            if host == Some(written.clone()) {
                Ok(written)
            } else {
                Err(invalid())
            }
        }
    }
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, RequestError> {
    let mut all = headers.get_all(name).iter();
    let code = if *name == HOST {
        ErrorCode::ForbiddenHost
    } else {
        ErrorCode::ForbiddenOrigin
    };
    match (all.next(), all.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match value.to_str() {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(RequestError::new(
                code,
                format!("the request's `{name}` cannot be read"),
            )),
        },
        (Some(_), Some(_)) => Err(RequestError::new(
            code,
            format!("the request has more than one `{name}`"),
        )),
    }
}

fn host_allowed(host: &Name, allowed: &Allowed<'_>) -> bool {
    let listed = || {
        allowed
            .hosts
            .iter()
            .filter_map(|one| Name::parse(one))
            .any(|one| {
                // Written without a port, a name is allowed with any.
                one.name == host.name && (one.port.is_none() || one.port == host.port)
            })
    };
    let own = || !allowed.listen.is_unspecified() && address(&host.name) == Some(allowed.listen);
    is_loopback(&host.name) || own() || listed()
}

fn is_loopback(name: &str) -> bool {
    // RFC 6761, section 6.3: names under `localhost` are loopback's too.
    name == "localhost"
        || name.ends_with(".localhost")
        || match address(name) {
            Some(IpAddr::V4(address)) => address.is_loopback(),
            Some(IpAddr::V6(address)) => {
                address.is_loopback()
                    || address
                        .to_ipv4_mapped()
                        .is_some_and(|mapped| mapped.is_loopback())
            }
            None => false,
        }
}

fn address(name: &str) -> Option<IpAddr> {
    match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => name.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

/// Whether a page of this origin was served by this host. The scheme is left
/// out of it: behind a proxy that ends TLS the host cannot know its own.
fn is_own(origin: &str, host: &Name) -> bool {
    let Some((scheme, _)) = origin.split_once("://") else {
        return false;
    };
    let Some(page) = Name::of_origin(origin) else {
        return false;
    };
    page.name == host.name && page.port == host.port.or(default_port(scheme))
}

fn same_origin(one: &str, other: &str) -> bool {
    let scheme = |origin: &str| {
        origin
            .split_once("://")
            .map(|(scheme, _)| scheme.to_ascii_lowercase())
    };
    one == other
        || (scheme(one) == scheme(other)
            && Name::of_origin(one).is_some()
            && Name::of_origin(one) == Name::of_origin(other))
}

#[cfg(test)]
mod tests;
