//! The least and the most that may be said: a number is taken as it is, and nothing breaks at it.

use elementum_torrent::engine::readers::reader::{ReaderId, ReaderOptions};
use elementum_torrent::settings::{Value, descriptors};

use super::*;

/// A memory node reads from a node that seeds, and a disk node has it from another one, all with these settings.
fn streams_with(name: &str, value: i64) {
    let set = |mut setup: Setup| {
        setup.settings.set_int(name, value).expect("in range");
        setup
    };
    let mut world = World::new(31, Content::single(31, MIB + 5, 64 * KIB as u32));
    let seeds = [(); 2].map(|()| world.add_engine(set(Setup::seed()), fast()));
    let node = world.add_engine(set(Setup::memory(MIB)), fast());
    let disk = world.add_engine(set(Setup { magnet: name != "max_piece_count", ..Setup::disk() }), fast());
    world.introduce(node, &seeds[..1]);
    world.introduce(disk, &[seeds[1], node]);
    world.add_driver(node, Driver::new(1, 0, read_all()));
    assert!(world.finish(minute()), "{name} {value}: {}", world.engine(node).torrent.describe());
    // Timers of all lengths come round.
    world.run_for(Duration::from_secs(900));
    assert_eq!(world.engine(disk).torrent.bytes_left(), 0, "{name} {value}");
    world.end();
}

#[test]
fn each_setting_at_its_least_and_its_most() {
    for d in descriptors().iter().filter(|d| d.effective && matches!(d.default, Value::Int(_))) {
        let (least, most) = d.range();
        for value in [least, most] {
            streams_with(d.name, value);
        }
    }
}

/// Whatever a reader is opened with or told meanwhile, it reads on; on memory, on disk, and without waiting for pieces.
#[test]
fn readers_with_numbers_that_make_no_sense() {
    let plain = ReaderOptions::default;
    let all = [0, 1, u64::from(u32::MAX), 1 << 32, i64::MAX as u64, u64::MAX];
    let with = all.into_iter().flat_map(|n| {
        [
            ReaderOptions { lookahead: Some(n), ..plain() },
            ReaderOptions { lookbehind: Some(n), ..plain() },
            ReaderOptions { bitrate: n, ..plain() },
            ReaderOptions { pin_head: Some(n), pin_tail: Some(n), ..plain() },
            ReaderOptions { end: Some(n.max(1)), ..plain() },
            ReaderOptions { end: Some(n.max(1)), lookahead: Some(n), lookbehind: Some(n), bitrate: n, ..plain() },
        ]
    });
    for (i, options) in with.enumerate() {
        let mut world = World::new(37, Content::single(37, MIB + 5, 64 * KIB as u32));
        let seed = world.add_engine(Setup::seed(), fast());
        let node = world.add_engine(if i % 4 == 3 { Setup::disk() } else { Setup::memory(256 * KIB) }, fast());
        world.introduce(node, &[seed]);
        let n = all[i / 6];
        let steps = [
            Step::Prebuffer(n, n),
            Step::Seek(MIB + 5),
            Step::Read(1),
            Step::ReadAt(n, 1000),
            Step::Seek(MIB),
            Step::Prebuffer(n, 0),
            Step::Read(u64::MAX),
            Step::Seek(0),
            Step::Read(u64::MAX),
        ];
        let options = ReaderOptions { unverified: i % 4 == 2, ..options };
        world.add_driver(node, Driver::new(1, 0, steps).with(options.clone()));
        assert!(world.finish(minute()), "{options:?}: {}", world.engine(node).torrent.describe());
        world.end();
    }
}

/// What a caller says of pieces and files that there are not, or beyond all time, is refused or taken; nothing else comes of it.
#[test]
fn pieces_files_and_times_beyond_all_there_are() {
    let mut world = beside(MIB, 64 * KIB, 2 * MIB, &[Manner::Honest]);
    let now = world.now();
    let torrent = &mut world.engine(0).torrent;
    for n in [i64::MIN, -1, 16, 1 << 31, 1 << 32, (1 << 32) + 3, i64::MAX] {
        assert!(torrent.set_piece_priority(now, n, 4).is_err(), "piece {n}");
        assert!(torrent.set_piece_deadline(now, n, 0).is_err(), "piece {n}");
        assert!(torrent.reset_piece_deadline(now, n).is_err(), "piece {n}");
        assert!(torrent.set_file_priority(now, n, 4).is_err(), "file {n}");
        assert!(torrent.open_reader(now, ReaderId(9), n, ReaderOptions::default()).is_err(), "file {n}");
    }
    for priority in [i64::MIN, -1, 8, 255, 256, 260, (1 << 32) + 4, i64::MAX] {
        assert!(torrent.set_piece_priority(now, 3, priority).is_err(), "priority {priority}");
        assert!(torrent.set_file_priority(now, 0, priority).is_err(), "priority {priority}");
    }
    for lengths in [0, 1, 15, 17] {
        assert!(torrent.prioritize_pieces(now, &vec![4; lengths]).is_err(), "{lengths}");
    }
    assert!(torrent.prioritize_files(now, &[]).is_err() && torrent.prioritize_files(now, &[4, 4]).is_err());
    for (piece, deadline) in (0..).zip([i64::MIN, -1, 0, 1, 1 << 31, 1 << 32, i64::MAX]) {
        torrent.set_piece_deadline(now, piece, deadline).expect("any time");
    }
    world.settle(0);
    assert!(world.run(minute(), |w| w.engine(0).torrent.had_pieces() == [0, 1, 2, 3, 4, 5, 6]), "what is due has come");
    must_read(&mut world, 0);
    world.end();
}
