//! What only the session's inside shows.

use std::sync::Barrier;
use std::thread;

use super::*;
use crate::metainfo::Magnet;

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
    changes.set("num_want", crate::settings::Value::Int(n)).expect("in range");
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
        let settings = session.inner.settings();
        let drivers = session.inner.drivers();
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
        let driver = session.inner.torrents.lock().get(index).cloned().expect("there");
        driver.look(|core, _| core.told_port()).expect("there")
    };
    assert_eq!(told(index), session.inner.listen_port());
    let mut changes = Changes::default();
    changes.set("enable_incoming_tcp", crate::settings::Value::Bool(false)).expect("a bool");
    session.change_settings(&changes).expect("live");
    assert_eq!((told(index), told(add(&session, 2)), session.inner.told_port()), (0, 0, 0));
    changes.set("announce_port", crate::settings::Value::Int(4711)).expect("in range");
    session.change_settings(&changes).expect("live");
    assert_eq!((told(index), session.inner.told_port()), (4711, 4711));
    changes.set("enable_incoming_tcp", crate::settings::Value::Bool(true)).expect("a bool");
    changes.set("announce_port", crate::settings::Value::Int(0)).expect("in range");
    session.change_settings(&changes).expect("live");
    assert!(told(index) != 0 && told(index) == session.inner.listen_port());
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
    for dir in ["engine", "session"] {
        sources(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(dir), &mut source);
    }
    for d in crate::settings::descriptors().iter().filter(|d| d.effective) {
        let read = format!(".{}", d.name);
        let ends = |at: usize| !source[at + read.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
        assert!(source.match_indices(&read).any(|(at, _)| ends(at)), "{} is never read", d.name);
    }
}
