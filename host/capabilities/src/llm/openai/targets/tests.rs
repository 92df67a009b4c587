//! What is guarded: each row of the table above. What servers were sent is
//! counted by the servers.

use std::collections::BTreeMap;
use std::sync::Mutex;

use segue_resilience::breaker::State;
use segue_resilience::{Policy, breaker, retry};
use segue_runtime::Meters;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::super::super::settings::{Budget, Model, OpenAi, Target};
use super::super::super::{Completion, Models, Piece};
use super::*;

const GOOD: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n\
    data: {\"choices\":[{\"delta\":{\"content\":\"hello\"}}],\"usage\":{\"completion_tokens\":7}}\n\n\
    data: [DONE]\n\n";
const HALF: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n\
    data: {\"choices\":[{\"delta\":{\"content\":\"hel\"}}]}\n\n";
const UNCOUNTED: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n\
    data: {\"choices\":[{\"delta\":{\"content\":\"hello\"}}]}\n\ndata: [DONE]\n\n";
const BROKEN: &str = "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n";
const BUSY: &str = "HTTP/1.1 429 Slow Down\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n";
const NO_KEY: &str = "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n";
const FORBIDDEN: &str = "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n";
const WRONG: &str = "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n";
/// Nothing is answered, and the connection stays.
const HANG: &str = "";
/// Thoughts, and no word of an answer.
const THINKS: &str = "thinks";
/// A first piece, and then nothing.
const STALL: &str = "stall";

/// A server that gives one answer to every request, and counts.
struct Fake {
    url: String,
    answer: Arc<Mutex<&'static str>>,
    /// Requests, and those of them that were questions.
    count: watch::Receiver<usize>,
    questions: watch::Receiver<usize>,
}

impl Fake {
    async fn start(answer: &'static str) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let answer = Arc::new(Mutex::new(answer));
        let (counter, count) = watch::channel(0);
        let (asked, questions) = watch::channel(0);
        let said = Arc::clone(&answer);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (said, counter, asked) = (Arc::clone(&said), counter.clone(), asked.clone());
                tokio::spawn(async move {
                    let mut read = Vec::new();
                    let is_whole = |read: &[u8]| match read.starts_with(b"GET") {
                        true => read.ends_with(b"\r\n\r\n"),
                        false => read.ends_with(b"}}"),
                    };
                    while !is_whole(&read) {
                        if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    let answer = *said.lock().unwrap();
                    counter.send_modify(|count| *count += 1);
                    if !read.starts_with(b"GET /v1/models ") {
                        asked.send_modify(|count| *count += 1);
                    }
                    if answer == THINKS {
                        think(&mut stream).await;
                        return;
                    }
                    let text = if answer == STALL { HALF } else { answer };
                    let _ = stream.write_all(text.as_bytes()).await;
                    if answer == HANG || answer == STALL {
                        let _ = stream.read_buf(&mut read).await;
                    }
                });
            }
        });
        Fake {
            url,
            answer,
            count,
            questions,
        }
    }

    fn says(&self, answer: &'static str) {
        *self.answer.lock().unwrap() = answer;
    }

    fn questions(&self) -> usize {
        *self.questions.borrow()
    }

    fn count(&self) -> usize {
        *self.count.borrow()
    }

    fn target(&self, order: u32, weight: u32) -> Target {
        Target {
            order,
            weight,
            server: OpenAi::at(OpenAi::parse_base_url(&self.url).unwrap(), "m"),
        }
    }
}

/// Until the client has had enough.
async fn think(stream: &mut tokio::net::TcpStream) {
    let mut said = String::from("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    loop {
        said.push_str("data: {\"choices\":[{\"delta\":{\"reasoning\":\"Hm.\"}}]}\n\n");
        if stream.write_all(said.as_bytes()).await.is_err() {
            return;
        }
        said.clear();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn policy(retries: u32) -> Policy {
    Policy {
        breaker: Some(breaker::Settings {
            failure_threshold: 2,
            reset_timeout: Duration::from_millis(50),
            ..breaker::Settings::default()
        }),
        retry: retry::Settings {
            retries,
            backoff: Duration::from_millis(1),
            ..retry::Settings::default()
        },
        ..Policy::default()
    }
}

struct Bed {
    models: Arc<Models>,
    guards: Arc<Guards>,
}

fn bed<const N: usize>(policy: Policy, targets: [(&str, Target); N]) -> Bed {
    bed_with(BTreeMap::new(), policy, targets)
}

fn bed_with<const N: usize>(
    budgets: BTreeMap<String, Budget>,
    policy: Policy,
    targets: [(&str, Target); N],
) -> Bed {
    let guards = Guards::new(Arc::new(policy));
    let targets = targets.map(|(name, target)| (String::from(name), target));
    let model = Model::Targets(Targets {
        max_in_flight: 256,
        targets: BTreeMap::from(targets),
    });
    let models = BTreeMap::from([(String::from("main"), model)]);
    Bed {
        models: Models::new(models, budgets, Arc::clone(&guards), Handle::current()),
        guards,
    }
}

impl Bed {
    fn ask_until(&self, deadline: Option<Instant>) -> Completion {
        let mut prompt = Prompt::new();
        prompt.push(Piece::User(String::from("Hello?")));
        let asker = Asker {
            plugin: "plugin",
            traceparent: "",
            meters: &Meters::default(),
            deadline,
        };
        self.models.complete("main", &prompt, asker).unwrap()
    }

    fn ask(&self) -> Completion {
        self.ask_until(None)
    }

    async fn read(&self) -> (String, Option<Kind>) {
        let mut completion = self.ask();
        let mut text = String::new();
        loop {
            match completion.next().await {
                Ok(Some(piece)) => text.push_str(&piece),
                Ok(None) => return (text, None),
                Err(fault) => return (text, Some(fault.kind)),
            }
        }
    }

    /// Successes, failures and neither.
    fn stats(&self, target: &str) -> (u64, u64, u64) {
        let stats = self.guards.get("llm", target).breaker().standing().stats;
        (stats.successes, stats.failures, stats.neither)
    }
}

fn said(text: &str) -> (String, Option<Kind>) {
    (String::from(text), None)
}

#[tokio::test]
async fn before_the_first_text_another_server_is_tried() {
    for bad in [BROKEN, BUSY, NO_KEY, "garbage\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"] {
        let (first, second) = (Fake::start(bad).await, Fake::start(GOOD).await);
        let bed = bed(policy(3), [("a", first.target(1, 1)), ("b", second.target(2, 1))]);
        assert_eq!(bed.read().await, said("hello"), "{bad}");
        assert_eq!((first.count(), second.count()), (1, 1), "{bad}");
        assert_eq!(bed.stats("main/a"), (0, 1, 0), "{bad}");
        assert_eq!(bed.stats("main/b"), (1, 0, 0), "{bad}");
    }
}

#[tokio::test]
async fn each_other_server_is_tried_once_without_a_word_on_retries() {
    let fakes = [
        Fake::start(BROKEN).await,
        Fake::start(FORBIDDEN).await,
        Fake::start(GOOD).await,
    ];
    let bed = bed(
        policy(0),
        [
            ("a", fakes[0].target(1, 1)),
            ("b", fakes[1].target(2, 1)),
            ("c", fakes[2].target(3, 1)),
        ],
    );
    assert_eq!(bed.read().await, said("hello"));
    assert_eq!(fakes.each_ref().map(Fake::count), [1, 1, 1]);
    assert_eq!(bed.stats("main/b"), (0, 0, 1), "403 says nothing of the server");
    fakes[2].says(BROKEN);
    assert_eq!(bed.read().await.1, Some(Kind::Unavailable));
    assert_eq!(
        fakes.each_ref().map(Fake::count),
        [2, 2, 2],
        "and none of them twice"
    );
}

#[tokio::test]
async fn a_server_alone_is_not_closed_for_how_it_is_set_up() {
    let first = Fake::start(NO_KEY).await;
    let bed = bed(policy(3), [("", first.target(1, 1))]);
    for _ in 0..4 {
        assert_eq!(bed.read().await.1, Some(Kind::Misconfigured));
    }
    assert_eq!((first.count(), bed.stats("main")), (4, (0, 0, 4)));
}

#[tokio::test]
async fn a_question_that_is_wrong_is_wrong_everywhere() {
    let (first, second) = (Fake::start(WRONG).await, Fake::start(GOOD).await);
    let bed = bed(policy(3), [("a", first.target(1, 1)), ("b", second.target(2, 1))]);
    assert_eq!(bed.read().await.1, Some(Kind::Rejected));
    assert_eq!((first.count(), second.count()), (1, 0));
    assert_eq!(bed.stats("main/a"), (0, 0, 1));
}

#[tokio::test]
async fn after_the_first_text_nothing_is_tried_again() {
    let (first, second) = (Fake::start(HALF).await, Fake::start(GOOD).await);
    let bed = bed(policy(3), [("a", first.target(1, 1)), ("b", second.target(2, 1))]);
    assert_eq!(bed.read().await, (String::from("hel"), Some(Kind::Failed)));
    assert_eq!((first.count(), second.count()), (1, 0));
    assert_eq!(bed.stats("main/a"), (0, 1, 0), "cut within its answer");
}

#[tokio::test]
async fn a_server_that_fails_is_out_and_back_once_it_heals() {
    let (first, second) = (Fake::start(BROKEN).await, Fake::start(GOOD).await);
    let bed = bed(policy(3), [("a", first.target(1, 1)), ("b", second.target(2, 1))]);
    let guard = bed.guards.get("llm", "main/a");
    for _ in 0..2 {
        bed.read().await;
    }
    assert!(guard.is_out().is_some(), "after two failures");
    for _ in 0..5 {
        if guard.is_out().is_none() {
            break;
        }
        assert_eq!(bed.read().await, said("hello"));
        assert_eq!(first.count(), 2, "an open breaker sends nothing");
    }
    first.says(GOOD);
    while guard.is_out().is_some() {
        tokio::task::yield_now().await;
    }
    assert_eq!(bed.read().await, said("hello"));
    assert_eq!(first.count(), 3, "the probe, which was the answer");
    assert_eq!(guard.breaker().state(), State::Closed);
}

#[tokio::test]
async fn one_that_is_busy_is_left_alone_for_as_long_as_it_says() {
    let (first, second) = (Fake::start(BUSY).await, Fake::start(GOOD).await);
    let bed = bed(policy(3), [("a", first.target(1, 1)), ("b", second.target(2, 1))]);
    for _ in 0..5 {
        assert_eq!(bed.read().await, said("hello"));
    }
    assert_eq!((first.count(), second.count()), (1, 5));
    let left = bed.guards.get("llm", "main/a").is_out().unwrap();
    assert!(left > Duration::from_secs(50), "{left:?}");
}

#[tokio::test]
async fn a_half_open_server_is_sent_its_probes_and_no_more() {
    let first = Fake::start(BROKEN).await;
    let bed = bed(policy(0), [("a", first.target(1, 1))]);
    for _ in 0..2 {
        bed.read().await;
    }
    let refused = bed.read().await.1;
    assert_eq!((refused, first.count()), (Some(Kind::LeftAlone), 2));
    first.says(HANG);
    let guard = bed.guards.get("llm", "main/a");
    while guard.is_out().is_some() {
        tokio::task::yield_now().await;
    }
    let probe = bed.ask();
    first.count.clone().wait_for(|count| *count == 3).await.unwrap();
    for _ in 0..10 {
        assert_eq!(bed.read().await.1, Some(Kind::LeftAlone));
    }
    assert_eq!(first.count(), 3);
    drop(probe);
}

#[tokio::test]
async fn retries_stay_within_their_number_and_the_budget() {
    let first = Fake::start(BROKEN).await;
    let patient = |retries| Policy {
        breaker: None,
        ..policy(retries)
    };
    let few = bed(patient(2), [("a", first.target(1, 1))]);
    assert_eq!(few.read().await.1, Some(Kind::Unavailable));
    assert_eq!(first.count(), 3);

    let before = first.count();
    let many = bed(patient(100), [("a", first.target(1, 1))]);
    for _ in 0..20 {
        many.read().await;
    }
    let retried = first.count() - before - 20;
    assert!(retried <= 14, "{retried}: 10 that are free, and 0.2 of 20 calls");
}

#[tokio::test]
async fn a_client_that_leaves_counts_as_neither() {
    let first = Fake::start(HANG).await;
    let bed = bed(policy(3), [("a", first.target(1, 1))]);
    let silent = bed.ask();
    first.count.clone().wait_for(|count| *count == 1).await.unwrap();
    drop(silent);
    first.says(STALL);
    let mut begun = bed.ask();
    assert_eq!(begun.next().await, Ok(Some(String::from("hel"))));
    drop(begun);
    while bed.stats("main/a").2 < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(bed.stats("main/a"), (0, 0, 2));
}

#[tokio::test]
async fn no_server_is_waited_for_longer_than_the_call_has_left() {
    let first = Fake::start(HANG).await;
    let bed = bed(policy(3), [("a", first.target(1, 1))]);
    let soon = Instant::now() + Duration::from_millis(100);
    let fault = bed.ask_until(Some(soon)).next().await.unwrap_err();
    assert_eq!(fault.kind, Kind::Timeout);
    assert!(soon.elapsed() < Duration::from_secs(5));
    assert_eq!(bed.stats("main/a"), (0, 0, 1), "it had less than a fair time");
}

#[tokio::test]
async fn a_server_that_used_up_the_calls_time_has_failed() {
    let first = Fake::start(HANG).await;
    let mut target = first.target(1, 1);
    target.server.first_token_timeout = Duration::from_millis(200);
    let bed = bed(policy(3), [("a", target)]);
    let soon = Instant::now() + Duration::from_millis(150);
    let fault = bed.ask_until(Some(soon)).next().await.unwrap_err();
    assert_eq!(fault.kind, Kind::Timeout);
    assert_eq!(bed.stats("main/a"), (0, 1, 0));
}

#[tokio::test]
async fn what_is_not_there_when_looked_at_is_asked_only_if_nobody_is() {
    let (first, second) = (Fake::start(BROKEN).await, Fake::start(GOOD).await);
    let mut target = first.target(1, 1);
    target.server.health_interval = Some(Duration::from_millis(10));
    let bed = bed(policy(0), [("a", target), ("b", second.target(2, 1))]);
    let client = bed.models.group("main").client();
    let until = async |down: bool| {
        while client.is_down() != down {
            tokio::task::yield_now().await;
        }
    };
    until(true).await;
    let (ready, detail) = bed.models.group("main").state();
    assert!(ready && detail.contains("a: m at") && detail.contains("does not answer the health check"));
    for _ in 0..5 {
        assert_eq!(bed.read().await, said("hello"));
    }
    assert_eq!(first.questions(), 0, "only looked at");
    second.says(BROKEN);
    assert_eq!(
        bed.read().await.1,
        Some(Kind::Unavailable),
        "b, then a all the same"
    );
    assert_eq!((first.questions(), second.questions()), (1, 6));
    first.says(GOOD);
    until(false).await;
    assert_eq!(bed.read().await, said("hello"));
    assert_eq!((first.questions(), second.questions()), (2, 6));
}

#[tokio::test]
async fn what_was_asked_of_each_is_counted_and_stays_over_a_change() {
    let (first, second) = (Fake::start(BROKEN).await, Fake::start(GOOD).await);
    let bed = bed(policy(0), [("a", first.target(1, 1)), ("b", second.target(2, 1))]);
    bed.read().await;
    let counted = |models: &Models| {
        let all = models.counts().into_iter().map(|counts| {
            let ended = counts.requests.into_iter().filter(|(_, count)| *count > 0);
            (
                counts.target,
                ended.collect::<Vec<_>>(),
                counts.tokens.output_tokens,
            )
        });
        all.collect::<Vec<_>>()
    };
    let expected = [
        (
            String::from("a"),
            vec![(super::super::Outcome::Unavailable, 1)],
            0,
        ),
        (String::from("b"), vec![(super::super::Outcome::Success, 1)], 7),
    ];
    assert_eq!(counted(&bed.models), expected);
    let changed = Model::Targets(Targets {
        max_in_flight: 1,
        targets: BTreeMap::from([
            (String::from("a"), first.target(1, 1)),
            (String::from("b"), second.target(5, 3)),
        ]),
    });
    let models = bed
        .models
        .update(BTreeMap::from([(String::from("main"), changed)]), BTreeMap::new());
    assert_eq!(counted(&models), expected);
}

#[tokio::test]
async fn those_of_one_order_are_chosen_by_weight_and_the_next_ones_not_at_all() {
    let fakes = [
        Fake::start(GOOD).await,
        Fake::start(GOOD).await,
        Fake::start(GOOD).await,
    ];
    let bed = bed(
        policy(3),
        [
            ("a", fakes[0].target(1, 9)),
            ("b", fakes[1].target(1, 1)),
            ("c", fakes[2].target(2, 100)),
        ],
    );
    for _ in 0..200 {
        assert_eq!(bed.read().await, said("hello"));
    }
    let counts = fakes.each_ref().map(Fake::count);
    assert!(counts[0] > counts[1] && counts[1] > 0, "{counts:?}");
    assert_eq!((counts[0] + counts[1], counts[2]), (200, 0));
}

/// One of 1,000 tokens, for all.
fn budget() -> BTreeMap<String, Budget> {
    let budget = Budget {
        per: Vec::new(),
        tokens: Some(1000),
        cost: None,
        period: Duration::from_secs(3600),
        plugins: Vec::new(),
        models: Vec::new(),
    };
    BTreeMap::from([(String::from("hour"), budget)])
}

// O18
#[tokio::test]
async fn an_answer_is_charged_however_it_ends() {
    // "Hello?" is 2 tokens by estimate, "hel" and "hello" are 1 and 2.
    for (answer, tokens) in [
        (GOOD, 7),
        (BROKEN, 0),
        (BUSY, 0),
        (WRONG, 0),
        (HALF, 2 + 1),
        (UNCOUNTED, 2 + 2),
        (HANG, 2),
    ] {
        let first = Fake::start(answer).await;
        let mut target = first.target(1, 1);
        target.server.first_token_timeout = Duration::from_millis(100);
        let bed = bed_with(budget(), policy(0), [("a", target)]);
        bed.read().await;
        let counted = bed.models.counts().remove(0).tokens;
        let spent = bed.models.budgets().remove(0).tokens;
        let all = counted.input_tokens + counted.output_tokens;
        assert_eq!((spent, all), (tokens, tokens), "{answer}");
    }
}

#[tokio::test]
async fn what_is_left_by_its_client_is_charged_too() {
    let first = Fake::start(STALL).await;
    let bed = bed_with(budget(), policy(0), [("a", first.target(1, 1))]);
    let spent = || bed.models.budgets().remove(0).tokens;
    let mut begun = bed.ask();
    assert_eq!(begun.next().await, Ok(Some(String::from("hel"))));
    assert_eq!(spent(), 2, "the prompt, as soon as it was sent");
    drop(begun);
    assert_eq!(spent(), 3);
    first.says(HANG);
    let silent = bed.ask();
    first.count.clone().wait_for(|count| *count == 2).await.unwrap();
    drop(silent);
    while bed.stats("main/a").2 < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(spent(), 5);
}

#[tokio::test]
async fn a_server_that_only_thinks_has_the_policys_time_until_its_first_text() {
    let (first, second) = (Fake::start(THINKS).await, Fake::start(GOOD).await);
    let policy = Policy {
        timeout: Some(Duration::from_millis(200)),
        ..policy(0)
    };
    let bed = bed(policy, [("a", first.target(1, 1)), ("b", second.target(2, 1))]);
    assert_eq!(bed.read().await, said("hello"));
    assert_eq!(bed.stats("main/a"), (0, 1, 0));
}
