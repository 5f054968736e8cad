//! Unverified readers where memory holds less than a few pieces.

use elementum_torrent::engine::readers::reader::ReaderOptions;

use super::*;

fn unverified() -> ReaderOptions {
    ReaderOptions { unverified: true, ..Default::default() }
}

#[test]
fn memory_for_less_than_a_piece_is_enough() {
    for memory in [32 * KIB, 64 * KIB, 128 * KIB, 512 * KIB, MIB, MIB + 512 * KIB, 2 * MIB + 16 * KIB] {
        let mut world = pair(8 * MIB, MIB, memory);
        world.add_driver(1, Driver::new(1, 0, read_all()).with(unverified()));
        assert!(world.finish(minute() * 5), "{memory}: {}", world.engine(1).torrent.describe());
        assert!(world.engine(1).pool.peak() <= memory / (16 * KIB));
        assert!(world.bytes_into(1) < 8 * MIB + 600 * KIB, "{memory}: {} bytes came", world.bytes_into(1));
        world.end();
    }
}

#[test]
fn a_seek_back_before_what_was_let_go() {
    let mut world = pair(8 * MIB, 4 * MIB, MIB);
    let steps = [Step::Read(3 * MIB), Step::Seek(MIB / 2), Step::Read(MIB), Step::Seek(6 * MIB), Step::Read(u64::MAX)];
    world.add_driver(1, Driver::new(1, 0, steps).with(unverified()));
    assert!(world.finish(minute()));
    let seeks = world.engine(1).drivers[0].gauge.seeks();
    assert!(seeks.iter().all(|s| s.first.is_some_and(|t| t < Duration::from_millis(140))), "{seeks:?}");
    assert!(world.bytes_into(1) < 9 * MIB, "{} bytes for 6.5 MiB", world.bytes_into(1));
    world.end();
}

/// A little back is still there, and costs nothing.
#[test]
fn a_seek_back_in_the_stretch() {
    let mut world = pair(8 * MIB, 4 * MIB, MIB);
    world.add_driver(1, Driver::new(1, 0, [Step::Read(2 * MIB)]).with(unverified()));
    assert!(world.finish(minute()));
    world.run_for(Duration::from_secs(2));
    world.engine(1).drivers[0].steps.extend([Step::Seek(2 * MIB - 128 * KIB), Step::Read(128 * KIB)]);
    world.poll_driver(1, 0);
    assert!(world.engine(1).is_done());
    world.end();
}

/// What is let go is judged all the same, by the hash that goes on without it.
#[test]
fn who_sends_bad_blocks_is_found() {
    let mut world = beside(16 * MIB, MIB, 256 * KIB, &[Manner::CorruptBlock]);
    world.add_driver(0, Driver::new(1, 0, [Step::Read(2 * MIB)]).with(unverified()));
    world.run_for(minute());
    assert_eq!(world.engine(0).banned().len(), 1);
    assert_eq!(world.engine(0).hash_failures(), 1);
    world.end();
}

#[test]
fn two_who_send_bad_blocks_beside_others_are_found() {
    let manners = [Manner::Honest, Manner::CorruptBlock, Manner::Honest, Manner::CorruptBlock];
    let mut world = beside(64 * MIB, MIB, 512 * KIB, &manners);
    world.add_driver(0, Driver::new(1, 0, read_all()).with(unverified()));
    assert!(world.finish(minute() * 2));
    let banned = world.engine(0).banned();
    assert!(banned.iter().all(|a| [world.nodes[2].address, world.nodes[4].address].contains(a)), "{banned:?}");
    assert!(world.engine(0).hash_failures() > 0);
    world.end();
}

/// Nothing is had of what was passed, and the reader's status and explanation do not say so.
#[test]
fn what_was_let_go_is_not_here() {
    let mut world = pair(8 * MIB, 4 * MIB, MIB);
    world.add_driver(1, Driver::new(1, 0, [Step::Read(3 * MIB)]).with(unverified()));
    assert!(world.finish(minute()));
    world.run_for(Duration::from_secs(2));
    let now = world.now();
    let engine = world.engine(1);
    assert!(engine.torrent.had_pieces().is_empty());
    let id = engine.drivers[0].id;
    let told = engine.torrent.explain(now, id).expect("it is open");
    assert!(told.blocks.here <= 64, "{told:?}");
    let status = engine.torrent.reader_status(id).expect("it is open");
    assert!((700 * KIB..MIB).contains(&status.buffered_ahead), "{status:?}");
    assert!((100 * KIB..MIB).contains(&status.buffered_behind), "{status:?}");
    assert!(status.lookahead + status.lookbehind <= MIB && status.lookahead >= status.buffered_ahead, "{status:?}");
    world.end();
}

/// Readers of all kinds at once, and seeks to and fro: memory holds, the books balance, everybody gets to the end.
#[test]
fn any_readers_in_any_memory() {
    for seed in 0..60 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let piece = [64 * KIB, 256 * KIB, 20_000, MIB][rng.usize(0..4)];
        let size = rng.u64(piece..piece * 12);
        let mut world = pair(size, piece, rng.u64(2..80.max(piece / (4 * KIB))) * 16 * KIB);
        if rng.bool() {
            let slow = world.add_script([Manner::Choker, Manner::Sleeper, Manner::Double][rng.usize(0..3)], fast());
            world.introduce(1, &[slow]);
        }
        for id in 1..=rng.u64(1..4) {
            let mut steps = Vec::new();
            let by_blocks = rng.u8(..) < 200;
            for _ in 0..rng.usize(1..6) {
                steps.push(match rng.u32(0..4) {
                    0 => Step::Seek(rng.u64(0..size)),
                    1 if by_blocks => Step::ReadAt(rng.u64(0..size), rng.usize(1..100_000)),
                    2 => Step::Sleep(Duration::from_millis(rng.u64(0..2000))),
                    _ => Step::Read(rng.u64(1..size)),
                });
            }
            steps.push(Step::Close);
            let options = ReaderOptions { background: rng.u8(..) < 40, unverified: by_blocks, ..Default::default() };
            world.add_driver(1, Driver::new(id, 0, steps).with(options));
        }
        let (when, limit) = (Duration::from_millis(rng.u64(0..1500)), rng.u64(1..60) * 16 * KIB);
        world.act(when, move |w| {
            let now = w.now();
            w.engine(1).set_limit(now, limit.max(4 * piece.min(64 * KIB)));
            w.settle(1);
        });
        let done = world.finish(minute() * 10);
        // Who needs whole pieces, and memory became too small for one, waits.
        let hopeless = limit.max(4 * piece.min(64 * KIB)) < piece.next_multiple_of(16 * KIB);
        let waits = |d: &Driver| !d.is_done() && (!hopeless || d.options.unverified);
        let stuck = !done && world.engine(1).drivers.iter().any(waits);
        assert!(!stuck, "seed {seed}: {}", world.engine(1).torrent.describe());
        world.end();
    }
}
