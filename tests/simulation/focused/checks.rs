//! What comes back from the disk late: of a check, a write or a read that was begun before the last check, or before a failure.

use elementum_torrent::alert::Alert;
use elementum_torrent::base::error::{Error, Status};
use elementum_torrent::base::time::Time;
use elementum_torrent::engine::Torrent;
use elementum_torrent::engine::cache::share::Shares;
use elementum_torrent::engine::config::{StorageKind, TorrentConfig};
use elementum_torrent::engine::output::Output;
use elementum_torrent::engine::readers::ReadOutcome;
use elementum_torrent::engine::readers::reader::{ReaderId, ReaderOptions};
use elementum_torrent::memory::pool::Pool;
use elementum_torrent::settings::Settings;

use super::*;

const PIECES: u32 = 8;

fn torrent(storage: StorageKind, magnet: bool) -> Torrent {
    let content = Content::single(5, u64::from(PIECES) * 64 * KIB, 64 * KIB as u32);
    let config =
        TorrentConfig { storage, info: (!magnet).then(|| content.info.clone()), ..TorrentConfig::of(&content.info) };
    Torrent::new(Time::ZERO, config, Arc::new(Settings::default()), Pool::new(4 * MIB), &Arc::new(Shares::default()), 1)
}

/// A torrent on disk, and the generation of its first check.
fn on_disk() -> (Torrent, u64) {
    let mut torrent = torrent(StorageKind::Disk, false);
    let generation = check_begun(&mut torrent);
    (torrent, generation)
}

fn check_begun(torrent: &mut Torrent) -> u64 {
    torrent.take_output().check.expect("a check begins")
}

/// The whole of a check finds these pieces.
fn check(torrent: &mut Torrent, generation: u64, found: impl Fn(u32) -> bool) {
    (0..PIECES).for_each(|piece| torrent.piece_checked(generation, piece, found(piece)));
    torrent.check_finished(now(), generation);
}

fn now() -> Time {
    Time::from_millis(1000)
}

fn full() -> Error {
    Error::new(Status::Io, "the disk is full")
}

fn had(torrent: &Torrent) -> u32 {
    torrent.had_pieces().len() as u32
}

fn count(output: &Output, which: impl Fn(&Alert) -> bool) -> usize {
    output.alerts.iter().filter(|a| which(a)).count()
}

fn is_checked(alert: &Alert) -> bool {
    matches!(alert, Alert::TorrentChecked)
}

/// A read fails during a check, and a check is asked for: what the first one still has to say counts for nothing.
#[test]
fn the_check_that_was_asked_for_last_counts() {
    let (mut torrent, first) = on_disk();
    (0..3).for_each(|piece| torrent.piece_checked(first, piece, true));
    torrent.disk_failed(now(), first, full(), String::new());
    torrent.force_recheck(now()).expect("there is metadata");
    let second = check_begun(&mut torrent);
    // The first one was at piece 3, and goes on: for it nothing is there.
    (3..PIECES).for_each(|piece| torrent.piece_checked(first, piece, false));
    torrent.check_finished(now(), first);
    assert!(torrent.is_checking(), "the first one's end is not the second one's");
    assert!(!torrent.is_current(first), "it may stop");
    check(&mut torrent, second, |_| true);
    assert_eq!((torrent.is_checking(), had(&torrent)), (false, PIECES));
    // Nor does what the first one found, where it is gone since.
    torrent.force_recheck(now()).expect("there is metadata");
    let third = check_begun(&mut torrent);
    (0..PIECES).for_each(|piece| torrent.piece_checked(second, piece, true));
    check(&mut torrent, third, |_| false);
    assert_eq!(had(&torrent), 0);
}

/// A check that is asked for while one is under way begins at the first piece.
#[test]
fn a_check_is_asked_for_during_a_check() {
    let (mut torrent, first) = on_disk();
    (0..PIECES - 1).for_each(|piece| torrent.piece_checked(first, piece, true));
    torrent.force_recheck(now()).expect("there is metadata");
    let second = check_begun(&mut torrent);
    assert_eq!(had(&torrent), 0);
    check(&mut torrent, first, |_| true);
    assert!(torrent.is_checking());
    check(&mut torrent, second, |piece| piece % 2 == 0);
    assert_eq!(torrent.had_pieces(), [0, 2, 4, 6]);
    assert_eq!(count(&torrent.take_output(), is_checked), 1);
}

/// What a check did not get to, because it failed, is not known to be missing: resumed, the torrent is checked first.
#[test]
fn a_check_that_failed_is_made_again_at_resume() {
    let (mut torrent, first) = on_disk();
    torrent.piece_checked(first, 0, true);
    torrent.disk_failed(now(), first, full(), String::new());
    torrent.take_output();
    torrent.resume(now());
    let second = check_begun(&mut torrent);
    assert!(torrent.is_checking());
    check(&mut torrent, second, |_| true);
    assert_eq!(had(&torrent), PIECES);
    // One that was over is not.
    torrent.fail(now(), full(), String::new());
    torrent.resume(now());
    assert_eq!((torrent.take_output().check, had(&torrent)), (None, PIECES));
}

