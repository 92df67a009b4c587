//! `segue chat`: a terminal client.
//!
//! One task serves the socket, the keyboard and the screen; none of them holds
//! up another. What the protocol demands is decided in [`state`], without I/O.
//!
//! | file | what it knows |
//! |---|---|
//! | `state.rs` | what was seen, what is owed, what to send next |
//! | `message.rs`, `answer.rs`, `marks.rs` | one message; its answer, written forward only; what it cites |
//! | `frame.rs`, `event.rs` | what comes in, what there is to tell |
//! | `link.rs`, `address.rs`, `backoff.rs` | the connection: kept, made, made again |
//! | `input.rs`, `screen.rs`, `evidence.rs`, `hyperlink.rs` | the person |

mod address;
mod answer;
mod backoff;
mod event;
mod evidence;
mod frame;
mod hyperlink;
mod input;
mod link;
mod marks;
mod message;
mod screen;
mod state;

use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use clap::Args;
use tokio::sync::mpsc;

use address::{Address, DialError, Socket};
use backoff::{Backoff, dice};
use event::{Event, Failure};
use frame::Frame;
use input::Input;
use link::{Link, LinkEvent, Loss};
use message::Manner;
use screen::Screen;
use state::{Conversation, MAX_WAITING};

/// Acknowledges when so long nothing came.
const ACK_IDLE: Duration = Duration::from_millis(300);
/// A host that speaks Segue greets at once.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);
/// Without a person to decide, a lost connection is given up after this.
const PATIENCE: Duration = Duration::from_secs(60);
/// A connection this old was a good one: the next wait is short again.
const STABLE: Duration = Duration::from_secs(5);
/// What a shell expects of a command that Ctrl-C has ended.
const INTERRUPTED: u8 = 130;

const HELP: &str = "\
/cancel       cancels the message that is being answered (so does Ctrl-C)
/disconnect   drops the connection; what you type waits
/connect      connects again, where it stood
/quit         ends (so does Ctrl-D, after the last answer)
A line that begins with a slash is sent when you write two: //";

/// Talk to a host from this terminal
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  segue chat                          talk to the host on this machine
  echo hi | segue chat                print one answer; exits 1 if it is an error
  echo hi | segue chat 2>/dev/null    without what it rests on
  segue chat --mtype support --rag-doc ws://host:8000/chat
  echo hi | segue chat --json         the frames as they come")]
pub(crate) struct ChatArgs {
    /// Where the chat is; `host:port` will do
    #[arg(value_name = "URL", default_value = "ws://127.0.0.1:8000/chat")]
    url: String,
    /// The type of the messages, by which the host routes them
    #[arg(long, value_name = "TYPE", default_value = "chat")]
    mtype: String,
    /// Ask for answers from databases
    #[arg(long)]
    rag_sql: bool,
    /// Ask for answers from documents
    #[arg(long)]
    rag_doc: bool,
    /// Print the host's frames as they come, one a line
    #[arg(long)]
    json: bool,
}

/// Talks until the input ends and everything is answered, or the person quits.
/// The exit code is 1 if what came through a pipe met an error.
pub(crate) async fn run(args: ChatArgs) -> anyhow::Result<ExitCode> {
    let address = Address::parse(&args.url)?;
    let manner = Manner {
        mtype: args.mtype,
        rag_sql: args.rag_sql,
        rag_doc: args.rag_doc,
    };
    let mut client = Client {
        link: Link::dialling(address.clone().dial(None)),
        screen: Screen::new(args.json, address.host()),
        address,
        talk: Conversation::new(manner),
        lines: Some(input::lines()),
        interrupt: Box::pin(tokio::signal::ctrl_c()),
        backoff: Backoff::default(),
        greeted: false,
        met: false,
        failed: false,
        drain: None,
        up_since: None,
        down_since: None,
        silence: HELLO_TIMEOUT,
    };
    let code = client.talk().await?;
    client.screen.end_line();
    client.link.close().await;
    Ok(code)
}

struct Client {
    address: Address,
    talk: Conversation,
    screen: Screen,
    link: Link,
    /// `None` once the input has ended.
    lines: Option<mpsc::Receiver<Input>>,
    interrupt: Pin<Box<dyn Future<Output = std::io::Result<()>> + Send>>,
    backoff: Backoff,
    /// The host has greeted on this connection.
    greeted: bool,
    /// There was a good connection before.
    met: bool,
    /// Something that was asked met an error.
    failed: bool,
    /// How long the host asked to stay away.
    drain: Option<Duration>,
    up_since: Option<Instant>,
    down_since: Option<Instant>,
    /// Without any sign of life for this long the connection is lost.
    silence: Duration,
}

