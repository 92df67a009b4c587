//! A panic in the host's own code during a call ends that call and nothing else.

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::guest;
use crate::host::{Host, message};

/// A log that fails on one message, which is a way to make a host function
/// panic in the midst of a real call.
struct Fragile;

struct Trigger(bool);

impl Visit for Trigger {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0 |= field.name() == "message" && format!("{value:?}") == "panic now";
    }
}

impl Subscriber for Fragile {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "plugin"
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut trigger = Trigger(false);
        event.record(&mut trigger);
        assert!(!trigger.0, "told to");
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn a_panic_in_a_host_function_ends_its_call_and_nothing_else() {
    tracing::subscriber::set_global_default(Fragile).unwrap();
    let panics = guest::handler(
        "(data (i32.const 4096) \"panic now\")",
        "(call $log (i32.const 4096) (i32.const 9)) (call $ok)",
    );
    let host = Host::start(&[("panics", panics), ("echo", guest::echo())]).await;
    let echoing = host.generation("echo");
    for _ in 0..20 {
        let error = host.fails("panics", message("")).await;
        assert_eq!(error.code(), "internal");
        assert_eq!(host.ask("echo", "fine").await, "fine");
    }
    assert_eq!(echoing.in_flight(), 0);
    assert_eq!(host.runtime.stats().instances_in_use, 0);
}
