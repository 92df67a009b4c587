//! A WebSocket client that costs as little as possible: small buffers, and no
//! JSON read where a glance at the frame's beginning will do.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

const DONE: &str = "{\"type\":\"done\"";

pub(crate) struct Client {
    socket: WebSocketStream<TcpStream>,
}

impl Client {
    pub(crate) async fn open(addr: SocketAddr, path: &str) -> Result<Client> {
        let tcp = TcpStream::connect(addr).await.context("connecting")?;
        tcp.set_nodelay(true)?;
        let config = WebSocketConfig::default()
            .read_buffer_size(4096)
            .write_buffer_size(0);
        let url = format!("ws://{addr}{path}");
        let (socket, _) = tokio_tungstenite::client_async_with_config(url, tcp, Some(config))
            .await
            .context("the WebSocket handshake")?;
        Ok(Client { socket })
    }

    /// A socket on `/chat` that has read its `hello`.
    pub(crate) async fn chat(addr: SocketAddr) -> Result<Client> {
        let mut client = Client::open(addr, "/chat").await?;
        let hello = client.text().await?;
        if !hello.starts_with("{\"type\":\"hello\"") {
            bail!("no hello but {hello}");
        }
        Ok(client)
    }

    pub(crate) async fn send(&mut self, text: String) -> Result<()> {
        Ok(self.socket.send(Message::text(text)).await?)
    }

    /// The next text frame.
    pub(crate) async fn text(&mut self) -> Result<String> {
        loop {
            match self.socket.next().await.context("the socket ended")?? {
                Message::Text(text) => return Ok(text.as_str().to_owned()),
                Message::Ping(_) | Message::Pong(_) => {}
                other => bail!("{other:?} where text was due"),
            }
        }
    }

    /// Sends a message and reads up to its `done`, which it returns.
    pub(crate) async fn ask(&mut self, id: u64, mtype: &str, content: &str) -> Result<String> {
        let frame = self.last_frame(id, mtype, content).await?;
        if frame.starts_with(DONE) {
            return Ok(frame);
        }
        bail!("{frame}");
    }

    /// Sends a message; whether it was answered, and not with an error.
    pub(crate) async fn end(&mut self, id: u64, mtype: &str, content: &str) -> Result<bool> {
        let frame = self.last_frame(id, mtype, content).await?;
        Ok(frame.starts_with(DONE))
    }

    /// Sends a message and reads up to its `done` or `error`.
    pub(crate) async fn last_frame(&mut self, id: u64, mtype: &str, content: &str) -> Result<String> {
        let message = format!(r#"{{"id":"{id}","mtype":"{mtype}","content":"{content}"}}"#);
        self.send(message).await?;
        loop {
            let frame = self.text().await?;
            if frame.starts_with(DONE) || frame.starts_with("{\"type\":\"error\"") {
                return Ok(frame);
            }
        }
    }

    /// Reads up to the first chunk of an answer.
    pub(crate) async fn until_chunk(&mut self) -> Result<()> {
        loop {
            let frame = self.text().await?;
            if frame.starts_with("{\"type\":\"chunk\"") {
                return Ok(());
            }
            if frame.starts_with("{\"type\":\"error\"") {
                bail!("{frame}");
            }
        }
    }

    /// Sends a frame and reads one back.
    pub(crate) async fn echo(&mut self, text: &str) -> Result<()> {
        self.send(text.to_owned()).await?;
        let back = self.text().await?;
        if back != text {
            bail!("{text:?} came back as {back:?}");
        }
        Ok(())
    }
}
