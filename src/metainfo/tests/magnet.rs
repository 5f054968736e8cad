//! Tests of magnet links.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::RangeInclusive;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;

use crate::metainfo::info_hash::{InfoHashes, Sha1Hash, Sha256Hash};
use crate::metainfo::magnet::{MAX_PEERS, MAX_RANGES, Magnet};
use crate::metainfo::torrent_file::{MAX_NODES, MAX_TRACKERS, MAX_WEB_SEEDS};

const V1: &str = "0123456789abcdef0123456789abcdef01234567";
const XT: &str = "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567";

fn parse(uri: &str) -> Magnet {
    Magnet::parse(uri).expect("a magnet")
}

fn with(parameters: &str) -> Magnet {
    parse(&format!("{XT}&{parameters}"))
}

const MULTIHASH_SHA256: &str = "1220";

/// All but RFC 3986's unreserved characters.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// The link that parses to this.
fn to_uri(magnet: &Magnet) -> String {
    let mut uri = String::from("magnet:");
    let mut add = |key: &str, value: &str| {
        let separator = if uri.ends_with(':') { '?' } else { '&' };
        // Writing to a string does not fail.
        let _ = write!(uri, "{separator}{key}={value}");
    };
    if let Some(v1) = magnet.info_hashes.v1 {
        add("xt", &format!("urn:btih:{v1}"));
    }
    if let Some(v2) = magnet.info_hashes.v2 {
        add("xt", &format!("urn:btmh:{MULTIHASH_SHA256}{v2}"));
    }
    if let Some(name) = &magnet.name {
        add("dn", &escape(name));
    }
    for url in magnet.trackers.iter().flatten() {
        add("tr", &escape(url));
    }
    for url in &magnet.web_seeds {
        add("ws", &escape(url));
    }
    let peers = magnet.peers.iter().map(|peer| ("x.pe", peer));
    for (key, (host, port)) in peers.chain(magnet.nodes.iter().map(|node| ("dht", node))) {
        let host = if host.contains(':') { Cow::from(format!("[{host}]")) } else { Cow::from(escape(host)) };
        add(key, &format!("{host}:{port}"));
    }
    if !magnet.select_only.is_empty() {
        let range = |r: &RangeInclusive<u32>| match (r.start(), r.end()) {
            (start, end) if start == end => start.to_string(),
            (start, end) => format!("{start}-{end}"),
        };
        add("so", &magnet.select_only.iter().map(range).collect::<Vec<_>>().join(","));
    }
    uri
}

#[test]
fn hashes() {
    let v1 = Sha1Hash::from_hex(V1);
    let v2 = "ab".repeat(32);
    assert_eq!(parse(XT).info_hashes, InfoHashes { v1, v2: None });
    assert_eq!(parse(&format!("  MAGNET:?XT=URN:BTIH:{}\n", V1.to_uppercase())).info_hashes.v1, v1);
    assert_eq!(parse("magnet:?xt=urn:btih:AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH").info_hashes.v1, v1);
    assert_eq!(parse(&format!("magnet:?dn=x&xt.1=urn%3Abtih%3A{V1}")).info_hashes.v1, v1);
    let hybrid = with(&format!("xt=urn:btmh:1220{v2}")).info_hashes;
    assert_eq!(hybrid, InfoHashes { v1, v2: Sha256Hash::from_hex(&v2) });
    assert_eq!(parse(&format!("magnet:?xt=urn:btmh:1220{v2}")).info_hashes.v1, None);
    // Unknown and broken topics beside a known one are nobody's fault; of two good ones the last counts, as in libtorrent.
    let uri = format!("magnet:?xt=urn:tree:tiger:ABC&xt=urn:btih:{}&xt=urn:btih:{V1}&xt=urn:btih:zzz", "0".repeat(40));
    assert_eq!(parse(&uri).info_hashes.v1, v1);
    let uri = format!("magnet:?xt=urn:btmh:1220{}&xt=urn:btmh:1220{v2}&xt=urn:btmh:1220", "0".repeat(64));
    assert_eq!(parse(&uri).info_hashes.v2, Sha256Hash::from_hex(&v2));
    assert_eq!(with("dn=a&dn=b&dn=").name.as_deref(), Some("b"));
}

