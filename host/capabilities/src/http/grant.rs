//! One line of `[grants] http`: an origin, or all those below a domain.
//!
//! - `api.example.com`: over https, port 443
//! - `api.example.com:8443`: over https, that port
//! - `http://localhost:9000`: plain HTTP has to be written out
//! - `*.example.com`: every name below, one label or more, not the domain itself
//!
//! A grant opens a name. Where the name leads to is looked at apart from it, see
//! [`address`](super::address): an address that is not public needs both.

use std::fmt;

use super::origin::{Host, Origin, Scheme};

/// What a plugin may reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    scheme: Scheme,
    names: Names,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Names {
    Exactly(Host),
    /// Every name that ends in a dot and this.
    Below(String),
}

/// A line that is no grant; its text says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadGrant(String);

impl Grant {
    /// Reads a line as the operator wrote it.
    pub fn parse(text: &str) -> Result<Grant, BadGrant> {
        let (scheme, rest) = match text.split_once("://") {
            None => (Scheme::Https, text),
            Some((scheme, rest)) => {
                let known = Scheme::parse(scheme);
                let known = known.ok_or_else(|| bad(text, "begins with neither http:// nor https://"))?;
                (known, rest)
            }
        };
        if rest.contains(['/', '?', '#', '@']) {
            return Err(bad(text, "has more to it than a host and a port"));
        }
        let (host, port) = split_port(rest);
        let port = match port {
            None => scheme.default_port(),
            Some(port) => match port.parse() {
                Ok(port) if port != 0 => port,
                _ => return Err(bad(text, "has no port from 1 to 65535 after its colon")),
            },
        };
        let names = match host.strip_prefix("*.") {
            None => Names::Exactly(Host::parse(host).ok_or_else(|| bad(text, "names no host"))?),
            Some(domain) => match Host::parse(domain) {
                Some(Host::Name(domain)) => Names::Below(domain),
                _ => return Err(bad(text, "has no domain after its star")),
            },
        };
        if matches!(&names, Names::Exactly(Host::Name(name)) | Names::Below(name) if name.contains('*')) {
            return Err(bad(text, "has a star elsewhere than in front of the first dot"));
        }
        Ok(Grant { scheme, names, port })
    }

    /// Whether a request to `origin` is among what this opens.
    pub fn opens(&self, origin: &Origin) -> bool {
        let named = match (&self.names, &origin.host) {
            (Names::Exactly(host), asked) => host == asked,
            (Names::Below(domain), Host::Name(name)) => is_below(name, domain),
            (Names::Below(_), Host::Address(_)) => false,
        };
        named && self.scheme == origin.scheme && self.port == origin.port
    }
}

/// In one form, however it was written: `https://api.example.com`.
impl fmt::Display for Grant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://", self.scheme.as_str())?;
        match &self.names {
            Names::Exactly(host) => write!(formatter, "{host}")?,
            Names::Below(domain) => write!(formatter, "*.{domain}")?,
        }
        match self.port == self.scheme.default_port() {
            true => Ok(()),
            false => write!(formatter, ":{}", self.port),
        }
    }
}

fn is_below(name: &str, domain: &str) -> bool {
    let labels = name.strip_suffix(domain).and_then(|rest| rest.strip_suffix('.'));
    labels.is_some_and(|labels| !labels.is_empty())
}

/// Host and port, if there is one: the colons of an IPv6 address are in
/// brackets.
fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    }
}

fn bad(text: &str, fault: &str) -> BadGrant {
    BadGrant(format!(
        "`{text}` {fault}: write api.example.com, https://api.example.com:8443, http://localhost:9000 or *.example.com"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(uri: &str) -> Origin {
        Origin::of(&uri.parse().unwrap()).unwrap()
    }

    /// What is not granted word for word is not reached.
    #[test]
    fn what_each_form_opens() {
        let table = [
            ("api.example.com", "https://api.example.com/x", true),
            ("api.example.com", "https://API.EXAMPLE.COM./x", true),
            ("api.example.com", "https://api.example.com:443", true),
            ("api.example.com", "https://api.example.com:8443", false),
            ("api.example.com", "http://api.example.com", false),
            ("api.example.com", "http://api.example.com:443", false),
            ("api.example.com", "https://example.com", false),
            ("api.example.com", "https://a.api.example.com", false),
            ("api.example.com", "https://api.example.com.evil.example", false),
            ("api.example.com", "https://evilapi.example.com", false),
            ("API.Example.com.", "https://api.example.com", true),
            ("api.example.com:8443", "https://api.example.com:8443", true),
            ("api.example.com:8443", "https://api.example.com", false),
            ("https://api.example.com", "https://api.example.com", true),
            ("HTTPS://api.example.com", "https://api.example.com", true),
            (
                "https://api.example.com:8443",
                "https://api.example.com:8443",
                true,
            ),
            (
                "https://api.example.com:8443",
                "http://api.example.com:8443",
                false,
            ),
            ("http://localhost:9000", "http://localhost:9000", true),
            ("http://localhost:9000", "https://localhost:9000", false),
            ("http://localhost:9000", "http://localhost", false),
            ("http://localhost:9000", "http://127.0.0.1:9000", false),
            ("http://localhost", "http://localhost:80/", true),
            ("http://127.0.0.1:9000", "http://127.0.0.1:9000", true),
            ("http://127.0.0.1:9000", "http://0x7f.1:9000", true),
            ("http://127.0.0.1:9000", "http://localhost:9000", false),
            ("http://[::1]:9000", "http://[0:0::1]:9000", true),
            ("[2001:db8::1]", "https://[2001:db8::1]", true),
            ("*.example.com", "https://a.example.com", true),
            ("*.example.com", "https://a.b.example.com", true),
            ("*.example.com", "https://example.com", false),
            ("*.example.com", "https://evilexample.com", false),
            ("*.example.com", "https://a.example.com.evil.example", false),
            ("*.example.com", "http://a.example.com", false),
            ("*.example.com", "https://a.example.com:8443", false),
            ("https://*.example.com:8443", "https://a.example.com:8443", true),
            ("http://*.internal", "http://llm.internal", true),
            ("*.0.0.1.example", "https://127.0.0.1", false),
            ("bücher.example", "https://xn--bcher-kva.example", true),
            ("*.bücher.example", "https://a.xn--bcher-kva.example", true),
        ];
        for (grant, uri, opens) in table {
            let grant_read = Grant::parse(grant).unwrap();
            assert_eq!(grant_read.opens(&origin(uri)), opens, "{grant} and {uri}");
        }
    }

    #[test]
    fn what_is_no_grant_says_how_to_write_one() {
        let table = [
            "",
            "*",
            "*.",
            "*.*.com",
            "a.*.com",
            "*example.com",
            "**.example.com",
            "https://",
            "ftp://a.example",
            "https://a.example/",
            "https://a.example/path",
            "user@a.example",
            "a.example:0",
            "a.example:65536",
            "a.example:",
            "a.example:http",
            "a b",
            "::1",
            "*.127.0.0.1",
            "*.[::1]",
            "1.2.3.4.5",
        ];
        for text in table {
            let fault = Grant::parse(text).expect_err(text).to_string();
            assert!(fault.contains("write api.example.com"), "{fault}");
        }
    }
}
