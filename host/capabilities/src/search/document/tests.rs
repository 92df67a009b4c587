//! Documents, generated and real: every passage stands at its offset, and is
//! what a reader would call a passage.

use super::*;

fn parsed(kind: Kind, text: &str) -> Parsed {
    parse(kind, text.as_bytes().to_vec()).unwrap()
}

/// The passages of a document with the headings above each.
fn passages(kind: Kind, text: &str) -> Vec<(String, String)> {
    let parsed = parsed(kind, text);
    check(&parsed);
    parsed
        .passages
        .iter()
        .map(|passage| (path(&parsed, passage), words(&parsed, passage).to_owned()))
        .collect()
}

fn words<'a>(parsed: &'a Parsed, passage: &Passage) -> &'a str {
    let start = passage.offset as usize;
    &parsed.text[start..start + passage.len as usize]
}

fn path(parsed: &Parsed, passage: &Passage) -> String {
    let mut path = Vec::new();
    let mut at = passage.heading;
    while let Some(number) = at {
        let heading = &parsed.headings[number as usize];
        path.insert(0, &*heading.text);
        at = heading.above;
    }
    path.join(" / ")
}

/// What holds for every document.
fn check(parsed: &Parsed) {
    let mut end = 0;
    for passage in &parsed.passages {
        let words = words(parsed, passage);
        assert_eq!(hash(words), passage.hash);
        assert!(
            passage.offset as usize >= end,
            "passages overlap or are out of order"
        );
        end = (passage.offset + passage.len) as usize;
        assert!(
            !words.is_empty() && words.len() <= 2_400,
            "{} bytes: {words}",
            words.len()
        );
        assert!(words.trim().len() == words.len(), "{words:?}");
        assert!((passage.heading.unwrap_or(0) as usize) < parsed.headings.len().max(1));
    }
    for (number, heading) in parsed.headings.iter().enumerate() {
        assert!(heading.above.is_none_or(|above| (above as usize) < number));
    }
}

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

const SCRAPS: &[&str] = &[
    "# Heading\n",
    "## Äußere `code`\n\n",
    "Setext\n===\n",
    "\n\n",
    "\n",
    " ",
    "\t",
    "word ",
    "ein längeres Wort ",
    "日本語の文章。",
    "🦀🦀 ",
    "e\u{301} ",
    "- item\n",
    "  - nested\n",
    "1. first\n",
    "> quote\n",
    "```rust\nfn main() {}\n```\n",
    "```\nopen",
    "| a | b |\n|---|---|\n| 1 | 2 |\n",
    "<!-- hidden -->",
    "<!-- open\n\n",
    "-->\n",
    "<div>\n",
    "</div>\n\n",
    "---\ntitle: T\n---\n",
    "+++\n",
    "[link](http://example.com/a?b=c)",
    "![img](x.png)",
    "**bold** ",
    "\\",
    "&amp;",
    "***\n",
    "    indented\n",
    "[^1]",
    "[^1]: note\n",
    "<script>no()</script>\n",
    "Sentence one. Sentence two! ",
    "\r\n",
    "\u{feff}",
    "<h1>T</h1>",
    "<p>para",
    "<table><tr><td>1<td>2</table>",
    "<pre>\n a\n  b</pre>",
    "<li>x",
    "<nav>n</nav>",
    "<title>t</title>",
    "\u{a0}",
    "\u{2028}",
    "{#id}",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

#[test]
fn every_passage_of_every_generated_document_is_at_its_offset() {
    let mut numbers = Numbers(7);
    for round in 0..1_500 {
        let mut text = String::new();
        for _ in 0..numbers.below(120) {
            let scrap = SCRAPS[numbers.below(SCRAPS.len())];
            for _ in 0..=numbers.below(if round % 10 == 0 { 60 } else { 3 }) {
                text.push_str(scrap);
            }
        }
        for kind in [Kind::Markdown, Kind::Html, Kind::Plain] {
            let parsed = parsed(kind, &text);
            check(&parsed);
            assert_eq!(parsed.verbatim, kind != Kind::Html);
            if parsed.verbatim {
                assert_eq!(parsed.text, text);
            }
        }
    }
}

#[test]
fn no_passage_has_a_word_of_a_comment_or_of_front_matter() {
    let mut numbers = Numbers(11);
    for _ in 0..500 {
        let mut text = String::from("---\ntitle: X\nk: SECRET\n---\n");
        for _ in 0..numbers.below(40) {
            text.push_str(match numbers.below(8) {
                0 => "<!-- SECRET -->",
                1 => "\n\n<!--\nSECRET\n\nSECRET\n-->\n",
                2 => "\n- item <!-- SECRET --> more\n",
                3 => "\n> quote <!-- SECRET\nSECRET --> more\n",
                4 => "\n# H <!-- x -->\n",
                5 => "\n\n",
                6 => "<div>\n<!-- SECRET\n\nSECRET -->\n</div>\n\n",
                _ => "plain words. ",
            });
        }
        let parsed = parsed(Kind::Markdown, &text);
        check(&parsed);
        assert_eq!(parsed.title.as_deref(), Some("X"));
        for passage in &parsed.passages {
            assert!(
                !words(&parsed, passage).contains("SECRET"),
                "{text}\n====\n{}",
                words(&parsed, passage)
            );
        }
    }
}

/// The documents of this repository, and its sources, which are text too.
fn real() -> Vec<(String, Vec<u8>)> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    let mut folders = vec![
        root.join("docs"),
        root.join("host"),
        root.join("wit"),
        root.join("sdk"),
    ];
    while let Some(folder) = folders.pop() {
        // Somebody may be at work in there.
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(bytes) = std::fs::read(&path) {
                found.push((path.to_string_lossy().into_owned(), bytes));
            }
        }
    }
    found
}

