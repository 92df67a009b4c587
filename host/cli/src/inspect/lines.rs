//! The lines of configuration that would let a plugin work: for its `.toml` and
//! for `segue.toml`, ready to paste.
//!
//! With a config at hand they name what it configures, and leave out what it
//! already says; without one they have placeholders in capitals.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use segue_runtime::Inspection;
use segue_server::Config;

/// What a capability is granted as long as nothing better is known, and the
/// section that the name stands for.
const PLACEHOLDERS: [(&str, &str, &str); 6] = [
    ("cache", "CACHE", "[cache.CACHE]"),
    ("http", "api.example.com", ""),
    ("keyvalue", "default", ""),
    ("llm", "MODEL", "[llm.MODEL]\nprovider = \"offline\""),
    ("search", "INDEX", "[search.INDEX]\npath = \"FOLDER\""),
    ("sql", "DATABASE", "[sql.DATABASE]\nurl = \"sqlite:FILE\""),
];

/// What is missing for one plugin.
pub(crate) struct Missing<'a> {
    pub(crate) inspection: &'a Inspection,
    /// What its `.toml` grants.
    pub(crate) grants: &'a BTreeMap<String, Vec<String>>,
    pub(crate) config: Option<&'a Config>,
}

impl<'a> Missing<'a> {
    /// The capabilities that it wants and is granted nothing of.
    pub(crate) fn wants(&self) -> Vec<&'a str> {
        let wants = self.inspection.wants.iter().map(String::as_str);
        wants
            .filter(|want| self.grants.get(*want).is_none_or(Vec::is_empty))
            .collect()
    }

    /// The lines of `[grants]` in its `.toml`.
    pub(crate) fn grants(&self) -> Vec<String> {
        let wants = self.wants().into_iter();
        wants.map(|want| line(want, &self.names(want))).collect()
    }

    /// The lines of `[plugins.max_grants]`: whole ones, with what stands there.
    pub(crate) fn ceiling(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for want in &self.inspection.wants {
            let wanted = match self.grants.get(want).filter(|names| !names.is_empty()) {
                Some(granted) => granted.clone(),
                None => self.names(want),
            };
            let mut names = (self.config)
                .and_then(|config| config.plugins.max_grants.get(want))
                .cloned()
                .unwrap_or_default();
            let before = names.len();
            for name in wanted {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            if names.len() > before {
                lines.push(line(want, &names));
            }
        }
        lines
    }

    /// The sections that the placeholders stand for.
    fn sections(&self) -> Vec<&'static str> {
        let wants = self.wants();
        let open = |(want, name, _): &&(&str, &str, &str)| {
            wants.contains(want) && self.names(want).iter().any(|known| known == name)
        };
        let sections = PLACEHOLDERS.iter().filter(open).map(|(_, _, section)| *section);
        sections.filter(|section| !section.is_empty()).collect()
    }

    /// What it would be granted of a capability: all that is configured.
    fn names(&self, want: &str) -> Vec<String> {
        let backends = self.config.map(|config| &config.backends);
        let configured: Vec<String> = match (want, backends) {
            ("cache", Some(backends)) => backends.cache.keys().cloned().collect(),
            ("sql", Some(backends)) => backends.sql.keys().cloned().collect(),
            ("search", Some(backends)) => backends.search.keys().cloned().collect(),
            ("llm", Some(backends)) => backends.llm.keys().cloned().collect(),
            ("session", _) => self.of_session(),
            (_, Some(_)) => {
                let ceiling = self.config.and_then(|config| config.plugins.max_grants.get(want));
                ceiling.cloned().unwrap_or_default()
            }
            (_, None) => Vec::new(),
        };
        if !configured.is_empty() {
            return configured;
        }
        let placeholder = PLACEHOLDERS.iter().find(|(known, _, _)| *known == want);
        vec![placeholder.map_or("NAME", |(_, name, _)| *name).to_owned()]
    }

    /// Its imports say which.
    fn of_session(&self) -> Vec<String> {
        let imports = &self.inspection.imports;
        let imported = |scope: &&str| {
            let interface = format!("segue:session/{scope}@");
            imports.iter().any(|import| import.starts_with(&interface))
        };
        let scopes = ["state", "history"].into_iter().filter(imported);
        scopes.map(str::to_owned).collect()
    }

    /// All of it, for people.
    pub(crate) fn to_paste(&self, plugin: &str) -> String {
        let mut out = String::new();
        let (grants, ceiling) = (self.grants(), self.ceiling());
        // Writing into a string does not fail.
        if !grants.is_empty() {
            let _ = write!(
                out,
                "\nto grant what it wants, in {plugin}.toml beside it:\n\n[grants]\n{}\n",
                grants.join("\n")
            );
        }
        if !ceiling.is_empty() {
            let sections: String = self.sections().iter().map(|s| format!("\n{s}\n")).collect();
            let _ = write!(
                out,
                "\nwithin what segue.toml allows:\n\n[plugins.max_grants]\n{}\n{sections}",
                ceiling.join("\n")
            );
        }
        out
    }
}

