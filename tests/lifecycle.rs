//! Sessions come and go, from many threads at once, in any order: nothing but statuses, and nothing left behind.

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use common::alone::{alone, cpu_ms, descriptors, memory, threads};
use common::ours::{self, CLOSE};
use common::peers::{Source, Torrent};
use elementum_torrent::base::error::{Error, Status};
use elementum_torrent::metainfo::Magnet;
use elementum_torrent::session::{
    AddTorrentParams, ReaderOptions, RemoveFlags, Session, StorageIndex, TorrentSource, Whence,
};

/// How long a call may take to notice that the world changed.
const NOTICE: Duration = Duration::from_secs(2);

fn film() -> Torrent {
    Torrent::make("film.bin", 4_000_000, 1, &["--piece-length", "65536"])
}

fn magnet(n: u64) -> AddTorrentParams {
    AddTorrentParams::new(TorrentSource::Magnet(Magnet::parse(&format!("magnet:?xt=urn:btih:{:040x}", n + 1)).unwrap()))
}

/// What calls may answer while their session or torrent goes away under them.
fn assert_orderly(error: &Error) {
    let orderly = [
        Status::Closed,
        Status::InvalidStorageIndex,
        Status::TimedOut,
        Status::WouldBlock,
        Status::Interrupted,
        Status::EndOfFile,
        Status::Busy,
    ];
    assert!(orderly.contains(&error.status), "{error:?}");
}

/// Uses a torrent every way there is until the session says that it is closed.
fn use_until_closed(session: &Session, index: StorageIndex, seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut buf = vec![0; 50_000];
    let reader = session.open_reader(index, 0, ReaderOptions::default());
    loop {
        let short = Some(Duration::from_millis(rng.u64(0..20)));
        let outcome = session.torrent(index).and_then(|torrent| match rng.u32(0..12) {
            0 => torrent.set_lookbehind(&[rng.i64(0..61), rng.i64(0..61)]),
            1 => torrent.clear_lookbehind(),
            2 => torrent.is_lookbehind_available(rng.i64(0..61)).map(drop),
            3 => torrent.lookbehind_stats().map(drop),
            4 => torrent.storage_stats().map(drop),
            5 => torrent.set_piece_deadline(rng.i64(0..61), 100),
            6 => torrent.read_piece(rng.i64(0..61), 0, &mut buf).map(drop),
            7 => {
                session.open_reader(index, 0, ReaderOptions::default()).and_then(|r| r.read(&mut buf, short)).map(drop)
            }
            8 => session.stats().map(drop),
            _ => Ok(()),
        });
        let outcome = outcome.and(reader.as_ref().map_err(Clone::clone).and_then(|reader| match rng.u32(0..5) {
            0 => reader.seek(rng.i64(0..4_000_000), Whence::Set).map(drop),
            1 => reader.read_at(rng.u64(0..4_000_000), &mut buf, short).map(drop),
            2 => {
                reader.interrupt();
                Ok(())
            }
            _ => reader.read(&mut buf, short).map(drop),
        }));
        if let Err(error) = outcome {
            assert_orderly(&error);
            if error.status == Status::Closed {
                return;
            }
        }
    }
}

/// F1: sixteen sessions opened, used and closed or dropped at once, each by several threads, none in another's way.
#[test]
fn sixteen_sessions_are_opened_used_and_closed_at_once() {
    let torrent = film();
    let (seeder, _) = ours::seed_with(&torrent, |s| s.set_int("unchoke_slots_limit", -1).unwrap());
    let address = ours::address(&seeder);
    thread::scope(|scope| {
        for n in 0..16u64 {
            let torrent = &torrent;
            scope.spawn(move || {
                let session = ours::open_with(|s| s.set_int("memory_limit", 2 << 20).unwrap());
                let mut params = ours::params(torrent, Source::File);
                params.peers = vec![address];
                let index = session.add_torrent(params).unwrap();
                let users: Vec<_> = (0..3)
                    .map(|m| {
                        let session = session.clone();
                        thread::spawn(move || use_until_closed(&session, index, 100 * n + m))
                    })
                    .collect();
                thread::sleep(Duration::from_millis(300 + 40 * n));
                // Two at once, now and then with hardly any patience.
                let (first, second) = (session.clone(), session.clone());
                let patience = if n % 3 == 0 { Some(Duration::from_millis(1)) } else { CLOSE };
                let closing = thread::spawn(move || first.close(patience));
                let outcomes = [second.close(CLOSE), closing.join().unwrap()];
                assert!(outcomes[0].is_ok(), "{outcomes:?}");
                let late = outcomes[1].as_ref().err();
                assert!(late.is_none_or(|e| e.status == Status::TimedOut), "{outcomes:?}");
                users.into_iter().for_each(|user| user.join().unwrap());
                assert_eq!(session.stats().unwrap_err().status, Status::Closed);
            });
        }
    });
    seeder.close(CLOSE).unwrap();
}

