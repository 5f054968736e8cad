//! Memory that is set aside for pieces that come in slowly, and what others do with it meanwhile.

use elementum_torrent::engine::readers::reader::ReaderOptions;

use super::super::node::Memory;
use super::crowd::{member, set_limit};
use super::*;

/// Slow torrents of 4 MiB a piece, and one who comes to play another one of smaller pieces.
#[derive(Debug, Clone, Copy)]
struct Slow {
    memory: u64,
    torrents: u64,
    /// Readers of each.
    readers: u64,
    /// Bytes a second that come in of each.
    rate: u64,
    background: bool,
    /// Of the player's torrent.
    piece: u64,
}

#[derive(Debug)]
struct Outcome {
    /// What the player read in all that time.
    played: u64,
    stood: Vec<Duration>,
    /// What each of the slow ones read meanwhile, and what was fetched for it.
    slow: Vec<(u64, u64)>,
}

fn beside_slow(slow: Slow, seconds: u64) -> Outcome {
    let mut world = World::new(31, Content::single(31, 64 * MIB, 4 * MIB as u32));
    let memory = Memory::new(slow.memory);
    let mut nodes = Vec::new();
    for _ in 0..slow.torrents {
        let node = member(&mut world, &memory, Setup::memory(0), Line::new(slow.rate, MIB, 15));
        for n in 0..slow.readers {
            let options = ReaderOptions {
                background: slow.background,
                offset: n * (64 / slow.readers) * MIB,
                ..Default::default()
            };
            world.add_driver(node, Driver::new(2 + n, 0, read_all()).with(options));
        }
        nodes.push(node);
    }
    world.run_for(Duration::from_secs(10));
    world.content = Content::single(32, 512 * MIB, slow.piece as u32);
    let player = member(&mut world, &memory, Setup::memory(0), Line::new(4_000_000, MIB, 15));
    world.add_driver(player, Driver::new(1, 0, read_all()).at_rate(1_000_000));
    world.run_for(Duration::from_secs(seconds));
    let now = world.now();
    let driver = &mut world.engine(player).drivers[0];
    driver.gauge.ends_wait(now);
    let (played, stood) = (driver.bytes_read, driver.gauge.stalls.iter().map(|s| s.time).collect());
    let slow = nodes.into_iter().map(|node| {
        let engine = world.engine(node);
        (engine.drivers.iter().map(|d| d.bytes_read).sum(), engine.torrent.status(now).total_payload_download)
    });
    let slow = slow.collect();
    Outcome { played, stood, slow }
}

/// Of two hundred seconds at a megabyte a second.
#[test]
fn what_stands_empty_is_used() {
    let all = Slow { memory: 8 * MIB, torrents: 2, readers: 1, rate: 60_000, background: false, piece: MIB };
    let background = Slow { background: true, ..all };
    for (slow, least) in [
        (all, 160),
        (background, 170),
        (Slow { torrents: 1, readers: 2, ..background }, 190),
        (Slow { memory: 16 * MIB, torrents: 4, ..all }, 170),
        (Slow { memory: 16 * MIB, torrents: 4, ..background }, 180),
        // Beside the two slow ones there is never room for a piece and the next.
        (Slow { piece: 4 * MIB, ..all }, 60),
    ] {
        let Outcome { played, stood, slow: others } = beside_slow(slow, 200);
        println!("{slow:?}: played {} of 200 MB, stood {stood:?}", played / 1_000_000);
        assert!(played > least * 1_000_000, "{slow:?}: {played} bytes, stood {stood:?}");
        for (read, fetched) in others {
            let pieces = if slow.readers == 1 { 2 } else { 1 };
            assert!(
                read >= 4 * MIB && fetched < read + (pieces * slow.readers + 1) * 4 * MIB,
                "{slow:?}: {read} read of {fetched}"
            );
        }
    }
}

/// Slow pieces, played and in the background, fill memory together: whose turn it is is settled, nobody asks and takes back again and again.
#[test]
fn who_waits_behind_those_who_borrow_has_his_turn() {
    for (memory, piece, after, delay, small, least) in
        [(12, 4, 3, 60, MIB / 2, 50), (12, 4, 8, 20, MIB, 250), (64, 16, 0, 20, MIB, 120)]
    {
        let mut world = World::new(33, Content::single(33, 128 * MIB, (piece * MIB) as u32));
        let pool = Memory::new(memory * MIB);
        let mut nodes = Vec::new();
        for n in 0..memory / piece {
            let background = n % 2 == 1;
            let line = Line::new(if background { 100_000 } else { 50_000 }, MIB, 20);
            let node = member(&mut world, &pool, Setup::memory(0), line);
            let options = ReaderOptions { background, ..Default::default() };
            world.add_driver(node, Driver::new(2, 0, read_all()).with(options));
            nodes.push(node);
        }
        world.run_for(Duration::from_secs(after));
        world.content = Content::single(34, 512 * MIB, small as u32);
        let player = member(&mut world, &pool, Setup::memory(0), Line::new(6_000_000, MIB, delay));
        world.add_driver(player, Driver::new(1, 0, read_all()).at_rate(4_000_000));
        world.run_for(Duration::from_secs(100));
        let engine = world.engine(player);
        let (played, cancelled) =
            (engine.drivers[0].bytes_read / 1_000_000, engine.torrent.counters().cancelled_blocks);
        println!("{memory} MiB, slow pieces of {piece} MiB: played {played} of 400 MB, {cancelled} blocks taken back");
        assert!(played > least && cancelled < 1000, "{memory}: {played} MB, {cancelled} blocks taken back");
        // Of four that fill all memory, the last one waits for longer.
        for node in nodes.into_iter().take(3) {
            let now = world.now();
            let fetched = world.engine(node).torrent.status(now).total_payload_download;
            assert!(fetched > MIB, "{memory}: {fetched} bytes of a slow one in 100 s");
        }
    }
}

/// A limit that is lowered while others' memory is borrowed, and raised again.
#[test]
fn a_limit_that_falls_and_rises_under_those_who_borrow() {
    let mut world = World::new(35, Content::single(35, 128 * MIB, 4 * MIB as u32));
    let memory = Memory::new(16 * MIB);
    let mut ours = Vec::new();
    for n in 0..3 {
        let node = member(&mut world, &memory, Setup::memory(0), Line::new(50_000, MIB, 20));
        let options = ReaderOptions { background: n == 1, ..Default::default() };
        world.add_driver(node, Driver::new(2, 0, read_all()).with(options));
        ours.push(node);
    }
    world.content = Content::single(36, 512 * MIB, MIB as u32);
    let player = member(&mut world, &memory, Setup::memory(0), Line::new(6_000_000, MIB, 20));
    ours.push(player);
    world.add_driver(player, Driver::new(1, 0, read_all()).at_rate(2_000_000));
    for blocks in [1024, 512, 1024, 300, 4096] {
        set_limit(&mut world, &ours, blocks);
        let before = world.engine(player).drivers[0].bytes_read;
        world.run_for(Duration::from_secs(20));
        let engine = world.engine(player);
        let played = (engine.drivers[0].bytes_read - before) / 1_000_000;
        let cancelled = engine.torrent.counters().cancelled_blocks;
        println!("{blocks} blocks: played {played} of 40 MB, {cancelled} blocks taken back");
        assert!(played > 20 && cancelled < 2000, "{blocks} blocks: {played} MB, {cancelled} blocks taken back");
    }
}