enum Happening {
    Link(LinkEvent),
    Typed(Option<Input>),
    Interrupt,
    Idle,
}

impl Client {
    async fn talk(&mut self) -> anyhow::Result<ExitCode> {
        loop {
            self.flush(false).await?;
            if let Some(code) = self.over()? {
                self.flush(true).await?;
                return Ok(code);
            }
            if self.greeted && self.talk.waiting() == 0 && self.lines.is_some() {
                self.screen.prompt();
            }
            match self.next().await {
                Happening::Link(event) => self.on_link(event)?,
                Happening::Typed(None) => self.lines = None,
                Happening::Typed(Some(Input::Quit)) => return Ok(self.verdict()),
                Happening::Typed(Some(input)) => self.on_input(input).await,
                Happening::Interrupt => {
                    self.interrupt = Box::pin(tokio::signal::ctrl_c());
                    if !self.on_interrupt() {
                        return Ok(ExitCode::from(INTERRUPTED));
                    }
                }
                Happening::Idle => self.flush(true).await?,
            }
        }
    }

    async fn next(&mut self) -> Happening {
        // A person may still cancel when much waits; a pipe is held back.
        let room = self.screen.interactive || self.talk.waiting() < MAX_WAITING;
        let owes = self.talk.owes_ack();
        let typed = async {
            match &mut self.lines {
                Some(lines) if room => lines.recv().await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            event = self.link.next(self.silence) => Happening::Link(event),
            input = typed => Happening::Typed(input),
            _ = &mut self.interrupt => Happening::Interrupt,
            () = tokio::time::sleep(ACK_IDLE), if owes => Happening::Idle,
        }
    }

    /// Sends what is to be sent.
    async fn flush(&mut self, idle: bool) -> anyhow::Result<()> {
        let mut frames = self.talk.outgoing();
        frames.extend(self.talk.acknowledgement(idle));
        match self.link.send(frames).await {
            Ok(()) => Ok(()),
            Err(loss) => self.on_loss(loss),
        }
    }

    /// Whether there is nothing left to do.
    fn over(&self) -> anyhow::Result<Option<ExitCode>> {
        if self.screen.gone {
            return Ok(Some(ExitCode::SUCCESS));
        }
        if self.lines.is_some() {
            return Ok(None);
        }
        let answered = self.talk.waiting() == 0;
        match self.link {
            Link::Off if !answered => {
                bail!("the input has ended and messages wait, but there is no connection")
            }
            Link::Off => Ok(Some(self.verdict())),
            _ if answered && self.met => Ok(Some(self.verdict())),
            _ => Ok(None),
        }
    }

    fn verdict(&self) -> ExitCode {
        if self.failed && !self.screen.interactive {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }

    // --- the connection ---

    fn dial(&mut self) {
        self.link = Link::dialling(self.address.clone().dial(self.talk.resume()));
    }

    fn on_link(&mut self, event: LinkEvent) -> anyhow::Result<()> {
        match event {
            LinkEvent::Dialled(Ok(socket)) => {
                self.on_socket(socket);
                Ok(())
            }
            LinkEvent::Dialled(Err(DialError(why))) if !self.met => Err(anyhow!(why)),
            LinkEvent::Dialled(Err(DialError(why))) => self.come_back(&why),
            LinkEvent::RetryNow => {
                self.dial();
                Ok(())
            }
            LinkEvent::Lost(_) if !self.greeted && !self.met => Err(anyhow!(
                "the other side speaks WebSocket, but not as a Segue chat; the usual path is /chat"
            )),
            LinkEvent::Lost(loss) => self.on_loss(loss),
            LinkEvent::Beat => Ok(()),
            LinkEvent::Text(text) => {
                self.on_text(&text);
                Ok(())
            }
        }
    }

    fn on_socket(&mut self, socket: Box<Socket>) {
        self.link = Link::Up(socket);
        self.greeted = false;
        self.silence = HELLO_TIMEOUT;
    }

    fn on_text(&mut self, text: &str) {
        self.screen.raw(text);
        let frame = match Frame::parse(text) {
            Ok(frame) => frame,
            Err(error) => {
                return self
                    .screen
                    .warn(&format!("a frame of the host cannot be read: {error}"));
            }
        };
        if frame.kind == "hello" {
            self.on_hello(&frame);
        }
        if frame.kind == "drain" {
            self.drain = frame
                .reconnect_in_ms
                .map(|ms| Duration::from_millis(ms).min(PATIENCE));
        }
        let events = self.talk.on_frame(&frame, Instant::now());
        self.show(&events);
    }

    fn on_hello(&mut self, hello: &Frame) {
        self.greeted = true;
        self.down_since = None;
        self.up_since = Some(Instant::now());
        let ping = Duration::from_millis(hello.ping_interval_ms.unwrap_or(20_000));
        self.silence = ping.saturating_mul(2) + Duration::from_secs(10);
        if !std::mem::replace(&mut self.met, true) && self.screen.interactive {
            let session = hello.session.get(..8).unwrap_or(&hello.session);
            self.screen.note(&format!(
                "connected, session {session}…; /help tells the commands"
            ));
        }
    }

    fn on_loss(&mut self, loss: Loss) -> anyhow::Result<()> {
        self.link = Link::Off;
        self.greeted = false;
        self.talk.disconnected();
        if self.up_since.take().is_some_and(|since| since.elapsed() > STABLE) {
            self.backoff.reset();
        }
        if loss.reconnect {
            return self.come_back(&loss.why);
        }
        if !self.screen.interactive {
            bail!(loss.why);
        }
        self.screen.fail(&format!("{}; /connect tries again", loss.why));
        Ok(())
    }

    /// Tries again after a while. Said once for each time that it is lost.
    fn come_back(&mut self, why: &str) -> anyhow::Result<()> {
        let now = Instant::now();
        let first = self.down_since.is_none();
        let since = *self.down_since.get_or_insert(now);
        if !self.screen.interactive && now.duration_since(since) > PATIENCE {
            bail!("no connection for {} s: {why}", PATIENCE.as_secs());
        }
        if first {
            self.screen.warn(&format!("{why}; connecting again by itself"));
        }
        let wait = self.drain.take().unwrap_or_else(|| self.backoff.next(dice()));
        self.link = Link::waiting(wait);
        Ok(())
    }

    // --- the person ---

    async fn on_input(&mut self, input: Input) {
        self.screen.typed();
        match input {
            Input::Say(line) => self.say(line),
            Input::Unknown(line) if !self.screen.interactive => self.say(line),
            Input::Unknown(line) => {
                self.screen.fail(&format!(
                    "{} is no command; /help tells them, // sends it",
                    line.trim()
                ));
            }
            Input::Unusable(why) => self.show(&[Event::Failed(Failure::own("invalid_message", why))]),
            Input::Cancel => match self.talk.cancel() {
                Some(events) => self.show(&events),
                None => self.screen.note("there is nothing to cancel"),
            },
            Input::Help => self.screen.note(HELP),
            Input::Disconnect => {
                self.link.close().await;
                self.greeted = false;
                self.up_since = None;
                self.talk.disconnected();
                self.screen
                    .note("disconnected; what you type waits, /connect goes on");
            }
            Input::Connect if matches!(self.link, Link::Off | Link::Waiting(_)) => self.dial(),
            Input::Connect => self.screen.note("there is a connection"),
            Input::Quit => {}
        }
    }

    fn say(&mut self, line: String) {
        if line.trim().is_empty() {
            return;
        }
        let id = format!("{:016x}{:016x}", dice(), dice());
        match self.talk.compose(id, line, Instant::now()) {
            Ok(()) if self.met && !self.greeted => self.screen.note("it waits for the connection"),
            Ok(()) => {}
            Err(failure) => self.show(&[Event::Failed(failure)]),
        }
    }

    /// Cancels what is being answered. `false` when there is nothing, so that
    /// the next Ctrl-C ends the client.
    fn on_interrupt(&mut self) -> bool {
        if !self.screen.interactive {
            return false;
        }
        let Some(events) = self.talk.cancel() else {
            return false;
        };
        self.screen.note("cancelling; Ctrl-C again ends");
        self.show(&events);
        true
    }

    fn show(&mut self, events: &[Event]) {
        for event in events {
            self.failed |= matches!(event, Event::Failed(_) | Event::Done { gap: true, .. });
            self.screen.show(event);
        }
    }
}
