//! Rate limits, pauses, deletion, rechecks, ports that are taken.

mod common;

use std::fs;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use common::ours::{self, Alerts, CLOSE};
use common::peers::{Source, Torrent};
use common::temp::{TempDir, assert_same, files_under};
use elementum_torrent::alert::TorrentState;
use elementum_torrent::metainfo::{Create, Sha1Hash};
use elementum_torrent::session::{
    AddTorrentParams, Reader, ReaderOptions, RemoveFlags, Session, StorageIndex, StorageKind, TorrentSource,
};
use elementum_torrent::settings::Settings;

/// A session that downloads the torrent to disk, all of it, from `peer`.
fn leech(
    torrent: &Torrent,
    to: &TempDir,
    peer: &Session,
    change: impl FnOnce(&mut Settings),
) -> (Session, StorageIndex) {
    let session = ours::open_with(change);
    let mut params = ours::disk_params(torrent, Source::File, to.path());
    params.peers = vec![ours::address(peer)];
    let index = session.add_torrent(params).unwrap();
    (session, index)
}

/// A session that streams the torrent from these seeders.
fn stream(
    torrent: &Torrent,
    seeders: &[Session],
    change: impl FnOnce(&mut Settings),
) -> (Session, StorageIndex, Reader) {
    let session = ours::open_with(change);
    let (index, reader) = stream_in(&session, torrent, seeders);
    (session, index, reader)
}

fn stream_in(session: &Session, torrent: &Torrent, seeders: &[Session]) -> (StorageIndex, Reader) {
    let mut params = ours::params(torrent, Source::File);
    params.peers = seeders.iter().map(ours::address).collect();
    let index = session.add_torrent(params).unwrap();
    (index, session.open_reader(index, 0, ReaderOptions::default()).unwrap())
}

/// What all of them sent.
fn sent_by(seeders: &[Session]) -> u64 {
    seeders.iter().map(|s| s.stats().unwrap().total_payload_upload).sum()
}

/// Bytes of payload a second that arrive in 3 s, after a second to get going.
fn measured_rate(session: &Session) -> f64 {
    thread::sleep(Duration::from_secs(1));
    let total = || session.stats().unwrap().total_payload_download;
    let (began, before) = (Instant::now(), total());
    thread::sleep(Duration::from_secs(3));
    (total() - before) as f64 / began.elapsed().as_secs_f64()
}

/// The limit is never exceeded, and reached: at once, or later where the machine was too busy to send in time.
fn assert_near(limit: f64, mut measure: impl FnMut() -> f64) {
    for _ in 0..6 {
        let rate = measure();
        println!("measured {rate:.0} of {limit:.0} bytes a second");
        assert!(rate <= limit * 1.1, "{rate} bytes a second, the limit is {limit}");
        if rate >= limit * 0.9 {
            return;
        }
    }
    panic!("the limit of {limit} bytes a second was never reached");
}

#[test]
fn download_limits_hold_and_can_be_changed() {
    let torrent = Torrent::make("limited.bin", 60_000_000, 1, &[]);
    let (seeder, _) = ours::seed(&torrent);
    let to = TempDir::new();
    let (session, index) = leech(&torrent, &to, &seeder, |s| s.set_int("download_rate_limit", 1_000_000).unwrap());
    assert_near(1_000_000.0, || measured_rate(&session));
    // The torrent's own limit is tighter now, and the session's is gone.
    session.torrent(index).unwrap().set_limits(Some(300_000), None, None, None).unwrap();
    let mut settings = session.settings().unwrap();
    settings.set_int("download_rate_limit", 0).unwrap();
    session.apply_settings(&settings).unwrap();
    assert_near(300_000.0, || measured_rate(&session));
    session.torrent(index).unwrap().set_limits(Some(0), None, None, None).unwrap();
    Alerts::default().wait(&session, "torrent_finished", "");
    assert_same(&torrent.content(), &to.path().join(&torrent.name));
    session.close(CLOSE).unwrap();
    seeder.close(CLOSE).unwrap();
}