/// F11: an index that is stale, of another session, or invented is refused by every call, and after the close there is
/// one answer only.
#[test]
fn only_the_index_of_a_torrent_in_this_session_is_good() {
    let torrent = film();
    let (one, two) = (ours::open(), ours::open());
    let stale = one.add_torrent(ours::params(&torrent, Source::File)).unwrap();
    let kept = one.torrent(stale).unwrap();
    let reader = one.open_reader(stale, 0, ReaderOptions::default()).unwrap();
    one.remove_torrent(stale, RemoveFlags::empty()).unwrap();
    let again = one.add_torrent(ours::params(&torrent, Source::File)).unwrap();
    let foreign = two.add_torrent(ours::params(&torrent, Source::File)).unwrap();
    assert_ne!(stale, again);
    let invented = [0, 1, u64::MAX, again.0 + 1, again.0 ^ (1 << 40), again.0 | 1 << 63].map(StorageIndex);
    for bad in [stale, foreign].into_iter().chain(invented) {
        let refused = |status: Status| assert_eq!(status, Status::InvalidStorageIndex, "{bad:?}");
        refused(one.torrent(bad).unwrap_err().status);
        refused(one.remove_torrent(bad, RemoveFlags::empty()).unwrap_err().status);
        refused(one.open_reader(bad, 0, ReaderOptions::default()).unwrap_err().status);
    }
    // Handles from before the removal: they lead nowhere, not to the torrent that is there now.
    let mut buf = [0; 10];
    let wait = Some(Duration::from_secs(60));
    for status in [
        kept.status().unwrap_err().status,
        kept.pause().unwrap_err().status,
        kept.set_lookbehind(&[0]).unwrap_err().status,
        kept.is_lookbehind_available(0).unwrap_err().status,
        kept.read_piece(0, 0, &mut buf).unwrap_err().status,
        reader.read(&mut buf, wait).unwrap_err().status,
        reader.read_at(0, &mut buf, wait).unwrap_err().status,
        reader.seek(0, Whence::Set).unwrap_err().status,
        reader.status().unwrap_err().status,
    ] {
        assert_eq!(status, Status::InvalidStorageIndex);
    }
    assert!(one.torrent(again).unwrap().status().is_ok(), "the torrent of now was not touched");

    let open = one.torrent(again).unwrap();
    one.close(CLOSE).unwrap();
    one.close(CLOSE).unwrap();
    for status in [
        one.torrents().unwrap_err().status,
        one.torrent(again).unwrap_err().status,
        one.remove_torrent(again, RemoveFlags::empty()).unwrap_err().status,
        one.open_reader(again, 0, ReaderOptions::default()).unwrap_err().status,
        one.add_torrent(magnet(1)).unwrap_err().error.status,
        one.save_state().unwrap_err().status,
        one.settings().unwrap_err().status,
        open.status().unwrap_err().status,
        open.clear_lookbehind().unwrap_err().status,
        reader.read(&mut buf, wait).unwrap_err().status,
        reader.seek(0, Whence::Set).unwrap_err().status,
    ] {
        assert_eq!(status, Status::Closed);
    }
    two.close(CLOSE).unwrap();
}

