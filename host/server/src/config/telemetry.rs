//! Reads `[telemetry]`, and the variables that OpenTelemetry has for the same: what
//! the file says is stronger, so that a host does what its file says wherever it is
//! started.

use std::collections::BTreeMap;
use std::time::Duration;

use http::HeaderName;
use http::uri::{Scheme, Uri};

use super::faults::Place;
use super::model::Telemetry;
use super::reader::Table;
use super::secret::Secret;
use super::value::{self, Complaint, Value, amount, duration, flag, fraction};

/// Where OTLP over HTTP takes traces, below a collector's address.
const TRACES: &str = "/v1/traces";

const HEADERS_MAX: usize = 16;
const ATTRIBUTES_MAX: usize = 32;

/// OpenTelemetry's variables, the one about traces alone first.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];
const HEADERS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
const TIMEOUTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
const PROTOCOLS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
];

pub(super) fn telemetry(root: &Table<'_, '_>) -> Telemetry {
    let t = root.table("telemetry");
    let times = Duration::from_millis(100)..=Duration::from_secs(60);
    let written = t.read("otlp_endpoint", endpoint);
    let of_file = written.is_some() || t.has("otlp_endpoint");
    let said = match of_file {
        true => None,
        false => said(&t, "otlp_endpoint", &ENDPOINTS, said_endpoint),
    };
    if said.is_some() {
        speaks_protobuf(&t);
    }
    let disabled = (t.reader.overrides.lookup("OTEL_SDK_DISABLED"))
        .is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
    let timeout = t.read("otlp_timeout", duration(times.clone()));
    let timeout = timeout.or_else(|| {
        self::said(&t, "otlp_timeout", &TIMEOUTS, |_, text| {
            milliseconds(text, &times)
        })
    });
    let name = t.read("service_name", value::text);
    let name = name.or_else(|| {
        self::said(&t, "service_name", &["OTEL_SERVICE_NAME"], |_, text| {
            Ok(text.to_owned())
        })
    });
    let telemetry = Telemetry {
        otlp_endpoint: written.or(said).filter(|_| !disabled),
        otlp_headers: headers(&t),
        otlp_timeout: timeout.unwrap_or(Duration::from_secs(10)),
        queue: t.or("queue", 4096, amount(16..=1_000_000)),
        sample: t.or("sample", 1.0, fraction(0.0..=1.0)),
        query_text: t.or("query_text", false, flag),
        service_name: name.unwrap_or_else(|| "segue".to_owned()),
        resource: resource(&t),
    };
    t.finish();
    telemetry
}

/// What the first of the variables that is set says of a key.
fn said<T>(
    t: &Table<'_, '_>,
    key: &str,
    names: &[&str],
    parse: impl Fn(&str, &str) -> Result<T, Complaint>,
) -> Option<T> {
    let overrides = t.reader.overrides;
    let found = names
        .iter()
        .find_map(|name| Some((*name, overrides.lookup(name)?)));
    let (name, text) = found.filter(|(_, text)| !text.trim().is_empty())?;
    let place = Place::Variable {
        name: name.to_owned(),
        dotenv: None,
    };
    match parse(name, text.trim()) {
        Ok(value) => {
            t.reader.places.borrow_mut().insert(t.path_of(key), place);
            Some(value)
        }
        Err(complaint) => {
            t.reader.fault(place, name, complaint);
            None
        }
    }
}

/// The host speaks no gRPC and no JSON, and does not compress.
fn speaks_protobuf(t: &Table<'_, '_>) {
    let wanted = |_: &str, text: &str| match text {
        "http/protobuf" => Ok(()),
        _ => Err(Complaint::new(
            "unknown_choice",
            format!("is {text}, which this host does not speak"),
            "set it to http/protobuf, and the endpoint to where the collector takes that, mostly port 4318",
        )),
    };
    said(t, "otlp_endpoint", &PROTOCOLS, wanted);
}

fn milliseconds(text: &str, within: &std::ops::RangeInclusive<Duration>) -> Result<Duration, Complaint> {
    let found = text.parse().ok().map(Duration::from_millis);
    found.filter(|found| within.contains(found)).ok_or_else(|| {
        Complaint::new(
            "out_of_range",
            format!("is `{text}`"),
            "write milliseconds, from 100 to 60000",
        )
    })
}

fn endpoint(value: &Value<'_>) -> Result<String, Complaint> {
    address(&value::text(value)?).map(|(address, path)| match path.as_str() {
        "" => address + TRACES,
        path => address + path,
    })
}

/// One about traces is where they go; one about everything is what is above that.
fn said_endpoint(name: &str, text: &str) -> Result<String, Complaint> {
    let (address, path) = address(text)?;
    Ok(match name.contains("_TRACES_") {
        true => address + &path,
        false => address + &path + TRACES,
    })
}

