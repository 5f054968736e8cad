//! What only the session's inside shows.

use std::net::{IpAddr, SocketAddr};
use std::sync::Barrier;
use std::thread;

use tokio::sync::mpsc;

use super::*;
use crate::discovery::dht::node::Announcement;
use crate::discovery::dht::{Dht, DhtOptions, Wait};
use crate::metainfo::{Magnet, Sha1Hash};
use crate::settings::Value;

fn open() -> Session {
    let mut settings = Settings::default();
    settings.set_str("listen_interfaces", "127.0.0.1:0").expect("an address");
    settings.set_str("dht_bootstrap_nodes", "").expect("none");
    settings.set_bool("enable_dht", false).expect("a bool");
    Session::open(settings, &[]).expect("opened")
}

fn add(session: &Session, n: usize) -> StorageIndex {
    let magnet = Magnet::parse(&format!("magnet:?xt=urn:btih:{n:040x}")).expect("a magnet");
    session.add_torrent(AddTorrentParams::new(TorrentSource::Magnet(magnet))).expect("added")
}

fn num_want(n: i64) -> Changes {
    let mut changes = Changes::default();
    changes.set("num_want", Value::Int(n)).expect("in range");
    changes
}

/// A torrent that is added while settings change has, in the end, those of its session: two threads change them, too.
#[test]
fn torrents_that_are_being_added_hear_of_new_settings() {
    for round in 0..40 {
        let session = open();
        let begin = Barrier::new(4);
        thread::scope(|scope| {
            for of in 0..2 {
                let (session, begin) = (&session, &begin);
                scope.spawn(move || {
                    begin.wait();
                    for n in 1..=20 {
                        add(session, of * 1000 + n);
                    }
                });
                scope.spawn(move || {
                    begin.wait();
                    let of = i64::try_from(of).expect("small");
                    (1..=2).for_each(|n| session.change_settings(&num_want(of * 10 + n)).expect("live"));
                });
            }
        });
        let settings = session.shared.settings();
        let drivers = session.shared.drivers();
        let behind = drivers.iter().filter(|d| !d.look(|c, _| Arc::ptr_eq(c.settings(), &settings)).expect("there"));
        assert_eq!((behind.count(), drivers.len()), (0, 40), "in round {round}");
        session.close(None).expect("closed");
    }
}

/// Of two that change different settings at once neither undoes the other.
#[test]
fn no_change_of_settings_is_lost() {
    let session = open();
    thread::scope(|scope| {
        scope.spawn(|| (1..300).for_each(|n| session.change_settings(&num_want(n)).expect("live")));
        scope.spawn(|| (1..300).for_each(|n| session.set_memory_limit((64 << 20) + n * 16384).expect("in range")));
    });
    let settings = session.settings().expect("open");
    assert_eq!((settings.num_want, settings.memory_limit), (299, (64 << 20) + 299 * 16384));
    session.close(None).expect("closed");
}

/// The torrents know the port that is listened on, when it changes and when they come while it changes.
#[test]
fn torrents_know_the_port_of_now() {
    let session = open();
    let index = add(&session, 1);
    let told = |index| {
        let driver = session.shared.torrents.lock().get(index).cloned().expect("there");
        driver.look(|core, _| core.told_port()).expect("there")
    };
    assert_eq!(told(index), session.shared.listening.port());
    let mut changes = Changes::default();
    changes.set("enable_incoming_tcp", Value::Bool(false)).expect("a bool");
    changes.set("enable_incoming_utp", Value::Bool(false)).expect("a bool");
    session.change_settings(&changes).expect("live");
    assert_eq!((told(index), told(add(&session, 2)), session.shared.told_port()), (0, 0, 0));
    changes.set("announce_port", Value::Int(4711)).expect("in range");
    session.change_settings(&changes).expect("live");
    assert_eq!((told(index), session.shared.told_port()), (4711, 4711));
    changes.set("enable_incoming_tcp", Value::Bool(true)).expect("a bool");
    changes.set("announce_port", Value::Int(0)).expect("in range");
    session.change_settings(&changes).expect("live");
    assert!(told(index) != 0 && told(index) == session.shared.listening.port());
    session.close(None).expect("closed");
}

/// A DHT that finds nobody, and knows what it was told.
#[derive(Default)]
struct Told {
    ports: Mutex<Vec<Option<u16>>>,
    intervals: Mutex<Vec<Duration>>,
    searches: Mutex<Vec<mpsc::Sender<Vec<SocketAddr>>>>,
    nodes: Mutex<Vec<u16>>,
}

impl Dht for Told {
    fn get_peers(&self, _: Sha1Hash, announcement: Option<Announcement>) -> mpsc::Receiver<Vec<SocketAddr>> {
        let (sender, peers) = mpsc::channel(1);
        self.searches.lock().push(sender);
        self.ports.lock().push(announcement.map(|announcement| announcement.port));
        peers
    }

