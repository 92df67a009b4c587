//! Real documents and what people ask of them: is the best hit the one that a
//! person would open?

use super::*;

/// The index of a folder that is there already.
async fn index(root: &Path) -> Arc<Indexes> {
    let mut index = Index::at(root.to_owned());
    index.include = vec![
        "*.md".to_owned(),
        "docs/**".to_owned(),
        "host/*.md".to_owned(),
        "wit/**".to_owned(),
    ];
    index.serve = true;
    let settings = BTreeMap::from([("docs".to_owned(), index)]);
    let indexes = Indexes::with_pace(
        settings,
        &no_caches(),
        Guards::permissive(),
        Handle::current(),
        BY_EVENTS,
    );
    let began = Instant::now();
    while !indexes.state()[0].ready {
        assert!(began.elapsed() < SOON, "{:?}", indexes.state());
        sleep(Duration::from_millis(10)).await;
    }
    indexes
}

/// That one of the first `within` hits is under this heading, or in this
/// document.
async fn leads_to(indexes: &Indexes, question: &str, place: &str, within: usize) {
    let hits = ask(indexes, question, 8).await.unwrap();
    let found: Vec<String> = hits
        .iter()
        .map(|hit| format!("{} > {}", hit.document, hit.headings.join(" > ")))
        .collect();
    let best = found.iter().take(within);
    assert!(
        best.into_iter().any(|found| found.contains(place)),
        "{question}: {found:#?}"
    );
}

#[tokio::test]
async fn questions_about_segue_lead_to_where_its_documents_answer_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let indexes = index(&root).await;
    for (question, place, within) in [
        ("write a handler in Rust", "rit", 1),
        ("how do I write a handler of my own?", "rit", 1),
        ("what does a client see?", "What a client sees", 1),
        ("how do I run a host", "Run a host", 2),
        ("what is the life of a message", "The life of a message", 1),
        ("what happens when a plugin is swapped", "wap", 3),
        ("which crate knows no sockets", "ARCHITECTURE.md", 2),
        ("where do I add an error code", "Where to add what", 1),
        ("can a search be sent past 4 KiB of text", "search", 3),
        ("deadline-ms", "wit/plugin/call.wit", 2),
        ("measured throughput", "Measured", 2),
    ] {
        leads_to(&indexes, question, place, within).await;
    }
}

#[tokio::test]
async fn questions_about_its_design_lead_to_where_it_answers_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    if !root.join("DESIGN.md").exists() {
        eprintln!("skipped: there are no design notes beside this checkout");
        return;
    }
    let indexes = index(&root).await;
    for (question, place, within) in [
        ("what is bounded", "DESIGN.md", 1),
        ("how are messages ordered within a session", "Wire", 2),
        ("which library for search", "Libraries", 1),
        ("what is a grant", "DESIGN.md", 2),
        ("what happens to a slow consumer", "Wire", 2),
        ("when is the host ready", "Readiness", 2),
    ] {
        leads_to(&indexes, question, place, within).await;
    }
}
