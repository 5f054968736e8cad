//! A real tracker, HTTP and UDP, and trackers that are dead.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use common::ours::{self, Alerts, CLOSE};
use common::peers::{Client, Peer, Source, Torrent, opentracker};
use common::temp::TempDir;
use elementum_torrent::metainfo::Magnet;
use elementum_torrent::session::{AddTorrentParams, RemoveFlags, Session, StorageIndex, TorrentSource};

/// What the tracker counts of a torrent: seeds, completed downloads, downloaders.
fn scrape(tracker: &mut Peer, torrent: &Torrent) -> (u32, u32, u32) {
    // Each fact is said once; the port is the same as that of the URLs.
    let port: u16 = tracker.port();
    let hash: String =
        torrent.info_hash.as_bytes().chunks(2).map(|h| format!("%{}", String::from_utf8_lossy(h))).collect();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET /scrape?info_hash={hash} HTTP/1.0\r\n\r\n").unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
    let reply = String::from_utf8_lossy(&reply).into_owned();
    if reply.ends_with("d5:filesdee") {
        // Nobody has announced it yet.
        return (0, 0, 0);
    }
    let number = |key: &str| {
        let at = reply.find(key).unwrap_or_else(|| panic!("no {key} in {reply}")) + key.len();
        reply[at..].split('e').next().unwrap().parse().unwrap()
    };
    (number("8:completei"), number("10:downloadedi"), number("10:incompletei"))
}

/// Two sessions that know nothing but the tracker find each other; the tracker hears of the start, the completion, the end.
fn introduces_our_sessions(scheme: &str) {
    let torrent = Torrent::make("tracked.bin", 1_000_000, 1, &[]);
    let mut tracker = opentracker(&[&torrent]);
    let url = tracker.wait(scheme);

    let seeder = ours::open();
    let mut params = ours::disk_params(&torrent, Source::File, torrent.dir.path());
    params.trackers = vec![url.clone()];
    seeder.add_torrent(params).unwrap();
    let mut seeder_alerts = Alerts::default();
    seeder_alerts.wait(&seeder, "tracker_announce", "event=started");
    seeder_alerts.wait(&seeder, "tracker_reply", &url);

    let leecher = ours::open();
    let to = TempDir::new();
    let mut params = ours::disk_params(&torrent, Source::Magnet, to.path());
    params.trackers = vec![url.clone()];
    let index = leecher.add_torrent(params).unwrap();
    let mut alerts = Alerts::default();
    alerts.wait(&leecher, "tracker_announce", "event=started");
    alerts.wait(&leecher, "tracker_reply", &url);
    alerts.wait(&leecher, "torrent_finished", "");
    ours::stream(&leecher, index, 0, &torrent.content());
    alerts.wait(&leecher, "tracker_announce", "event=completed");
    alerts.wait(&leecher, "tracker_reply", &url);
    assert_eq!(alerts.count(&leecher, "tracker_error", ""), 0, "{:#?}", alerts.heard);
    assert_eq!(scrape(&mut tracker, &torrent), (2, 1, 0), "two seeds, one completed download");
    let status = leecher.torrent(index).unwrap().trackers().unwrap();
    assert_eq!((status.len(), status[0].url.as_str(), status[0].fails), (1, url.as_str(), 0), "{status:?}");

    leecher.remove_torrent(index, RemoveFlags::empty()).unwrap();
    alerts.wait(&leecher, "tracker_announce", "event=stopped");
    ours::until("the tracker hears of the removal", || scrape(&mut tracker, &torrent).0 == 1);
    seeder.close(CLOSE).unwrap();
    assert_eq!(scrape(&mut tracker, &torrent).0, 0, "the close has told the tracker before it returned");
    leecher.close(CLOSE).unwrap();
}

#[test]
fn opentracker_by_http() {
    introduces_our_sessions("http");
}

#[test]
fn opentracker_by_udp() {
    introduces_our_sessions("udp");
}