/// Scheme with authority, and path without the slash at its end.
fn address(found: &str) -> Result<(String, String), Complaint> {
    let mend = "write the address of an OTLP collector, such as http://127.0.0.1:4318";
    let bad = |message: String| Complaint::new("bad_url", message, mend);
    let uri: Uri = found.trim().parse().map_err(|_| bad("is no URL".to_owned()))?;
    let spoken = uri.scheme() == Some(&Scheme::HTTP) || uri.scheme() == Some(&Scheme::HTTPS);
    let authority = uri.authority().map(|a| a.as_str()).unwrap_or_default();
    if !spoken || authority.is_empty() {
        return Err(bad(
            "is no address that begins with http:// or https://".to_owned()
        ));
    }
    if authority.contains('@') || uri.query().is_some() {
        return Err(Complaint::new(
            "bad_url",
            "holds a name, a password or a query, which would be shown",
            "put the key into [telemetry.otlp_headers]",
        ));
    }
    if uri.port_u16() == Some(4317) {
        return Err(Complaint::new(
            "bad_url",
            "names port 4317, where collectors speak gRPC",
            "write port 4318, where they speak HTTP",
        ));
    }
    let scheme = uri.scheme_str().unwrap_or("http");
    let path = uri.path().trim_end_matches('/');
    Ok((format!("{scheme}://{authority}"), path.to_owned()))
}

fn headers(t: &Table<'_, '_>) -> BTreeMap<String, Secret> {
    let table = t.table("otlp_headers");
    let mut headers = BTreeMap::new();
    for (name, place) in table.keys() {
        table.hide_unless(&name, |text| {
            text.starts_with("env:") || text.starts_with("file:")
        });
        let secret = value::secret(t.reader.base, t.reader.overrides);
        let Some(value) = table.read(&name, secret) else {
            continue;
        };
        let fits = match headers.len() < HEADERS_MAX {
            true => header(&name, value.expose()),
            false => Err(too_many(HEADERS_MAX)),
        };
        match fits {
            Ok(name) => {
                headers.insert(name, value);
            }
            Err(complaint) => table.reader.fault(place, &table.path_of(&name), complaint),
        }
    }
    table.finish();
    if headers.is_empty() && table.keys().is_empty() {
        return said(t, "otlp_headers", &HEADERS, said_headers).unwrap_or_default();
    }
    headers
}

/// `key=value,key=value`, the values percent-encoded. Nothing of it is quoted.
fn said_headers(variable: &str, text: &str) -> Result<BTreeMap<String, Secret>, Complaint> {
    let mut headers = BTreeMap::new();
    for (name, value) in said_pairs(text)? {
        if headers.len() >= HEADERS_MAX {
            return Err(too_many(HEADERS_MAX));
        }
        let name = header(&name, &value)?;
        headers.insert(name, Secret::new(format!("env:{variable}"), value));
    }
    Ok(headers)
}

fn said_pairs(text: &str) -> Result<Vec<(String, String)>, Complaint> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        Some((name.trim().to_owned(), decoded(value.trim())?))
    };
    pairs.map(pair).collect::<Option<_>>().ok_or_else(|| {
        Complaint::new(
            "bad_header",
            "is no list of pairs",
            "write key=value,key=value, with %20 for a space and %2C for a comma",
        )
    })
}

/// Without its `%20` and the like.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        rest = after;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
    }
    String::from_utf8(bytes).ok()
}

fn header(name: &str, value: &str) -> Result<String, Complaint> {
    let (message, mend) = if HeaderName::try_from(name).is_err() {
        ("is no name of a header", "write one such as x-api-key")
    } else if http::HeaderValue::try_from(value).is_err() {
        ("holds what no header may", "write visible ASCII in one line")
    } else {
        return Ok(name.to_ascii_lowercase());
    };
    Err(Complaint::new("bad_header", message, mend))
}

fn too_many(most: usize) -> Complaint {
    Complaint::new("out_of_range", format!("is one more than {most}"), "remove some")
}

/// Keys of the table take the place of those that a variable says.
fn resource(t: &Table<'_, '_>) -> BTreeMap<String, String> {
    let table = t.table("resource");
    let said = said(t, "resource", &["OTEL_RESOURCE_ATTRIBUTES"], |_, text| {
        said_pairs(text)
    });
    let mut attributes: BTreeMap<String, String> = said.into_iter().flatten().take(ATTRIBUTES_MAX).collect();
    for (key, place) in table.keys() {
        let Some(value) = table.read(&key, value::text) else {
            continue;
        };
        if attributes.len() >= ATTRIBUTES_MAX && !attributes.contains_key(&key) {
            table
                .reader
                .fault(place, &table.path_of(&key), too_many(ATTRIBUTES_MAX));
        } else {
            attributes.insert(key, value);
        }
    }
    table.finish();
    attributes
}
