//! Against a Redis of its own for each test.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use segue_resilience::{Guards, Policy, breaker};
use tempfile::TempDir;
use tokio::time::sleep;

use super::*;
use crate::cache::{CacheState, Caches, Kept};

struct Server {
    folder: TempDir,
    port: u16,
    process: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal("KILL");
        let _ = self.process.wait();
    }
}

impl Server {
    /// `None` where none is installed; under `CI` that is a failure.
    fn start() -> Option<Server> {
        let folder = tempfile::tempdir().unwrap();
        // Free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        match Server::spawn(&folder, port) {
            Ok(process) => {
                let server = Server {
                    folder,
                    port,
                    process,
                };
                server.wait();
                Some(server)
            }
            Err(error) => {
                let must = std::env::var("CI").is_ok_and(|ci| ci == "true");
                assert!(!must, "redis-server: {error}");
                println!("skipped: redis-server not installed");
                None
            }
        }
    }

    fn spawn(folder: &TempDir, port: u16) -> std::io::Result<Child> {
        Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--requirepass", "open sesame"])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .spawn()
    }

    fn wait(&self) {
        let since = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(since.elapsed() < Duration::from_secs(20), "it does not start");
            std::thread::yield_now();
        }
    }

    fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        let _ = Command::new("kill").args(["-s", name, &id]).status();
    }

    fn restart(&mut self) {
        self.signal("KILL");
        self.process.wait().unwrap();
        self.process = Server::spawn(&self.folder, self.port).unwrap();
        self.wait();
    }

    fn settings(&self, change: impl FnOnce(&mut settings::Cache)) -> settings::Cache {
        let mut settings = settings::Cache {
            redis: Some(settings::Redis {
                url: format!("redis://127.0.0.1:{}/0", self.port),
                username: None,
                password: Some(settings::Password::new("open sesame")),
            }),
            ..settings::Cache::default()
        };
        change(&mut settings);
        settings
    }

    fn host(&self) -> Host {
        self.host_with(|_| {})
    }

    fn host_with(&self, change: impl FnOnce(&mut settings::Cache)) -> Host {
        let policy = Policy {
            timeout: Some(Duration::from_millis(300)),
            breaker: Some(breaker::Settings {
                reset_timeout: Duration::from_millis(50),
                ..breaker::Settings::default()
            }),
            ..Policy::default()
        };
        let guards = Guards::new(Arc::new(policy));
        let settings = BTreeMap::from([("answers".to_owned(), self.settings(change))]);
        let caches = Caches::new(settings, guards, Handle::current());
        let kept = caches.of("p", "answers").unwrap();
        Host { caches, kept }
    }

    /// What Redis itself answers.
    async fn asked<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        let url = format!("redis://:open%20sesame@127.0.0.1:{}/0", self.port);
        let client = redis::Client::open(url).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let (name, args) = command.split_first().unwrap();
        let mut command = redis::cmd(name);
        args.iter().for_each(|arg| {
            command.arg(arg);
        });
        command.query_async(&mut connection).await.unwrap()
    }

    async fn keys(&self, of: &str) -> Vec<String> {
        self.asked(&["KEYS", &format!("segue:1:*:{of}")]).await
    }
}

struct Host {
    caches: Arc<Caches>,
    kept: Kept,
}

impl Host {
    async fn set(&self, key: &str, value: &str, tags: &[&str]) -> bool {
        let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
        let value = Bytes::copy_from_slice(value.as_bytes());
        self.kept.set(key, value, None, &tags).await.unwrap()
    }

    async fn get(&self, key: &str) -> Option<String> {
        let found = self.kept.get(key).await.unwrap();
        found.map(|value| String::from_utf8(value.to_vec()).unwrap())
    }

    fn state(&self) -> CacheState {
        self.caches.state().remove(0)
    }

    async fn clear(&self) {
        self.caches.get("answers").unwrap().clear().await;
    }

