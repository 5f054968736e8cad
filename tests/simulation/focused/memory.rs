//! Memory: small, lowered, shared, protected.

use elementum_torrent::alert::Alert;
use elementum_torrent::base::error::Status;
use elementum_torrent::engine::readers::reader::{ReaderId, ReaderOptions};

use super::super::node::Memory;
use super::*;

#[test]
fn tiny_memory_streams() {
    let mut world = pair(2 * MIB, 64 * KIB, 192 * KIB);
    must_read(&mut world, 1);
    assert!(world.engine(1).pool.peak() <= 12);
    world.end();
}

#[test]
fn evicted_piece_is_fetched_again() {
    let mut world = pair(2 * MIB, 64 * KIB, 512 * KIB);
    world.add_driver(1, Driver::new(1, 0, [Step::Read(u64::MAX), Step::Seek(0), Step::Read(u64::MAX)]));
    assert!(world.finish(minute()));
    let engine = world.engine(1);
    let counters = engine.torrent.counters();
    assert!(counters.evicted_pieces > 0 && counters.refetched_pieces > 0, "{counters:?}");
    let told = engine.count(|a| matches!(a, Alert::PieceEvicted { .. })) as u64;
    assert_eq!(told, engine.torrent.counters().evicted_pieces);
    world.end();
}

#[test]
fn pinned_head_tail_survive() {
    let mut world = pair(4 * MIB, 64 * KIB, MIB);
    must_read(&mut world, 1);
    let had = world.engine(1).torrent.had_pieces();
    assert!(had.contains(&0) && had.contains(&63), "{had:?}");
    assert!(!had.contains(&20), "{had:?}");
    world.end();
}

#[test]
fn protected_lookbehind_survives() {
    let mut world = pair(4 * MIB, 64 * KIB, MIB);
    world.add_driver(1, Driver::new(1, 0, [Step::Read(MIB)]));
    assert!(world.finish(minute()));
    let now = world.now();
    world.engine(1).torrent.set_lookbehind(now, &[13, 14, 15]).expect("it fits");
    must_read(&mut world, 1);
    let torrent = &mut world.engine(1).torrent;
    for piece in 13..=15 {
        assert_eq!(torrent.is_lookbehind_available(piece), Ok(true), "piece {piece}");
    }
    assert!(torrent.set_lookbehind(now, &(0..9).collect::<Vec<_>>()).is_err(), "more than half the limit");
    torrent.clear_lookbehind(now);
    world.end();
}

/// A block that trickles in, or that an upload holds, keeps its memory for as long as it takes. What is read goes on in the rest of
/// it, with nothing behind it.
#[test]
fn a_block_held_elsewhere_stops_no_stream_in_the_memory_of_two_pieces() {
    for pieces in [2, 3] {
        let mut world = World::new(5, Content::single(5, 4 * MIB, 128 * KIB as u32));
        let seed = world.add_engine(Setup::seed(), fast());
        let memory = Memory::new(pieces * 128 * KIB);
        let pool = memory.pool.clone();
        let ours = world.add_engine(Setup { shared: Some(memory), ..Setup::memory(0) }, fast());
        world.introduce(ours, &[seed]);
        let held: Vec<_> = (0..(pieces - 1) * 4).map_while(|_| pool.reserve()).collect();
        world.add_driver(1, Driver::new(1, 0, [Step::Seek(MIB), Step::Read(MIB)]).at_rate(2 * MIB));
        assert!(world.run(Duration::from_secs(5), |w| w.engine(1).is_done()), "{pieces} pieces");
        drop(held);
        // The next two pieces come, and what was read stays again where there is room for it.
        world.run_for(Duration::from_secs(1));
        let had = world.engine(1).torrent.had_pieces();
        assert_eq!(had, if pieces == 2 { vec![16, 17] } else { vec![15, 16, 17] });
        world.end();
    }
}

#[test]
fn protection_yields_where_the_limit_was_lowered() {
    let mut world = pair(4 * MIB, 64 * KIB, MIB);
    world.add_driver(1, Driver::new(1, 0, [Step::Read(MIB)]));
    assert!(world.finish(minute()));
    let now = world.now();
    world.engine(1).torrent.set_lookbehind(now, &[10, 11, 12, 13]).expect("it fits");
    world.engine(1).set_limit(now, 256 * KIB);
    world.settle(1);
    must_read(&mut world, 1);
    let torrent = &mut world.engine(1).torrent;
    for (piece, stays) in [(10, true), (11, true), (12, false), (13, false)] {
        assert_eq!(torrent.is_lookbehind_available(piece), Ok(stays), "piece {piece}");
    }
    assert_eq!((torrent.storage_stats().protected_pieces, torrent.lookbehind_stats().protected_pieces), (2, 4));
    world.end();
}

