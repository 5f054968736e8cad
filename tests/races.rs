//! Any call at any time, by several threads: nothing hangs, no torrent is there twice, and afterwards all works as before.

mod common;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::ours::{self, CLOSE};
use common::peers::{Source, Torrent};
use elementum_torrent::session::{AddTorrentParams, Reader, ReaderOptions, RemoveFlags, Session, TorrentFlags, Whence};

/// A torrent, where its seed is, and where it may be put on disk.
struct Film<'a> {
    torrent: &'a Torrent,
    seed: SocketAddr,
    disk: &'a Path,
    content: Vec<u8>,
}

impl Film<'_> {
    fn params(&self, rng: &mut fastrand::Rng) -> AddTorrentParams {
        let source = if rng.bool() { Source::File } else { Source::Magnet };
        let mut params = match rng.u8(0..3) {
            0 => ours::disk_params(self.torrent, source, self.disk),
            _ => ours::params(self.torrent, source),
        };
        params.peers = vec![self.seed];
        params
    }
}

/// One call or a few, of which each may fail, as long as it comes back. What is read is right.
fn call(session: &Session, films: &[Film], rng: &mut fastrand::Rng) {
    let film = &films[rng.usize(0..films.len())];
    let flags = if rng.bool() { RemoveFlags::DELETE_FILES } else { RemoveFlags::empty() };
    let listed = session.torrents().unwrap_or_default();
    let Some(index) = rng.choice(listed).filter(|_| rng.u8(0..6) > 0) else {
        let _ = session.add_torrent(film.params(rng));
        return;
    };
    let Ok(torrent) = session.torrent(index) else { return };
    match rng.u8(0..20) {
        0 => _ = session.remove_torrent(index, flags),
        1 => _ = session.pause(),
        2 | 3 => _ = session.resume(),
        4 => _ = torrent.pause(),
        5 | 6 => _ = torrent.resume(),
        7 => _ = torrent.force_recheck(),
        8 => _ = torrent.set_flags(TorrentFlags::UPLOAD_MODE),
        9 => _ = torrent.unset_flags(TorrentFlags::UPLOAD_MODE),
        10 => _ = session.set_memory_limit(rng.u64(256..4096) * 1024),
        11 => {
            if let Ok(mut settings) = session.settings() {
                settings.set_bool("enable_incoming_tcp", rng.bool()).unwrap();
                settings.set_int("max_connections_per_torrent", rng.i64(1..50)).unwrap();
                let _ = session.apply_settings(&settings);
            }
        }
        12 => {
            let _ = torrent.set_file_priority(0, rng.i64(0..8));
            let _ = torrent.set_piece_deadline(rng.i64(0..20), rng.i64(-5..5000));
        }
        13 => drop((torrent.status(), torrent.peers(), torrent.download_queue(), session.stats(), session.statuses())),
        14 => _ = session.save_state(),
        15 => _ = torrent.connect_peer(film.seed),
        _ => {
            if let Ok(reader) = session.open_reader(index, 0, ReaderOptions::default()) {
                read_some(&reader, films, rng);
            }
        }
    }
}

fn read_some(reader: &Reader, films: &[Film], rng: &mut fastrand::Rng) {
    let film = films.iter().find(|f| f.content.len() as u64 == reader.size()).expect("one of them");
    let mut buf = vec![0; 100_000];
    for _ in 0..rng.usize(0..6) {
        let at = rng.usize(0..film.content.len());
        let patience = Some(Duration::from_millis(rng.u64(0..40)));
        let read = match rng.u8(0..4) {
            0 => reader.read_at(at as u64, &mut buf, patience),
            1 => {
                let _ = reader.prebuffer(rng.u64(0..200_000), rng.u64(0..200_000));
                reader.interrupt();
                continue;
            }
            _ => reader.seek(at as i64, Whence::Set).and_then(|_| reader.read(&mut buf, patience)),
        };
        if let Ok(n) = read {
            assert!(buf[..n] == film.content[at..at + n], "wrong bytes at {at}");
        }
    }
}

#[test]
fn any_call_at_any_time() {
    let torrents = [
        Torrent::make("one.bin", 1_000_000, 1, &["--piece-length", "65536"]),
        Torrent::make("two.bin", 700_001, 1, &["--piece-length", "32768"]),
    ];
    let seeds = torrents.each_ref().map(|t| ours::seed(t).0);
    let disk = common::temp::TempDir::new();
    let films: Vec<Film> = torrents
        .iter()
        .zip(&seeds)
        .map(|(torrent, seed)| Film {
            torrent,
            seed: ours::address(seed),
            disk: disk.path(),
            content: fs::read(torrent.content()).unwrap(),
        })
        .collect();
    for closes_meanwhile in [false, true] {
        let session = ours::open();
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            for n in 0..4 {
                let (session, films, over) = (&session, &films, &over);
                scope.spawn(move || {
                    let mut rng = fastrand::Rng::with_seed(fastrand::u64(..) + n);
                    while !over.load(Ordering::Acquire) {
                        let began = Instant::now();
                        call(session, films, &mut rng);
                        assert!(began.elapsed() < Duration::from_secs(10), "a call took {:?}", began.elapsed());
                        let there = session.torrents().map_or(0, |all| all.len());
                        assert!(there <= 2, "{there} torrents, of two");
                    }
                });
            }
            thread::sleep(Duration::from_secs(4));
            if closes_meanwhile {
                session.close(CLOSE).unwrap();
            }
            over.store(true, Ordering::Release);
        });
        if closes_meanwhile {
            continue;
        }
        session.resume().unwrap();
        session.set_memory_limit(4 << 20).unwrap();
        for film in &films {
            let params = ours::params(film.torrent, Source::File);
            let index = session.add_torrent(params).unwrap_or_else(|e| e.existing.unwrap());
            let torrent = session.torrent(index).unwrap();
            torrent.resume().unwrap();
            torrent.unset_flags(TorrentFlags::UPLOAD_MODE).unwrap();
            torrent.connect_peer(film.seed).unwrap();
            ours::stream(&session, index, 0, &film.torrent.content());
        }
        session.close(CLOSE).unwrap();
    }
    seeds.into_iter().for_each(|seed| seed.close(CLOSE).unwrap());
}
