//! Peers: good, bad, slow, coming and going.

use elementum_torrent::alert::{Alert, CloseReason};
use elementum_torrent::base::error::{Error, Status};
use elementum_torrent::engine::config::StorageKind;

use super::super::node::Kind;
use super::*;

/// Chokes take requests back: who chokes and unchokes all the time holds nothing that others could bring.
#[test]
fn peers_that_choke_at_each_request_hold_nobody_up() {
    let one_by_one = [(1, true, false, 1), (1, false, false, 1), (1, true, false, 5), (2, false, false, 3)];
    let by_many =
        [(7, false, false, 1), (7, false, false, 5), (7, true, false, 5), (7, false, true, 5), (7, false, true, 1)];
    for (i, (after, rejects, keeps, number)) in one_by_one.into_iter().chain(by_many).enumerate() {
        let mut world = World::new(300 + i as u64, Content::single(300, 16 * MIB, 256 * KIB as u32));
        let node = world.add_engine(Setup::memory(16 * MIB), fast());
        // Slow enough to stay within what their messages may cost.
        let line = || Line::new(5 * MIB, 5 * MIB, 20);
        let fickle = (0..number).map(|_| world.add_script(Manner::Fickle { after, fast: rejects, keeps }, line()));
        let fickle: Vec<usize> = fickle.collect();
        let honest = [(); 2].map(|()| world.add_script(Manner::Honest, Line::new(5 * MIB, 5 * MIB, 1)));
        world.introduce(node, &fickle);
        world.introduce(node, &honest);
        world.add_driver(node, Driver::new(1, 0, [Step::Sleep(Duration::from_secs(1)), Step::Read(8 * MIB)]));
        let done = world.run(Duration::from_secs(6), |w| w.engine(node).is_done());
        let asked: u64 = fickle.iter().map(|f| world.script(*f).requests_seen).sum();
        assert!(
            done,
            "{number} that choke after {after}, fast extension {rejects}, keeps {keeps}: {}",
            world.engine(node).torrent.describe()
        );
        assert!(
            asked < 3000,
            "{number} that choke after {after}, fast extension {rejects}, keeps {keeps}: asked {asked} times"
        );
        world.end();
    }
}

/// What it brings is taken where nobody else is there.
#[test]
fn a_peer_that_chokes_all_the_time_is_better_than_none() {
    let mut world = World::new(311, Content::single(311, 2 * MIB, 256 * KIB as u32));
    let node = world.add_engine(Setup::memory(16 * MIB), fast());
    let fickle = world.add_script(Manner::Fickle { after: 7, fast: false, keeps: false }, fast());
    world.introduce(node, &[fickle]);
    must_read(&mut world, node);
    world.end();
}

#[test]
fn corrupt_peer_is_banned_innocents_stay() {
    let manners = [Manner::CorruptBlock, Manner::Honest, Manner::Honest, Manner::Plain];
    let mut world = beside(4 * MIB, 256 * KIB, 2 * MIB, &manners);
    must_read(&mut world, 0);
    let bad = world.nodes[1].address;
    let engine = world.engine(0);
    assert_eq!(engine.banned(), [bad]);
    assert!(engine.hash_failures() <= 2, "{} pieces failed", engine.hash_failures());
    assert_eq!(engine.torrent.num_peers(), 3);
    world.end();
}

#[test]
fn a_lone_corrupt_peer_costs_one_piece() {
    let mut world = beside(4 * MIB, 256 * KIB, 2 * MIB, &[Manner::Corrupt(1)]);
    world.add_driver(0, Driver::new(1, 0, read_all()));
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.engine(0).banned().len(), 1);
    assert_eq!(world.engine(0).hash_failures(), 1);
    let seed = world.add_script(Manner::Honest, fast());
    world.introduce(0, &[seed]);
    assert!(world.finish(minute()));
    world.end();
}

