//! RFC 6455 on a raw endpoint with the `echo` component behind it: what is well
//! formed comes back as it went in, what is not fails the connection with the
//! code the standard names.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use segue_tests::{Bed, Frame, Opcode, RawSocket, Site};

const MIB: usize = 1024 * 1024;

async fn echo() -> Bed {
    let config = r#"
        [[endpoint]]
        path = "/echo"
        kind = "raw"
        handler = "echo"
    "#;
    Site::builder().config(config).plugin("echo").start().await
}

async fn open(bed: &Bed) -> RawSocket {
    bed.raw("/echo").await
}

/// Sends the frames and expects this one message back.
async fn expect_echo(bed: &Bed, frames: &[Frame], opcode: Opcode, payload: &[u8]) {
    let mut socket = open(bed).await;
    for frame in frames {
        socket.send(frame).await;
    }
    expect_message(&mut socket, opcode, payload).await;
    socket.send(&Frame::close(1000, "")).await;
    assert_eq!(socket.close_code().await, Some(1000));
}

async fn expect_message(socket: &mut RawSocket, opcode: Opcode, payload: &[u8]) {
    let (found, echoed) = socket.message().await;
    assert_eq!(found, opcode);
    // Not `assert_eq!`: nobody wants to read 16 MiB.
    assert!(
        echoed == payload,
        "{} bytes went in, {} other ones came out",
        payload.len(),
        echoed.len()
    );
}

