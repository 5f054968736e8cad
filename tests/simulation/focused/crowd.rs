//! Many torrents in one memory: from several pieces for each down to a few blocks.

use elementum_torrent::engine::readers::reader::ReaderOptions;
use elementum_torrent::memory::pool::BLOCK_SIZE;

use super::super::node::{Kind, Memory};
use super::*;

/// So many torrents, each with a seed of its own, in so many blocks of memory; the nodes of ours.
fn crowd(world: &mut World, torrents: usize, blocks: u64) -> Vec<usize> {
    let memory = Memory::new(blocks * u64::from(BLOCK_SIZE));
    (0..torrents).map(|_| member(world, &memory, Setup::memory(0), fast())).collect()
}

/// Another torrent in that memory, with a seed on such a line.
pub(super) fn member(world: &mut World, memory: &Memory, setup: Setup, line: Line) -> usize {
    let seed = world.add_script(Manner::Honest, line);
    let node = world.add_engine(Setup { shared: Some(memory.clone()), ..setup }, fast());
    world.introduce(node, &[seed]);
    node
}

pub(super) fn set_limit(world: &mut World, ours: &[usize], blocks: u64) {
    let (now, pool) = (world.now(), world.engine(ours[0]).pool.clone());
    pool.set_limit(blocks * u64::from(BLOCK_SIZE));
    // What is charged already goes one after the other.
    for node in ours {
        world.engine(*node).ceiling = pool.charged().max(pool.limit());
    }
    for node in ours {
        world.engine(*node).torrent.enforce_limit(now);
        world.settle(*node);
    }
}

/// How far each reader is, for the message of a failure.
pub(super) fn progress(world: &World) -> String {
    let engines = world.nodes.iter().filter_map(|n| match &n.kind {
        Kind::Engine(e) if !e.is_done() => Some(e),
        _ => None,
    });
    let told = engines.map(|e| {
        let at: Vec<_> = e.drivers.iter().map(|d| (d.position, &d.steps)).collect();
        format!(
            "{at:?} of memory {}+{}/{}: {}",
            e.pool.charged(),
            e.pool.promised(),
            e.pool.limit(),
            e.torrent.describe()
        )
    });
    told.collect::<Vec<_>>().join("\n")
}

/// The longest that any reader stood still.
fn longest_stall(world: &World) -> Duration {
    let engines = world.nodes.iter().filter_map(|n| match &n.kind {
        Kind::Engine(e) => Some(e),
        _ => None,
    });
    engines
        .flat_map(|e| e.drivers.iter())
        .map(|d| d.gauge.stalls.iter().map(|s| s.time).max().unwrap_or_default())
        .max()
        .unwrap_or_default()
}

/// Torrents of all piece lengths, two of each, with readers that take 60 kB/s and try again each second: how long any of them stands
/// still at most, and what all of them read.
fn mixed(blocks: u64) -> (Vec<(u64, u64, Duration)>, u64) {
    let content = |piece| Content::single(91, 3 * MIB, piece as u32);
    let mut world = World::new(91, content(16 * KIB));
    let mut ours = Vec::new();
    let memory = Memory::new(blocks * u64::from(BLOCK_SIZE));
    for piece in [16, 32, 64, 128, 256, 512, 1024].map(|k| k * KIB).repeat(2) {
        world.content = content(piece);
        let node = member(&mut world, &memory, Setup::memory(0), fast());
        let steps = (0..20).flat_map(|_| [Step::Read(3 * MIB), Step::Seek(0)]);
        let reader = Driver::new(1, 0, steps).at_rate(60_000).by(16_384).with_patience(Duration::from_secs(1));
        world.add_driver(node, reader);
        ours.push((piece, node));
    }
    world.run_for(minute() * 5);
    let now = world.now();
    let mut all = Vec::new();
    for (piece, node) in ours {
        let d = &mut world.engine(node).drivers[0];
        d.gauge.ends_wait(now);
        all.push((piece, d.bytes_read, d.gauge.stalls.iter().map(|s| s.time).max().unwrap_or_default()));
    }
    let sum = all.iter().map(|(_, read, _)| *read).sum();
    (all, sum)
}

