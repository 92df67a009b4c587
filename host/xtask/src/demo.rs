//! `cargo xtask demo`: from a clone to a chat.
//!
//! The demo lives in `target/demo`. What a person changes there stays: a later
//! run renews only files that are still as the last one left them.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::paths::Paths;
use crate::serve::Server;
use crate::{cargo, guests};

const PORT: u16 = 8000;

const CONFIG: &str = r#"# The demo's configuration. `cargo xtask demo` wrote it; it is yours to change,
# and a file that you have changed is left alone.

[server]
listen = "127.0.0.1:8000"

[admin]
listen = "127.0.0.1:8001"

[plugins]
dir = "plugins"

[log]
format = "pretty"

# Every message of type "chat" goes to plugins/chat.wasm.
[[route]]
match = { mtype = "chat" }
handler = "chat"
"#;

pub(crate) fn run(paths: &Paths, arguments: &[String]) -> Result<()> {
    let port = port_of(arguments)?;
    // Before minutes of building, not after them.
    ensure_free(port)?;
    guests::build_plugins(paths)?;
    cargo::run(
        paths,
        "building the host",
        &["build", "--workspace", "--bin", "segue"],
    )?;
    let folder = paths.target.join("demo");
    lay_out(paths, &folder)?;
    ensure_free(port)?;
    let config = folder.join("segue.toml");
    let mut server = Server::start(&paths.segue(), &config, port)?;
    if server.wait_until_ready()? {
        tell(paths, &folder, port);
    }
    server.run_to_end()
}

fn port_of(arguments: &[String]) -> Result<u16> {
    let port = match arguments {
        [] => return Ok(PORT),
        [flag, port] if flag == "--port" => port.parse().ok(),
        _ => bail!("`cargo xtask demo` takes nothing but `--port N`"),
    };
    port.filter(|port| (1..u16::MAX).contains(port))
        .context("`--port` wants a number from 1 to 65534; the next one is the admin port")
}

/// The public port and the admin port beside it.
fn ensure_free(port: u16) -> Result<()> {
    for taken in [port, port.saturating_add(1)] {
        if let Err(error) = TcpListener::bind((Ipv4Addr::LOCALHOST, taken)) {
            let other = if port == PORT { 8100 } else { PORT };
            bail!(
                "port {taken} of 127.0.0.1 cannot be used ({error}); stop the program that has it, \
                 or choose another pair with `cargo xtask demo --port {other}`"
            );
        }
    }
    Ok(())
}

/// Writes the demo's files, but none that a person has changed.
fn lay_out(paths: &Paths, folder: &Path) -> Result<()> {
    let plugins = folder.join("plugins");
    let last = folder.join(".last");
    for folder in [&plugins, &last] {
        fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
    }
    let echo = paths.target.join("plugins").join("echo.wasm");
    let echo = fs::read(&echo).with_context(|| format!("{}", echo.display()))?;
    renew(
        CONFIG.as_bytes(),
        &folder.join("segue.toml"),
        &last.join("segue.toml"),
    )?;
    renew(&echo, &plugins.join("chat.wasm"), &last.join("chat.wasm"))
}

/// Brings `file` up to `new`, unless a person made it something else than `last`,
/// which is what an earlier run wrote.
fn renew(new: &[u8], file: &Path, last: &Path) -> Result<()> {
    let untouched = match (fs::read(file), fs::read(last)) {
        (Ok(file), Ok(last)) => file == last,
        (Ok(_), Err(_)) => false,
        // Removed: the demo would have nothing to show.
        (Err(_), _) => true,
    };
    if untouched {
        guests::place(new, file)?;
        guests::place(new, last)?;
    }
    Ok(())
}

fn tell(paths: &Paths, folder: &Path, port: u16) {
    let chat = folder.join("plugins").join("chat.wasm");
    let plugins = paths.target.join("plugins");
    let is = |file: PathBuf| matches!((fs::read(&chat), fs::read(file)), (Ok(a), Ok(b)) if a == b);
    let [echo, eliza] = [
        ("echo", "with your own words"),
        ("eliza", "with Eliza's questions"),
    ];
    // The one to swap in is the one that is not there yet.
    let (now, next, back) = if is(plugins.join("eliza.wasm")) {
        ("is the eliza plugin, as you left it", echo, eliza)
    } else if is(plugins.join("echo.wasm")) {
        ("is the echo plugin: it answers with your own words", eliza, echo)
    } else {
        ("is as you left it", eliza, echo)
    };
    let ((next, answers), (back, _)) = (next, back);
    let config = folder.join("segue.toml");
    let segue = paths.segue();
    let (chat, plugins) = (paths.shown(&chat), paths.shown(&plugins));
    let (config, segue) = (paths.shown(&config), paths.shown(&segue));
    // The config names the usual ports; what was asked for on the command line
    // has to be said again.
    let (url, admin) = match port {
        PORT => (String::new(), String::new()),
        port => (
            format!(" ws://127.0.0.1:{port}/chat"),
            format!(" --admin http://127.0.0.1:{}", port.saturating_add(1)),
        ),
    };
    println!(
        "
Segue is ready.

  open       http://127.0.0.1:{port}/
  or run     {segue} chat{url}
  and type   I need a holiday

{chat} {now}.
Swap it while you chat, in another terminal:

  cp {plugins}/{next}.wasm {chat}

The next message is answered {answers}, on the same socket. Back again:

  cp {plugins}/{back}.wasm {chat}

  plugins    {segue} plugins ls --config {config}{admin}
  stop       Ctrl-C
"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(arguments: &[&str]) -> Vec<String> {
        arguments.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn takes_a_port_and_nothing_else() {
        assert_eq!(port_of(&[]).unwrap(), 8000);
        assert_eq!(port_of(&strings(&["--port", "8100"])).unwrap(), 8100);
        for bad in [&["--port"][..], &["--port", "0"], &["--port", "65535"], &["8100"]] {
            assert!(port_of(&strings(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_taken_port_is_named_with_the_way_out() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = ensure_free(port).unwrap_err().to_string();
        assert!(error.contains(&port.to_string()), "{error}");
        assert!(error.contains("--port 8000"), "{error}");
    }

    #[test]
    fn a_later_run_renews_what_is_untouched_and_keeps_what_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let [file, last] = ["file", "last"].map(|name| folder.path().join(name));
        let run = |content: &str| {
            renew(content.as_bytes(), &file, &last).unwrap();
            fs::read_to_string(&file).unwrap()
        };
        assert_eq!(run("one"), "one");
        assert_eq!(run("two"), "two");
        fs::write(&file, "mine").unwrap();
        assert_eq!(run("three"), "mine");
        fs::remove_file(&file).unwrap();
        assert_eq!(run("four"), "four");
    }
}
