//! Where a request goes: scheme, host and port, in the one form in which they
//! are compared, connected to and sent as `Host`.
//!
//! Names are lower-case, in the ASCII form of IDNA, without the dot that may end
//! them. Every way to write an IPv4 address that a resolver would take for one
//! (`0x7f.1`, `2130706433`, `017700000001`) is that address here.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::Url;

use super::failure::Failure;

/// The longest name that can be resolved, in bytes (RFC 1035).
const NAME_MAX_BYTES: usize = 253;

/// How much of what cannot be understood is repeated in the log.
const SHOWN_CHARS: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub fn parse(text: &str) -> Option<Scheme> {
        match text {
            _ if text.eq_ignore_ascii_case("http") => Some(Scheme::Http),
            _ if text.eq_ignore_ascii_case("https") => Some(Scheme::Https),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    pub fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    Name(String),
    Address(IpAddr),
}

impl Host {
    /// The host that `text` names, brackets of an IPv6 address included.
    pub fn parse(text: &str) -> Option<Host> {
        // The parser of URLs would see more than a host in these.
        if text.is_empty() || text.contains(['/', '\\', '?', '#', '@', '\t', '\r', '\n']) {
            return None;
        }
        if text.contains(':') && !text.starts_with('[') {
            return None;
        }
        let url = Url::parse(&format!("http://{text}/")).ok()?;
        let host = url.host_str().filter(|_| url.port().is_none())?;
        if let Some(v6) = host.strip_prefix('[') {
            let v6 = v6.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?;
            return Some(Host::Address(IpAddr::V6(v6)));
        }
        if let Ok(v4) = host.parse::<Ipv4Addr>() {
            return Some(Host::Address(IpAddr::V4(v4)));
        }
        let name = host.strip_suffix('.').unwrap_or(host);
        let whole = !name.is_empty() && name.len() <= NAME_MAX_BYTES && !name.split('.').any(str::is_empty);
        whole.then(|| Host::Name(String::from(name)))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => formatter.write_str(name),
            Host::Address(IpAddr::V4(v4)) => write!(formatter, "{v4}"),
            Host::Address(IpAddr::V6(v6)) => write!(formatter, "[{v6}]"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub scheme: Scheme,
    pub host: Host,
    pub port: u16,
}

impl Origin {
    /// Where a request to `uri` goes. One that carries a name and password is
    /// refused: they would only tempt to hide the host behind them.
    pub fn of(uri: &http::Uri) -> Result<Origin, Failure> {
        let origin = || {
            let scheme = Scheme::parse(uri.scheme_str()?)?;
            let authority = uri
                .authority()
                .filter(|authority| !authority.as_str().contains('@'))?;
            let host = Host::parse(authority.host())?;
            let port = match authority.as_str().strip_prefix(authority.host())? {
                "" => scheme.default_port(),
                port => port.strip_prefix(':')?.parse().ok().filter(|port| *port != 0)?,
            };
            Some(Origin { scheme, host, port })
        };
        origin().ok_or_else(|| Failure::Uri(uri.to_string().chars().take(SHOWN_CHARS).collect()))
    }

    /// As it stands in `Host`: without the port that goes without saying.
    pub fn authority(&self) -> String {
        match self.port == self.scheme.default_port() {
            true => self.host.to_string(),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", self.scheme.as_str(), self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(uri: &str) -> Option<String> {
        let uri = uri.parse::<http::Uri>().ok()?;
        Origin::of(&uri).ok().map(|origin| origin.to_string())
    }

    /// However an origin is written, it is compared in one form.
    #[test]
    fn one_form_for_all_spellings() {
        let table = [
            ("https://example.com/a?b", "https://example.com"),
            ("https://EXAMPLE.com./", "https://example.com"),
            ("https://example.com:443", "https://example.com"),
            ("http://example.com:443", "http://example.com:443"),
            ("http://example.com:80/", "http://example.com"),
            ("https://example.com:08443", "https://example.com:8443"),
            ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
            ("http://my_service:9000", "http://my_service:9000"),
            ("http://0x7f.1", "http://127.0.0.1"),
            ("http://2130706433:8080", "http://127.0.0.1:8080"),
            ("http://017700000001", "http://127.0.0.1"),
            ("http://127.1.", "http://127.0.0.1"),
            ("http://[::1]:80", "http://[::1]"),
            ("http://[0:0:0:0:0:0:0:1]", "http://[::1]"),
            ("http://[::FFFF:127.0.0.1]", "http://[::ffff:127.0.0.1]"),
        ];
        for (written, form) in table {
            assert_eq!(shown(written).as_deref(), Some(form), "{written}");
        }
    }

    #[test]
    fn what_names_no_origin_is_refused() {
        let table = [
            "https://user:word@example.com/",
            "https://example.com@evil.example/",
            "ftp://example.com/",
            "https://example.com:0/",
            "https://example.com:65536/",
            "https://example.com:/",
            "http://1.2.3.4.5/",
            "http://256.1.1.1/",
            "http://[fe80::1%25eth0]/",
            "http://[::1/",
            "http://a..b/",
            "http://./",
            "/path",
        ];
        for written in table {
            assert_eq!(shown(written), None, "{written}");
        }
        let long = format!("https://{}.example/", "a.".repeat(130).trim_end_matches('.'));
        assert_eq!(shown(&long), None);
    }

    #[test]
    fn international_names_have_their_ascii_form() {
        let ascii = Host::Name(String::from("xn--bcher-kva.example"));
        for written in [
            "bücher.example",
            "BÜCHER.example",
            "bu\u{308}cher。example",
            "b%C3%BCcher.example",
        ] {
            assert_eq!(Host::parse(written), Some(ascii.clone()), "{written}");
        }
        assert_eq!(
            Host::parse("１２７.0.0.1"),
            Some(Host::Address(IpAddr::V4(Ipv4Addr::LOCALHOST)))
        );
        for written in [
            "",
            "a b",
            "a/b",
            "a\\b",
            "a@b",
            "a:80",
            "a#b",
            "::1",
            "%00",
            "exa\tmple",
        ] {
            assert_eq!(Host::parse(written), None, "{written}");
        }
    }
}
