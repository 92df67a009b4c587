//! What each capability contributes to a new plugin: a function that uses it, and
//! a test with a fake in its place.

use clap::ValueEnum;

/// A capability that a new plugin can begin with, in the order of their use. The
/// model comes last: what it says is forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum Part {
    /// Ask a database
    Sql,
    /// Search documents
    Search,
    /// Remember within a conversation
    Session,
    /// Keep values for good
    Keyvalue,
    /// Keep for a while what was costly to make
    Cache,
    /// Ask servers outside
    Http,
    /// Ask a language model
    Llm,
}

/// Its pieces of `src/lib.rs`, each whole lines. `NAME` is the plugin's name.
pub(super) struct Piece {
    pub(super) capability: &'static str,
    /// What it is granted.
    pub(super) scopes: &'static [&'static str],
    pub(super) uses: &'static str,
    pub(super) constant: &'static str,
    /// In the handler.
    pub(super) call: &'static str,
    pub(super) function: &'static str,
    pub(super) test_uses: &'static str,
    /// Of `segue_sdk::test`.
    pub(super) fakes: &'static [&'static str],
    /// On the test's call.
    pub(super) grant: &'static str,
    /// What stands in the capability's place.
    pub(super) fake: &'static str,
    pub(super) test: &'static str,
}

impl Part {
    pub(super) fn piece(self) -> Piece {
        match self {
            Part::Sql => SQL,
            Part::Search => SEARCH,
            Part::Session => SESSION,
            Part::Keyvalue => KEYVALUE,
            Part::Cache => CACHE,
            Part::Http => HTTP,
            Part::Llm => LLM,
        }
    }
}

const SQL: Piece = Piece {
    capability: "sql",
    scopes: &["shop"],
    uses: "use segue_sdk::sql;\n",
    constant: "const DATABASE: &str = \"shop\";\n",
    call: "    count_rows(reply)?;\n",
    function: r#"
/// Says how many rows each table has.
fn count_rows(reply: &mut Reply) -> Result<()> {
    for table in sql::tables(DATABASE)? {
        let count = format!("SELECT count(*) FROM \"{}\"", table.name);
        let records = sql::query(DATABASE, &count, &[])?.all()?;
        if let Some(rows) = records.value(0, 0) {
            reply.send(format!("{} has {rows} rows.\n", table.name))?;
        }
    }
    Ok(())
}
"#,
    test_uses: "    use segue_sdk::sql::Records;\n",
    fakes: &["FakeDatabase"],
    grant: ".database(DATABASE, shop())",
    fake: r#"
    fn shop() -> FakeDatabase {
        FakeDatabase::new()
            .table("products", &["id INTEGER PRIMARY KEY", "name TEXT"])
            .on(
                "SELECT count(*) FROM \"products\"",
                Records::new(["count(*)"]).row([3.into()]),
            )
    }
"#,
    test: r#"
    #[test]
    fn it_counts_the_rows() {
        let text = call("Ada").run(answer).text();
        assert!(text.contains("products has 3 rows."), "{text}");
    }
"#,
};

const SEARCH: Piece = Piece {
    capability: "search",
    scopes: &["docs"],
    uses: "use segue_sdk::search;\n",
    constant: "const INDEX: &str = \"docs\";\n",
    call: "    look_up(&message, reply)?;\n",
    function: r#"
/// Says what the documents have about the message.
fn look_up(message: &Message, reply: &mut Reply) -> Result<()> {
    for hit in search::query(INDEX, message.text(), 3)?.read()? {
        reply.send(format!("{} says: {}\n", hit.title, hit.text))?;
    }
    Ok(())
}
"#,
    test_uses: "",
    fakes: &["FakeIndex"],
    grant: ".index(INDEX, docs())",
    fake: r##"
    fn docs() -> FakeIndex {
        FakeIndex::new().document("people.md", "# People\n\nAda wrote programs.")
    }
"##,
    test: r#"
    #[test]
    fn it_looks_the_message_up() {
        let text = call("Ada").run(answer).text();
        assert!(text.contains("People says: Ada wrote programs."), "{text}");
    }
"#,
};

const SESSION: Piece = Piece {
    capability: "session",
    scopes: &["state"],
    uses: "use segue_sdk::session;\n",
    constant: "",
    call: "    count_message(reply)?;\n",
    function: r#"
/// Says how many messages this conversation had.
fn count_message(reply: &mut Reply) -> Result<()> {
    let mut count = 0;
    session::update("count", |kept| {
        let before = kept.and_then(|bytes| bytes.try_into().ok());
        count = before.map_or(0, u32::from_le_bytes) + 1;
        Ok(Some(count.to_le_bytes().to_vec()))
    })?;
    reply.send(format!("This is message {count} of our conversation.\n"))
}
"#,
    test_uses: "",
    fakes: &["FakeState"],
    grant: ".state(FakeState::new())",
    fake: "",
    test: r#"
    #[test]
    fn it_counts_the_messages_of_a_conversation() {
        let state = FakeState::new();
        call("Ada").state(state.clone()).run(answer);
        let text = call("Ada").state(state).run(answer).text();
        assert!(text.contains("This is message 2 of"), "{text}");
    }
"#,
};

