//! Real clients on loopback, each way: they seed and every byte that our reader brings is checked; we seed, and what they
//! wrote is compared.

mod common;

use std::fs;

use common::ours::{self, Alerts, CLOSE};
use common::peers::{Client, Source, Torrent};
use common::temp::{TempDir, assert_same};
use elementum_torrent::session::{ReaderOptions, Session};

/// Two ways of starting, at once: our session streams the torrent, known by its file and by its magnet, from the client.
fn we_stream_from(client: Client) {
    let torrent = Torrent::make("some files", 3_000_000, 3, &[]);
    let mut seeder = client.seed(&torrent, &[]);
    let address = seeder.address();
    for source in [Source::File, Source::Magnet] {
        let session = ours::open();
        let mut params = ours::params(&torrent, source);
        params.peers = vec![address];
        let index = session.add_torrent(params).unwrap();
        if source == Source::Magnet {
            Alerts::default().wait(&session, "metadata_received", "");
            let ours = session.torrent(index).unwrap().info().unwrap();
            assert_eq!(ours.bytes, ours::torrent_file(&torrent.file).info.bytes, "the info dictionary, byte for byte");
        }
        ours::stream_all(&session, index, &torrent);
        let stats = session.stats().unwrap();
        assert_eq!((stats.hash_failures, stats.memory_charged > stats.memory_limit), (0, false), "{stats:?}");
        session.close(CLOSE).unwrap();
    }
}

/// The client gets the torrent from our session, which has it on disk: by its file, and by its magnet.
fn we_seed_to(client: Client) {
    let torrent = Torrent::make("some files", 3_000_000, 3, &[]);
    // Else the two would hear of each other, and not get everything from us.
    let (session, index) = ours::seed_with(&torrent, |s| s.set_bool("enable_pex", false).unwrap());
    let out = TempDir::new();
    let mut leechers = Vec::new();
    for source in [Source::File, Source::Magnet] {
        let to = out.dir(&format!("{source:?}"));
        let ours = ours::address(&session).to_string();
        let options: &[&str] = if client.dials_loopback() { &["--peer", &ours] } else { &[] };
        let mut leecher = client.leech(&torrent, source, &to, options);
        if !client.dials_loopback() {
            // The session dials; it does so again when the client was not ready.
            session.torrent(index).unwrap().connect_peer(leecher.address()).unwrap();
        }
        leechers.push((leecher, source, to));
    }
    for (mut leecher, source, to) in leechers {
        if source == Source::Magnet {
            leecher.wait("metadata");
        }
        leecher.wait("done");
        assert_same(&torrent.content(), &to.join(&torrent.name));
    }
    let status = ours::status(&session, index);
    assert!(status.total_payload_upload >= 6_000_000, "{status:?}");
    session.close(CLOSE).unwrap();
}

#[test]
fn libtorrent_seeds_to_us() {
    we_stream_from(Client::Libtorrent);
}

#[test]
fn transmission_seeds_to_us() {
    we_stream_from(Client::Transmission);
}

#[test]
fn aria2_seeds_to_us() {
    we_stream_from(Client::Aria2);
}

#[test]
fn librqbit_seeds_to_us() {
    we_stream_from(Client::Rqbit);
}

#[test]
fn we_seed_to_libtorrent() {
    we_seed_to(Client::Libtorrent);
}

#[test]
fn we_seed_to_transmission() {
    we_seed_to(Client::Transmission);
}

#[test]
fn we_seed_to_aria2() {
    we_seed_to(Client::Aria2);
}

#[test]
fn we_seed_to_librqbit() {
    we_seed_to(Client::Rqbit);
}

/// What we wrote to disk ourselves, from libtorrent, is what it was; and a session that finds it there seeds it on.
#[test]
fn we_download_to_disk_and_seed_what_we_got() {
    let torrent = Torrent::make("some files", 3_000_000, 3, &[]);
    let mut seeder = Client::Libtorrent.seed(&torrent, &[]);
    let out = TempDir::new();
    let ours = out.dir("ours");
    let session = ours::open();
    let mut params = ours::disk_params(&torrent, Source::Magnet, &ours);
    params.peers = vec![seeder.address()];
    let index = session.add_torrent(params).unwrap();
    let mut alerts = Alerts::default();
    alerts.wait(&session, "torrent_finished", "");
    assert_same(&torrent.content(), &ours.join(&torrent.name));
    drop(seeder);
    let address = ours::address(&session).to_string();
    let theirs = out.dir("theirs");
    let mut leecher = Client::Libtorrent.leech(&torrent, Source::Magnet, &theirs, &["--peer", &address]);
    leecher.wait("done");
    assert_same(&torrent.content(), &theirs.join(&torrent.name));
    assert!(ours::status(&session, index).is_seeding);
    session.close(CLOSE).unwrap();
}

/// IPv6, both ways.
#[test]
fn libtorrent_over_ipv6() {
    let torrent = Torrent::make("six.bin", 2_000_000, 1, &[]);
    let mut seeder = Client::Libtorrent.seed(&torrent, &["--host", "::1"]);
    let address = ([0, 0, 0, 0, 0, 0, 0, 1], seeder.address().port()).into();
    let session = ours::open_with(|s| s.set_str("listen_interfaces", "[::1]:0").unwrap());
    let mut params = ours::params(&torrent, Source::Magnet);
    params.peers = vec![address];
    let index = session.add_torrent(params).unwrap();
    Alerts::default().wait(&session, "metadata_received", "");
    ours::stream_all(&session, index, &torrent);
    drop(seeder);
    session.remove_torrent(index, Default::default()).unwrap();

    let seeding = session.add_torrent(ours::disk_params(&torrent, Source::File, torrent.dir.path())).unwrap();
    ours::until("the seed is checked", || ours::status(&session, seeding).is_seeding);
    let out = TempDir::new();
    let us = format!("[::1]:{}", session.listen_port().unwrap());
    let options = ["--host", "::1", "--peer", &us];
    Client::Libtorrent.leech(&torrent, Source::Magnet, out.path(), &options).wait("done");
    assert_same(&torrent.content(), &out.path().join(&torrent.name));
    session.close(CLOSE).unwrap();
}

/// A seeder dies while its blocks are under way: the reader gets them from the other one.
#[test]
fn one_of_two_seeders_is_killed_in_the_middle_of_a_read() {
    let torrent = Torrent::make("two.bin", 24 << 20, 1, &["--piece-length", "1048576"]);
    let mut first = Client::Libtorrent.seed(&torrent, &["--upload-limit", "4000000"]);
    let mut second = Client::Libtorrent.seed(&torrent, &["--upload-limit", "4000000"]);
    let session = ours::open();
    let mut params = ours::params(&torrent, Source::File);
    params.peers = vec![first.address(), second.address()];
    let index = session.add_torrent(params).unwrap();
    let expected = fs::read(torrent.content()).unwrap();
    let reader = session.open_reader(index, 0, ReaderOptions::default()).unwrap();
    let (before, after) = expected.split_at(8 << 20);
    ours::read_range(&session, &reader, 0, before);
    assert_eq!(senders(&session), 2, "both sent something");
    first.kill();
    ours::read_range(&session, &reader, before.len(), after);
    assert_eq!(senders(&session), 1);
    session.close(CLOSE).unwrap();
}

/// Peers that sent us anything and are still here.
fn senders(session: &Session) -> usize {
    let index = session.torrents().unwrap()[0];
    session.torrent(index).unwrap().peers().unwrap().iter().filter(|p| p.total_download > 0).count()
}