#[test]
fn a_corrupt_peer_that_comes_back_is_the_same_peer() {
    for seed in 0..20 {
        let mut world = World::new(seed, Content::single(seed, 3 * MIB, 256 * KIB as u32));
        let mut setup = Setup::memory(MIB);
        setup.settings.min_reconnect_time = 2;
        let node = world.add_engine(setup, fast());
        let bad = world.add_script(Manner::CorruptBlock, Line::new(300 * KIB, MIB, 30));
        let others = [bad, world.add_script(Manner::Honest, fast()), world.add_script(Manner::Honest, fast())];
        for other in others {
            world.nodes[other].line.up = 300 * KIB;
        }
        world.introduce(node, &others);
        world.act(Duration::from_millis(900 + seed * 50), move |w| w.cut(node));
        world.add_driver(node, Driver::new(1, 0, read_all()));
        let done = world.finish(minute());
        assert!(done, "seed {seed}: {}", world.engine(node).torrent.describe());
        let failures = world.engine(node).hash_failures();
        assert!(failures <= 2, "seed {seed}: {failures} pieces failed");
        world.end();
    }
}

#[test]
fn corrupt_peers_together_are_all_found() {
    let manners = [Manner::CorruptBlock, Manner::Corrupt(3), Manner::Corrupt(1), Manner::Honest];
    let mut world = beside(6 * MIB, 256 * KIB, 2 * MIB, &manners);
    must_read(&mut world, 0);
    let banned = world.engine(0).banned();
    assert_eq!(banned.len(), 3, "{banned:?}");
    assert!(!banned.contains(&world.nodes[4].address));
    world.end();
}

#[test]
fn a_verified_piece_is_not_touched_by_the_ban_of_its_sender() {
    // Every eighth block is wrong: pieces pass in which the culprit, convicted by them, has a share.
    for seed in 0..20 {
        let mut world = World::new(seed, Content::single(seed, 2 * MIB, 64 * KIB as u32));
        let node = world.add_engine(Setup::memory(MIB), fast());
        let bad = world.add_script(Manner::Corrupt(7), fast());
        let good = world.add_script(Manner::Honest, Line::new(MIB, MIB, 30));
        world.introduce(node, &[bad, good]);
        must_read(&mut world, node);
        world.end();
    }
}

#[test]
fn stalled_peer_does_not_stall_reader() {
    let mut world = beside(4 * MIB, 128 * KIB, MIB, &[Manner::Staller, Manner::Staller, Manner::Honest]);
    let from = world.now();
    must_read(&mut world, 0);
    assert!(world.now().since(from) < Duration::from_secs(8), "{:?}", world.now().since(from));
    world.end();
}

#[test]
fn snubbed_peer_recovers() {
    let mut world = World::new(19, Content::single(19, 2 * MIB, 128 * KIB as u32));
    let mut setup = Setup::memory(MIB);
    setup.settings.request_timeout = 10;
    let node = world.add_engine(setup, fast());
    let sleeper = world.add_script(Manner::Sleeper, fast());
    world.introduce(node, &[sleeper]);
    world.add_driver(node, Driver::new(1, 0, read_all()));
    world.run_for(Duration::from_secs(30));
    let now = world.now();
    assert!(!world.engine(node).is_done());
    assert_eq!(world.engine(node).count(|a| matches!(a, Alert::PeerSnubbed { .. })), 1);
    let asked = world.engine(node).torrent.peers(now)[0].download_queue_length;
    assert!(asked <= 1, "{asked} blocks asked of a snubbed peer");
    assert!(world.finish(minute() * 2));
    assert_eq!(world.engine(node).count(|a| matches!(a, Alert::PeerUnsnubbed { .. })), 1);
    world.end();
}

#[test]
fn choke_and_unchoke() {
    let mut world = beside(2 * MIB, 128 * KIB, MIB, &[Manner::Choker]);
    must_read(&mut world, 0);
    world.end();
}