/// Other ways to write what can only mean one torrent.
#[test]
fn aliases() {
    let v1 = Sha1Hash::from_hex(V1);
    for uri in [
        format!("magnet:///?xt=urn:btih:{V1}"),
        format!("MAGNET://?xt=urn:btih:{V1}"),
        V1.to_owned(),
        format!(" {}\n", V1.to_uppercase()),
        "AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH".to_owned(),
    ] {
        assert_eq!(parse(&uri), Magnet { info_hashes: InfoHashes { v1, v2: None }, ..Magnet::default() }, "{uri}");
    }
    let v2 = "ab".repeat(32);
    assert_eq!(parse(&v2).info_hashes, InfoHashes { v1: None, v2: Sha256Hash::from_hex(&v2) });
    for no_hash in [&V1[1..], &format!("{V1}0"), &V1.replace('0', "g"), "magnet:/?xt=urn:btih:x", "urn:btih:x"] {
        assert!(Magnet::parse(no_hash).is_err(), "{no_hash}");
    }
    assert!(Magnet::parse(&format!("magnet:/?xt=urn:btih:{V1}")).is_err());
}

#[test]
fn dht_nodes() {
    let magnet =
        with("dht=router.example:6881&dht=[2001:db8::1]:2&dht=1.2.3.4:3&dht=1.2.3.4:3&dht=h&dht=h:0&dht=h:99999&dht=");
    let nodes = [("router.example", 6881), ("2001:db8::1", 2), ("1.2.3.4", 3)].map(|(h, p)| (h.to_owned(), p));
    assert_eq!((magnet.nodes.as_slice(), magnet.peers.len()), (&nodes[..], 0));
    assert_eq!(parse(&to_uri(&magnet)), magnet);
    let many: String = (1..3000).map(|port| format!("dht=h:{port}&")).collect();
    assert_eq!(with(&many).nodes.len(), MAX_NODES);
}

/// A link of the greatest length that repeats one tracker must not compare each with all.
#[test]
fn repeated_trackers_are_taken_once() {
    let other: String = (0..999).map(|i| format!("tr=u{i:03}&")).collect();
    let magnet = with(&(other + &"tr=u998&".repeat(20_000)));
    assert_eq!(magnet.trackers.len(), 999);
}

#[test]
fn refusals() {
    let short = format!("magnet:?xt=urn:btih:{}", &V1[1..]);
    let wrong_multihash = format!("magnet:?xt=urn:btmh:1114{}", "0".repeat(64));
    let long = format!("{XT}&dn={}", "a".repeat(300_000));
    let bad = ["", "magnet:", "magnet:?", "http://a/b.torrent", "magnet:?dn=x", "magnet:?xt=urn:sha1:X", "é"];
    for uri in bad.into_iter().chain([short.as_str(), &wrong_multihash, &long]) {
        assert!(Magnet::parse(uri).is_err(), "{uri}");
    }
}

#[test]
fn parameters() {
    let magnet = with(
        "dn=Big+Buck%20Bunny&amp;tr=udp%3A%2F%2Ft.example%3A80%2Fa&tr.1=http://t.example/x%2By+z&tr=&tr=udp://t.example:80/a\
         &ws=http%3A%2F%2Fw.example%2F&x.pe=1.2.3.4:5&x.pe=[2001:db8::1]:6&x.pe=host.example:7&so=0,2,4-6&foo=bar&baz&=",
    );
    assert_eq!(magnet.name.as_deref(), Some("Big Buck Bunny"));
    assert_eq!(magnet.trackers, [["udp://t.example:80/a"], ["http://t.example/x+y+z"]]);
    assert_eq!(magnet.web_seeds, ["http://w.example/"]);
    let peers = [("1.2.3.4", 5), ("2001:db8::1", 6), ("host.example", 7)].map(|(h, p)| (h.to_owned(), p));
    assert_eq!(magnet.peers, peers);
    assert_eq!(magnet.select_only, [0..=0, 2..=2, 4..=6]);
}

#[test]
fn broken_parameters_are_left_out() {
    let magnet =
        with("dn=%ff%00x&x.pe=a&x.pe=a:0&x.pe=a:99999&x.pe=:5&x.pe=::1:5&x.pe=[x]:5&so=5-3,a,1-,-,-1,+1,1.5,0x1,7");
    assert_eq!((magnet.name.as_deref(), magnet.peers.len()), (Some("\u{fffd}x"), 0));
    assert_eq!(magnet.select_only, [7..=7]);
}

