//! Our side of the integration tests: sessions on loopback, and what is asked of them again and again.

use std::collections::VecDeque;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use elementum_torrent::alert::message::message;
use elementum_torrent::metainfo::{Magnet, TorrentFile};
use elementum_torrent::session::{
    AddTorrentParams, Reader, ReaderOptions, Session, StorageIndex, StorageKind, TorrentSource, TorrentStatus,
};
use elementum_torrent::settings::Settings;

use super::peers::{PATIENCE, Source, Torrent};

/// What the tests wait for one read at most.
pub const READ: Option<Duration> = Some(PATIENCE);
/// What the tests give a session to close.
pub const CLOSE: Option<Duration> = Some(Duration::from_secs(20));

/// Settings for loopback: every alert, no network beyond what a test names, quick to unchoke and to dial again.
pub fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.set_str("listen_interfaces", "127.0.0.1:0").unwrap();
    settings.set_str("dht_bootstrap_nodes", "").unwrap();
    settings.set_bool("enable_dht", false).unwrap();
    settings.set_int("alert_mask", -1).unwrap();
    settings.set_int("alert_queue_size", 100_000).unwrap();
    settings.set_int("unchoke_interval", 1).unwrap();
    settings.set_int("min_reconnect_time", 1).unwrap();
    settings.set_int("max_failcount", 50).unwrap();
    settings.set_int("worker_threads", 2).unwrap();
    settings
}

pub fn open() -> Session {
    open_with(|_| ())
}

pub fn open_with(change: impl FnOnce(&mut Settings)) -> Session {
    let mut settings = settings();
    change(&mut settings);
    Session::open(Some(settings), &[]).unwrap()
}

/// A session that dials each peer in one way: whom it meets takes one connection after the other, and a slow machine is given the
/// second way before the first has been answered.
pub fn open_for_one_way(change: impl FnOnce(&mut Settings)) -> Session {
    open_with(|s| {
        s.set_int("out_enc_policy", 2).unwrap();
        change(s);
    })
}

/// Where others reach the session.
pub fn address(session: &Session) -> SocketAddr {
    ([127, 0, 0, 1], session.listen_port().unwrap()).into()
}

pub fn torrent_file(path: &Path) -> TorrentFile {
    TorrentFile::parse(&fs::read(path).unwrap()).unwrap()
}

/// How to add a torrent that streams out of memory.
pub fn params(torrent: &Torrent, source: Source) -> AddTorrentParams {
    AddTorrentParams::new(match source {
        Source::File => TorrentSource::File(torrent_file(&torrent.file)),
        Source::Magnet => TorrentSource::Magnet(Magnet::parse(&torrent.magnet).unwrap()),
    })
}

/// The same from, or to, the directory `dir`.
pub fn disk_params(torrent: &Torrent, source: Source, dir: &Path) -> AddTorrentParams {
    let mut params = params(torrent, source);
    params.storage = Some(StorageKind::Disk);
    params.save_path = Some(dir.to_owned());
    params
}

/// A session that seeds the torrent from disk, checked.
pub fn seed(torrent: &Torrent) -> (Session, StorageIndex) {
    seed_with(torrent, |_| ())
}

pub fn seed_with(torrent: &Torrent, change: impl FnOnce(&mut Settings)) -> (Session, StorageIndex) {
    let session = open_with(change);
    let index = session.add_torrent(disk_params(torrent, Source::File, torrent.dir.path())).unwrap();
    until("the seed is checked", || status(&session, index).is_seeding);
    (session, index)
}

pub fn status(session: &Session, index: StorageIndex) -> TorrentStatus {
    session.torrent(index).unwrap().status().unwrap()
}

/// Waits until it is so; looks every 20 ms.
pub fn until(what: &str, ready: impl FnMut() -> bool) {
    assert!(within(PATIENCE, ready), "not within {PATIENCE:?}: {what}");
}

