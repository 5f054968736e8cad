//! Several torrents and several peers, some of them bad, and little memory for all of them.

mod common;
#[path = "../benches/src/content.rs"]
mod content;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use common::ours::{self, Alerts, CLOSE};
use common::peers::{Client, Source, Torrent, plain_seeder};
use common::temp::{TempDir, assert_same};
use content::Content;
use elementum_torrent::metainfo::Magnet;
use elementum_torrent::session::{AddTorrentParams, ReaderOptions, Session, StorageIndex, TorrentSource};

fn add(session: &Session, torrent: &Torrent, peer: SocketAddr) -> StorageIndex {
    let mut params = ours::params(torrent, Source::File);
    params.peers = vec![peer];
    session.add_torrent(params).unwrap()
}

/// A seed whose memory holds sixteen blocks serves three leechers at once, two of ours and another client.
#[test]
fn a_seed_with_hardly_any_memory_serves_everybody() {
    let torrent = Torrent::make("big.bin", 12_000_000, 1, &[]);
    let (seeder, _) = ours::seed_with(&torrent, |s| s.set_int("memory_limit", 256 << 10).unwrap());
    let to = TempDir::new();
    let address = ours::address(&seeder);
    let mut other = Client::Libtorrent.leech(&torrent, Source::File, to.path(), &["--peer", &address.to_string()]);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let session = ours::open();
                let index = add(&session, &torrent, address);
                ours::stream(&session, index, 0, &torrent.content());
                session.close(CLOSE).unwrap();
            });
        }
    });
    other.wait("done");
    assert_same(&torrent.content(), &to.path().join(&torrent.name));
    let stats = seeder.stats().unwrap();
    assert!(stats.memory_peak <= 256 << 10, "{stats:?}");
    seeder.close(CLOSE).unwrap();
}

/// A download to disk through memory for four pieces.
#[test]
fn disk_storage_needs_little_memory() {
    let torrent = Torrent::make("big.bin", 30_000_000, 3, &[]);
    let (seeder, _) = ours::seed(&torrent);
    let to = TempDir::new();
    let session = ours::open_with(|s| s.set_int("memory_limit", 1 << 20).unwrap());
    let mut params = ours::disk_params(&torrent, Source::File, to.path());
    params.peers = vec![ours::address(&seeder)];
    let index = session.add_torrent(params).unwrap();
    // And somebody reads it meanwhile.
    ours::stream_all(&session, index, &torrent);
    Alerts::default().wait(&session, "torrent_finished", "");
    assert_same(&torrent.content(), &to.path().join(&torrent.name));
    let stats = session.stats().unwrap();
    assert!(stats.memory_peak <= 1 << 20, "{stats:?}");
    session.close(CLOSE).unwrap();
    seeder.close(CLOSE).unwrap();
}

/// Readers of three torrents share one limit, which is lowered while they read.
#[test]
fn torrents_share_the_memory_and_the_limit_can_be_lowered() {
    let torrents = [1, 2, 3].map(|n| {
        let name = format!("film{n}.bin");
        Torrent::make(&name, 12_000_000, 1, &["--piece-length", "131072", "--random-seed", &n.to_string()])
    });
    let session = ours::open_with(|s| s.set_int("memory_limit", 12 << 20).unwrap());
    let seeders: Vec<_> = torrents
        .iter()
        .map(|torrent| {
            let (seeder, _) = ours::seed(torrent);
            let index = add(&session, torrent, ours::address(&seeder));
            (seeder, index)
        })
        .collect();
    thread::scope(|scope| {
        for (torrent, (_, index)) in torrents.iter().zip(&seeders) {
            scope.spawn(|| ours::stream(&session, *index, 0, &torrent.content()));
        }
        thread::sleep(Duration::from_millis(100));
        for limit in [6 << 20, 3 << 20, 2 << 20] {
            session.set_memory_limit(limit).unwrap();
            let held = || session.stats().unwrap().memory_charged <= limit;
            assert!(ours::within(Duration::from_secs(5), held), "{:?}", session.stats());
        }
    });
    // What one reader holds that reads no more is there for the others.
    let idle = session.open_reader(seeders[0].1, 0, ReaderOptions::default()).unwrap();
    ours::read_range(&session, &idle, 0, &fs::read(torrents[0].content()).unwrap()[..1_000_000]);
    ours::stream(&session, seeders[1].1, 0, &torrents[1].content());
    session.close(CLOSE).unwrap();
    seeders.iter().for_each(|(seeder, _)| seeder.close(CLOSE).unwrap());
}