#[test]
fn upload_limits_hold_for_all_peers_together() {
    let torrent = Torrent::make("limited.bin", 60_000_000, 1, &[]);
    let (seeder, index) = ours::seed_with(&torrent, |s| {
        s.set_int("upload_rate_limit", 1_000_000).unwrap();
        // Else the leechers would hear of each other.
        s.set_bool("enable_pex", false).unwrap();
    });
    let leechers: Vec<_> = (0..2)
        .map(|_| {
            let to = TempDir::new();
            let (session, _) = leech(&torrent, &to, &seeder, |_| ());
            (session, to)
        })
        .collect();
    let mut rates = Vec::new();
    assert_near(1_000_000.0, || {
        rates = thread::scope(|scope| {
            let measuring: Vec<_> =
                leechers.iter().map(|(session, _)| scope.spawn(|| measured_rate(session))).collect();
            measuring.into_iter().map(|m| m.join().unwrap()).collect::<Vec<f64>>()
        });
        rates.iter().sum()
    });
    assert!(rates.iter().all(|rate| *rate > 300_000.0), "fair: {rates:?}");
    assert_eq!(ours::status(&seeder, index).num_peers, 2);
    for (session, _) in &leechers {
        session.close(CLOSE).unwrap();
    }
    seeder.close(CLOSE).unwrap();
}

/// What many peers sent waits for our limit: nobody is late, nothing is asked for again, and all of the limit is of use to the reader: what
/// it waits for comes first. Not there yet is what two seconds bring, block beside block, and a piece that is not whole.
#[test]
fn a_low_limit_is_of_use_with_many_peers() {
    const LIMIT: i64 = 50_000;
    // Small pieces, or what is in order goes up in steps of a quarter of what is wanted.
    let torrent = Torrent::make("few.bin", 2_000_000, 1, &["--piece-length", "32768"]);
    let seeders: Vec<_> = (0..8).map(|_| ours::seed(&torrent).0).collect();
    let (session, _, reader) = stream(&torrent, &seeders, |s| s.set_int("download_rate_limit", LIMIT).unwrap());
    let (began, time) = (Instant::now(), Duration::from_secs(20));
    let (mut read, mut buf) = (0, vec![0; 64 * 1024]);
    while let Some(left) = time.checked_sub(began.elapsed()) {
        read += reader.read(&mut buf, Some(left)).unwrap_or(0);
    }
    let wanted = LIMIT as usize * 20 * 8 / 10;
    let asked = sent_by(&seeders);
    println!("read {read}, sent by all {asked}");
    assert!(read >= wanted, "{read} bytes of {wanted} in order");
    assert!(asked <= LIMIT as u64 * (20 + 2), "{asked} bytes sent for {read}");
    session.close(CLOSE).unwrap();
    seeders.iter().for_each(|s| s.close(CLOSE).unwrap());
}

/// All places of the session are taken by the peers of one torrent, which plays, or where nobody reads any more. A stream of another one
/// begins all the same.
#[test]
fn a_stream_finds_places_that_another_torrent_has() {
    const PLACES: usize = 6;
    let (held, wanted) = (Torrent::make("held.bin", 3_000_000, 1, &[]), Torrent::make("wanted.bin", 1_000_000, 2, &[]));
    let seeders: Vec<_> = (0..PLACES).map(|_| ours::seed(&held).0).collect();
    let (seeder, _) = ours::seed(&wanted);
    for plays in [true, false] {
        let places = |s: &mut Settings| s.set_int("connections_limit", PLACES as i64).unwrap();
        let (session, index, reader) = stream(&held, &seeders, places);
        reader.read(&mut [0; 1000], Some(Duration::from_secs(10))).unwrap();
        ours::until("all places are taken", || ours::status(&session, index).num_peers as usize == PLACES);
        let _playing = plays.then_some(reader);
        let (_, other) = stream_in(&session, &wanted, std::slice::from_ref(&seeder));
        assert!(other.read(&mut [0; 1000], Some(Duration::from_secs(10))).is_ok(), "it plays: {plays}");
        assert!(ours::status(&session, index).num_peers as usize >= PLACES - 2);
        session.close(CLOSE).unwrap();
    }
    seeders.iter().chain([&seeder]).for_each(|s| s.close(CLOSE).unwrap());
}

