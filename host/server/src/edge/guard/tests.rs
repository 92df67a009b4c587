//! Only the host's own names, and pages that the config allows, get through.

use super::*;

fn check_with(
    host: &str,
    origin: Option<&str>,
    hosts: &[&str],
    origins: &[&str],
) -> Result<Source, ErrorCode> {
    let own = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    let (hosts, origins) = (own(hosts), own(origins));
    let allowed = Allowed {
        listen: IpAddr::V4(Ipv4Addr::new(192, 168, 1, 5)),
        hosts: &hosts,
        origins: &origins,
    };
    let mut headers = HeaderMap::new();
    headers.insert(HOST, host.parse().unwrap());
    if let Some(origin) = origin {
        headers.insert(ORIGIN, origin.parse().unwrap());
    }
    check(&Uri::from_static("/chat"), &headers, &allowed).map_err(|e| e.code)
}

#[test]
fn loopback_the_listener_and_listed_names_are_the_host() {
    for host in [
        "localhost",
        "LOCALHOST:8000",
        "localhost.:1",
        "app.localhost:8000",
        "127.0.0.1:8000",
        "127.9.9.9",
        "[::1]:8000",
        "192.168.1.5:8000",
        "chat.example.com",
        "chat.example.com:9",
        "api.example.com:8443",
    ] {
        let hosts = ["chat.example.com", "api.example.com:8443"];
        assert_eq!(check_with(host, None, &hosts, &[]), Ok(Source::Own), "{host}");
    }
}

#[test]
fn any_other_name_is_refused() {
    for host in [
        "evil.example",
        "localhost.evil.example",
        "notlocalhost",
        "127.0.0.1.evil.example",
        "user@localhost",
        "localhost:port",
        "192.168.1.6",
        "0.0.0.0",
        "api.example.com:80",
        "sub.chat.example.com",
        "",
    ] {
        let hosts = ["chat.example.com", "api.example.com:8443"];
        assert_eq!(
            check_with(host, None, &hosts, &[]),
            Err(ErrorCode::ForbiddenHost),
            "{host}"
        );
    }
}

#[test]
fn none_or_two_names_are_refused() {
    let allowed = Allowed {
        listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
        hosts: &[],
        origins: &[],
    };
    let mut headers = HeaderMap::new();
    let root = Uri::from_static("/");
    assert!(check(&root, &headers, &allowed).is_err());
    headers.append(HOST, "localhost".parse().unwrap());
    assert!(check(&root, &headers, &allowed).is_ok());
    assert!(check(&Uri::from_static("http://evil.example/"), &headers, &allowed).is_err());
    assert!(check(&Uri::from_static("http://localhost/"), &headers, &allowed).is_ok());
    headers.append(HOST, "localhost".parse().unwrap());
    assert!(check(&root, &headers, &allowed).is_err());
}

#[test]
fn the_hosts_own_pages_and_listed_origins_may_talk() {
    let own = [
        ("localhost:8000", "http://localhost:8000"),
        ("localhost", "http://localhost"),
        ("chat.example.com", "https://chat.example.com"),
        ("chat.example.com:443", "https://chat.example.com"),
    ];
    for (host, origin) in own {
        assert_eq!(
            check_with(host, Some(origin), &["chat.example.com"], &[]),
            Ok(Source::Own),
            "{origin}"
        );
    }
    let listed = ["https://app.example.com", "http://dev.example.com:3000"];
    for origin in [
        "https://app.example.com",
        "https://APP.example.com:443",
        "http://dev.example.com:3000",
    ] {
        let found = check_with("localhost:8000", Some(origin), &[], &listed);
        assert_eq!(found, Ok(Source::Foreign), "{origin}");
    }
    let found = check_with("127.0.0.1:8000", Some("http://localhost:5173"), &[], &[]);
    assert_eq!(found, Ok(Source::Foreign));
}

#[test]
fn foreign_origins_are_refused() {
    for origin in [
        "null",
        "http://evil.example",
        "http://localhost.evil.example",
        "https://app.example.com:444",
        "http://app.example.com",
        "http://user@localhost:8000",
        "file://",
        "rubbish",
    ] {
        let found = check_with("localhost:8000", Some(origin), &[], &["https://app.example.com"]);
        assert_eq!(found, Err(ErrorCode::ForbiddenOrigin), "{origin}");
    }
    // Beyond loopback a page on the visitor's own machine is foreign.
    let found = check_with(
        "chat.example.com",
        Some("http://localhost:3000"),
        &["chat.example.com"],
        &[],
    );
    assert_eq!(found, Err(ErrorCode::ForbiddenOrigin));
}

#[test]
fn a_denial_says_what_would_allow_it() {
    let allowed = Allowed {
        listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
        hosts: &[],
        origins: &[],
    };
    let mut headers = HeaderMap::new();
    headers.insert(HOST, "chat.example.com:8000".parse().unwrap());
    let denial = check(&Uri::from_static("/"), &headers, &allowed).unwrap_err();
    assert!(
        denial.message.contains("hosts = [\"chat.example.com\"]"),
        "{}",
        denial.message
    );
    headers.insert(HOST, "localhost".parse().unwrap());
    headers.insert(ORIGIN, "https://app.example.com".parse().unwrap());
    let denial = check(&Uri::from_static("/"), &headers, &allowed).unwrap_err();
    assert!(
        denial.message.contains("origins = [\"https://app.example.com\"]"),
        "{}",
        denial.message
    );
}
