//! Pieces as large as memory on a slow swarm, beside small ones: one of them takes many seconds to come, and all readers get on.

use elementum_torrent::engine::readers::reader::ReaderOptions;

use super::super::node::Memory;
use super::*;

/// A torrent that is read, and what is asked of its reader.
#[derive(Debug, Clone, Copy)]
struct Torrent {
    piece: u64,
    background: bool,
    /// As fast as it comes, or so many bytes a second.
    rate: u64,
    /// How long it waits for a read, and pauses then. `None`: it waits for as long as it takes.
    tries: Option<(u64, u64)>,
    /// It stands still for so many seconds at most.
    stands: u64,
    /// And reads so much in all.
    reads: u64,
}

const FAST: u64 = 1 << 30;

fn torrent(piece: u64, tries: Option<(u64, u64)>, stands: u64, reads: u64) -> Torrent {
    Torrent { piece, background: false, rate: FAST, tries, stands, reads }
}

/// Torrents in one memory, all of them from the same seeds, that send so much a second in all.
fn all_get_on(limit: u64, seeds: usize, rate: u64, seconds: u64, torrents: &[Torrent]) {
    let mut world = World::new(157, Content::single(157, 64 * KIB, 16 * KIB as u32));
    let memory = Memory::new(limit);
    let lines: Vec<usize> =
        (0..seeds).map(|_| world.add_script(Manner::Honest, Line::new(rate / seeds as u64, MIB, 15))).collect();
    let ours: Vec<usize> = torrents
        .iter()
        .map(|t| {
            world.content = Content::single(t.piece, 6 * t.piece.max(MIB), t.piece as u32);
            let node = world.add_engine(Setup { shared: Some(memory.clone()), ..Setup::memory(0) }, fast());
            for line in &lines {
                let seed = world.add_script(Manner::Honest, Line::new(1, MIB, 15));
                world.nodes[seed].sends_as = *line;
                world.introduce(node, &[seed]);
            }
            let again = (0..100).flat_map(|_| [Step::Read(u64::MAX), Step::Seek(0)]);
            let options = ReaderOptions { background: t.background, ..ReaderOptions::default() };
            let mut driver = Driver::new(1, 0, again).with(options).at_rate(t.rate);
            if let Some((patience, pause)) = t.tries {
                driver = driver.with_patience(Duration::from_millis(patience)).pausing(Duration::from_millis(pause));
            }
            world.add_driver(node, driver);
            node
        })
        .collect();
    let mut told = vec![(0, 0, 0); ours.len()];
    for second in 1..=seconds {
        world.run_for(Duration::from_secs(1));
        for (node, (read, at, longest)) in ours.iter().zip(&mut told) {
            let now = world.engine(*node).drivers[0].bytes_read;
            if now != *read {
                (*read, *at) = (now, second);
            }
            *longest = (*longest).max(second - *at);
        }
    }
    let fine = torrents.iter().zip(&told).all(|(t, (read, _, longest))| *read >= t.reads && *longest <= t.stands);
    let told: Vec<_> =
        torrents.iter().zip(&told).map(|(t, (read, at, longest))| (t.piece / KIB, *read, *at, *longest)).collect();
    assert!(fine, "pieces in KiB, bytes read, until when, longest wait: {told:?}");
}

#[test]
fn pieces_as_large_as_memory_from_one_slow_seed() {
    let torrents = [
        // It borrows what the others do not use yet, and takes its part of the line.
        torrent(64 * KIB, Some((50, 1)), 10, 8 * MIB),
        torrent(3 * MIB, Some((200, 50)), 140, 6 * MIB),
        Torrent { rate: 200_000, ..torrent(2 * MIB, Some((10, 50)), 140, 2 * MIB) },
        torrent(3 * MIB, None, 140, 6 * MIB),
    ];
    all_get_on(3 * MIB, 1, 150_000, 300, &torrents);
}

#[test]
fn pieces_as_large_as_memory_from_three_seeds() {
    let torrents = [
        torrent(4 * MIB, Some((1000, 1)), 120, 8 * MIB),
        torrent(4 * MIB, Some((200, 50)), 120, 8 * MIB),
        torrent(16 * KIB, None, 20, 2 * MIB),
        torrent(MIB, None, 30, 2 * MIB),
        torrent(4 * MIB, None, 120, 8 * MIB),
        Torrent { background: true, ..torrent(512 * KIB, None, 70, MIB) },
    ];
    all_get_on(4 * MIB, 3, 450_000, 300, &torrents);
}

#[test]
fn small_pieces_beside_ones_as_large_as_memory() {
    for (rate, small) in [(400_000, 10 * MIB), (700_000, 10 * MIB)] {
        let torrents = [
            torrent(16 * KIB, None, 15, small),
            torrent(3 * MIB, None, 60, 6 * MIB),
            Torrent { background: true, ..torrent(64 * KIB, None, 60, 256 * KIB) },
        ];
        all_get_on(3 * MIB, 1, rate, 120, &torrents);
    }
}
