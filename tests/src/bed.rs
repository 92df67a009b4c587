//! A host inside the test process.

use std::net::SocketAddr;
use std::ops::Deref;

use segue_runtime::PluginEvent;
use segue_server::config::{self, Config};
use segue_server::{Host, HostOptions};
use tokio::sync::broadcast;

use crate::chat::Chat;
use crate::http::Http;
use crate::rawsocket::RawSocket;
use crate::site::{Site, SiteBuilder};
use crate::within;

/// A running host and the site it runs on.
pub struct Bed {
    pub host: Host,
    site: Site,
    events: broadcast::Receiver<PluginEvent>,
}

impl Deref for Bed {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl SiteBuilder {
    /// Builds the site and starts a host on it; returns once every plugin has
    /// been loaded or refused.
    pub async fn start(self) -> Bed {
        Bed::start(self.build()).await
    }
}

/// What the site's `segue.toml` says.
fn config_of(site: &Site) -> Config {
    config::load(&site.config_path()).unwrap_or_else(|error| panic!("the configuration: {error}"))
}

impl Bed {
    /// Starts a host; returns once every plugin has been loaded or refused.
    pub async fn start(site: Site) -> Bed {
        let options = HostOptions {
            config_path: Some(site.config_path()),
            ..HostOptions::default()
        };
        let host = within("the host to start", Host::start(config_of(&site), options))
            .await
            .expect("starting the host");
        let mut events = host.runtime().events();
        within("the first scan", host.runtime().scanned()).await;
        while events.try_recv().is_ok() {}
        Bed { host, site, events }
    }

    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.host.public_addr()
    }

    /// A fresh session.
    pub async fn chat(&self) -> Chat {
        Chat::connect(self.addr()).await
    }

    /// A WebSocket on a raw endpoint, byte by byte.
    pub async fn raw(&self, path: &str) -> RawSocket {
        RawSocket::open(self.addr(), path).await
    }

    #[must_use]
    pub fn http(&self) -> Http {
        Http::new(self.addr(), None)
    }

    #[must_use]
    pub fn admin(&self) -> Http {
        Http::new(self.host.admin_addr(), Some(self.host.admin_token().to_owned()))
    }

    /// Waits for an event of the plugin folder. Events are kept from the end of
    /// the first scan on, and each is given out once.
    pub async fn event(&mut self, what: &str, wanted: impl Fn(&PluginEvent) -> bool) -> PluginEvent {
        loop {
            let event = within(what, self.events.recv()).await.expect(what);
            if wanted(&event) {
                return event;
            }
        }
    }

    /// Waits until a version of `plugin` is loaded, and names it.
    pub async fn loaded(&mut self, plugin: &str) -> String {
        let what = format!("a version of {plugin} to load");
        let is_load =
            |event: &PluginEvent| matches!(event, PluginEvent::Loaded { name, .. } if name == plugin);
        match self.event(&what, is_load).await {
            PluginEvent::Loaded { version, .. } => version,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until a file of `plugin` is refused; its code and message.
    pub async fn refused(&mut self, plugin: &str) -> (String, String) {
        let what = format!("a version of {plugin} to be refused");
        let is_refusal =
            |event: &PluginEvent| matches!(event, PluginEvent::Refused { name, .. } if name == plugin);
        match self.event(&what, is_refusal).await {
            PluginEvent::Refused { code, message, .. } => (code.to_string(), message),
            other => panic!("{other:?}"),
        }
    }

    /// Waits until `plugin` is no longer there for new calls.
    pub async fn removed(&mut self, plugin: &str) {
        let what = format!("{plugin} to be removed");
        self.event(
            &what,
            |event| matches!(event, PluginEvent::Removed { name } if name == plugin),
        )
        .await;
    }
}
