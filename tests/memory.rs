//! Memory storage holds its limit: by the session's own count, and by what the system says of the process.

mod common;
#[path = "../benches/src/content.rs"]
mod content;

use std::time::Instant;

use common::alone::{alone, forget_memory_peak, memory};
use common::ours::{self, Alerts, CLOSE, READ};
use common::peers::plain_seeder;
use common::temp::TempDir;
use content::Content;
use elementum_torrent::metainfo::TorrentFile;
use elementum_torrent::session::{
    AddTorrentParams, Reader, ReaderOptions, Session, StorageIndex, StorageKind, TorrentSource, Whence,
};

const MIB: u64 = 1 << 20;
const SIZE: u64 = 1 << 30;
const PIECE: u64 = 4 * MIB;
const LIMIT: u64 = 64 * MIB;
/// What a process that streams needs beside the payload: program, threads, buffers, sockets. The README states it.
const CONSTANT: u64 = 20 * MIB;

/// A reader whose every byte is compared with what should stand there.
struct Checked {
    session: Session,
    index: StorageIndex,
    reader: Reader,
    content: Content,
    buf: Vec<u8>,
    expected: Vec<u8>,
    total: u64,
}

impl Checked {
    /// Reads `len` bytes from `at` on, or to the end of the file.
    fn read(&mut self, at: u64, len: u64) {
        assert_eq!(self.reader.seek(at as i64, Whence::Set).unwrap(), at);
        let end = (at + len).min(SIZE);
        let mut at = at;
        while at < end {
            let room = self.buf.len().min((end - at) as usize);
            let n = self.reader.read(&mut self.buf[..room], READ).unwrap_or_else(|error| {
                panic!("{error:?} at {at}: {}", ours::describe(&self.session, self.index));
            });
            self.content.read(at, &mut self.expected[..n]);
            assert!(self.buf[..n] == self.expected[..n], "wrong bytes at {at}");
            at += n as u64;
            self.total += n as u64;
            self.check_limit();
        }
    }

    fn check_limit(&self) {
        let stats = self.session.torrent(self.index).unwrap().storage_stats().unwrap();
        assert!(stats.session_charged <= LIMIT && stats.session_peak <= LIMIT, "{stats:?}");
        assert_eq!(stats.session_limit, LIMIT);
    }
}

/// Runs one part and tells how it went.
fn part(name: &str, checked: &mut Checked, run: impl FnOnce(&mut Checked)) {
    let (began, before) = (Instant::now(), checked.total);
    run(checked);
    let downloaded = checked.session.stats().unwrap().total_payload_download / MIB;
    println!(
        "measured {name}: {} MiB in {:.1} s; {downloaded} MiB downloaded so far, peak RSS {:.1} MiB",
        (checked.total - before) / MIB,
        began.elapsed().as_secs_f64(),
        memory("VmHWM") as f64 / MIB as f64
    );
}

#[test]
fn a_gigabyte_streams_through_64_mib() {
    alone("a_gigabyte_streams_through_64_mib", || {
        let dir = TempDir::new();
        let options = ["--piece-length", &PIECE.to_string(), "--seed", "5"];
        let (mut seeder, torrent) = plain_seeder(dir.path(), SIZE, &options);
        let address = seeder.address();
        let session = ours::open_with(|s| s.set_int("memory_limit", LIMIT as i64).unwrap());
        let mut params = AddTorrentParams::new(TorrentSource::File(ours::torrent_file(&torrent)));
        params.peers = vec![address];
        let index = session.add_torrent(params).unwrap();
        let reader = session.open_reader(index, 0, ReaderOptions::default()).unwrap();
        let mut checked = Checked {
            session,
            index,
            reader,
            content: Content::new(5, SIZE),
            buf: vec![0; MIB as usize],
            expected: vec![0; MIB as usize],
            total: 0,
        };
        part("front to back", &mut checked, |c| c.read(0, SIZE));
        part("backwards in jumps of 8 MiB", &mut checked, |c| {
            (1..=SIZE / (8 * MIB)).for_each(|jump| c.read(SIZE - jump * 8 * MIB, MIB / 4));
        });
        part("at random", &mut checked, |c| {
            let mut rng = fastrand::Rng::with_seed(3);
            (0..60).for_each(|_| c.read(rng.u64(0..SIZE), rng.u64(1..2 * MIB)));
        });
        let stats = checked.session.torrent(index).unwrap().storage_stats().unwrap();
        assert!(stats.evicted_pieces > 300, "{stats:?}");
        assert_eq!(checked.session.stats().unwrap().hash_failures, 0);
        checked.session.close(CLOSE).unwrap();
        let peak = memory("VmHWM");
        println!("measured peak RSS: limit + {:.1} MiB", (peak as f64 - LIMIT as f64) / MIB as f64);
        assert!(peak <= LIMIT + CONSTANT, "{} MiB", peak / MIB);
    });
}

/// A torrent of very many small files.
fn many_files(files: u32) -> Vec<u8> {
    let mut torrent = b"d4:infod5:filesl".to_vec();
    for file in 0..files {
        torrent.extend(format!("d6:lengthi{}e4:pathl7:{file:07}ee", 100 + file % 7).bytes());
    }
    let size: u64 = (0..u64::from(files)).map(|file| 100 + file % 7).sum();
    let pieces = size.div_ceil(1 << 20) * 20;
    torrent.extend(format!("e4:name4:many12:piece lengthi1048576e6:pieces{pieces}:").bytes());
    torrent.resize(torrent.len() + pieces as usize, b'h');
    torrent.extend(b"ee");
    torrent
}

/// A torrent costs little more than its names: while it is read, while it is held, and on disk as in memory.
#[test]
fn half_a_million_files_are_held_in_little() {
    alone("half_a_million_files_are_held_in_little", || {
        const FILES: u32 = 490_000;
        let session = ours::open();
        let bytes = many_files(FILES);
        for storage in [StorageKind::Memory, StorageKind::Disk] {
            forget_memory_peak();
            let before = memory("VmRSS");
            let file = TorrentFile::parse(&bytes).unwrap();
            assert_eq!(file.info.layout.num_files() as u32, FILES);
            let read = memory("VmHWM") - before;
            let mut params = AddTorrentParams::new(TorrentSource::File(file));
            let to = TempDir::new();
            params.storage = Some(storage);
            params.save_path = Some(to.path().to_owned());
            let index = session.add_torrent(params).unwrap();
            let mut alerts = Alerts::default();
            alerts.wait(&session, if storage == StorageKind::Disk { "torrent_checked" } else { "add_torrent" }, "");
            let held = memory("VmRSS") - before;
            println!(
                "measured {storage:?}: {} MiB to read {} MiB of torrent, {} MiB held",
                read / MIB,
                bytes.len() as u64 / MIB,
                held / MIB
            );
            // Beside the torrent itself.
            let beside = |bytes_a_file: u64| bytes.len() as u64 + u64::from(FILES) * bytes_a_file;
            assert!(read <= beside(220), "{} MiB", read / MIB);
            assert!(held <= beside(140), "{} MiB", held / MIB);
            session.remove_torrent(index, Default::default()).unwrap();
            alerts.wait(&session, "torrent_removed", "");
        }
        session.close(CLOSE).unwrap();
    });
}
