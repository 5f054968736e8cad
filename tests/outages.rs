//! Peers that go, come back, hang up or speak of something else, over loopback. What they do over minutes is in the simulator.

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::ours::{self, Alerts, CLOSE};
use common::peers::{Source, Torrent};
use elementum_torrent::alert::CloseReason;
use elementum_torrent::session::{ReaderOptions, Session};

fn make() -> Torrent {
    Torrent::make("film.bin", 6_000_000, 1, &["--piece-length", "65536"])
}

/// A session with the reconnects that users have.
fn player(memory: i64) -> Session {
    ours::open_with(|s| {
        s.set_int("memory_limit", memory).unwrap();
        s.set_int("min_reconnect_time", 60).unwrap();
        s.set_int("max_failcount", 3).unwrap();
    })
}

/// A seed that listens there; the port of one that just closed may not be free at once.
fn seed_at(torrent: &Torrent, address: SocketAddr) -> Session {
    let interfaces = address.to_string();
    let (session, _) = ours::seed_with(torrent, |s| s.set_str("listen_interfaces", &interfaces).unwrap());
    assert_eq!(ours::address(&session), address);
    session
}

fn handshake(info_hash: [u8; 20]) -> [u8; 68] {
    let mut bytes = [0; 68];
    bytes[..20].copy_from_slice(b"\x13BitTorrent protocol");
    bytes[28..48].copy_from_slice(&info_hash);
    bytes[48..].copy_from_slice(b"-XX0001-abcdefghijkl");
    bytes
}

fn info_hash(torrent: &Torrent) -> [u8; 20] {
    ours::torrent_file(&torrent.file).info.info_hashes.best().0
}

/// A tracker that names one peer to whoever asks, and counts how often it is asked.
fn tracker(names: SocketAddr) -> (String, Arc<AtomicUsize>) {
    serve_announces(TcpListener::bind("127.0.0.1:0").unwrap(), names)
}

fn serve_announces(listener: TcpListener, names: SocketAddr) -> (String, Arc<AtomicUsize>) {
    let url = format!("http://{}/announce", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4096]);
            count.fetch_add(1, Ordering::Relaxed);
            let mut body = b"d8:intervali1800e12:min intervali900e5:peers6:".to_vec();
            body.extend([127, 0, 0, 1]);
            body.extend(names.port().to_be_bytes());
            body.push(b'e');
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(&[head.as_bytes(), &body].concat());
        }
    });
    (url, asked)
}

/// The only seed goes while somebody reads, and comes back: by then nobody has named it for a while, and the reader has it within
/// seconds all the same. The tracker names a least interval, and is left alone.
#[test]
fn a_reader_has_the_only_seed_again_soon() {
    let torrent = make();
    let (seed, _) = ours::seed(&torrent);
    let address = ours::address(&seed);
    let (url, asked) = tracker(address);
    let session = player(1 << 20);
    let mut params = ours::params(&torrent, Source::File);
    params.trackers = vec![url];
    let index = session.add_torrent(params).unwrap();
    let expected = fs::read(torrent.content()).unwrap();
    let reader = session.open_reader(index, 0, ReaderOptions::default()).unwrap();
    ours::read_range(&session, &reader, 0, &expected[..1_000_000]);
    seed.close(CLOSE).unwrap();
    let from = 4_000_000;
    reader.seek(from as i64, elementum_torrent::session::Whence::Set).unwrap();
    let outage = Duration::from_secs(12);
    let waited = reader.read(&mut [0; 100], Some(outage));
    assert!(waited.is_err(), "nobody is there");
    assert_eq!(asked.load(Ordering::Relaxed), 1, "at the start");
    let seed = seed_at(&torrent, address);
    let back = Instant::now();
    ours::read_range(&session, &reader, from, &expected[from..]);
    assert!(back.elapsed() < Duration::from_secs(12), "{:?}", back.elapsed());
    session.close(CLOSE).unwrap();
    seed.close(CLOSE).unwrap();
}

/// A tracker that is away while a read waits is asked again and again, and soon after it is there.
#[test]
fn a_tracker_that_comes_back_is_asked_soon() {
    let torrent = make();
    let (seed, _) = ours::seed(&torrent);
    let place = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = place.local_addr().unwrap();
    drop(place);
    let session = player(1 << 20);
    let mut params = ours::params(&torrent, Source::File);
    params.trackers = vec![format!("http://{address}/announce")];
    let index = session.add_torrent(params).unwrap();
    let reader = session.open_reader(index, 0, ReaderOptions::default()).unwrap();
    assert!(reader.read(&mut [0; 100], Some(Duration::from_secs(25))).is_err(), "nobody is there");
    let (_, asked) = serve_announces(TcpListener::bind(address).unwrap(), ours::address(&seed));
    let back = Instant::now();
    let expected = fs::read(torrent.content()).unwrap();
    ours::read_range(&session, &reader, 0, &expected[..1_000_000]);
    assert!(back.elapsed() < Duration::from_secs(16), "{:?}", back.elapsed());
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    session.close(CLOSE).unwrap();
    seed.close(CLOSE).unwrap();
}

