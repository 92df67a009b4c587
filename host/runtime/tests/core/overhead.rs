//! What a call costs beside what the guest does. A figure to look at, with a
//! bound loose enough for a busy machine and a build without optimisation.

use std::time::{Duration, Instant};

use crate::guest;
use crate::host::{Host, message};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_costs_well_under_a_millisecond() {
    const CALLS: u32 = 2_000;
    let host = Host::start(&[("echo", guest::echo())]).await;
    let generation = host.generation("echo");
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let started = Instant::now();
        for _ in 0..CALLS {
            let mut call = host.runtime.call(&generation, message("hello"));
            assert!(call.next().await.is_some());
            assert_eq!(call.finish().await.result, Ok(()));
        }
        best = best.min(started.elapsed() / CALLS);
    }
    eprintln!("one call of echo, one after the other: {best:?}");
    assert!(best < Duration::from_millis(1), "{best:?}");
}