#[test]
fn upload_slots_are_kept_and_everybody_gets_a_turn() {
    let mut world = World::new(23, Content::single(23, MIB, 64 * KIB as u32));
    let mut setup = Setup::seed();
    setup.settings.unchoke_slots_limit = 2;
    let seed = world.add_engine(setup, fast());
    for _ in 0..5 {
        let mut setup = Setup::disk();
        setup.settings.enable_pex = false;
        let node = world.add_engine(setup, fast());
        world.introduce(node, &[seed]);
    }
    for _ in 0..100 {
        world.run_for(Duration::from_millis(100));
        let now = world.now();
        let unchoked = world.engine(seed).torrent.status(now).num_uploads;
        assert!(unchoked <= 2, "{unchoked} peers are unchoked");
    }
    let all = |w: &mut World| (1..6).all(|n| w.engine(n).torrent.bytes_left() == 0);
    assert!(world.run(Duration::from_secs(600), all), "somebody was never unchoked");
    world.end();
}

#[test]
fn a_liar_does_not_keep_pieces_from_others() {
    let mut world = beside(2 * MIB, 64 * KIB, MIB, &[Manner::Liar, Manner::Half, Manner::Honest]);
    must_read(&mut world, 0);
    let refusals = world.script(1).requests_seen;
    assert!(refusals < 300, "the liar was asked {refusals} times");
    world.end();
}

#[test]
fn have_and_donthave_flapping_costs_little_and_stays_right() {
    let mut world = beside(2 * MIB, 64 * KIB, MIB, &[Manner::Flapper, Manner::Flapper]);
    must_read(&mut world, 0);
    world.engine(0).check_books();
    world.end();
}

#[test]
fn unsolicited_and_doubled_blocks_take_no_memory() {
    let mut world = beside(2 * MIB, 64 * KIB, 256 * KIB, &[Manner::Unsolicited, Manner::Double, Manner::Shuffler]);
    must_read(&mut world, 0);
    world.end();
}

#[test]
fn garbage_ends_one_connection_and_nothing_else() {
    let mut world = beside(2 * MIB, 64 * KIB, MIB, &[Manner::Garbage, Manner::Honest]);
    must_read(&mut world, 0);
    world.run_for(Duration::from_secs(1));
    assert!(world.engine(0).banned().is_empty());
    world.end();
}

#[test]
fn a_peer_that_leaves_is_replaced() {
    let mut world = beside(4 * MIB, 128 * KIB, MIB, &[Manner::Leaver(9), Manner::Honest]);
    world.act(Duration::from_millis(300), |w| w.cut(2));
    world.add_driver(0, Driver::new(1, 0, read_all()));
    assert!(world.finish(minute() * 3), "nobody was dialled again");
    world.end();
}

#[test]
fn pex_introduces_peers() {
    let mut world = World::new(29, Content::single(29, 2 * MIB, 64 * KIB as u32));
    let seed = world.add_engine(Setup::seed(), fast());
    let middle = world.add_engine(Setup::disk(), fast());
    let far = world.add_engine(Setup::disk(), fast());
    world.introduce(middle, &[seed]);
    world.introduce(far, &[middle]);
    world.run_for(Duration::from_secs(130));
    let now = world.now();
    let address = world.nodes[seed].address;
    let known = world.engine(far).torrent.peers(now).iter().any(|p| p.endpoint.ip() == address.ip());
    assert!(known, "nobody told of the seed");
    world.end();
}

#[test]
fn leechers_trade() {
    let mut world = World::new(31, Content::single(31, 2 * MIB, 64 * KIB as u32));
    let seed = world.add_engine(Setup::seed(), Line::new(256 * KIB, MIB, 20));
    let nodes: Vec<usize> = (0..4).map(|_| world.add_engine(Setup::disk(), fast())).collect();
    for (i, node) in nodes.iter().enumerate() {
        let mut known = vec![seed];
        known.extend(&nodes[..i]);
        world.introduce(*node, &known);
    }
    let all = |w: &mut World| (1..5).all(|n| w.engine(n).torrent.bytes_left() == 0);
    assert!(world.run(Duration::from_secs(60), all));
    let (_, up, _) = world.engine(seed).torrent.totals();
    assert!(up < 6 * MIB, "the seed sent {up} bytes for four copies of 2 MiB");
    world.end();
}

