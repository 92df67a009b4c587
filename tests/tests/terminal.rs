//! `segue chat`, the terminal client, as a script uses it: what is on standard
//! output is the answer and nothing else, what it cites stands on standard error, the
//! exit code tells whether it came,
//! and a connection that breaks in the middle does not show.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::net::SocketAddr;
use std::process::{Output, Stdio};

use segue_tests::{Bed, Site, eventually, segue_binary, within};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

async fn bed() -> Bed {
    Site::builder().standard().start().await
}

/// Runs `segue chat` with this on its standard input.
async fn chat(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(segue_binary())
        .arg("chat")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("starting segue chat");
    let mut stdin = child.stdin.take().expect("its input");
    let input = input.to_owned();
    let feed = tokio::spawn(async move { stdin.write_all(input.as_bytes()).await });
    let output = within("segue chat to end", child.wait_with_output())
        .await
        .expect("its output");
    let _ended_early = feed.await.expect("the input");
    output
}

fn said(output: &Output) -> (&str, &str, Option<i32>) {
    let text = |bytes| std::str::from_utf8(bytes).expect("UTF-8");
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_go_to_standard_output_in_order() {
    let bed = bed().await;
    let addr = bed.addr().to_string();
    assert_eq!(said(&chat(&[&addr], "hi\n").await), ("hi\n", "", Some(0)));

    // More lines than may wait: reading them is held back.
    let lines: String = (0..200).map(|n| format!("line {n}\n")).collect();
    let output = chat(&[&addr], &lines).await;
    assert_eq!(said(&output), (lines.as_str(), "", Some(0)));

    assert_eq!(said(&chat(&[&addr], "").await), ("", "", Some(0)));
    assert_eq!(
        said(&chat(&[&addr], "//slash\n/quit\nnever sent\n").await).2,
        Some(0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_frame_is_told_and_exits_1() {
    let bed = bed().await;
    let addr = bed.addr().to_string();
    let output = chat(&["--mtype", "do", &addr], "trap-mid\n").await;
    let (out, err, code) = said(&output);
    assert_eq!((out, code), ("one two \n", Some(1)));
    assert!(
        err.contains("handler_trapped") && err.lines().count() == 1,
        "{err}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn json_prints_the_frames_as_they_come() {
    let bed = bed().await;
    let output = chat(&["--json", "--rag-doc", &bed.addr().to_string()], "hi\n").await;
    let (out, _, code) = said(&output);
    let frames: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).expect("a frame"))
        .collect();
    let kinds: Vec<&str> = frames
        .iter()
        .map(|f| f["type"].as_str().expect("a type"))
        .collect();
    assert_eq!(
        (kinds.as_slice(), code),
        (["hello", "accepted", "chunk", "done"].as_slice(), Some(0))
    );
}

/// Whoever pipes the answer on gets the answer, and what its `[1]` stands for beside
/// it, with an address that opens on the passage.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_answer_cites_goes_to_standard_error_with_its_address() {
    let bed = Site::builder()
        .config(
            "[search.docs]\npath = \"docs\"\nserve = true\n[plugins.max_grants]\nsearch = [\"docs\"]\n\
             [[route]]\nhandler = \"doc-rag\"",
        )
        .plugin("doc-rag")
        .sidecar("doc-rag", "[grants]\nsearch = [\"docs\"]\n")
        .file(
            "docs/tea.md",
            "# Tea\n\n## Green tea\n\nSteep it for two minutes.\n",
        )
        .start()
        .await;
    eventually("the index to be read", async || {
        let (status, _) = bed.http().get("/health/ready").await;
        (status == 200).then_some(())
    })
    .await;
    let output = chat(&[&bed.addr().to_string()], "How long do I steep green tea?\n").await;
    let (out, err, code) = said(&output);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("two minutes") && out.contains("[1]"), "{out}");
    assert!(!out.contains("tea.md"), "{out}");
    let lines: Vec<&str> = err.lines().map(str::trim).collect();
    let [place, quote, address] = lines[..] else {
        panic!("{err}")
    };
    assert_eq!(place, "[1] tea.md › Tea › Green tea");
    assert_eq!(quote, "\"Steep it for two minutes.\"");
    let path = address
        .strip_prefix(&format!("http://{}", bed.addr()))
        .expect("an absolute address");
    let page = bed.http().request(reqwest::Method::GET, path);
    let page = bed.http().send(page).await.text().await.expect("a page");
    assert!(page.contains(">Steep it for two minutes.</mark>"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_in_the_middle_does_not_show() {
    let bed = bed().await;
    let cut = cutting_proxy(bed.addr(), 2_000).await;
    let output = chat(&["--mtype", "do", &cut.to_string()], "slow 60 10\necho after\n").await;
    let whole: String = (0..60).map(|n| format!("{n} ")).collect();
    let (out, err, code) = said(&output);
    assert_eq!(out, format!("{whole}\necho after\n"));
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(err, "the connection was lost; connecting again by itself\n");
}

/// Passes connections on to `host`, and cuts the first one after so many bytes
/// of answer.
async fn cutting_proxy(host: SocketAddr, bytes: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        let mut left = Some(bytes);
        while let Ok((client, _)) = listener.accept().await {
            let host = TcpStream::connect(host).await.expect("the host");
            tokio::spawn(pass_on(client, host, left.take()));
        }
    });
    addr
}

async fn pass_on(client: TcpStream, host: TcpStream, mut left: Option<usize>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_host, mut to_host) = host.into_split();
    let up = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut from_client, &mut to_host).await;
    });
    let mut buffer = [0; 256];
    while let Ok(read @ 1..) = from_host.read(&mut buffer).await {
        if to_client.write_all(&buffer[..read]).await.is_err() {
            break;
        }
        left = left.map(|left| left.saturating_sub(read));
        if left == Some(0) {
            break;
        }
    }
    up.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_address_that_is_no_chat_has_its_sentence() {
    let bed = bed().await;
    let addr = bed.addr();
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let closed = taken.local_addr().expect("its address");
    drop(taken);
    let cases = [
        (closed.to_string(), "nothing listens on"),
        (format!("ws://{addr}/nope"), "no chat at /nope"),
        (format!("ws://{addr}/echo"), "not as a Segue chat"),
        (format!("ws://{addr}/openapi.json"), "does not speak WebSocket"),
        (format!("wss://{addr}/chat"), "needs TLS"),
        ("://".to_owned(), "is not the address of a chat"),
    ];
    for (address, words) in cases {
        let output = chat(&[&address], "hi\n").await;
        let (out, err, code) = said(&output);
        assert_eq!((out, code), ("", Some(1)), "{address}: {err}");
        assert!(
            err.contains(words) && err.lines().count() == 1,
            "{address}: {err}"
        );
    }
}