/// They are taken by peers of many torrents that nobody reads from, only just now, and more of those want one each.
#[test]
fn a_stream_finds_a_place_among_torrents_that_nobody_reads() {
    const PLACES: usize = 2;
    let held: Vec<Torrent> = (0..4).map(|n| Torrent::make(&format!("held{n}.bin"), 100_000, 1, &[])).collect();
    let wanted = Torrent::make("wanted.bin", 1_000_000, 1, &[]);
    let seeders: Vec<_> = held.iter().map(|t| ours::seed(t).0).collect();
    let (seeder, _) = ours::seed(&wanted);
    let session = ours::open_with(|s| s.set_int("connections_limit", PLACES as i64).unwrap());
    for (torrent, seeder) in held.iter().zip(&seeders) {
        drop(stream_in(&session, torrent, std::slice::from_ref(seeder)));
    }
    ours::until("all places are taken", || session.stats().unwrap().num_peers as usize == PLACES);
    let (_, other) = stream_in(&session, &wanted, std::slice::from_ref(&seeder));
    assert!(other.read(&mut [0; 1000], Some(Duration::from_secs(4))).is_ok());
    session.close(CLOSE).unwrap();
    seeders.iter().chain([&seeder]).for_each(|s| s.close(CLOSE).unwrap());
}

/// Where a block takes many seconds nobody is late for it, and no more than the next one is asked for.
#[test]
fn the_lowest_limits_fetch_nothing_in_vain() {
    const LIMIT: i64 = 1000;
    const BLOCK: u64 = 16 * 1024;
    let torrent = Torrent::make("least.bin", 2_000_000, 1, &[]);
    let seeders: Vec<_> = (0..8).map(|_| ours::seed(&torrent).0).collect();
    let (session, _, reader) = stream(&torrent, &seeders, |s| s.set_int("download_rate_limit", LIMIT).unwrap());
    let began = Instant::now();
    // Each wait of the reader makes what it waits for urgent.
    while began.elapsed() < Duration::from_secs(35) {
        let _ = reader.read(&mut [0; 1000], Some(Duration::from_millis(500)));
        // What is asked for is sent at once.
        let (sent, came) = (sent_by(&seeders), session.stats().unwrap().total_payload_download);
        assert!(sent <= came + BLOCK, "{sent} bytes sent, {came} came");
    }
    assert!(session.stats().unwrap().total_payload_download >= BLOCK);
    session.close(CLOSE).unwrap();
    seeders.iter().for_each(|s| s.close(CLOSE).unwrap());
}

/// At one byte a second, down or up, the connection lives on, and is as good as ever when the limit is lifted.
#[test]
fn a_byte_a_second_kills_no_connection() {
    let torrent = Torrent::make("trickle.bin", 3_000_000, 1, &[]);
    for upload in [false, true] {
        let limit = |on: bool| {
            move |s: &mut Settings| {
                let key = if upload { "upload_rate_limit" } else { "download_rate_limit" };
                s.set_int(key, i64::from(on)).unwrap();
            }
        };
        let (seeder, _) = ours::seed_with(&torrent, limit(upload));
        let to = TempDir::new();
        let (session, index) = leech(&torrent, &to, &seeder, limit(!upload));
        ours::until("they are connected", || ours::status(&session, index).num_peers == 1);
        thread::sleep(Duration::from_secs(4));
        let mut alerts = Alerts::default();
        assert_eq!(alerts.count(&session, "peer_disconnected", ""), 0, "{:#?}", alerts.heard);
        let trickle = ours::status(&session, index).total_download;
        assert!(trickle < 30_000, "{trickle} bytes at one a second");
        for slow in [&seeder, &session] {
            let mut settings = slow.settings().unwrap();
            limit(false)(&mut settings);
            settings.set_int("upload_rate_limit", 0).unwrap();
            settings.set_int("download_rate_limit", 0).unwrap();
            slow.apply_settings(&settings).unwrap();
        }
        alerts.wait(&session, "torrent_finished", "");
        assert_eq!(alerts.count(&session, "peer_disconnected", ""), 0, "{:#?}", alerts.heard);
        session.close(CLOSE).unwrap();
        seeder.close(CLOSE).unwrap();
    }
}

