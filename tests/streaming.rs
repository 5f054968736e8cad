//! Two sessions of ours on loopback: one seeds from disk, the other streams into memory.

use std::sync::Arc;
use std::time::Duration;

use elementum_torrent::base::error::Status;
use elementum_torrent::ffi::explanation::et_reader_explanation;
use elementum_torrent::metainfo::{Create, TorrentFile};
use elementum_torrent::session::{
    AddTorrentParams, Explanation, Reader, ReaderOptions, Reason, Session, StorageKind, TorrentSource, Whence,
};
use elementum_torrent::settings::Settings;
use sha1::{Digest, Sha1};

const WAIT: Option<Duration> = Some(Duration::from_secs(30));

fn content(len: usize) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(len as u64);
    std::iter::repeat_with(|| rng.u8(..)).take(len).collect()
}

fn torrent_of(name: &str, data: &[u8], piece_length: u32) -> TorrentFile {
    let hashes = data.chunks(piece_length as usize).flat_map(|p| <[u8; 20]>::from(Sha1::digest(p))).collect();
    Create::single(name, data.len() as u64, piece_length).v1(hashes).expect("a torrent")
}

fn settings(memory: i64) -> Settings {
    let mut s = Settings::default();
    s.set_str("listen_interfaces", "127.0.0.1:0").expect("an interface");
    s.set_bool("enable_dht", false).expect("a bool");
    s.set_int("memory_limit", memory).expect("in range");
    s
}

struct Swarm {
    seeder: Session,
    leecher: Session,
    index: elementum_torrent::session::StorageIndex,
    data: Vec<u8>,
    _dir: tempfile::TempDir,
}

impl Swarm {
    /// What both sides say, for a test that fails.
    fn describe(&self) -> String {
        let leech = self.leecher.torrent(self.index).expect("there");
        let seed = self.seeder.torrent(self.seeder.torrents().expect("open")[0]).expect("there");
        let mut text = String::new();
        for (who, torrent) in [("leecher", leech), ("seeder", seed)] {
            let (status, peers) = (torrent.status().expect("a status"), torrent.peers().expect("peers"));
            let stats = torrent.storage_stats().expect("stats");
            text += &format!("\n{who}: {status:?}\n  {peers:?}\n  {stats:?}\n  {:?}", torrent.download_queue());
        }
        text
    }
}

fn swarm(len: usize, piece_length: u32, memory: i64) -> Swarm {
    let dir = tempfile::tempdir().expect("a directory");
    let data = content(len);
    std::fs::write(dir.path().join("film.bin"), &data).expect("written");
    let torrent = torrent_of("film.bin", &data, piece_length);
    let seeder = Session::open(Some(settings(64 << 20)), &[]).expect("a session");
    let mut params = AddTorrentParams::new(TorrentSource::File(torrent.clone()));
    params.storage = Some(StorageKind::Disk);
    params.save_path = Some(dir.path().to_owned());
    let seeding = seeder.add_torrent(params).expect("added");
    let began = std::time::Instant::now();
    while !seeder.torrent(seeding).expect("there").status().expect("a status").is_seeding {
        assert!(began.elapsed() < Duration::from_secs(30), "the check takes for ever");
        std::thread::sleep(Duration::from_millis(20));
    }
    let leecher = Session::open(Some(settings(memory)), &[]).expect("a session");
    let mut params = AddTorrentParams::new(TorrentSource::File(torrent));
    params.peers = vec![([127, 0, 0, 1], seeder.listen_port().expect("a port")).into()];
    let index = leecher.add_torrent(params).expect("added");
    Swarm { seeder, leecher, index, data, _dir: dir }
}

#[test]
fn reads_front_to_back_within_the_limit() {
    let s = swarm(24 << 20, 1 << 18, 4 << 20);
    let reader = s.leecher.open_reader(s.index, 0, ReaderOptions::default()).expect("a reader");
    let mut buf = vec![0; 100_000];
    let mut at = 0;
    while at < s.data.len() {
        let n = reader.read(&mut buf, WAIT).unwrap_or_else(|e| panic!("{e:?} at {at}: {}", s.describe()));
        assert!(buf[..n] == s.data[at..at + n], "wrong bytes at {at}");
        at += n;
    }
    assert_eq!(reader.read(&mut buf, WAIT).expect_err("the end").status, Status::EndOfFile);
    let stats = s.leecher.torrent(s.index).expect("there").storage_stats().expect("stats");
    assert!(stats.session_peak <= 4 << 20, "{stats:?}");
    assert!(stats.evicted_pieces > 0);
    assert_eq!(reader.seek(-100, Whence::End).expect("a place"), s.data.len() as u64 - 100);
    drop(reader);
    s.leecher.close(WAIT).expect("closed");
    s.seeder.close(WAIT).expect("closed");
}

