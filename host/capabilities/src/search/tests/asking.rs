//! Plain language in, the right passages out, and never an error.

use super::*;

const GUIDE: &str = "\
# Operating

How the host is run.

## Swapping plugins

Copy the component over the old one. The host checks it and puts it in its place.

## The outbox

When the outbox is full the handler waits. Set `max_in_flight` for more.

## Plug-ins and the Café

An entirely different matter: naïve façades.
";

#[tokio::test]
async fn whatever_is_typed_is_a_question_and_no_error() {
    let site = Site::new(&[("guide.md", GUIDE)]).await;
    let pieces = [
        "\"",
        ":",
        "+",
        "-",
        "AND",
        "OR",
        "NOT",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "^",
        "~",
        "*",
        "?",
        "\\",
        "/",
        "title:",
        "body:",
        "outbox",
        "'",
        "\0",
        "\n",
        "\u{feff}",
        "🦀",
        "日本語",
        "..",
        "TO",
        "IN",
        "&&",
        "||",
        "!",
        "<",
        ">",
        "=",
        "@",
        "#",
        "$",
        "%",
        "a",
        "é",
        "\u{301}",
        "x".repeat(300).as_str(),
        "1",
        "18446744073709551616",
        ";",
        "--",
        "' OR 1=1",
    ]
    .map(str::to_owned);
    for a in &pieces {
        for b in &pieces {
            for text in [a.clone(), format!("{a}{b}"), format!("{a} {b} outbox")] {
                let hits = ask(&site.indexes, &text, 3).await;
                let hits = hits.unwrap_or_else(|error| panic!("{text:?}: {error}"));
                // But where it would join the word to another one.
                if text.ends_with(" outbox") {
                    assert!(!hits.is_empty(), "{text:?}");
                }
            }
        }
    }
    assert!(ask(&site.indexes, "", 3).await.unwrap().is_empty());
}

#[tokio::test]
async fn words_are_found_in_all_their_forms() {
    let site = Site::new(&[("guide.md", GUIDE)]).await;
    for (text, heading) in [
        ("how do I swap a plugin?", "Swapping plugins"),
        ("SWAPS", "Swapping plugins"),
        ("what happens when the outbox is full", "The outbox"),
        ("max_in_flight", "The outbox"),
        ("max in flight", "The outbox"),
        ("cafe", "Plug-ins and the Café"),
        ("naive facade", "Plug-ins and the Café"),
        // Beginnings and slips.
        ("compo", "Swapping plugins"),
        ("outbax", "The outbox"),
        ("diffrent", "Plug-ins and the Café"),
        ("handlr wiats", "The outbox"),
    ] {
        let hits = site.ask(text).await;
        let found = hits
            .first()
            .and_then(|hit| hit.headings.last())
            .map(String::as_str);
        assert_eq!(found, Some(heading), "{text}");
    }
    let found = site.ask("plug-in").await;
    assert_eq!(found.len(), 2, "with and without the hyphen: {found:#?}");
    assert!(site.ask("zebra crossing 4096").await.is_empty());
}

#[tokio::test]
async fn a_hit_says_where_it_stands() {
    let site = Site::new(&[("guide.md", GUIDE), ("sub/notes.txt", "plain notes, no headings")]).await;
    let hits = site.ask("full outbox").await;
    assert_eq!(hits[0].document, "guide.md");
    assert_eq!(hits[0].title, "Operating");
    assert_eq!(hits[0].headings, ["Operating", "The outbox"]);
    assert!(hits[0].text.starts_with("When the outbox is full"));
    assert_eq!(hits[0].offset as usize, GUIDE.find("When the outbox").unwrap());
    site.check(&hits[0]);
    let hits = site.ask("plain notes").await;
    assert_eq!(
        (hits[0].title.as_str(), hits[0].headings.len()),
        ("sub/notes.txt", 0)
    );
}

#[tokio::test]
async fn words_that_say_nothing_count_only_where_nothing_else_is_asked() {
    let site = Site::new(&[("be.md", "To be, or not to be."), ("do.md", "Plugins do that.")]).await;
    assert_eq!(site.documents("to be or not to be").await[0], "be.md");
    assert_eq!(site.documents("what do plugins do to be").await, ["do.md"]);
}

#[tokio::test]
async fn titles_and_headings_count_more_than_mentions() {
    let mention =
        "Among many things here, the readiness is mentioned once, in passing, and then other things.";
    let site = Site::new(&[
        ("a.md", &format!("# Things\n\n{mention}")),
        (
            "b.md",
            "# Manual\n\n## Readiness\n\nThe host answers when it should get work.",
        ),
        ("c.md", &format!("# Others\n\n{mention} More of them.")),
    ])
    .await;
    assert_eq!(site.documents("readiness").await[0], "b.md");
}