/// Sends the frames and expects the connection to fail with this close code.
async fn expect_failure(bed: &Bed, what: &str, frames: &[Frame], code: u16) {
    let mut socket = open(bed).await;
    for frame in frames {
        // The host may have closed at an earlier one.
        if socket.try_write(&frame.encode()).await.is_err() {
            break;
        }
    }
    assert_eq!(socket.close_code().await, Some(code), "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_every_length_encoding_come_back_unchanged() {
    let bed = echo().await;
    for length in [0, 1, 125, 126, 127, 128, 65_535, 65_536, 65_537] {
        let text = "*".repeat(length);
        expect_echo(&bed, &[Frame::text(&text)], Opcode::Text, text.as_bytes()).await;
        let binary: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
        expect_echo(&bed, &[Frame::binary(binary.clone())], Opcode::Binary, &binary).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_in_fragments_comes_back_whole() {
    let bed = echo().await;
    let two = [
        Frame::text("frag").unfinished(),
        Frame::new(Opcode::Continuation, "ment"),
    ];
    expect_echo(&bed, &two, Opcode::Text, b"fragment").await;

    let with_empty_ones = [
        Frame::text("").unfinished(),
        Frame::new(Opcode::Continuation, "").unfinished(),
        Frame::new(Opcode::Continuation, "whole").unfinished(),
        Frame::new(Opcode::Continuation, ""),
    ];
    expect_echo(&bed, &with_empty_ones, Opcode::Text, b"whole").await;

    let binary = [
        Frame::binary([0, 255]).unfinished(),
        Frame::new(Opcode::Continuation, [1, 254]),
    ];
    expect_echo(&bed, &binary, Opcode::Binary, &[0, 255, 1, 254]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn control_frames_are_answered_between_fragments() {
    let bed = echo().await;
    let mut socket = open(&bed).await;
    socket.send(&Frame::text("be").unfinished()).await;
    socket.send(&Frame::new(Opcode::Ping, "in between")).await;
    let pong = socket.read().await.expect("a pong");
    assert_eq!(
        (pong.opcode, pong.payload.as_slice()),
        (Opcode::Pong, &b"in between"[..])
    );
    socket.send(&Frame::new(Opcode::Pong, "nobody asked")).await;
    socket.send(&Frame::new(Opcode::Continuation, "tween")).await;
    expect_message(&mut socket, Opcode::Text, b"between").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ping_is_answered_with_its_own_payload() {
    let bed = echo().await;
    let mut socket = open(&bed).await;
    let full = [0xfe; 125];
    for payload in [&b""[..], b"hello", &full] {
        socket.send(&Frame::new(Opcode::Ping, payload)).await;
        let pong = socket.read().await.expect("a pong");
        assert_eq!((pong.opcode, pong.payload.as_slice()), (Opcode::Pong, payload));
    }
    for number in 0..10_u8 {
        socket.send(&Frame::new(Opcode::Ping, [number])).await;
    }
    for number in 0..10_u8 {
        assert_eq!(socket.read().await.expect("a pong").payload, [number]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unasked_pong_is_ignored() {
    let bed = echo().await;
    let frames = [Frame::new(Opcode::Pong, "unasked"), Frame::text("on")];
    expect_echo(&bed, &frames, Opcode::Text, b"on").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_standard_forbids_fails_with_1002() {
    let bed = echo().await;
    let mut cases = vec![
        ("a ping of 126 bytes", vec![Frame::new(Opcode::Ping, [0; 126])]),
        ("a close of 126 bytes", vec![Frame::close(1000, [b'x'; 124])]),
        (
            "a fragmented ping",
            vec![
                Frame::new(Opcode::Ping, "a").unfinished(),
                Frame::new(Opcode::Continuation, "b"),
            ],
        ),
        ("an unmasked frame", vec![Frame::text("plain").unmasked()]),
        (
            "a continuation of nothing",
            vec![Frame::new(Opcode::Continuation, "what?")],
        ),
        (
            "an unfinished continuation of nothing",
            vec![Frame::new(Opcode::Continuation, "what?").unfinished()],
        ),
        (
            "a new message inside a fragmented one",
            vec![Frame::text("one").unfinished(), Frame::text("two")],
        ),
        ("a close frame of one byte", vec![Frame::new(Opcode::Close, [3])]),
    ];
    for bits in 1..8 {
        cases.push(("reserved bits", vec![Frame::text("bits").with_reserved(bits)]));
        cases.push((
            "reserved bits on a ping",
            vec![Frame::new(Opcode::Ping, "bits").with_reserved(bits)],
        ));
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        let frame = Frame::new(Opcode::Reserved(opcode), "code");
        cases.push(("a reserved opcode", vec![frame]));
    }
    for (what, frames) in &cases {
        expect_failure(&bed, what, frames, 1002).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_before_a_violation_are_answered_though_all_come_at_once() {
    let bed = echo().await;
    let bad = Frame::text("bad").with_reserved(4).encode();
    let mut socket = open(&bed).await;
    socket
        .write(&[Frame::text("good").encode(), bad.clone()].concat())
        .await;
    expect_message(&mut socket, Opcode::Text, b"good").await;
    assert_eq!(socket.close_code().await, Some(1002));

    let mut socket = open(&bed).await;
    let first = [Frame::text("one").encode(), Frame::text("two").encode()].concat();
    let ping = Frame::new(Opcode::Ping, "ignored").encode();
    socket.write(&[first, bad, ping].concat()).await;
    expect_message(&mut socket, Opcode::Text, b"one").await;
    expect_message(&mut socket, Opcode::Text, b"two").await;
    assert_eq!(socket.close_code().await, Some(1002));
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_is_not_utf8_fails_with_1007() {
    let bed = echo().await;
    let bad: [&[u8]; 9] = [
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", // a surrogate
        b"\xf4\x90\x80\x80",                                               // past U+10FFFF
        b"\xc0\xaf",                                                       // overlong
        b"\xe0\x80\xaf",
        b"\xf8\x88\x80\x80\x80", // five bytes
        b"\xfe",
        b"\xff",
        b"\x80",       // a continuation of nothing
        b"ab\xe2\x82", // cut short
    ];
    for payload in bad {
        let frame = Frame::new(Opcode::Text, payload);
        expect_failure(&bed, &format!("{payload:?}"), &[frame], 1007).await;
    }
    let split = [
        Frame::new(Opcode::Text, b"\xce\xba\xe1\xbd\xb9\xcf".to_vec()).unfinished(),
        Frame::new(Opcode::Continuation, b"\xed\xa0\x80".to_vec()),
    ];
    expect_failure(&bed, "bad text in the second fragment", &split, 1007).await;
    let cut = [
        Frame::new(Opcode::Text, b"\xe2\x82".to_vec()).unfinished(),
        Frame::new(Opcode::Continuation, ""),
    ];
    expect_failure(&bed, "a character never finished", &cut, 1007).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_character_may_be_split_over_fragments() {
    let bed = echo().await;
    let text = "κόσμε, 𝄞 and \u{10ffff}, \u{fffe}";
    let bytes = text.as_bytes();
    let mut frames: Vec<Frame> = bytes
        .iter()
        .map(|byte| Frame::new(Opcode::Continuation, [*byte]).unfinished())
        .collect();
    frames[0].opcode = Opcode::Text;
    frames.last_mut().expect("the last").fin = true;
    expect_echo(&bed, &frames, Opcode::Text, bytes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn binary_messages_need_not_be_utf8() {
    let bed = echo().await;
    let bytes = [0xff, 0xfe, 0x80, 0];
    expect_echo(&bed, &[Frame::binary(bytes)], Opcode::Binary, &bytes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn valid_close_codes_are_echoed() {
    let bed = echo().await;
    let valid = [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999,
    ];
    for code in valid {
        let mut socket = open(&bed).await;
        socket.send(&Frame::close(code, "bye")).await;
        assert_eq!(socket.close_code().await, Some(code));
    }
    let mut socket = open(&bed).await;
    socket.send(&Frame::close(1000, [b'x'; 123])).await;
    assert_eq!(socket.close_code().await, Some(1000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_without_a_code_is_answered() {
    let bed = echo().await;
    let mut socket = open(&bed).await;
    socket.send(&Frame::new(Opcode::Close, "")).await;
    let code = socket.close_code().await;
    assert!(matches!(code, Some(1000 | 1005)), "{code:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_close_codes_fail_with_1002() {
    let bed = echo().await;
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999] {
        expect_failure(&bed, &format!("code {code}"), &[Frame::close(code, "")], 1002).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_reason_must_be_utf8() {
    let bed = echo().await;
    let frame = Frame::close(1000, b"\xce\xba\xed\xa0\x80");
    let mut socket = open(&bed).await;
    socket.send(&frame).await;
    let code = socket.close_code().await;
    assert!(matches!(code, Some(1002 | 1007)), "{code:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_answered_after_a_close() {
    let bed = echo().await;
    let mut socket = open(&bed).await;
    let mut bytes = Frame::close(1000, "").encode();
    bytes.extend(Frame::text("too late").encode());
    bytes.extend(Frame::new(Opcode::Ping, "too late").encode());
    socket.write(&bytes).await;
    // `close_code` also checks that no frame follows.
    assert_eq!(socket.close_code().await, Some(1000));
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_mebibytes_come_back_in_one_frame() {
    let bed = echo().await;
    let text = vec![b'*'; 16 * MIB];
    expect_echo(
        &bed,
        &[Frame::new(Opcode::Text, text.clone())],
        Opcode::Text,
        &text,
    )
    .await;
    let binary = vec![0xfe; 16 * MIB];
    expect_echo(&bed, &[Frame::binary(binary.clone())], Opcode::Binary, &binary).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_mebibytes_come_back_from_many_frames() {
    let bed = echo().await;
    let whole = vec![b'*'; 16 * MIB];
    for piece in [64, 4 * 1024, 256 * 1024, 4 * MIB] {
        let mut socket = open(&bed).await;
        let mut bytes = Vec::with_capacity(17 * MIB);
        let count = whole.len() / piece;
        for index in 0..count {
            let opcode = if index == 0 {
                Opcode::Text
            } else {
                Opcode::Continuation
            };
            let mut frame = Frame::new(opcode, vec![b'*'; piece]);
            frame.fin = index + 1 == count;
            bytes.extend(frame.encode());
        }
        socket.write(&bytes).await;
        expect_message(&mut socket, Opcode::Text, &whole).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_past_the_limit_fails_with_1009() {
    let bed = echo().await;
    let one = [Frame::binary(vec![0; 16 * MIB + 1])];
    expect_failure(&bed, "one frame", &one, 1009).await;
    let many = [
        Frame::binary(vec![0; 16 * MIB]).unfinished(),
        Frame::new(Opcode::Continuation, [0]),
    ];
    expect_failure(&bed, "two frames", &many, 1009).await;
    // The length alone is enough: nobody waits for 2^62 bytes.
    let mut socket = open(&bed).await;
    let mut head = vec![0x82, 0xff];
    head.extend((1_u64 << 62).to_be_bytes());
    head.extend([0; 4]);
    socket.write(&head).await;
    assert_eq!(socket.close_code().await, Some(1009));
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_may_arrive_one_byte_at_a_time() {
    let bed = echo().await;
    let mut socket = open(&bed).await;
    let text = "a slow client, κόσμε".repeat(8);
    socket.send_bytewise(&Frame::text(&text)).await;
    expect_message(&mut socket, Opcode::Text, text.as_bytes()).await;
    socket.send_bytewise(&Frame::text("frag").unfinished()).await;
    socket
        .send_bytewise(&Frame::new(Opcode::Continuation, "ment"))
        .await;
    expect_message(&mut socket, Opcode::Text, b"fragment").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_frames_in_one_segment_are_answered_in_order() {
    let bed = echo().await;
    let mut socket = open(&bed).await;
    let numbers: Vec<String> = (0..200).map(|number: u32| number.to_string()).collect();
    let bytes: Vec<u8> = numbers
        .iter()
        .flat_map(|text| Frame::text(text).encode())
        .collect();
    socket.write(&bytes).await;
    for number in &numbers {
        expect_message(&mut socket, Opcode::Text, number.as_bytes()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_before_a_half_close_is_answered() {
    let bed = echo().await;
    let mut socket = open(&bed).await;
    socket.send(&Frame::text("last words")).await;
    expect_message(&mut socket, Opcode::Text, b"last words").await;
    socket.finish_writing().await;
    // The connection ends, with a close frame or without; it does not hang.
    while socket.read().await.is_some() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_vanishes_inside_a_frame_is_let_go() {
    let bed = echo().await;
    let mut socket = open(&bed).await;
    let bytes = Frame::text("never finished").encode();
    socket.write(&bytes[..bytes.len() / 2]).await;
    socket.finish_writing().await;
    while socket.read().await.is_some() {}
    // And the endpoint answers the next one.
    expect_echo(&bed, &[Frame::text("next")], Opcode::Text, b"next").await;
}
