//! The packets of the UDP tracker protocol (BEP 15), with URL data (BEP 41). Pure.

use std::net::Ipv4Addr;

use super::announce::{AnnounceRequest, MAX_PEERS};
use super::reply::text;
use crate::engine::trackers::{AnnounceReply, HURRY_SPACING_S};
use crate::wire::compact;

/// What every connect request begins with.
const PROTOCOL_ID: u64 = 0x0417_2710_1980;
const ACTION_CONNECT: u32 = 0;
const ACTION_ANNOUNCE: u32 = 1;
const ACTION_ERROR: u32 = 3;
/// BEP 41.
const OPTION_URL_DATA: u8 = 2;
/// Bytes of an announce without options, and of a connect.
const ANNOUNCE_LEN: usize = 98;
const CONNECT_LEN: usize = 16;

pub fn encode_connect(tid: u32) -> [u8; CONNECT_LEN] {
    let mut out = [0; CONNECT_LEN];
    let (id, rest) = out.split_at_mut(8);
    id.copy_from_slice(&PROTOCOL_ID.to_be_bytes());
    let (action, transaction) = rest.split_at_mut(4);
    action.copy_from_slice(&ACTION_CONNECT.to_be_bytes());
    transaction.copy_from_slice(&tid.to_be_bytes());
    out
}

/// `url_data`: path and query of the tracker's URL, empty where it has none.
pub fn encode_announce(connection: u64, tid: u32, request: &AnnounceRequest, url_data: &str) -> Vec<u8> {
    let ip = request.ip.as_ref().and_then(|ip| ip.parse::<Ipv4Addr>().ok());
    let mut out = Vec::with_capacity(ANNOUNCE_LEN + url_data.len() + 2 * url_data.len().div_ceil(255));
    out.extend_from_slice(&connection.to_be_bytes());
    out.extend_from_slice(&ACTION_ANNOUNCE.to_be_bytes());
    out.extend_from_slice(&tid.to_be_bytes());
    out.extend_from_slice(&request.info_hash.0);
    out.extend_from_slice(&request.peer_id);
    out.extend_from_slice(&request.downloaded.to_be_bytes());
    out.extend_from_slice(&request.left.to_be_bytes());
    out.extend_from_slice(&request.uploaded.to_be_bytes());
    // The events are numbered as BEP 15 numbers them.
    out.extend_from_slice(&(request.event as i32).to_be_bytes());
    out.extend_from_slice(&ip.unwrap_or(Ipv4Addr::UNSPECIFIED).octets());
    out.extend_from_slice(&request.key.to_be_bytes());
    out.extend_from_slice(&request.num_want.max(-1).to_be_bytes());
    out.extend_from_slice(&request.port.to_be_bytes());
    for part in url_data.as_bytes().chunks(255) {
        out.push(OPTION_URL_DATA);
        // A chunk has at most 255 bytes.
        out.push(part.len() as u8);
        out.extend_from_slice(part);
    }
    out
}

/// The transaction that a packet answers, by which it is handed to who waits for it.
pub fn transaction_of(packet: &[u8]) -> Option<u32> {
    packet.get(4..8).and_then(be32)
}

/// What a tracker sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Connect { connection: u64 },
    Announce(AnnounceReply),
    Error { message: String },
}

/// Reads an answer; `v6` tells how long addresses are. None for what is none.
pub fn parse(packet: &[u8], v6: bool) -> Option<Answer> {
    let action = packet.get(..4).and_then(be32)?;
    let body = packet.get(8..)?;
    match action {
        ACTION_CONNECT => {
            let connection = u64::from_be_bytes(body.get(..8)?.try_into().ok()?);
            Some(Answer::Connect { connection })
        }
        ACTION_ANNOUNCE => {
            let number = |at: usize| body.get(at..at + 4).and_then(be32);
            let (interval_s, leechers, seeders) = (number(0)?, number(4)?, number(8)?);
            // Signed in BEP 15.
            let interval_s = if interval_s > i32::MAX as u32 { 0 } else { interval_s };
            let packed = body.get(12..)?;
            let peers = if v6 {
                compact::parse_v6(packed).filter(compact::is_usable).take(MAX_PEERS).collect()
            } else {
                compact::parse_v4(packed).filter(compact::is_usable).take(MAX_PEERS).collect()
            };
            Some(Answer::Announce(AnnounceReply {
                interval_s,
                // It is the least time, too. To more of it who waits does not keep, for a read or for metadata.
                min_interval_s: interval_s.min(HURRY_SPACING_S),
                peers,
                complete: Some(seeders),
                incomplete: Some(leechers),
                ..AnnounceReply::default()
            }))
        }
        ACTION_ERROR => Some(Answer::Error { message: text(body.strip_suffix(&[0]).unwrap_or(body)) }),
        _ => None,
    }
}