    /// Waits until Redis is asked again.
    async fn back(&self) {
        let since = Instant::now();
        loop {
            self.get("anything").await;
            if !self.state().away {
                return;
            }
            assert!(since.elapsed() < Duration::from_secs(20), "it stays away");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

// O5, O19
#[tokio::test]
async fn what_one_host_keeps_another_finds_as_long_as_it_lives() {
    let Some(server) = Server::start() else { return };
    let (one, two) = (server.host(), server.host());
    assert!(one.set("k", "tea", &["t"]).await);
    assert_eq!(two.get("k").await.as_deref(), Some("tea"));
    assert_eq!((two.state().hits, two.state().tier), (1, "redis"));
    assert_eq!(two.state().entries, 0, "nothing of it is in memory");
    let entry = server.keys("k:*").await.remove(0);
    let left: i64 = server.asked(&["PTTL", &entry]).await;
    assert!((53_000..=60_000).contains(&left), "{left} ms");
    let raw: Vec<u8> = server.asked(&["DUMP", &entry]).await;
    let names = [&entry[..], "segue"].concat();
    assert!(!names.contains("tea") && !raw.is_empty());
    // In a cache of another name, plugin or lifetime it is not.
    let other = server.host_with(|settings| settings.ttl = Duration::from_secs(61));
    assert_eq!(other.get("k").await, None);
    let other = one.caches.of("q", "answers").unwrap();
    assert_eq!(other.get("k").await, Ok(None));
}

#[tokio::test]
async fn an_invalidation_on_one_host_holds_on_all_by_key_by_tag_and_for_everything() {
    let Some(server) = Server::start() else { return };
    let (one, two) = (server.host(), server.host());
    for (n, gone) in [&["k"][..], &["k"], &["k", "plain", "other"]].iter().enumerate() {
        for (key, tags) in [("k", &["t"][..]), ("plain", &[]), ("other", &["u"])] {
            assert!(one.set(key, "v", tags).await);
            assert!(two.get(key).await.is_some());
        }
        match n {
            0 => two.kept.delete("k").await.unwrap(),
            1 => two.kept.invalidate("t").await.unwrap(),
            _ => two.clear().await,
        }
        for key in ["k", "plain", "other"] {
            assert_eq!(one.get(key).await.is_none(), gone.contains(&key), "{n}: {key}");
        }
        // What is kept from now on is found.
        assert!(one.set("k", "new", &["t"]).await);
        assert_eq!(two.get("k").await.as_deref(), Some("new"));
    }
}

#[tokio::test]
async fn what_another_host_invalidates_while_it_is_made_is_not_kept() {
    use crate::cache::kept::Obtained;
    let Some(server) = Server::start() else { return };
    let (one, two) = (server.host(), server.host());
    for n in 0..3 {
        let Obtained::Turn(turn) = one.kept.obtain("k").await.unwrap() else {
            panic!("there is nothing")
        };
        match n {
            0 => two.kept.delete("k").await.unwrap(),
            1 => two.kept.invalidate("t").await.unwrap(),
            _ => two.clear().await,
        }
        let filled = turn.fill(Bytes::from_static(b"v"), None, &["t".to_owned()]).await;
        assert_eq!(filled, Ok(false), "{n}");
        assert_eq!(two.get("k").await, None, "{n}");
    }
    let Obtained::Turn(turn) = one.kept.obtain("k").await.unwrap() else {
        panic!("there is nothing")
    };
    two.kept.delete("other").await.unwrap();
    let filled = turn.fill(Bytes::from_static(b"v"), None, &["t".to_owned()]).await;
    assert_eq!(filled, Ok(true), "another key's end is no matter");
}

#[tokio::test]
async fn who_began_before_a_removal_does_not_replace_what_was_made_after_it() {
    use crate::cache::kept::Obtained;
    let Some(server) = Server::start() else { return };
    let (one, two) = (server.host(), server.host());
    let Obtained::Turn(turn) = one.kept.obtain("k").await.unwrap() else {
        panic!("there is nothing")
    };
    two.kept.delete("k").await.unwrap();
    assert!(two.set("k", "new", &[]).await);
    let filled = turn.fill(Bytes::from_static(b"old"), None, &[]).await;
    assert_eq!(filled, Ok(false));
    assert_eq!(one.get("k").await.as_deref(), Some("new"));
    assert!(one.set("k", "newer", &[]).await);
    assert_eq!(two.get("k").await.as_deref(), Some("newer"));
}

/// An old value is told from a fresh one by Redis's own clock.
#[tokio::test]
async fn an_old_value_is_given_out_while_one_makes_the_new_one() {
    use crate::cache::kept::Obtained;
    let Some(server) = Server::start() else { return };
    let change = |settings: &mut settings::Cache| {
        settings.ttl = Duration::from_millis(50);
        settings.stale_for = Duration::from_secs(60);
    };
    let (one, two) = (server.host_with(change), server.host_with(change));
    one.set("k", "old", &[]).await;
    sleep(Duration::from_millis(60)).await;
    assert_eq!(two.get("k").await, None, "not fresh");
    let Obtained::Turn(turn) = two.kept.obtain("k").await.unwrap() else {
        panic!("it is this one's turn")
    };
    let other = two.kept.obtain("k").await.unwrap();
    assert!(matches!(other, Obtained::Value(value) if value == "old"));
    drop(turn);
}

#[tokio::test]
async fn garbage_is_a_miss_and_is_replaced() {
    let Some(server) = Server::start() else { return };
    let host = server.host();
    host.set("k", "tea", &["t"]).await;
    let entry = server.keys("k:*").await.remove(0);
    let tags = server.keys("t:*").await;
    let era = server.keys("era").await.remove(0);
    let field = |name: &'static str, value: &'static str| vec!["HSET", "ENTRY", name, value];
    for spoil in [
        field("v", "coffee"),
        field("f", "2"),
        field("s", "soon"),
        field("t", "zz=1;=;"),
        field("c", ""),
        vec!["HDEL", "ENTRY", "v"],
        vec!["PERSIST", "ENTRY"],
        vec!["SET", "ENTRY", "garbage"],
        vec!["LPUSH", "ERA", "garbage"],
        vec!["LPUSH", "TAG", "garbage"],
    ] {
        let spoiled: Vec<&str> = (spoil.iter())
            .map(|word| match *word {
                "ENTRY" => entry.as_str(),
                "ERA" => era.as_str(),
                "TAG" => tags[0].as_str(),
                word => word,
            })
            .collect();
        if spoil[0] == "LPUSH" {
            let _: i64 = server.asked(&["DEL", spoiled[1]]).await;
        }
        let _: Value = server.asked(&spoiled).await;
        let found = host.get("k").await;
        // Of these the entry itself is whole.
        let whole = spoil[..2] == ["LPUSH", "ERA"] || spoil[0] == "HSET" && spoil[2] == "t";
        assert!(
            found.is_none() || whole && found.as_deref() == Some("tea"),
            "{spoil:?}: {found:?}"
        );
        assert!(host.set("k", "tea", &["t"]).await, "{spoil:?}");
        assert_eq!(host.get("k").await.as_deref(), Some("tea"), "{spoil:?}");
    }
    assert_eq!(host.state().unanswered, 0);
    // What is too large for this host is nothing to it.
    let small = server.host_with(|settings| settings.max_value = 2);
    assert_eq!(small.get("k").await, None);
}

// O5: with a fallback.
#[tokio::test]
async fn while_it_is_dead_memory_answers_and_nothing_fails_until_it_is_back() {
    let Some(mut server) = Server::start() else { return };
    let host = server.host();
    host.set("k", "before", &[]).await;
    server.signal("KILL");
    server.process.wait().unwrap();
    assert_eq!(host.get("k").await, None);
    assert!(host.state().away);
    for n in 0..200 {
        assert!(host.set("k", &n.to_string(), &[]).await);
        assert_eq!(host.get("k").await, Some(n.to_string()));
    }
    let since = Instant::now();
    for _ in 0..1_000 {
        host.get("k").await;
    }
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    assert!(host.state().unanswered > 0);
    server.restart();
    host.back().await;
    assert_eq!(host.get("k").await, None, "what stood in for it is forgotten");
    assert!(host.set("k", "after", &[]).await);
    assert_eq!(server.host().get("k").await.as_deref(), Some("after"));
}

#[tokio::test]
async fn an_invalidation_that_it_missed_is_made_up_for_once_it_answers() {
    let Some(server) = Server::start() else { return };
    let (one, two) = (server.host(), server.host());
    one.set("k", "v", &["t"]).await;
    server.signal("STOP");
    one.kept.invalidate("t").await.unwrap();
    assert!(one.state().away);
    server.signal("CONT");
    let since = Instant::now();
    while two.get("k").await.is_some() {
        assert!(since.elapsed() < Duration::from_secs(20), "it is still given out");
        sleep(Duration::from_millis(20)).await;
    }
    one.back().await;
    assert_eq!(one.get("k").await, None);
}

#[tokio::test]
async fn a_wrong_password_is_no_more_than_a_miss() {
    let Some(server) = Server::start() else { return };
    let host = server.host_with(|settings| {
        let redis = settings.redis.as_mut().unwrap();
        redis.password = Some(settings::Password::new("wrong"));
    });
    assert!(host.set("k", "v", &[]).await);
    assert_eq!(host.get("k").await.as_deref(), Some("v"), "from memory");
    assert!(host.state().away);
}
