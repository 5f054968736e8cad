//! What the header says of a session, its torrents' status, its settings and its alerts, with real connections on loopback.

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use common::ours::{self, Alerts, CLOSE};
use common::peers::{Source, Torrent};
use common::temp::TempDir;
use elementum_torrent::metainfo::Magnet;
use elementum_torrent::session::{
    AddTorrentParams, Reader, ReaderOptions, RemoveFlags, Session, SessionStats, StorageIndex, TorrentSource, Whence,
};
use elementum_torrent::settings::{Value, descriptors};

fn film() -> Torrent {
    Torrent::make("film.bin", 1_000_000, 1, &["--piece-length", "65536"])
}

/// Fetches the torrent from the seeder.
fn fetch(session: &Session, torrent: &Torrent, seeder: &Session) -> StorageIndex {
    let mut params = ours::params(torrent, Source::File);
    params.peers = vec![ours::address(seeder)];
    let index = session.add_torrent(params).unwrap();
    ours::stream(session, index, 0, &torrent.content());
    index
}

/// What only grows.
fn counted(s: &SessionStats) -> [u64; 8] {
    [
        s.total_download,
        s.total_upload,
        s.total_payload_download,
        s.total_payload_upload,
        s.hash_failures,
        s.redundant_bytes,
        s.all_time_download,
        s.all_time_upload,
    ]
}

/// The session's totals are those since it opened: no torrent takes its own along.
#[test]
fn totals_of_the_session_never_fall() {
    let torrent = film();
    let (seeder, seeded) = ours::seed(&torrent);
    let session = ours::open();
    let size = 1_000_000;
    let seen = Arc::new(AtomicU64::new(0));
    let (watched, last) = (session.clone(), seen.clone());
    let watching = thread::spawn(move || {
        let mut before = [0; 8];
        while let Ok(stats) = watched.stats() {
            let now = counted(&stats);
            assert!(before.iter().zip(&now).all(|(before, now)| before <= now), "{before:?} then {now:?}");
            before = now;
            last.store(now[2], Ordering::Release);
        }
    });
    for round in 1..=3 {
        let index = fetch(&session, &torrent, &seeder);
        let stats = session.stats().unwrap();
        assert!(stats.total_payload_download >= round * size, "{stats:?}");
        session.remove_torrent(index, RemoveFlags::empty()).unwrap();
        let left = session.stats().unwrap();
        assert!(left.num_torrents == 0 && left.total_payload_download >= round * size, "{left:?}");
        assert!(left.total_download > left.total_payload_download && left.total_upload > 0, "{left:?}");
    }
    ours::until("the seeder has counted it", || seeder.stats().unwrap().total_payload_upload >= 3 * size);
    seeder.remove_torrent(seeded, RemoveFlags::empty()).unwrap();
    assert!(seeder.stats().unwrap().total_payload_upload >= 3 * size);
    ours::until("all of it was watched", || seen.load(Ordering::Acquire) >= 3 * size);
    session.close(CLOSE).unwrap();
    watching.join().unwrap();
    seeder.close(CLOSE).unwrap();
}

/// The counters of a saved state go on from session to session, whoever opens them with it.
#[test]
fn saved_counters_go_on() {
    let torrent = film();
    let (seeder, _) = ours::seed(&torrent);
    let mut state = Vec::new();
    let mut before = 0;
    for round in 1..=3 {
        let session = Session::open(Some(ours::settings()), &state).unwrap();
        assert_eq!(session.stats().unwrap().all_time_download, before);
        assert_eq!(session.stats().unwrap().total_payload_download, 0, "this one's own");
        assert!(session.torrents().unwrap().is_empty(), "they are not in it");
        let index = fetch(&session, &torrent, &seeder);
        if round == 2 {
            session.remove_torrent(index, RemoveFlags::empty()).unwrap();
        }
        state = session.save_state().unwrap();
        before = session.stats().unwrap().all_time_download;
        assert!(before >= round * 1_000_000, "{before} after {round}");
        session.close(CLOSE).unwrap();
    }
    seeder.close(CLOSE).unwrap();
}

