//! Magnets: metadata from peers, right and wrong.

use elementum_torrent::alert::Alert;
use elementum_torrent::settings::Settings;

use super::*;

/// Metadata of several pieces: many small ones to hash.
fn large() -> Arc<Content> {
    Content::single(41, 40 * MIB, 16 * KIB as u32)
}

fn magnet(world: &mut World) -> usize {
    let setup = Setup { magnet: true, ..Setup::memory(MIB) };
    world.add_engine(setup, fast())
}

#[test]
fn magnet_metadata_from_three_peers() {
    let mut world = World::new(43, large());
    assert!(world.content.info.bytes.len() > 3 * 16 * 1024);
    let node = magnet(&mut world);
    let others: Vec<usize> = (0..3).map(|_| world.add_script(Manner::Honest, Line::new(100 * KIB, MIB, 50))).collect();
    world.introduce(node, &others);
    world.add_driver(node, Driver::new(1, 0, [Step::Read(100 * KIB)]));
    assert!(world.finish(minute()));
    assert_eq!(world.engine(node).count(|a| matches!(a, Alert::MetadataReceived)), 1);
    world.end();
}

#[test]
fn wrong_metadata_is_refused() {
    let mut world = World::new(47, large());
    let node = magnet(&mut world);
    let bad = world.add_script(Manner::WrongMetadata, fast());
    world.introduce(node, &[bad]);
    world.run_for(Duration::from_secs(5));
    assert!(world.engine(node).torrent.info().is_none());
    assert_eq!(world.engine(node).banned(), [world.nodes[bad].address]);
    assert_eq!(world.engine(node).count(|a| matches!(a, Alert::MetadataFailed { .. })), 1);
    let good = world.add_script(Manner::Honest, fast());
    world.introduce(node, &[good]);
    world.run_for(Duration::from_secs(5));
    assert!(world.engine(node).torrent.info().is_some());
    world.end();
}

/// Those who offer metadata and never send it, or a part of it alone, keep it from nobody.
#[test]
fn peers_that_promise_metadata_and_send_none_hold_nobody_up() {
    for (silent, sent) in [(3, 0), (3, 1), (12, 0), (12, 1)] {
        let mut world = World::new(500 + silent, large());
        let node = magnet(&mut world);
        for _ in 0..silent {
            let peer = world.add_script(Manner::Honest, fast());
            world.script(peer).quirks.metadata_answers = Some(sent);
            world.introduce(node, &[peer]);
        }
        world.run_for(Duration::from_secs(3));
        let good = world.add_script(Manner::Honest, fast());
        world.introduce(node, &[good]);
        let there = |w: &mut World| w.engine(node).torrent.info().is_some();
        assert!(world.run(Duration::from_secs(5), there), "{silent} that send {sent} pieces");
        world.end();
    }
}

/// There are many of them, and few places: each has one fair time, and whom the program names meanwhile does not wait for that of all.
#[test]
fn many_that_send_no_metadata_take_turns_at_few_places() {
    for (named, within) in [(false, 80), (true, 10)] {
        let mut world = World::new(530, large());
        let setup = Setup { magnet: true, ..Setup::memory(MIB) };
        let node = world.add_engine(setup.with_places(4), fast());
        let silent: Vec<usize> = (0..40).map(|_| world.add_script(Manner::Honest, fast())).collect();
        silent.iter().for_each(|one| world.script(*one).quirks.metadata_answers = Some(0));
        world.introduce(node, &silent);
        world.run_for(Duration::from_secs(10));
        let good = world.add_script(Manner::Honest, fast());
        if named {
            let (now, address) = (world.now(), world.nodes[good].address);
            world.engine(node).torrent.connect_peer(now, address);
            world.settle(node);
        } else {
            world.introduce(node, &[good]);
        }
        let there = |w: &mut World| w.engine(node).torrent.info().is_some();
        assert!(world.run(Duration::from_secs(within), there), "named {named}");
        world.end();
    }
}

