//! `segue:plugin/call`: what a handler may know about the call that runs. All
//! of it is in memory, so nothing here waits or fails.

use std::time::Instant;

use serde_json::{Map, Value};

use super::CallState;
use crate::bindings::segue::plugin::call;
use crate::gate::Base;
use crate::spec::Part;

/// A string as it is, any other value as JSON.
fn text(values: &Map<String, Value>, key: &str) -> Option<String> {
    values.get(key).map(|value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    })
}

impl From<&Part> for call::Part {
    fn from(part: &Part) -> call::Part {
        call::Part {
            handler: part.handler.clone(),
            content: part.content.clone(),
            data: part.data.clone(),
            failure: part.failure.clone().map(Into::into),
        }
    }
}

impl call::Host for CallState {
    fn meta(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        let pass = self.gate.base(Base::CallMeta, key.len());
        Ok(pass.leave_with(text(&self.context.meta, &key)))
    }

    fn claim(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        let pass = self.gate.base(Base::CallClaim, name.len());
        Ok(pass.leave_with(text(&self.context.claims, &name)))
    }

    fn setting(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        let pass = self.gate.base(Base::CallSetting, key.len());
        Ok(pass.leave_with(text(&self.plugin.settings, &key)))
    }

    fn session(&mut self) -> wasmtime::Result<Option<String>> {
        let pass = self.gate.base(Base::CallSession, 0);
        Ok(pass.leave_with(self.context.session.clone()))
    }

    fn traceparent(&mut self) -> wasmtime::Result<String> {
        let pass = self.gate.base(Base::CallTraceparent, 0);
        Ok(pass.leave_with(self.context.traceparent.clone()))
    }

    fn deadline_ms(&mut self) -> wasmtime::Result<u64> {
        let pass = self.gate.base(Base::CallDeadline, 0);
        let left = self.deadline.saturating_duration_since(Instant::now());
        let left_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        Ok(pass.leave_with(left_ms))
    }

    fn attempt(&mut self) -> wasmtime::Result<u32> {
        let pass = self.gate.base(Base::CallAttempt, 0);
        Ok(pass.leave_with(self.context.attempt))
    }

    fn previous(&mut self) -> wasmtime::Result<Vec<call::Part>> {
        let pass = self.gate.base(Base::CallPrevious, 0);
        let parts = self.context.previous.iter().map(call::Part::from);
        Ok(pass.leave_with(parts.collect()))
    }
}
