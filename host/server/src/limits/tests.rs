//! Who is counted by what, and what is left to whom.

use prometheus::Opts;
use tokio::time::advance;

use super::*;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

fn rules(text: &str) -> Vec<RateLimit> {
    let dir = std::path::Path::new("/srv/segue");
    let config = crate::config::parse(text, dir, &std::collections::BTreeMap::new());
    config.unwrap_or_else(|faults| panic!("{faults}")).rate_limits
}

fn limits(text: &str) -> Limits {
    let refused = IntCounterVec::new(Opts::new("refused", "refused"), &["limit"]).unwrap();
    Limits::new(&rules(text), refused)
}

fn limit(name: &str, rest: &str) -> String {
    format!("[[limit]]\nname = \"{name}\"\nrate = 1\n{rest}\n")
}

fn request(limits: &Limits, address: IpAddr, template: &str) -> bool {
    limits.request(address, template).is_ok()
}

fn message(limits: &Limits, address: IpAddr, session: &str, mtype: &str, via: Via) -> bool {
    let mut caller = Caller::new(address, via);
    limits.message(&mut caller, session, mtype, mtype).is_ok()
}

// O7
#[tokio::test(start_paused = true)]
async fn a_limit_without_a_match_counts_requests_connects_and_messages_over_sockets() {
    let limits = limits(&limit("all", "per = \"host\"").replace("rate = 1", "rate = 4"));
    assert!(request(&limits, HERE, "/v1/messages"));
    assert!(
        message(&limits, HERE, "s", "chat", Via::Http),
        "it was counted as a request"
    );
    assert!(request(&limits, HERE, "/chat"));
    assert!(message(&limits, HERE, "s", "chat", Via::Socket));
    assert!(limits.frame(THERE, "/raw").is_ok());
    for quiet in [
        "/metrics",
        "/api/health/detailed",
        "/health/ready",
        "/health/live",
    ] {
        assert!(request(&limits, HERE, quiet), "{quiet}");
    }
    assert!(!request(&limits, THERE, "/v1/sessions"));
    assert!(!message(&limits, THERE, "t", "chat", Via::Socket));
    assert!(limits.frame(HERE, "/raw").is_err());
    advance(Duration::from_secs(15)).await;
    assert!(request(&limits, THERE, "/v1/sessions"));
}

// O8
#[tokio::test(start_paused = true)]
async fn a_limit_of_a_path_counts_that_path_and_one_of_a_type_its_messages() {
    let limits = limits(&format!(
        "{}{}",
        limit("sessions", "match = { path = \"/v1/sessions\" }"),
        limit("deep", "match = { mtype = \"deep\" }"),
    ));
    assert!(request(&limits, HERE, "/v1/sessions"));
    assert!(!request(&limits, HERE, "/v1/sessions"));
    assert!(request(&limits, THERE, "/v1/sessions"), "by address by default");
    for _ in 0..5 {
        assert!(request(&limits, HERE, "/v1/messages"));
        assert!(message(&limits, HERE, "s", "chat", Via::Socket));
    }
    assert!(message(&limits, HERE, "s", "deep", Via::Http));
    assert!(!message(&limits, HERE, "s", "deep", Via::Socket), "one for both");
}

// N39
#[tokio::test(start_paused = true)]
async fn a_client_is_a_session_on_a_socket_and_an_address_elsewhere() {
    let limits = limits(&limit("client", "per = \"client\""));
    assert!(message(&limits, HERE, "one", "chat", Via::Socket));
    assert!(!message(&limits, THERE, "one", "chat", Via::Socket));
    assert!(message(&limits, HERE, "two", "chat", Via::Socket));
    assert!(request(&limits, HERE, "/v1/messages"));
    assert!(!request(&limits, HERE, "/v1/messages"));
}

#[tokio::test(start_paused = true)]
async fn each_route_may_have_its_own_and_a_tenant_is_everybody() {
    let limits = limits(&limit("route", "per = \"route\""));
    for path in ["/v1/messages", "/v1/sessions"] {
        assert!(request(&limits, HERE, path));
        assert!(!request(&limits, THERE, path));
    }
    assert!(message(&limits, HERE, "s", "chat", Via::Socket));
    assert!(!message(&limits, THERE, "t", "chat", Via::Socket));
    let limits = super::tests::limits(&limit("tenant", "per = \"tenant\""));
    assert!(request(&limits, HERE, "/v1/messages"));
    assert!(!request(&limits, THERE, "/v1/sessions"));
}

#[tokio::test(start_paused = true)]
async fn an_ipv6_client_is_its_network_however_many_addresses_it_has() {
    let limits = limits(&limit("address", ""));
    let ask = |address: &str| request(&limits, address.parse().unwrap(), "/v1/sessions");
    assert!(ask("2001:db8:0:1::1"));
    assert!(!ask("2001:db8:0:1:ffff::2"));
    assert!(ask("2001:db8:0:2::1"));
}

#[tokio::test(start_paused = true)]
async fn of_several_each_must_have_one_left_and_who_is_refused_pays_nothing() {
    let two = "[[limit]]\nname = \"address\"\nrate = 2\n";
    let limits = limits(&format!("{two}{}", limit("host", "per = \"host\"")));
    assert!(request(&limits, THERE, "/v1/sessions"));
    for _ in 0..5 {
        let used_up = limits.request(HERE, "/v1/sessions").unwrap_err();
        let told: Vec<_> = used_up
            .told
            .iter()
            .map(|told| (&*told.name, told.decision.remaining))
            .collect();
        assert_eq!(told, [("address", 2), ("host", 0)]);
        assert_eq!(used_up.error.limit.unwrap().name, "host");
    }
    advance(Duration::from_secs(60)).await;
    assert!(request(&limits, HERE, "/v1/sessions"));
    assert_eq!(limits.refused.with_label_values(&["host"]).get(), 5);
    assert_eq!(limits.refused.with_label_values(&["address"]).get(), 0);
}

#[tokio::test(start_paused = true)]
async fn over_a_reload_what_is_as_before_keeps_its_buckets() {
    let (one, other) = (limit("one", ""), limit("other", ""));
    let limits = limits(&format!("{one}{other}"));
    assert!(request(&limits, HERE, "/v1/sessions"));
    let other = other.replace("rate = 1", "rate = 2");
    limits.configure(&rules(&format!("{other}{one}")));
    let used_up = limits.request(HERE, "/v1/sessions").unwrap_err();
    assert_eq!(used_up.error.limit.unwrap().name, "one");
    limits.configure(&rules(&other));
    assert!(request(&limits, HERE, "/v1/sessions"));
    limits.configure(&[]);
    for _ in 0..9 {
        assert!(request(&limits, HERE, "/v1/sessions"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_handlers_own_limit_is_told_by_its_name() {
    let limits = limits("");
    let one = Settings::new(1, Duration::from_secs(60));
    assert!(limits.handler("chat", one).is_ok());
    let error = limits.handler("chat", one).unwrap_err();
    assert_eq!(
        (error.code, error.retry_after_ms),
        (ErrorCode::RateLimited, Some(60_000))
    );
    assert_eq!(error.limit.unwrap().name, "handler.chat");
    assert!(limits.handler("other", one).is_ok());
    assert!(
        limits
            .handler("chat", Settings::new(2, Duration::from_secs(60)))
            .is_ok()
    );
}