#[test]
fn paused_torrents_rest_and_go_on() {
    let torrent = Torrent::make("paused.bin", 20_000_000, 1, &[]);
    let (seeder, _) = ours::seed(&torrent);
    let to = TempDir::new();
    let (session, index) = leech(&torrent, &to, &seeder, |s| s.set_int("download_rate_limit", 2_000_000).unwrap());
    let mut alerts = Alerts::default();
    let handle = session.torrent(index).unwrap();
    let rests = |alerts: &mut Alerts| {
        alerts.wait(&session, "torrent_paused", "");
        let status = handle.status().unwrap();
        assert!(status.paused && status.num_peers == 0, "{status:?}");
        // What a socket had already handed over when the pause came is counted yet.
        thread::sleep(Duration::from_millis(100));
        let before = session.stats().unwrap().total_download;
        thread::sleep(Duration::from_millis(500));
        assert_eq!(session.stats().unwrap().total_download, before);
    };
    let runs = |alerts: &mut Alerts| {
        alerts.wait(&session, "torrent_resumed", "");
        let before = session.stats().unwrap().total_payload_download;
        ours::until("it goes on", || session.stats().unwrap().total_payload_download > before + 500_000);
        assert!(!handle.status().unwrap().paused);
    };
    ours::until("it begins", || handle.status().unwrap().total_payload_download > 500_000);
    handle.pause().unwrap();
    rests(&mut alerts);
    handle.resume().unwrap();
    runs(&mut alerts);
    session.pause().unwrap();
    rests(&mut alerts);
    session.resume().unwrap();
    runs(&mut alerts);
    let mut settings = session.settings().unwrap();
    settings.set_int("download_rate_limit", 0).unwrap();
    session.apply_settings(&settings).unwrap();
    alerts.wait(&session, "torrent_finished", "");
    assert_same(&torrent.content(), &to.path().join(&torrent.name));
    session.close(CLOSE).unwrap();
    seeder.close(CLOSE).unwrap();
}

/// The files of the torrent go, its folders too where they are empty then, and nothing else; without the flag they stay.
#[test]
fn deletion_takes_the_torrents_files_and_no_others() {
    let torrent = Torrent::make("folder", 3_000_000, 4, &[]);
    let (seeder, _) = ours::seed(&torrent);
    let to = TempDir::new();
    let mut alerts = Alerts::default();
    let (session, index) = leech(&torrent, &to, &seeder, |_| ());
    alerts.wait(&session, "torrent_finished", "");
    session.remove_torrent(index, RemoveFlags::empty()).unwrap();
    alerts.wait(&session, "torrent_removed", "");
    assert_same(&torrent.content(), &to.path().join(&torrent.name));

    let index = session.add_torrent(ours::disk_params(&torrent, Source::File, to.path())).unwrap();
    ours::until("it is checked", || ours::status(&session, index).is_seeding);
    fs::write(to.path().join("folder/notes.txt"), "mine").unwrap();
    fs::write(to.path().join("beside.txt"), "mine too").unwrap();
    session.remove_torrent(index, RemoveFlags::DELETE_FILES).unwrap();
    alerts.wait(&session, "torrent_deleted", "");
    let left: Vec<String> = files_under(to.path()).iter().map(|p| p.to_string_lossy().into_owned()).collect();
    assert_eq!(left, ["beside.txt", "folder/notes.txt"]);
    assert!(!to.path().join("folder/folder").exists(), "an empty folder of the torrent");

    // In the middle of a download: what is being written then must not come back.
    for n in 0..5 {
        let (limit, to) = (3_000_000 + 1_000_000 * n, TempDir::new());
        let (session, index) = leech(&torrent, &to, &seeder, |s| s.set_int("download_rate_limit", limit).unwrap());
        let mut alerts = Alerts::default();
        alerts.wait(&session, "piece_finished", "");
        session.remove_torrent(index, RemoveFlags::DELETE_FILES).unwrap();
        alerts.wait(&session, "torrent_deleted", "");
        alerts.wait(&session, "torrent_removed", "");
        session.close(CLOSE).unwrap();
        assert_eq!(files_under(to.path()), Vec::<std::path::PathBuf>::new());
    }
    session.close(CLOSE).unwrap();
    seeder.close(CLOSE).unwrap();
}

