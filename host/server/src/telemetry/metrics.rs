//! The host's metrics, over a registry of its own.
//!
//! No label ever takes a client's text: a message type is a label only if a
//! route names it (the caller says `other` otherwise), a path is the template
//! of its route. What the plugin runtime counts is read when it is asked for.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use super::aliases::{self, Alias};
use super::cache_stats::CacheCollector;
use super::guard_stats::GuardCollector;
use super::model_stats::ModelCollector;
use segue_resilience::shed::Reason;

use super::logs::LogHandle;
use super::pace::Pace;
use super::process::ProcessCollector;
use super::runtime_stats::{LogCollector, RuntimeCollector};
use super::sql_stats::DatabaseCollector;

/// Upper bounds in seconds: half a millisecond to the longest usual deadline.
const SECONDS: [f64; 16] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

/// What a message type is called that no route names.
pub const OTHER: &str = "other";

/// Cheap to clone; all clones count together.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    aliases: Arc<ArcSwap<Vec<Alias>>>,
    /// WebSockets that are open now.
    pub connections: IntGauge,
    /// Sessions that are kept now, with or without a socket.
    pub sessions: IntGauge,
    pub frames_sent: IntCounter,
    pub frames_dropped: IntCounter,
    pub spans_exported: IntCounter,
    pub spans_dropped: IntCounter,
    /// Sockets refused or dropped because the listener holds all it may.
    pub connections_refused: IntCounter,
    /// By the name of the limit.
    pub rate_limited: IntCounterVec,
    /// By the reason.
    pub shed: IntCounterVec,
    /// Messages of the last minute.
    pub pace: Pace,
    sockets: IntGaugeVec,
    messages_received: IntCounterVec,
    messages: IntCounterVec,
    message_seconds: HistogramVec,
    fallbacks: IntCounterVec,
    http_requests: IntCounterVec,
    http_seconds: HistogramVec,
}

/// Counts something as there until it is dropped.
pub struct Held(IntGauge);