/// `sql = ["shop"]`.
pub(crate) fn line(capability: &str, names: &[String]) -> String {
    format!("{capability} = {names:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspection(wants: &[&str], imports: &[&str]) -> Inspection {
        let mut inspection = super::super::tests::inspection();
        inspection.wants = wants.iter().map(ToString::to_string).collect();
        inspection.imports = imports.iter().map(ToString::to_string).collect();
        inspection
    }

    #[test]
    fn without_a_config_the_lines_have_placeholders_and_the_sections_they_stand_for() {
        let inspection = inspection(
            &["cache", "http", "llm", "session", "sql"],
            &["segue:session/history@0.1.0", "segue:sql/query@0.1.0"],
        );
        let grants = BTreeMap::from([("http".to_owned(), vec!["a.example".to_owned()])]);
        let missing = Missing {
            inspection: &inspection,
            grants: &grants,
            config: None,
        };
        assert_eq!(missing.wants(), ["cache", "llm", "session", "sql"]);
        let text = missing.to_paste("sql-rag");
        let own = "in sql-rag.toml beside it:\n\n[grants]\ncache = [\"CACHE\"]\nllm = [\"MODEL\"]\nsession = [\"history\"]\nsql = [\"DATABASE\"]\n";
        assert!(text.contains(own), "{text}");
        let ceiling = "[plugins.max_grants]\ncache = [\"CACHE\"]\nhttp = [\"a.example\"]\nllm = [\"MODEL\"]\nsession = [\"history\"]\nsql = [\"DATABASE\"]\n\n[cache.CACHE]\n\n[llm.MODEL]\nprovider = \"offline\"\n\n[sql.DATABASE]\nurl = \"sqlite:FILE\"\n";
        assert!(text.ends_with(ceiling), "{text}");
    }

    #[test]
    fn with_a_config_they_name_what_it_has_and_leave_out_what_it_says() {
        let text = "\
[sql.shop]
url = \"sqlite:shop.db\"
[llm.main]
provider = \"offline\"
[plugins.max_grants]
sql = [\"shop\"]
";
        let config = segue_server::config::parse(text, std::path::Path::new("/"), &BTreeMap::new()).unwrap();
        let inspection = inspection(&["llm", "sql"], &[]);
        let missing = Missing {
            inspection: &inspection,
            grants: &BTreeMap::new(),
            config: Some(&config),
        };
        assert_eq!(missing.grants(), ["llm = [\"main\"]", "sql = [\"shop\"]"]);
        assert_eq!(missing.ceiling(), ["llm = [\"main\"]"]);
        assert!(missing.sections().is_empty());

        let all = ["llm", "sql"].map(|want| (want.to_owned(), vec!["main".to_owned()]));
        let granted = Missing {
            grants: &BTreeMap::from(all),
            ..missing
        };
        assert_eq!(
            granted.to_paste("p"),
            "\nwithin what segue.toml allows:\n\n[plugins.max_grants]\nllm = [\"main\"]\nsql = [\"shop\", \"main\"]\n"
        );
    }
}