fn be32(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::alert::AnnounceEvent;
    use crate::discovery::tracker::fake::request;

    #[test]
    fn requests_are_laid_out_as_bep_15_says() {
        assert_eq!(encode_connect(0x0102_0304), *b"\x00\x00\x04\x17\x27\x10\x19\x80\x00\x00\x00\x00\x01\x02\x03\x04");
        let mut request = request("udp://t:1");
        request.ip = Some("9.8.7.6".to_owned());
        let packet = encode_announce(0x1122_3344_5566_7788, 5, &request, "");
        assert_eq!(packet.len(), 98);
        let mut want = b"\x11\x22\x33\x44\x55\x66\x77\x88\0\0\0\x01\0\0\0\x05".to_vec();
        want.extend([7; 20]);
        want.extend(b"-ET0100-abcdefghijkl");
        want.extend(b"\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x01");
        want.extend(b"\0\0\0\x02\x09\x08\x07\x06\0\0\xbe\xef\0\0\0\xc8\x1a\xe1");
        assert_eq!(packet, want);
        for (event, number) in [
            (AnnounceEvent::None, 0),
            (AnnounceEvent::Completed, 1),
            (AnnounceEvent::Started, 2),
            (AnnounceEvent::Stopped, 3),
        ] {
            request.event = event;
            assert_eq!(encode_announce(0, 0, &request, "")[80..84], [0, 0, 0, number]);
        }
    }

    #[test]
    fn url_data_is_cut_into_options() {
        let packet = encode_announce(0, 0, &request("udp://t:1"), "/announce?k=v");
        assert_eq!(&packet[98..], b"\x02\x0d/announce?k=v");
        let long = "x".repeat(600);
        let packet = encode_announce(0, 0, &request("udp://t:1"), &long);
        assert_eq!(packet.len(), 98 + 600 + 3 * 2);
        assert_eq!((packet[98 + 1], packet[98 + 2 + 255 + 1], packet[98 + 2 * 257 + 1]), (255, 255, 90));
    }

    #[test]
    fn answers() {
        assert_eq!(parse(b"\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x2arest", false), Some(Answer::Connect { connection: 42 }));
        let head = b"\0\0\0\x01\0\0\0\x05\0\0\x07\x08\0\0\0\x07\0\0\0\x05";
        let v4 = [&head[..], &[1, 2, 3, 4, 0, 80, 1, 2, 3, 4, 0, 0, 9, 9]].concat();
        let Some(Answer::Announce(reply)) = parse(&v4, false) else { panic!("a reply") };
        assert_eq!((reply.interval_s, reply.complete, reply.incomplete), (1800, Some(5), Some(7)));
        assert_eq!(reply.min_interval_s, 60);
        assert_eq!(reply.peers, ["1.2.3.4:80".parse().expect("an address")]);
        let v6 = [&head[..], &[0x20; 16], &[0, 80]].concat();
        let Some(Answer::Announce(reply)) = parse(&v6, true) else { panic!("a reply") };
        assert_eq!(reply.peers, ["[2020:2020:2020:2020:2020:2020:2020:2020]:80".parse().expect("an address")]);
        assert_eq!(
            parse(b"\0\0\0\x03\0\0\0\x05no such torrent\0", false),
            Some(Answer::Error { message: "no such torrent".to_owned() })
        );
        assert_eq!(transaction_of(b"\0\0\0\x03\0\0\0\x05"), Some(5));
    }

    #[test]
    fn short_and_unknown_packets_are_none() {
        for packet in [
            &b""[..],
            b"\0\0\0\0",
            b"\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0",
            b"\0\0\0\x01\0\0\0\x05\0\0\x07\x08\0\0\0\x07\0\0\0",
            b"\0\0\0\x02\0\0\0\x05\0\0\0\0\0\0\0\0\0\0\0\0",
            b"\0\0\0\x09\0\0\0\x05",
        ] {
            assert_eq!(parse(packet, false), None, "{packet:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(packet in prop::collection::vec(any::<u8>(), 0..200), action in 0u8..5, v6 in any::<bool>()) {
            let _ = parse(&packet, v6);
            let _ = transaction_of(&packet);
            let known = [&[0, 0, 0, action], &packet[..]].concat();
            if let Some(Answer::Announce(reply)) = parse(&known, v6) {
                prop_assert!(reply.peers.iter().all(|p| p.port() != 0));
            }
        }
    }
}