#[test]
fn a_seed_does_not_talk_to_seeds_where_redundant_connections_are_closed() {
    let mut world = World::new(37, Content::single(37, MIB, 64 * KIB as u32));
    let seed = world.add_engine(Setup::seed(), fast());
    let mut setup = Setup::disk();
    setup.settings.close_redundant_connections = true;
    let node = world.add_engine(setup, fast());
    world.introduce(node, &[seed]);
    world.run_for(Duration::from_secs(20));
    assert!(matches!(&world.nodes[node].kind, Kind::Engine(e) if e.torrent.storage_kind() == StorageKind::Disk));
    assert_eq!(world.engine(node).torrent.bytes_left(), 0);
    assert_eq!(world.engine(node).torrent.num_peers(), 0);
    world.end();
}

/// A torrent that has its peers and wants nothing of them looks at them every few seconds; as soon as somebody wants something it is as
/// quick as ever.
#[test]
fn who_waits_for_nothing_is_hardly_looked_at() {
    let mut world = beside(4 * MIB, 256 * KIB, 2 * MIB, &[Manner::Honest, Manner::Honest]);
    world.run_for(Duration::from_secs(20));
    assert_eq!(world.engine(0).torrent.num_peers(), 2);
    let mut looks = 0;
    let mut last = world.engine(0).timer;
    let until = world.now() + minute();
    world.run(minute() * 2, |w| {
        let next = w.engine(0).timer;
        looks += usize::from(std::mem::replace(&mut last, next) != next);
        w.now() >= until
    });
    assert!((1..=20).contains(&looks), "{looks} looks in a minute");
    assert_eq!(world.engine(0).torrent.num_peers(), 2);
    let from = world.now();
    must_read(&mut world, 0);
    assert!(world.now().since(from) < Duration::from_secs(2), "{:?}", world.now().since(from));
    world.end();
}

/// Whatever state a panic left behind: the torrent stands, and begins anew when it is resumed; what is on disk is checked first.
#[test]
fn after_a_panic_all_begins_anew() {
    for disk in [false, true] {
        let mut world = World::new(29, Content::single(29, 4 * MIB, 64 * KIB as u32));
        let mut setup = if disk { Setup::disk() } else { Setup::memory(MIB) };
        setup.settings.min_reconnect_time = 1;
        let node = world.add_engine(setup, fast());
        let slow = || Line::new(MIB, MIB, 15);
        let others = [world.add_script(Manner::CorruptBlock, slow()), world.add_script(Manner::Honest, slow())];
        world.introduce(node, &others);
        world.add_driver(node, Driver::new(1, 0, read_all()));
        world.run_for(Duration::from_millis(800));
        let (now, engine) = (world.now(), world.engine(node));
        assert!(engine.torrent.num_peers() > 0 && !engine.is_done());
        let error = Error::new(Status::Panic, "planted");
        engine.torrent.panicked(now, error);
        world.settle(node);
        let engine = world.engine(node);
        engine.check_books();
        assert_eq!((engine.torrent.num_peers(), engine.torrent.had_pieces().len()), (0, 0));
        world.run_for(Duration::from_secs(5));
        assert!(!world.engine(node).is_done() && world.engine(node).torrent.num_peers() == 0, "it stands");
        let before = world.engine(node).count(|a| matches!(a, Alert::TorrentChecked));
        let now = world.now();
        world.engine(node).torrent.resume(now);
        world.settle(node);
        assert!(world.finish(minute()), "{}", world.engine(node).torrent.describe());
        assert_eq!(world.engine(node).count(|a| matches!(a, Alert::TorrentChecked)), before + usize::from(disk));
        world.end();
    }
}
#[test]
fn a_block_of_the_wrong_length_ends_its_sender_and_is_asked_elsewhere() {
    for wrong_length in [16_383, 384, 1, 16_385, 40_000] {
        let mut world = beside(2 * MIB, 64 * KIB, MIB, &[Manner::Honest, Manner::Honest]);
        world.script(1).quirks = Quirks { wrong_lengths: 1, wrong_length, ..Quirks::default() };
        let from = world.now();
        must_read(&mut world, 0);
        assert!(world.now().since(from) < Duration::from_secs(3), "{wrong_length}: {:?}", world.now().since(from));
        let reason = |a: &Alert| matches!(a, Alert::PeerDisconnected { reason: CloseReason::InvalidMessage, .. });
        assert_eq!(world.engine(0).count(reason), 1, "{wrong_length}");
        world.end();
    }
}

