//! What uploads hold of the memory that readers need.

use elementum_torrent::engine::readers::explanation::{Explanation, Reason};
use elementum_torrent::engine::readers::reader::ReaderId;
use elementum_torrent::memory::pool::BLOCK_SIZE;

use super::super::flood::Flood;
use super::*;

const SIZE: u64 = 8 * MIB;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A reader of all, over and over, beside leechers that ask without end and do not read; node 0, which gets what it wants from
/// node 1.
fn beside_leechers(memory: u64, piece_length: u64, leechers: usize) -> World {
    let mut world = World::new(79, Content::single(6, SIZE, piece_length as u32));
    let mut setup = Setup::memory(memory);
    setup.settings.unchoke_slots_limit = -1;
    let node = world.add_engine(setup, Line::new(4 * MIB, 8 * MIB, 15));
    let honest = world.add_script(Manner::Honest, Line::new(2 * MIB, 2 * MIB, 15));
    world.introduce(node, &[honest]);
    for _ in 0..leechers {
        let leecher = world.add_script(Manner::Flood(Flood::Requests), fast());
        let script = world.script(leecher);
        (script.deaf, script.has) = (true, Some(Vec::new()));
        script.quirks = Quirks { interested: true, plain: true, ..Quirks::default() };
        world.introduce(node, &[leecher]);
    }
    let again = (0..100).flat_map(|_| [Step::Read(SIZE), Step::Seek(0)]);
    world.add_driver(node, Driver::new(1, 0, again));
    world
}

/// What the reader gets in a quarter of a minute, the longest that it gets nothing, and the most that was out for uploads meanwhile.
fn measure(world: &mut World) -> (u64, Duration, u64) {
    let (mut before, mut since, mut longest, mut lent) = (0, world.now(), Duration::ZERO, 0);
    world.run(seconds(15), |w| {
        let now = w.now();
        let read = w.engine(0).drivers[0].bytes_read;
        if std::mem::replace(&mut before, read) != read {
            since = now;
        }
        longest = longest.max(now.since(since));
        lent = lent.max(w.engine(0).pool.outgoing());
        false
    });
    (before, longest, lent)
}

/// However many there are, whatever the memory.
#[test]
fn leechers_that_do_not_read_leave_readers_their_memory() {
    for (memory, piece_length) in
        [(512 * KIB, 16 * KIB), (MIB, 64 * KIB), (MIB, 256 * KIB), (4 * MIB, 64 * KIB), (4 * MIB, MIB)]
    {
        let mut alone = beside_leechers(memory, piece_length, 0);
        let (most, gap_alone, _) = measure(&mut alone);
        alone.end();
        for leechers in [2, 30] {
            let mut world = beside_leechers(memory, piece_length, leechers);
            let (read, gap, lent) = measure(&mut world);
            println!(
                "measured {} KiB of memory, pieces of {} KiB, {leechers} leechers: {:.2} of the rate, {gap:?} without a byte, \
                 {gap_alone:?} alone, {lent} blocks lent",
                memory / KIB,
                piece_length / KIB,
                read as f64 / most as f64,
            );
            // Where memory is four pieces, one that is a block short is a quarter of it.
            let bar = if memory / piece_length > 4 { 9 } else { 6 };
            assert!(read * 10 >= most * bar, "{memory} {piece_length} {leechers}: {read} of {most} bytes");
            assert!(gap <= gap_alone + seconds(1), "{memory} {piece_length} {leechers}: nothing for {gap:?}");
            let eighth = memory / u64::from(BLOCK_SIZE) / 8;
            assert!((1..=eighth).contains(&lent), "{lent} blocks lent of {eighth}");
            world.end();
        }
    }
}

/// A reader's piece takes all the memory: a block that a leecher does not read stands in its way, and not for ever.
#[test]
fn a_block_that_is_lent_is_told_of_and_comes_back() {
    let mut world = beside_leechers(256 * KIB, 256 * KIB, 2);
    let nap = Step::Sleep(seconds(5));
    world.engine(0).drivers[0].steps =
        [Step::Read(100 * KIB), nap.clone(), Step::Seek(4 * MIB), Step::Read(100 * KIB), nap].into();
    let mut first: Option<Explanation> = None;
    let finished = world.run(minute(), |w| {
        let now = w.now();
        let engine = w.engine(0);
        let why = engine.torrent.explain(now, ReaderId(1)).ok().filter(|why| why.waited > Some(seconds(1)));
        if let Some(why) = why {
            assert_ne!(why.reason, Reason::Queued, "{why}");
            first = first.take().or(Some(why)).filter(|why| why.reason == Reason::MemoryFull);
        }
        engine.is_done()
    });
    assert!(finished, "nobody took the block back: {first:?}");
    let why = first.expect("a block was lent");
    assert!(why.memory.held >= u64::from(BLOCK_SIZE), "{why:?}");
    assert!(why.to_string().contains("KiB held by callers, uploads or the disk"), "{why}");
    world.end();
}
