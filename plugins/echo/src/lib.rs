//! Answers with what it was sent: text with text, bytes with bytes.

use segue_sdk::prelude::*;

#[handler]
fn echo(message: Message, reply: &mut Reply) -> Result<()> {
    match message.payload() {
        Payload::Text(text) => reply.send(text),
        Payload::Binary(bytes) => reply.send_binary(bytes),
    }
}