/// Reads and writes that fail after the torrent was mended and resumed do not stop it again.
#[test]
fn a_failure_of_before_says_nothing_of_now() {
    let (mut torrent, first) = on_disk();
    check(&mut torrent, first, |_| true);
    torrent.disk_failed(now(), first, full(), "film".into());
    torrent.disk_failed(now(), first, full(), "film".into());
    let output = torrent.take_output();
    assert_eq!(count(&output, |a| matches!(a, Alert::FileError { .. })), 1, "told once");
    torrent.resume(now());
    torrent.disk_failed(now(), first, full(), "film".into());
    assert!(torrent.status(now()).error.is_none());
    torrent.force_recheck(now()).expect("there is metadata");
    let second = check_begun(&mut torrent);
    torrent.disk_failed(now(), first, full(), "film".into());
    assert!(torrent.is_checking());
    torrent.disk_failed(now(), second, full(), "film".into());
    assert_eq!(torrent.status(now()).error.map(|e| e.status), Some(Status::Io));
}

/// A piece that is being written when a check begins is had once it is written, though the check saw it unwritten.
#[test]
fn what_is_being_written_outlives_a_check() {
    let mut world = World::new(67, Content::single(67, 2 * MIB, 64 * KIB as u32));
    let seed = world.add_engine(Setup::seed(), fast());
    let node = world.add_engine(Setup { disk_ms: 200, ..Setup::disk() }, fast());
    world.introduce(node, &[seed]);
    assert!(world.run(minute(), |w| !w.engine(node).writing.is_empty()));
    let written: Vec<u32> = world.engine(node).writing.keys().copied().collect();
    let now = world.now();
    let torrent = &mut world.engine(node).torrent;
    torrent.force_recheck(now).expect("there is metadata");
    let generation = check_begun(torrent);
    (0..32).for_each(|piece| torrent.piece_checked(generation, piece, false));
    torrent.check_finished(now, generation);
    world.settle(node);
    world.run_for(Duration::from_millis(250));
    let had = world.engine(node).torrent.had_pieces();
    assert!(written.iter().all(|piece| had.contains(piece)), "{written:?} were written, had are {had:?}");
    world.end();
}

#[test]
fn without_metadata_there_is_nothing_to_check() {
    for storage in [StorageKind::Disk, StorageKind::Memory] {
        let mut torrent = torrent(storage, true);
        torrent.take_output();
        let error = torrent.force_recheck(now()).expect_err("no metadata");
        assert_eq!(error.status, Status::NoMetadata);
        let output = torrent.take_output();
        assert!(output.check.is_none() && output.alerts.is_empty() && output.close.is_empty());
    }
}

/// What is in memory was verified when it came: its check is over at once, nothing is lost by it, and nobody is cut off.
#[test]
fn a_check_of_memory_is_told_at_once() {
    let mut world = pair(MIB, 64 * KIB, 2 * MIB);
    must_read(&mut world, 1);
    let now = world.now();
    let before = (had(&world.engine(1).torrent), world.engine(1).torrent.num_peers());
    world.engine(1).torrent.force_recheck(now).expect("there is metadata");
    world.settle(1);
    assert_eq!(world.engine(1).count(is_checked), 1);
    assert_eq!((had(&world.engine(1).torrent), world.engine(1).torrent.num_peers()), before);
    // One that an error stopped goes on.
    world.engine(1).torrent.fail(now, Error::new(Status::Panic, "a bug"), String::new());
    world.engine(1).torrent.force_recheck(now).expect("there is metadata");
    world.settle(1);
    assert_eq!(world.engine(1).count(is_checked), 2);
    assert!(world.engine(1).torrent.status(now).error.is_none());
    world.end();
}

/// The disk fails: who waits is told, by read and by read_at, with the error; what is there can be read still. Resumed, they wait again.
#[test]
fn readers_end_with_the_error_that_stops_the_torrent() {
    let (mut torrent, first) = on_disk();
    check(&mut torrent, first, |piece| piece == 0);
    let id = ReaderId(1);
    torrent.open_reader(now(), id, 0, ReaderOptions::default()).expect("a reader");
    torrent.seek(now(), id, 64 * KIB).expect("the reader is open");
    assert!(matches!(torrent.read(now(), id, 10), Ok(ReadOutcome::Wait)));
    assert!(matches!(torrent.read_at(now(), id, 128 * KIB, 10, false), Ok(ReadOutcome::Wait)));
    assert!(!torrent.is_ready(id) && !torrent.is_readable_at(id, 128 * KIB));
    torrent.take_output();
    torrent.fail(now(), full(), "film".into());
    assert!(torrent.take_output().readers_changed, "who waits is woken");
    assert!(torrent.is_ready(id) && torrent.is_readable_at(id, 128 * KIB));
    assert_eq!(torrent.read(now(), id, 10).expect_err("stopped"), full());
    assert!(!torrent.is_waiting(id));
    assert_eq!(torrent.read_at(now(), id, 128 * KIB, 10, true).expect_err("stopped"), full());
    assert!(matches!(torrent.read_at(now(), id, 0, 10, false), Ok(ReadOutcome::Disk { piece: 0, .. })));
    torrent.resume(now());
    assert!(torrent.take_output().readers_changed);
    assert!(!torrent.is_ready(id));
    assert!(matches!(torrent.read(now(), id, 10), Ok(ReadOutcome::Wait)));
}

/// A bug of ours is no failure of a file.
#[test]
fn a_panic_is_no_file_error() {
    let (mut torrent, _) = on_disk();
    torrent.take_output();
    torrent.fail(now(), Error::new(Status::Panic, "a bug"), String::new());
    let output = torrent.take_output();
    assert_eq!(count(&output, |a| matches!(a, Alert::FileError { .. })), 0);
    assert_eq!(count(&output, |a| matches!(a, Alert::TorrentError { .. })), 1);
}