/// Where nobody who is here sends any the tracker is asked again: soon, and then ever more seldom, as it may stay so.
#[test]
fn a_tracker_is_asked_again_where_no_metadata_comes() {
    for silent in [None, Some(0), Some(1)] {
        let mut world = World::new(520, large());
        world.min_interval_s = 0;
        let node = world.add_engine(Setup { magnet: true, tracker: true, ..Setup::memory(MIB) }, fast());
        if silent.is_some() {
            let peer = world.add_script(Manner::Honest, fast());
            world.script(peer).quirks.metadata_answers = silent;
            world.introduce(node, &[peer]);
        }
        world.run_for(Duration::from_secs(200));
        let announces = world.engine(node).announces.clone();
        assert!((4..=6).contains(&announces.len()), "{silent:?}: {announces:?}");
        let good = world.add_script(Manner::Honest, fast());
        world.tracked = vec![good];
        let there = |w: &mut World| w.engine(node).torrent.info().is_some();
        assert!(world.run(Duration::from_secs(200), there), "{silent:?}: {announces:?}");
        world.run_for(minute() * 20);
        assert!(world.engine(node).announces.len() <= 9, "{:?}", world.engine(node).announces);
    }
}

/// It is asked again later, and what it sends late is taken.
#[test]
fn a_slow_peer_brings_the_metadata_alone() {
    let mut world = World::new(503, large());
    let node = magnet(&mut world);
    let slow = world.add_script(Manner::Honest, Line::new(3 * KIB, MIB, 50));
    world.introduce(node, &[slow]);
    let there = |w: &mut World| w.engine(node).torrent.info().is_some();
    assert!(world.run(Duration::from_secs(40), there));
    assert!(world.script(slow).metadata_sent.len() <= 8, "{:?}", world.script(slow).metadata_sent);
    world.end();
}

/// What has the right hash is what there is: who sent it did no wrong.
#[test]
fn metadata_that_cannot_be_used_stops_the_torrent_and_blames_nobody() {
    let mut world = World::new(49, large());
    let mut setup = Setup { magnet: true, ..Setup::memory(MIB) };
    setup.settings.max_piece_count = 100;
    let node = world.add_engine(setup, fast());
    let peer = world.add_script(Manner::Honest, fast());
    world.introduce(node, &[peer]);
    world.run_for(Duration::from_secs(5));
    let engine = world.engine(node);
    assert_eq!(engine.count(|a| matches!(a, Alert::MetadataFailed { .. })), 1);
    assert_eq!(engine.count(|a| matches!(a, Alert::TorrentError { .. })), 1);
    assert_eq!(engine.count(|a| matches!(a, Alert::FileError { .. })), 0);
    assert!(engine.banned().is_empty());
    assert!(engine.torrent.error().is_some_and(|e| e.message.contains("max_piece_count")));
    let now = world.now();
    let more = Settings { max_piece_count: 1 << 20, ..world.engine(node).setup.settings.clone() };
    world.engine(node).torrent.set_settings(now, Arc::new(more));
    world.engine(node).torrent.resume(now);
    world.settle(node);
    world.run_for(Duration::from_secs(30));
    assert!(world.engine(node).torrent.info().is_some());
    world.end();
}

#[test]
fn wrong_metadata_among_right_ones_is_found() {
    let mut world = World::new(53, large());
    let node = magnet(&mut world);
    let mut others = vec![world.add_script(Manner::WrongMetadata, fast())];
    others.extend((0..2).map(|_| world.add_script(Manner::Honest, fast())));
    world.introduce(node, &others);
    let there = |w: &mut World| w.engine(0).torrent.info().is_some();
    assert!(world.run(minute(), there));
    let good: Vec<_> = others[1..].iter().map(|n| world.nodes[*n].address).collect();
    assert!(world.engine(node).banned().iter().all(|b| !good.contains(b)));
    world.end();
}

