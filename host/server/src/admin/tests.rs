//! An operator sees how what plugins may ask stands, changes it without a
//! restart, and promotes only what waits.

use axum::body::Body;
use http::StatusCode;
use serde_json::{Value, json};

use crate::admin::token;
use crate::edge::router;
use crate::edge::testing::{Bench, Client, bench, json as json_of};

struct Admin {
    client: Client,
    bearer: String,
}

impl Admin {
    fn of(bench: &Bench) -> Admin {
        let token = token::prepare(&bench.app.snapshot().config).unwrap();
        Admin {
            bearer: format!("Bearer {}", token.expose()),
            client: Client(router::admin(bench.app.clone(), token)),
        }
    }

    async fn ask(&self, method: &str, path: &str, body: impl Into<Body>) -> (StatusCode, Value) {
        let headers = [("authorization", self.bearer.as_str())];
        let response = self.client.ask(method, path, &headers, body).await;
        (response.status(), json_of(response).await)
    }

    /// Kind and name of each backend, and whether it is ready.
    async fn backends(&self) -> Vec<(String, bool)> {
        let (_, body) = self.ask("GET", "/backends", Body::empty()).await;
        let list = body["backends"].as_array().unwrap();
        let line = |it: &Value| {
            assert!(it["detail"].is_string(), "{it}");
            let key = format!(
                "{}.{}",
                it["kind"].as_str().unwrap(),
                it["name"].as_str().unwrap()
            );
            (key, it["ready"].as_bool().unwrap())
        };
        list.iter().map(line).collect()
    }
}

const CONFIG: &str = "\
[search.docs]
path = \"docs\"
[llm.main]
provider = \"offline\"
[plugins.max_grants]
search = [\"docs\"]
llm = [\"main\"]
";

#[tokio::test]
async fn what_plugins_may_ask_is_listed_and_changes_with_a_reload() {
    let bench = bench(CONFIG).await;
    let admin = Admin::of(&bench);
    let named = |all: &[(String, bool)], key: &str| all.iter().any(|(known, _)| known == key);
    let before = admin.backends().await;
    assert!(
        named(&before, "search.docs") && named(&before, "llm.main"),
        "{before:?}"
    );

    let now = bench.app.snapshot();
    let changed = "[llm.other]\nprovider = \"offline\"\n[plugins.max_grants]\nllm = [\"other\"]\n\
                   [runtime]\ninstances = 2\nguest_threads = 1\n";
    std::fs::write(&bench.config_path, changed).unwrap();
    let (status, body) = admin.ask("POST", "/reload", Body::empty()).await;
    assert_eq!(
        (status, &body["config"]),
        (StatusCode::OK, &json!("reloaded")),
        "{body}"
    );
    let after = admin.backends().await;
    assert!(
        named(&after, "llm.other") && !named(&after, "search.docs"),
        "{after:?}"
    );
    // A call that began before keeps what it had.
    assert!(
        now.backends
            .state()
            .iter()
            .any(|state| state.key() == "search.docs")
    );

    // A fault keeps all of it as it is.
    let faulty = changed.replace("[\"other\"]", "[\"othr\"]");
    std::fs::write(&bench.config_path, faulty).unwrap();
    let (status, body) = admin.ask("POST", "/reload", Body::empty()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let said = body["error"]["message"].as_str().unwrap();
    assert!(said.contains("did you mean \"other\"?"), "{said}");
    assert_eq!(admin.backends().await, after);
}

#[tokio::test]
async fn nothing_is_promoted_that_does_not_wait() {
    let bench = bench(CONFIG).await;
    let admin = Admin::of(&bench);
    let (status, body) = admin.ask("POST", "/plugins/none/promote", Body::empty()).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(body["error"]["code"], "not_found");
    for body in ["{", "[]", "{\"versoin\":\"sha256:ab\"}"] {
        let (status, answer) = admin.ask("POST", "/plugins/none/promote", body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    }
}

#[tokio::test]
async fn a_host_is_ready_once_its_indexes_are_read_and_not_for_want_of_a_folder() {
    let bench = bench(CONFIG).await;
    bench.app.runtime.scanned().await;
    let public = bench.public();
    let ready = async {
        loop {
            let body = json_of(public.get("/health/ready").await).await;
            if body["ready"] == true {
                return body;
            }
            assert_eq!(body["checks"]["indexes"], false, "{body}");
            assert_eq!(body["backends"]["search.docs"], "reading", "{body}");
            tokio::task::yield_now().await;
        }
    };
    let body = tokio::time::timeout(std::time::Duration::from_secs(30), ready)
        .await
        .unwrap();
    assert_eq!(body["backends"]["search.docs"], "unavailable", "{body}");
    assert_eq!(body["backends"]["llm.main"], "ready", "{body}");
}

// X1: a breaker makes the host not ready only when it is required.
#[tokio::test]
async fn only_a_required_breaker_makes_the_host_unready() {
    for (health, status) in [("", 200), ("[health]\nrequired = [\"llm.main\"]\n", 503)] {
        let config = format!(
            "{health}[llm.main]\nprovider = \"openai\"\nbase_url = \"http://127.0.0.1:9/v1\"\nmodel = \"m\"\n\
             [resilience.llm]\nfailure_threshold = 1\n"
        );
        let bench = bench(&config).await;
        bench.app.runtime.scanned().await;
        assert_eq!(bench.public().get("/health/ready").await.status(), 200);
        let guard = bench.app.guards.get("llm", "main");
        guard.try_admit().unwrap().failed(None);
        assert_eq!(
            bench.public().get("/health/ready").await.status(),
            status,
            "{health}"
        );
        guard.breaker().reset();
        assert_eq!(bench.public().get("/health/ready").await.status(), 200);
    }
}
