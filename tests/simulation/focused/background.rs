//! Readers in the background, beside one that plays.

use elementum_torrent::engine::readers::reader::ReaderOptions;

use super::super::node::Memory;
use super::crowd::{member, progress};
use super::*;

/// What the player got in twenty seconds.
#[derive(Debug)]
struct Played {
    read: u64,
    first: Duration,
    stood: Duration,
}

fn background(offset: u64) -> ReaderOptions {
    ReaderOptions { background: true, offset, ..Default::default() }
}

/// A node beside two seeds of 1 MB/s each, and so many readers in the background all over its file of 64 MiB.
fn beside_background(readers: u64, piece: u64, memory: u64) -> World {
    let mut world = World::new(17, Content::single(17, 64 * MIB, piece as u32));
    let node = world.add_engine(Setup::memory(memory), fast());
    for _ in 0..2 {
        let seed = world.add_script(Manner::Honest, Line::new(1_000_000, MIB, 15));
        world.introduce(node, &[seed]);
    }
    for n in 0..readers {
        world.add_driver(node, Driver::new(2 + n, 0, read_all()).with(background(n * (64 / readers) * MIB)));
    }
    world
}

fn play(readers: u64, piece: u64, memory: u64) -> Played {
    let mut world = beside_background(readers, piece, memory);
    world.run_for(Duration::from_secs(5));
    let read = |world: &mut World| -> Vec<u64> { world.engine(0).drivers.iter().map(|d| d.bytes_read).collect() };
    let before = read(&mut world);
    let options = ReaderOptions { offset: 40 * MIB + 12_345, ..Default::default() };
    let player = world.add_driver(0, Driver::new(1, 0, read_all()).with(options).at_rate(800_000));
    world.run_for(Duration::from_secs(20));
    let stands = before.iter().zip(read(&mut world)).any(|(before, after)| *before == after);
    assert!(!stands, "{before:?}, {:?}: {}", read(&mut world), progress(&world));
    let now = world.now();
    let driver = &mut world.engine(0).drivers[player];
    driver.gauge.ends_wait(now);
    let first = driver.gauge.runs[0].first.expect("it plays");
    let stood = driver.gauge.stalls.iter().map(|s| s.time).sum();
    Played { read: driver.bytes_read, first, stood }
}

#[test]
fn a_player_plays_as_if_nobody_read_in_the_background() {
    for (readers, piece, memory) in
        [(1, 4 * MIB, 16 * MIB), (4, 4 * MIB, 16 * MIB), (20, MIB, 16 * MIB), (3, 256 * KIB, 32 * MIB)]
    {
        let (alone, beside) = (play(0, piece, memory), play(readers, piece, memory));
        let fine = beside.read >= alone.read / 100 * 95
            && beside.first < alone.first + Duration::from_millis(400)
            && beside.stood < alone.stood + Duration::from_millis(100);
        assert!(fine, "{readers} of {piece}: {beside:?}, alone {alone:?}");
    }
}

/// The player leaves less than a piece. Who reads in the background has a turn all the same.
#[test]
fn a_player_that_leaves_no_memory_lets_others_have_a_turn() {
    for (piece, memory) in [(4 * MIB, 12 * MIB), (4 * MIB, 8 * MIB)] {
        let mut world = beside_background(0, piece, memory);
        world.add_driver(0, Driver::new(2, 0, read_all()).with(background(32 * MIB)));
        let again = (0..100).flat_map(|_| [Step::Seek(0), Step::Read(28 * MIB)]);
        world.add_driver(0, Driver::new(1, 0, again).at_rate(800_000));
        world.run_for(Duration::from_secs(10));
        for _ in 0..3 {
            let before = world.engine(0).drivers[0].bytes_read;
            world.run_for(minute());
            let read = world.engine(0).drivers[0].bytes_read - before;
            assert!(read > 0, "{memory} bytes of memory: {}", progress(&world));
        }
    }
}

/// How long a player stood still in an outage of a minute, beside so many other torrents of its session that are read in the background.
fn outage_beside_torrents(others: u64) -> Duration {
    let mut world = World::new(23, Content::single(23, 128 * MIB, 4 * MIB as u32));
    let memory = Memory::new(64 * MIB);
    let node = member(&mut world, &memory, Setup::memory(0), Line::new(600_000, MIB, 15));
    for n in 0..others {
        let other = member(&mut world, &memory, Setup::memory(0), fast());
        world.add_driver(other, Driver::new(2 + n, 0, read_all()).with(background(0)).at_rate(100_000));
    }
    world.add_driver(node, Driver::new(1, 0, read_all()).at_rate(200_000));
    world.run_for(minute() * 2);
    world.set_away(node, true);
    world.run_for(minute());
    let now = world.now();
    let driver = &mut world.engine(node).drivers[0];
    driver.gauge.ends_wait(now);
    driver.gauge.stalls.iter().map(|s| s.time).sum()
}

#[test]
fn other_torrents_in_the_background_leave_a_player_most_of_the_memory() {
    let (alone, beside) = (outage_beside_torrents(0), outage_beside_torrents(5));
    assert_eq!((alone, beside), (Duration::ZERO, Duration::ZERO));
}

/// Torrents that are read in the background take most of the memory with pieces that come in slowly. A player that begins to read
/// another torrent does not wait for them.
#[test]
fn a_player_does_not_wait_for_slow_torrents_in_the_background() {
    // Of eight half wait for memory already, and have a short turn each before it.
    for (others, rate, least) in [(4, 40_000, 20), (3, 100_000, 20), (8, 20_000, 10)] {
        let mut world = World::new(29, Content::single(29, 64 * MIB, 4 * MIB as u32));
        let memory = Memory::new(16 * MIB);
        for n in 0..others {
            let other = member(&mut world, &memory, Setup::memory(0), Line::new(rate, MIB, 15));
            world.add_driver(other, Driver::new(2 + n, 0, read_all()).with(background(0)));
        }
        world.run_for(minute());
        let node = member(&mut world, &memory, Setup::memory(0), Line::new(4 * MIB, 4 * MIB, 15));
        world.add_driver(node, Driver::new(1, 0, read_all()).at_rate(500_000));
        world.run_for(minute());
        let now = world.now();
        let driver = &mut world.engine(node).drivers[0];
        driver.gauge.ends_wait(now);
        let (read, stood) = (driver.bytes_read, driver.gauge.stalls.iter().map(|s| s.time).collect::<Vec<_>>());
        println!("{others} torrents of {rate} B/s behind a player: {} of 30 MB, stood {stood:?}", read / 1_000_000);
        assert!(read > least * 1_000_000, "{others} of {rate}: {read} bytes in a minute, stood {stood:?}");
    }
}
