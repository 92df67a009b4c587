//! A collector of traces that speaks OTLP over HTTP, and that takes, refuses or
//! keeps waiting what it is sent.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode};
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::within;

/// What the collector does with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Takes,
    /// `503`.
    Refuses,
    /// `401`.
    Unknown,
    /// `200`, and that it took none of them.
    Rejects,
    /// Reads it and says nothing.
    Hangs,
}

/// The collector. Dropping it closes its port.
pub struct Collector {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    manner: watch::Sender<Manner>,
    taken: watch::Sender<Taken>,
}

#[derive(Default)]
struct Taken {
    batches: usize,
    heads: Vec<String>,
    resource: BTreeMap<String, String>,
    spans: Vec<Span>,
}

impl Collector {
    pub async fn start(manner: Manner) -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("the port's address");
        let shared = Arc::new(Shared {
            manner: watch::Sender::new(manner),
            taken: watch::Sender::default(),
        });
        let for_all = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            while let Ok((link, _)) = listener.accept().await {
                tokio::spawn(serve(link, Arc::clone(&for_all)));
            }
        });
        Collector {
            address,
            shared,
            accepting,
        }
    }

    /// For `telemetry.otlp_endpoint`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn set(&self, manner: Manner) {
        self.shared.manner.send_replace(manner);
    }

    /// Batches that came, whatever became of them.
    #[must_use]
    pub fn batches(&self) -> usize {
        self.shared.taken.borrow().batches
    }

    /// Waits for the spans taken so far to be what is wanted, and gives them all.
    pub async fn spans(&self, what: &str, wanted: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        let mut taken = self.shared.taken.subscribe();
        let taken = within(what, taken.wait_for(|taken| wanted(&taken.spans))).await;
        taken.expect("the collector").spans.clone()
    }

    /// Waits until it was sent something.
    pub async fn asked(&self) {
        let mut taken = self.shared.taken.subscribe();
        let asked = within("a batch", taken.wait_for(|taken| taken.batches > 0)).await;
        asked.expect("the collector");
    }

    /// What the last batch said of the host.
    #[must_use]
    pub fn resource(&self) -> BTreeMap<String, String> {
        self.shared.taken.borrow().resource.clone()
    }

    /// Request lines and headers.
    #[must_use]
    pub fn heads(&self) -> Vec<String> {
        self.shared.taken.borrow().heads.clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(mut link: TcpStream, shared: Arc<Shared>) -> Option<()> {
    let mut read = Vec::new();
    let end = loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if link.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(read.get(..end)?).into_owned();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    });
    let length: usize = length?;
    while read.len() < end + length {
        if link.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
    let manner = *shared.manner.borrow();
    let batch = ExportTraceServiceRequest::decode(read.get(end..)?).expect("a batch in OTLP");
    let spans = batch.resource_spans.iter().flat_map(|of_one| &of_one.scope_spans);
    let rejected = ExportTraceServiceResponse {
        partial_success: Some(ExportTracePartialSuccess {
            rejected_spans: spans.map(|scope| scope.spans.len() as i64).sum(),
            error_message: String::from("too old"),
        }),
    };
    shared.taken.send_modify(|taken| {
        taken.batches += 1;
        taken.heads.push(head);
        if manner == Manner::Takes {
            for of_one in batch.resource_spans {
                let attributes = of_one.resource.map(|resource| resource.attributes);
                taken.resource = attributes.iter().flatten().map(pair).collect();
                let spans = of_one.scope_spans.into_iter().flat_map(|scope| scope.spans);
                taken.spans.extend(spans);
            }
        }
    });
    let (status, body) = match manner {
        Manner::Takes => ("200 OK", Vec::new()),
        Manner::Rejects => ("200 OK", rejected.encode_to_vec()),
        Manner::Refuses => ("503 Service Unavailable", Vec::new()),
        Manner::Unknown => ("401 Unauthorized", Vec::new()),
        Manner::Hangs => {
            // Until the other side leaves.
            let _ = link.read_buf(&mut read).await;
            return None;
        }
    };
    let length = body.len();
    let mut answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/x-protobuf\r\nContent-Length: {length}\r\n\r\n"
    )
    .into_bytes();
    answer.extend(body);
    link.write_all(&answer).await.ok()
}

fn pair(attribute: &KeyValue) -> (String, String) {
    let value = attribute.value.as_ref().and_then(|value| value.value.as_ref());
    let text = match value {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        Some(any_value::Value::BoolValue(flag)) => flag.to_string(),
        other => format!("{other:?}"),
    };
    (attribute.key.clone(), text)
}

/// What a span says, as text.
#[must_use]
pub fn said(span: &Span) -> BTreeMap<String, String> {
    span.attributes.iter().map(pair).collect()
}

/// Whether it is marked as failed.
#[must_use]
pub fn failed(span: &Span) -> bool {
    span.status
        .as_ref()
        .is_some_and(|status| status.code == StatusCode::Error as i32)
}

/// Lower case hexadecimal digits, as in a `traceparent`.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first span of this name.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn named<'s>(spans: &'s [Span], name: &str) -> &'s Span {
    let found = spans.iter().find(|span| span.name == name);
    found.unwrap_or_else(|| panic!("no span {name} among {:?}", names(spans)))
}

/// What they are called.
#[must_use]
pub fn names(spans: &[Span]) -> Vec<&str> {
    spans.iter().map(|span| span.name.as_str()).collect()
}

/// Whether one of this name has come.
pub fn has(name: &'static str) -> impl Fn(&[Span]) -> bool {
    move |spans| spans.iter().any(|span| span.name == name)
}
