//! The clients that other tests set against ours, set against each other: what they cannot do here, ours need not do there.

mod common;

use std::fs;
use std::time::Duration;

use common::peers::{Client, Peer, Source, Torrent, dht, opentracker, plain_seeder};
use common::temp::{TempDir, assert_same};

/// Four exchanges at once: libtorrent gets the torrent from `client`, `client` gets it from libtorrent, by file and by magnet.
fn exchange_with_libtorrent(client: Client) {
    let torrent = Torrent::make("some files", 3_000_000, 3, &[]);
    let out = TempDir::new();
    let (mut seeders, mut leechers) = (Vec::new(), Vec::new());
    for source in [Source::File, Source::Magnet] {
        let to = out.dir(&format!("{client:?} by {source:?}"));
        if client.dials_loopback() {
            let mut seeder = Client::Libtorrent.seed(&torrent, &[]);
            let address = seeder.address().to_string();
            leechers.push((client.leech(&torrent, source, &to, &["--peer", &address]), source, to));
            seeders.push(seeder);
        } else {
            let mut leecher = client.leech(&torrent, source, &to, &[]);
            let address = leecher.address().to_string();
            seeders.push(Client::Libtorrent.seed(&torrent, &["--peer", &address]));
            leechers.push((leecher, source, to));
        }
        // A seeder for each leecher: to Transmission peers of one address are one peer, and one that is complete for good.
        let to = out.dir(&format!("libtorrent by {source:?}"));
        let mut seeder = client.seed(&torrent, &[]);
        let address = seeder.address().to_string();
        leechers.push((Client::Libtorrent.leech(&torrent, source, &to, &["--peer", &address]), source, to));
        seeders.push(seeder);
    }
    for (mut leecher, source, to) in leechers {
        if source == Source::Magnet {
            leecher.wait("metadata");
        }
        leecher.wait("done");
        assert_same(&torrent.content(), &to.join(&torrent.name));
    }
}

#[test]
fn libtorrent_exchanges_with_itself() {
    exchange_with_libtorrent(Client::Libtorrent);
}

#[test]
fn transmission_exchanges_with_libtorrent() {
    exchange_with_libtorrent(Client::Transmission);
}

#[test]
fn aria2_exchanges_with_libtorrent() {
    exchange_with_libtorrent(Client::Aria2);
}

#[test]
fn librqbit_exchanges_with_libtorrent() {
    exchange_with_libtorrent(Client::Rqbit);
}

#[test]
fn opentracker_introduces_peers_by_http_and_udp() {
    let torrent = Torrent::make("tracked.bin", 500_000, 1, &[]);
    let mut tracker = opentracker(&[&torrent]);
    for scheme in ["http", "udp"] {
        let url = tracker.wait(scheme);
        let mut seeder = Client::Libtorrent.seed(&torrent, &["--tracker", &url]);
        seeder.address();
        let out = TempDir::new();
        let mut leecher = Client::Libtorrent.leech(&torrent, Source::Magnet, out.path(), &["--tracker", &url]);
        leecher.wait("done");
        assert_same(&torrent.content(), &out.path().join(&torrent.name));
    }
}

#[test]
fn a_dht_on_loopback_finds_a_seed() {
    let torrent = Torrent::make("announced.bin", 500_000, 1, &[]);
    let mut network = dht(6, Some(&torrent));
    let node = network.wait("node");
    network.wait("announced");
    let out = TempDir::new();
    let mut leecher = Client::Libtorrent.leech(&torrent, Source::Magnet, out.path(), &["--dht-node", &node]);
    leecher.wait("done");
    assert_same(&torrent.content(), &out.path().join(&torrent.name));
}

fn leech_plain(out: &TempDir, options: &[&str]) -> (Peer, Peer) {
    let (mut seeder, file) = plain_seeder(out.path(), 5_000_001, options);
    let address = seeder.address().to_string();
    // The seeder's torrent is no torrent of `lt_peer.py make`; a leecher needs its file only.
    let torrent = Torrent {
        dir: TempDir::new(),
        name: "content.bin".to_owned(),
        file,
        info_hash: String::new(),
        magnet: String::new(),
    };
    (Client::Libtorrent.leech(&torrent, Source::File, &out.dir("got"), &["--peer", &address]), seeder)
}

#[test]
fn plain_seeder_serves_what_it_writes() {
    let out = TempDir::new();
    let written = out.path().join("written.bin");
    let options = ["--piece-length", "65536", "--seed", "9", "--write", written.to_str().unwrap()];
    let (mut leecher, _seeder) = leech_plain(&out, &options);
    leecher.wait("done");
    assert_same(&written, &out.path().join("got/content.bin"));
}

#[test]
fn plain_seeder_keeps_to_its_rate() {
    let out = TempDir::new();
    let began = std::time::Instant::now();
    let (mut leecher, _seeder) = leech_plain(&out, &["--rate", "2500000"]);
    leecher.wait("done");
    let took = began.elapsed().as_secs_f64();
    assert!((1.9..20.0).contains(&took), "5 MB at 2.5 MB/s in {took} s");
}

#[test]
fn wrong_blocks_of_plain_seeder_are_noticed() {
    let out = TempDir::new();
    let (mut leecher, _seeder) = leech_plain(&out, &["--piece-length", "65536", "--corrupt", "10"]);
    leecher.wait("hash-failed");
    assert_eq!(leecher.wait_within("done", Duration::from_millis(500)), None);
}

#[test]
fn damaged_content_is_not_seeded() {
    for client in [Client::Libtorrent, Client::Transmission, Client::Rqbit] {
        let torrent = Torrent::make("damaged.bin", 300_000, 1, &[]);
        let mut bytes = fs::read(torrent.content()).unwrap();
        bytes[200_000] ^= 1;
        fs::write(torrent.content(), bytes).unwrap();
        let mut seeder = client.seed(&torrent, &[]);
        let error = seeder.wait("error");
        assert!(error.contains("not complete"), "{client:?}: {error}");
    }
}
