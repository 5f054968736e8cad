//! One thing each, by name.

mod background;
mod blockwise;
mod bursts;
mod checks;
mod crowd;
mod duplicates;
mod explain;
mod extremes;
mod floods;
mod hashing;
mod large;
mod late;
mod lending;
mod line;
mod memory;
mod metadata;
mod nonsense;
mod orders;
mod outages;
mod padding;
mod peers;
mod places;
mod readers;
mod storage;
mod super_seeds;
mod told;
mod uploads;

use std::sync::Arc;
use std::time::Duration;

use super::content::Content;
use super::driver::{Driver, Step};
use super::link::Line;
use super::manner::{Manner, Quirks};
use super::node::Setup;
use super::world::World;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

fn fast() -> Line {
    Line::new(8 * MIB, 8 * MIB, 15)
}

fn minute() -> Duration {
    Duration::from_secs(60)
}

/// A world with one file, an honest seed (node 0) and a memory node (node 1) that knows it.
fn pair(size: u64, piece_length: u64, memory: u64) -> World {
    world(Content::single(7, size, piece_length as u32), memory)
}

fn world(content: Arc<Content>, memory: u64) -> World {
    let mut world = World::new(11, content);
    let seed = world.add_engine(Setup::seed(), fast());
    let node = world.add_engine(Setup::memory(memory), fast());
    world.introduce(node, &[seed]);
    world
}

/// A memory node beside scripted peers, nodes 1 and on; it is node 0.
fn beside(size: u64, piece_length: u64, memory: u64, manners: &[Manner]) -> World {
    let mut world = World::new(13, Content::single(9, size, piece_length as u32));
    let node = world.add_engine(Setup::memory(memory), fast());
    let others: Vec<usize> = manners.iter().map(|m| world.add_script(*m, fast())).collect();
    world.introduce(node, &others);
    world
}

/// Runs all of these seeds, or what the variable names: `5`, or `1000..5000`. Of one that fails it is told how to replay it.
fn for_each_seed(variable: &str, usual: std::ops::Range<u64>, run: fn(u64)) {
    let named = std::env::var(variable).ok().and_then(|s| {
        let (from, to) = s.split_once("..").unwrap_or((&s, ""));
        let from: u64 = from.parse().ok()?;
        Some(from..to.parse().unwrap_or(from + 1))
    });
    for seed in named.unwrap_or(usual) {
        let outcome = std::panic::catch_unwind(|| run(seed));
        assert!(outcome.is_ok(), "{variable}={seed} replays it");
    }
}

fn read_all() -> [Step; 1] {
    [Step::Read(u64::MAX)]
}

/// Reads the whole file on a node, within a minute.
fn must_read(world: &mut World, node: usize) {
    world.add_driver(node, Driver::new(99, 0, read_all()));
    let done = world.finish(minute());
    assert!(done, "the file was not read within a minute: {}", world.engine(node).torrent.describe());
}
