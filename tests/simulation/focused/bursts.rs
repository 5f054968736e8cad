//! Readers that take much at once, and then nothing for long, as an HTTP server does whose clients drain their sockets slowly.

use std::time::Duration;

use super::super::node::Memory;
use super::crowd::member;
use super::*;

/// Reads so much as fast as it comes, rests, and goes on with so much at a time at so many bytes a second in the mean.
fn in_bursts(rng: &mut fastrand::Rng, first: u64, rest: f64, burst: u64, rate: f64) -> Vec<Step> {
    let mut steps = vec![Step::Read(first), Step::Sleep(Duration::from_secs_f64(rest * (0.9 + 0.2 * rng.f64())))];
    for _ in 0..12 {
        let pause = burst as f64 / rate * (0.8 + 0.4 * rng.f64());
        steps.extend([Step::Read(burst), Step::Sleep(Duration::from_secs_f64(pause))]);
    }
    steps
}

/// What stood, the longest first, and how many blocks were taken back of how many that came.
fn burst(seed: u64, memory: u64, torrents: u64) -> (Vec<f64>, u64, u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut world = World::new(seed, Content::single(seed, 12 * MIB, 256 * 1024));
    let pool = Memory::new(memory);
    let mut nodes = Vec::new();
    for n in 0..torrents {
        let node = member(&mut world, &pool, Setup::memory(0), Line::new(4_000_000, MIB, 3));
        let steps = in_bursts(&mut rng, 5_500_000, 12.0, 1_500_000, 120e3);
        // A rate above all that comes: only so are waits gauged.
        world.add_driver(node, Driver::new(1 + n, 0, steps).at_rate(100_000_000));
        nodes.push(node);
    }
    world.run_for(Duration::from_secs(70));
    let now = world.now();
    let (mut stood, mut taken_back, mut came) = (Vec::new(), 0, 0);
    for node in nodes {
        let engine = world.engine(node);
        engine.drivers[0].gauge.ends_wait(now);
        stood.extend(engine.drivers[0].gauge.stalls.iter().map(|s| s.time.as_secs_f64()));
        let counters = engine.torrent.counters();
        taken_back += counters.cancelled_blocks;
        came += engine.torrent.status(now).total_payload_download / 16_384;
    }
    stood.sort_by(|a, b| b.total_cmp(a));
    stood.truncate(5);
    (stood, taken_back, came)
}

#[test]
fn readers_in_bursts_share_memory_that_is_too_small_for_all() {
    for (seed, memory, torrents) in [(1, 8, 9), (2, 8, 9), (3, 16, 16), (4, 8, 3), (5, 64, 24)] {
        let (stood, taken_back, came) = burst(seed, memory * MIB, torrents);
        println!("{torrents} in {memory} MiB: {came} blocks came, {taken_back} taken back, stood {stood:.2?}");
        assert!(taken_back * 20 < came, "{torrents}: {taken_back} of {came}");
        assert!(stood.iter().all(|s| *s < 1.0), "{torrents}: stood {stood:.2?}");
    }
}