/// A tracker named by a host name, and another client's sessions.
#[test]
fn a_named_tracker_leads_to_libtorrent() {
    let torrent = Torrent::make("named.bin", 500_000, 1, &[]);
    let mut tracker = opentracker(&[&torrent]);
    let http = tracker.wait("http");
    let mut seeder = Client::Libtorrent.seed(&torrent, &["--tracker", &http]);
    seeder.address();
    ours::until("libtorrent is announced", || scrape(&mut tracker, &torrent).0 == 1);
    for url in [&http, &tracker.wait("udp")] {
        let session = ours::open();
        let mut params = ours::params(&torrent, Source::File);
        params.trackers = vec![url.replace("127.0.0.1", "localhost")];
        let index = session.add_torrent(params).unwrap();
        ours::stream(&session, index, 0, &torrent.content());
        session.close(CLOSE).unwrap();
    }
}

/// One refuses, one is silent, one has no address: each is an alert, and none is in the way.
#[test]
fn dead_trackers_are_alerts_and_stop_nothing() {
    let torrent = Torrent::make("dead.bin", 2_000_000, 1, &[]);
    let mut seeder = Client::Libtorrent.seed(&torrent, &[]);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = [
        "http://127.0.0.1:9/announce".to_owned(),
        "udp://127.0.0.1:9/announce".to_owned(),
        format!("http://{}/announce", silent.local_addr().unwrap()),
        "http://no.such.name.invalid/announce".to_owned(),
    ];
    let session = ours::open_with(|s| {
        s.set_int("tracker_completion_timeout", 3).unwrap();
        s.set_int("tracker_receive_timeout", 2).unwrap();
    });
    let mut params = ours::params(&torrent, Source::File);
    params.trackers = dead.to_vec();
    params.peers = vec![seeder.address()];
    let index = session.add_torrent(params).unwrap();
    let began = Instant::now();
    ours::stream(&session, index, 0, &torrent.content());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let mut alerts = Alerts::default();
    for url in &dead {
        alerts.wait(&session, "tracker_error", url);
    }
    assert_eq!(alerts.count(&session, "tracker_reply", ""), 0);
    let trackers = session.torrent(index).unwrap().trackers().unwrap();
    assert!(trackers.iter().all(|t| t.fails > 0 && !t.last_error.is_empty()), "{trackers:?}");
    assert!(session.torrent(index).unwrap().status().unwrap().error.is_none());
    let began = Instant::now();
    session.close(CLOSE).unwrap();
    assert!(began.elapsed() < Duration::from_secs(7), "closing took {:?}", began.elapsed());
}

/// A magnet that nobody has, with these trackers.
fn add_magnet(session: &Session, n: usize, trackers: Vec<String>) -> StorageIndex {
    let magnet = Magnet::parse(&format!("magnet:?xt=urn:btih:{n:040x}")).unwrap();
    let mut params = AddTorrentParams::new(TorrentSource::Magnet(magnet));
    params.trackers = trackers;
    session.add_torrent(params).unwrap()
}

/// How long it takes until somebody comes.
fn until_asked(tracker: &TcpListener) -> Duration {
    let began = Instant::now();
    tracker.set_nonblocking(true).unwrap();
    ours::until("the tracker is asked", || tracker.accept().is_ok());
    began.elapsed()
}

/// They hold all the places, and hundreds wait for one: yet the next place is that of a torrent that was added just now.
#[test]
fn silent_trackers_of_other_torrents_delay_no_new_one() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let good = TcpListener::bind("127.0.0.2:0").unwrap();
    let session = ours::open_with(|s| {
        s.set_int("max_concurrent_http_announces", 2).unwrap();
        s.set_int("tracker_receive_timeout", 2).unwrap();
    });
    let dead = |n| format!("http://{}/announce/{n}", silent.local_addr().unwrap());
    for n in 1..=20 {
        add_magnet(&session, n, (0..10).map(dead).collect());
    }
    let working = format!("http://{}/announce", good.local_addr().unwrap());
    add_magnet(&session, 100, (0..10).map(dead).chain([working]).collect());
    let asked = until_asked(&good);
    assert!(asked < Duration::from_secs(5), "{asked:?}");
    session.close(CLOSE).unwrap();
}

