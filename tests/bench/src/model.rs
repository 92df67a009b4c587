//! A model's server that does as it is told: it answers, says a word and hangs,
//! fails, or is not there.
//!
//! It speaks as much of the chat completions API as is needed, and costs little, since
//! it shares the machine with what is measured.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

/// What it does with the next requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// A word, and the end.
    Answer,
    /// A word, and then silence.
    Hang,
    /// Nothing at all.
    Silence,
    /// `500`.
    Fail,
    /// Nobody listens.
    Gone,
}

/// Dropping it closes its port.
pub(crate) struct Model {
    at: SocketAddr,
    behaviour: watch::Sender<Behaviour>,
    hanging: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Drop for Model {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Model {
    /// One that answers, with at most so many connections.
    pub(crate) async fn start(most: usize) -> Result<Model> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let at = listener.local_addr()?;
        let behaviour = watch::Sender::new(Behaviour::Answer);
        let hanging = Arc::new(AtomicUsize::new(0));
        let room = Arc::new(Semaphore::new(most));
        let (told, counted) = (behaviour.subscribe(), hanging.clone());
        let accepting = tokio::spawn(async move {
            let mut listener = Some(listener);
            // Ends with the model, whose word is the last.
            while let Some(()) = open(at, &mut listener, &told, &counted, &room).await {}
        });
        Ok(Model {
            at,
            behaviour,
            hanging,
            accepting,
        })
    }

    pub(crate) fn at(&self) -> SocketAddr {
        self.at
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        self.behaviour.send_replace(behaviour);
    }

    /// Answers that have begun and do not go on.
    pub(crate) fn hanging(&self) -> usize {
        self.hanging.load(Ordering::Relaxed)
    }
}

/// Takes connections until nobody shall listen, then waits until somebody shall.
async fn open(
    at: SocketAddr,
    listener: &mut Option<TcpListener>,
    told: &watch::Receiver<Behaviour>,
    hanging: &Arc<AtomicUsize>,
    room: &Arc<Semaphore>,
) -> Option<()> {
    let mut changed = told.clone();
    let Some(open) = listener else {
        until(&mut changed, |behaviour| behaviour != Behaviour::Gone).await?;
        *listener = Some(TcpListener::bind(at).await.ok()?);
        return Some(());
    };
    tokio::select! {
        gone = until(&mut changed, |behaviour| behaviour == Behaviour::Gone) => {
            gone?;
            *listener = None;
        }
        accepted = open.accept() => {
            let (socket, _) = accepted.ok()?;
            let permit = room.clone().acquire_owned().await.ok()?;
            let (told, hanging) = (told.clone(), hanging.clone());
            tokio::spawn(async move {
                // A client that goes ends the connection, which is no fault.
                let _ = serve(socket, told, &hanging).await;
                drop(permit);
            });
        }
    }
    Some(())
}

/// Nothing when there will be no further word.
async fn until(told: &mut watch::Receiver<Behaviour>, is: impl Fn(Behaviour) -> bool) -> Option<()> {
    told.wait_for(|behaviour| is(*behaviour)).await.ok().map(drop)
}

async fn serve(
    mut socket: TcpStream,
    mut told: watch::Receiver<Behaviour>,
    hanging: &AtomicUsize,
) -> Result<()> {
    loop {
        let more = tokio::select! {
            more = read_request(&mut socket) => more?,
            _ = until(&mut told, |behaviour| behaviour == Behaviour::Gone) => false,
        };
        if !more {
            return Ok(());
        }
        let word = "{\"choices\":[{\"delta\":{\"content\":\"word\"}}]}";
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        let mut answer = format!("{head}{}", chunked(&format!("data: {word}\n\n")));
        let behaviour = *told.borrow();
        match behaviour {
            Behaviour::Gone => return Ok(()),
            Behaviour::Silence => {
                let _ = socket.read(&mut [0; 16]).await;
                return Ok(());
            }
            Behaviour::Fail => {
                let failure = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";
                socket.write_all(failure.as_bytes()).await?;
            }
            Behaviour::Hang => {
                socket.write_all(answer.as_bytes()).await?;
                hanging.fetch_add(1, Ordering::Relaxed);
                let _ = socket.read(&mut [0; 16]).await;
                return Ok(());
            }
            Behaviour::Answer => {
                let end = "{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}";
                answer.push_str(&chunked(&format!("data: {end}\n\ndata: [DONE]\n\n")));
                answer.push_str("0\r\n\r\n");
                socket.write_all(answer.as_bytes()).await?;
            }
        }
    }
}

fn chunked(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

/// Reads a request with its body; `false` when no further one comes.
async fn read_request(socket: &mut TcpStream) -> Result<bool> {
    let mut bytes = Vec::new();
    let (head, length) = loop {
        if socket.read_buf(&mut bytes).await? == 0 {
            return Ok(false);
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .and_then(|(_, length)| length.trim().parse().ok())
                .unwrap_or(0);
            break (head.len() + 4, length);
        }
        if bytes.len() > 1 << 20 {
            bail!("a request without an end");
        }
    };
    while bytes.len() < head + length {
        if socket.read_buf(&mut bytes).await? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}
