//! Spans as OTLP has them.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind as Kind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use segue_runtime::trace::{EndedSpan, SpanKind, SpanValue};

use crate::config::Telemetry;

/// Bits of a span's `flags` beside those of its trace: whether it is known that the
/// span above it is another process's, and whether it is.
const KNOWS_REMOTE: u32 = 1 << 8;
const IS_REMOTE: u32 = 1 << 9;

/// Makes messages for a collector, each of which says whose spans they are.
pub(super) struct Messages {
    resource: Resource,
}

impl Messages {
    pub(super) fn of(settings: &Telemetry) -> Messages {
        let own = [
            ("service.name", settings.service_name.clone()),
            ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
            ("service.instance.id", crate::ids::random().to_string()),
        ];
        let own = own.into_iter().map(|(key, value)| (key.to_owned(), value));
        let own = own.filter(|(key, _)| !settings.resource.contains_key(key));
        let said = settings.resource.clone();
        let all = own
            .chain(said)
            .map(|(key, value)| attribute(key, Value::StringValue(value)));
        Messages {
            resource: Resource {
                attributes: all.collect(),
                ..Resource::default()
            },
        }
    }

    pub(super) fn of_spans(&self, spans: impl Iterator<Item = EndedSpan>) -> ExportTraceServiceRequest {
        let of_host = ScopeSpans {
            scope: Some(InstrumentationScope {
                name: String::from("segue"),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                ..InstrumentationScope::default()
            }),
            spans: spans.map(span).collect(),
            ..ScopeSpans::default()
        };
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(self.resource.clone()),
                scope_spans: vec![of_host],
                ..ResourceSpans::default()
            }],
        }
    }
}

fn span(ended: EndedSpan) -> Span {
    let mut attributes: Vec<KeyValue> = (ended.attributes.into_iter())
        .map(|(key, value)| attribute(key.to_owned(), value_of(value)))
        .collect();
    let status = ended.failed.map(|code| {
        attributes.push(attribute(
            "error.type".to_owned(),
            Value::StringValue(code.clone().into_owned()),
        ));
        Status {
            message: code.into_owned(),
            code: StatusCode::Error.into(),
        }
    });
    let remote = match ended.parent_is_remote {
        true => KNOWS_REMOTE | IS_REMOTE,
        false => KNOWS_REMOTE,
    };
    Span {
        trace_id: ended.context.trace().to_vec(),
        span_id: ended.context.span().to_vec(),
        parent_span_id: ended.parent.map(|id| id.to_vec()).unwrap_or_default(),
        flags: u32::from(ended.context.flags()) | remote,
        name: ended.name.into_owned(),
        kind: match ended.kind {
            SpanKind::Internal => Kind::Internal,
            SpanKind::Server => Kind::Server,
            SpanKind::Client => Kind::Client,
            SpanKind::Consumer => Kind::Consumer,
        }
        .into(),
        start_time_unix_nano: nanos(ended.began),
        end_time_unix_nano: nanos(ended.began + ended.took),
        attributes,
        status,
        ..Span::default()
    }
}

fn nanos(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn attribute(key: String, value: Value) -> KeyValue {
    KeyValue {
        key,
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn value_of(value: SpanValue) -> Value {
    match value {
        SpanValue::Text(text) => Value::StringValue(text.into_owned()),
        SpanValue::Number(number) => Value::IntValue(number),
        SpanValue::Flag(flag) => Value::BoolValue(flag),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use segue_runtime::trace::{SpanSink, Tracer};

    use super::*;

    #[derive(Default)]
    struct Kept(Mutex<Vec<EndedSpan>>);

    impl SpanSink for Kept {
        fn ended(&self, span: EndedSpan) {
            self.0.lock().unwrap().push(span);
        }
    }

    #[test]
    fn a_span_is_whole_in_the_message() {
        let kept = Arc::new(Kept::default());
        let tracer = Tracer::new(kept.clone(), 1.0);
        let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let root = tracer.begin(Some(caller), SpanKind::Server, || "above".into());
        let mut step = root.scope().child(SpanKind::Client, || "below".into());
        step.set("count", 3u64);
        step.set("flag", true);
        step.fail("upstream_failed");
        drop(step);
        drop(root);
        let spans = kept.0.lock().unwrap().clone();
        let config = crate::config::parse(
            "[telemetry]\nresource = { \"service.version\" = \"of the shop\" }",
            std::path::Path::new("/"),
            &Default::default(),
        );
        let messages = Messages::of(&config.unwrap().telemetry);
        let message = messages.of_spans(spans.into_iter());
        let [of_host] = &message.resource_spans[..] else {
            panic!("{message:?}")
        };
        let resource = of_host.resource.as_ref().unwrap();
        let versions = (resource.attributes.iter()).filter(|said| said.key == "service.version");
        assert_eq!(versions.count(), 1, "who runs the host knows better");
        let [below, above] = &of_host.scope_spans[0].spans[..] else {
            panic!("{message:?}")
        };
        assert_eq!(
            above.parent_span_id,
            [0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]
        );
        assert_eq!(above.flags, 1 | KNOWS_REMOTE | IS_REMOTE);
        assert_eq!(above.status, None);
        assert_eq!(above.kind(), Kind::Server);
        assert_eq!(below.parent_span_id, above.span_id);
        assert_eq!(below.trace_id, above.trace_id);
        assert_eq!(below.flags, 1 | KNOWS_REMOTE);
        assert_eq!(below.kind(), Kind::Client);
        let status = below.status.as_ref().unwrap();
        assert_eq!(
            (status.code(), status.message.as_str()),
            (StatusCode::Error, "upstream_failed")
        );
        let keys: Vec<&str> = below.attributes.iter().map(|said| said.key.as_str()).collect();
        assert_eq!(keys, ["count", "flag", "error.type"]);
        assert!(below.end_time_unix_nano >= below.start_time_unix_nano);
        assert!(above.start_time_unix_nano <= below.start_time_unix_nano);
    }
}
