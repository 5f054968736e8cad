//! Blocks that become urgent after they were asked for, of peers that do not answer.

use elementum_torrent::engine::readers::reader::ReaderOptions;

use super::*;

/// A peer that never answers, alone for two seconds; then honest ones.
fn silent_first(silent: usize, piece_length: u64) -> World {
    let mut world = World::new(109, Content::single(109, 4 * MIB, piece_length as u32));
    let node = world.add_engine(Setup::memory(2 * MIB), fast());
    let silent: Vec<usize> = (0..silent).map(|_| world.add_script(Manner::Staller, fast())).collect();
    world.introduce(node, &silent);
    world
}

fn honest_come(world: &mut World, n: usize) {
    let good: Vec<usize> = (0..n).map(|_| world.add_script(Manner::Honest, fast())).collect();
    world.introduce(0, &good);
}

/// The tail was asked of the silent peer before anybody waited for it.
#[test]
fn a_seek_to_a_tail_that_a_silent_peer_was_asked_for() {
    for piece_length in [64 * KIB, 256 * KIB] {
        let mut world = silent_first(1, piece_length);
        let last = 4 * MIB - 64 * KIB;
        let steps = [Step::Read(64 * KIB), Step::Seek(last), Step::Read(64 * KIB)];
        world.add_driver(0, Driver::new(1, 0, steps));
        world.run_for(Duration::from_secs(2));
        honest_come(&mut world, 2);
        assert!(world.finish(Duration::from_secs(2)), "pieces of {piece_length}");
        world.end();
    }
}

/// Asked of silent peers by a prebuffer, by a background reader, by priority: then a read waits for it.
#[test]
fn what_was_asked_without_haste_is_not_late_for_a_read_that_waits() {
    for way in 0..3 {
        let mut world = silent_first(1, 64 * KIB);
        match way {
            0 => {
                world.add_driver(0, Driver::new(1, 0, [Step::Prebuffer(256 * KIB, 512 * KIB)]));
            }
            1 => {
                let options = ReaderOptions { background: true, ..ReaderOptions::default() };
                world.add_driver(0, Driver::new(1, 0, [Step::Seek(3 * MIB), Step::ReadFor(minute())]).with(options));
            }
            _ => {
                let now = world.now();
                (48..64).for_each(|p| world.engine(0).torrent.set_piece_priority(now, p, 4).expect("a piece"));
                world.settle(0);
            }
        }
        world.run_for(Duration::from_secs(2));
        honest_come(&mut world, 2);
        world.run_for(Duration::from_millis(200));
        let (from, length) = if way == 0 { (4 * MIB - 512 * KIB, 512 * KIB) } else { (3 * MIB, MIB) };
        let player = world.add_driver(0, Driver::new(2, 0, [Step::Seek(from), Step::Read(length)]));
        let done = move |w: &mut World| w.engine(0).drivers[player].is_done();
        assert!(world.run(Duration::from_secs(2), done), "way {way}: {}", world.engine(0).torrent.describe());
        world.end();
    }
}

/// A background reader waits, too, where nothing is more urgent.
#[test]
fn a_background_read_does_not_wait_for_a_silent_peer() {
    let mut world = silent_first(1, 64 * KIB);
    let options = ReaderOptions { background: true, ..ReaderOptions::default() };
    world.add_driver(0, Driver::new(1, 0, [Step::Read(MIB)]).with(options));
    world.run_for(Duration::from_secs(2));
    honest_come(&mut world, 1);
    assert!(world.finish(Duration::from_secs(3)));
    world.end();
}

/// The fast one falls silent and its connection stays; the other one has a tenth of its speed, or less.
#[test]
fn a_slow_peer_goes_on_where_the_fast_one_falls_silent() {
    for (fast, slow, piece) in
        [(5_000_000, 200_000, 256 * KIB), (20_000_000, 500_000, MIB), (50_000_000, 100_000, 256 * KIB)]
    {
        for seed in 60..63 {
            let size = slow * 20;
            let mut world = World::new(seed, Content::single(seed, size, piece as u32));
            let node = world.add_engine(Setup::memory(64 * MIB), super::fast());
            let a = world.add_script(Manner::Falls(60), Line::new(fast, MIB, 2));
            let b = world.add_script(Manner::Honest, Line::new(slow, MIB, 2));
            world.introduce(node, &[a, b]);
            world.add_driver(node, Driver::new(1, 0, read_all()));
            let done = world.finish(Duration::from_secs(32));
            assert!(done, "{fast} {slow}: {}", world.engine(node).torrent.describe());
            world.end();
        }
    }
}

/// As many peers as may be asked for a block were asked, and all are silent.
#[test]
fn copies_with_silent_peers_make_way() {
    for silent in [3, 6] {
        let mut world = silent_first(1, 64 * KIB);
        world.add_driver(0, Driver::new(1, 0, [Step::Read(512 * KIB)]));
        for _ in 1..silent {
            world.run_for(Duration::from_secs(4));
            let another = world.add_script(Manner::Staller, fast());
            world.introduce(0, &[another]);
        }
        world.run_for(Duration::from_secs(4));
        honest_come(&mut world, 1);
        assert!(world.finish(Duration::from_secs(4)), "{silent} silent: {}", world.engine(0).torrent.describe());
        world.end();
    }
}

/// Under a download limit few blocks are asked for at once. What those who do not answer hold of it is no others' loss.
#[test]
fn what_the_silent_hold_of_a_limit_others_may_have() {
    let mut world = silent_first(6, 64 * KIB);
    let now = world.now();
    let torrent = &mut world.engine(0).torrent;
    torrent.set_download_limit(50_000);
    (0..16).for_each(|p| torrent.set_piece_priority(now, p, 4).expect("a piece"));
    world.settle(0);
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.engine(0).torrent.storage_stats().in_flight, 6 * 16 * KIB, "two seconds of the limit");
    honest_come(&mut world, 1);
    world.run_for(Duration::from_secs(5));
    let had = world.engine(0).torrent.had_pieces().len();
    assert!(had > 4, "{had} pieces came");
    world.end();
}

/// Many that bring next to nothing were asked for all that is wanted, two or three for each block, when a good one comes: it brings what
/// they let wait.
#[test]
fn what_several_hopeless_peers_were_asked_for_is_asked_of_a_good_one() {
    for (places, drip) in [(3, 500), (8, 500), (40, 500), (88, 500), (88, 64)] {
        let mut world = World::new(630, Content::single(630, 64 * MIB, 256 * KIB as u32));
        let node = world.add_engine(Setup::memory(8 * MIB), fast());
        let slow: Vec<usize> = (0..places).map(|_| world.add_script(Manner::Dripper(drip), fast())).collect();
        slow.iter().for_each(|one| world.dial(*one, node));
        world.run_for(Duration::from_secs(3));
        world.add_driver(node, Driver::new(1, 0, read_all()).at_rate(2 * MIB));
        world.run_for(Duration::from_secs(28));
        let good = world.add_script(Manner::Honest, fast());
        world.dial(good, node);
        let (came, before) = (world.now(), world.engine(node).drivers[0].bytes_read);
        let met = world.run(minute(), |w| w.engine(node).drivers[0].bytes_read > before + 2 * MIB);
        let took = world.now().since(came);
        println!("{places} that bring {drip} B/s, {met}: 2 MiB after {took:?}");
        assert!(met && took < Duration::from_secs(4), "{places} that bring {drip} B/s: {took:?}");
    }
}
