//! How limits stand, as HTTP says it.
//!
//! `RateLimit-Policy` and `RateLimit` are those of the IETF's draft (httpapi,
//! ratelimit-headers, version 10): lists of structured fields (RFC 9651), one item
//! a limit, with whole seconds. `X-RateLimit-Limit`, `-Remaining` and `-Reset`,
//! which the draft has no part in, tell of the limit with the fewest tokens left;
//! `-Reset` is in seconds from now, when the bucket is full again.
//!
//! Seconds are rounded up: whoever waits for them never comes too early.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use segue_resilience::limit::{Decision, Settings};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");
const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// How one limit stands after it counted something.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub name: Arc<str>,
    pub settings: Settings,
    pub decision: Decision,
}

impl Told {
    pub(super) fn new(name: &Arc<str>, settings: Settings, decision: Decision) -> Told {
        Told {
            name: Arc::clone(name),
            settings,
            decision,
        }
    }

    /// `"name";q=100;w=60`: so many within so many seconds. A bucket that holds
    /// another number says so.
    fn policy(&self, to: &mut String) {
        let Settings { rate, period, burst } = self.settings;
        let window = seconds(period).max(1);
        let quota = u128::from(rate) * u128::from(window) * 1_000_000_000 / period.as_nanos().max(1);
        // Writing into a string does not fail.
        let _ = write!(to, "\"{}\";q={quota};w={window}", self.name);
        if burst != rate {
            let _ = write!(to, ";segue-burst={burst}");
        }
    }

    /// `"name";r=50;t=30`: so many left; another one within so many seconds.
    fn state(&self, to: &mut String) {
        let Decision { remaining, next, .. } = self.decision;
        let _ = write!(to, "\"{}\";r={remaining}", self.name);
        if !next.is_zero() {
            let _ = write!(to, ";t={}", seconds(next));
        }
    }
}

/// Writes how limits stand into the head of an answer.
pub fn tell(headers: &mut HeaderMap, told: &[Told]) {
    let fewest = |told: &&Told| {
        (
            told.decision.remaining,
            std::cmp::Reverse(told.decision.retry_after),
            std::cmp::Reverse(told.decision.reset),
        )
    };
    let Some(tightest) = told.iter().min_by_key(fewest) else {
        return;
    };
    let list = |write: fn(&Told, &mut String)| {
        let mut text = String::new();
        for one in told {
            if !text.is_empty() {
                text.push_str(", ");
            }
            write(one, &mut text);
        }
        HeaderValue::try_from(text)
    };
    for (name, value) in [(POLICY, list(Told::policy)), (STATE, list(Told::state))] {
        if let Ok(value) = value {
            headers.insert(name, value);
        }
    }
    headers.insert(X_LIMIT, tightest.decision.limit.into());
    headers.insert(X_REMAINING, tightest.decision.remaining.into());
    headers.insert(X_RESET, seconds(tightest.decision.reset).into());
}

fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, rate: u32, period_ms: u64, burst: u32, remaining: u32) -> Told {
        let settings = Settings {
            rate,
            period: Duration::from_millis(period_ms),
            burst,
        };
        let decision = Decision {
            limit: burst,
            remaining,
            next: Duration::from_millis(1_200),
            reset: settings.each() * (burst - remaining),
            retry_after: None,
        };
        Told::new(&name.into(), settings, decision)
    }

    #[test]
    fn several_are_one_list_and_the_tightest_is_told_in_the_old_way_too() {
        let mut headers = HeaderMap::new();
        let limits = [
            told("hourly", 1_000, 3_600_000, 1_000, 900),
            told("quick", 5, 500, 20, 3),
        ];
        tell(&mut headers, &limits);
        assert_eq!(
            headers[POLICY],
            "\"hourly\";q=1000;w=3600, \"quick\";q=10;w=1;segue-burst=20"
        );
        assert_eq!(headers[STATE], "\"hourly\";r=900;t=2, \"quick\";r=3;t=2");
        assert_eq!(
            (&headers[X_LIMIT], &headers[X_REMAINING]),
            (&"20".parse().unwrap(), &"3".parse().unwrap())
        );
        assert_eq!(headers[X_RESET], "2", "1.7 s, rounded up");
    }

    #[test]
    fn no_limit_is_no_word() {
        let mut headers = HeaderMap::new();
        tell(&mut headers, &[]);
        assert!(headers.is_empty());
    }
}
