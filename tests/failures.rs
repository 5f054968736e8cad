//! The disk fails: who waits is told, the alert names the file, and when it is mended all goes on.

mod common;

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use common::alone::alone;
use common::ours::{self, Alerts, CLOSE};
use common::peers::{Source, Torrent};
use common::temp::TempDir;
use elementum_torrent::base::error::{Operation, Status};
use elementum_torrent::session::ReaderOptions;

/// Where the second of two files should be is a directory. The piece that a reader of it waits for begins in the first.
#[test]
fn a_reader_ends_with_the_error_that_stops_its_torrent() {
    let torrent = Torrent::make("failing", 3_000_000, 2, &["--piece-length", "65536"]);
    let (seeder, _) = ours::seed(&torrent);
    let layout = ours::torrent_file(&torrent.file).info.layout.clone();
    let [first, second] = layout.files() else { panic!("two files") };
    assert!(!second.offset.is_multiple_of(65536), "they share a piece");
    let to = TempDir::new();
    let in_the_way = to.path().join(&second.path);
    fs::create_dir_all(&in_the_way).unwrap();

    let session = ours::open();
    let index = session.add_torrent(ours::disk_params(&torrent, Source::File, to.path())).unwrap();
    let mut alerts = Alerts::default();
    alerts.wait(&session, "torrent_checked", "");
    let handle = session.torrent(index).unwrap();
    let file = handle.file_priorities().unwrap().len() as i64 - 1;
    handle.prioritize_files(&[0, 4]).unwrap();
    let open = || Arc::new(session.open_reader(index, file, ReaderOptions::default()).unwrap());
    let waiting: Vec<_> = [None, Some(second.size / 2)]
        .into_iter()
        .map(|at| {
            let reader = open();
            let theirs = reader.clone();
            // What is verified can be read before it is written: on to the error.
            let read = thread::spawn(move || {
                let mut buf = [0; 100];
                loop {
                    let read = match at {
                        None => theirs.read(&mut buf, None),
                        Some(at) => theirs.read_at(at, &mut buf, None),
                    };
                    if let Err(error) = read {
                        return error;
                    }
                }
            });
            (reader, read)
        })
        .collect();
    ours::until("they wait", || waiting[0].0.status().unwrap().waiting);
    handle.connect_peer(ours::address(&seeder)).unwrap();
    for (_, read) in waiting {
        let error = read.join().unwrap();
        assert_eq!((error.status, error.operation), (Status::Io, Operation::FileOpen), "{error:?}");
    }
    alerts.wait(&session, "file_error", &second.path);
    alerts.wait(&session, "torrent_error", &second.path);
    assert!(!alerts.heard.iter().any(|line| line.starts_with("file_error") && line.contains(&first.path)));
    // One that comes now is told at once, as one is that only looks.
    let late = open();
    for timeout in [None, Some(std::time::Duration::ZERO)] {
        assert_eq!(late.read(&mut [0; 10], timeout).unwrap_err().status, Status::Io);
    }

    fs::remove_dir(&in_the_way).unwrap();
    handle.resume().unwrap();
    ours::stream(&session, index, file as usize, &torrent.dir.path().join(&second.path));
    session.close(CLOSE).unwrap();
    seeder.close(CLOSE).unwrap();
}

/// A check in memory is over at once; one without metadata is refused, and nobody is cut off by it.
#[test]
fn checks_of_what_is_in_memory_and_of_what_is_not_known_yet() {
    let torrent = Torrent::make("checked.bin", 1_000_000, 1, &["--piece-length", "65536"]);
    let (seeder, _) = ours::seed(&torrent);
    let session = ours::open();
    let mut params = ours::params(&torrent, Source::File);
    params.peers = vec![ours::address(&seeder)];
    let index = session.add_torrent(params).unwrap();
    ours::stream(&session, index, 0, &torrent.content());
    let mut alerts = Alerts::default();
    let handle = session.torrent(index).unwrap();
    handle.force_recheck().unwrap();
    alerts.wait(&session, "torrent_checked", "");
    assert!(handle.status().unwrap().is_seeding && handle.status().unwrap().num_peers == 1);

    let to = TempDir::new();
    let other = ours::open();
    for params in [ours::disk_params(&torrent, Source::Magnet, to.path()), ours::params(&torrent, Source::Magnet)] {
        let index = other.add_torrent(params).unwrap();
        let handle = other.torrent(index).unwrap();
        assert_eq!(handle.force_recheck().unwrap_err().status, Status::NoMetadata);
        other.remove_torrent(index, Default::default()).unwrap();
    }
    for session in [session, other, seeder] {
        session.close(CLOSE).unwrap();
    }
}

