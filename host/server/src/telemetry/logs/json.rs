//! One JSON object a line.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use super::MAX_VALUE_BYTES;
use crate::telemetry::TraceContext;

/// Fields of the line itself come first; those of the spans around it, the
/// innermost first, fill in what it does not say.
pub(super) struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut extra = fields.0;
        let message = extra.remove("message").unwrap_or(Value::String(String::new()));
        for span in context.event_scope().into_iter().flatten() {
            let extensions = span.extensions();
            let Some(written) = extensions.get::<FormattedFields<N>>() else {
                continue;
            };
            // `JsonFields` wrote it, so it is an object.
            let around: Map<String, Value> = serde_json::from_str(&written.fields).unwrap_or_default();
            for (name, value) in around {
                extra.entry(name).or_insert(value);
            }
        }

        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let line = Line {
            timestamp: time,
            level: event.metadata().level().as_str(),
            context: event.metadata().target(),
            trace_id: trace_id(&mut extra),
            message,
            extra,
        };
        let line = serde_json::to_string(&line).map_err(|_| fmt::Error)?;
        writeln!(out, "{line}")
    }
}

/// In the order in which people read it.
#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    level: &'a str,
    context: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<Value>,
    message: Value,
    #[serde(skip_serializing_if = "Map::is_empty")]
    extra: Map<String, Value>,
}

/// The trace of the line: `trace_id`, or the part of a whole `traceparent`.
fn trace_id(extra: &mut Map<String, Value>) -> Option<Value> {
    let parent = extra
        .get("traceparent")
        .and_then(Value::as_str)
        .and_then(TraceContext::parse)
        .map(|context| Value::String(context.trace_id().to_string()));
    extra.remove("trace_id").or(parent)
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, cut(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        self.put(field, cut(&text));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, cut(&format!("{value:?}")));
    }
}

fn cut(value: &str) -> String {
    if value.len() <= MAX_VALUE_BYTES {
        return value.to_owned();
    }
    let end = value.floor_char_boundary(MAX_VALUE_BYTES);
    let kept = value.get(..end).unwrap_or_default();
    format!("{kept}… ({} bytes in all)", value.len())
}