#[test]
fn a_lowered_limit_holds_at_once_and_a_raised_one_is_used() {
    let mut world = pair(8 * MIB, 64 * KIB, 2 * MIB);
    world.add_driver(
        1,
        Driver::new(1, 0, [Step::Read(3 * MIB), Step::Sleep(Duration::from_secs(1)), Step::Read(u64::MAX)]),
    );
    world.run_for(Duration::from_millis(300));
    let now = world.now();
    world.engine(1).set_limit(now, 256 * KIB);
    world.settle(1);
    world.run_for(Duration::from_millis(500));
    assert!(world.engine(1).pool.charged() <= 16);
    let now = world.now();
    world.engine(1).set_limit(now, 4 * MIB);
    world.settle(1);
    assert!(world.finish(minute()));
    assert!(world.engine(1).pool.charged() > 64);
    world.end();
}

/// Whatever was on its way, being hashed or read when the limit fell: once it is here, the limit holds, whoever reads.
#[test]
fn a_limit_that_falls_under_fast_readers_holds_when_all_has_come() {
    for limit in [128 * KIB, 300 * KIB, MIB] {
        let mut world = World::new(37, Content::single(37, 16 * MIB, 256 * KIB as u32));
        let seed = world.add_engine(Setup::seed(), Line::new(64 * MIB, 64 * MIB, 1));
        let node = world.add_engine(Setup { hash_ms: 30, ..Setup::memory(8 * MIB) }, Line::new(64 * MIB, 64 * MIB, 1));
        world.introduce(node, &[seed]);
        for id in 1..6 {
            world.add_driver(node, Driver::new(id, 0, [Step::Seek(id * 2 * MIB), Step::Read(u64::MAX)]).at_rate(MIB));
        }
        world.run_for(Duration::from_millis(600));
        let now = world.now();
        world.engine(node).set_limit(now, limit);
        world.engine(node).torrent.pause(now);
        world.settle(node);
        world.run_for(Duration::from_secs(1));
        let pool = world.engine(node).pool.clone();
        assert!(pool.charged() <= pool.limit(), "{} of {}", pool.charged(), pool.limit());
        let now = world.now();
        world.engine(node).torrent.resume(now);
        world.settle(node);
        world.run_for(Duration::from_secs(5));
        assert!(pool.charged() <= pool.limit(), "{} of {}", pool.charged(), pool.limit());
        // Where not even a piece fits, a read says so.
        if limit < 256 * KIB {
            let read = world.engine(node).torrent.read(now, ReaderId(1), 1);
            assert!(read.is_err_and(|e| e.status == Status::OutOfMemory));
        }
        let now = world.now();
        world.engine(node).set_limit(now, 8 * MIB);
        world.settle(node);
        assert!(world.finish(minute()), "{}", world.engine(node).torrent.describe());
        world.end();
    }
}

#[test]
fn seeder_serves_from_memory_and_rejects_evicted() {
    let mut world = pair(4 * MIB, 64 * KIB, MIB);
    // A second memory node that knows the first only.
    let second = world.add_engine(Setup::memory(MIB), fast());
    world.add_driver(1, Driver::new(1, 0, [Step::Read(2 * MIB)]).at_rate(MIB));
    world.run_for(Duration::from_secs(1));
    world.introduce(second, &[1]);
    world.add_driver(second, Driver::new(1, 0, [Step::Seek(768 * KIB), Step::Read(512 * KIB)]).at_rate(400 * KIB));
    assert!(world.finish(minute()), "what the first has, the second can read");
    let (_, up, _) = world.engine(1).torrent.totals();
    assert!(up >= 512 * KIB, "{up} bytes served");
    let now = world.now();
    let failed = world.engine(second).banned();
    assert!(failed.is_empty(), "eviction is nobody's fault");
    // What was evicted, the second knows to be gone.
    world.run_for(Duration::from_secs(1));
    let known = world.engine(second).torrent.peers(now)[0].num_pieces;
    assert_eq!(known as usize, world.engine(1).torrent.had_pieces().len());
    world.end();
}

#[test]
fn a_memory_full_of_beginnings_comes_to_an_end() {
    // Four peers, each with pieces of its own, and room for three pieces.
    let mut world = World::new(17, Content::single(17, 2 * MIB, 128 * KIB as u32));
    let node = world.add_engine(Setup::memory(384 * KIB), fast());
    let mut others = Vec::new();
    for i in 0..4u32 {
        let peer = world.add_script(Manner::Honest, Line::new(MIB, MIB, 20 + u64::from(i) * 30));
        world.script(peer).has = Some((0..16).filter(|p| p % 4 == i).collect());
        others.push(peer);
    }
    world.introduce(node, &others);
    for piece in 0..16 {
        let now = world.now();
        world.engine(node).torrent.set_piece_deadline(now, piece, 0).expect("a piece");
    }
    world.settle(node);
    must_read(&mut world, node);
    world.end();
}

