//! Tests of what a torrent learns late: from another source of it, and what it tells peers of that.

use std::net::SocketAddr;

use super::*;
use crate::engine::cache::share::Shares;
use crate::engine::config::{StorageKind, TorrentConfig};
use crate::engine::peer::extensions::LT_DONTHAVE;
use crate::engine::swarm::peer_list::PeerSource;
use crate::memory::pool::Pool;
use crate::metainfo::{Create, Sha1Hash, Sha256Hash};
use crate::settings::Settings;
use crate::wire::ut_metadata::MetadataMessage;
use crate::wire::{ExtendedHandshake, ExtensionIds, Handshake, Message, Received, StreamKind, lt_donthave};

const NOW: Time = Time::from_millis(1000);

fn info(private: bool, files: usize) -> Arc<Info> {
    let files: Vec<_> = (0..files).map(|i| (vec![format!("f{i}")], 20_000)).collect();
    let pieces = (20_000 * files.len()).div_ceil(16_384);
    let create = Create { name: "t".into(), piece_length: 16_384, files, private, ..Create::default() };
    create.v1(vec![7; pieces * 20]).expect("a torrent").info
}

fn torrent(config: TorrentConfig) -> Torrent {
    let shares = Arc::new(Shares::default());
    Torrent::new(NOW, config, Arc::new(Settings::default()), Pool::new(1 << 20), &shares, 1)
}

/// As a magnet of it begins.
fn magnet(info: &Arc<Info>) -> TorrentConfig {
    TorrentConfig { info: None, ..TorrentConfig::of(info) }
}

fn connect(torrent: &mut Torrent, n: u8) -> crate::engine::content::pieces::PeerKey {
    let handshake = Handshake::new(torrent.info_hashes().best(), [n; 20], false);
    let address = ([10, 0, 0, n], 6881).into();
    torrent.peer_connected(NOW, address, true, StreamKind::default(), &handshake).expect("let in").0
}

/// What is about to be sent to a peer, as text.
fn said(torrent: &mut Torrent, key: crate::engine::content::pieces::PeerKey) -> String {
    let outbox = &mut torrent.peers.get_mut(&key).expect("a peer").outbox;
    let mut bytes = Vec::new();
    while let Some(chunk) = outbox.pop() {
        bytes.extend_from_slice(chunk.as_slice());
    }
    bytes.escape_ascii().to_string()
}

fn ask_metadata(torrent: &mut Torrent, key: crate::engine::content::pieces::PeerKey) {
    let m = ExtensionIds { ut_metadata: Some(9), ..ExtensionIds::default() };
    let hello = ExtendedHandshake { m, ..ExtendedHandshake::default() };
    torrent.peers.get_mut(&key).expect("a peer").extensions.hear(hello);
    torrent.metadata_message(NOW, key, &MetadataMessage::Request { piece: 0 }.encode()).expect("a request");
}

#[test]
fn metadata_is_offered_and_served() {
    let mut torrent = torrent(TorrentConfig::of(&info(false, 1)));
    let key = connect(&mut torrent, 1);
    let hello = said(&mut torrent, key);
    assert!(hello.contains("11:ut_metadatai2e") && hello.contains("13:metadata_size"), "{hello}");
    ask_metadata(&mut torrent, key);
    assert!(said(&mut torrent, key).contains("8:msg_typei1e"));
}

/// Who may have a private torrent has it from its tracker.
#[test]
fn private_metadata_is_neither_offered_nor_served() {
    let mut torrent = torrent(TorrentConfig::of(&info(true, 1)));
    let key = connect(&mut torrent, 1);
    let hello = said(&mut torrent, key);
    assert!(!hello.contains("metadata"), "{hello}");
    ask_metadata(&mut torrent, key);
    assert_eq!(said(&mut torrent, key), "");
}