#[tokio::test]
async fn what_says_the_same_is_found_once_and_one_document_does_not_fill_the_answer() {
    let same = "This paragraph stands at the foot of every page and speaks of warranty.";
    let pages: Vec<(String, String)> = (0..20)
        .map(|n| {
            (
                format!("p{n}.md"),
                format!("# Page {n}\n\nOwn words {n}.\n\n## Legal\n\n{same}\n"),
            )
        })
        .collect();
    let mut files: Vec<(&str, &str)> = pages.iter().map(|(name, text)| (&**name, &**text)).collect();
    let long = "## Part\n\nIt tells of the lighthouse and its keeper, at length.\n\n".to_owned();
    let long: String = (0..30)
        .map(|n| format!("{long}Number {n} is another one of them.\n\n"))
        .collect();
    files.push(("long.md", &long));
    files.push(("short.md", "A lighthouse has one keeper, as a rule."));
    let site = Site::new(&files).await;
    assert_eq!(site.ask("warranty").await.len(), 1);
    let found = ask(&site.indexes, "lighthouse keeper", 4).await.unwrap();
    assert!(found.iter().any(|hit| hit.document == "short.md"), "{found:#?}");
    // Best first, always.
    assert!(found.is_sorted_by(|a, b| a.score >= b.score));
}

#[tokio::test]
async fn hits_are_bounded_and_so_is_what_is_asked() {
    let text: String = (0..80)
        .map(|n| format!("# Heading {n}\n\nword number{n} and {}\n\n", n * 7919))
        .collect();
    let site = Site::new(&[("a.md", &text)]).await;
    for (limit, found) in [(0, 0), (1, 1), (7, 7), (50, 50), (1_000, 50), (usize::MAX, 50)] {
        assert_eq!(ask(&site.indexes, "word", limit).await.unwrap().len(), found);
    }
    let long = "word ".repeat(1_000);
    assert!(ask(&site.indexes, &long[..4_096], 1).await.is_ok());
    let error = ask(&site.indexes, &long[..4_097], 1).await.unwrap_err();
    assert_eq!(error.code(), "invalid_argument");
    let many: String = (0..500).map(|n| format!("w{n} ")).collect();
    assert!(ask(&site.indexes, &many, 1).await.unwrap().is_empty());
}

#[tokio::test]
async fn past_the_queue_it_says_so_and_a_dropped_search_leaves_it() {
    let site = Site::with(&[("a.md", "word")], BY_EVENTS, |index| index.queue = 3).await;
    // Nothing runs until this task waits, so none of them has ended.
    let query = |plugin| site.indexes.query(plugin, "docs", "word", 1);
    let searches: Vec<_> = ["a", "a", "a", "b", "b", "b", "c"].map(query).into();
    assert!(searches.iter().all(Result::is_ok));
    let error = query("d").unwrap_err();
    assert_eq!(error, Error::Overloaded("docs".to_owned()));
    drop(searches);
    let free = || async { query("d").is_ok() };
    site.until("there is room", free).await;
    // Read twice, the same twice.
    let mut hits = query("a").unwrap();
    assert_eq!(hits.read().await.unwrap().len(), 1);
    assert_eq!(hits.read().await.unwrap().len(), 1);
}

#[tokio::test]
async fn one_plugin_leaves_half_of_the_queue_to_the_others() {
    let site = Site::with(&[("a.md", "word")], BY_EVENTS, |index| index.queue = 4).await;
    let query = |plugin| site.indexes.query(plugin, "docs", "word", 1);
    // Nothing runs until this task waits, so none of them has ended.
    let greedy: Vec<_> = (0..4).map(|_| query("greedy").unwrap()).collect();
    let error = query("greedy").unwrap_err();
    let index = "docs".to_owned();
    assert_eq!(error, Error::Share { index, most: 4 });
    assert_eq!(error.code(), "overloaded");
    let mut modest = query("modest").unwrap();
    assert_eq!(modest.read().await.unwrap().len(), 1);
    drop(greedy);
}

#[tokio::test]
async fn a_call_holds_so_many_searches_until_it_drops_them() {
    let site = Site::new(&[("a.md", "word")]).await;
    let call = guest::Local::default();
    let hold = || call.hold(|| site.indexes.query("plugin", "docs", "word", 1));
    let mut held: Vec<_> = (0..guest::HELD_MAX).map(|_| hold().unwrap()).collect();
    let error = hold().unwrap_err();
    assert_eq!(error, Error::Held(guest::HELD_MAX));
    assert_eq!(error.code(), "overloaded");
    // What was read is in the host's memory all the same.
    assert_eq!(held[0].hits.read().await.unwrap().len(), 1);
    assert!(hold().is_err());
    held.pop();
    assert!(hold().is_ok());
    // A search that fails holds nothing.
    let long = "word ".repeat(1_000);
    for _ in 0..2 {
        let failed = call.hold(|| site.indexes.query("plugin", "docs", &long, 1));
        assert_eq!(failed.unwrap_err().code(), "invalid_argument");
    }
}

#[tokio::test]
async fn what_is_not_read_yet_is_told_so_and_may_be_asked_again() {
    let base = tempfile::tempdir().unwrap();
    let settings = BTreeMap::from([("docs".to_owned(), Index::at(base.path().to_owned()))]);
    // The task that reads has not run yet.
    let indexes = Indexes::with_pace(
        settings,
        &no_caches(),
        Guards::permissive(),
        Handle::current(),
        BY_EVENTS,
    );
    let error = indexes.query("plugin", "docs", "word", 1).unwrap_err();
    assert_eq!(error, Error::Reading("docs".to_owned()));
    let error = segue_runtime::HandlerError::from(error);
    assert_eq!(
        (error.code.as_str(), error.retryable),
        ("store_unavailable", true)
    );
    let state = indexes.state();
    assert!(!state[0].ready && state[0].reading, "{state:?}");
}