/// A peer that came by itself was here, though it has left.
#[test]
fn has_incoming_is_not_forgotten() {
    let torrent = film();
    let (seeder, seeded) = ours::seed(&torrent);
    assert!(!ours::status(&seeder, seeded).has_incoming);
    let session = ours::open();
    let index = fetch(&session, &torrent, &seeder);
    assert!(ours::status(&seeder, seeded).has_incoming);
    assert!(!ours::status(&session, index).has_incoming, "this one dialled");
    session.close(CLOSE).unwrap();
    ours::until("it has left", || ours::status(&seeder, seeded).num_peers == 0);
    assert!(ours::status(&seeder, seeded).has_incoming);
    seeder.torrent(seeded).unwrap().pause().unwrap();
    assert!(ours::status(&seeder, seeded).has_incoming);
    seeder.close(CLOSE).unwrap();
}

/// Comes to a session by itself, for this torrent and as this peer.
fn knock(session: &Session, info_hash: [u8; 20], id: u8) -> TcpStream {
    let mut stream = TcpStream::connect(ours::address(session)).unwrap();
    let hello = [b"\x13BitTorrent protocol".as_slice(), &[0; 8], &info_hash, &[id; 20]].concat();
    stream.write_all(&hello).unwrap();
    stream
}

fn info_hash(torrent: &Torrent) -> [u8; 20] {
    ours::torrent_file(&torrent.file).info.info_hashes.best().0
}

/// It is the torrent's own: who comes for another one, or was dialled, is not it; and who comes before the metadata is.
#[test]
fn has_incoming_is_of_who_came_for_the_torrent() {
    let (torrent, other) = (film(), Torrent::make("other.bin", 100_000, 2, &[]));
    let session = ours::open();
    let magnet = session.add_torrent(ours::params(&torrent, Source::Magnet)).unwrap();
    let beside = session.add_torrent(ours::params(&other, Source::File)).unwrap();
    let has = |index| ours::status(&session, index).has_incoming;
    // Nobody's torrent, and half a handshake.
    let _stranger = knock(&session, [7; 20], b'a');
    let mut half = TcpStream::connect(ours::address(&session)).unwrap();
    half.write_all(b"\x13BitTorrent protocol").unwrap();
    // One that we dial.
    let peer = TcpListener::bind("127.0.0.1:0").unwrap();
    session.torrent(magnet).unwrap().connect_peer(peer.local_addr().unwrap()).unwrap();
    let dialled = meet(&peer, b'b');
    ours::until("the dial went well", || ours::status(&session, magnet).num_peers == 1);
    assert!(!has(magnet) && !has(beside));
    let came = knock(&session, info_hash(&torrent), b'c');
    ours::until("it came", || ours::status(&session, magnet).num_peers == 2);
    assert!(has(magnet) && !has(beside));
    drop((came, dialled));
    ours::until("all have left", || ours::status(&session, magnet).num_peers == 0);
    // What is added anew begins anew.
    session.remove_torrent(magnet, RemoveFlags::empty()).unwrap();
    let again = session.add_torrent(ours::params(&torrent, Source::File)).unwrap();
    assert!(!has(again));
    session.close(CLOSE).unwrap();
}

