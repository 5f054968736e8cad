//! Peers of no good will, over real sockets: what they send and hold costs the session little, and nobody else anything.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::alone::{alone, memory};
use common::ours::{self, CLOSE};
use common::peers::{Source, Torrent};
use common::temp::TempDir;
use elementum_torrent::session::{Session, StorageIndex};
use elementum_torrent::wire::{BlockRequest, ExtendedHandshake, Handshake, Message};
use socket2::{Domain, Socket, Type};

const MIB: u64 = 1 << 20;

/// A connection from 127.0.0.`last`.
fn connect(session: &Session, last: u8) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0)).into()).unwrap();
    socket.connect(&ours::address(session).into()).unwrap();
    socket.into()
}

fn handshake(torrent: &Torrent, id: u16) -> Vec<u8> {
    let hash = ours::torrent_file(&torrent.file).info.info_hashes.best();
    let mut peer_id = [b'x'; 20];
    peer_id[..2].copy_from_slice(&id.to_be_bytes());
    Handshake::new(hash, peer_id, false).encode().to_vec()
}

/// A peer that was let in: it got our handshake.
fn join(session: &Session, torrent: &Torrent, last: u8, id: u16) -> Option<TcpStream> {
    let mut stream = connect(session, last);
    stream.write_all(&handshake(torrent, id)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.read_exact(&mut [0; 68]).ok()?;
    Some(stream)
}

fn encoded(messages: impl IntoIterator<Item = Message>) -> Vec<u8> {
    let mut bytes = Vec::new();
    messages.into_iter().for_each(|m| m.encode(&mut bytes));
    bytes
}

/// Sends `bytes` again and again, `total` in all, and never reads. Ends when they will not be taken any more; how many went.
fn pour(stream: &mut TcpStream, bytes: &[u8], total: u64) -> u64 {
    stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut sent = 0;
    while sent < total {
        match stream.write(bytes) {
            Ok(0) => break,
            Ok(n) => sent += n as u64,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(_) => break,
        }
    }
    sent
}

/// Streams the whole torrent from the seed.
fn streams(seeder: &Session, torrent: &Torrent) {
    let session = ours::open();
    let mut params = ours::params(torrent, Source::File);
    params.peers = vec![ours::address(seeder)];
    let index = session.add_torrent(params).unwrap();
    ours::stream(&session, index, 0, &torrent.content());
    session.close(CLOSE).unwrap();
}

fn seed(torrent: &Torrent) -> (Session, StorageIndex) {
    ours::seed_with(torrent, |s| s.set_int("unchoke_slots_limit", 8).unwrap())
}

/// 200 MB of each from a peer that never reads, as far as they are taken: memory stays as it is, and others are served.
#[test]
fn floods_leave_no_memory_behind() {
    alone("floods_leave_no_memory_behind", || {
        let torrent = Torrent::make("flooded.bin", 4_000_000, 1, &[]);
        let (seeder, index) = seed(&torrent);
        streams(&seeder, &torrent);
        let request = |n: u32| Message::Request(BlockRequest { piece: n % 2, begin: 0, length: 16 * 1024 });
        let hello = |n: u16| {
            let hello = ExtendedHandshake { p: Some(n), yourip: Some([9, 9, 9, n as u8].into()), ..Default::default() };
            Message::Extended { id: 0, payload: hello.encode() }
        };
        let floods = [
            ("requests", encoded((0..4000).map(request))),
            ("interest", encoded((0..4000).flat_map(|_| [Message::Interested, Message::NotInterested]))),
            ("hellos", encoded((1..4000).map(hello))),
            ("keep-alives", encoded((0..16_000).map(|_| Message::KeepAlive))),
            ("an unknown extension", encoded([Message::Extended { id: 77, payload: vec![0; 200_000] }])),
        ];
        let before = memory("VmRSS");
        let mut open = Vec::new();
        for (n, (name, bytes)) in (0u16..).zip(&floods) {
            let mut stream = join(&seeder, &torrent, 1, n).expect("let in");
            let sent = pour(&mut stream, bytes, 200_000_000);
            let grown = memory("VmRSS").saturating_sub(before);
            println!("measured {name}: {} KiB taken, {} KiB grown", sent / 1024, grown / 1024);
            assert!(grown < 16 * MIB, "{name}: {} MiB", grown / MIB);
            assert!(sent < 100_000_000, "{name}: all of it is read");
            assert!(ours::status(&seeder, index).list_peers < 20, "the list of peers");
            open.push(stream);
        }
        streams(&seeder, &torrent);
        seeder.close(CLOSE).unwrap();
    });
}

/// Parts of handshakes, then silence, more than there are places: who comes meanwhile is let in, from elsewhere or from the same address,
/// and the session dials.
#[test]
fn half_handshakes_keep_nobody_out() {
    let torrent = Torrent::make("half.bin", 1_000_000, 1, &[]);
    let (seeder, index) = seed(&torrent);
    // Also such as are answered already.
    for (last, length) in [(1, 20), (2, 20), (1, 0), (2, 47), (1, 48), (2, 67)] {
        let half = handshake(&torrent, 0)[..length].to_vec();
        let waiting: Vec<TcpStream> = (0..300)
            .map(|_| {
                let mut stream = connect(&seeder, last);
                let _ = stream.write_all(&half);
                stream
            })
            .collect();
        assert!(join(&seeder, &torrent, 1, 7).is_some(), "the same address, {length} bytes");
        assert!(join(&seeder, &torrent, 3, 8).is_some(), "another one, {length} bytes");
        streams(&seeder, &torrent);
        drop(waiting);
    }
    assert_eq!(seeder.stats().unwrap().half_open, 0);
    assert!(seeder.torrent(index).is_ok());
    seeder.close(CLOSE).unwrap();
}

/// All places are taken by peers that say nothing: one that is dialled connects at once, and one that comes a little later.
#[test]
fn silent_peers_keep_nobody_out() {
    let torrent = Torrent::make("silent.bin", 1_000_000, 1, &[]);
    let (seeder, _) = seed(&torrent);
    let session = ours::open_with(|s| {
        s.set_int("connections_limit", 40).unwrap();
        s.set_int("max_connections_per_torrent", 1000).unwrap();
    });
    let index = session.add_torrent(ours::params(&torrent, Source::File)).unwrap();
    let silent: Vec<TcpStream> = (0..60).filter_map(|n| join(&session, &torrent, 2, n)).collect();
    ours::until("all places are taken that one may have who comes", || ours::status(&session, index).num_peers == 35);
    let began = Instant::now();
    session.torrent(index).unwrap().connect_peer(ours::address(&seeder)).unwrap();
    ours::until("the seed is dialled", || ours::status(&session, index).num_peers == 36);
    println!("measured: dialled after {:?}", began.elapsed());
    ours::stream(&session, index, 0, &torrent.content());
    ours::until("another one comes", || {
        let Some(mut stream) = join(&session, &torrent, 3, 1000) else { return false };
        // Let in, not only greeted: the first message comes too.
        stream.read_exact(&mut [0; 5]).is_ok()
    });
    drop(silent);
    session.close(CLOSE).unwrap();
    seeder.close(CLOSE).unwrap();
}

/// Under a limit, torrent's or session's, peers that send nothing of use, are closed for it and come again take nothing worth
/// mentioning from the one that serves.
#[test]
fn junk_does_not_use_up_a_download_limit() {
    const LIMIT: u64 = 1_000_000;
    let torrent = Torrent::make("limited.bin", 60_000_000, 1, &[]);
    let (seeder, _) = ours::seed(&torrent);
    let to = TempDir::new();
    let session = ours::open();
    let mut params = ours::disk_params(&torrent, Source::File, to.path());
    params.peers = vec![ours::address(&seeder)];
    params.download_limit = LIMIT as u32;
    let index = session.add_torrent(params).unwrap();
    let payload = || session.stats().unwrap().total_payload_download;
    ours::until("it is served", || payload() > 100_000);

    let over = AtomicBool::new(false);
    let came = AtomicU16::new(0);
    let no_such = |n: u32| Message::Request(BlockRequest { piece: u32::MAX - n, begin: n, length: 77 });
    let junk = encoded((0..300).map(no_such));
    let mut shares = Vec::new();
    thread::scope(|scope| {
        for last in 2..6 {
            let (session, torrent, junk, over, came) = (&session, &torrent, &junk, &over, &came);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    if let Some(mut stream) = join(session, torrent, last, came.fetch_add(1, Ordering::Relaxed)) {
                        pour(&mut stream, junk, 10_000_000);
                    }
                }
            });
        }
        for limited in ["the torrent", "the session"] {
            if limited == "the session" {
                let mut settings = session.settings().unwrap();
                settings.set_int("download_rate_limit", LIMIT as i64).unwrap();
                session.apply_settings(&settings).unwrap();
                session.torrent(index).unwrap().set_limits(Some(0), None, None, None).unwrap();
            }
            // Where the machine is busy, a little later.
            let share = (0..5).map(|_| {
                thread::sleep(Duration::from_secs(1));
                let (began, before) = (Instant::now(), payload());
                thread::sleep(Duration::from_secs(3));
                let share = (payload() - before) as f64 / began.elapsed().as_secs_f64() / LIMIT as f64;
                println!("measured {share:.2} of the limit of {limited}, {} came", came.load(Ordering::Relaxed));
                share
            });
            shares.push((limited, share.into_iter().find(|share| *share >= 0.9)));
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(shares.iter().all(|(_, share)| share.is_some()), "{shares:?}");
    assert!(came.load(Ordering::Relaxed) > 20, "nobody came again");
    session.close(CLOSE).unwrap();
    seeder.close(CLOSE).unwrap();
}
