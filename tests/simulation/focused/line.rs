//! Memory's line where the first in it cannot be served: who needs less goes on all the same.

use elementum_torrent::engine::readers::reader::{ReaderId, ReaderOptions};

use super::super::node::Memory;
use super::crowd::progress;
use super::*;

const LIMIT: u64 = MIB;

/// What another torrent of 64 KiB a piece holds of the memory that a reader needs whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// A piece that a read waits for, and that two peers bring drop by drop.
    ByDrips,
    /// The same, and 4 KiB a second come.
    BySlowOnes,
    /// What was fetched for a read with a timeout of 0 whose caller, who has a descriptor for it, never came again.
    ByOneWhoLeft,
    /// Protected lookbehind.
    Protected,
    /// Of it nothing was fetched; what was is nobody's any more.
    ProtectedInVain,
    Nothing,
}

/// A torrent of such pieces, with such seeds.
fn torrent(world: &mut World, memory: &Memory, piece: u64, seeds: Vec<(Manner, Line)>) -> usize {
    world.content = Content::single(piece, 6 * MIB, piece as u32);
    let node = world.add_engine(Setup { shared: Some(memory.clone()), ..Setup::memory(0) }, fast());
    for (manner, line) in seeds {
        let seed = world.add_script(manner, line);
        world.introduce(node, &[seed]);
    }
    node
}

fn hold(world: &mut World, memory: &Memory, held: Held) {
    let seeds = match held {
        Held::ByDrips => vec![(Manner::Dripper(64), fast()); 2],
        Held::BySlowOnes => vec![(Manner::Honest, Line::new(2 * KIB, MIB, 15)); 2],
        _ => vec![(Manner::Honest, fast())],
    };
    let node = torrent(world, memory, 64 * KIB, seeds);
    world.run_for(Duration::from_secs(1));
    let now = world.now();
    match held {
        Held::ByDrips | Held::BySlowOnes => drop(world.add_driver(node, Driver::new(1, 0, read_all()))),
        Held::ByOneWhoLeft => {
            let torrent = &mut world.engine(node).torrent;
            torrent.open_reader(now, ReaderId(1), 0, ReaderOptions::default()).expect("a reader");
            torrent.read(now, ReaderId(1), 1000).expect("it waits");
            torrent.follow_up(now);
            world.settle(node);
        }
        Held::Protected => {
            world.engine(node).torrent.set_lookbehind(now, &[0]).expect("a part");
            world.add_driver(node, Driver::new(1, 0, [Step::Read(64 * KIB), Step::Close]));
        }
        Held::ProtectedInVain => {
            world.engine(node).torrent.set_lookbehind(now, &[8]).expect("a part");
            world.add_driver(node, Driver::new(1, 0, [Step::Seek(MIB), Step::Read(4 * MIB), Step::Close]));
        }
        Held::Nothing => {}
    }
    world.run_for(Duration::from_secs(2));
}

#[test]
fn who_needs_all_memory_in_vain_keeps_nobody_from_reading() {
    for held in
        [Held::ByDrips, Held::BySlowOnes, Held::ByOneWhoLeft, Held::Protected, Held::ProtectedInVain, Held::Nothing]
    {
        let mut world = World::new(131, Content::single(131, 6 * MIB, 64 * KIB as u32));
        let memory = Memory::new(LIMIT);
        hold(&mut world, &memory, held);
        let large = torrent(&mut world, &memory, LIMIT, vec![(Manner::Honest, fast())]);
        let small = torrent(&mut world, &memory, 32 * KIB, vec![(Manner::Honest, fast())]);
        world.add_driver(large, Driver::new(1, 0, read_all()));
        let again = (0..100).flat_map(|_| [Step::Read(6 * MIB), Step::Seek(0)]);
        world.add_driver(small, Driver::new(1, 0, again).at_rate(100_000));
        world.run_for(minute() * 4);
        let now = world.now();
        let small = &mut world.engine(small).drivers[0];
        small.gauge.ends_wait(now);
        let longest = small.gauge.stalls.iter().map(|s| s.time).max().unwrap_or_default();
        let read = small.bytes_read;
        // It has all memory once in a while, if nothing is held that it cannot have.
        let fine = longest < Duration::from_secs(13) && read > 12_000_000;
        assert!(fine, "{held:?}: {read} bytes, stood still for {longest:?}: {}", progress(&world));
        if matches!(held, Held::ByOneWhoLeft | Held::Nothing) {
            assert!(world.engine(large).is_done(), "{held:?}: {}", progress(&world));
        }
    }
}