/// A read that waits for ever is woken by each thing that ends its wait.
#[test]
fn waiting_reads_are_woken() {
    let torrent = film();
    type Act = fn(&Session, StorageIndex, &elementum_torrent::session::Reader);
    let acts: [(Status, Act); 3] = [
        (Status::Interrupted, |_, _, reader| reader.interrupt()),
        (Status::InvalidStorageIndex, |session, index, _| {
            session.remove_torrent(index, RemoveFlags::empty()).unwrap();
        }),
        (Status::Closed, |session, _, _| session.close(CLOSE).unwrap()),
    ];
    for (expected, act) in acts {
        for at in [false, true] {
            let session = ours::open();
            let index = session.add_torrent(ours::params(&torrent, Source::File)).unwrap();
            let reader = Arc::new(session.open_reader(index, 0, ReaderOptions::default()).unwrap());
            let waiting = reader.clone();
            let read = thread::spawn(move || {
                let mut buf = [0; 100];
                let outcome =
                    if at { waiting.read_at(1_000_000, &mut buf, None) } else { waiting.read(&mut buf, None) };
                (outcome.unwrap_err().status, Instant::now())
            });
            thread::sleep(Duration::from_millis(50));
            assert!(!read.is_finished(), "there is nothing to read");
            let began = Instant::now();
            act(&session, index, &reader);
            let (status, woken) = read.join().unwrap();
            assert_eq!(status, expected);
            assert!(woken.saturating_duration_since(began) < NOTICE, "{expected:?} took {:?}", woken - began);
            session.close(CLOSE).unwrap();
        }
    }
}

/// Who waits on the descriptor waits for the engine, too; who only looks does not.
#[test]
fn a_wait_on_the_descriptor_is_a_wait() {
    let torrent = film();
    let (seeder, _) = ours::seed(&torrent);
    let session = ours::open();
    let index = session.add_torrent(ours::params(&torrent, Source::File)).unwrap();
    let reader = session.open_reader(index, 0, ReaderOptions::default()).unwrap();
    let mut buf = [0; 100];
    let mut look = || reader.read(&mut buf, Some(Duration::ZERO)).map_err(|error| error.status);
    let waits = || reader.status().unwrap().waiting;
    assert_eq!((look(), waits()), (Err(Status::WouldBlock), false));
    reader.fd().unwrap();
    assert_eq!((look(), waits()), (Err(Status::WouldBlock), true));
    session.torrent(index).unwrap().connect_peer(ours::address(&seeder)).unwrap();
    ours::until("the read is ready", || look() == Ok(100));
    assert!(!waits());
    session.close(CLOSE).unwrap();
    seeder.close(CLOSE).unwrap();
}

/// What a process has that a leak would show in.
#[derive(Debug, Clone, Copy)]
struct Footprint {
    threads: usize,
    descriptors: usize,
    resident: u64,
}

fn footprint() -> Footprint {
    Footprint { threads: threads(), descriptors: descriptors(), resident: memory("VmRSS") }
}

/// No more threads and descriptors, after a moment for what was just ended, and hardly more memory. There may be
/// fewer: a dial can have been under way when `before` was taken.
fn assert_flat(before: Footprint, growth: u64) {
    let settled = || threads() <= before.threads && descriptors() <= before.descriptors;
    ours::within(Duration::from_secs(5), settled);
    let after = footprint();
    assert!(settled() && after.resident <= before.resident + growth, "{before:?} then {after:?}");
}

#[test]
fn ten_thousand_torrents_come_and_go() {
    alone("ten_thousand_torrents_come_and_go", || {
        let torrent = film();
        // Nobody listens there: dials are under way when the torrents go.
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let session = ours::open_with(|s| {
            s.set_int("alert_queue_size", 1000).unwrap();
            // Else their number goes up and down with the work.
            s.set_int("max_blocking_threads", 1).unwrap();
        });
        let cycle = |n: u64| {
            let mut params = if n.is_multiple_of(2) { ours::params(&torrent, Source::File) } else { magnet(n) };
            params.peers = vec![nobody];
            let index = session.add_torrent(params).unwrap();
            if n.is_multiple_of(2) {
                let reader = session.open_reader(index, 0, ReaderOptions::default()).unwrap();
                assert_eq!(reader.read(&mut [0; 10], Some(Duration::ZERO)).unwrap_err().status, Status::WouldBlock);
                session.torrent(index).unwrap().set_lookbehind(&[1, 2, 3]).unwrap();
            }
            session.remove_torrent(index, RemoveFlags::empty()).unwrap();
        };
        (0..2000).for_each(cycle);
        let (before, began) = (footprint(), Instant::now());
        (2000..12_000).for_each(cycle);
        let took = began.elapsed();
        // Beside other loads more of what was just ended is still there. A kilobyte lost with each would be ten megabytes.
        assert_flat(before, 8 << 20);
        println!("measured 10,000 torrents in {took:.1?}: {before:?} then {:?}", footprint());
        assert_eq!(session.torrents().unwrap(), []);
        session.close(CLOSE).unwrap();
    });
}