#[test]
fn random_seeks_give_the_right_bytes() {
    let s = swarm(16 << 20, 1 << 18, 4 << 20);
    let reader = Arc::new(s.leecher.open_reader(s.index, 0, ReaderOptions::default()).expect("a reader"));
    let mut rng = fastrand::Rng::with_seed(1);
    for _ in 0..40 {
        let at = rng.usize(0..s.data.len() - 1);
        reader.seek(at as i64, Whence::Set).expect("a place");
        let mut buf = vec![0; rng.usize(1..300_000)];
        let n = reader.read(&mut buf, WAIT).unwrap_or_else(|e| panic!("{e:?} at {at}: {}", s.describe()));
        assert!(buf[..n] == s.data[at..at + n], "wrong bytes at {at}");
        let at = rng.usize(0..s.data.len() - 1);
        let n = reader.read_at(at as u64, &mut buf, WAIT).unwrap_or_else(|e| panic!("{e:?} at {at}: {}", s.describe()));
        assert!(buf[..n] == s.data[at..at + n], "wrong bytes at {at}");
    }
}

/// Asks until it is the reason.
fn until(reader: &Reader, reason: Reason) -> Explanation {
    let began = std::time::Instant::now();
    loop {
        let told = reader.explain().expect("an explanation");
        if told.reason == reason {
            return told;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "not {reason:?}, but: {told}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_download_limit_is_the_reason() {
    let s = swarm(4 << 20, 1 << 18, 4 << 20);
    let mut slow = s.leecher.settings().expect("open");
    slow.set_int("download_rate_limit", 40_000).expect("in range");
    s.leecher.apply_settings(&slow).expect("applied");
    let reader = s.leecher.open_reader(s.index, 0, ReaderOptions::default()).expect("a reader");
    let waits = reader.read(&mut [0; 10], Some(Duration::from_millis(1))).expect_err("nothing is here yet");
    assert_eq!(waits.status, Status::TimedOut);
    let told = until(&reader, Reason::DownloadLimit);
    assert_eq!((told.torrent_limit, told.session_limit), (0, 40_000));
    assert!(told.to_string().starts_with("the session's download limit of 40 KiB a second"), "{told}");
    assert_eq!(told.asked_of, Some(([127, 0, 0, 1], s.seeder.listen_port().expect("a port")).into()));
    s.leecher.torrent(s.index).expect("there").set_limits(Some(20_000), None, None, None).expect("limited");
    assert!(until(&reader, Reason::DownloadLimit).to_string().starts_with("the torrent's download limit of 20 KiB"));

    // As C sees it.
    let c = et_reader_explanation::from(&told);
    assert_eq!((c.reason, c.piece, c.blocks_in_piece, c.session_download_limit), (41, 0, 16, 40_000));
    assert_eq!((c.asked_of.family, c.torrent_error, c.waited_ms), (4, 0, -1));
}

/// What another torrent of the session has is told apart.
#[test]
fn other_torrents_have_the_memory() {
    let s = swarm(24 << 20, 1 << 18, 4 << 20);
    let playing = s.leecher.open_reader(s.index, 0, ReaderOptions::default()).expect("a reader");
    let mut buf = vec![0; 1 << 20];
    for _ in 0..8 {
        playing.read(&mut buf, WAIT).unwrap_or_else(|e| panic!("{e:?}: {}", s.describe()));
    }
    let other = torrent_of("other.bin", &content(1 << 20), 1 << 16);
    let index = s.leecher.add_torrent(AddTorrentParams::new(TorrentSource::File(other))).expect("added");
    let lonely = s.leecher.open_reader(index, 0, ReaderOptions::default()).expect("a reader");
    let began = std::time::Instant::now();
    loop {
        let told = lonely.explain().expect("an explanation");
        assert_eq!((told.reason, told.peers.connected), (Reason::NoPeers, 0), "{told}");
        let m = &told.memory;
        assert_eq!(m.requested + m.pinned + m.protected + m.wanted + m.idle, 0, "it has nothing: {m:?}");
        // Between two looks at a session at work blocks come and go.
        if m.held == 0 && m.other_torrents == m.charged && m.charged > 1 << 20 {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{m:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(playing.status().expect("a status").duplicate_bytes, 0);
    s.leecher.close(WAIT).expect("closed");
    assert_eq!(lonely.explain().expect_err("closed").status, Status::Closed);
}
