//! A handler that does, on request, everything that a plugin should not, and
//! tells everything that it can see. The content is a command and its arguments:
//!
//! | content | what it does |
//! |---|---|
//! | `loop` | computes for ever |
//! | `allocate` | takes memory until there is none |
//! | `recurse` | calls itself until the stack ends |
//! | `panic`, `trap-mid` | panics; sends two chunks, then panics |
//! | `exit N` | ends the program with that code, as if it were a command |
//! | `flood`, `flood-bytes` | sends small chunks, chunks of 64 KiB, for ever |
//! | `ignore-errors` | floods, and after the first refusal tries 10 more and returns ok |
//! | `silent` | returns without a word |
//! | `error CODE`, `retryable CODE MS` | fails with that code |
//! | `sleep MS` | parks, then answers `slept` |
//! | `slow N MS` | sends N numbered chunks, MS apart |
//! | `big N`, `big-binary N` | sends one chunk of N bytes |
//! | `hold N` | holds N bytes of memory while it answers `held` |
//! | `binary`, `data`, `status` | sends one of these, and `ok` as text where it may |
//! | `bad-data`, `bad-status` | sends what is not allowed and answers the refusal's code |
//! | `log N`, `print N` | writes N records, N lines to standard output |
//! | `meta KEY`, `claim NAME`, `setting KEY` | answers the value, or `none` |
//! | `previous`, `session`, `traceparent`, `attempt`, `deadline`, `id`, `mtype`, `flags` | answers it |
//! | `environment` | answers what it sees of the host: arguments, variables, files, sockets |
//! | anything else | answers it |

mod endless;
mod seen;

use std::thread::sleep;
use std::time::Duration;

use segue_sdk::prelude::*;

#[handler]
fn misbehave(message: Message, reply: &mut Reply) -> Result<()> {
    let (command, rest) = match message.text().split_once(' ') {
        Some((command, rest)) => (command, rest),
        None => (message.text(), ""),
    };
    match command {
        "loop" => endless::compute(),
        "allocate" => endless::allocate(),
        "recurse" => reply.send(endless::recurse(0).to_string()),
        "panic" => die(),
        "trap-mid" => {
            reply.send("one ")?;
            reply.send("two ")?;
            die()
        }
        "exit" => std::process::exit(rest.parse()?),
        "flood" => flood(reply, "x"),
        "flood-bytes" => flood(reply, &"x".repeat(64 << 10)),
        "ignore-errors" => ignore_errors(reply),
        "silent" => Ok(()),
        "error" => Err(Error::new(rest, "as you wished")),
        "retryable" => retryable(rest),
        "sleep" => {
            sleep(Duration::from_millis(rest.parse()?));
            reply.send("slept")
        }
        "slow" => slow(reply, rest),
        "big" => reply.send("x".repeat(rest.parse()?)),
        "big-binary" => reply.send_binary(vec![7; rest.parse()?]),
        "hold" => {
            let held = std::hint::black_box(vec![7_u8; rest.parse()?]);
            reply.send("held")?;
            drop(held);
            Ok(())
        }
        "binary" => reply.send_binary([0, 159, 146, 150]),
        "data" => {
            reply.data(&serde_json::json!({ "rows": [1, 2, 3] }))?;
            reply.send("ok")
        }
        "status" => {
            reply.status("working on it")?;
            reply.send("ok")
        }
        "bad-status" => refusal(reply, |reply| reply.status("x".repeat(1025))),
        "bad-data" => refusal(reply, |reply| reply.send_binary([1])),
        "log" => {
            let records: u32 = rest.parse()?;
            (0..records).for_each(|n| log::warn!("record {n} of {records}"));
            reply.send("logged")
        }
        "print" => {
            print_lines(rest.parse()?);
            reply.send("printed")
        }
        _ => reply.send(seen::answer(&message, command, rest)),
    }
}

#[expect(clippy::panic, reason = "it is what this is for")]
fn die() -> Result<()> {
    panic!("as you wished")
}

#[expect(clippy::print_stdout, reason = "it is what this is for")]
fn print_lines(lines: u32) {
    (0..lines).for_each(|n| println!("line {n} of {lines}"));
}

fn flood(reply: &mut Reply, chunk: &str) -> Result<()> {
    loop {
        reply.send(chunk)?;
    }
}

/// What a plugin does that looks at no result: the host must not be fooled by
/// the ok at its end.
fn ignore_errors(reply: &mut Reply) -> Result<()> {
    while reply.send("x").is_ok() {}
    for _ in 0..10 {
        let _ignored = reply.send("y");
    }
    Ok(())
}

fn retryable(rest: &str) -> Result<()> {
    let (code, ms) = rest.split_once(' ').unwrap_or((rest, "0"));
    let wait = Duration::from_millis(ms.parse()?);
    Err(Error::new(code, "as you wished").retry_after(wait))
}

fn slow(reply: &mut Reply, rest: &str) -> Result<()> {
    let (chunks, ms) = rest.split_once(' ').unwrap_or((rest, "0"));
    let (chunks, pause): (u32, u64) = (chunks.parse()?, ms.parse()?);
    for n in 0..chunks {
        reply.send(format!("{n} "))?;
        sleep(Duration::from_millis(pause));
    }
    Ok(())
}

/// Answers the code of the error that `attempt` ends in.
fn refusal(reply: &mut Reply, attempt: impl FnOnce(&mut Reply) -> Result<()>) -> Result<()> {
    let code = match attempt(reply) {
        Ok(()) => "ok".to_string(),
        Err(error) => error.code().to_string(),
    };
    reply.send(code)
}