/// A torrent lets in as many as its own limit says; where that is 0, as the settings say now.
#[test]
fn a_limit_of_none_is_that_of_the_settings() {
    let torrent = film();
    let session = ours::open_with(|s| s.set_int("max_connections_per_torrent", 2).unwrap());
    let index = session.add_torrent(ours::params(&torrent, Source::File)).unwrap();
    let mut inside = Vec::new();
    let mut next = 0;
    let mut lets_in = |most: usize| {
        for _ in 0..3 {
            next += 1;
            inside.push(knock(&session, info_hash(&torrent), next));
        }
        ours::until("as many as may", || ours::status(&session, index).num_peers as usize == most);
        thread::sleep(Duration::from_millis(200));
        assert_eq!(ours::status(&session, index).num_peers as usize, most, "one more than is allowed");
    };
    let limit = |n| session.torrent(index).unwrap().set_limits(None, None, Some(n), None).unwrap();
    let setting = |n| change(&session, "max_connections_per_torrent", Value::Int(n));
    lets_in(2);
    limit(4);
    lets_in(4);
    // Its own holds, whatever the settings say.
    setting(6);
    lets_in(4);
    limit(0);
    assert_eq!(ours::status(&session, index).max_connections, 0);
    lets_in(6);
    setting(7);
    lets_in(7);
    session.close(CLOSE).unwrap();
}

/// The head of a request.
fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Changes one setting of a session that runs.
fn change(session: &Session, key: &str, value: Value<'_>) {
    let mut settings = session.settings().unwrap();
    match value {
        Value::Int(n) => settings.set_int(key, n).unwrap(),
        Value::Bool(on) => settings.set_bool(key, on).unwrap(),
        Value::Str(text) => settings.set_str(key, text).unwrap(),
    }
    session.apply_settings(&settings).unwrap();
}

/// A session with a torrent of that tracker.
fn tracked_by(tracker: &TcpListener) -> (Session, StorageIndex) {
    let session = ours::open();
    let mut params = ours::params(&film(), Source::File);
    params.trackers = vec![format!("http://{}/announce", tracker.local_addr().unwrap())];
    let index = session.add_torrent(params).unwrap();
    (session, index)
}

/// The tracker's answer to the next announce. What the announce said.
fn answer(tracker: &TcpListener) -> String {
    let (mut stream, _) = tracker.accept().unwrap();
    let head = head(&mut stream);
    stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nd8:intervali1800e5:peers0:e").unwrap();
    head
}

/// The next announce, asked for once the one before is over.
fn announce_again(session: &Session, index: StorageIndex, tracker: &TcpListener) -> String {
    let handle = session.torrent(index).unwrap();
    ours::until("the announce before it is over", || !handle.trackers().unwrap()[0].updating);
    handle.force_reannounce().unwrap();
    answer(tracker)
}

/// What trackers are told follows the settings from the next announce on.
#[test]
fn trackers_hear_of_settings_at_once() {
    let tracker = TcpListener::bind("127.0.0.1:0").unwrap();
    let (session, index) = tracked_by(&tracker);
    answer(&tracker);
    for (key, value, expected) in [
        ("user_agent", Value::Str("player/1"), "player/1"),
        ("user_agent", Value::Str("player/2"), "player/2"),
        ("num_want", Value::Int(7), "&numwant=7"),
        ("num_want", Value::Int(0), "&numwant=0"),
        ("announce_ip", Value::Str("192.0.2.7"), "&ip=192.0.2.7"),
    ] {
        change(&session, key, value);
        let head = announce_again(&session, index, &tracker);
        assert!(head.contains(expected), "no {expected} in {head}");
    }
    drop(tracker);
    session.close(CLOSE).unwrap();
}

/// `announce_port` is what trackers are told from the moment it is set; 0 is the port that is listened on.
#[test]
fn trackers_hear_of_the_announce_port_at_once() {
    let tracker = TcpListener::bind("127.0.0.1:0").unwrap();
    let (session, index) = tracked_by(&tracker);
    let listens = session.listen_port().unwrap();
    assert!(answer(&tracker).contains(&format!("&port={listens}&")));
    for port in [4711, 4712, 0] {
        change(&session, "announce_port", Value::Int(port));
        let expected = if port == 0 { i64::from(listens) } else { port };
        let head = announce_again(&session, index, &tracker);
        assert!(head.contains(&format!("&port={expected}&")), "{head}");
    }
    session.close(Some(Duration::ZERO)).ok();
    drop(tracker);
    session.close(CLOSE).unwrap();
}

