//! One thing each.

use std::time::Duration;

use super::content::Content;
use super::driver::{Driver, Step};
use super::link::Line;
use super::node::Setup;
use super::world::World;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

#[test]
fn a_file_is_read_from_one_seed() {
    let mut world = World::new(1, Content::single(1, 4 * MIB + 12_345, 256 * KIB as u32));
    let seed = world.add_engine(Setup::seed(), Line::new(4 * MIB, 4 * MIB, 15));
    let reader = world.add_engine(Setup::memory(2 * MIB), Line::new(4 * MIB, 4 * MIB, 15));
    world.add_driver(reader, Driver::new(1, 0, [Step::Read(u64::MAX), Step::Close]));
    world.introduce(reader, &[seed]);
    assert!(world.finish(Duration::from_secs(60)), "not read after a minute");
    println!("{} virtual ms, {} steps", world.now().0 / 1000 - 10_000, world.steps);
    world.end();
}
