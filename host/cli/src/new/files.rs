//! The files of a new plugin.

use super::parts::{Part, Piece};

/// How wide rustfmt lets a line be, with its newline, and a chain of calls.
const LINE_BYTES: usize = 101;
const CHAIN_BYTES: usize = 60;

/// Name and text of each file.
pub(super) fn of(name: &str, parts: &[Part], sdk: &str) -> Vec<(String, String)> {
    let mut files = vec![
        ("Cargo.toml".to_owned(), cargo_toml(name, sdk)),
        ("plugin.toml".to_owned(), plugin_toml(name)),
        ("src/lib.rs".to_owned(), lib_rs(name, parts)),
        ("README.md".to_owned(), readme(name, parts)),
        (".gitignore".to_owned(), "/target\n/*.wasm\n".to_owned()),
    ];
    if !parts.is_empty() {
        files.push((format!("{name}.toml"), sidecar(name, parts)));
    }
    files
}

/// The lines that grant a plugin what it uses.
pub(super) fn grants(name: &str, parts: &[Part]) -> String {
    let lines = parts.iter().map(|part| {
        let piece = part.piece();
        let scopes: Vec<&str> = piece.scopes.iter().map(|scope| named(scope, name)).collect();
        format!("{} = {scopes:?}\n", piece.capability)
    });
    lines.collect()
}

/// A bucket is called as the plugin is.
fn named<'a>(scope: &'a str, name: &'a str) -> &'a str {
    if scope == "NAME" { name } else { scope }
}