#[test]
fn no_more_is_asked_of_a_peer_than_it_queues() {
    // One that says it queues nothing is asked for one block after another: else it would be of no use.
    for (reqq, most) in [(0, 1), (1, 1), (2, 2), (5, 5)] {
        let mut world = beside(2 * MIB, 64 * KIB, MIB, &[Manner::Honest]);
        world.script(1).reqq = Some(reqq);
        must_read(&mut world, 0);
        assert_eq!(world.script(1).most_outstanding, most);
        world.end();
    }
    let mut world = beside(2 * MIB, 64 * KIB, MIB, &[Manner::Honest]);
    world.script(1).reqq = Some(u32::MAX);
    must_read(&mut world, 0);
    world.end();
}

#[test]
fn spare_bits_of_a_bitfield_cost_nobody_a_peer() {
    let mut world = beside(MIB + 5, 64 * KIB, MIB, &[Manner::Honest]);
    world.script(1).has = Some((0..17).collect());
    world.script(1).quirks.spare_bits = true;
    must_read(&mut world, 0);
    world.end();
}

/// Shorter intervals count from the moment they are set, not from the end of the longer ones.
#[test]
fn unchoke_intervals_hold_when_they_are_set() {
    let mut world = World::new(23, Content::single(5, 16 * MIB, 128 * KIB as u32));
    let mut setup = Setup::seed();
    setup.settings.enable_pex = false;
    setup.settings.allowed_fast_set_size = 0;
    setup.settings.unchoke_slots_limit = 1;
    setup.settings.unchoke_interval = 3600;
    setup.settings.optimistic_unchoke_interval = 3600;
    let mut quick = setup.settings.clone();
    (quick.unchoke_interval, quick.optimistic_unchoke_interval) = (1, 1);
    let seed = world.add_engine(setup, Line::new(256 * KIB, 256 * KIB, 15));
    for id in [1, 2] {
        let mut setup = Setup::memory(MIB);
        setup.settings.enable_pex = false;
        let node = world.add_engine(setup, fast());
        world.introduce(node, &[seed]);
        world.add_driver(node, Driver::new(id, 0, read_all()));
    }
    // How many are given something in ten seconds, once the first round is over.
    let served = |world: &mut World| {
        let totals = |world: &mut World| {
            let now = world.now();
            world.engine(seed).torrent.peers(now).iter().map(|p| p.total_upload).collect::<Vec<_>>()
        };
        let before = totals(world);
        world.run_for(Duration::from_secs(10));
        totals(world).iter().zip(&before).filter(|(now, before)| now > before).count()
    };
    world.run_for(Duration::from_secs(5));
    assert_eq!(served(&mut world), 1);
    let now = world.now();
    world.engine(seed).torrent.set_settings(now, Arc::new(quick));
    assert_eq!(served(&mut world), 2);
    world.end();
}

