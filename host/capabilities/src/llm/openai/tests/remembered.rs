//! Answers that are kept and given again.

use super::super::super::Remember;
use super::*;
use crate::cache::{Caches, settings};

fn models_with(settings: OpenAi, varied: bool, value: usize) -> (Arc<Models>, Arc<Caches>) {
    let cache = settings::Cache {
        max_value: value,
        ..settings::Cache::default()
    };
    let caches = BTreeMap::from([(String::from("answers"), cache)]);
    let caches = Caches::new(caches, Guards::permissive(), Handle::current());
    let remember = Remember {
        cache: String::from("answers"),
        varied,
    };
    let models = Models::none(Guards::permissive(), Handle::current()).remembering(
        BTreeMap::from([(String::from("main"), Model::OpenAi(settings))]),
        BTreeMap::new(),
        &BTreeMap::from([(String::from("main"), remember)]),
        &caches,
    );
    (models, caches)
}

fn predictable(server: &Server) -> OpenAi {
    let mut settings = server.settings();
    settings.temperature = Some(0.0);
    settings
}

/// The server says these pieces, and ends well or breaks off.
async fn says(server: &Server, pieces: &[&str], ends: bool) {
    let mut link = server.accept().await;
    link.request().await;
    link.send(STREAM).await;
    for piece in pieces {
        link.chunk(&delta(piece)).await;
    }
    if ends {
        let stop = json!({"choices": [{"delta": {}, "finish_reason": "stop"}]});
        link.chunk(&event(&stop)).await;
        link.chunk("data: [DONE]\n\n").await;
    }
}

async fn settle(caches: &Caches, entries: u64) {
    while caches.state()[0].entries != entries {
        tokio::task::yield_now().await;
    }
}

async fn pieces(mut completion: Completion) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(piece) = completion.next().await.unwrap() {
        all.push(piece);
    }
    all
}

#[tokio::test]
async fn an_answer_that_came_to_its_end_is_given_again_as_a_stream() {
    let server = Server::start().await;
    let (models, caches) = models_with(predictable(&server), false, 1 << 20);
    let (first, ()) = tokio::join!(pieces(ask(&models)), says(&server, &["No", "thing."], true));
    assert_eq!(first.concat(), "Nothing.");
    settle(&caches, 1).await;
    // The server says nothing more.
    let meters = Meters::default();
    let again = models.complete("main", &prompt(), asker("plugin", "", &meters));
    assert_eq!(pieces(again.unwrap()).await, first);
    let counted: Vec<_> = meters.read().into_iter().collect();
    assert_eq!(counted, [("llm.cached", 1)]);
    // To another plugin it is not given, nor to another question.
    let (other, ()) = tokio::join!(
        async { read(ask_as("other", &models).unwrap()).await.0 },
        says(&server, &["Something."], true)
    );
    assert_eq!(other, "Something.");
    let mut longer = prompt();
    longer.push(Piece::User(String::from("And found?")));
    let asked = models.complete("main", &longer, asker("plugin", "", &meters));
    let (other, ()) = tokio::join!(pieces(asked.unwrap()), says(&server, &["All."], true));
    assert_eq!(other, ["All."]);
}

#[tokio::test]
async fn what_breaks_off_or_is_left_or_is_too_large_is_not_kept() {
    let server = Server::start().await;
    let (models, caches) = models_with(predictable(&server), false, 10);
    let (broken, ()) = tokio::join!(read(ask(&models)), says(&server, &["No"], false));
    assert!(broken.1.is_err());
    let mut left = ask(&models);
    let (first, ()) = tokio::join!(left.next(), says(&server, &["No", "thing."], true));
    assert!(first.unwrap().is_some());
    drop(left);
    let large = ["0123456789", "0"];
    let (whole, ()) = tokio::join!(read(ask(&models)), says(&server, &large, true));
    assert_eq!(whole.0, "01234567890");
    tokio::task::yield_now().await;
    let state = caches.state().remove(0);
    assert_eq!((state.entries, state.hits, state.misses), (0, 0, 3), "{state:?}");
}

#[tokio::test]
async fn what_another_time_would_be_another_is_kept_only_where_the_operator_says_so() {
    let server = Server::start().await;
    for (varied, temperature, kept) in [
        (false, None, 0),
        (false, Some(0.5), 0),
        (false, Some(0.0), 1),
        (true, Some(0.5), 1),
        (true, None, 1),
    ] {
        let (models, caches) = models_with(server.settings(), varied, 1 << 20);
        let mut prompt = prompt();
        if let Some(temperature) = temperature {
            prompt.temperature(temperature);
        }
        let meters = Meters::default();
        let asked = models.complete("main", &prompt, asker("plugin", "", &meters));
        let (text, ()) = tokio::join!(pieces(asked.unwrap()), says(&server, &["Yes."], true));
        assert_eq!(text, ["Yes."]);
        settle(&caches, kept).await;
        let state = caches.state().remove(0);
        assert_eq!(state.misses, kept, "{varied} {temperature:?}");
    }
}
