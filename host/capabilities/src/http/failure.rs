//! Why a request got no answer, or not all of one.

use std::error::Error;
use std::io;
use std::time::Duration;

use super::address::Prohibited;

/// Its text is for the host's log; a plugin is told the code of `wasi:http` that
/// fits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// What was asked for names no host, or not one that can be understood.
    #[error("`{0}` names no origin that a request can go to")]
    Uri(String),
    #[error("the method {0} is not sent for plugins")]
    Method(String),
    /// `[http] max_in_flight`.
    #[error("{0} requests are open, which is `[http] max_in_flight`")]
    Busy(usize),
    /// The plugin's share of that.
    #[error("the plugin has {0} requests open, which is its share of `[http] max_in_flight`")]
    PluginBusy(usize),
    #[error("the call has {0} requests open, which is as many as one may have")]
    CallBusy(usize),
    /// It has failed lately.
    #[error("the origin failed lately and is left alone for {} ms", .0.as_millis())]
    LeftAlone(Duration),
    #[error("as many requests as allowed wait for this origin")]
    Waiting,
    #[error("{name} cannot be resolved: {fault}")]
    Resolve { name: String, fault: String },
    #[error("{0} was not resolved in time")]
    ResolveTimeout(String),
    #[error(transparent)]
    Prohibited(Prohibited),
    #[error("no connection in time")]
    ConnectTimeout,
    #[error("the connection was refused")]
    Refused,
    #[error("there is no way there: {0}")]
    Unroutable(String),
    #[error("no connection: {0}")]
    Unavailable(String),
    /// This host cannot make TLS connections at all.
    #[error("TLS is not to be had on this host: {0}")]
    NoTls(String),
    #[error("the certificate is not accepted: {0}")]
    Certificate(String),
    #[error("TLS alert {number}: {name}")]
    Alert { number: u8, name: String },
    #[error("TLS failed: {0}")]
    Tls(String),
    /// Nothing of the request went on for the idle timeout, either because the
    /// plugin wrote nothing or because the other side read nothing.
    #[error("the request's body stood still for too long")]
    WriteTimeout,
    /// No head within the timeout, or a pause within the body.
    #[error("the answer stood still for too long")]
    ReadTimeout,
    /// `[http] max_request`.
    #[error("the request's body is longer than {0} bytes, which is `[http] max_request`")]
    RequestTooLarge(u64),
    /// `[http] max_response`.
    #[error("the answer's body is longer than {0} bytes, which is `[http] max_response`")]
    ResponseTooLarge(u64),
    /// The plugin did not finish its request's body.
    #[error("the plugin broke off its request")]
    Abandoned,
    #[error("the connection was closed before an answer came")]
    Terminated,
    #[error("the answer was cut off")]
    Incomplete,
    #[error("the answer's head is too long")]
    HeadTooLarge,
    #[error("the other side switched to another protocol unasked")]
    Upgraded,
    #[error("the answer is no HTTP: {0}")]
    Protocol(String),
    /// The host is going down.
    #[error("the request was given up by the host")]
    Stopped,
}

impl Failure {
    /// Of a connection that was not made.
    pub(super) fn of_connecting(error: &io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Failure::Refused,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                Failure::Unroutable(error.to_string())
            }
            io::ErrorKind::TimedOut => Failure::ConnectTimeout,
            _ => Failure::Unavailable(error.to_string()),
        }
    }

    /// Of a TLS handshake.
    pub(super) fn of_handshake(error: &io::Error) -> Failure {
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
        match cause {
            Some(rustls::Error::InvalidCertificate(fault)) => Failure::Certificate(fault.to_string()),
            Some(rustls::Error::AlertReceived(alert)) => Failure::Alert {
                number: u8::from(*alert),
                name: format!("{alert:?}"),
            },
            _ => Failure::Tls(error.to_string()),
        }
    }

    /// Of whatever ended a request before its answer's head.
    pub(super) fn of_request(error: &(dyn Error + 'static)) -> Failure {
        Failure::search(error).unwrap_or_else(|| Failure::Protocol(chain(error)))
    }

    /// Of whatever ended an answer's body.
    pub(super) fn of_body(error: &(dyn Error + 'static)) -> Failure {
        match Failure::search(error) {
            Some(Failure::Terminated) => Failure::Incomplete,
            Some(other) => other,
            None => Failure::Protocol(chain(error)),
        }
    }

    /// The first cause that says what happened.
    fn search(error: &(dyn Error + 'static)) -> Option<Failure> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(own) = error.downcast_ref::<Failure>() {
                return Some(own.clone());
            }
            if let Some(hyper) = error.downcast_ref::<hyper::Error>() {
                if hyper.is_incomplete_message() || hyper.is_canceled() || hyper.is_closed() {
                    return Some(Failure::Terminated);
                }
                if hyper.is_parse_too_large() {
                    return Some(Failure::HeadTooLarge);
                }
            }
            if error.downcast_ref::<io::Error>().is_some_and(is_cut) {
                return Some(Failure::Terminated);
            }
            next = error.source();
        }
        None
    }
}

fn is_cut(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::UnexpectedEof
    )
}

/// An error with all its causes, in one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