#[test]
fn claims_of_absurd_sizes_hold_nobody_up() {
    let mut world = World::new(59, Content::single(59, MIB, 64 * KIB as u32));
    let node = magnet(&mut world);
    let sizes = [1, 17, 100_000, 29_000_000, u32::MAX, 77_777];
    let mut others: Vec<usize> = sizes.iter().map(|s| world.add_script(Manner::HugeMetadata(*s), fast())).collect();
    others.push(world.add_script(Manner::Honest, Line::new(MIB, MIB, 100)));
    world.introduce(node, &others);
    let there = |w: &mut World| w.engine(0).torrent.info().is_some();
    assert!(world.run(Duration::from_secs(20), there), "liars keep the honest from being asked");
    world.end();
}

#[test]
fn metadata_spreads_from_magnet_to_magnet() {
    let mut world = World::new(61, Content::single(61, MIB, 64 * KIB as u32));
    let (first, second) = (magnet(&mut world), magnet(&mut world));
    world.introduce(second, &[first]);
    world.run_for(Duration::from_secs(1));
    let seed = world.add_engine(Setup::seed(), fast());
    world.introduce(first, &[seed]);
    world.run_for(Duration::from_secs(5));
    assert!(world.engine(first).torrent.info().is_some());
    assert!(world.engine(second).torrent.info().is_some(), "the second knows nobody but the first");
    world.end();
}

#[test]
fn a_magnet_of_what_is_on_disk_is_checked_and_told() {
    let mut world = World::new(73, Content::single(73, MIB, 64 * KIB as u32));
    let seed = world.add_engine(Setup::seed(), fast());
    let node = world.add_engine(Setup { magnet: true, ..Setup::seed() }, fast());
    let mut setup = Setup::disk();
    setup.settings.enable_pex = false;
    let leecher = world.add_engine(setup, fast());
    world.introduce(node, &[seed, leecher]);
    // They met before the check was over.
    assert!(world.run(minute(), |w| w.engine(leecher).torrent.bytes_left() == 0), "nobody told of what is there");
    assert_eq!(world.payload_into(node), 0);
    world.engine(node).check_books();
    world.end();
}

fn quirky(quirks: Quirks) -> (World, usize) {
    let mut world = World::new(113, large());
    magnet(&mut world);
    let peer = world.add_script(Manner::Honest, fast());
    world.script(peer).quirks = quirks;
    world.introduce(0, &[peer]);
    (world, peer)
}

/// Seconds until the metadata is there.
fn metadata_took(world: &mut World) -> u64 {
    let from = world.now();
    assert!(world.run(minute() * 3, |w| w.engine(0).torrent.info().is_some()), "never");
    world.now().since(from).as_secs()
}

#[test]
fn a_peer_that_rejects_metadata_is_asked_again() {
    for (rejects, least, most) in [(1, 2, 5), (5, 8, 12), (9, 18, 30)] {
        let (mut world, _) = quirky(Quirks { metadata_rejects: rejects, ..Quirks::default() });
        let took = metadata_took(&mut world);
        assert!((least..=most).contains(&took), "{took} s after {rejects} rejects");
        world.end();
    }
}

#[test]
fn a_peer_that_offers_metadata_without_a_size_is_asked() {
    for rejects in [0, 2] {
        let (mut world, peer) = quirky(Quirks { hides_size: true, metadata_rejects: rejects, ..Quirks::default() });
        metadata_took(&mut world);
        let mut sent = world.script(peer).metadata_sent.clone();
        sent.dedup();
        assert_eq!(sent.len(), world.content.info.bytes.len().div_ceil(16 * 1024), "each piece once");
        world.end();
    }
}

#[test]
fn metadata_that_came_is_kept_when_its_peer_leaves_and_returns() {
    let (mut world, peer) = quirky(Quirks { metadata_answers: Some(2), ..Quirks::default() });
    world.act(Duration::from_secs(1), move |w| {
        w.script(peer).quirks.metadata_answers = None;
        w.cut(peer);
    });
    metadata_took(&mut world);
    let sent = world.script(peer).metadata_sent.clone();
    let pieces = world.content.info.bytes.len().div_ceil(16 * 1024);
    assert_eq!(sent.len(), pieces, "each once: {sent:?}");
    world.end();
}

