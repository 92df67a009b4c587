//! Which addresses a plugin's request may go to: public ones, and those of the
//! networks that the operator names.
//!
//! A name that a plugin was granted may resolve to anything its owner likes, so
//! what is checked is the address that is about to be connected to. An IPv4
//! address that an IPv6 one carries (`::ffff:0:0/96`, and `64:ff9b::/96`, which
//! a NAT64 gateway turns back) is judged as the IPv4 address it is. The other
//! ways to wrap one up (compatible, translated, 6to4, Teredo) lead to no service
//! of today and are refused whatever they carry.
//!
//! Sources: IANA's registries of special-purpose IPv4 and IPv6 addresses (RFC
//! 6890 and its updates).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// What an address that is not public is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Unspecified,
    Loopback,
    Private,
    /// Between a provider's routers and its customers (RFC 6598).
    SharedNat,
    LinkLocal,
    Multicast,
    Documentation,
    Benchmarking,
    /// An IPv4 address wrapped up in an IPv6 one in a way that is out of use.
    Tunnel,
    /// Public by its number, and answered by the machine's own hypervisor.
    Platform,
    /// For some protocol of its own, or for none yet.
    Reserved,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Kind::Unspecified => "unspecified",
            Kind::Loopback => "loopback",
            Kind::Private => "private",
            Kind::SharedNat => "shared by a provider's NAT",
            Kind::LinkLocal => "link-local",
            Kind::Multicast => "multicast",
            Kind::Documentation => "for documentation",
            Kind::Benchmarking => "for benchmarks",
            Kind::Tunnel => "of a tunnel",
            Kind::Platform => "of the cloud's own platform",
            Kind::Reserved => "reserved",
        })
    }
}

/// An address that may not be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {kind}, not public: if it is meant to be reached, add it to `[http] allow_networks`")]
pub struct Prohibited {
    pub address: IpAddr,
    pub kind: Kind,
}

/// The networks of IPv4 that are not public. The first that fits counts.
const V4: [([u8; 4], u8, Kind); 17] = [
    ([0, 0, 0, 0], 8, Kind::Unspecified),
    ([10, 0, 0, 0], 8, Kind::Private),
    ([100, 64, 0, 0], 10, Kind::SharedNat),
    ([127, 0, 0, 0], 8, Kind::Loopback),
    // Azure's host agent, metadata and DNS.
    ([168, 63, 129, 16], 32, Kind::Platform),
    ([169, 254, 0, 0], 16, Kind::LinkLocal),
    ([172, 16, 0, 0], 12, Kind::Private),
    ([192, 0, 0, 0], 24, Kind::Reserved),
    ([192, 0, 2, 0], 24, Kind::Documentation),
    // Relays of 6to4.
    ([192, 88, 99, 0], 24, Kind::Tunnel),
    ([192, 168, 0, 0], 16, Kind::Private),
    ([198, 18, 0, 0], 15, Kind::Benchmarking),
    ([198, 51, 100, 0], 24, Kind::Documentation),
    ([203, 0, 113, 0], 24, Kind::Documentation),
    ([224, 0, 0, 0], 4, Kind::Multicast),
    ([240, 0, 0, 0], 4, Kind::Reserved),
    ([255, 255, 255, 255], 32, Kind::Reserved),
];

/// The same of IPv6, but for what lies outside `2000::/3`, all of which is
/// reserved unless it stands here.
const V6: [([u16; 8], u8, Kind); 13] = [
    ([0, 0, 0, 0, 0, 0, 0, 0], 128, Kind::Unspecified),
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, Kind::Loopback),
    // Compatible, then translated.
    ([0, 0, 0, 0, 0, 0, 0, 0], 96, Kind::Tunnel),
    ([0, 0, 0, 0, 0xffff, 0, 0, 0], 96, Kind::Tunnel),
    // NAT64 with a prefix of the network's own: what it leads to is unknown.
    ([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, Kind::Tunnel),
    // Teredo.
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, Kind::Tunnel),
    ([0x2001, 2, 0, 0, 0, 0, 0, 0], 48, Kind::Benchmarking),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, Kind::Documentation),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, Kind::Reserved),
    // 6to4.
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, Kind::Tunnel),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, Kind::Documentation),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, Kind::Private),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, Kind::LinkLocal),
];

/// Lets `address` pass, in the form it is to be connected to, if it is public or
/// in one of the `allowed` networks.
pub fn check(address: IpAddr, allowed: &[IpNet]) -> Result<IpAddr, Prohibited> {
    let address = address.to_canonical();
    let carried = match address {
        IpAddr::V6(v6) => translated(v6).map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    };
    let kind = match carried {
        IpAddr::V4(v4) => kind_of_v4(v4),
        IpAddr::V6(v6) => kind_of_v6(v6),
    };
    match kind {
        Some(kind) if !allowed.iter().any(|network| network.contains(&carried)) => {
            Err(Prohibited { address, kind })
        }
        _ => Ok(address),
    }
}

/// What a NAT64 gateway makes of an address of the well-known prefix (RFC 6052).
fn translated(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low))),
        _ => None,
    }
}

fn kind_of_v4(address: Ipv4Addr) -> Option<Kind> {
    let mut networks = V4.iter();
    networks.find_map(|(base, bits, kind)| {
        let network = Ipv4Net::new(Ipv4Addr::from(*base), *bits).ok()?;
        network.contains(&address).then_some(*kind)
    })
}

fn kind_of_v6(address: Ipv6Addr) -> Option<Kind> {
    let mut networks = V6.iter();
    let listed = networks.find_map(|(base, bits, kind)| {
        let network = Ipv6Net::new(Ipv6Addr::from(*base), *bits).ok()?;
        network.contains(&address).then_some(*kind)
    });
    let [first, ..] = address.segments();
    match listed {
        Some(kind) => Some(kind),
        None if address.is_multicast() => Some(Kind::Multicast),
        None if first & 0xe000 != 0x2000 => Some(Kind::Reserved),
        None => None,
    }
}

#[cfg(test)]
mod tests;