/// A peer that is dialled, up to its handshake: that of the one who dialled, with another peer id.
fn meet(peer: &TcpListener, id: u8) -> TcpStream {
    let (mut stream, _) = peer.accept().unwrap();
    let mut hello = [0; 68];
    stream.read_exact(&mut hello).unwrap();
    hello[48..].fill(id);
    stream.write_all(&hello).unwrap();
    stream
}

/// What peers are told in the extended handshake (BEP 10) follows the settings from the next peer on: the port to dial, who we are,
/// how many requests we keep, whether we exchange peers.
#[test]
fn peers_hear_of_settings_at_once() {
    let torrent = film();
    let session = ours::open();
    let index = session.add_torrent(ours::params(&torrent, Source::File)).unwrap();
    let listens = format!("1:pi{}e", session.listen_port().unwrap());
    let told = [
        ("announce_port", Value::Int(4713), "1:pi4713e"),
        ("announce_port", Value::Int(0), &listens),
        ("user_agent", Value::Str("player/1"), "1:v8:player/1"),
        ("handshake_client_version", Value::Str("Film 2"), "1:v6:Film 2"),
        ("max_allowed_in_request_queue", Value::Int(77), "4:reqqi77e"),
        // It is the last of them by name: then the list ends before it.
        ("enable_pex", Value::Bool(false), "11:ut_metadatai2ee"),
    ];
    for (id, (key, value, expected)) in (b'a'..).zip(told) {
        change(&session, key, value);
        let peer = TcpListener::bind("127.0.0.1:0").unwrap();
        session.torrent(index).unwrap().connect_peer(peer.local_addr().unwrap()).unwrap();
        let mut stream = meet(&peer, id);
        let mut heard = Vec::new();
        while !heard.windows(expected.len()).any(|w| w == expected.as_bytes()) {
            let mut more = [0; 1024];
            let n = stream.read(&mut more).unwrap();
            assert!(n > 0, "no {expected} in {:?}", String::from_utf8_lossy(&heard));
            heard.extend_from_slice(&more[..n]);
        }
    }
    session.close(CLOSE).unwrap();
}

/// `anonymous_mode`: no client version, no address, no fingerprint, and a user agent that many have. Each torrent has a peer id of its own.
#[test]
fn an_anonymous_session_does_not_say_which_client_it_is() {
    let tracker = TcpListener::bind("127.0.0.1:0").unwrap();
    let (session, named) = tracked_by(&tracker);
    let head = answer(&tracker);
    assert!(head.contains("&peer_id=-EL") && head.contains("libelementum_torrent/"), "{head}");
    change(&session, "announce_ip", Value::Str("192.0.2.7"));
    change(&session, "anonymous_mode", Value::Bool(true));
    let head = announce_again(&session, named, &tracker);
    let known = head.contains("libelementum") || head.contains("192.0.2.7");
    assert!(!known && head.to_ascii_lowercase().contains("user-agent: curl/"), "{head}");
    // A torrent that is there keeps its id: trackers know it by that.
    assert!(head.contains("&peer_id=-EL"), "{head}");

    let hello_of = |torrent: &Torrent| {
        let index = session.add_torrent(ours::params(torrent, Source::File)).unwrap();
        let peer = TcpListener::bind("127.0.0.1:0").unwrap();
        session.torrent(index).unwrap().connect_peer(peer.local_addr().unwrap()).unwrap();
        let (mut stream, _) = peer.accept().unwrap();
        let mut hello = [0; 68];
        stream.read_exact(&mut hello).unwrap();
        let id: [u8; 20] = hello[48..].try_into().unwrap();
        hello[48..].fill(b'x');
        stream.write_all(&hello).unwrap();
        let mut heard = Vec::new();
        // The extended handshake's last entry.
        while !heard.windows(8).any(|w| w == b"6:yourip") {
            let mut more = [0; 1024];
            let n = stream.read(&mut more).unwrap();
            assert!(n > 0);
            heard.extend_from_slice(&more[..n]);
        }
        (id, String::from_utf8_lossy(&heard).into_owned())
    };
    let torrents = ["one.bin", "two.bin"].map(|name| Torrent::make(name, 100_000, 1, &[]));
    let told = torrents.each_ref().map(hello_of);
    for (id, heard) in &told {
        assert!(!id.starts_with(b"-EL") && !heard.contains("1:v"), "{id:?} {heard}");
    }
    assert_ne!(told[0].0, told[1].0);
    // Private trackers tell clients by it.
    let (id, _) = hello_of(&Torrent::make("three.bin", 100_000, 1, &["--private"]));
    assert!(id.starts_with(b"-EL"), "{id:?}");
    session.close(Some(Duration::ZERO)).ok();
    drop(tracker);
    session.close(CLOSE).unwrap();
}