#[test]
fn every_passage_of_every_real_document_is_at_its_offset() {
    let files = real();
    assert!(files.len() > 50);
    for (name, bytes) in files {
        for kind in [Kind::Markdown, Kind::Html, Kind::Plain] {
            match parse(kind, bytes.clone()) {
                Ok(parsed) => check(&parsed),
                Err(error) => assert!(
                    !name.ends_with(".md") && !name.ends_with(".html"),
                    "{name}: {error}"
                ),
            }
        }
        if let Ok(own) = parse(Kind::of(&name), bytes.clone()) {
            assert!(
                !own.passages.is_empty() || bytes.trim_ascii().is_empty(),
                "{name}"
            );
        }
    }
}

#[test]
fn markdown_keeps_its_headings_and_its_title() {
    let text = "\
---
author: A
title: \"The Guide\"
---
Before any heading.

# Guide

Intro.

## Swap a *plugin*

Copy it.

### Details ###

More.

## Empty

# Second

Last.
";
    assert_eq!(parsed(Kind::Markdown, text).title.as_deref(), Some("The Guide"));
    assert_eq!(
        passages(Kind::Markdown, text),
        [
            ("", "Before any heading."),
            ("Guide", "Intro."),
            ("Guide / Swap a plugin", "Copy it."),
            ("Guide / Swap a plugin / Details", "More."),
            ("Guide", "## Empty"),
            ("Second", "Last."),
        ]
        .map(|(path, words)| (path.to_owned(), words.to_owned()))
    );
}

#[test]
fn without_front_matter_the_highest_heading_is_the_title() {
    for (text, title) in [
        ("text\n\n## Two\n\n# One\n\ntext\n", Some("One")),
        ("+++\ntitle = 'T'\n+++\n# One\n", Some("T")),
        ("\u{feff}# Marked\n", Some("Marked")),
        ("text\n", None),
        ("# \n\ntext", None),
        ("> # Quoted\n", None),
    ] {
        assert_eq!(parsed(Kind::Markdown, text).title.as_deref(), title, "{text}");
    }
}

#[test]
fn code_and_tables_stay_whole_where_they_fit() {
    let code = format!("```\n{}```", "let line = of_code();\n\n".repeat(60));
    let table = format!("| a | b |\n|---|---|\n{}", "| cell | another cell |\n".repeat(60));
    let prose = "A sentence of some words. ".repeat(40);
    let text = format!("# H\n\n{prose}\n\nLike this:\n\n{code}\n\n{prose}\n\n{table}\n");
    let found = passages(Kind::Markdown, &text);
    assert!(found.iter().any(|(_, words)| words.contains(&code)), "{found:#?}");
    assert!(
        found.iter().any(|(_, words)| words.contains(table.trim())),
        "{found:#?}"
    );
    // Too long: cut between lines, and nothing is lost.
    let long = format!("```\n{}```", "let line = of_code();\n".repeat(500));
    let found = passages(Kind::Markdown, &long);
    assert!(found.len() > 5);
    for (_, words) in &found {
        assert!(words.starts_with("let") || words.starts_with("```"), "{words}");
    }
    assert_eq!(
        found
            .iter()
            .map(|(_, words)| words.matches("of_code").count())
            .sum::<usize>(),
        500
    );
}

