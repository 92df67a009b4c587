//! `cargo xtask demo`: from a clone to a chat with a database and a manual.
//!
//! The demo lives in `target/demo`. What a person changes there stays: a later
//! run renews only files that are still as the last one left them.

pub(crate) mod files;
pub(crate) mod guide;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context as _, Result, bail};

use crate::paths::Paths;
use crate::serve::Server;
use crate::{cargo, guests};
use guide::Guide;

const PORT: u16 = 8000;

pub(crate) fn run(paths: &Paths, arguments: &[String]) -> Result<()> {
    if matches!(arguments, [flag] if flag == "--help" || flag == "-h") {
        println!("cargo xtask demo [--port N]: builds everything and starts a host on {PORT}, or on N");
        return Ok(());
    }
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
    let kept = files::lay_out(paths, &folder)?;
    ensure_free(port)?;
    let config = folder.join("segue.toml");
    let mut server = Server::start(&paths.segue(), &config, port)?;
    if server.wait_until_ready()? {
        let guide = Guide {
            paths,
            folder: &folder,
            kept: &kept,
            port,
        };
        println!("{}", guide.text());
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
            let why = match error.kind() {
                ErrorKind::AddrInUse => "another program listens there".to_owned(),
                _ => error.to_string(),
            };
            let other = if port == PORT { 8100 } else { PORT };
            bail!(
                "port {taken} of 127.0.0.1 cannot be used: {why}; stop the program that has it, \
                 or choose another pair with `cargo xtask demo --port {other}`"
            );
        }
    }
    Ok(())
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
        assert!(error.contains("another program listens there"), "{error}");
        assert!(
            error.contains("--port 8000") && !error.contains("os error"),
            "{error}"
        );
    }
}