#[test]
fn silent_udp_trackers_take_no_places_of_http() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let good = TcpListener::bind("127.0.0.2:0").unwrap();
    let session = ours::open_with(|s| s.set_int("max_concurrent_http_announces", 1).unwrap());
    for n in 1..=10 {
        let dead = |n| format!("udp://{}/announce/{n}", silent.local_addr().unwrap());
        add_magnet(&session, n, (0..20).map(dead).collect());
    }
    add_magnet(&session, 100, vec![format!("http://{}/announce", good.local_addr().unwrap())]);
    let asked = until_asked(&good);
    assert!(asked < Duration::from_secs(3), "{asked:?}");
    session.close(CLOSE).unwrap();
}

/// An announce as a tracker reads it.
#[derive(Debug, PartialEq, Eq)]
struct Announce {
    stops: bool,
    left: u64,
    num_want: i32,
}

/// Trackers, HTTP and UDP, that answer everybody, and what they were told.
fn listening_trackers() -> ([String; 2], [Receiver<Announce>; 2]) {
    let (http, udp) = (TcpListener::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let urls = [
        format!("http://{}/announce", http.local_addr().unwrap()),
        format!("udp://{}/announce", udp.local_addr().unwrap()),
    ];
    let ((by_http, from_http), (by_udp, from_udp)) = (channel(), channel());
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = http.accept() {
            let head: Vec<String> =
                BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
            let value = |key: &str| {
                let rest = head.first()?.split_once(&format!("&{key}="))?.1;
                rest.split(['&', ' ']).next().map(str::to_owned)
            };
            let announce = Announce {
                stops: value("event").as_deref() == Some("stopped"),
                left: value("left").unwrap().parse().unwrap(),
                num_want: value("numwant").unwrap().parse().unwrap(),
            };
            // Noted before it is answered: who asked may be gone then.
            let _ = by_http.send(announce);
            let body = "d8:intervali1800e5:peers0:e";
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        }
    });
    std::thread::spawn(move || {
        let mut packet = [0; 2048];
        while let Ok((len, from)) = udp.recv_from(&mut packet) {
            let connects = packet[8..12] == [0; 4];
            if !connects && len >= 98 {
                let _ = by_udp.send(Announce {
                    stops: packet[83] == 3,
                    left: u64::from_be_bytes(packet[64..72].try_into().unwrap()),
                    num_want: i32::from_be_bytes(packet[92..96].try_into().unwrap()),
                });
            }
            let body: &[u8] = if connects { &[7; 8] } else { &[0, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0] };
            udp.send_to(&[&packet[8..16], body].concat(), from).unwrap();
        }
    });
    (urls, [from_http, from_udp])
}

/// By it a private tracker books who has seeded.
#[test]
fn the_last_announce_tells_what_was_left_before_the_torrent_went() {
    let torrent = Torrent::make("last.bin", 400_000, 1, &[]);
    let elsewhere = TempDir::new();
    // One that is complete, and one of which nothing is there.
    for (dir, left) in [(torrent.dir.path(), 0), (elsewhere.path(), 400_000)] {
        for closes in [false, true] {
            let (urls, told) = listening_trackers();
            let session = ours::open();
            let mut params = ours::disk_params(&torrent, Source::File, dir);
            params.trackers = urls.to_vec();
            let index = session.add_torrent(params).unwrap();
            let mut alerts = Alerts::default();
            for url in &urls {
                alerts.wait(&session, "tracker_reply", url);
            }
            let has = || session.torrent(index).unwrap().status().unwrap().total_done;
            ours::until("it is checked", || has() == 400_000 - left);
            if closes {
                session.close(CLOSE).unwrap();
            } else {
                session.remove_torrent(index, RemoveFlags::empty()).unwrap();
            }
            for told in told {
                let mut announces = std::iter::from_fn(|| told.recv_timeout(Duration::from_secs(20)).ok());
                let last = announces.find(|announce| announce.stops);
                assert_eq!(last, Some(Announce { stops: true, left, num_want: 0 }), "closes {closes}");
            }
        }
    }
}
