//! What the demo tells the person: what to open, what to ask, what to swap.

use std::fs;
use std::path::{Path, PathBuf};

use crate::paths::Paths;

/// Questions that the demo answers without a model, of the database and of the
/// documentation.
pub(crate) const OF_DATABASES: [&str; 3] = [
    "How many customers are there?",
    "Top five products by number of reviews",
    "Total of orders by country",
];
const OF_DOCUMENTS: [&str; 3] = [
    "How do I write a handler?",
    "When does a new version wait for promote?",
    "How does a client resume after it has lost its socket?",
];

/// The demo that was laid out in `folder` and listens on `port`; `kept` is what a
/// person has changed there.
pub(super) struct Guide<'a> {
    pub(super) paths: &'a Paths,
    pub(super) folder: &'a Path,
    pub(super) kept: &'a [PathBuf],
    pub(super) port: u16,
}

impl Guide<'_> {
    pub(super) fn text(&self) -> String {
        let Self { port, .. } = self;
        let segue = self.paths.segue();
        let segue = self.paths.shown(&segue);
        let config = self.folder.join("segue.toml");
        let config = self.paths.shown(&config);
        // The config names the usual ports; what was asked for on the command line
        // has to be said again.
        let (url, admin) = match self.port {
            super::PORT => (String::new(), String::new()),
            port => (
                format!(" ws://127.0.0.1:{port}/chat"),
                format!(" --admin http://127.0.0.1:{}", port.saturating_add(1)),
            ),
        };
        let [databases, documents] = [OF_DATABASES, OF_DOCUMENTS].map(|all| all.join("\n    "));
        let (swap, kept) = (self.swap(), self.kept());
        format!(
            "
Segue is ready.

  open     http://127.0.0.1:{port}/

Ask the shop's database: switch on \"Ask databases\" below the chat's input, or run
`{segue} chat --rag-sql{url}`

    {databases}

Ask Segue's own documentation: switch on \"Ask documents\", or run
`{segue} chat --rag-doc{url}`

    {documents}

Both switches ask both at once, and neither needs a language model. Plain conversation
does: [llm.main] in {config} says how to give it one.

{swap}
  plugins  {segue} plugins ls --config {config}{admin}
  stop     Ctrl-C
{kept}"
        )
    }

    /// How to swap the plugin that answers when neither switch is on.
    fn swap(&self) -> String {
        let chat = self.folder.join("plugins").join("chat.wasm");
        let plugins = self.paths.target.join("plugins");
        let is = |name: &str| {
            let bundled = fs::read(plugins.join(format!("{name}.wasm")));
            matches!((fs::read(&chat), bundled), (Ok(a), Ok(b)) if a == b)
        };
        // The one to swap in is the one that is not there yet.
        let (next, answered) = if is("eliza") {
            ("echo", "with your own words")
        } else {
            ("eliza", "with Eliza's questions")
        };
        let (chat, plugins) = (self.paths.shown(&chat), self.paths.shown(&plugins));
        format!(
            "Swap the plugin that answers without a switch, while you chat, in another terminal:

  cp {plugins}/{next}.wasm {chat}

The next message is answered {answered}, on the same socket. Back again:

  cp {plugins}/chat.wasm {chat}
"
        )
    }

    /// Why something may not be as this text says.
    fn kept(&self) -> String {
        if self.kept.is_empty() {
            return String::new();
        }
        let kept: Vec<String> = self
            .kept
            .iter()
            .map(|file| format!("  {}", self.paths.shown(file)))
            .collect();
        format!(
            "\nYou have changed these files, so they are not the demo's own. Remove one, and the next run\n\
             writes it again:\n\n{}\n",
            kept.join("\n")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(kept: &[PathBuf], port: u16, chat: &str) -> String {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths {
            root: root.path().to_path_buf(),
            target: root.path().join("target"),
        };
        let folder = paths.target.join("demo");
        for (file, content) in [("plugins/eliza.wasm", "eliza"), ("demo/plugins/chat.wasm", chat)] {
            let file = paths.target.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, content).unwrap();
        }
        let kept: Vec<PathBuf> = kept.iter().map(|file| folder.join(file)).collect();
        let guide = Guide {
            paths: &paths,
            folder: &folder,
            kept: &kept,
            port,
        };
        guide.text()
    }

    #[test]
    fn every_command_stands_as_it_is_to_be_typed() {
        let usual = text(&[], 8000, "chat");
        for line in [
            "`target/debug/segue chat --rag-sql`",
            "  cp target/plugins/eliza.wasm target/demo/plugins/chat.wasm",
            "  plugins  target/debug/segue plugins ls --config target/demo/segue.toml\n",
        ] {
            assert!(usual.contains(line), "no {line} in: {usual}");
        }
        assert!(!usual.contains("changed these files"), "{usual}");

        let other = text(&["segue.toml".into()], 8100, "eliza");
        for line in [
            "http://127.0.0.1:8100/",
            "chat --rag-doc ws://127.0.0.1:8100/chat`",
            "--admin http://127.0.0.1:8101",
            "  cp target/plugins/echo.wasm target/demo/plugins/chat.wasm",
            "changed these files",
            "  target/demo/segue.toml\n",
        ] {
            assert!(other.contains(line), "no {line} in: {other}");
        }
    }
}