#[test]
fn two_hundred_sessions_leave_nothing_behind() {
    alone("two_hundred_sessions_leave_nothing_behind", || {
        let torrent = film();
        let (seeder, _) = ours::seed_with(&torrent, |s| s.set_int("max_blocking_threads", 1).unwrap());
        let address = ours::address(&seeder);
        let round = |n: usize| {
            let session = ours::open_with(|s| s.set_bool("enable_dht", n.is_multiple_of(4)).unwrap());
            let mut params = ours::params(&torrent, Source::File);
            params.peers = vec![address];
            let index = session.add_torrent(params).unwrap();
            if n.is_multiple_of(8) {
                ours::stream(&session, index, 0, &torrent.content());
            }
            // Every second one is only dropped.
            if n.is_multiple_of(2) {
                session.close(CLOSE).unwrap();
            }
        };
        // As many as are measured: only then does the allocator keep what it will keep (a fifth of that is 8 MiB short of it, at times).
        (0..200).for_each(round);
        ours::until("the seeder's side is over", || seeder.stats().unwrap().num_peers == 0);
        let (before, began) = (footprint(), Instant::now());
        (0..200).for_each(round);
        let took = began.elapsed();
        ours::until("the seeder's side is over", || seeder.stats().unwrap().num_peers == 0);
        assert_flat(before, 8 << 20);
        println!("measured 200 sessions in {took:.1?}: {before:?} then {:?}", footprint());
        seeder.close(CLOSE).unwrap();
    });
}

/// What a session costs that does nothing: memory, and no processor time.
#[test]
fn idle_sessions_are_cheap() {
    alone("idle_sessions_are_cheap", || {
        let torrent = film();
        let (seeder, _) = ours::seed(&torrent);
        let before = footprint();
        let sessions: Vec<_> = (0..20)
            .map(|n| {
                let session = ours::open();
                let index = session.add_torrent(magnet(n)).unwrap();
                (session, index)
            })
            .collect();
        let each = (memory("VmRSS") - before.resident) / 20;
        let idle = cpu_ms_in(Duration::from_secs(3));
        println!("measured an idle session: {} KiB, {} threads, {idle} ms of CPU for 20 in 3 s", each >> 10, threads());
        assert!(each < 1 << 20, "{each} bytes each");
        assert!(idle <= 50, "{idle} ms of processor time for 20 idle sessions in 3 s");
        sessions.into_iter().for_each(|(session, _)| session.close(CLOSE).unwrap());

        // A connected peer, and a reader that nobody reads from.
        let session = ours::open();
        let mut params = ours::params(&torrent, Source::File);
        params.peers = vec![ours::address(&seeder)];
        let index = session.add_torrent(params).unwrap();
        let reader = session.open_reader(index, 0, ReaderOptions::default()).unwrap();
        ours::until("there is something to read", || reader.status().unwrap().buffered_ahead > 0);
        thread::sleep(Duration::from_millis(500));
        let connected = cpu_ms_in(Duration::from_secs(3));
        println!("measured two connected sessions with nothing to do: {connected} ms of CPU in 3 s");
        assert!(connected <= 60, "{connected} ms of processor time for two sessions with nothing to do in 3 s");
        session.close(CLOSE).unwrap();
        seeder.close(CLOSE).unwrap();
    });
}