    fn add_node(&self, _: &str, port: u16) {
        self.nodes.lock().push(port);
    }

    fn node_count(&self) -> usize {
        self.nodes.lock().len()
    }

    fn set_external_ip(&self, _: IpAddr) {}

    fn apply(&self, options: &DhtOptions) {
        self.intervals.lock().push(options.announce_interval);
    }

    fn save_state(&self) -> Vec<u8> {
        Vec::new()
    }

    fn wait_bootstrapped(&self) -> Wait<'_> {
        Box::pin(std::future::pending())
    }

    fn stop(&self) {}
}

/// The DHT is told the port that others are to dial, and how often to tell it, as the settings are now.
#[test]
fn the_dht_hears_of_new_settings() {
    let session = open();
    let dht = Arc::new(Told::default());
    session.shared.dht.lock().run(dht.clone(), session.shared.egress());
    let mut changes = Changes::default();
    changes.set("enable_dht", Value::Bool(true)).expect("a bool");
    session.change_settings(&changes).expect("live");
    add(&session, 1);
    let mut expected = vec![Some(session.shared.listening.port())];
    for (port, interval) in [(0, 60), (4711, 300), (4712, 300), (4712, 400), (0, 400)] {
        changes.set("announce_port", Value::Int(port)).expect("in range");
        changes.set("dht_announce_interval", Value::Int(interval)).expect("in range");
        session.change_settings(&changes).expect("live");
        assert_eq!(dht.intervals.lock().last(), u64::try_from(interval).ok().map(Duration::from_secs).as_ref());
        let told = Some(session.shared.told_port());
        if expected.last() != Some(&told) {
            expected.push(told);
        }
        let until = Instant::now() + Duration::from_secs(30);
        while *dht.ports.lock() != expected {
            assert!(Instant::now() < until, "{:?}, not {expected:?}", dht.ports.lock());
            thread::sleep(Duration::from_millis(5));
        }
    }
    assert_eq!(expected.len(), 4);
    session.close(None).expect("closed");
}

/// A torrent is announced to the DHT when that is asked for, while its last search goes on, and while that is far from due.
#[test]
fn the_dht_is_told_when_asked_to() {
    let session = open();
    let dht = Arc::new(Told::default());
    session.shared.dht.lock().run(dht.clone(), session.shared.egress());
    let mut changes = Changes::default();
    changes.set("enable_dht", Value::Bool(true)).expect("a bool");
    session.change_settings(&changes).expect("live");
    let torrent = session.torrent(add(&session, 1)).expect("there");
    for expected in 1..5 {
        let until = Instant::now() + Duration::from_secs(30);
        while dht.ports.lock().len() < expected {
            assert!(Instant::now() < until, "{} searches, not {expected}", dht.ports.lock().len());
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(*dht.ports.lock(), vec![Some(session.shared.listening.port()); expected]);
        torrent.force_dht_announce().expect("open");
    }
    session.close(None).expect("closed");
}

/// Who waits for metadata is told of the error that stops the torrent, be it there already or still to come.
#[test]
fn a_wait_for_metadata_ends_with_the_error_that_stops_the_torrent() {
    let session = open();
    let index = add(&session, 1);
    let torrent = session.torrent(index).expect("there");
    let driver = session.shared.torrents.lock().get(index).cloned().expect("there");
    let error = Error::new(Status::Io, "the disk is gone");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| torrent.wait_metadata(None));
        driver.run(|core, now| core.fail(now, error.clone(), String::new()));
        assert_eq!(waiting.join().expect("it ends"), Err(error.clone()));
    });
    assert_eq!(torrent.wait_metadata(None), Err(error.clone()));
    assert_eq!(torrent.wait_metadata(Some(Duration::ZERO)), Err(error));
    torrent.resume().expect("open");
    assert_eq!(torrent.wait_metadata(Some(Duration::ZERO)).map_err(|e| e.status), Err(Status::WouldBlock));
    session.close(None).expect("closed");
}

/// A setting that does something is looked at somewhere. One that is not, and is said to do something, is a lie.
#[test]
fn effective_settings_are_read() {
    fn sources(dir: &std::path::Path, into: &mut String) {
        for entry in std::fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                sources(&path, into);
            } else if !path.ends_with("tests.rs") {
                into.push_str(&std::fs::read_to_string(path).expect("a source file"));
            }
        }
    }
    let mut source = String::new();
    for dir in ["engine", "net", "session"] {
        sources(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(dir), &mut source);
    }
    for d in crate::settings::descriptors().iter().filter(|d| d.effective) {
        let read = format!(".{}", d.name);
        let ends = |at: usize| !source[at + read.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
        assert!(source.match_indices(&read).any(|(at, _)| ends(at)), "{} is never read", d.name);
    }
}
