//! Guards that an index of a native test gives passages as one of the host's:
//! word for word from where they say they begin.

use segue_sdk::prelude::*;
use segue_sdk::search::{self, Hit};
use segue_sdk::test::{Call, FakeIndex, call};

const GUIDE: &str = "\
# Guide

Welcome to the guide,
it is short.

## Swap

Copy the new file over the old one.

## Stop ##

Press Ctrl-C.
";

fn found(index: FakeIndex, text: &'static str, limit: u32) -> Vec<Hit> {
    let hits = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let keep = hits.clone();
    let run = Call::text("").index("docs", index).run(move |_, reply| {
        *keep.borrow_mut() = search::query("docs", text, limit)?.read()?;
        reply.send("found")
    });
    assert!(run.result.is_ok(), "{:?}", run.result);
    hits.take()
}

#[test]
fn a_passage_is_the_documents_text_from_its_offset_on() {
    let hits = found(FakeIndex::new().document("guide.md", GUIDE), "old SHORT file?", 5);
    assert_eq!(hits.len(), 2);
    for hit in &hits {
        let at = usize::try_from(hit.offset).unwrap();
        assert!(GUIDE[at..].starts_with(&hit.text), "{hit:?}");
        assert_eq!((hit.document.as_str(), hit.title.as_str()), ("guide.md", "Guide"));
    }
    assert_eq!(hits[0].headings, ["Guide", "Swap"]);
    assert_eq!(hits[1].text, "Welcome to the guide,\nit is short.");
    assert!(hits[0].score > hits[1].score);
}

#[test]
fn headings_are_searched_and_the_limit_holds() {
    let index = FakeIndex::new()
        .document("guide.md", GUIDE)
        .document("b.txt", "No swap here.");
    assert_eq!(found(index.clone(), "stop", 5)[0].text, "Press Ctrl-C.");
    assert_eq!(found(index.clone(), "swap", 1).len(), 1);
    assert_eq!(found(index.clone(), "swap", 5)[1].title, "b.txt");
    assert!(found(index.clone(), "nothing of that", 5).is_empty());
    assert_eq!(index.searches(), ["stop", "swap", "swap", "nothing of that"]);
}

#[test]
fn hits_and_failures_can_be_scripted() {
    let hit = found(FakeIndex::new().document("a.txt", "one"), "one", 1).remove(0);
    let index = FakeIndex::new().on("anything", [hit.clone(), hit]).fails(
        "broken",
        Error::new(Error::STORE_UNAVAILABLE, "not read yet").retryable(),
    );
    assert_eq!(found(index.clone(), "anything", 5).len(), 2);
    let run = Call::text("").index("docs", index).run(|_, _| {
        let hits = search::query("docs", "broken", 5)?;
        hits.read().map(drop)
    });
    assert_eq!(run.result.unwrap_err().code(), Error::STORE_UNAVAILABLE);
}

#[test]
fn links_are_there_when_documents_are_served() {
    let link = |index: FakeIndex| {
        let run = Call::text("").index("docs", index).run(|_, reply| {
            assert_eq!(search::indexes(), ["docs"]);
            let link = search::link("docs", "a b.md", 7, "what's this?")?;
            reply.send(link.unwrap_or_default())
        });
        run.text()
    };
    assert_eq!(link(FakeIndex::new()), "");
    let expected = "/v1/documents/docs/a%20b.md?offset=7&words=what%27s%20this%3F#words";
    assert_eq!(link(FakeIndex::new().served()), expected);
}

#[test]
fn what_is_not_granted_is_denied_with_the_line_to_add() {
    let run = call(
        |_, _| {
            assert!(search::indexes().is_empty());
            assert_eq!(
                search::link("docs", "a", 0, "b").unwrap_err().code(),
                Error::CAPABILITY_DENIED
            );
            search::query("docs", "a", 1).map(drop)
        },
        "",
    );
    let denied = run.result.unwrap_err();
    assert!(denied.message().contains(r#"search = ["docs"]"#), "{denied}");
    let long = |_: Message, _: &mut Reply| search::query("docs", &"x".repeat(4097), 1).map(drop);
    let run = Call::text("").index("docs", FakeIndex::new()).run(long);
    assert_eq!(run.result.unwrap_err().code(), Error::INVALID_ARGUMENT);
}
