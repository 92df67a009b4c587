//! Databases at the bounds of what is looked at: what is asked of them keeps
//! within a host's bounds of a statement, which `Sqlite` has as well.

use super::database::Sqlite;

#[test]
fn many_columns_and_many_words_take_several_statements() {
    let mut script = String::new();
    for table in 0..60 {
        let columns: Vec<String> = (0..8)
            .map(|column| format!("c{column} TEXT, d{column}_at TEXT, is_e{column} BOOL"))
            .collect();
        script.push_str(&format!(
            "CREATE TABLE t{table} (id INTEGER PRIMARY KEY, {});",
            columns.join(", ")
        ));
    }
    script.push_str("CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO things VALUES (1, 'Gadget'), (2, 'Tool');");
    let db = Sqlite::from_script(&script);
    assert_eq!(db.ask("how many things are there").rows[0][0], 2.into());
    let long: Vec<String> = (0..58).map(|word| format!("word{word}")).collect();
    assert!(db.understand(&long.join(" ")).is_err());
}