/// A file of a seed ends too early. Whoever finds that, a reader or a peer's request, the alert names the file that is too short, not
/// the one in which the piece begins; and what is in no short file can be had still.
#[test]
fn the_file_that_could_not_be_read_is_named() {
    let torrent = Torrent::make("shortened", 3_000_000, 2, &["--piece-length", "65536"]);
    let layout = ours::torrent_file(&torrent.file).info.layout.clone();
    let [first, second] = layout.files() else { panic!("two files") };
    assert!(!second.offset.is_multiple_of(65536), "they share a piece");
    let shared = (second.offset / 65536) as i64;
    for way in 0..3 {
        let (seeder, index) = ours::seed(&torrent);
        let path = torrent.dir.path().join(&second.path);
        let content = fs::read(&path).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_len(100).unwrap();
        let mut alerts = Alerts::default();
        let mut buf = [0; 1000];
        let leech = (way == 0).then(|| {
            let leech = ours::open();
            let mut params = ours::params(&torrent, Source::File);
            params.peers = vec![ours::address(&seeder)];
            let index = leech.add_torrent(params).unwrap();
            let reader = leech.open_reader(index, 1, ReaderOptions::default()).unwrap();
            (leech, reader)
        });
        if way == 1 {
            let reader = seeder.open_reader(index, 1, ReaderOptions::default()).unwrap();
            let error = reader.read(&mut buf, None).unwrap_err();
            assert_eq!((error.status, error.operation), (Status::Io, Operation::FileRead), "{error:?}");
        } else if way == 2 {
            let at = second.offset % 65536;
            let error = seeder.torrent(index).unwrap().read_piece(shared, at, &mut buf).unwrap_err();
            assert_eq!((error.status, error.operation), (Status::Io, Operation::FileRead), "{error:?}");
        }
        for name in ["file_error", "torrent_error"] {
            let line = alerts.wait(&seeder, name, &second.path);
            assert!(!line.contains(&first.path), "{line}");
        }
        let reader = seeder.open_reader(index, 0, ReaderOptions::default()).unwrap();
        assert!(reader.read(&mut buf, None).unwrap() > 0, "the first file is there");
        assert_eq!(alerts.count(&seeder, "file_error", ""), 1, "{:#?}", alerts.heard);
        fs::write(&path, content).unwrap();
        seeder.torrent(index).unwrap().resume().unwrap();
        ours::stream_all(&seeder, index, &torrent);
        if let Some((leech, reader)) = leech {
            drop(reader);
            leech.close(CLOSE).unwrap();
        }
        seeder.close(CLOSE).unwrap();
    }
}

/// A torrent that rests is checked as any other, and goes on resting.
#[test]
fn what_rests_is_checked_too() {
    let torrent = Torrent::make("resting.bin", 1_000_000, 1, &["--piece-length", "65536"]);
    let (session, index) = ours::seed(&torrent);
    let handle = session.torrent(index).unwrap();
    let mut alerts = Alerts::default();
    alerts.wait(&session, "torrent_checked", "");
    for of_session in [false, true] {
        if of_session {
            session.pause().unwrap()
        } else {
            handle.pause().unwrap()
        }
        let content = fs::read(torrent.content()).unwrap();
        fs::write(torrent.content(), &content[..900_000]).unwrap();
        handle.force_recheck().unwrap();
        alerts.wait(&session, "torrent_checked", "");
        let status = handle.status().unwrap();
        assert!(status.paused && !status.is_seeding && status.num_pieces == 900_000 / 65536, "{status:?}");
        fs::write(torrent.content(), &content).unwrap();
        handle.force_recheck().unwrap();
        alerts.wait(&session, "torrent_checked", "");
        assert!(handle.status().unwrap().is_seeding && handle.status().unwrap().paused);
        if of_session {
            session.resume().unwrap()
        } else {
            handle.resume().unwrap()
        }
        assert!(!handle.status().unwrap().paused);
    }
    session.close(CLOSE).unwrap();
}

/// All descriptors that this process may have, until they are dropped.
struct Hoard(Vec<fs::File>);

impl Hoard {
    fn begin() -> Self {
        let pid = std::process::id().to_string();
        let lowered = Command::new("prlimit").args(["--pid", &pid, "--nofile=512:"]).status().unwrap();
        assert!(lowered.success());
        Self(std::iter::from_fn(|| fs::File::open("/dev/null").ok()).collect())
    }
}

