//! The parts of a URL that a request is made of.

use crate::{Error, Result};

/// An absolute URL of http or https, taken apart. The host, which lets requests
/// through or does not, reads it once more and for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) https: bool,
    /// Name, or name and port.
    pub(crate) authority: String,
    pub(crate) path_with_query: String,
}

impl Url {
    /// Fails with `invalid_argument`.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Error::new(
                Error::INVALID_ARGUMENT,
                format!("`{url}` is no URL to ask: {why}"),
            )
        };
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| wrong("it begins with neither http:// nor https://"))?;
        let https = match scheme {
            _ if scheme.eq_ignore_ascii_case("https") => true,
            _ if scheme.eq_ignore_ascii_case("http") => false,
            _ => return Err(wrong("it begins with neither http:// nor https://")),
        };
        // What is behind `#` is the reader's own business.
        let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if authority.is_empty() {
            return Err(wrong("it names no server"));
        }
        if authority.contains('@') {
            return Err(wrong("a password belongs into a header"));
        }
        if url.bytes().any(|byte| byte <= b' ' || byte >= 0x7f) {
            return Err(wrong(
                "it has characters that must be encoded; `Request::query` does so",
            ));
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self {
            https,
            authority: authority.to_ascii_lowercase(),
            path_with_query: format!("{slash}{path}"),
        })
    }

    /// `https://api.example.com`, with the port where it is not the scheme's.
    pub(crate) fn origin(&self) -> String {
        let (scheme, port) = if self.https {
            ("https", ":443")
        } else {
            ("http", ":80")
        };
        let authority = self.authority.strip_suffix(port).unwrap_or(&self.authority);
        format!("{scheme}://{authority}")
    }
}

/// Adds `name=value` to a URL's query, before what follows a `#`.
pub(super) fn add_query(url: &mut String, name: &str, value: &str) {
    let fragment = url.find('#').map(|at| url.split_off(at));
    url.push(if url.contains('?') { '&' } else { '?' });
    encode(url, name);
    url.push('=');
    encode(url, value);
    url.push_str(&fragment.unwrap_or_default());
}

/// Adds text with every character encoded that means something in a URL.
pub(crate) fn encode(url: &mut String, text: &str) {
    const HEX: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(byte.into());
        } else {
            let digits = [byte >> 4, byte & 15].map(|digit| HEX.get(usize::from(digit)));
            url.push('%');
            url.extend(digits.into_iter().flatten());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(url: &str) -> (bool, String, String) {
        let url = Url::parse(url).unwrap();
        (url.https, url.authority, url.path_with_query)
    }

    #[test]
    fn a_url_is_taken_apart() {
        let whole = parts("HTTPS://Api.example.com:8443/a/b?c=d#e");
        assert_eq!(whole, (true, "api.example.com:8443".into(), "/a/b?c=d".into()));
        assert_eq!(parts("http://h"), (false, "h".into(), "/".into()));
        assert_eq!(parts("http://h?a"), (false, "h".into(), "/?a".into()));
        let origin = |url| Url::parse(url).unwrap().origin();
        assert_eq!(origin("https://h:443/x"), "https://h");
        assert_eq!(origin("http://h:443/x"), "http://h:443");
    }

    #[test]
    fn what_is_no_url_is_refused_with_the_reason() {
        for (url, why) in [
            ("api.example.com", "neither"),
            ("file:///etc/passwd", "neither"),
            ("https:///path", "names no server"),
            ("https://a:b@h/", "password"),
            ("https://h/a b", "encoded"),
            ("https://h/ä", "encoded"),
            ("https://h/\r\nx: y", "encoded"),
        ] {
            let error = Url::parse(url).unwrap_err();
            assert_eq!(error.code(), Error::INVALID_ARGUMENT);
            assert!(error.message().contains(why), "{error}");
        }
    }

    #[test]
    fn queries_are_encoded_and_added() {
        let mut url = String::from("https://h/a#there");
        add_query(&mut url, "q", "50 % & ä");
        add_query(&mut url, "n", "1");
        assert_eq!(url, "https://h/a?q=50%20%25%20%26%20%C3%A4&n=1#there");
    }
}
