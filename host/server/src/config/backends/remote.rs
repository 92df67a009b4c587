//! Reads `[http]`.

use segue_capabilities::http;

use super::Http;
use super::read::{ms, seconds};
use crate::config::reader::Table;
use crate::config::value::{self, GIB, KIB, amount, duration, size};

const MAX_NETWORKS: usize = 64;

pub(super) fn egress(root: &Table<'_, '_>) -> Http {
    let t = root.table("http");
    let usual = http::settings::Egress::default();
    let waits = ms(10)..=seconds(3600);
    let networks = t.list("allow_networks", MAX_NETWORKS, value::network);
    let egress = Http {
        allow_networks: networks.into_iter().map(|(network, _)| network).collect(),
        connect_timeout: t.or(
            "connect_timeout",
            usual.connect_timeout,
            duration(ms(10)..=seconds(300)),
        ),
        timeout: t.or("timeout", usual.timeout, duration(waits.clone())),
        idle_timeout: t.or("idle_timeout", usual.idle_timeout, duration(waits)),
        max_in_flight: t.or("max_in_flight", usual.max_in_flight, amount(1..=100_000)),
        max_request: t.or("max_request", usual.max_request, size(KIB..=GIB)),
        max_response: t.or("max_response", usual.max_response, size(KIB..=16 * GIB)),
    };
    t.finish();
    egress
}
