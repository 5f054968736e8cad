//! Tests of the handshake and of messages' bytes.

use proptest::prelude::*;

use crate::metainfo::info_hash::Sha1Hash;
use crate::wire::handshake::{HANDSHAKE_BYTES, Handshake};
use crate::wire::{BlockRequest, Message, WireError, encode_piece_header};

#[test]
fn handshake() {
    let ours = Handshake::new(Sha1Hash([1; 20]), [2; 20], true);
    assert!(ours.supports_fast() && ours.supports_extensions() && ours.supports_dht());
    assert!(!Handshake::new(Sha1Hash([1; 20]), [2; 20], false).supports_dht());
    let bytes = ours.encode();
    assert_eq!(bytes[..28], *b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\x05");
    assert_eq!((bytes[28..48].to_vec(), bytes[48..].to_vec()), (vec![1; 20], vec![2; 20]));
    assert_eq!(Handshake::parse(&bytes), Ok(ours));
    assert!(Handshake::is_prefix(&bytes) && Handshake::is_prefix(b"\x13Bit") && !Handshake::is_prefix(b"\x13bit"));
    for at in 0..20 {
        let mut bad = bytes;
        bad[at] ^= 1;
        assert_eq!(Handshake::parse(&bad), Err(WireError::BadHandshake));
    }
    let none = Handshake::parse(&{
        let mut bytes = [0; HANDSHAKE_BYTES];
        bytes[..20].copy_from_slice(b"\x13BitTorrent protocol");
        bytes
    })
    .expect("a handshake");
    assert!(!none.supports_fast() && !none.supports_extensions() && !none.supports_dht());
}

#[test]
fn bytes_of_messages() {
    let request = BlockRequest { piece: 1, begin: 0x4000, length: 0x100 };
    for (message, bytes) in [
        (Message::KeepAlive, &b"\0\0\0\0"[..]),
        (Message::Choke, b"\0\0\0\x01\0"),
        (Message::Unchoke, b"\0\0\0\x01\x01"),
        (Message::Interested, b"\0\0\0\x01\x02"),
        (Message::NotInterested, b"\0\0\0\x01\x03"),
        (Message::Have(5), b"\0\0\0\x05\x04\0\0\0\x05"),
        (Message::Bitfield(vec![0xf0, 1]), b"\0\0\0\x03\x05\xf0\x01"),
        (Message::Request(request), b"\0\0\0\x0d\x06\0\0\0\x01\0\0\x40\0\0\0\x01\0"),
        (Message::Cancel(request), b"\0\0\0\x0d\x08\0\0\0\x01\0\0\x40\0\0\0\x01\0"),
        (Message::Port(6881), b"\0\0\0\x03\x09\x1a\xe1"),
        (Message::Suggest(5), b"\0\0\0\x05\x0d\0\0\0\x05"),
        (Message::HaveAll, b"\0\0\0\x01\x0e"),
        (Message::HaveNone, b"\0\0\0\x01\x0f"),
        (Message::Reject(request), b"\0\0\0\x0d\x10\0\0\0\x01\0\0\x40\0\0\0\x01\0"),
        (Message::AllowedFast(5), b"\0\0\0\x05\x11\0\0\0\x05"),
        (Message::Extended { id: 3, payload: b"ab".to_vec() }, b"\0\0\0\x04\x14\x03ab"),
        (Message::Unknown(99), b""),
    ] {
        let mut out = b"before".to_vec();
        message.encode(&mut out);
        assert_eq!(out.strip_prefix(b"before"), Some(bytes), "{message:?}");
    }
    let mut out = Vec::new();
    encode_piece_header(1, 0x4000, 0x100, &mut out);
    assert_eq!(out, b"\0\0\x01\x09\x07\0\0\0\x01\0\0\x40\0");
}

#[test]
fn wrong_lengths_are_refused_by_name() {
    for (id, name, right) in
        [(0, "choke", Some(0)), (4, "have", Some(4)), (8, "cancel", Some(12)), (9, "port", Some(2))]
    {
        for length in 0..20usize {
            let result = Message::parse(id, &vec![0; length]);
            if Some(length) == right {
                assert!(result.is_ok());
            } else {
                assert_eq!(result, Err(WireError::BadLength { message: name, length: length as u32 + 1 }));
            }
        }
    }
    assert!(Message::parse(20, b"").is_err());
}

/// Any message that has bytes.
pub fn any_message() -> impl Strategy<Value = Message> {
    let request = any::<(u32, u32, u32)>().prop_map(|(piece, begin, length)| BlockRequest { piece, begin, length });
    let bytes = || proptest::collection::vec(any::<u8>(), 0..300);
    prop_oneof![
        Just(Message::KeepAlive),
        Just(Message::Choke),
        Just(Message::Unchoke),
        Just(Message::Interested),
        Just(Message::NotInterested),
        any::<u32>().prop_map(Message::Have),
        bytes().prop_map(Message::Bitfield),
        request.clone().prop_map(Message::Request),
        request.clone().prop_map(Message::Cancel),
        any::<u16>().prop_map(Message::Port),
        any::<u32>().prop_map(Message::Suggest),
        Just(Message::HaveAll),
        Just(Message::HaveNone),
        request.prop_map(Message::Reject),
        any::<u32>().prop_map(Message::AllowedFast),
        (any::<u8>(), bytes()).prop_map(|(id, payload)| Message::Extended { id, payload }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn round_trip(message in any_message()) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        prop_assert_eq!(&bytes[..4], &(bytes.len() as u32 - 4).to_be_bytes()[..]);
        if let [_, _, _, _, id, payload @ ..] = &bytes[..] {
            prop_assert_eq!(Message::parse(*id, payload), Ok(message));
        }
    }
}
