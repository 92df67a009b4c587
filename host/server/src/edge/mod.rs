//! The HTTP edge: everything between a TCP socket and a handler of a route.
//!
//! In the order in which a request passes:
//! 1. [`listener`]: accepts, bounds connections, headers and stalled writes.
//! 2. [`observe`]: counts and logs the answer under its route's template.
//! 3. [`address`]: whose request it is; refuses addresses that are blocked.
//! 4. [`guard`]: refuses an unknown `Host` and a foreign `Origin`.
//! 5. [`cors`]: answers browsers of the origins that are allowed.
//! 6. [`throttle`]: refuses what is over a limit or more than the host can do, and
//!    says how limits and breakers stand.
//! 7. [`body`]: takes the whole body in, within its bound and its time.
//! 8. [`router`]: finds the route.
//!
//! Every error leaves through [`respond`], as JSON.

pub(crate) mod address;
pub(crate) mod body;
pub(crate) mod cors;
pub(crate) mod guard;
pub mod listener;
pub(crate) mod observe;
pub(crate) mod respond;
pub mod router;
mod socket;
pub(crate) mod standing;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod throttle;
