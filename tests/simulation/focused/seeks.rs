//! Seeks on a line that its seeders share.

use elementum_torrent::engine::reader::ReaderOptions;

use super::*;

#[test]
fn explore() {
    for (seeders, piece) in [(1, 256 * KIB), (4, 256 * KIB), (4, MIB), (8, 256 * KIB)] {
        let content = Content::single(7, 128 * MIB, piece as u32);
        let mut world = World::new(11, content);
        let line = || Line::new(200 * MIB, 200 * MIB, 7);
        let all: Vec<usize> = (0..seeders).map(|_| world.add_engine(Setup::seed(), line())).collect();
        let node = world.add_engine(Setup::memory(64 * MIB), Line::new(8_000_000, 8_000_000, 8));
        world.introduce(node, &all);
        let driver = world.add_driver(node, Driver::new(1, 0, [Step::Read(MIB)]).with(ReaderOptions::default()));
        world.engine(node).drivers[driver].buffer = 1 << 20;
        assert!(world.finish(minute()));
        let mut over = Vec::new();
        let mut firsts = Vec::new();
        for n in 0..24u64 {
            let offset = (n * 37 % 100) * MIB + 12345 * n;
            let began = world.now();
            let d = &mut world.engine(node).drivers[driver];
            d.steps.extend([Step::Seek(offset), Step::Read(MIB)]);
            world.poll_driver(node, driver);
            world.settle(node);
            assert!(world.finish(minute()));
            let took = world.now().since(began).as_secs_f64() * 1e3;
            let pieces = (offset + MIB - 1) / piece - offset / piece + 1;
            let ideal = 30.0 + (pieces * piece) as f64 / 8000.0;
            over.push(took / ideal);
            firsts.push(world.engine(node).drivers[driver].seek_latencies.last().unwrap().as_secs_f64() * 1e3);
        }
        over.sort_by(f64::total_cmp);
        firsts.sort_by(f64::total_cmp);
        let s = world.engine(node).torrent.counters().redundant_bytes;
        println!("{seeders} seeders {piece}: median {:.3} p90 {:.3}; first byte {:.1} ms; redundant {} KiB", over[12], over[21], firsts[12], s / 1024);
    }
}
