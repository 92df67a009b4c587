//! How long something may take where two sections speak of it.
//!
//! `[sql.NAME] timeout`, `[http] timeout` and `[llm.NAME] first_token_timeout` have a
//! default, which makes room for what `[resilience]` says (a key, a tier or a
//! profile), in both directions. Of two that somebody chose the narrower holds.

use std::time::Duration;

use super::backends::Llm;
use super::resilience::Setting;
use super::{Config, Knob};

impl Config {
    /// Puts what `[resilience]` says in the place of defaults.
    pub(super) fn settle_timeouts(&mut self) {
        let places = &self.places;
        let is_written = |path: &str| places.contains_key(path);
        let resilience = &self.resilience;
        let chosen = |kind, name: &str| match resilience.in_force(kind, name).get(&Knob::Timeout)?.value {
            Setting::Time(time) => Some(time),
            _ => None,
        };
        let settle = |own: &mut Duration, paths: &[String], chosen: Option<Duration>| {
            if !paths.iter().any(|path| is_written(path)) {
                *own = chosen.unwrap_or(*own);
            }
        };
        let backends = &mut self.backends;
        for (name, database) in &mut backends.sql {
            let path = format!("sql.{name}.timeout");
            settle(&mut database.timeout, &[path], chosen("sql", name));
        }
        // An origin of its own can only have less than all have.
        settle(
            &mut backends.http.timeout,
            &["http.timeout".to_owned()],
            chosen("http", ""),
        );
        for (name, model) in &mut backends.llm {
            let Llm::OpenAi(model) = model else { continue };
            let of_all = format!("llm.{name}.first_token_timeout");
            let chosen = chosen("llm", name);
            if let Some(server) = &mut model.server {
                settle(
                    &mut server.first_token_timeout,
                    std::slice::from_ref(&of_all),
                    chosen,
                );
            }
            for (target, it) in &mut model.targets {
                let own = format!("llm.{name}.targets.{target}.first_token_timeout");
                settle(&mut it.server.first_token_timeout, &[of_all.clone(), own], chosen);
            }
        }
    }
}