/// A torrent is added again while the files of the one before it are still being deleted: it finds none of them, whether it is
/// checked before that is done or asked to be.
#[test]
fn what_is_being_deleted_is_not_found() {
    let to = TempDir::new();
    let content: Vec<u8> = (0..3000u32 * 1024).map(|i| (i % 251) as u8).collect();
    let files: Vec<_> = (0..3000).map(|i| (vec![format!("{i}")], 1024)).collect();
    let create = Create { name: "many".into(), piece_length: 16_384, files, ..Create::default() };
    let hashes = content.chunks(16_384).flat_map(|piece| Sha1Hash::of(piece).0).collect();
    let file = create.v1(hashes).unwrap();
    let session = ours::open();
    let add = || {
        let mut params = AddTorrentParams::new(TorrentSource::File(file.clone()));
        params.storage = Some(StorageKind::Disk);
        params.save_path = Some(to.path().to_owned());
        session.add_torrent(params).unwrap()
    };
    for round in 0..5 {
        let folder = to.dir("many");
        content.chunks(1024).enumerate().for_each(|(i, part)| fs::write(folder.join(i.to_string()), part).unwrap());
        let index = add();
        ours::until("all is found", || ours::status(&session, index).is_seeding);
        session.remove_torrent(index, RemoveFlags::DELETE_FILES).unwrap();
        let index = add();
        if round % 2 == 1 {
            session.torrent(index).unwrap().force_recheck().unwrap();
        }
        ours::until("it is checked", || ours::status(&session, index).state != TorrentState::CheckingFiles);
        assert_eq!(ours::status(&session, index).total_done, 0, "in round {round}");
        assert!(files_under(to.path()).is_empty());
        session.remove_torrent(index, RemoveFlags::empty()).unwrap();
    }
    session.close(CLOSE).unwrap();
}

/// A file is damaged behind our back: the recheck finds the one bad piece, and that one is fetched again.
#[test]
fn a_recheck_finds_damage_and_mends_it() {
    let torrent = Torrent::make("damaged.bin", 5_000_000, 1, &["--piece-length", "65536"]);
    let (seeder, _) = ours::seed(&torrent);
    let to = TempDir::new();
    let (session, index) = leech(&torrent, &to, &seeder, |_| ());
    let mut alerts = Alerts::default();
    alerts.wait(&session, "torrent_checked", "");
    alerts.wait(&session, "torrent_finished", "");
    let file = to.path().join(&torrent.name);
    let mut bytes = fs::read(&file).unwrap();
    bytes[1_000_000] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let handle = session.torrent(index).unwrap();
    let before = handle.status().unwrap().total_payload_download;
    handle.force_recheck().unwrap();
    alerts.wait(&session, "torrent_checked", "");
    alerts.wait(&session, "torrent_finished", "");
    assert_same(&torrent.content(), &file);
    let fetched = handle.status().unwrap().total_payload_download - before;
    assert!((65_536..131_072).contains(&fetched), "one piece, not {fetched} bytes");
    ours::stream(&session, index, 0, &torrent.content());
    session.close(CLOSE).unwrap();
    seeder.close(CLOSE).unwrap();
}

/// A taken port gives way to the next one; an address that is not ours is an alert, and the session is good without it.
#[test]
fn ports_that_are_taken_and_addresses_that_are_not_ours() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let interfaces = format!("192.0.2.1:7000,127.0.0.1:{port}");
    let session = ours::open_with(|s| s.set_str("listen_interfaces", &interfaces).unwrap());
    let mut alerts = Alerts::default();
    alerts.wait(&session, "listen_failed", "192.0.2.1");
    let got = session.listen_port().unwrap();
    alerts.wait(&session, "listen_succeeded", &format!("127.0.0.1:{got}"));
    assert!(got != port, "the port is somebody else's");
    let torrent = Torrent::make("reached.bin", 500_000, 1, &[]);
    session.add_torrent(ours::disk_params(&torrent, Source::File, torrent.dir.path())).unwrap();
    alerts.wait(&session, "torrent_checked", "");
    let reading = ours::open();
    let mut params = ours::params(&torrent, Source::Magnet);
    params.peers = vec![ours::address(&session)];
    let index = reading.add_torrent(params).unwrap();
    Alerts::default().wait(&reading, "metadata_received", "");
    ours::stream(&reading, index, 0, &torrent.content());
    reading.close(CLOSE).unwrap();

    // Nothing to listen on at all: it can still dial.
    let dialling = ours::open_with(|s| s.set_str("listen_interfaces", "192.0.2.1:7000").unwrap());
    assert_eq!(dialling.listen_port().unwrap(), 0);
    let mut params = ours::params(&torrent, Source::File);
    params.peers = vec![ours::address(&session)];
    let index = dialling.add_torrent(params).unwrap();
    ours::stream(&dialling, index, 0, &torrent.content());
    dialling.close(CLOSE).unwrap();
    session.close(CLOSE).unwrap();
}

