//! Tests of extended messages' payloads.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use proptest::prelude::*;

use crate::wire::ut_metadata::METADATA_PIECE_BYTES;
use crate::wire::ut_pex::MAX_PEERS;
use crate::wire::{ExtendedHandshake, ExtensionIds, MetadataMessage, PexMessage};

#[test]
fn handshake_bytes() {
    let handshake = ExtendedHandshake {
        m: ExtensionIds { ut_metadata: Some(2), ut_pex: Some(1), ..ExtensionIds::default() },
        v: Some("x 1.0".into()),
        p: Some(6881),
        reqq: Some(500),
        metadata_size: Some(31_235),
        yourip: Some(IpAddr::from([1, 2, 3, 4])),
        upload_only: Some(true),
        ..ExtendedHandshake::default()
    };
    let bytes = handshake.encode();
    let expected =
        b"d1:md11:ut_metadatai2e6:ut_pexi1ee13:metadata_sizei31235e1:pi6881e4:reqqi500e11:upload_onlyi1e1:v5:x 1.0\
        6:yourip4:\x01\x02\x03\x04e";
    assert_eq!(bytes.escape_ascii().to_string(), expected.escape_ascii().to_string());
    assert_eq!(ExtendedHandshake::parse(&bytes), Ok(handshake));
    assert_eq!(ExtendedHandshake::parse(b"de"), Ok(ExtendedHandshake::default()));
}

#[test]
fn odd_handshakes() {
    // Wrong types and ranges count as not said, an unknown extension is passed over, bytes behind do no harm.
    let odd =
        b"d1:md6:ut_pexi256e11:ut_metadata1:x3:fooi7e11:lt_donthavei0ee13:metadata_sizei-1e1:pi0e4:reqqi4294967296e\
        1:v4:a\x00\xffb6:yourip3:abce??";
    let handshake = ExtendedHandshake::parse(odd).expect("a dictionary");
    let m = ExtensionIds { lt_donthave: Some(0), ..ExtensionIds::default() };
    let expected = ExtendedHandshake { m, v: Some("a\u{fffd}b".into()), ..ExtendedHandshake::default() };
    assert_eq!(handshake, expected);
    assert!(ExtendedHandshake::parse(b"le").is_err() && ExtendedHandshake::parse(b"").is_err());
    let error = ExtendedHandshake::parse(b"d1:m").expect_err("cut");
    assert_eq!(error.to_string(), "extended handshake message: bencode: unexpected end at offset 4");
    let long = [b"d1:v1000:", &[b'a'; 1000][..], b"e"].concat();
    assert!(ExtendedHandshake::parse(&long).expect("valid").v.is_some_and(|v| v.len() == 128));
}

/// A value that is none, or very deep, costs nothing but its own field.
#[test]
fn odd_values_spoil_their_own_field() {
    let deep = [vec![b'l'; 98], vec![b'e'; 98]].concat();
    let numbers = ["i+5e", "ie", "i-e", "i1.5e", "i 5e", "i0x5e", "i--5e"].map(|n| n.as_bytes().to_vec());
    for odd in numbers.into_iter().chain([b"i5\xffe".to_vec(), deep]) {
        let name = odd.escape_ascii();
        let bytes = [b"d1:md6:ut_pexi1e1:x", &odd[..], b"e1:pi6881e4:reqq", &odd, b"1:x", &odd, b"e"].concat();
        let m = ExtensionIds { ut_pex: Some(1), ..ExtensionIds::default() };
        let expected = ExtendedHandshake { m, p: Some(6881), ..ExtendedHandshake::default() };
        assert_eq!(ExtendedHandshake::parse(&bytes), Ok(expected), "{name}");
        let bytes = [b"d5:added6:\x01\x02\x03\x04\0\x051:x", &odd[..], b"e"].concat();
        assert_eq!(PexMessage::parse(&bytes).expect("valid").added, [(addr("1.2.3.4:5"), 0)], "{name}");
        let bytes = [b"d8:msg_typei0e5:piecei3e1:x", &odd[..], b"e"].concat();
        assert_eq!(MetadataMessage::parse(&bytes), Ok(Some(MetadataMessage::Request { piece: 3 })), "{name}");
        let bytes = [b"d8:msg_typei0e5:piece", &odd[..], b"e"].concat();
        assert!(MetadataMessage::parse(&bytes).is_err(), "{name}");
    }
}

#[test]
fn later_handshakes_add() {
    let mut ids = ExtensionIds { ut_pex: Some(1), ut_metadata: Some(2), ..ExtensionIds::default() };
    ids.merge(ExtensionIds { ut_pex: Some(0), lt_donthave: Some(7), ..ExtensionIds::default() });
    assert_eq!(ids, ExtensionIds { ut_metadata: Some(2), lt_donthave: Some(7), ..ExtensionIds::default() });
}