#[test]
fn pieces_lost_before_the_metadata_are_lost() {
    let (mut world, peer) = quirky(Quirks { lost: (0..2000).collect(), ..Quirks::default() });
    metadata_took(&mut world);
    let available = world.engine(0).torrent.piece_availability().expect("metadata");
    assert!(available[..2000].iter().all(|n| *n == 0) && available[2000..].iter().all(|n| *n == 1));
    world.add_driver(0, Driver::new(1, 0, [Step::Seek(2000 * 16 * KIB), Step::Read(100 * KIB)]));
    assert!(world.finish(minute()));
    let script = world.script(peer);
    assert_eq!(script.requests_seen, script.blocks_sent, "nothing was asked in vain");
    world.end();
}

/// A magnet with so many places, all taken by peers of that kind; the next one that is added is node `places + 1`.
fn crowded(seed: u64, places: usize, quirks: &Quirks) -> World {
    let mut world = World::new(seed, large());
    let setup = Setup { magnet: true, ..Setup::memory(MIB) }.with_places(places);
    let node = world.add_engine(setup, fast());
    add_to_list(&mut world, places, quirks);
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.num_conns(node), places);
    world
}

fn add_to_list(world: &mut World, peers: usize, quirks: &Quirks) {
    let nodes: Vec<usize> = (0..peers).map(|_| world.add_script(Manner::Honest, fast())).collect();
    nodes.iter().for_each(|one| world.script(*one).quirks = quirks.clone());
    world.introduce(0, &nodes);
}

fn silent() -> Quirks {
    Quirks { metadata_answers: Some(0), ..Quirks::default() }
}

fn disconnects(world: &mut World) -> usize {
    world.engine(0).count(|a| matches!(a, Alert::PeerDisconnected { .. }))
}

#[test]
fn who_sends_no_metadata_gives_way_to_who_is_named_or_comes() {
    let ways = [
        silent(),
        Quirks { metadata_answers: Some(1), ..Quirks::default() },
        Quirks { interested: true, ..silent() },
        Quirks { hides_size: true, ..silent() },
        Quirks { metadata_rejects: u32::MAX, ..Quirks::default() },
    ];
    for (places, quirks) in [4, 30, 100].into_iter().flat_map(|n| ways.iter().map(move |q| (n, q))) {
        for (others, comes) in [(0, false), (3, false), (0, true)] {
            let mut world = crowded(530, places, quirks);
            add_to_list(&mut world, others, quirks);
            let good = world.add_script(Manner::Honest, fast());
            if comes {
                (0..5).for_each(|i| world.act(Duration::from_secs(3 * i), move |w| w.dial(good, 0)));
            } else {
                world.introduce(0, &[good]);
            }
            let took = metadata_took(&mut world);
            assert!(took <= 12, "{took} s, {places} places, {others} others, it comes {comes}: {quirks:?}");
            world.end();
        }
    }
}

/// One a second at most, each after a fair time that grows.
#[test]
fn those_who_send_no_metadata_do_not_take_turns_at_speed() {
    let mut world = crowded(531, 4, &silent());
    add_to_list(&mut world, 8, &silent());
    let mut gone_in = |seconds| {
        let before = disconnects(&mut world);
        world.run_for(Duration::from_secs(seconds));
        disconnects(&mut world) - before
    };
    assert_eq!(gone_in(3), 0);
    let (soon, _, later) = (gone_in(10), gone_in(87), gone_in(100));
    assert!((2..=8).contains(&soon), "{soon} in 10 s");
    assert!((1..=20).contains(&later), "{later} in 100 s");
    world.end();
}

#[test]
fn who_brings_metadata_slowly_keeps_its_place() {
    for (seed, rate) in (532..).zip([500, 1000, 3000]) {
        let slow = Quirks { metadata_rate: Some(rate), ..Quirks::default() };
        let mut world = crowded(seed, 4, &slow);
        add_to_list(&mut world, 8, &silent());
        let took = metadata_took(&mut world);
        assert!(took > 5 && disconnects(&mut world) == 0, "{took} s at {rate} B/s");
        world.end();
    }
}