impl Held {
    pub fn new(gauge: &IntGauge) -> Held {
        gauge.inc();
        Held(gauge.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// A registry with everything in it that does not need a runtime. Fails
    /// only if two metrics were given the same name.
    pub fn new() -> Result<Metrics, prometheus::Error> {
        let registry = Registry::new();
        let kept = Kept(&registry);
        let metrics = Metrics {
            connections: kept.gauge("segue_connections", "WebSockets open now.")?,
            sessions: kept.gauge("segue_sessions", "Sessions kept now, with or without a socket.")?,
            frames_sent: kept.counter("segue_frames_sent_total", "Frames sent to clients.")?,
            spans_exported: kept.counter("segue_spans_exported_total", "Spans that the collector took.")?,
            spans_dropped: kept.counter(
                "segue_spans_dropped_total",
                "Spans dropped because the queue was full or the collector did not take them.",
            )?,
            frames_dropped: kept.counter("segue_frames_dropped_total", "Frames dropped by a full outbox.")?,
            connections_refused: kept.counter(
                "segue_connections_refused_total",
                "Connections refused because the listener held all it may.",
            )?,
            rate_limited: kept.add(IntCounterVec::new(
                Opts::new(
                    "segue_rate_limited_total",
                    "Requests and messages refused because a limit was used up.",
                ),
                &["limit"],
            )?)?,
            shed: kept.add(IntCounterVec::new(
                Opts::new(
                    "segue_shed_total",
                    "Requests and messages refused because the host had too much to do.",
                ),
                &["reason"],
            )?)?,
            pace: Pace::default(),
            sockets: kept.add(IntGaugeVec::new(
                Opts::new("segue_sockets", "TCP connections open now, of every kind."),
                &["listener"],
            )?)?,
            messages_received: kept.add(IntCounterVec::new(
                Opts::new(
                    "segue_messages_received_total",
                    "Messages that arrived, by message type.",
                ),
                &["mtype"],
            )?)?,
            messages: kept.add(IntCounterVec::new(
                Opts::new(
                    "segue_messages_total",
                    "Messages that ended, by message type and how: ok or an error code.",
                ),
                &["mtype", "outcome"],
            )?)?,
            message_seconds: kept.add(HistogramVec::new(
                HistogramOpts::new(
                    "segue_message_seconds",
                    "Time from a message's arrival to its last frame.",
                )
                .buckets(SECONDS.to_vec()),
                &["mtype"],
            )?)?,
            fallbacks: kept.add(IntCounterVec::new(
                Opts::new(
                    "segue_fallbacks_total",
                    "Messages that their route's first handler could not answer, and what was done.",
                ),
                &["handler", "to"],
            )?)?,
            http_requests: kept.add(IntCounterVec::new(
                Opts::new(
                    "segue_http_requests_total",
                    "HTTP requests answered, by route template.",
                ),
                &["route", "method", "status"],
            )?)?,
            http_seconds: kept.add(HistogramVec::new(
                HistogramOpts::new(
                    "segue_http_request_seconds",
                    "Time to the head of an HTTP answer.",
                )
                .buckets(SECONDS.to_vec()),
                &["route", "method"],
            )?)?,
            registry: registry.clone(),
            aliases: Arc::default(),
        };
        kept.add(IntGaugeVec::new(
            Opts::new("segue_build_info", "Always 1; the label is the host's version."),
            &["version"],
        )?)?
        .with_label_values(&[env!("CARGO_PKG_VERSION")])
        .set(1);
        for reason in Reason::ALL {
            metrics.shed.with_label_values(&[reason.as_str()]);
        }
        registry.register(Box::new(ProcessCollector::new()?))?;
        Ok(metrics)
    }

    /// From now on the runtime's counters are read with the others.
    pub fn watch_runtime(&self, runtime: segue_runtime::Runtime) -> Result<(), prometheus::Error> {
        self.registry.register(Box::new(RuntimeCollector::new(runtime)?))
    }

    /// From now on what the guards count is read with the others.
    pub fn watch_guards(&self, guards: Arc<segue_resilience::Guards>) -> Result<(), prometheus::Error> {
        self.registry.register(Box::new(GuardCollector::new(guards)?))
    }

    /// From now on what the caches count is read with the others.
    pub fn watch_caches(&self, app: std::sync::Weak<crate::state::App>) -> Result<(), prometheus::Error> {
        self.registry.register(Box::new(CacheCollector::new(app)?))
    }

    /// From now on how the databases stand is read with the others.
    pub fn watch_databases(&self, app: std::sync::Weak<crate::state::App>) -> Result<(), prometheus::Error> {
        self.registry.register(Box::new(DatabaseCollector::new(app)?))
    }

    /// From now on what models were asked is read with the others.
    pub fn watch_models(&self, app: std::sync::Weak<crate::state::App>) -> Result<(), prometheus::Error> {
        self.registry.register(Box::new(ModelCollector::new(app)?))
    }

    /// From now on the dropped log lines are read with the others.
    pub fn watch_logs(&self, logs: LogHandle) -> Result<(), prometheus::Error> {
        self.registry.register(Box::new(LogCollector::new(logs)?))
    }

    /// From now on metrics are told under these names too, and no others.
    pub fn name_also(&self, aliases: Vec<Alias>) {
        self.aliases.store(Arc::new(aliases));
    }

    /// Open sockets of one listener.
    pub fn sockets(&self, listener: &'static str) -> IntGauge {
        self.sockets.with_label_values(&[listener])
    }

    /// `mtype` as a route names it, else [`OTHER`].
    pub fn message_received(&self, mtype: &str) {
        self.messages_received.with_label_values(&[mtype]).inc();
    }

    /// `mtype` as a route names it, else [`OTHER`]; `outcome` is `ok` or the
    /// code of the error.
    pub fn message_ended(&self, mtype: &str, outcome: &'static str, took: Duration) {
        self.pace.ended(took);
        self.messages.with_label_values(&[mtype, outcome]).inc();
        self.message_seconds
            .with_label_values(&[mtype])
            .observe(took.as_secs_f64());
    }

    /// `handler` as a route names it; `to` is a handler, or `model`, `cached` or
    /// `text`.
    pub fn fell_back(&self, handler: &str, to: &str) {
        self.fallbacks.with_label_values(&[handler, to]).inc();
    }

    /// `route` is a template, never a path as a client wrote it.
    pub fn http_answered(
        &self,
        route: &str,
        method: &http::Method,
        status: http::StatusCode,
        took: Duration,
    ) {
        let method = method_label(method);
        self.http_requests
            .with_label_values(&[route, method, status.as_str()])
            .inc();
        self.http_seconds
            .with_label_values(&[route, method])
            .observe(took.as_secs_f64());
    }

    /// The text exposition format and its content type.
    pub fn render(&self) -> Result<(&'static str, Vec<u8>), prometheus::Error> {
        let mut text = Vec::new();
        let mut gathered = self.registry.gather();
        aliases::add(&self.aliases.load(), &mut gathered);
        TextEncoder::new().encode(&gathered, &mut text)?;
        Ok(("text/plain; version=0.0.4; charset=utf-8", text))
    }
}

/// Methods are a client's text too: unknown ones share a label.
pub(crate) fn method_label(method: &http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => OTHER,
    }
}

struct Kept<'a>(&'a Registry);

impl Kept<'_> {
    fn add<M: prometheus::core::Collector + Clone + 'static>(
        &self,
        metric: M,
    ) -> Result<M, prometheus::Error> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.add(IntGauge::new(name, help)?)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.add(IntCounter::new(name, help)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(metrics: &Metrics) -> String {
        String::from_utf8(metrics.render().unwrap().1).unwrap()
    }

    #[test]
    fn what_is_counted_can_be_read() {
        let metrics = Metrics::new().unwrap();
        let open = Held::new(&metrics.connections);
        metrics.message_received("chat");
        metrics.message_ended("chat", "ok", Duration::from_millis(3));
        let text_open = text(&metrics);
        for line in [
            "segue_connections 1",
            "segue_messages_received_total{mtype=\"chat\"} 1",
            "segue_messages_total{mtype=\"chat\",outcome=\"ok\"} 1",
            "segue_message_seconds_bucket{mtype=\"chat\",le=\"0.005\"} 1",
            concat!("segue_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        ] {
            assert!(text_open.contains(line), "{line} in\n{text_open}");
        }
        drop(open);
        assert!(text(&metrics).contains("segue_connections 0"));
    }

    #[test]
    fn two_hosts_count_apart() {
        let (one, two) = (Metrics::new().unwrap(), Metrics::new().unwrap());
        one.message_received("chat");
        assert!(!text(&two).contains("mtype=\"chat\""));
    }

    #[test]
    fn an_unknown_method_is_not_a_label() {
        let metrics = Metrics::new().unwrap();
        let method = http::Method::from_bytes(b"FROB-1234").unwrap();
        metrics.http_answered(
            "/chat",
            &method,
            http::StatusCode::METHOD_NOT_ALLOWED,
            Duration::ZERO,
        );
        assert!(!text(&metrics).contains("FROB"));
        assert!(text(&metrics).contains("method=\"other\""));
    }
}