#[test]
fn large_pieces_have_their_turn_among_small_ones_that_are_read_slowly() {
    for (blocks, longest, least) in [(64, 50, 35), (96, 30, 65), (128, 25, 110), (256, 1, 245)] {
        let (all, sum) = mixed(blocks);
        assert!(sum > least * 1_000_000, "{sum} bytes in {blocks} blocks of memory: {all:?}");
        for (piece, read, stood) in all {
            let fine = read > piece && stood < Duration::from_secs(longest);
            assert!(fine, "{blocks} blocks, pieces of {piece}: {read} bytes, stood still for {stood:?}");
        }
    }
}

/// Who takes a byte now and then holds its piece for its turn, not for ever.
#[test]
fn who_drips_keeps_nobody_from_reading() {
    for (together, drips) in [(false, 2), (false, 1), (true, 2), (true, 1)] {
        let mut world = World::new(97, Content::single(97, 4 * MIB, 128 * KIB as u32));
        let ours = crowd(&mut world, 7, 2 * 8);
        let node = |i: usize| ours[if together { 0 } else { i }];
        for i in 0..6 {
            let steps = [Step::Seek(i * 600 * KIB), Step::Read(u64::MAX)];
            world.add_driver(node(i as usize), Driver::new(i + 1, 0, steps).at_rate(drips).by(1));
        }
        world.run_for(Duration::from_secs(3));
        world.add_driver(
            node(6),
            Driver::new(9, 0, [Step::Seek(4 * MIB - 300 * KIB), Step::Read(u64::MAX)]).at_rate(MIB),
        );
        let done = world.run(minute(), |w| w.engine(node(6)).drivers.last().is_some_and(Driver::is_done));
        assert!(done, "together {together}: {}", progress(&world));
        let now = world.now();
        for i in 0..6 {
            let driver = &mut world.engine(node(i)).drivers[if together { i } else { 0 }];
            driver.gauge.ends_wait(now);
            assert!(driver.bytes_read > 2, "together {together}, {i}: {}", driver.bytes_read);
        }
    }
}

#[test]
fn twice_as_many_torrents_as_pieces_fit_take_turns() {
    let mut world = World::new(41, Content::single(41, 2 * MIB, 128 * KIB as u32));
    let ours = crowd(&mut world, 16, 8 * 8);
    for node in ours {
        world.add_driver(node, Driver::new(1, 0, read_all()).at_rate(256 * KIB));
    }
    let done = world.finish(minute());
    assert!(done, "{}", progress(&world));
    assert!(longest_stall(&world) < Duration::from_secs(2), "{:?}", longest_stall(&world));
    world.end();
}

#[test]
fn memory_for_one_piece_goes_round() {
    let mut world = World::new(43, Content::single(43, MIB, 128 * KIB as u32));
    let ours = crowd(&mut world, 6, 8);
    for node in ours {
        world.add_driver(node, Driver::new(1, 0, read_all()));
    }
    let done = world.finish(minute());
    assert!(done, "{}", progress(&world));
    world.end();
}

#[test]
fn large_pieces_find_room_beside_many_small_readers() {
    // One reader alone needs half of all memory for a piece; those of the others are blocks in size.
    let mut world = World::new(47, Content::single(47, 4 * MIB, 512 * KIB as u32));
    let ours = crowd(&mut world, 5, 96);
    for (i, node) in ours.into_iter().enumerate() {
        let options = ReaderOptions { unverified: i > 0, ..ReaderOptions::default() };
        world.add_driver(node, Driver::new(1, 0, read_all()).with(options).at_rate(MIB));
    }
    let done = world.finish(minute());
    assert!(done, "{}", progress(&world));
    world.end();
}

/// Who cannot get on does not keep from the others what they could use.
#[test]
fn seeds_that_fall_silent_hold_no_memory() {
    let mut world = World::new(53, Content::single(53, 2 * MIB, 256 * KIB as u32));
    let ours = crowd(&mut world, 4, 32);
    for seed in [0, 2] {
        world.script(seed).manner = Manner::Staller;
    }
    for node in &ours {
        world.add_driver(*node, Driver::new(1, 0, read_all()));
    }
    let alive = [ours[2], ours[3]];
    let done = world.run(minute(), |w| alive.iter().all(|n| w.engine(*n).is_done()));
    assert!(done, "{}", progress(&world));
    world.end();
}

