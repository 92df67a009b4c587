//! Who can reach the public listener.

use super::{Config, Fault, Place};

/// Refuses a public listener beyond loopback, since the host cannot yet tell
/// who a client is, unless the operator said `--insecure`. An address of 127/8
/// or `::1` is loopback; `0.0.0.0` and `::` are not.
pub fn exposure(config: &Config, insecure: bool) -> Result<(), Fault> {
    let listen = config.server.listen;
    if insecure || listen.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    let place = config.place("server.listen").cloned();
    Err(Fault {
        code: "exposed",
        place: place.unwrap_or_else(|| Place::Key("server.listen".to_owned())),
        message: format!(
            "`server.listen` is {listen}, beyond loopback, where anybody who reaches it could chat"
        ),
        mend: format!(
            "listen on 127.0.0.1:{} behind a proxy that authenticates, or start with --insecure",
            listen.port()
        ),
    })
}