/// Peers that take few requests at a time and say nothing of it: they reject what is beyond, or drop it without a word. Others reject all
/// for a while. The only seed is one of them.
#[test]
fn a_seed_that_takes_few_requests_at_a_time_is_asked_for_no_more() {
    for (takes, drops, rejects) in [
        (64, true, 0),
        (20, true, 0),
        (5, true, 0),
        (1, true, 0),
        (64, false, 0),
        (20, false, 0),
        (5, false, 0),
        (1000, false, 40),
    ] {
        for piece_length in [64 * KIB, MIB] {
            let mut world = World::new(310, Content::single(310, 32 * MIB, piece_length as u32));
            let node = world.add_engine(Setup::memory(8 * MIB), fast());
            let seed = world.add_script(Manner::Honest, Line::new(5 * MIB, 5 * MIB, 20));
            world.script(seed).quirks.takes = Some(takes);
            world.script(seed).quirks.drops = drops;
            world.script(seed).quirks.rejects = rejects;
            world.introduce(node, &[seed]);
            world.add_driver(node, Driver::new(1, 0, read_all()));
            // So many blocks come in a round trip of 40 ms; then there is the time in which it is found out.
            let rate = (takes as u64 * 16 * KIB * 25).min(4 * MIB);
            let time = Duration::from_secs(32 * MIB / rate * 2 + 20);
            let done = world.run(time, |w| w.engine(node).is_done());
            let seen = world.script(seed).requests_seen;
            let what = format!("{takes} drops {drops} rejects {rejects} pieces of {piece_length}");
            assert!(done, "{what}: not within {time:?}: {}", world.engine(node).torrent.describe());
            assert!(seen < 2048 * 3 / 2, "{what}: {seen} requests");
            world.end();
        }
    }
}

/// A seed that takes now more requests at a time, now less, and rejects the rest.
#[test]
fn a_seed_whose_bound_changes_is_followed() {
    let mut world = World::new(312, Content::single(312, 48 * MIB, 256 * KIB as u32));
    let node = world.add_engine(Setup::memory(8 * MIB), fast());
    let seed = world.add_script(Manner::Honest, Line::new(5 * MIB, 5 * MIB, 20));
    world.script(seed).quirks.takes = Some(64);
    for (second, takes) in [(2, 20), (6, 5), (10, 64), (14, 3), (18, 250)] {
        world.act(Duration::from_secs(second), move |w| w.script(seed).quirks.takes = Some(takes));
    }
    world.introduce(node, &[seed]);
    world.add_driver(node, Driver::new(1, 0, read_all()));
    let done = world.run(minute(), |w| w.engine(node).is_done());
    let seen = world.script(seed).requests_seen;
    assert!(done, "not within a minute: {}", world.engine(node).torrent.describe());
    assert!(seen < 3072 + 200, "{seen} requests");
    world.end();
}

/// A seed that rejects requests at random, however few there are: it is no bound, and what it rejects is asked for again soon.
#[test]
fn a_seed_that_rejects_at_random_is_asked_again_soon() {
    for (percent, seconds) in [(10, 8), (50, 12), (90, 60)] {
        for piece_length in [16 * KIB, 256 * KIB] {
            let mut world = World::new(311, Content::single(311, 4 * MIB, piece_length as u32));
            let node = world.add_engine(Setup::memory(8 * MIB), fast());
            let seed = world.add_script(Manner::Honest, Line::new(5 * MIB, 5 * MIB, 20));
            world.script(seed).quirks.rejects_percent = percent;
            world.introduce(node, &[seed]);
            world.add_driver(node, Driver::new(1, 0, read_all()));
            let done = world.run(Duration::from_secs(seconds), |w| w.engine(node).is_done());
            let seen = world.script(seed).requests_seen;
            let what = format!("{percent} % rejected, pieces of {piece_length}");
            assert!(done, "{what}: not within {seconds} s: {}", world.engine(node).torrent.describe());
            // 256 blocks, each asked for as often as it takes.
            assert!(seen < 256 * 100 / (100 - u64::from(percent)) * 3 / 2, "{what}: {seen} requests");
            world.end();
        }
    }
}