/// A peer that hung up on us again and again, and then serves, is asked when somebody reads.
#[test]
fn a_reader_is_served_by_who_hung_up_on_us() {
    let torrent = make();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let session = ours::open_for_one_way(|_| ());
    let mut params = ours::params(&torrent, Source::File);
    params.peers = vec![address];
    let index = session.add_torrent(params).unwrap();
    for _ in 0..4 {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(&handshake(info_hash(&torrent))).unwrap();
        stream.read_exact(&mut [0; 68]).unwrap();
    }
    drop(listener);
    let seed = seed_at(&torrent, address);
    let begun = Instant::now();
    ours::stream(&session, index, 0, &torrent.content());
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
    session.close(CLOSE).unwrap();
    seed.close(CLOSE).unwrap();
}

/// Who only wants to know whether we can be reached sends the info-hash and waits.
#[test]
fn the_first_48_bytes_of_a_handshake_are_answered() {
    let torrent = make();
    let (seed, _) = ours::seed(&torrent);
    let mut hello = handshake(info_hash(&torrent));
    for cut in [48, 49, 67, 68] {
        // Somebody else each time.
        hello[60] = cut as u8;
        let mut stream = TcpStream::connect(ours::address(&seed)).unwrap();
        stream.set_read_timeout(Some(ours::READ.unwrap())).unwrap();
        stream.write_all(&hello[..cut]).unwrap();
        let mut theirs = [0; 68];
        stream.read_exact(&mut theirs).unwrap();
        assert_eq!(theirs[28..48], hello[28..48]);
        stream.write_all(&hello[cut..]).unwrap();
        stream.read_exact(&mut [0; 5]).expect("then the connection goes on");
    }
    // Another torrent's, and what is no handshake: not a word. Less than all of the info-hash: none yet.
    let mut noise = hello;
    noise[3] ^= 1;
    for (said, patience) in [(&handshake([7; 20])[..48], 10_000), (&noise[..48], 10_000), (&hello[..47], 300)] {
        let mut stream = TcpStream::connect(ours::address(&seed)).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(patience))).unwrap();
        stream.write_all(said).unwrap();
        let heard = stream.read(&mut [0; 68]);
        assert!(matches!(heard, Ok(0) | Err(_)), "{heard:?}");
    }
    // A magnet that knows nothing yet but its name is reached as well.
    let magnet = ours::open();
    magnet.add_torrent(ours::params(&torrent, Source::Magnet)).unwrap();
    let mut stream = TcpStream::connect(ours::address(&magnet)).unwrap();
    stream.set_read_timeout(Some(ours::READ.unwrap())).unwrap();
    stream.write_all(&hello[..48]).unwrap();
    stream.read_exact(&mut [0; 68]).unwrap();
    magnet.close(CLOSE).unwrap();
    seed.close(CLOSE).unwrap();
}

/// What becomes of a peer that a caller named is told: nobody listens; it hangs up; it speaks of another torrent.
#[test]
fn dials_that_were_asked_for_are_told_of() {
    let torrent = make();
    let session = ours::open_for_one_way(|_| ());
    let index = session.add_torrent(ours::params(&torrent, Source::File)).unwrap();
    let handle = session.torrent(index).unwrap();
    let mut alerts = Alerts::default();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    for answer in [&[][..], &handshake([9; 20]), &[b'x'; 68]] {
        handle.connect_peer(address).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 68]).unwrap();
        stream.write_all(answer).unwrap();
        drop(stream);
        let line = alerts.wait(&session, "peer_disconnected", &address.to_string());
        assert_eq!(line.contains("another torrent"), answer.len() == 68 && answer[0] == 19, "{line}");
    }
    drop(listener);
    handle.connect_peer(address).unwrap();
    alerts.wait(&session, "peer_disconnected", &address.to_string());
    handle.ban_peer(address.ip()).unwrap();
    handle.connect_peer(address).unwrap();
    alerts.wait(&session, "peer_disconnected", &address.to_string());
    session.close(CLOSE).unwrap();
}

/// A peer that is dialled, up to the point where it has our handshake and says nothing yet.
fn met(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = listener.accept().unwrap();
    stream.read_exact(&mut [0; 68]).unwrap();
    stream
}