/// Each of several readers waits for another piece that never gets whole: what they hold is of use to somebody else.
#[test]
fn pieces_whose_last_block_never_comes_hold_no_memory() {
    let mut world = World::new(67, Content::single(67, 4 * MIB, 256 * KIB as u32));
    let ours = crowd(&mut world, 2, 32);
    world.script(ours[0] - 1).manner = Manner::Withholder;
    for id in 0..5 {
        let steps = [Step::Seek(id * 700 * KIB), Step::Read(u64::MAX)];
        world.add_driver(ours[0], Driver::new(id + 1, 0, steps));
    }
    world.run_for(Duration::from_secs(2));
    world.add_driver(ours[1], Driver::new(1, 0, read_all()));
    let done = world.run(minute() * 2, |w| w.engine(ours[1]).is_done());
    assert!(done, "{}", progress(&world));
    let longest = world.engine(ours[1]).drivers[0].gauge.stalls.iter().map(|s| s.time).max().unwrap_or_default();
    assert!(longest < Duration::from_secs(8), "{longest:?}");
    world.end();
}

/// What one torrent protects is not there for the others: they get on with the rest.
#[test]
fn others_play_in_what_a_torrent_does_not_protect() {
    for (pieces, protected) in [(2, 1), (3, 1), (4, 2), (5, 2), (8, 4)] {
        let mut world = World::new(71 + pieces, Content::single(71, 4 * MIB, 128 * KIB as u32));
        let ours = crowd(&mut world, 3, pieces * 8);
        world.add_driver(ours[0], Driver::new(1, 0, [Step::Read(protected * 128 * KIB), Step::Close]));
        assert!(world.run(minute(), |w| w.engine(ours[0]).is_done()));
        let now = world.now();
        let kept: Vec<i64> = (0..protected as i64).collect();
        world.engine(ours[0]).torrent.set_lookbehind(now, &kept).expect("half of it");
        world.settle(ours[0]);
        for node in &ours[1..] {
            world.add_driver(*node, Driver::new(1, 0, read_all()).at_rate(512 * KIB));
        }
        let done = world.finish(minute());
        assert!(done, "{protected} of {pieces}: {}", progress(&world));
        world.end();
    }
}

/// Who opened a stream and stands still keeps no piece from those who read, of his torrent or another one.
#[test]
fn readers_that_stand_still_give_way_soon() {
    for together in [false, true] {
        let mut world = World::new(79, Content::single(79, 4 * MIB, 256 * KIB as u32));
        let ours = crowd(&mut world, 3, 32);
        let node = |i: usize| ours[if together { 0 } else { i }];
        for i in 0..2 {
            let steps = [Step::Seek(i * 2 * MIB), Step::Read(1), Step::Sleep(minute() * 5), Step::Read(1)];
            world.add_driver(node(i as usize), Driver::new(i + 1, 0, steps));
        }
        world.run_for(Duration::from_secs(3));
        // Across the border of two pieces.
        world.add_driver(node(2), Driver::new(9, 0, [Step::Seek(3 * MIB - 1000), Step::Read(64 * KIB)]));
        let done = world.run(Duration::from_secs(4), |w| w.engine(node(2)).drivers.last().is_some_and(Driver::is_done));
        assert!(done, "of one torrent {together}: {}", progress(&world));
    }
}

/// Who has read all keeps it for as long as nobody else wants memory. All who come at once get some at once, though nothing happens at
/// those who rest.
#[test]
fn who_rests_gives_to_all_who_come() {
    let mut world = World::new(79, Content::single(79, MIB, 128 * KIB as u32));
    let ours = crowd(&mut world, 16, 16 * 8);
    let (first, then) = ours.split_at(8);
    for node in first {
        world.add_driver(*node, Driver::new(1, 0, [Step::Read(MIB), Step::Sleep(minute())]));
    }
    assert!(
        world.run(minute(), |w| first.iter().all(|n| w.engine(*n).drivers[0].position >= MIB)),
        "{}",
        progress(&world)
    );
    let begun = world.now();
    for node in then {
        world.add_driver(*node, Driver::new(1, 0, read_all()));
    }
    let done = |w: &mut World| then.iter().all(|n| w.engine(*n).is_done());
    assert!(world.run(minute(), done), "{}", progress(&world));
    // 1 MiB at 8 MiB/s, and a round trip for each piece, as memory for one is all that they have for sure.
    let took = world.now().since(begun);
    assert!(took < Duration::from_millis(800), "{took:?}");
}