/// A process that has no descriptors left for a while goes on when it has some again: whoever writes, checks or reads waits, and a torrent
/// stops only where that lasts.
#[test]
fn a_lack_of_descriptors_is_sat_out() {
    alone("a_lack_of_descriptors_is_sat_out", || {
        let torrent = Torrent::make("scarce", 3_000_000, 2, &["--piece-length", "65536"]);
        let (seeder, _) = ours::seed(&torrent);
        for lasts in [false, true] {
            let to = TempDir::new();
            let session = ours::open();
            let index = session.add_torrent(ours::disk_params(&torrent, Source::File, to.path())).unwrap();
            let handle = session.torrent(index).unwrap();
            let mut alerts = Alerts::default();
            alerts.wait(&session, "torrent_checked", "");
            handle.prioritize_files(&[0, 0]).unwrap();
            handle.connect_peer(ours::address(&seeder)).unwrap();
            ours::until("they are connected", || handle.status().unwrap().num_peers == 1);

            let hoard = Hoard::begin();
            assert!(hoard.0.len() > 100);
            handle.prioritize_files(&[4, 4]).unwrap();
            if lasts {
                let told = alerts.wait(&session, "torrent_error", "");
                assert!(told.contains("Too many open files"), "{told}");
                drop(hoard);
                handle.resume().unwrap();
                // Who was connected comes again.
                handle.connect_peer(ours::address(&seeder)).unwrap();
            } else {
                thread::sleep(Duration::from_secs(2));
                assert_eq!(handle.status().unwrap().total_done, 0, "nothing can be written");
                drop(hoard);
            }
            ours::until("all of it is there", || handle.status().unwrap().is_seeding);
            assert_eq!(alerts.count(&session, "torrent_error", ""), usize::from(lasts));
            session.close(CLOSE).unwrap();
        }
        seeder.close(CLOSE).unwrap();
    });
}

/// Files that the session holds open are given up first. Then a read of what is on disk waits for a descriptor as it waits for a disk: its
/// timeout and an interrupt end that, and the torrent goes on.
#[test]
fn a_read_waits_for_a_descriptor() {
    alone("a_read_waits_for_a_descriptor", || {
        let torrent = Torrent::make("shut.bin", 1_000_000, 1, &[]);
        // More files than are open at once: each that is opened closes another one, the first torrent's before all.
        let many = Torrent::make("many", 4_000_000, 100, &[]);
        let (session, index) = ours::seed(&torrent);
        let passing = session.add_torrent(ours::disk_params(&many, Source::File, many.dir.path())).unwrap();
        ours::until("the other is checked", || ours::status(&session, passing).is_seeding);
        let is_open = |torrent: &Torrent| {
            let dir = torrent.dir.path();
            let mut open = fs::read_dir("/proc/self/fd").unwrap().flatten();
            open.any(|fd| fs::read_link(fd.path()).is_ok_and(|file| file.starts_with(dir)))
        };
        assert!(!is_open(&torrent) && is_open(&many));

        let layout = ours::torrent_file(&many.file).info.layout.clone();
        let files: Vec<_> = (0..).zip(layout.files()).filter(|(_, f)| f.size > 0).map(|(file, _)| file).collect();
        assert!(files.len() > 45, "{} files", files.len());
        let hoard = Hoard::begin();
        for file in files {
            let reader = session.open_reader(passing, file, ReaderOptions::default()).unwrap();
            assert!(reader.read(&mut [0; 100], Some(Duration::from_secs(5))).unwrap() > 0);
        }
        drop(hoard);
        session.remove_torrent(passing, Default::default()).unwrap();
        ours::until("its files are closed", || !is_open(&many));
        let reader = Arc::new(session.open_reader(index, 0, ReaderOptions::default()).unwrap());

        let hoard = Hoard::begin();
        let began = Instant::now();
        let error = reader.read(&mut [0; 100], Some(Duration::from_millis(300))).unwrap_err();
        assert_eq!(error.status, Status::TimedOut, "{error:?}");
        let error = reader.read_at(5, &mut [0; 100], Some(Duration::from_millis(300))).unwrap_err();
        assert_eq!(error.status, Status::TimedOut, "{error:?}");
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        let read = |buf: usize| {
            let theirs = reader.clone();
            let read = thread::spawn(move || theirs.read(&mut vec![0; buf], None));
            thread::sleep(Duration::from_millis(500));
            assert!(!read.is_finished());
            read
        };
        let interrupted = read(100);
        reader.interrupt();
        assert_eq!(interrupted.join().unwrap().unwrap_err().status, Status::Interrupted);
        // Nothing was consumed, and the interrupt is over.
        let waiting = read(100);
        drop(hoard);
        assert_eq!(waiting.join().unwrap().unwrap(), 100);
        assert_eq!(reader.status().unwrap().position, 100);
        assert!(ours::status(&session, index).is_seeding);
        session.close(CLOSE).unwrap();
    });
}