/// The quick peer could bring what nobody waits for, and there is no room for that. The slow one has what the reader waits for.
#[test]
fn who_finds_no_room_does_not_keep_others_from_what_a_read_waits_for() {
    let mut world = World::new(31, Content::single(31, MIB, 16 * KIB as u32));
    let node = world.add_engine(Setup { file_priorities: vec![4], ..Setup::memory(64 * KIB) }, fast());
    let quick = world.add_script(Manner::Honest, Line::new(MIB, MIB, 5));
    world.script(quick).has = Some((0..64).filter(|p| p % 8 == 5).collect());
    let slow = world.add_script(Manner::Honest, Line::new(50_000, 50_000, 300));
    world.introduce(node, &[quick, slow]);
    // Until all that is in the window is here, again and again: then nobody is busy.
    let pauses =
        (0..12).flat_map(|n| [Step::Seek(n * 80 * KIB), Step::Read(40 * KIB), Step::Sleep(Duration::from_secs(5))]);
    world.add_driver(node, Driver::new(1, 0, pauses.collect::<Vec<_>>()));
    let done = world.finish(Duration::from_secs(300));
    assert!(done, "{}", world.engine(node).torrent.describe());
    world.end();
}

#[test]
fn uneven_piece_lengths_cost_whole_blocks() {
    let mut world = pair(MIB, 16 * KIB + 512, 192 * KIB);
    must_read(&mut world, 1);
    world.end();
}

/// With `send_dont_have` off nobody hears of pieces that may go; switched on, those are told that can hear of their loss.
#[test]
fn pieces_that_may_go_are_told_as_the_setting_says() {
    for tells in [false, true] {
        let mut world = World::new(17, Content::single(5, 4 * MIB, 128 * KIB as u32));
        let seed = world.add_engine(Setup::seed(), fast());
        let mut setup = Setup::memory(MIB);
        setup.settings.send_dont_have = tells;
        let node = world.add_engine(setup, fast());
        let other = world.add_engine(Setup::memory(MIB), fast());
        world.introduce(node, &[seed, other]);
        must_read(&mut world, node);
        assert!(world.engine(node).torrent.counters().evicted_pieces > 0);
        let now = world.now();
        let told = world.engine(other).torrent.peers(now);
        let pieces: Vec<u32> = told.iter().map(|p| p.num_pieces).collect();
        // The seed, of which peer exchange tells, has all 32.
        assert_eq!(pieces.iter().any(|n| (1..32).contains(n)), tells, "{pieces:?}");
        world.end();
    }
}

/// What a torrent protects and is worth counts for the others until it is removed, not until its last task has ended.
#[test]
fn a_removed_torrent_protects_nothing() {
    let memory = Memory::new(MIB);
    let content = Content::single(71, 4 * MIB, 64 * KIB as u32);
    let mut world = World::new(71, content);
    let [one, other] =
        [(); 2].map(|()| world.add_engine(Setup { shared: Some(memory.clone()), ..Setup::memory(0) }, fast()));
    let half: Vec<i64> = (0..8).collect();
    let now = world.now();
    world.engine(one).torrent.set_lookbehind(now, &half).expect("half of the limit");
    let error = world.engine(other).torrent.set_lookbehind(now, &half[..1]).expect_err("no more than half");
    assert_eq!(error.status, Status::OutOfMemory);
    world.engine(one).torrent.remove(now);
    world.engine(other).torrent.set_lookbehind(now, &half).expect("half of the limit again");
    world.end();
}

/// A piece is whole in memory before it goes to disk: one that does not fit is said to, whoever asks for it.
#[test]
fn a_piece_on_its_way_to_disk_that_memory_does_not_hold_fails_its_reads() {
    for unverified in [false, true] {
        let mut world = World::new(179, Content::single(179, MIB, 256 * KIB as u32));
        let seed = world.add_script(Manner::Honest, fast());
        let node = world.add_engine(Setup { memory: 128 * KIB, ..Setup::disk() }, fast());
        world.introduce(node, &[seed]);
        let options = ReaderOptions { unverified, ..ReaderOptions::default() };
        world.add_driver(node, Driver::new(1, 0, [Step::Sleep(minute()), Step::Read(u64::MAX)]).with(options));
        world.run_for(Duration::from_secs(2));
        let now = world.now();
        let read = world.engine(node).torrent.read(now, ReaderId(1), 100);
        assert!(read.is_err_and(|e| e.status == Status::OutOfMemory));
        world.engine(node).set_limit(now, MIB);
        world.settle(node);
        assert!(world.finish(minute() * 2), "{}", world.engine(node).torrent.describe());
        world.end();
    }
}