/// A torrent that was paused, in line or with a piece begun, keeps nobody from reading; its own readers go on after it is resumed.
#[test]
fn paused_torrents_give_way() {
    for (after, by_session) in [0, 20, 100, 300, 600, 1200].into_iter().flat_map(|ms| [(ms, false), (ms, true)]) {
        let mut world = World::new(83 + after, Content::single(83, 2 * MIB, 256 * KIB as u32));
        let ours = crowd(&mut world, 4, 16);
        let set_paused = |world: &mut World, paused: bool| {
            let now = world.now();
            for node in &ours[..2] {
                let torrent = &mut world.engine(*node).torrent;
                match (by_session, paused) {
                    (true, paused) => torrent.set_session_paused(now, paused),
                    (false, true) => torrent.pause(now),
                    (false, false) => torrent.resume(now),
                }
                world.settle(*node);
            }
        };
        for node in &ours[..2] {
            world.nodes[node - 1].line = Line::new(256 * KIB, MIB, 15);
        }
        for node in &ours {
            world.add_driver(*node, Driver::new(1, 0, read_all()));
        }
        world.run_for(Duration::from_millis(after));
        set_paused(&mut world, true);
        let others = [ours[2], ours[3]];
        let done = world.run(Duration::from_secs(4), |w| others.iter().all(|n| w.engine(*n).is_done()));
        assert!(done, "paused after {after} ms: {}", progress(&world));
        set_paused(&mut world, false);
        assert!(world.finish(minute()), "{}", progress(&world));
        world.end();
    }
}

/// The same for one that stops since its disk is full.
#[test]
fn torrents_that_fail_give_way() {
    let mut world = World::new(85, Content::single(85, 4 * MIB, 256 * KIB as u32));
    let memory = Memory::new(2 * 256 * KIB);
    let mut ours = Vec::new();
    for disk in [true, true, false, false] {
        let line = if disk { Line::new(512 * KIB, MIB, 15) } else { fast() };
        let setup = if disk { Setup { write_errors: 1, ..Setup::disk() } } else { Setup::memory(0) };
        ours.push(member(&mut world, &memory, setup, line));
    }
    world.run(minute(), |w| w.engine(ours[0]).writes > 0);
    for node in &ours[2..] {
        world.add_driver(*node, Driver::new(1, 0, read_all()));
    }
    let others = [ours[2], ours[3]];
    // The disk's owner resumes it every five seconds.
    let done = world.run(Duration::from_secs(4), |w| others.iter().all(|n| w.engine(*n).is_done()));
    assert!(done, "{}", progress(&world));
}

/// Readers that nobody reads from any more.
#[test]
fn those_who_stopped_reading_give_way() {
    let mut world = World::new(59, Content::single(59, 2 * MIB, 256 * KIB as u32));
    let ours = crowd(&mut world, 4, 32);
    for (i, node) in ours.iter().enumerate() {
        let pause = if i < 2 { vec![Step::Read(MIB + 1000), Step::Sleep(minute() * 2)] } else { Vec::new() };
        let begin = if i < 2 { Duration::ZERO } else { Duration::from_secs(5) };
        let mut steps = vec![Step::Sleep(begin)];
        steps.extend(pause);
        steps.extend(read_all());
        world.add_driver(*node, Driver::new(1, 0, steps));
    }
    let later = [ours[2], ours[3]];
    let done = world.run(minute(), |w| later.iter().all(|n| w.engine(*n).is_done()));
    assert!(done, "{}", progress(&world));
    assert!(world.finish(minute() * 4), "{}", progress(&world));
    world.end();
}

