//! What is guarded: an answer repeats the material and adds nothing to it, cites
//! it by number, and says that no model wrote it.

use super::super::prompt::{Piece, Prompt};
use super::*;

const SWAP: &str = "# Plugins\n\n## Swap\n\nA **swap** loses no message and closes no socket. \
    A call ends on the version it began on. It takes half a millisecond.\n";
const GRANTS: &str = "## Grants\n\nA plugin without a `.toml` has no capability. \
    The ceiling stands in `[plugins.max_grants]`. Grants may only narrow it.";

fn asked(question: &str, material: &[(&str, &str)]) -> Vec<String> {
    let mut prompt = Prompt::new();
    for (label, text) in material {
        prompt.push(Piece::Material {
            label: String::from(*label),
            text: String::from(*text),
        });
    }
    prompt.push(Piece::User(String::from(question)));
    answer(&prompt)
}

#[test]
fn the_sentence_that_fits_is_quoted_with_its_number() {
    let material = [("Plugins (swap.md)", SWAP), ("Grants (grants.md)", GRANTS)];
    for (question, expected) in [
        (
            "Do swaps lose messages?",
            "A swap loses no message and closes no socket. [1]",
        ),
        (
            "On which version does a call end?",
            "A call ends on the version it began on. [1]",
        ),
        (
            "Where does the ceiling stand?",
            "The ceiling stands in [plugins.max_grants]. [2]",
        ),
        (
            "What has a plugin without toml?",
            "A plugin without a .toml has no capability. [2]",
        ),
    ] {
        let pieces = asked(question, &material);
        assert_eq!(pieces[0].trim_end(), expected, "{question}");
        assert_eq!(*pieces.last().unwrap(), format!("\n\n{BY_PASSAGES}"));
        assert!(pieces.len() <= 5, "{pieces:?}");
    }
}

#[test]
fn every_quoted_sentence_stands_in_the_passage_it_cites() {
    let material = [("a", SWAP), ("b", GRANTS)];
    let pieces = asked("plugin version swap ceiling grants message capability", &material);
    let (_closing, quotes) = pieces.split_last().unwrap();
    assert!((2..=4).contains(&quotes.len()), "{quotes:?}");
    for quote in quotes {
        let (sentence, number) = quote.trim_end().rsplit_once(" [").unwrap();
        let number: usize = number.strip_suffix(']').unwrap().parse().unwrap();
        let passage = material[number - 1].1.replace(['*', '`'], "");
        assert!(passage.contains(sentence), "{sentence}");
    }
}

#[test]
fn a_heading_speaks_for_what_stands_below_it() {
    let pieces = asked(
        "How long are backups kept?",
        &[("x", "## Backups\n\nThirty days. Then they go.")],
    );
    assert_eq!(pieces[0].trim_end(), "Thirty days. [1]");
}

#[test]
fn what_fits_nothing_is_not_answered_with_something() {
    let pieces = asked(
        "Who painted the ceiling of heaven's zoo?",
        &[("x", "Bread is baked at four.")],
    );
    assert_eq!(pieces, [NO_FIT]);
    assert_eq!(asked("Hello", &[]), [NOTHING]);
}

#[test]
fn rows_are_told_before_passages() {
    let rows = r#"{"columns":["count"],"rows":[[59]]}"#;
    let pieces = asked("How many customers are there?", &[("rows", rows)]);
    assert_eq!(pieces, [String::from("count: 59 [1]."), format!("\n\n{BY_ROWS}")]);
    let both = asked("Does a swap lose messages?", &[("docs", SWAP), ("rows", rows)]);
    assert_eq!(both[0], "count: 59 [2]. ");
    assert!(both[1].ends_with("[1]") || both[1].ends_with("[1] "), "{both:?}");
    assert!(both.last().unwrap().ends_with(BY_BOTH));
}

const LIMITS: &str = "| limit | default | past it |\n|---|--:|---|\n| `deadline` | 30 s | `deadline_exceeded` |\n\
    | `memory` | 64 MiB | `memory_exceeded` |\n";

#[test]
fn of_a_documents_table_the_rows_that_fit_are_told() {
    let within = format!("## Limits\n\nThey hold for each call.\n\n{LIMITS}");
    for text in [LIMITS, &within] {
        let pieces = asked("What is the default deadline?", &[("x", text)]);
        let expected = "limit: deadline; default: 30 s; past it: deadline_exceeded [1]";
        assert_eq!(pieces, [String::from(expected), format!("\n\n{BY_ROWS}")]);
    }
    // Nobody can tell which: all of them.
    let pieces = asked("What about it?", &[("x", LIMITS)]);
    assert!(
        pieces[0].starts_with("2 rows of limit, default, past it: "),
        "{pieces:?}"
    );
}

#[test]
fn a_sentence_about_the_question_comes_before_a_list_of_names_that_have_its_words() {
    let refusals =
        "The codes are `too_large`, `too_many_plugins`, `memory_too_small` and `uses_plugin_memory`.";
    let limits = "A plugin that asks for more memory than 64 MiB ends its call.";
    let pieces = asked(
        "What happens if my plugin uses too much memory?",
        &[("refusals", refusals), ("limits", limits)],
    );
    assert_eq!(pieces[0].trim_end(), format!("{limits} [2]"));
}

#[test]
fn the_same_prompt_gives_the_same_answer_and_the_work_is_bounded() {
    let long = "Swaps lose nothing at all. ".repeat(10_000);
    let pieces = asked("swap", &[("a", &long), ("b", &long), ("c", "Swap.")]);
    assert_eq!(
        pieces,
        asked("swap", &[("a", &long), ("b", &long), ("c", "Swap.")])
    );
    assert!(
        pieces[0].starts_with("Swaps lose nothing at all. [1]"),
        "{pieces:?}"
    );
}
