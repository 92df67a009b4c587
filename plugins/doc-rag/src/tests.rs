//! Guards what a client gets: citations that quote word for word, an answer from
//! them alone, and plain words where there is nothing to answer from.

use segue_sdk::test::{Call, FakeIndex, FakeModel, Run};
use serde_json::{Value, json};

use super::*;

const GUIDE: &str = "\
# Guide

Everything about the host.

## Swap

Copy the new file over the old one. The host
checks it and swaps it in; calls that run end on the old version.

## Stop

On SIGTERM the host drains: it waits for the calls that run.
";

fn docs() -> FakeIndex {
    FakeIndex::new().document("guide.md", GUIDE)
}

fn ask(question: &str, call: impl FnOnce(Call) -> Call) -> Run {
    call(Call::text(question)).run(doc_rag)
}

#[test]
fn a_citation_quotes_word_for_word_and_says_where() {
    let run = ask("How is a file swapped?", |call| {
        call.index("docs", docs().served())
    });
    let [citation] = run.data()[..] else {
        panic!("{:?}", run.sent);
    };
    let quote = citation["quote"].as_str().unwrap();
    let offset = usize::try_from(citation["offset"].as_u64().unwrap()).unwrap();
    assert!(GUIDE[offset..].starts_with(quote), "{citation}");
    assert!(quote.contains("Copy the new file"), "{citation}");
    let mut rest = citation.clone();
    for moving in ["quote", "offset"] {
        rest.as_object_mut().unwrap().remove(moving);
    }
    let link = rest["link"].take();
    assert!(
        link.as_str()
            .unwrap()
            .starts_with("/v1/documents/docs/guide.md?offset="),
        "{link}"
    );
    let expected = json!({
        "kind": "citation", "n": 1, "index": "docs", "document": "guide.md",
        "title": "Guide", "headings": ["Guide", "Swap"], "link": null,
    });
    assert_eq!(rest, expected);
    assert_eq!(run.statuses(), ["searching docs"]);
}

#[test]
fn without_a_model_the_answer_is_the_documents_own_words_and_says_so() {
    let run = ask("Which calls does the host wait for?", |call| {
        call.index("docs", docs())
    });
    let text = run.text();
    assert!(text.contains("No language model is granted"), "{text}");
    for (n, citation) in (1..).zip(run.data()) {
        let quote = citation["quote"]
            .as_str()
            .unwrap()
            .split_whitespace()
            .collect::<Vec<_>>();
        assert!(text.contains(&format!("\"{}\" [{n}]", quote.join(" "))), "{text}");
        assert_eq!((&citation["n"], &citation["link"]), (&json!(n), &Value::Null));
    }
    assert!(text.contains("it waits for the calls"), "{text}");
}

#[test]
fn a_model_gets_the_passages_numbered_as_the_citations() {
    let model = FakeModel::saying(["Copy the file over the old one [1]."]);
    let run = ask("How do I swap a file?", |call| {
        call.index("docs", docs()).model("main", model.clone())
    });
    assert_eq!(run.text(), "Copy the file over the old one [1].");
    assert_eq!(run.data().len(), 1);
    assert_eq!(run.statuses(), ["searching docs", "asking main about 1 passage"]);
    let asked = &model.asked()[0];
    assert_eq!(asked.last_user(), "How do I swap a file?");
    assert!(asked.system().contains("[1]") && asked.system().contains("nothing else"));
    let [(label, text)] = asked.material()[..] else {
        panic!("{asked:?}");
    };
    assert_eq!(label, "Guide, Swap (guide.md)");
    assert!(GUIDE.contains(text) && text.starts_with("Copy the new file"));
}

#[test]
fn a_model_that_generates_nothing_answers_through_the_same_prompt() {
    let model = FakeModel::offline();
    let run = ask("How do I swap a file?", |call| {
        call.index("docs", docs()).model("plain", model.clone())
    });
    assert!(run.text().starts_with("Copy the new file"), "{}", run.text());
    assert_eq!(model.asked().len(), 1);
}