/// What one session streamed into its memory, another streams from there when the seed is gone.
#[test]
fn memory_is_served_to_others() {
    let torrent = Torrent::make("film.bin", 6_000_000, 1, &[]);
    let (seeder, _) = ours::seed(&torrent);
    let middle = ours::open();
    let index = add(&middle, &torrent, ours::address(&seeder));
    let reader = middle.open_reader(index, 0, ReaderOptions::default()).unwrap();
    ours::read_range(&middle, &reader, 0, &fs::read(torrent.content()).unwrap());
    seeder.close(CLOSE).unwrap();
    let last = ours::open();
    let index = add(&last, &torrent, ours::address(&middle));
    ours::stream(&last, index, 0, &torrent.content());
    last.close(CLOSE).unwrap();
    middle.close(CLOSE).unwrap();
}

/// Every tenth block of one seeder is wrong. No wrong byte is read, it is banned, and the other one serves the rest.
#[test]
fn a_seeder_of_wrong_blocks_is_banned_and_harms_nobody() {
    const SIZE: u64 = 20_000_000;
    let dir = TempDir::new();
    let options = ["--piece-length", "131072", "--seed", "4"];
    let (mut good, file) = plain_seeder(dir.path(), SIZE, &[&options[..], &["--rate", "10000000"]].concat());
    let (mut bad, _) = plain_seeder(&dir.dir("bad"), SIZE, &[&options[..], &["--corrupt", "10"]].concat());
    let (good, bad) = (good.address(), bad.address());
    let session = ours::open();
    let mut params = AddTorrentParams::new(TorrentSource::File(ours::torrent_file(&file)));
    params.peers = vec![bad, good];
    let index = session.add_torrent(params).unwrap();
    let reader = session.open_reader(index, 0, ReaderOptions::default()).unwrap();
    let mut expected = vec![0; SIZE as usize];
    Content::new(4, SIZE).read(0, &mut expected);
    ours::read_range(&session, &reader, 0, &expected);
    let mut alerts = Alerts::default();
    alerts.wait(&session, "hash_failed", "");
    alerts.wait(&session, "peer_ban", &bad.to_string());
    assert_eq!(alerts.count(&session, "peer_ban", &good.to_string()), 0, "{:#?}", alerts.heard);
    session.close(CLOSE).unwrap();
}

/// A peer that a magnet names by its host name.
#[test]
fn a_magnet_may_name_a_peer_by_name() {
    let torrent = Torrent::make("named.bin", 500_000, 1, &[]);
    let (seeder, _) = ours::seed(&torrent);
    let magnet = format!("{}&x.pe=localhost:{}", torrent.magnet, seeder.listen_port().unwrap());
    let session = ours::open();
    let source = TorrentSource::Magnet(Magnet::parse(&magnet).unwrap());
    let index = session.add_torrent(AddTorrentParams::new(source)).unwrap();
    Alerts::default().wait(&session, "metadata_received", "");
    ours::stream(&session, index, 0, &torrent.content());
    session.close(CLOSE).unwrap();
    seeder.close(CLOSE).unwrap();
}

/// Strangers who send nonsense, or nothing, or half a handshake, disturb nobody.
#[test]
fn nonsense_disturbs_nobody() {
    let torrent = Torrent::make("calm.bin", 3_000_000, 1, &[]);
    let (seeder, seeding) = ours::seed(&torrent);
    let address = ours::address(&seeder);
    let hash: Vec<u8> =
        (0..40).step_by(2).map(|at| u8::from_str_radix(&torrent.info_hash[at..at + 2], 16).unwrap()).collect();
    let mut handshake = b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\x05".to_vec();
    handshake.extend(&hash);
    let mut rng = fastrand::Rng::with_seed(8);
    let mut silent = Vec::new();
    for n in 0..60u32 {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut noise = vec![0; rng.usize(0..200_000)];
        rng.fill(&mut noise);
        if n % 4 != 0 {
            stream.write_all(&handshake).unwrap();
            stream.write_all(format!("-XX0000-{n:012}").as_bytes()).unwrap();
        }
        match n % 4 {
            // Not a handshake at all; or one, and then noise, of whatever length; or a message that is far too long.
            0 | 1 => drop(stream.write_all(&noise)),
            2 => drop(stream.write_all(&[0xff; 64])),
            _ => silent.push(stream),
        }
    }
    for part in [&handshake[..], &handshake[..10], b""] {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(part).unwrap();
        silent.push(stream);
    }
    let session = ours::open();
    let index = add(&session, &torrent, address);
    let began = Instant::now();
    ours::stream(&session, index, 0, &torrent.content());
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(ours::status(&seeder, seeding).error.is_none());
    session.close(CLOSE).unwrap();
    // A stranger is answered by the torrent's handshake, and by nothing else than the protocol.
    let mut reply = [0; 68];
    silent[0].read_exact(&mut reply).unwrap();
    assert_eq!((&reply[..20], &reply[28..48]), (&b"\x13BitTorrent protocol"[..], &hash[..]));
    seeder.close(CLOSE).unwrap();
}