fn cargo_toml(name: &str, sdk: &str) -> String {
    let sdk = toml::Value::from(sdk);
    format!(
        "\
[package]
name = \"{name}\"
version = \"0.1.0\"
edition = \"2024\"
publish = false

[lib]
crate-type = [\"cdylib\"]

[dependencies]
segue-sdk = {{ path = {sdk} }}

# Not needed, but makes the component smaller. The names of functions stay, so that
# the host's log can say where a panic came from.
[profile.release]
lto = true
codegen-units = 1
panic = \"abort\"
strip = \"debuginfo\"

# A workspace of its own, wherever it lies.
[workspace]
"
    )
}

fn plugin_toml(name: &str) -> String {
    format!(
        "\
# Who this plugin is. `segue build` writes it into the component.
name = \"{name}\"
version = \"0.1.0\"
description = \"Says hello.\"
mtypes = [\"{name}\"]
isolation = [\"message\"]
"
    )
}

fn sidecar(name: &str, parts: &[Part]) -> String {
    format!(
        "\
# What an operator says of {name}; lies beside {name}.wasm in the plugin folder.
# Each name must be allowed by [plugins.max_grants] in segue.toml.

[grants]
{}
# [limits]
# deadline = \"30s\"

# [settings]              # what the handler reads with message.setting(\"...\")
",
        grants(name, parts)
    )
}

fn lib_rs(name: &str, parts: &[Part]) -> String {
    let pieces: Vec<Piece> = parts.iter().map(|part| part.piece()).collect();
    let all = |of: fn(&Piece) -> &'static str| pieces.iter().map(of).collect::<String>();
    let mut uses: Vec<&str> = pieces.iter().map(|piece| piece.uses).collect();
    uses.push("use segue_sdk::prelude::*;\n");
    uses.sort_unstable();
    let constants = match pieces.is_empty() {
        true => String::new(),
        false => {
            let lines = pieces.iter().map(|piece| piece.constant);
            let lines: String = lines.filter(|line| !line.is_empty()).collect();
            let why = format!("// What it asks for, by the names that `{name}.toml` grants.\n");
            if lines.is_empty() {
                lines
            } else {
                format!("\n{why}{lines}")
            }
        }
    };
    let body = match pieces.is_empty() {
        true => "    reply.send(format!(\"Hello, {}.\", message.text()))\n".to_owned(),
        false => format!(
            "    reply.send(format!(\"Hello, {{}}.\\n\", message.text()))?;\n{}    Ok(())\n",
            all(|piece| piece.call)
        ),
    };
    let text = format!(
        "//! What `{name}` does with a message.\n\n{}{constants}\n\
         #[handler]\nfn answer(message: Message, reply: &mut Reply) -> Result<()> {{\n{body}}}\n{}\n{}",
        uses.concat(),
        all(|piece| piece.function),
        tests(&pieces),
    );
    text.replace("NAME", name)
}

fn tests(pieces: &[Piece]) -> String {
    let mut uses: Vec<&str> = pieces.iter().map(|piece| piece.test_uses).collect();
    let fakes = fakes(pieces);
    uses.push(&fakes);
    uses.sort_unstable();
    let uses = uses.concat();
    let each: String = pieces.iter().map(|piece| piece.test).collect();
    let (call, begin, denied) = match pieces.is_empty() {
        true => (String::new(), "Call::text", ""),
        false => (call(pieces), "call", DENIED),
    };
    format!(
        "\
#[cfg(test)]
mod tests {{
    use super::*;
{uses}{call}
    #[test]
    fn it_greets() {{
        let run = {begin}(\"Ada\").run(answer);
        assert!(run.result.is_ok(), \"{{:?}}\", run.result);
        assert!(run.text().starts_with(\"Hello, Ada.\"), \"{{}}\", run.text());
    }}
{each}{denied}}}
"
    )
}

/// The line that brings the fakes in, as rustfmt would have it.
fn fakes(pieces: &[Piece]) -> String {
    let mut names: Vec<&str> = pieces.iter().flat_map(|piece| piece.fakes).copied().collect();
    names.push("Call");
    names.sort_unstable();
    let line = match names.as_slice() {
        [one] => format!("    use segue_sdk::test::{one};\n"),
        several => format!("    use segue_sdk::test::{{{}}};\n", several.join(", ")),
    };
    match line.len() > LINE_BYTES {
        true => format!(
            "    use segue_sdk::test::{{\n        {},\n    }};\n",
            names.join(", ")
        ),
        false => line,
    }
}

/// What makes the tests' messages, with the fakes behind.
fn call(pieces: &[Piece]) -> String {
    let grants: Vec<&str> = pieces.iter().map(|piece| piece.grant).collect();
    let chain = format!("Call::text(text){}", grants.concat());
    let chain = match chain.len() > CHAIN_BYTES {
        true => format!("Call::text(text)\n            {}", grants.join("\n            ")),
        false => chain,
    };
    let fakes: String = pieces.iter().map(|piece| piece.fake).collect();
    format!(
        "
    /// A message with everything granted that the handler uses.
    fn call(text: &str) -> Call {{
        {chain}
    }}
{fakes}"
    )
}

const DENIED: &str = "
    #[test]
    fn without_a_grant_it_says_which_line_is_missing() {
        let error = Call::text(\"Ada\").run(answer).result.unwrap_err();
        assert_eq!(error.code(), Error::CAPABILITY_DENIED);
        assert!(error.message().contains(\"[grants]\"), \"{error}\");
    }
";

fn readme(name: &str, parts: &[Part]) -> String {
    let ceiling = match parts.is_empty() {
        true => String::new(),
        false => format!(
            "\n[plugins.max_grants]           # what {name}.toml grants must be allowed here\n{}",
            grants(name, parts)
        ),
    };
    format!(
        "\
# {name}

```console
$ cargo test                    # its tests, with fakes for the host
$ segue build                   # makes {name}.wasm
$ segue build --to PLUGINS      # the same, and puts it into a host's plugin folder
```

The host serves it to the routes that name it, in `segue.toml`:

```toml
[[route]]
match = {{ mtype = \"{name}\" }}
handler = \"{name}\"
{ceiling}```

Put it there again after a change: the next message is answered by the new one.
"
    )
}
