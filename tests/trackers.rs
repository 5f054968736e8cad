//! A real tracker, HTTP and UDP, and trackers that are dead.

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
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