/// The number of announces under way is the setting's, while it changes.
#[test]
fn announces_at_once_are_as_many_as_allowed_now() {
    let tracker = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tracker.local_addr().unwrap();
    let session = ours::open_with(|s| s.set_int("max_concurrent_http_announces", 1).unwrap());
    let mut params = ours::params(&film(), Source::File);
    params.trackers = (0..6).map(|n| format!("http://{address}/announce/{n}")).collect();
    let index = session.add_torrent(params).unwrap();
    let set = |n: i64| {
        let mut settings = session.settings().unwrap();
        settings.set_int("max_concurrent_http_announces", n).unwrap();
        session.apply_settings(&settings).unwrap();
    };
    let accept = || {
        let mut stream = tracker.accept().unwrap().0;
        head(&mut stream);
        stream
    };
    let nobody_else = || {
        tracker.set_nonblocking(true).unwrap();
        assert!(!ours::within(Duration::from_millis(300), || tracker.accept().is_ok()), "one more than is allowed");
        tracker.set_nonblocking(false).unwrap();
    };
    let mut held = vec![accept()];
    nobody_else();
    set(3);
    held.extend([accept(), accept()]);
    nobody_else();
    set(2);
    // One of three ends: two are under way, and that is enough.
    drop(held.pop());
    nobody_else();
    drop(held.pop());
    held.push(accept());
    nobody_else();
    drop(held);
    session.remove_torrent(index, RemoveFlags::empty()).unwrap();
    drop(tracker);
    session.close(CLOSE).unwrap();
}

/// How far a prebuffer is is told when it is known how much it is, and not before.
#[test]
fn prebuffer_progress_begins_with_its_total() {
    let torrent = film();
    let session = ours::open();
    let index = session.add_torrent(ours::params(&torrent, Source::File)).unwrap();
    let reader = session.open_reader(index, 0, ReaderOptions::default()).unwrap();
    reader.prebuffer(200_000, 65_536).unwrap();
    let line = Alerts::default().wait(&session, "prebuffer_progress", "");
    let total = line.split("total=").nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap();
    assert!(line.contains("done=0") && total >= 200_000, "{line}");
    assert_eq!(reader.status().unwrap().prebuffer_total, total);
    session.close(CLOSE).unwrap();
}

