//! What an HTTP tracker answers (BEP 3, 7, 23, 24, 31). Pure.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::announce::{AnnounceFailure, MAX_PEERS};
use crate::base::error::Operation;
use crate::engine::trackers::{AnnounceReply, RetryIn};
use crate::metainfo::bencode::{Document, Limits, Value};
use crate::wire::compact;

/// Enough for as many peers as are taken, as dictionaries of four entries each.
const LIMITS: Limits = Limits { tokens: 10 * MAX_PEERS, ..Limits::MESSAGE };
/// Longest text of a tracker that is handed on, characters.
const MAX_TEXT: usize = 512;
/// Longest `tracker id`, bytes.
const MAX_TRACKER_ID: usize = 512;

/// Reads a reply; a refusal of the tracker, and what is no reply, are failures.
pub fn parse(body: &[u8]) -> Result<AnnounceReply, AnnounceFailure> {
    let no_reply = |why: &str| AnnounceFailure::new(Operation::Bittorrent, format!("the tracker's answer {why}"));
    if body.is_empty() {
        return Err(no_reply("is empty"));
    }
    // Some trackers end with a line break, and scripts begin with one, or with the mark that an editor put there.
    let body = body.trim_ascii_start();
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
    let (document, _) = Document::parse_prefix(body, LIMITS).map_err(|e| no_reply(&format!("cannot be read: {e}")))?;
    let dict = document.root();
    if !dict.is_dict() {
        return Err(no_reply("is not a dictionary"));
    }
    if let Some(reason) = dict.get_bytes(b"failure reason") {
        return Err(AnnounceFailure::refused(text(reason), dict.get(b"retry in").and_then(retry_in)));
    }
    let answered = [&b"interval"[..], b"peers", b"peers6", b"complete"];
    if answered.iter().all(|key| dict.get(key).is_none()) {
        return Err(no_reply("has neither peers nor an interval"));
    }
    let number = |key: &[u8]| dict.get_int(key).map(|n| u32::try_from(n.max(0)).unwrap_or(u32::MAX));
    let tracker_id = dict.get_bytes(b"tracker id").filter(|id| !id.is_empty() && id.len() <= MAX_TRACKER_ID);
    Ok(AnnounceReply {
        interval_s: number(b"interval").unwrap_or(0),
        min_interval_s: number(b"min interval").unwrap_or(0),
        peers: peers(dict),
        complete: number(b"complete"),
        incomplete: number(b"incomplete"),
        downloaded: number(b"downloaded"),
        warning: dict.get_bytes(b"warning message").filter(|w| !w.is_empty()).map(text),
        tracker_id: tracker_id.map(<[u8]>::to_vec),
        external_ip: dict.get_bytes(b"external ip").and_then(ip_of_bytes),
    })
}

fn peers(dict: Value<'_>) -> Vec<SocketAddr> {
    let mut peers: Vec<SocketAddr> = Vec::new();
    for (key, is_v6) in [(&b"peers"[..], false), (b"peers6", true)] {
        let Some(list) = dict.get(key) else { continue };
        let room = MAX_PEERS - peers.len();
        match list.as_bytes() {
            Some(packed) if is_v6 => peers.extend(compact::parse_v6(packed).filter(compact::is_usable).take(room)),
            Some(packed) => peers.extend(compact::parse_v4(packed).filter(compact::is_usable).take(room)),
            None => peers.extend(list.items().filter_map(peer_of_dict).filter(compact::is_usable).take(room)),
        }
    }
    peers
}

/// A peer of the list that is not compact. Host names are left out: a tracker must not have us look up names.
fn peer_of_dict(peer: Value<'_>) -> Option<SocketAddr> {
    let ip = peer.get_str(b"ip")?.trim();
    let bracketed = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']'));
    let ip: IpAddr = bracketed.unwrap_or(ip).parse().ok()?;
    let port = peer.get(b"port")?;
    // Scripts that quote whatever they print write it as text.
    let port = port.as_int().or_else(|| port.as_str()?.trim().parse().ok())?;
    Some(SocketAddr::new(ip.to_canonical(), u16::try_from(port).ok()?))
}