#[test]
fn metadata_messages() {
    for (message, bytes) in [
        (MetadataMessage::Request { piece: 3 }, &b"d8:msg_typei0e5:piecei3ee"[..]),
        (MetadataMessage::Reject { piece: 3 }, b"d8:msg_typei2e5:piecei3ee"),
        (
            MetadataMessage::Data { piece: 1, total_size: 16_387, payload: b"xyz".to_vec() },
            b"d8:msg_typei1e5:piecei1e10:total_sizei16387eexyz",
        ),
    ] {
        assert_eq!(message.encode(), bytes);
        assert_eq!(MetadataMessage::parse(bytes), Ok(Some(message)));
    }
    assert_eq!(MetadataMessage::parse(b"d8:msg_typei9ee"), Ok(None));
    let too_long = MetadataMessage::Data { piece: 0, total_size: 1 << 20, payload: vec![0; METADATA_PIECE_BYTES + 1] };
    for bad in [
        &b"d5:piecei3ee"[..],
        b"d8:msg_typei0ee",
        b"d8:msg_typei0e5:piecei-1ee",
        b"d8:msg_typei1e5:piecei0eexyz",
        b"d8:msg_typei1e5:piecei0e10:total_sizei3ee",
        b"d8:msg_typei1e5:piecei0e10:total_sizei2eexyz",
        b"d8:msg_typei1e5:piecei4294967295e10:total_sizei100eexyz",
        &too_long.encode(),
        b"",
    ] {
        assert!(MetadataMessage::parse(bad).is_err(), "{}", bad.escape_ascii());
    }
}

fn addr(s: &str) -> SocketAddr {
    s.parse().expect("an address")
}

#[test]
fn pex() {
    let message = PexMessage {
        added: vec![(addr("1.2.3.4:5"), 2), (addr("[2001:db8::1]:6"), 0x10)],
        dropped: vec![addr("4.3.2.1:7"), addr("[2001:db8::2]:8")],
    };
    assert!(!message.is_empty() && PexMessage::default().is_empty());
    assert_eq!(PexMessage::parse(&message.encode()), Ok(message));
    // Unusable addresses go with their flags; missing flags are none.
    let bytes = b"d5:added18:\0\0\0\0\0\x01\x01\x02\x03\x04\0\x05\x01\x02\x03\x05\0\x057:added.f2:\x07\x09e";
    let message = PexMessage::parse(bytes).expect("valid");
    assert_eq!(message.added, [(addr("1.2.3.4:5"), 9), (addr("1.2.3.5:5"), 0)]);
    assert!(PexMessage::parse(b"le").is_err());
    assert_eq!(PexMessage::parse(b"d5:addedi1ee"), Ok(PexMessage::default()));
}

#[test]
fn pex_is_bounded() {
    let addrs = (0..1000u32).map(|n| SocketAddr::new(Ipv4Addr::from(0x0100_0000 + n).into(), 1));
    let message = PexMessage { added: addrs.clone().map(|a| (a, 0)).collect(), dropped: addrs.collect() };
    let parsed = PexMessage::parse(&message.encode()).expect("valid");
    assert_eq!((parsed.added.len(), parsed.dropped.len()), (MAX_PEERS, MAX_PEERS));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn handshake_round_trip(
        ids in any::<[Option<u8>; 5]>(), numbers in any::<(Option<u16>, Option<u32>, Option<u32>, Option<i64>)>(),
        flags in any::<[Option<bool>; 2]>(), ips in any::<(Option<[u8; 4]>, Option<[u8; 4]>, Option<[u8; 16]>)>(), v in "[a-z0-9]{0,20}"
    ) {
        let [ut_metadata, ut_pex, lt_donthave, upload_only, ut_holepunch] = ids;
        let handshake = ExtendedHandshake {
            m: ExtensionIds { ut_metadata, ut_pex, lt_donthave, upload_only, ut_holepunch },
            v: Some(v).filter(|v| !v.is_empty()),
            p: numbers.0.filter(|&p| p != 0),
            reqq: numbers.1,
            metadata_size: numbers.2.filter(|&n| n != 0),
            yourip: ips.0.map(IpAddr::from),
            ipv4: ips.1.map(Into::into),
            ipv6: ips.2.map(Into::into),
            upload_only: flags[0],
            e: flags[1],
            complete_ago: numbers.3,
        };
        prop_assert_eq!(ExtendedHandshake::parse(&handshake.encode()), Ok(handshake));
    }

    #[test]
    fn any_bytes_end_well(bytes in proptest::collection::vec(any::<u8>(), 0..100), text in "[ilde0-9:-]{0,60}") {
        for bytes in [&bytes[..], text.as_bytes(), &[b"d5:added", &bytes[..]].concat(), &[b"d8:msg_typei1e", &bytes[..]].concat()] {
            let _ = ExtendedHandshake::parse(bytes);
            let _ = MetadataMessage::parse(bytes);
            let _ = PexMessage::parse(bytes);
        }
    }
}

/// A number of any size spoils no more than its own field.
#[test]
fn numbers_beyond_64_bits_are_not_said() {
    let huge = "i18446744073709551615e";
    let payload = format!(
        "d12:complete_ago{huge}1:md11:ut_metadatai3e6:ut_pex{huge}e13:metadata_size{huge}1:pi6881e4:reqqi-99999999999999999999ee"
    );
    let hello = ExtendedHandshake::parse(payload.as_bytes()).expect("a handshake");
    assert_eq!((hello.m.ut_metadata, hello.m.ut_pex, hello.p), (Some(3), None, Some(6881)));
    assert_eq!((hello.complete_ago, hello.metadata_size, hello.reqq), (None, None, None));
    let message = format!("d8:msg_typei2e5:piecei7e1:x{huge}e");
    assert_eq!(MetadataMessage::parse(message.as_bytes()), Ok(Some(MetadataMessage::Reject { piece: 7 })));
    assert!(MetadataMessage::parse(format!("d8:msg_typei2e5:piece{huge}e").as_bytes()).is_err());
    let added = format!("d5:added6:\x0a\x00\x00\x01\x1a\x657:added.f{huge}e");
    assert_eq!(PexMessage::parse(added.as_bytes()).map(|pex| pex.added.len()), Ok(1));
}