/// What names no file of any torrent still says that others are not wanted.
#[test]
fn numbers_of_files_may_be_of_any_size() {
    const LAST: u32 = u32::MAX;
    for (so, want) in [
        ("4294967295", vec![LAST..=LAST]),
        ("4294967296", vec![LAST..=LAST]),
        ("18446744073709551616,3", vec![LAST..=LAST, 3..=3]),
        ("1-99999999999", vec![1..=LAST]),
        ("99999999999-1", vec![]),
        ("007,0-00", vec![7..=7, 0..=0]),
        (" 1 , 2 - 3 ,", vec![1..=1, 2..=3]),
    ] {
        let magnet = with(&format!("so={so}"));
        assert_eq!(magnet.select_only, want, "{so}");
        assert_eq!(parse(&to_uri(&magnet)), magnet);
    }
}

#[test]
fn everything_is_bounded() {
    let many = |key: &str, value: &str| (0..3000).map(|i| format!("{key}={value}{i}&")).collect::<String>();
    assert_eq!(with(&many("tr", "udp://t:1/")).trackers.len(), MAX_TRACKERS);
    assert_eq!(with(&many("ws", "http://w/")).web_seeds.len(), MAX_WEB_SEEDS);
    assert_eq!(with(&many("x.pe", "h:1")).peers.len(), MAX_PEERS);
    assert_eq!(with(&many("so", "1")).select_only.len(), MAX_RANGES);
    assert_eq!(with(&format!("so={}", "1,".repeat(5000))).select_only.len(), MAX_RANGES);
    assert!(with(&format!("dn={}", "é".repeat(5000))).name.is_some_and(|n| n.len() == 1024));
}

#[test]
fn back_to_a_link() {
    let uri = to_uri(&with("dn=a b&tr=http://t/?x=1&x.pe=[::1]:6&x.pe=h:7&so=1,2-3&ws=http://w/"));
    assert_eq!(
        uri,
        format!("{XT}&dn=a%20b&tr=http%3A%2F%2Ft%2F%3Fx%3D1&ws=http%3A%2F%2Fw%2F&x.pe=[::1]:6&x.pe=h:7&so=1,2-3")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn round_trip(
        v1 in any::<[u8; 20]>(), v2 in proptest::option::of(any::<[u8; 32]>()), name in "\\PC{0,20}",
        trackers in proptest::collection::hash_set("udp://\\PC{1,20}x", 0..4),
        peers in proptest::collection::hash_set(("[a-z.0-9]{1,10}", 1u16..), 0..4),
        nodes in proptest::collection::hash_set(("[a-z.0-9]{1,10}", 1u16..), 0..4),
        ranges in proptest::collection::vec((0u32..1000, 0u32..1000), 0..4),
    ) {
        let magnet = Magnet {
            info_hashes: InfoHashes { v1: Some(Sha1Hash(v1)), v2: v2.map(Sha256Hash) },
            name: Some(name.trim().to_owned()).filter(|n| !n.is_empty()),
            trackers: trackers.into_iter().map(|t| vec![t]).collect(),
            web_seeds: Vec::new(),
            nodes: nodes.into_iter().collect(),
            peers: peers.into_iter().collect(),
            select_only: ranges.into_iter().map(|(start, more)| start..=start + more).collect(),
        };
        prop_assert_eq!(Magnet::parse(&to_uri(&magnet)), Ok(magnet));
    }

    #[test]
    fn any_text_ends_well(text in "\\PC{0,200}", query in "[a-z.0-9&=%:+\\[\\]é,-]{0,200}") {
        let _ = Magnet::parse(&text);
        if let Ok(magnet) = Magnet::parse(&format!("{XT}&{query}")) {
            prop_assert_eq!(Magnet::parse(&to_uri(&magnet)), Ok(magnet));
        }
    }
}

#[test]
fn zeros_name_no_torrent() {
    let zeros = "0".repeat(40);
    for text in [format!("magnet:?xt=urn:btih:{zeros}"), zeros.clone(), "A".repeat(32), "0".repeat(64)] {
        let error = Magnet::parse(&text).expect_err("zeros");
        assert!(error.message.contains("all zeros"), "{text}: {}", error.message);
    }
    let error = Magnet::parse(&"0".repeat(39)).expect_err("no hash");
    assert!(error.message.contains("not a magnet link"), "{}", error.message);
}