#[test]
fn long_prose_is_cut_between_sentences_into_pieces_of_one_size() {
    let text = "This sentence stands for all others. ".repeat(200);
    let found = passages(Kind::Plain, &text);
    for (_, words) in &found {
        assert!((400..=1_200).contains(&words.len()), "{}", words.len());
        assert!(words.ends_with('.') && words.starts_with("This"), "{words}");
    }
    let unbroken = "日本".repeat(5_000);
    let found = passages(Kind::Plain, &unbroken);
    assert_eq!(
        found.iter().map(|(_, words)| words.len()).sum::<usize>(),
        unbroken.len()
    );
}

#[test]
fn html_is_the_text_a_reader_sees() {
    let html = "<!doctype html><html><head><title> The\n Page </title><style>p{}</style></head>
<body><nav><a href=x>Home</a> <a href=y>Up</a></nav>
<h1>Big <em>Title</em></h1><script>evil()</script>
<p>One &amp; two,
   <b>th</b>ree<!-- hidden -->.</p>
<div>four<br>five<p hidden>never</p></div>
<ul><li>six</li><li><p>seven</p></li></ul>
<h2>Code</h2><pre>a
  b</pre>
<table><tr><th>k</th><th>v</th></tr><tr><td><p>1</p></td><td>2</td></tr></table>
</body></html>";
    let parsed = parsed(Kind::Html, html);
    assert_eq!(parsed.title.as_deref(), Some("The Page"));
    assert_eq!(
        parsed.text,
        "Home Up\n\nBig Title\n\nOne & two, three.\n\nfour\nfive\n\n- six\n- seven\n\nCode\n\na\n  b\n\nk\tv\n1\t2"
    );
    assert_eq!(
        passages(Kind::Html, html),
        [
            ("Big Title", "One & two, three.\n\nfour\nfive\n\n- six\n- seven"),
            ("Big Title / Code", "a\n  b\n\nk\tv\n1\t2"),
        ]
        .map(|(path, words)| (path.to_owned(), words.to_owned()))
    );
}

#[test]
fn hostile_documents_are_read_or_refused_in_time() {
    // Were any of these read in a time that grows with the square of its size,
    // this test would take minutes and not a second.
    let n = 60_000;
    for text in [
        "<div>".repeat(n),
        "<div>".repeat(500) + &"<div></div>".repeat(n),
        "<li><li/><p><a><td>".repeat(n),
        "<p><object></object>".repeat(n),
        "<button><p>".repeat(n),
        "<svg><p>".repeat(n),
        "<table>".repeat(n / 10),
        "<table><tr><td>".repeat(n / 10),
        "<b>".repeat(n),
        "<a>".repeat(n),
        "<p><b><i>".repeat(n / 10),
        "<div><!--\n\n".repeat(n),
        "<!--".repeat(n),
        "[".repeat(n),
        "![".repeat(n),
        "> ".repeat(n),
        "- ".repeat(n),
        "*a_ ".repeat(n),
        "`".repeat(n),
        "|a|\n|-|\n".repeat(n),
        "# a\n".repeat(n),
        "&".repeat(n),
        "<".repeat(n),
        "\\".repeat(n),
        "[a]: b\n".repeat(n),
        "[^a]: b\n".repeat(n),
        "a".repeat(n * 20),
        " ".repeat(n * 20),
        "---\n".repeat(n),
    ] {
        for kind in [Kind::Markdown, Kind::Html, Kind::Plain] {
            match parse(kind, text.as_bytes().to_vec()) {
                Ok(parsed) => check(&parsed),
                Err(error) => assert_eq!((kind, error), (Kind::Html, NoText::Deep)),
            }
        }
    }
}

#[test]
fn kinds_go_by_the_name() {
    for (path, kind) in [
        ("a.md", Kind::Markdown),
        ("a/B.MARKDOWN", Kind::Markdown),
        ("x.HTM", Kind::Html),
        ("x.html", Kind::Html),
        ("x.txt", Kind::Plain),
        ("dir.md/file", Kind::Plain),
        ("README", Kind::Plain),
    ] {
        assert_eq!(Kind::of(path), kind, "{path}");
    }
}

#[test]
fn a_reader_that_fails_fails_for_its_file_alone() {
    assert_eq!(guarded(|| 1), Ok(1));
    let failing = || -> u8 { std::panic::resume_unwind(Box::new("a fault of a parser")) };
    assert_eq!(guarded(failing), Err(NoText::Reader));
}
