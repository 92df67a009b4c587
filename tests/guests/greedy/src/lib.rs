//! A handler that also imports an interface that no host offers: it must be
//! refused when it is loaded, by the interface's name.

use segue_sdk::prelude::*;

#[allow(
    unsafe_code,
    unreachable_pub,
    rust_2018_idioms,
    clippy::all,
    reason = "generated"
)]
mod bindings {
    wit_bindgen::generate!("greedy");
}

#[handler]
fn greedy(message: Message, reply: &mut Reply) -> Result<()> {
    reply.send(bindings::acme::secret::vault::open(message.text()))
}