#[test]
fn a_limit_that_falls_below_a_piece_stops_nobody_else() {
    let mut world = World::new(61, Content::single(61, 2 * MIB, 256 * KIB as u32));
    let ours = crowd(&mut world, 3, 48);
    for (i, node) in ours.iter().enumerate() {
        let options = ReaderOptions { unverified: i > 0, ..ReaderOptions::default() };
        world.add_driver(*node, Driver::new(1, 0, read_all()).with(options).at_rate(512 * KIB));
    }
    world.run_for(Duration::from_secs(1));
    set_limit(&mut world, &ours, 12);
    let others = [ours[1], ours[2]];
    let done = world.run(minute(), |w| others.iter().all(|n| w.engine(*n).is_done()));
    assert!(done, "{}", progress(&world));
    set_limit(&mut world, &ours, 48);
    assert!(world.finish(minute()), "{}", progress(&world));
    world.end();
}

/// A crowd out of its number: how many, how much memory, who reads what how fast, who leaves, who falls silent.
fn random_crowd(seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let piece = [16, 32, 64, 128, 256][rng.usize(0..5)] * KIB;
    let blocks_of_piece = piece / u64::from(BLOCK_SIZE);
    let size = rng.u64(1..=12) * piece + rng.u64(0..piece);
    let mut world = World::new(rng.u64(..), Content::single(rng.u64(..), size, piece as u32));
    let torrents = rng.usize(2..10);
    let unverified = rng.bool();
    // From two pieces for each down to one for all; where nobody waits for whole pieces, down to some blocks for each.
    let least = if unverified { torrents as u64 * 2 } else { blocks_of_piece };
    let blocks = rng.u64(least..=(2 * torrents as u64 * blocks_of_piece).max(least + 1));
    let ours = crowd(&mut world, torrents, blocks);
    let mut done = Vec::new();
    for (i, node) in ours.iter().enumerate() {
        let now = world.now();
        match rng.u8(0..8) {
            // Somebody wants all of it, whether it is read or not; or some of it soon.
            0 => world.engine(*node).torrent.prioritize_files(now, &[4]).expect("a file"),
            1 => world.engine(*node).torrent.set_piece_deadline(now, 0, 100).expect("a piece"),
            _ => {}
        }
        let silent = rng.u8(0..8) == 0;
        if silent {
            world.script(node - 1).manner = if rng.bool() { Manner::Staller } else { Manner::Sleeper };
        }
        for id in 0..rng.u64(1..3) {
            let mut steps = vec![Step::Sleep(Duration::from_millis(rng.u64(0..3000)))];
            for _ in 0..rng.usize(0..4) {
                steps.push(match rng.u8(0..4) {
                    0 => Step::Seek(rng.u64(0..size)),
                    1 => Step::Sleep(Duration::from_millis(rng.u64(0..2000))),
                    2 => Step::ReadAt(rng.u64(0..size), 1000),
                    _ => Step::Read(rng.u64(1..size)),
                });
            }
            if rng.u8(0..4) == 0 {
                steps.push(Step::Close);
            } else {
                steps.push(Step::Read(u64::MAX));
            }
            let options = ReaderOptions { unverified, background: rng.u8(0..8) == 0, ..ReaderOptions::default() };
            let rate = if rng.bool() { 0 } else { rng.u64(1..8) * 128 * KIB };
            world.add_driver(*node, Driver::new(id + 1, 0, steps).with(options).at_rate(rate));
        }
        if !silent {
            done.push(ours[i]);
        }
    }
    if rng.bool() {
        let (after, other) = (Duration::from_millis(rng.u64(0..4000)), rng.u64(least..=blocks));
        let nodes = ours.clone();
        world.act(after, move |w| set_limit(w, &nodes, other));
    }
    let finished = world.run(Duration::from_secs(900), |w| {
        assert!(w.steps < 2_000_000, "it goes round in circles at {:?}", w.now());
        done.iter().all(|n| w.engine(*n).is_done())
    });
    // Who takes memory from whom is settled: they do not take it back and forth.
    for node in &ours {
        let cancelled = world.engine(*node).torrent.counters().cancelled_blocks;
        assert!(cancelled < 4000, "{cancelled} requests were taken back");
    }
    assert!(finished, "{torrents} torrents, {blocks} blocks, {blocks_of_piece} a piece\n{}", progress(&world));
    world.end();
}

#[test]
fn any_crowd_in_any_memory() {
    for_each_seed("ET_SIM_CROWD", 0..1000, random_crowd);
}
