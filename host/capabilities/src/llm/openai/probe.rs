//! Looks from time to time whether a server is there, without asking for an
//! answer: `GET /models`, on a connection of its own.
//!
//! One look decides: a server that cannot be reached, is silent for as long as the
//! looks are apart (or `connect_timeout`, if that is less), or answers with a 5xx
//! is not there. Any other answer is one of a server that is, also where it has no
//! such list. What is not there is asked only when no other is there either.
//! Looking ends with the server's settings.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::Client;
use super::exchange::exchange;

/// Starts to look, if that is configured.
pub(super) fn watch(client: &Arc<Client>) {
    if let Some(every) = client.settings.health_interval {
        client.handle.spawn(look(Arc::downgrade(client), every));
    }
}

async fn look(client: Weak<Client>, every: Duration) {
    // The first look is at once.
    while let Some(client) = client.upgrade() {
        let since = Instant::now();
        let patience = every.min(client.settings.connect_timeout);
        let found = match timeout_at(since + patience, client.is_there(since + patience)).await {
            Ok(found) => found,
            Err(_) => Err(String::from("it is silent")),
        };
        client.health.looked(&client.name, found);
        drop(client);
        sleep(every.saturating_sub(since.elapsed())).await;
    }
}

impl Client {
    async fn is_there(&self, until: Instant) -> Result<(), String> {
        let target = self.target.as_ref().map_err(String::clone)?;
        let mut request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nAccept: application/json\r\nUser-Agent: segue/{}\r\n\
             Connection: close\r\n",
            target.models,
            target.authority,
            env!("CARGO_PKG_VERSION")
        )
        .into_bytes();
        self.credentials(&mut request);
        request.extend_from_slice(b"\r\n");
        let mut link = target.connect(until).await.map_err(|error| error.to_string())?;
        let head = exchange(&mut link, &request)
            .await
            .map_err(|error| error.to_string())?;
        match head.status.is_server_error() {
            false => Ok(()),
            true => Err(head.status.to_string()),
        }
    }
}
