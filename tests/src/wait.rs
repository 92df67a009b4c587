//! Waiting, with an upper bound and without sleeping.

use std::future::Future;
use std::time::Duration;

/// How long any single wait may take. Far more than a healthy host needs, even
/// unoptimised, on two busy cores and with a cold compile cache.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Awaits `future` for at most [`PATIENCE`].
///
/// # Panics
/// With `what` when the time is up.
pub async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited {} s for {what}", PATIENCE.as_secs()),
    }
}

/// Asks again and again until the answer is `Some`: for what a host tells only
/// when asked (a metric, a status page).
///
/// # Panics
/// With `what` when the time is up.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let asking = async {
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        loop {
            pace.tick().await;
            if let Some(answer) = ask().await {
                return answer;
            }
        }
    };
    within(what, asking).await
}