/// The reason that an alert of the end of a connection gives.
fn reason(line: &str) -> i32 {
    line.split("reason=")
        .nth(1)
        .and_then(|rest| rest.split(' ').next()?.parse().ok())
        .unwrap_or_else(|| panic!("{line}"))
}

/// Nobody who names a peer waits for ever to hear of it: where nothing is dialled, where we dialled ourselves or a peer that is here
/// at another address, and where a peer that is dialled is never heard of again.
#[test]
fn dials_that_come_to_nothing_are_told_of() {
    let torrent = make();
    let session = ours::open_with(|s| s.set_int("handshake_timeout", 1).unwrap());
    let index = session.add_torrent(ours::params(&torrent, Source::File)).unwrap();
    let handle = session.torrent(index).unwrap();
    let mut alerts = Alerts::default();
    let mut ends = |address: SocketAddr| {
        handle.connect_peer(address).unwrap();
        reason(&alerts.wait(&session, "peer_disconnected", &address.to_string()))
    };
    let listener = || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    };
    assert_eq!(ends(ours::address(&session)), CloseReason::SelfConnection as i32);
    let (_silent, address) = listener();
    assert_eq!(ends(address), CloseReason::TimedOutHandshake as i32);
    let (first, address) = listener();
    handle.connect_peer(address).unwrap();
    let mut here = met(&first);
    here.write_all(&handshake(info_hash(&torrent))).unwrap();
    ours::until("it is here", || ours::status(&session, index).num_peers == 1);
    let (second, address) = listener();
    let hash = info_hash(&torrent);
    let answering = thread::spawn(move || {
        let mut same = met(&second);
        same.write_all(&handshake(hash)).unwrap();
        same
    });
    assert_eq!(ends(address), CloseReason::DuplicatePeerId as i32);
    drop(answering.join().unwrap());
    let mut settings = session.settings().unwrap();
    let (later, address) = listener();
    settings.set_bool("enable_outgoing_tcp", false).unwrap();
    session.apply_settings(&settings).unwrap();
    assert_eq!(ends(address), CloseReason::None as i32, "by uTP nobody is there");
    settings.set_bool("enable_outgoing_utp", false).unwrap();
    session.apply_settings(&settings).unwrap();
    assert_eq!(ends(address), CloseReason::ProtocolBlocked as i32);
    // It is not forgotten for that.
    settings.set_bool("enable_outgoing_tcp", true).unwrap();
    session.apply_settings(&settings).unwrap();
    drop(met(&later));
    session.close(CLOSE).unwrap();
}

/// Who is banned while a dial was asked for is told of: where it had not begun, while it is under way, and when it comes to nothing.
#[test]
fn dials_of_who_is_banned_meanwhile_are_told_of() {
    let torrent = make();
    for when in 0..3 {
        let session = ours::open();
        let index = session.add_torrent(ours::params(&torrent, Source::File)).unwrap();
        let handle = session.torrent(index).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut alerts = Alerts::default();
        if when == 0 {
            handle.pause().unwrap();
        }
        handle.connect_peer(address).unwrap();
        let stream = (when > 0).then(|| met(&listener));
        handle.ban_peer(address.ip()).unwrap();
        if let Some(mut stream) = stream.filter(|_| when == 1) {
            stream.write_all(&handshake(info_hash(&torrent))).unwrap();
            alerts.wait(&session, "peer_disconnected", &address.to_string());
            assert_eq!(stream.read(&mut [0; 100]).unwrap(), 0, "it is not let in");
        } else {
            alerts.wait(&session, "peer_disconnected", &address.to_string());
        }
        assert_eq!(alerts.count(&session, "peer_disconnected", ""), 1, "{:#?}", alerts.heard);
        session.close(CLOSE).unwrap();
    }
}

/// One seed has no use for another, but a caller who wants them to meet is told each time that they did.
#[test]
fn a_seed_dials_the_seed_that_a_caller_names() {
    let torrent = make();
    let ((session, index), (other, of_other)) = (ours::seed(&torrent), ours::seed(&torrent));
    let mut alerts = Alerts::default();
    let address = ours::address(&other);
    let theirs = other.torrent(of_other).unwrap();
    for _ in 0..3 {
        session.torrent(index).unwrap().connect_peer(address).unwrap();
        alerts.wait(&session, "peer_connect", &address.to_string());
        ours::until("that it is a seed is known", || ours::status(&session, index).num_seeds == 1);
        theirs.pause().unwrap();
        alerts.wait(&session, "peer_disconnected", &address.to_string());
        theirs.resume().unwrap();
    }
    session.close(CLOSE).unwrap();
    other.close(CLOSE).unwrap();
}