fn cpu_ms_in(time: Duration) -> u64 {
    let before = cpu_ms();
    thread::sleep(time);
    cpu_ms() - before
}

/// A tracker that answers one announce, and never again. It counts how often it was told that somebody stopped.
fn tracker_that_falls_silent() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/announce", listener.local_addr().unwrap());
    let stopped = Arc::new(AtomicUsize::new(0));
    let counter = stopped.clone();
    thread::spawn(move || {
        let mut held: Vec<TcpStream> = Vec::new();
        let mut answered = false;
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let n = stream.read(&mut request).unwrap_or(0);
            if String::from_utf8_lossy(&request[..n]).contains("event=stopped") {
                counter.fetch_add(1, Ordering::SeqCst);
            }
            if !std::mem::replace(&mut answered, true) {
                let body = "d8:intervali1800e5:peers0:e";
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
                    .unwrap();
            } else {
                held.push(stream);
            }
        }
    });
    (url, stopped)
}

/// Peers that are connected, peers that never say a word, a tracker that hangs: closing takes no longer than it may.
#[test]
fn closing_is_bounded_whatever_hangs() {
    let torrent = film();
    let (seeder, _) = ours::seed(&torrent);
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let mute_udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    for patience in [Some(Duration::ZERO), Some(Duration::from_millis(300)), None] {
        let session = ours::open_with(|s| s.set_int("stop_tracker_timeout", 2).unwrap());
        let (url, stopped) = tracker_that_falls_silent();
        let mut params = ours::params(&torrent, Source::File);
        params.trackers = vec![url, format!("udp://{}/announce", mute_udp.local_addr().unwrap())];
        params.peers = vec![ours::address(&seeder), mute.local_addr().unwrap()];
        let index = session.add_torrent(params).unwrap();
        ours::stream(&session, index, 0, &torrent.content());
        ours::until("the tracker has answered", || {
            session.torrent(index).unwrap().trackers().unwrap().iter().any(|t| t.verified)
        });
        let began = Instant::now();
        let outcome = session.close(patience);
        let took = began.elapsed();
        match patience {
            None => {
                outcome.unwrap();
                assert!(took < Duration::from_secs(2) + NOTICE, "{took:?}");
                assert_eq!(stopped.load(Ordering::SeqCst), 1, "it was told, and did not answer");
            }
            Some(patience) => {
                assert!(outcome.err().is_none_or(|e| e.status == Status::TimedOut));
                assert!(took < patience + NOTICE, "{took:?}");
                session.close(CLOSE).unwrap();
            }
        }
    }
    seeder.close(CLOSE).unwrap();
}

/// Two that dial each other at the same moment end with one connection, not with none and not with two.
#[test]
fn connections_that_cross_leave_one() {
    let torrent = film();
    for _ in 0..10 {
        let (one, two) = (ours::open(), ours::open());
        let add = |to: &Session, peer: &Session| {
            let mut params = ours::params(&torrent, Source::File);
            params.peers = vec![ours::address(peer)];
            to.add_torrent(params).unwrap()
        };
        let gate = Barrier::new(2);
        let at_once = |to: &Session, peer: &Session| {
            gate.wait();
            add(to, peer)
        };
        let (a, b) = thread::scope(|scope| {
            let a = scope.spawn(|| at_once(&one, &two));
            let b = at_once(&two, &one);
            (a.join().unwrap(), b)
        });
        let connected = || (ours::status(&one, a).num_peers, ours::status(&two, b).num_peers) == (1, 1);
        assert!(ours::within(Duration::from_secs(5), connected), "{}", ours::describe(&one, a));
        thread::sleep(Duration::from_millis(50));
        assert!(connected(), "{}", ours::describe(&one, a));
        one.close(CLOSE).unwrap();
        two.close(CLOSE).unwrap();
    }
}

/// The host may have a runtime of its own, and close or drop a session in one of its tasks.
#[test]
fn a_task_of_another_runtime_may_close_and_drop() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let session = ours::open();
        session.add_torrent(magnet(1)).unwrap();
        session.close(CLOSE).unwrap();
        let dropped = ours::open();
        dropped.add_torrent(magnet(1)).unwrap();
        drop(dropped);
    });
}