/// Is it so within the time?
pub fn within(time: Duration, mut ready: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + time;
    while !ready() {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// Reads a file of the torrent from the first to the last byte through a reader, and compares each with the file at `path`.
pub fn stream(session: &Session, index: StorageIndex, file: usize, path: &Path) {
    let expected = fs::read(path).unwrap();
    let reader = session.open_reader(index, file as i64, ReaderOptions::default()).unwrap();
    assert_eq!(reader.size(), expected.len() as u64);
    read_range(session, &reader, 0, &expected);
}

/// Reads on from the reader's position, `from`, until all of `expected` came.
pub fn read_range(session: &Session, reader: &Reader, from: usize, expected: &[u8]) {
    let mut buf = vec![0; 128 * 1024];
    let mut at = 0;
    while at < expected.len() {
        let room = buf.len().min(expected.len() - at);
        let n = reader.read(&mut buf[..room], READ).unwrap_or_else(|error| {
            panic!("{error:?} at {} of {}: {}", from + at, reader.size(), describe(session, reader.torrent()))
        });
        assert!(n > 0 && buf[..n] == expected[at..at + n], "wrong bytes at {}", from + at);
        at += n;
    }
}

/// Streams every file of the torrent, and compares it with the torrent's content.
pub fn stream_all(session: &Session, index: StorageIndex, torrent: &Torrent) {
    let info = session.torrent(index).unwrap().info().unwrap();
    for (file, entry) in info.layout.files().iter().enumerate() {
        stream(session, index, file, &torrent.dir.path().join(&entry.path));
    }
}

/// What a torrent says of itself, for a test that fails.
pub fn describe(session: &Session, index: StorageIndex) -> String {
    let Ok(torrent) = session.torrent(index) else { return "the torrent is gone".to_owned() };
    let alerts = Alerts::default().all(session).join("\n  ");
    format!(
        "\n {:?}\n {:?}\n {:?}\n {:?}\n {:?}\n alerts:\n  {alerts}",
        torrent.status(),
        torrent.peers(),
        torrent.trackers(),
        torrent.storage_stats(),
        torrent.download_queue()
    )
}

/// The alerts of a session, as lines for people; each is looked at once by those who wait.
#[derive(Default)]
pub struct Alerts {
    waiting: VecDeque<String>,
    /// All that ever came.
    pub heard: Vec<String>,
}

impl Alerts {
    fn fetch(&mut self, session: &Session) {
        let mut buf = vec![0; 64 * 1024];
        loop {
            let popped = session.alerts().pop(&mut buf);
            let mut rest = &buf[..popped.bytes];
            while let Some((size, _)) = rest.split_first_chunk::<4>() {
                let (record, behind) = rest.split_at(u32::from_ne_bytes(*size) as usize);
                let line = message(record).unwrap();
                self.waiting.push_back(line.clone());
                self.heard.push(line);
                rest = behind;
            }
            if popped.count == 0 {
                return;
            }
        }
    }

    /// Every alert until now.
    pub fn all(mut self, session: &Session) -> Vec<String> {
        self.fetch(session);
        self.heard
    }

    /// Waits for the alert `name` whose line has `part` in it, and takes it. Others wait on.
    pub fn wait(&mut self, session: &Session, name: &str, part: &str) -> String {
        self.wait_within(session, name, part, PATIENCE)
            .unwrap_or_else(|| panic!("no alert `{name}` with `{part}`; heard {:#?}", self.heard))
    }

    pub fn wait_within(&mut self, session: &Session, name: &str, part: &str, time: Duration) -> Option<String> {
        let deadline = Instant::now() + time;
        loop {
            self.fetch(session);
            let fits = |line: &String| line.split(' ').next() == Some(name) && line.contains(part);
            if let Some(at) = self.waiting.iter().position(fits) {
                return self.waiting.remove(at);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || (!session.alerts().wait(Some(left)) && session.alerts().is_closed()) {
                return None;
            }
        }
    }

    /// How many such alerts came so far, taken or not.
    pub fn count(&mut self, session: &Session, name: &str, part: &str) -> usize {
        self.fetch(session);
        self.heard.iter().filter(|line| line.split(' ').next() == Some(name) && line.contains(part)).count()
    }
}