/// Two read what does not fit into memory together, of peers that never answer: that the one waits for memory is told.
#[test]
fn reads_that_wait_for_memory_are_told() {
    let torrent = Torrent::make("film.bin", 1_000_000, 1, &["--piece-length", "262144"]);
    let session = ours::open_with(|s| s.set_int("memory_limit", 262_144).unwrap());
    let index = session.add_torrent(ours::params(&torrent, Source::File)).unwrap();
    // Each has all (BEP 6), and unchokes. Some of them have room for requests all the while.
    let _peers = [b'u', b'v', b'w', b'x', b'y', b'z'].map(|id| {
        let peer = TcpListener::bind("127.0.0.1:0").unwrap();
        session.torrent(index).unwrap().connect_peer(peer.local_addr().unwrap()).unwrap();
        let mut stream = meet(&peer, id);
        stream.write_all(&[0, 0, 0, 1, 14, 0, 0, 0, 1, 1]).unwrap();
        stream
    });
    let readers = [0, 600_000].map(|position| {
        let reader = session.open_reader(index, 0, ReaderOptions::default()).unwrap();
        reader.seek(position, Whence::Set).unwrap();
        reader
    });
    thread::scope(|scope| {
        for reader in &readers {
            scope.spawn(|| reader.read(&mut [0; 100], ours::READ).unwrap_err());
        }
        let mut alerts = Alerts::default();
        let line = alerts.wait(&session, "memory_pressure", "");
        assert!(line.contains("limit=262144") && !line.contains("needed=0"), "{line}");
        readers.iter().for_each(Reader::interrupt);
    });
    drop(readers);
    session.close(CLOSE).unwrap();
}

/// A session with any setting at an end of its range streams, through memory or to disk, and its state is good for another one.
#[test]
fn each_setting_at_the_ends_of_its_range() {
    let torrent = film();
    let (seeder, _) = ours::seed(&torrent);
    for d in descriptors().iter().filter(|d| d.effective && matches!(d.default, Value::Int(_))) {
        let (least, most) = d.range();
        for value in [least, most] {
            let session = ours::open_with(|s| s.set_int(d.name, value).unwrap());
            let dir = TempDir::new();
            let params = match value == least {
                true => ours::params(&torrent, Source::File),
                false => ours::disk_params(&torrent, Source::File, dir.path()),
            };
            let index =
                session.add_torrent(AddTorrentParams { peers: vec![ours::address(&seeder)], ..params }).unwrap();
            // By a proxy that is not there nobody is reached.
            if d.name != "proxy_type" || value == 0 {
                ours::stream(&session, index, 0, &torrent.content());
            }
            let again = Session::open(None, &session.save_state().unwrap());
            again.unwrap_or_else(|e| panic!("{} {value}: {e}", d.name)).close(CLOSE).unwrap();
            session.close(CLOSE).unwrap();
        }
    }
    seeder.close(CLOSE).unwrap();
}

/// Adds forty torrents by two threads while the session is told something.
fn add_during(session: &Session, from: u32, told: impl FnOnce()) {
    let begin = Barrier::new(3);
    thread::scope(|scope| {
        for of in 0..2 {
            let begin = &begin;
            scope.spawn(move || {
                let magnets = (1..=20).map(|n| format!("magnet:?xt=urn:btih:{:040x}", from + of * 1000 + n));
                let magnets: Vec<_> = magnets.map(|m| Magnet::parse(&m).unwrap()).collect();
                begin.wait();
                for magnet in magnets {
                    session.add_torrent(AddTorrentParams::new(TorrentSource::Magnet(magnet))).unwrap();
                }
            });
        }
        begin.wait();
        told();
    });
}

/// A torrent that is added while the session is being paused is paused, and one that is added while that ends runs.
#[test]
fn torrents_that_come_during_one_pause_are_paused() {
    for round in 0..100 {
        let session = ours::open();
        let running = || session.statuses().unwrap().iter().filter(|(_, s)| !s.paused).count();
        add_during(&session, 0, || session.pause().unwrap());
        assert_eq!(running(), 0, "in round {round}");
        add_during(&session, 10_000, || session.resume().unwrap());
        assert_eq!(running(), 80, "in round {round}");
        // Twice in a row, and back before anybody looks.
        add_during(&session, 20_000, || {
            session.pause().unwrap();
            session.pause().unwrap();
            session.resume().unwrap();
            session.pause().unwrap();
        });
        assert_eq!(running(), 0, "in round {round}");
        session.close(CLOSE).unwrap();
    }
}
