//! From identifiers to words.

use crate::words::singular;

/// What an identifier is made of, singular and in lower case: `InvoiceLine`,
/// `invoice_lines` and `Invoice Lines` are all `invoice`, `line`. A prefix that
/// only says "this is a table" is dropped.
pub(crate) fn words_of(name: &str) -> Vec<String> {
    let mut words = split(name);
    if words.len() > 1
        && words
            .first()
            .is_some_and(|word| matches!(&**word, "tbl" | "dim" | "fact"))
    {
        words.remove(0);
    }
    words.iter().map(|word| singular(word)).collect()
}

/// The same as one word in lower case, as it is: `average` of `UnitPrices` is
/// `average_unit_prices`.
pub(crate) fn joined(name: &str) -> String {
    split(name).join("_")
}

/// At every character that is no letter or digit, and where small letters end
/// and capitals begin (`UnitPrice`, `HTMLPage`, `line2`).
fn split(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut before = ' ';
    let mut letters = name.chars().peekable();
    while let Some(letter) = letters.next() {
        let after = letters.peek().copied().unwrap_or(' ');
        let begins = letter.is_uppercase() && (!before.is_uppercase() || after.is_lowercase());
        let turns = letter.is_numeric() != before.is_numeric();
        if (!letter.is_alphanumeric() || begins || turns) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if letter.is_alphanumeric() {
            word.extend(letter.to_lowercase());
        }
        before = letter;
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_of_every_fashion_become_words() {
        for (name, words) in [
            ("Customer", "customer"),
            ("InvoiceLine", "invoice line"),
            ("order_items", "order item"),
            ("Order Details", "order detail"),
            ("BillingPostalCode", "billing postal code"),
            ("CustomerID", "customer id"),
            ("HTMLPage", "html page"),
            ("tbl_orders", "order"),
            ("Categories", "category"),
            ("line2", "line 2"),
            ("status", "status"),
            ("", ""),
        ] {
            assert_eq!(words_of(name).join(" "), words, "{name}");
        }
    }
}