/// Four bytes or sixteen.
fn ip_of_bytes(bytes: &[u8]) -> Option<IpAddr> {
    let ip = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        16 => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?).to_canonical(),
        _ => return None,
    };
    (!ip.is_unspecified() && !ip.is_multicast()).then_some(ip)
}

/// BEP 31: minutes, as a number or in digits, or `never`.
fn retry_in(value: Value<'_>) -> Option<RetryIn> {
    let text = value.as_str().map(str::trim);
    if text == Some("never") {
        return Some(RetryIn::Never);
    }
    let minutes = value.as_int().or_else(|| text?.parse().ok())?;
    let minutes = u64::try_from(minutes).ok()?.min(u64::from(u32::MAX));
    Some(RetryIn::After(Duration::from_secs(minutes * 60)))
}

/// A tracker's words, cut, without control characters.
pub fn text(bytes: &[u8]) -> String {
    let cut = bytes.get(..MAX_TEXT * 4).unwrap_or(bytes);
    String::from_utf8_lossy(cut)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_TEXT)
        .collect::<String>()
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn addr(s: &str) -> SocketAddr {
        s.parse().expect("an address")
    }

    #[test]
    fn a_compact_reply_with_everything() {
        let mut body = b"d8:completei5e10:downloadedi9e11:external ip4:\x01\x02\x03\x04".to_vec();
        body.extend(b"10:incompletei7e8:intervali1800e12:min intervali900e5:peers12:");
        body.extend([10, 0, 0, 1, 0x1a, 0xe1, 10, 0, 0, 2, 0, 0]);
        body.extend(b"6:peers618:");
        body.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 80]);
        body.extend(b"10:tracker id3:abc15:warning message6:slow\x07!e\r\n");
        let want = AnnounceReply {
            interval_s: 1800,
            min_interval_s: 900,
            // the second has port 0
            peers: vec![addr("10.0.0.1:6881"), addr("[2001:db8::9]:80")],
            complete: Some(5),
            incomplete: Some(7),
            downloaded: Some(9),
            warning: Some("slow !".to_owned()),
            tracker_id: Some(b"abc".to_vec()),
            external_ip: Some("1.2.3.4".parse().expect("an address")),
        };
        assert_eq!(parse(&body), Ok(want));
    }

    /// Numbers may be of any size: what is beyond all reason spoils its own field, and the peers are used.
    #[test]
    fn numbers_beyond_64_bits() {
        const HUGE: &str = "i18446744073709551615e";
        for (key, value) in
            [("complete", HUGE), ("incomplete", HUGE), ("interval", HUGE), ("x", "i-99999999999999999999e")]
        {
            let mut body = b"d10:downloadedi9e".to_vec();
            body.extend(format!("{}:{key}{value}5:peers6:", key.len()).bytes());
            body.extend([10, 0, 0, 1, 0x1a, 0xe1, b'e']);
            let reply = parse(&body).expect("a reply");
            assert_eq!(
                (reply.peers.len(), reply.downloaded, reply.complete, reply.interval_s),
                (1, Some(9), None, 0),
                "{key}"
            );
        }
        let body = format!("d8:intervali5e5:peersld2:ip8:10.0.0.14:port{HUGE}ed2:ip8:10.0.0.24:porti80eeee");
        assert_eq!(parse(body.as_bytes()).expect("a reply").peers, [addr("10.0.0.2:80")]);
        let refusal = format!("d14:failure reason2:no8:retry in{HUGE}e");
        assert_eq!(parse(refusal.as_bytes()).expect_err("a refusal").retry_in, None);
    }

    /// What cannot be read spoils its own field, and what nobody asks for may be as deep as a torrent file.
    #[test]
    fn odd_values_leave_the_peers() {
        let deep = [vec![b'l'; 99], vec![b'e'; 99]].concat();
        let numbers = ["i+5e", "ie", "i-e", "i1.5e", "i 5e", "i0x5e", "i--5e"].map(|n| n.as_bytes().to_vec());
        for odd in numbers.into_iter().chain([b"i5\xffe".to_vec(), deep]) {
            for key in ["complete", "interval", "x"] {
                let mut body = format!("d10:downloadedi9e{}:{key}", key.len()).into_bytes();
                body.extend(&odd);
                body.extend(b"5:peers6:\x0a\0\0\x01\x1a\xe1e");
                let reply = parse(&body).expect("a reply");
                assert_eq!(reply.peers, [addr("10.0.0.1:6881")], "{key} {}", odd.escape_ascii());
                assert_eq!((reply.downloaded, reply.complete, reply.interval_s), (Some(9), None, 0), "{key}");
            }
        }
    }

    #[test]
    fn peers_as_dictionaries() {
        let body = b"d8:intervali60e5:peersl\
            d2:ip8:10.0.0.17:peer id20:aaaaaaaaaaaaaaaaaaaa4:porti6881ee\
            d2:ip11:2001:db8::14:porti1ee\
            d2:ip16:::ffff:192.0.2.14:porti7ee\
            d2:ip12:host.example4:porti1ee\
            d2:ip8:10.0.0.14:porti65536ee\
            d2:ip8:10.0.0.14:porti-1ee\
            d2:ip8:10.0.0.1e\
            i5e3:abcee";
        let reply = parse(body).expect("a reply");
        assert_eq!(reply.peers, [addr("10.0.0.1:6881"), addr("[2001:db8::1]:1"), addr("192.0.2.1:7")]);
    }

    /// As scripts write them: ports as text, addresses as in a URL. One that cannot be read spoils only itself.
    #[test]
    fn peers_as_scripts_write_them() {
        let body = b"d5:peersl\
            d2:ip8:10.0.0.14:port4:6881e\
            d2:ip13:[2001:db8::1]4:port3: 80e\
            d2:ip9: 10.0.0.24:porti7ee\
            d2:ip10:[10.0.0.3]4:porti7ee\
            d2:ip12:[2001:db8::14:porti7ee\
            d2:ip8:10.0.0.44:port5:65536e\
            d2:ip8:10.0.0.54:port0:e\
            d2:ip8:10.0.0.64:port2:-1e\
            d2:ip8:10.0.0.74:portli7eee\
            d2:ip8:10.0.0.84:port3:abce\
            d2:ip6:::1%lo4:porti9ee\
            d2:ip8:10.0.0.94:porti9eee\
            6:peers6ld2:ip12:2001:db8::124:porti7eed2:ip8:10.0.0.34:porti8eeee";
        let reply = parse(body).expect("a reply");
        let v4 = ["10.0.0.1:6881", "[2001:db8::1]:80", "10.0.0.2:7", "10.0.0.3:7", "10.0.0.9:9"];
        let v6 = ["[2001:db8::12]:7", "10.0.0.3:8"];
        assert_eq!(reply.peers, v4.into_iter().chain(v6).map(addr).collect::<Vec<_>>());
    }

    #[test]
    fn what_stands_before_a_reply_is_stepped_over() {
        let reply = b"d5:peers6:\x0a\0\0\x01\x1a\xe1e";
        for before in [&b""[..], b"\xef\xbb\xbf", b"\r\n", b" \t\n", b"\xef\xbb\xbf\r\n", b"\n\xef\xbb\xbf \n"] {
            let body = [before, reply].concat();
            assert_eq!(parse(&body).map(|r| r.peers), Ok(vec![addr("10.0.0.1:6881")]), "{}", before.escape_ascii());
        }
        for before in [&b"\xef\xbb"[..], b"\0", b"x", b"\xfe\xff"] {
            assert!(parse(&[before, reply].concat()).is_err(), "{}", before.escape_ascii());
        }
        assert!(parse(b"\xef\xbb\xbf\r\n").is_err());
    }

    #[test]
    fn refusals_and_when_to_come_back() {
        let minutes = |m: u64| Some(RetryIn::After(Duration::from_secs(60 * m)));
        for (retry, want) in [
            (&b""[..], None),
            (b"8:retry ini5e", minutes(5)),
            (b"8:retry in2:15", minutes(15)),
            (b"8:retry in5:never", Some(RetryIn::Never)),
            (b"8:retry ini-5e", None),
            (b"8:retry ini9223372036854775807e", minutes(u64::from(u32::MAX))),
            (b"8:retry in3:xyz", None),
        ] {
            let body = [&b"d14:failure reason11:not allowed"[..], retry, b"e"].concat();
            let failure = parse(&body).expect_err("a refusal");
            assert_eq!(failure.failure_reason.as_deref(), Some("not allowed"));
            assert_eq!((failure.retry_in, failure.message.as_str()), (want, "the tracker refuses: not allowed"));
        }
    }

    #[test]
    fn what_is_no_reply() {
        for body in [&b""[..], b"<html>", b"de", b"le", b"i5e", b"d8:intervali1", b"d3:fooi1ee"] {
            let failure = parse(body).expect_err("no reply");
            assert_eq!((failure.operation, failure.failure_reason), (Operation::Bittorrent, None));
        }
    }

    #[test]
    fn numbers_and_texts_are_bounded() {
        let reply = parse(b"d8:intervali-5e12:min intervali99999999999e8:completei-1ee").expect("a reply");
        assert_eq!((reply.interval_s, reply.min_interval_s, reply.complete), (0, u32::MAX, Some(0)));
        let body = [b"d14:failure reason100000:".to_vec(), vec![b'x'; 100_000], b"e".to_vec()].concat();
        assert_eq!(parse(&body).expect_err("refused").failure_reason.map(|r| r.len()), Some(MAX_TEXT));
        let body = [b"d5:peers600000:".to_vec(), [1, 2, 3, 4, 5, 6].repeat(100_000), b"e".to_vec()].concat();
        assert_eq!(parse(&body).expect("a reply").peers.len(), MAX_PEERS);
        let body =
            [&b"d5:peersl"[..], &b"d2:ip7:1.2.3.47:peer id2:ab4:porti6ee".repeat(MAX_PEERS + 10), b"ee"].concat();
        assert_eq!(parse(&body).expect("a reply").peers.len(), MAX_PEERS, "as dictionaries, too");
        let body = [b"d8:intervali1e10:tracker id9999:".to_vec(), vec![b'x'; 9999], b"e".to_vec()].concat();
        assert_eq!(parse(&body).expect("a reply").tracker_id, None);
        let nested = [vec![b'l'; 1000], vec![b'e'; 1000]].concat();
        assert!(parse(&nested).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(body in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&body);
        }

        #[test]
        fn damaged_replies_never_panic(at in 0usize..120, byte in any::<u8>(), cut in 0usize..120) {
            let mut body = b"d8:completei5e11:external ip4:abcd8:intervali1800e5:peers12:abcdefghijkl6:peers618:abcdefghijklmnopqr10:tracker id1:xe".to_vec();
            let at = at % body.len();
            body[at] = byte;
            body.truncate(body.len() - cut.min(body.len()));
            let _ = parse(&body);
        }

        #[test]
        fn only_usable_peers(packed in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut body = format!("d5:peers{}:", packed.len()).into_bytes();
            body.extend(&packed);
            body.push(b'e');
            let peers = parse(&body).expect("a reply").peers;
            prop_assert!(peers.iter().all(|p| p.port() != 0 && !p.ip().is_unspecified()));
        }
    }
}