const KEYVALUE: Piece = Piece {
    capability: "keyvalue",
    scopes: &["NAME"],
    uses: "use segue_sdk::keyvalue;\n",
    constant: "const BUCKET: &str = \"NAME\";\n",
    call: "    count_for_good(reply)?;\n",
    function: r#"
/// Says how many messages there were ever.
fn count_for_good(reply: &mut Reply) -> Result<()> {
    let count = keyvalue::open(BUCKET)?.increment("count", 1)?;
    reply.send(format!("I have been greeted {count} times.\n"))
}
"#,
    test_uses: "",
    fakes: &["FakeBucket"],
    grant: ".bucket(BUCKET, FakeBucket::new())",
    fake: "",
    test: r#"
    #[test]
    fn it_counts_for_good() {
        let bucket = FakeBucket::new();
        call("Ada").bucket(BUCKET, bucket.clone()).run(answer);
        let text = call("Ada").bucket(BUCKET, bucket).run(answer).text();
        assert!(text.contains("greeted 2 times"), "{text}");
    }
"#,
};

const CACHE: Piece = Piece {
    capability: "cache",
    scopes: &["answers"],
    uses: "use segue_sdk::cache;\n",
    constant: "const CACHE: &str = \"answers\";\n",
    call: "    count_letters(&message, reply)?;\n",
    function: r#"
/// Says how many letters the message has, counted once for all who send the same.
fn count_letters(message: &Message, reply: &mut Reply) -> Result<()> {
    let key = cache::key("letters:{{text}}", [("text", message.text())])?;
    let count = || Ok(message.text().chars().filter(|c| c.is_alphabetic()).count());
    let letters = cache::open(CACHE).get_or_set_json(&key, count)?;
    reply.send(format!("Your message has {letters} letters.\n"))
}
"#,
    test_uses: "",
    fakes: &["FakeCache"],
    grant: ".cache(CACHE, FakeCache::new())",
    fake: "",
    test: r#"
    #[test]
    fn it_counts_the_letters_once() {
        let cache = FakeCache::new().with("letters:Ada", "4");
        let text = call("Ada").cache(CACHE, cache).run(answer).text();
        assert!(text.contains("has 4 letters."), "{text}");
    }
"#,
};

const HTTP: Piece = Piece {
    capability: "http",
    scopes: &["example.com"],
    uses: "use segue_sdk::http;\n",
    constant: "const URL: &str = \"https://example.com/\";\n",
    call: "    measure_page(reply)?;\n",
    function: r#"
/// Says how long a page is.
fn measure_page(reply: &mut Reply) -> Result<()> {
    let page = http::get(URL)?.successful()?.text()?;
    reply.send(format!("{URL} has {} bytes.\n", page.len()))
}
"#,
    test_uses: "",
    fakes: &["FakeResponse", "FakeServer"],
    grant: ".server(\"example.com\", page())",
    fake: r#"
    fn page() -> FakeServer {
        FakeServer::answering(|_| Ok(FakeResponse::new(200).body("1234")))
    }
"#,
    test: r#"
    #[test]
    fn it_measures_the_page() {
        let text = call("Ada").run(answer).text();
        assert!(text.contains("has 4 bytes."), "{text}");
    }
"#,
};

const LLM: Piece = Piece {
    capability: "llm",
    scopes: &["main"],
    uses: "use segue_sdk::llm::Prompt;\n",
    constant: "const MODEL: &str = \"main\";\n",
    call: "    let_model_answer(&message)?;\n",
    function: r#"
/// Has the model's answer sent as it comes.
fn let_model_answer(message: &Message) -> Result<()> {
    Prompt::new(MODEL)
        .system("Answer in one sentence.")
        .user(message.text())
        .complete()?
        .forward()
}
"#,
    test_uses: "",
    fakes: &["FakeModel"],
    grant: ".model(MODEL, model())",
    fake: r#"
    fn model() -> FakeModel {
        FakeModel::saying(["Good day."])
    }
"#,
    test: r#"
    #[test]
    fn the_model_has_the_last_word() {
        let text = call("Ada").run(answer).text();
        assert!(text.ends_with("Good day."), "{text}");
    }
"#,
};