#[test]
fn where_nothing_fits_it_says_so_and_asks_nobody() {
    for question in [
        "Who won the football match in Lisbon?",
        "zebra",
        "What about the copy of a zebra in my garden's pond?",
    ] {
        let model = FakeModel::saying(["invented"]);
        let run = ask(question, |call| {
            call.index("docs", docs()).model("main", model.clone())
        });
        assert!(
            run.text().starts_with("I found nothing about that"),
            "{}",
            run.text()
        );
        assert!(run.data().is_empty() && model.asked().is_empty(), "{question}");
    }
}

#[test]
fn settings_choose_index_model_and_number() {
    let notes = (0..9).fold(FakeIndex::new(), |index, n| {
        index.document(&format!("{n}.txt"), &format!("A note on tea, number {n}."))
    });
    let both = |call: Call| call.index("docs", docs()).index("notes", notes.clone());
    let run = ask("tea", both);
    assert_eq!(run.data().len(), 4);
    let run = ask("tea", |call| {
        both(call).setting("passages", 6).setting("index", "notes")
    });
    assert_eq!((run.data().len(), run.statuses()), (6, vec!["searching notes"]));
    let (one, two) = (FakeModel::saying(["one", "again"]), FakeModel::saying(["two"]));
    let models = |call: Call| both(call).model("one", one.clone()).model("two", two.clone());
    assert_eq!(ask("tea", models).text(), "one");
    let run = ask("tea", |call| {
        models(both(call).model("plain", FakeModel::offline())).setting("passages", 1)
    });
    assert_eq!(run.statuses()[1], "asking one about 1 passage");
    assert_eq!(
        ask("tea", |call| models(call).setting("model", "two")).text(),
        "two"
    );
    let run = ask("tea", |call| both(call).setting("passages", "many"));
    assert!(run.result.unwrap_err().detail().unwrap().contains("passages"));
}

#[test]
fn several_indexes_take_turns() {
    let index = |word: &str| {
        (0..3).fold(FakeIndex::new(), |index, n| {
            index.document(&format!("{word}{n}.txt"), &format!("The {word} tea."))
        })
    };
    let run = ask("tea", |call| {
        call.index("a", index("green")).index("b", index("black"))
    });
    let indexes: Vec<_> = run.data().iter().map(|data| data["index"].clone()).collect();
    assert_eq!(indexes, ["a", "b", "a", "b"]);
    assert_eq!(run.statuses(), ["searching a, b"]);
}

#[test]
fn what_is_missing_is_named() {
    let denied = ask("tea", |call| call).result.unwrap_err();
    assert_eq!(denied.code(), Error::CAPABILITY_DENIED);
    assert!(denied.message().contains("search = [\"NAME\"]"), "{denied}");
    let denied = ask("tea", |call| call.setting("index", "hr")).result.unwrap_err();
    assert!(denied.message().contains(r#"search = ["hr"]"#), "{denied}");
    let run = ask("  ", |call| call.index("docs", docs()));
    assert!(run.text().starts_with("Ask something"));
}

#[test]
fn a_failure_outside_ends_the_message_with_its_code() {
    let broken = Error::new(Error::STORE_UNAVAILABLE, "its first reading has not ended").retryable();
    let run = ask("tea", |call| {
        call.index("docs", FakeIndex::new().fails("tea", broken))
    });
    assert_eq!(run.result.unwrap_err().code(), Error::STORE_UNAVAILABLE);
    let cut = FakeModel::default().then_breaks("Copy ", Error::new(Error::UPSTREAM_FAILED, "cut"));
    let run = ask("swap", |call| call.index("docs", docs()).model("main", cut));
    assert_eq!(
        (run.text().as_str(), run.result.unwrap_err().code()),
        ("Copy ", Error::UPSTREAM_FAILED)
    );
}

#[test]
fn a_long_question_is_searched_for_by_its_beginning() {
    let index = docs();
    let run = ask(&"swap ü ".repeat(2000), |call| call.index("docs", index.clone()));
    assert!(run.result.is_ok(), "{:?}", run.result);
    assert!(index.searches()[0].len() <= MAX_QUESTION_BYTES);
}