/// A magnet turns out to be private: who is known from the DHT or from peers goes, whether connected, being dialled or neither.
#[test]
fn strangers_leave_a_torrent_that_turns_out_private() {
    for private in [true, false] {
        let info = info(private, 1);
        let mut torrent = torrent(magnet(&info));
        let at = |n: u8| SocketAddr::from(([10, 0, 0, n], 6881));
        let sources = [
            PeerSource::TRACKER,
            PeerSource::MANUAL,
            PeerSource::DHT,
            PeerSource::PEX,
            PeerSource::LSD,
            PeerSource::DHT,
        ];
        for (n, source) in (1..).zip(sources) {
            assert_eq!(torrent.add_peers(NOW, source, &[at(n)]), 1);
        }
        // The tracker names it, too.
        torrent.add_peers(NOW, PeerSource::TRACKER, &[at(6)]);
        torrent.add_peers(NOW, PeerSource::DHT, &[at(7), at(8)]);
        let join = |torrent: &mut Torrent, n: u8, incoming| {
            let handshake = Handshake::new(torrent.info_hashes().best(), [n; 20], false);
            torrent.peer_connected(NOW, at(n), incoming, StreamKind::default(), &handshake).map(|(key, _)| key)
        };
        for n in 1..=6 {
            join(&mut torrent, n, false).expect("let in");
        }
        join(&mut torrent, 9, true).expect("let in");
        torrent.dial_deferred(NOW, at(7));
        torrent.merge(NOW, Some(&info), &[], &[]);
        let mut here: Vec<u8> = torrent.peers.values().map(|p| p.peer_id()[0]).collect();
        here.sort_unstable();
        assert_eq!(here, if private { vec![1, 2, 6, 9] } else { vec![1, 2, 3, 4, 5, 6, 9] });
        assert_eq!(torrent.swarm.list().len(), if private { 4 } else { 9 });
        assert_eq!(torrent.swarm.list().num_dialling(), usize::from(!private));
        assert_eq!(torrent.take_output().search_dht, private, "its search ends");
        assert_eq!(join(&mut torrent, 8, false).is_ok(), !private, "it was being dialled");
    }
}

/// A magnet turns out to be private: peers that were offered its metadata before hear that it is over.
#[test]
fn an_offer_is_taken_back_from_a_torrent_that_turns_out_private() {
    let info = info(true, 1);
    let mut torrent = torrent(magnet(&info));
    let early = connect(&mut torrent, 1);
    assert!(said(&mut torrent, early).contains("11:ut_metadatai2e"));
    torrent.merge(NOW, Some(&info), &[], &[]);
    let again = said(&mut torrent, early);
    assert!(again.contains("11:ut_metadatai0e") && !again.contains("metadata_size"), "{again}");
    ask_metadata(&mut torrent, early);
    assert_eq!(said(&mut torrent, early), "");
    let late = connect(&mut torrent, 2);
    assert!(!said(&mut torrent, late).contains("metadata"));
}

/// What peers say of their pieces before the metadata is here is understood once it is; nonsense ends the connection then.
#[test]
fn what_was_said_of_pieces_before_the_metadata_counts() {
    let info = info(false, 2);
    let lost = |piece: u32| Message::Extended { id: LT_DONTHAVE, payload: lt_donthave::encode(piece).to_vec() };
    let field = |bits: &[u8]| Message::Bitfield(bits.to_vec());
    for (said, want) in [
        (vec![Message::HaveAll, lost(1)], Some(vec![0, 2])),
        (vec![Message::Have(0), Message::Have(2), lost(0)], Some(vec![2])),
        (vec![field(&[0xe0]), lost(0), lost(1), Message::Have(1)], Some(vec![1, 2])),
        (vec![lost(1), Message::HaveAll], Some(vec![0, 1, 2])),
        (vec![field(&[0xff]), lost(7)], Some(vec![0, 1, 2])),
        (vec![Message::HaveAll, lost(3), lost(u32::MAX)], Some(vec![0, 1, 2])),
        (vec![Message::HaveAll, lost(0), lost(0), Message::HaveNone], Some(vec![1, 2])),
        (vec![lost(0)], Some(vec![])),
        (vec![Message::Have(3)], None),
        (vec![Message::Have(u32::MAX), lost(u32::MAX)], None),
        (vec![field(&[0xe0, 0])], None),
        (vec![field(&[]), Message::Have(1)], None),
    ] {
        let mut torrent = torrent(magnet(&info));
        let key = connect(&mut torrent, 1);
        let mut batch = said.iter().cloned().map(Received::Message).collect();
        torrent.peer_received(NOW, key, &mut batch, 0);
        torrent.merge(NOW, Some(&info), &[], &[]);
        let has = torrent.peers.get(&key).map(|p| p.haves.pieces().iter().collect::<Vec<_>>());
        assert_eq!(has, want, "{said:?}");
    }
}

