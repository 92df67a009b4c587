use std::sync::Mutex;

use super::*;

const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const NOT_TAKEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

#[derive(Default)]
struct Kept(Mutex<Vec<EndedSpan>>);

impl SpanSink for Kept {
    fn ended(&self, span: EndedSpan) {
        self.0.lock().unwrap().push(span);
    }
}

fn name() -> Cow<'static, str> {
    "work".into()
}

#[test]
fn a_step_is_under_the_work_it_is_of_and_ends_when_dropped() {
    let kept = Arc::new(Kept::default());
    let tracer = Tracer::new(kept.clone(), 1.0);
    let root = tracer.begin(Some(CALLER), SpanKind::Server, name);
    let mut step = root.scope().child(SpanKind::Client, name);
    step.set("a", 1u64);
    step.fail("upstream_failed");
    let sent = step.scope().traceparent();
    drop(step);
    drop(root);
    let spans = kept.0.lock().unwrap();
    let [step, root] = &spans[..] else {
        panic!("{spans:?}")
    };
    assert_eq!(
        step.context.to_string(),
        sent,
        "who is told and who is kept is one"
    );
    assert_eq!(step.parent, Some(root.context.span()));
    assert!(!step.parent_is_remote && root.parent_is_remote);
    assert_eq!(
        root.parent,
        TraceContext::parse(CALLER).map(|caller| caller.span())
    );
    assert_eq!(step.failed.as_deref(), Some("upstream_failed"));
    assert_eq!(step.attributes, [("a", SpanValue::Number(1))]);
}

#[test]
fn without_a_sink_the_trace_is_passed_on_and_nothing_is_made() {
    let root = Tracer::default().begin(Some(CALLER), SpanKind::Server, || panic!("a name was made"));
    let step = root.scope().child(SpanKind::Client, || panic!("a name was made"));
    assert!(!root.is_taken() && !step.is_taken());
    let context = TraceContext::parse(&step.scope().traceparent()).unwrap();
    assert_eq!(context.trace_id().to_string(), CALLER[3..35]);
    assert_eq!(step.scope().traceparent(), root.scope().traceparent());
    assert_eq!(Span::default().scope().traceparent(), "");
}

#[test]
fn a_caller_that_does_not_take_its_trace_is_followed() {
    let kept = Arc::new(Kept::default());
    let tracer = Tracer::new(kept.clone(), 1.0);
    let root = tracer.begin(Some(NOT_TAKEN), SpanKind::Server, name);
    drop(root.scope().child(SpanKind::Internal, name));
    assert!(root.scope().traceparent().ends_with("-00"));
    drop(root);
    assert!(kept.0.lock().unwrap().is_empty());
}

#[test]
fn of_new_traces_about_the_share_is_taken_and_whole_ones() {
    let kept = Arc::new(Kept::default());
    let tracer = Tracer::new(kept.clone(), 0.25);
    for _ in 0..2_000 {
        let root = tracer.begin(None, SpanKind::Server, name);
        let step = root.scope().child(SpanKind::Internal, name);
        assert_eq!(root.is_taken(), step.is_taken());
        assert_eq!(root.scope().traceparent().ends_with("-01"), root.is_taken());
    }
    let taken = kept.0.lock().unwrap().len() / 2;
    assert!((300..700).contains(&taken), "{taken} of 2000");
    // What a caller takes is taken whatever the share.
    let none = Tracer::new(kept.clone(), 0.0);
    assert!(none.begin(Some(CALLER), SpanKind::Server, name).is_taken());
    assert!(!none.begin(None, SpanKind::Server, name).is_taken());
}

/// Takes what plugins wrote, too.
#[derive(Default)]
struct Curious(Kept);

impl SpanSink for Curious {
    fn ended(&self, span: EndedSpan) {
        self.0.ended(span);
    }

    fn takes_texts(&self) -> bool {
        true
    }
}

#[test]
fn what_a_plugin_wrote_is_said_only_to_who_asked_and_up_to_a_bound() {
    let (kept, curious) = (Arc::new(Kept::default()), Arc::new(Curious::default()));
    let long = "ä".repeat(WRITTEN_MAX_BYTES);
    for tracer in [Tracer::new(kept.clone(), 1.0), Tracer::new(curious.clone(), 1.0)] {
        let mut span = tracer.begin(None, SpanKind::Client, name);
        span.set_written("db.query.text", &long);
        span.fail("first");
        span.fail("second");
    }
    let kept = kept.0.lock().unwrap();
    assert!(kept[0].attributes.is_empty());
    assert_eq!(kept[0].failed.as_deref(), Some("first"));
    let curious = curious.0.0.lock().unwrap();
    let SpanValue::Text(text) = &curious[0].attributes[0].1 else {
        panic!("{curious:?}")
    };
    assert_eq!(text.len(), WRITTEN_MAX_BYTES);
}

#[test]
fn work_that_waited_began_when_it_came() {
    let kept = Arc::new(Kept::default());
    let tracer = Tracer::new(kept.clone(), 1.0);
    let mut span = tracer.begin(None, SpanKind::Consumer, name);
    span.began_at(SystemTime::now() - Duration::from_secs(5));
    drop(span);
    let took = kept.0.lock().unwrap()[0].took;
    assert!(
        took >= Duration::from_secs(5) && took < Duration::from_secs(60),
        "{took:?}"
    );
}
