//! What an operator decides about requests that plugins send: `[http]`. Every
//! bound of this capability stands here. Which plugin may reach what is not
//! decided here but by its grants.

use std::time::Duration;

use ipnet::IpNet;

const MIB: u64 = 1 << 20;

/// `[http]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Egress {
    /// Networks that may be reached although they are not public: loopback,
    /// private and the like. Empty: public addresses only. An IPv6 form that
    /// carries an IPv4 address is judged by the address it carries.
    pub allow_networks: Vec<IpNet>,
    /// For the whole of resolving, connecting and the TLS handshake.
    pub connect_timeout: Duration,
    /// From the request's last byte to the response's head. A guest may ask for
    /// less, not for more; the same goes for the other two.
    pub timeout: Duration,
    /// The longest pause within a body, either way.
    pub idle_timeout: Duration,
    /// Requests of all plugins that may be open at once, each until its
    /// response is read or dropped, and of one plugin half as many (at least
    /// one); one more is refused at once.
    pub max_in_flight: usize,
    /// The longest body a plugin may send, in bytes.
    pub max_request: u64,
    /// The longest body a plugin may receive, in bytes.
    pub max_response: u64,
}

impl Default for Egress {
    fn default() -> Egress {
        Egress {
            allow_networks: Vec::new(),
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(30),
            max_in_flight: 256,
            max_request: 16 * MIB,
            max_response: 64 * MIB,
        }
    }
}