/// What waits for no turn since it does not fit beside what is protected is fetched when that ends.
#[test]
fn the_end_of_protection_is_seen_by_all() {
    let mut world = World::new(133, Content::single(133, 6 * MIB, 64 * KIB as u32));
    let memory = Memory::new(LIMIT);
    hold(&mut world, &memory, Held::Protected);
    let large = torrent(&mut world, &memory, LIMIT, vec![(Manner::Honest, fast())]);
    world.add_driver(large, Driver::new(1, 0, read_all()));
    world.run_for(minute());
    assert_eq!(world.engine(large).drivers[0].bytes_read, 0);
    let now = world.now();
    world.engine(0).torrent.clear_lookbehind(now);
    world.settle(0);
    assert!(world.run(Duration::from_secs(4), |w| w.engine(large).is_done()), "{}", progress(&world));
}

/// What is protected and not there takes no room yet.
#[test]
fn protection_of_what_is_not_there_keeps_nobody_from_reading() {
    let mut world = World::new(135, Content::single(135, 6 * MIB, 64 * KIB as u32));
    let memory = Memory::new(LIMIT);
    hold(&mut world, &memory, Held::ProtectedInVain);
    let large = torrent(&mut world, &memory, LIMIT, vec![(Manner::Honest, fast())]);
    world.add_driver(large, Driver::new(1, 0, read_all()));
    assert!(world.run(Duration::from_secs(8), |w| w.engine(large).is_done()), "{}", progress(&world));
}

/// A descriptor says that there was something to read until it is read, though others have the memory by then.
#[test]
fn who_comes_late_for_his_bytes_is_called_and_gets_them() {
    let mut world = World::new(137, Content::single(137, 6 * MIB, 64 * KIB as u32));
    let memory = Memory::new(LIMIT);
    hold(&mut world, &memory, Held::ByOneWhoLeft);
    assert!(world.engine(0).torrent.is_ready(ReaderId(1)));
    let large = torrent(&mut world, &memory, LIMIT, vec![(Manner::Honest, fast())]);
    world.add_driver(large, Driver::new(1, 0, [Step::Read(100), Step::Sleep(minute() * 5)]));
    world.run_for(Duration::from_secs(10));
    assert!(world.engine(large).drivers[0].bytes_read > 0, "{}", progress(&world));
    let now = world.now();
    let torrent = &mut world.engine(0).torrent;
    assert!(torrent.is_ready(ReaderId(1)) && !torrent.is_readable_at(ReaderId(1), 0), "they are gone");
    assert!(torrent.read(now, ReaderId(1), 1000).expect("it waits").is_empty() && !torrent.is_ready(ReaderId(1)));
    torrent.follow_up(now);
    world.settle(0);
    let there = |w: &mut World| w.engine(0).torrent.is_readable_at(ReaderId(1), 0);
    assert!(world.run(Duration::from_secs(10), there), "{}", progress(&world));
}