#[test]
fn a_magnet_takes_the_metadata_of_the_file() {
    let info = info(false, 3);
    let mut torrent = torrent(magnet(&info));
    torrent.merge(NOW, Some(&info), &[vec!["udp://a:1".into()], vec!["udp://b:1".into()]], &["http://w/x".into()]);
    assert_eq!(torrent.info(), Some(&info));
    assert_eq!((torrent.trackers().tiers().len(), torrent.web_seeds()), (2, &["http://w/x/".to_owned()][..]));
    let told = torrent.take_output().alerts.iter().filter(|a| matches!(a, Alert::MetadataReceived)).count();
    assert_eq!(told, 1);
    // Once more brings nothing new, and no second word of it.
    torrent.merge(NOW, Some(&info), &[vec!["udp://b:1".into()]], &["http://w/x/".into()]);
    assert_eq!((torrent.trackers().len(), torrent.web_seeds().len()), (2, 1));
    assert!(torrent.take_output().alerts.is_empty());
}

/// Metadata that another hash names is not this torrent's, though one of the two agrees.
#[test]
fn metadata_of_another_hybrid_is_left_alone() {
    let info = info(false, 1);
    let mut config = magnet(&info);
    config.info_hashes = InfoHashes { v1: config.info_hashes.v1, v2: Some(Sha256Hash([1; 32])) };
    let mut one = torrent(config);
    one.merge(NOW, Some(&info), &[], &[]);
    assert!(one.info().is_none());
    let mut config = magnet(&info);
    config.info_hashes = InfoHashes::v1(Sha1Hash([1; 20]));
    let mut other = torrent(config);
    other.merge(NOW, Some(&info), &[], &[]);
    assert!(other.info().is_none());
    // Nor is what is larger than the settings allow.
    let settings = Settings { max_piece_count: 1, ..Settings::default() };
    let mut small = torrent(magnet(&info));
    small.set_settings(NOW, Arc::new(settings));
    small.merge(NOW, Some(&info), &[], &[]);
    assert!(small.info().is_none());
}

/// Web seeds of a magnet become directories when it turns out to have several files.
#[test]
fn web_seeds_follow_the_metadata() {
    for (files, want) in [(1, "http://w/a%20b"), (2, "http://w/a%20b/")] {
        let info = info(false, files);
        let mut torrent =
            torrent(TorrentConfig { web_seeds: vec!["http://w/a b".into(), "http://w/a%20b".into()], ..magnet(&info) });
        torrent.merge(NOW, Some(&info), &[], &[]);
        assert_eq!(torrent.web_seeds(), [want]);
    }
}

/// A link may name any file: what is kept of that does not grow with the number, nor does the work with how often it is said.
#[test]
fn selected_files_are_ranges_until_the_files_are_known() {
    let info = info(false, 5);
    for (ranges, want) in [
        (vec![u32::MAX..=u32::MAX], [0, 0, 0, 0, 0]),
        (vec![1..=1, 3..=u32::MAX], [0, 4, 0, 4, 4]),
        (vec![3..=3, 0..=1, 1..=2], [4, 4, 4, 4, 0]),
        (vec![2..=u32::MAX; 1000], [0, 0, 4, 4, 4]),
        (vec![5..=9], [0, 0, 0, 0, 0]),
        (Vec::new(), [4, 4, 4, 4, 4]),
    ] {
        let config =
            TorrentConfig { storage: StorageKind::Disk, selected_files: ranges.clone(), ..TorrentConfig::of(&info) };
        assert_eq!(torrent(config).file_priorities(), Ok(want.to_vec()), "{ranges:?}");
    }
    // What the caller says of the files goes before what the link says.
    let config = TorrentConfig { selected_files: vec![4..=4], file_priorities: vec![7, 0], ..TorrentConfig::of(&info) };
    let config = TorrentConfig { storage: StorageKind::Disk, ..config };
    assert_eq!(torrent(config).file_priorities(), Ok(vec![7, 0, 4, 4, 4]));
}
