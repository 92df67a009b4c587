//! Where a request comes from.
//!
//! The address of a client is that of the TCP peer. Only if that is a proxy of
//! `[server] trusted_proxies` is the header that proxies write read, from its end:
//!
//! | the next entry from the right is | then |
//! |---|---|
//! | an address that is not of a trusted proxy | it is the client |
//! | an address of a trusted proxy | the one before it is looked at |
//! | no address (`unknown`, a made-up name, garbage) | the client is who wrote it: the last trusted proxy |
//! | not there any more | the client is the leftmost trusted proxy |
//!
//! So nothing that a client writes itself is believed: what trusted proxies add
//! stands right of it. An IPv4 address mapped into IPv6 is that IPv4 address.
//!
//! An address of `[server] blocked` is refused here, before anything else is done.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
use ipnet::IpNet;
use segue_protocol::{ErrorCode, RequestError};

use super::respond;
use crate::config::{Forwarded, Server};
use crate::state::App;

/// Longer chains of proxies are nobody's.
const MAX_HOPS: usize = 32;

/// Of who did not come over TCP.
pub(crate) const UNKNOWN: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// The address of the client, as an extension of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientAddress(pub IpAddr);

/// Middleware: finds out the address, and refuses those that are blocked.
pub(crate) async fn settle(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let now = app.snapshot();
    let server = &now.config.server;
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(UNKNOWN, |info| info.0.ip());
    let client = client(peer, request.headers(), server);
    if let Err(error) = check(peer, server).and_then(|()| check(client, server)) {
        tracing::info!(code = error.code.as_str(), %client, "request refused");
        return respond::error(&error);
    }
    request.extensions_mut().insert(ClientAddress(client));
    drop(now);
    next.run(request).await
}

/// Whether this address is served.
pub(crate) fn check(address: IpAddr, server: &Server) -> Result<(), RequestError> {
    match within(address.to_canonical(), &server.blocked) {
        false => Ok(()),
        true => Err(RequestError::new(
            ErrorCode::ForbiddenAddress,
            "this host does not serve your address: it is in a network of `blocked` under [server]",
        )),
    }
}

/// The address of the client behind `peer`.
fn client(peer: IpAddr, headers: &HeaderMap, server: &Server) -> IpAddr {
    let trusted = |address| within(address, &server.trusted_proxies);
    let mut client = peer.to_canonical();
    if !trusted(client) {
        return client;
    }
    let (name, node): (_, fn(&str) -> Option<IpAddr>) = match server.forwarded {
        Forwarded::XForwardedFor => ("x-forwarded-for", address),
        Forwarded::Forwarded => ("forwarded", forwarded_for),
    };
    // Several lines of one header are one list, in their order.
    let lines = headers.get_all(name).iter().rev();
    let entries = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    for entry in entries.take(MAX_HOPS) {
        let Some(address) = std::str::from_utf8(entry).ok().and_then(node) else {
            return client;
        };
        client = address;
        if !trusted(client) {
            return client;
        }
    }
    client
}

fn within(address: IpAddr, networks: &[IpNet]) -> bool {
    networks.iter().any(|network| {
        network.contains(&address)
            // A network that was written as IPv6 may hold mapped IPv4.
            || matches!((network, address), (IpNet::V6(mapped), IpAddr::V4(v4)) if mapped.contains(&v4.to_ipv6_mapped()))
    })
}

/// `for=` of one element of `Forwarded` (RFC 7239, section 4). A comma within
/// quotes ends the element all the same: an address has none, and a client's
/// quote that is never closed must not swallow what a proxy wrote after it.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut nodes = element.split(';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then_some(value.trim())
    });
    let node = nodes.next()?;
    if nodes.next().is_some() {
        return None;
    }
    let quoted = node.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    address(quoted.unwrap_or(node))
}

/// An address, with or without a port: `192.0.2.1`, `192.0.2.1:4711`,
/// `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711`.
fn address(node: &str) -> Option<IpAddr> {
    let node = node.trim();
    if let Ok(address) = node.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let (host, port) = match node.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            let host: Ipv6Addr = host.parse().ok()?;
            (IpAddr::V6(host), port)
        }
        None => {
            let at = node.find(':')?;
            let (host, port) = node.split_at_checked(at)?;
            (IpAddr::V4(host.parse().ok()?), port)
        }
    };
    let port_fits = match port.strip_prefix(':') {
        Some(port) => port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok(),
        None => port.is_empty(),
    };
    port_fits.then(|| host.to_canonical())
}

#[cfg(test)]
mod tests;
