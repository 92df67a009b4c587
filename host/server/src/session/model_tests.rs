//! The outbox against a naive queue, over many random histories: whatever the
//! readers do, what they were told to be whole is whole.

use std::sync::Arc;
use std::time::Duration;

use segue_protocol::ServerFrame;
use tokio::time::timeout;

use super::*;
use crate::config::OnFull;

/// A small generator, so that a failing history can be run again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Chunks that can be joined, status frames that cannot, ends that never wait.
fn frame(dice: &mut Dice, n: u64) -> ServerFrame {
    let (id, handler): (Arc<str>, Arc<str>) = ("m".into(), "h".into());
    match dice.roll(8) {
        0..=4 => ServerFrame::Chunk {
            id,
            handler,
            content: format!("{n} "),
            replayed: false,
        },
        _ => ServerFrame::Status {
            id,
            handler,
            text: format!("{n} "),
        },
    }
}

fn text(frame: &ServerFrame) -> &str {
    match frame {
        ServerFrame::Chunk { content, .. } => content,
        ServerFrame::Status { text, .. } => text,
        other => panic!("{other:?} was never pushed"),
    }
}

/// A client: what it has, and its reader while it is connected.
#[derive(Default)]
struct Client {
    has: String,
    seq: u64,
    reader: Option<Reader>,
    /// The host has said that something is missing.
    told_of_loss: bool,
}

impl Client {
    fn read(&mut self, most: u64) {
        let Some(reader) = &mut self.reader else { return };
        for _ in 0..most {
            let Some(next) = reader.try_next() else { return };
            assert!(next.seq > self.seq, "numbers rise");
            if next.seq != self.seq + 1 {
                assert!(
                    next.dropped > 0 || self.told_of_loss,
                    "a gap before {} without a word",
                    next.seq
                );
                self.told_of_loss = true;
            }
            self.seq = next.seq;
            self.has.push_str(text(&next.frame));
        }
    }

    fn connect(&mut self, outbox: &Arc<Outbox>) {
        self.reader = Some(outbox.reader(self.seq));
        self.told_of_loss |= !outbox.covers(self.seq);
    }
}

async fn history(seed: u64, on_full: OnFull) {
    let mut dice = Dice(seed);
    let bounds = Bounds {
        frames: 4 + usize::try_from(dice.roll(12)).unwrap_or(0),
        bytes: 1 << 20,
        wait: Duration::from_millis(10),
        on_full,
    };
    let outbox = Arc::new(Outbox::default());
    let mut client = Client::default();
    let mut pushed = String::new();
    for n in 0..200 {
        match dice.roll(10) {
            0..=5 => {
                let next = frame(&mut dice, n);
                let said = text(&next).to_owned();
                // A push that would wait is given up: it has appended nothing.
                let push = outbox.push(&bounds, next);
                if timeout(Duration::from_millis(50), push).await.is_ok() {
                    pushed.push_str(&said);
                }
            }
            6..=7 => client.read(dice.roll(6)),
            8 => {
                // The socket goes; what was written last may not have arrived.
                client.reader = None;
            }
            _ if client.reader.is_none() => client.connect(&outbox),
            _ => outbox.ack(client.seq),
        }
    }
    client.reader = None;
    client.connect(&outbox);
    client.read(u64::MAX);
    if client.told_of_loss {
        assert_ne!(on_full, OnFull::Close, "seed {seed}: closing loses nothing");
        assert!(outbox.dropped_total() > 0, "seed {seed}");
    } else {
        assert_eq!(client.seq, outbox.last_seq(), "seed {seed}");
        assert_eq!(client.has, pushed, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_has_everything_or_was_told_that_it_has_not() {
    for policy in [OnFull::Close, OnFull::DropNewest, OnFull::DropOldest] {
        for seed in 1..=300 {
            history(seed * 7919, policy).await;
        }
    }
}