/// Limits that are lowered hold within moments: the session's over all of its torrents, and a torrent's own.
#[test]
fn lowered_connection_limits_end_the_surplus() {
    let torrents = ["one.bin", "two.bin"].map(|name| Torrent::make(name, 500_000, 1, &[]));
    let (seeder, first) = ours::seed(&torrents[0]);
    let second = seeder.add_torrent(ours::disk_params(&torrents[1], Source::File, torrents[1].dir.path())).unwrap();
    let sessions: Vec<Session> = (0..6).map(|_| ours::open()).collect();
    for (n, session) in sessions.iter().enumerate() {
        let mut params = ours::params(&torrents[n % 2], Source::File);
        params.peers = vec![ours::address(&seeder)];
        session.add_torrent(params).unwrap();
    }
    let connected = || seeder.stats().unwrap().num_peers;
    ours::until("all are in", || connected() == 6);
    let apply = |key: &str, limit: i64| {
        let mut settings = seeder.settings().unwrap();
        settings.set_int(key, limit).unwrap();
        seeder.apply_settings(&settings).unwrap();
    };
    apply("connections_limit", 4);
    assert_eq!(connected(), 4);
    apply("max_connections_per_torrent", 1);
    assert!(connected() <= 2 && ours::status(&seeder, first).num_peers <= 1);
    apply("max_connections_per_torrent", 100);
    apply("connections_limit", 200);
    let handle = seeder.torrent(second).unwrap();
    sessions.iter().for_each(|session| session.pause().unwrap());
    sessions.iter().for_each(|session| session.resume().unwrap());
    ours::until("all are in again", || connected() == 6);
    handle.set_limits(None, None, Some(1), None).unwrap();
    assert_eq!((ours::status(&seeder, second).num_peers, connected()), (1, 4));
    sessions.iter().for_each(|session| session.close(CLOSE).unwrap());
    seeder.close(CLOSE).unwrap();
}

/// The limit on connections is given back when they end, also where it was changed meanwhile.
#[test]
fn the_connection_limit_can_be_changed_and_loses_no_places() {
    let torrent = Torrent::make("places.bin", 500_000, 1, &[]);
    let (seeder, _) = ours::seed_with(&torrent, |s| s.set_int("connections_limit", 2).unwrap());
    let read = |session: &Session| {
        let mut params = ours::params(&torrent, Source::File);
        params.peers = vec![ours::address(&seeder)];
        let index = session.add_torrent(params).unwrap();
        (index, session.open_reader(index, 0, ReaderOptions::default()).unwrap())
    };
    let sessions = [ours::open(), ours::open(), ours::open()];
    let readers: Vec<_> = sessions.iter().map(read).collect();
    let connected = || seeder.stats().unwrap().num_peers;
    ours::until("two are in", || connected() == 2);
    thread::sleep(Duration::from_millis(300));
    assert_eq!(connected(), 2, "the third is not let in");
    let mut settings = seeder.settings().unwrap();
    for limit in [4, 2, 3] {
        settings.set_int("connections_limit", limit).unwrap();
        seeder.apply_settings(&settings).unwrap();
    }
    ours::until("the third is in", || connected() == 3);
    drop(readers);
    for session in &sessions {
        session.close(CLOSE).unwrap();
    }
    ours::until("all are gone", || connected() == 0);
    // As many as ever fit again.
    let sessions = [ours::open(), ours::open(), ours::open()];
    for session in &sessions {
        let (index, _reader) = read(session);
        ours::stream(session, index, 0, &torrent.content());
    }
    assert_eq!(connected(), 3);
    sessions.iter().for_each(|session| session.close(CLOSE).unwrap());
    seeder.close(CLOSE).unwrap();
}