/// Those in front never all have enough. Who reads in the background has a turn now and then all the same.
#[test]
fn background_readers_have_their_turn_where_those_in_front_never_rest() {
    for (front, piece, back) in
        [(2, LIMIT, LIMIT), (4, LIMIT / 2, LIMIT / 2), (20, LIMIT / 16, LIMIT / 16), (4, LIMIT / 16, LIMIT)]
    {
        let mut world = World::new(139, Content::single(139, 6 * MIB, 64 * KIB as u32));
        let memory = Memory::new(LIMIT);
        let line = Line::new(MIB, MIB, 15);
        for _ in 0..front {
            let node = torrent(&mut world, &memory, piece, vec![(Manner::Honest, line.clone())]);
            let again = (0..100).flat_map(|_| [Step::Read(6 * MIB), Step::Seek(0)]);
            world.add_driver(node, Driver::new(1, 0, again).at_rate(500_000));
        }
        let node = torrent(&mut world, &memory, back, vec![(Manner::Honest, line.clone())]);
        let options = ReaderOptions { background: true, ..ReaderOptions::default() };
        world.add_driver(node, Driver::new(1, 0, read_all()).with(options).at_rate(200_000));
        world.run_for(minute() * 5);
        let read = world.engine(node).drivers[0].bytes_read;
        assert!(read >= 4 * back, "{front} of {piece} and one of {back}: {read} bytes: {}", progress(&world));
    }
}

/// Readers that pause between their tries, among others that wait for ever: all pieces are as large as memory, or half of it.
#[test]
fn who_pauses_between_tries_has_his_turn() {
    for (others, piece, patience, pause) in
        [(3, 1, 1000, 500), (2, 1, 1000, 2000), (3, 1, 300, 600), (4, 2, 1000, 500), (3, 1, 10, 1200)]
    {
        let mut world = World::new(149, Content::single(149, 6 * MIB, 64 * KIB as u32));
        let memory = Memory::new(LIMIT);
        let line = Line::new(3 * MIB / 2, MIB, 15);
        let mut ours = Vec::new();
        for n in 0..=others {
            let node = torrent(&mut world, &memory, LIMIT / piece, vec![(Manner::Honest, line.clone())]);
            let again = (0..100).flat_map(|_| [Step::Read(6 * MIB), Step::Seek(0)]);
            let driver = Driver::new(1, 0, again);
            let ms = Duration::from_millis;
            world.add_driver(
                node,
                if n == others { driver.with_patience(ms(patience)).pausing(ms(pause)) } else { driver },
            );
            ours.push(node);
        }
        world.run_for(minute());
        let read: Vec<u64> = ours.iter().map(|n| world.engine(*n).drivers[0].bytes_read).collect();
        let least = read.iter().sum::<u64>() / read.len() as u64 / 4;
        assert!(read.iter().all(|n| *n >= least), "{others} {piece} {patience} {pause}: {read:?}");
    }
}

/// Background readers of torrents with large and with small pieces, beside some in front that always want more.
#[test]
fn background_readers_of_all_sizes_get_on() {
    let cases = [
        // Sizes of pieces, and how many of these torrents are read in front.
        ([256 * KIB, MIB, 16 * KIB], 1, 1_000_000, MIB),
        ([16 * KIB, 3 * MIB, 64 * KIB], 2, 400_000, 3 * MIB),
        ([MIB, 16 * KIB, 16 * KIB], 1, 1_000_000, MIB),
    ];
    for (sizes, in_front, rate, limit) in cases {
        let mut world = World::new(151, Content::single(151, 6 * MIB, 64 * KIB as u32));
        let memory = Memory::new(limit);
        let line = Line::new(rate, MIB, 15);
        let mut nodes = Vec::new();
        for (at, piece) in sizes.into_iter().enumerate() {
            let node = torrent(&mut world, &memory, piece, vec![(Manner::Honest, line.clone()); 2]);
            let again = (0..100).flat_map(|_| [Step::Read(6 * MIB), Step::Seek(0)]);
            let options = ReaderOptions { background: at >= in_front, ..ReaderOptions::default() };
            world.add_driver(node, Driver::new(1, 0, again).with(options).with_patience(Duration::from_secs(1)));
            nodes.push(node);
        }
        let read =
            |world: &mut World| -> Vec<u64> { nodes.iter().map(|n| world.engine(*n).drivers[0].bytes_read).collect() };
        let mut before = read(&mut world);
        for minute_ in 0..3 {
            world.run_for(minute());
            let after = read(&mut world);
            let stands = before.iter().zip(&after).any(|(before, after)| before == after);
            assert!(!stands, "{sizes:?}, minute {minute_}: {before:?} {after:?}: {}", progress(&world));
            before = after;
        }
    }
}
