//! All places are taken by peers that are of no use to a read that waits: they give way, one by one, to who may be.

use elementum_torrent::alert::Alert;
use elementum_torrent::base::time::Time;
use elementum_torrent::engine::swarm::peer_list::PeerSource;
use elementum_torrent::engine::swarm::turnover::{Need, Newcomer};

use super::*;

/// How the useless are useless.
const WAYS: [Manner; 5] = [
    Manner::Choking,
    Manner::Staller,
    Manner::Dripper(64),
    Manner::Liar,
    /* It lacks the piece. */ Manner::Honest,
];

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn with_places(seed: u64, places: usize) -> (World, usize) {
    let mut world = World::new(seed, Content::single(seed, 4 * MIB, 64 * KIB as u32));
    let node = world.add_engine(Setup::memory(MIB).with_places(places), fast());
    (world, node)
}

/// A memory node with so many places, all taken by such peers: node 0, and those from 1 on. The last node is a good seed.
fn crowded(seed: u64, places: usize, manner: Manner, came: bool) -> World {
    let (mut world, node) = with_places(seed, places);
    let useless: Vec<usize> = (0..places).map(|_| world.add_script(manner, fast())).collect();
    for one in &useless {
        world.script(*one).has = (manner == Manner::Honest).then(|| vec![0, 1]);
    }
    if came {
        useless.iter().for_each(|one| world.dial(*one, node));
    } else {
        world.introduce_by(PeerSource::MANUAL, node, &useless);
    }
    world.add_script(Manner::Honest, fast());
    // Long enough to be nobody's fault that they brought nothing before.
    world.run_for(seconds(20));
    world
}

fn read_on(world: &mut World) {
    world.add_driver(0, Driver::new(1, 0, [Step::Seek(2 * MIB), Step::Read(1000)]));
}

/// Somebody good is named, or comes, a second after the read began to wait.
#[test]
fn the_useless_give_way_to_who_is_named_or_comes_while_a_read_waits() {
    for (places, manner) in [4, 16, 24].into_iter().flat_map(|n| WAYS.map(|manner| (n, manner))) {
        for (came, comes) in [(false, false), (true, false), (false, true), (true, true)] {
            for seed in 500..503 {
                let mut world = crowded(seed, places, manner, came);
                let good = places + 1;
                read_on(&mut world);
                world.run_for(seconds(1));
                assert!(world.num_conns(0) + 3 >= places, "{}", world.num_conns(0));
                if comes {
                    comes_again(&mut world, good, seconds(3), 10);
                } else {
                    world.introduce_by(PeerSource::MANUAL, 0, &[good]);
                }
                let done = world.finish(seconds(10));
                assert!(
                    done,
                    "{places} {manner:?}, they came {came}, it comes {comes}: {}",
                    world.engine(0).torrent.describe()
                );
                world.end();
            }
        }
    }
}

fn again_every(world: &mut World, every: Duration, times: u32, action: impl Fn(&mut World) + Copy + 'static) {
    (0..times).for_each(|i| world.act(every * i, action));
}

/// It dials the node under test, as often as it is away.
fn comes_again(world: &mut World, one: usize, every: Duration, times: u32) {
    again_every(world, every, times, move |w| {
        if w.num_conns(one) == 0 {
            w.dial(one, 0);
        }
    });
}

/// There are always more of the useless to dial, and a good one that can only come by himself. It has every other place that is made.
#[test]
fn who_comes_is_not_kept_out_by_those_who_are_dialled() {
    for (places, manner) in [2, 4, 16].into_iter().flat_map(|n| WAYS.map(|manner| (n, manner))) {
        let mut world = crowded(505, places, manner, false);
        let good = places + 1;
        let more: Vec<usize> = (0..places * 3).map(|_| world.add_script(manner, fast())).collect();
        for one in &more {
            world.script(*one).has = (manner == Manner::Honest).then(|| vec![0, 1]);
        }
        world.introduce_by(PeerSource::TRACKER, 0, &more);
        read_on(&mut world);
        world.run_for(seconds(8));
        comes_again(&mut world, good, seconds(2), 15);
        let done = world.finish(seconds(30));
        assert!(done, "{places} {manner:?}: {}", world.engine(0).torrent.describe());
        world.end();
    }
}

/// Many useless ones take turns at a pace that has a bound and slows down; nobody of them has less than a fair time.
#[test]
fn the_useless_do_not_take_turns_at_speed() {
    for manner in WAYS {
        let mut world = crowded(510, 4, manner, false);
        let more: Vec<usize> = (0..8).map(|_| world.add_script(manner, fast())).collect();
        for one in &more {
            world.script(*one).has = (manner == Manner::Honest).then(|| vec![0, 1]);
        }
        read_on(&mut world);
        world.introduce_by(PeerSource::MANUAL, 0, &more);
        let before = world.conns.len();
        world.run_for(seconds(10));
        let soon = world.conns.len() - before;
        assert!((2..=10).contains(&soon), "{manner:?}: {soon} in 10 s");
        world.run_for(seconds(90));
        let before = world.conns.len();
        world.run_for(seconds(100));
        let later = world.conns.len() - before;
        assert!((2..=40).contains(&later), "{manner:?}: {later} in 100 s");
        world.end();
    }
}

/// Slow ones that bring what they can make room for a try now and then, which costs little.
#[test]
fn who_brings_something_loses_little_to_those_who_are_tried() {
    for seed in 520..525 {
        let (mut world, node) = with_places(seed, 4);
        let slow: Vec<usize> =
            (0..4).map(|_| world.add_script(Manner::Honest, Line::new(8 * KIB, 64 * KIB, 30))).collect();
        world.introduce(node, &slow);
        world.run_for(seconds(2));
        let more: Vec<usize> = (0..8).map(|_| world.add_script(Manner::Staller, fast())).collect();
        world.add_driver(node, Driver::new(1, 0, [Step::Seek(2 * MIB), Step::Read(2 * MIB - 1)]));
        world.introduce(node, &more);
        world.run_for(seconds(28));
        assert_eq!(gone(&mut world), 0, "{}", world.engine(node).torrent.describe());
        let payload = |world: &mut World| world.engine(node).torrent.status(Time::ZERO).total_payload_download;
        let before = payload(&mut world);
        world.run_for(seconds(30));
        let came = payload(&mut world) - before;
        assert!(!world.engine(node).is_done() && gone(&mut world) > 0);
        let part = came as f64 / (4 * 8 * KIB * 30) as f64;
        // One place of four tries all eight.
        assert!(part > 0.7, "seed {seed}: {part:.2} of what they bring");
        world.end();
    }
}

/// Whole blocks now and then, or trickles: what comes at such a pace is of use as long as it keeps to it, and the sum of all of them is the
/// stream's, but for the tries with others who come.
#[test]
fn of_those_who_bring_little_at_their_own_pace_all_counts() {
    let paced =
        |places: usize, every: u32| (places, Manner::Paced(every), fast(), (16 * KIB) as f64 / f64::from(every));
    let trickle = |places: usize, rate: u64| (places, Manner::Honest, Line::new(rate, 64 * KIB, 30), rate as f64);
    let swarms =
        [paced(4, 8), paced(8, 8), paced(4, 16), paced(4, 2), trickle(4, 2048), trickle(4, 1024), trickle(8, 500)];
    for ((places, manner, line, rate), comes) in
        swarms.iter().flat_map(|s| [false, true].map(|comes| (s.clone(), comes)))
    {
        for seed in 540..541 {
            let mut world = World::new(seed, Content::single(seed, 16 * MIB, 16 * KIB as u32));
            world.audit_every = 2000;
            let node = world.add_engine(Setup::memory(8 * MIB).with_places(places), fast());
            let slow: Vec<usize> = (0..places).map(|_| world.add_script(manner, line.clone())).collect();
            world.introduce(node, &slow);
            world.run_for(seconds(1));
            world.add_driver(node, Driver::new(1, 0, [Step::Read(16 * MIB)]).by(4096));
            world.run_for(seconds(if rate < 1025.0 { 130 } else { 30 }));
            if comes {
                let useless = world.add_script(Manner::Staller, fast());
                world.introduce_by(PeerSource::MANUAL, node, &[useless]);
                comes_again(&mut world, useless, seconds(3), 100);
            }
            let (before, time) = (world.engine(node).drivers[0].bytes_read, if rate < 1500.0 { 400 } else { 180 });
            world.run_for(seconds(time));
            let read = world.engine(node).drivers[0].bytes_read - before;
            let part = read as f64 / (rate * places as f64 * time as f64);
            let what = format!("{manner:?} {rate} B/s, {places} places, another comes {comes}, seed {seed}");
            // Of four places the one that is tried with others may be lost for all of the time.
            let least = if comes { 0.5 } else { 0.65 };
            assert!(part > least, "{what}: {part:.2} of what they bring");
            world.end();
        }
    }
}

/// All places are taken by those that bring a little. A good one that is named, or comes, is found all the same.
#[test]
fn one_that_is_good_is_found_though_all_places_are_taken_by_the_slow() {
    let trickle = |rate: u64| (Manner::Honest, Line::new(rate, 64 * KIB, 30));
    let slow = [trickle(500), trickle(2048), trickle(4096), trickle(16 * KIB), (Manner::Paced(8), fast())];
    for (manner, line) in slow {
        for (comes, dead, seed) in [(false, 0, 580), (true, 0, 581), (false, 8, 582)] {
            let mut world = World::new(seed, Content::single(seed, 16 * MIB, 64 * KIB as u32));
            world.audit_every = 2000;
            let node = world.add_engine(Setup::memory(MIB).with_places(4), fast());
            let slow: Vec<usize> = (0..4).map(|_| world.add_script(manner, line.clone())).collect();
            world.introduce(node, &slow);
            world.run_for(seconds(1));
            world.add_driver(node, Driver::new(1, 0, [Step::Read(16 * MIB)]).by(4096));
            world.run_for(seconds(6));
            let nobody: Vec<usize> = (0..dead).map(|_| world.add_script(Manner::Honest, fast())).collect();
            nobody.iter().for_each(|one| world.nodes[*one].swallows = true);
            world.introduce(node, &nobody);
            let good = world.add_script(Manner::Honest, fast());
            if comes {
                comes_again(&mut world, good, seconds(3), 100);
            } else {
                world.introduce(node, &[good]);
            }
            let done = world.run(seconds(90), |w| w.engine(node).is_done());
            assert!(done, "{manner:?}, comes {comes}, {dead} dead: {}", world.engine(node).torrent.describe());
            world.end();
        }
    }
}

/// The same where there are many of them, and the good one only comes now and then.
#[test]
fn one_that_comes_now_and_then_is_let_in_though_all_places_are_taken_by_the_slow() {
    for (places, every, seed) in [(4, 12, 590), (4, 30, 591), (40, 12, 592), (40, 30, 593)] {
        let mut world = World::new(seed, Content::single(seed, 64 * MIB, 256 * KIB as u32));
        world.audit_every = 2000;
        let node = world.add_engine(Setup::memory(8 * MIB).with_places(places), Line::new(4 * MIB, 4 * MIB, 10));
        let slow: Vec<usize> =
            (0..places).map(|_| world.add_script(Manner::Honest, Line::new(20_000, 64 * KIB, 30))).collect();
        world.introduce(node, &slow);
        world.run_for(seconds(20));
        world.add_driver(node, Driver::new(1, 0, [Step::Read(64 * MIB)]).at_rate(places as u64 * 40_000));
        world.run_for(seconds(15));
        let good = world.add_script(Manner::Honest, fast());
        let began = world.now();
        comes_again(&mut world, good, seconds(every), 20);
        let met = world.run(seconds(every * 4), |w| w.num_conns(good) > 0 && w.script(good).blocks_sent > 16);
        println!("{places} slow, comes each {every} s: in after {:?}", world.now().since(began));
        assert!(met, "{places} places, comes each {every} s: {}", world.engine(node).torrent.describe());
        world.end();
    }
}

/// The program names a peer.
fn name(world: &mut World, one: usize) {
    let (now, address) = (world.now(), world.nodes[one].address);
    world.engine(0).torrent.connect_peer(now, address);
    world.settle(0);
}

/// However many the program named before, and whatever they bring: whom it names while a read waits is met at once.
#[test]
fn whom_the_program_names_last_is_met_at_once() {
    let trickle = |rate: u64| (Manner::Honest, Line::new(rate, 64 * KIB, 30));
    let useless = WAYS.map(|manner| (manner, fast()));
    for (manner, line) in useless.into_iter().chain([500, 4096, 16 * KIB].map(trickle)) {
        for seed in 600..602 {
            let mut world = World::new(seed, Content::single(seed, 16 * MIB, 64 * KIB as u32));
            let lacks = manner == Manner::Honest && line.up == fast().up;
            let node = world.add_engine(Setup::memory(MIB).with_places(4), fast());
            for _ in 0..30 {
                let one = world.add_script(manner, line.clone());
                world.script(one).has = lacks.then(|| vec![0, 1]);
                name(&mut world, one);
            }
            world.add_driver(node, Driver::new(1, 0, [Step::Seek(2 * MIB), Step::Read(4 * MIB)]));
            world.run_for(seconds(25));
            let good = world.add_script(Manner::Honest, fast());
            name(&mut world, good);
            world.run_for(seconds(5));
            assert_eq!(world.num_conns(good), 1, "{manner:?}: {}", world.engine(node).torrent.describe());
            assert!(world.finish(seconds(15)), "{manner:?}: {}", world.engine(node).torrent.describe());
            world.end();
        }
    }
}

/// Many of those who bring drops are tried at a pace at which a good one is found among them.
#[test]
fn those_who_bring_drops_take_turns_while_there_are_others() {
    for (rate, places, seed) in [(500, 4, 610), (1024, 4, 611), (4096, 4, 612), (2048, 20, 613)] {
        let mut world = World::new(seed, Content::single(seed, 16 * MIB, 64 * KIB as u32));
        world.audit_every = 2000;
        let node = world.add_engine(Setup::memory(MIB).with_places(places), fast());
        let drips: Vec<usize> =
            (0..places * 5 / 2).map(|_| world.add_script(Manner::Honest, Line::new(rate, 64 * KIB, 30))).collect();
        world.introduce(node, &drips);
        world.add_driver(node, Driver::new(1, 0, [Step::Read(16 * MIB)]).by(4096));
        world.run_for(seconds(10));
        let good = world.add_script(Manner::Honest, fast());
        world.introduce_by(PeerSource::PEX, node, &[good]);
        let met = world.run(seconds(40), |w| w.num_conns(good) > 0);
        assert!(met, "{rate} B/s, {places} places: {}", world.engine(node).torrent.describe());
        world.end();
    }
}

/// Where nobody reads a peer that is new gives way only to a torrent that has few.
#[test]
fn peers_of_a_torrent_at_rest_give_way_to_one_that_waits() {
    let (mut world, node) = with_places(620, 4);
    let others: Vec<usize> = (0..2).map(|_| world.add_script(Manner::Honest, fast())).collect();
    world.introduce(node, &others);
    world.run_for(seconds(2));
    let mut free = |need| {
        let now = world.now();
        let newcomer = Newcomer { incoming: false, for_one_that_came: false, need };
        let freed = world.engine(node).torrent.free_place(now, newcomer);
        world.settle(node);
        freed
    };
    assert_eq!([Need::Any, Need::Bytes, Need::Few].map(&mut free), [false, false, true]);
    world.run_for(seconds(20));
    world.end();
}

/// All others that are named are dead: one place at a time is given up for that, and taken again.
#[test]
fn the_slow_come_back_where_nobody_takes_their_place() {
    for seed in 585..588 {
        let (mut world, node) = with_places(seed, 4);
        let line = Line::new(4 * KIB, 64 * KIB, 30);
        let slow: Vec<usize> = (0..4).map(|_| world.add_script(Manner::Honest, line.clone())).collect();
        world.introduce(node, &slow);
        world.run_for(seconds(1));
        world.add_driver(node, Driver::new(1, 0, [Step::Read(4 * MIB)]).by(4096));
        world.run_for(seconds(30));
        for n in 0..10 {
            let nobody: Vec<usize> = (0..20).map(|_| world.add_script(Manner::Honest, fast())).collect();
            nobody.iter().for_each(|one| world.nodes[*one].swallows = true);
            world.act(seconds(n * 6), move |w| w.introduce(node, &nobody));
        }
        let before = world.engine(node).drivers[0].bytes_read;
        world.run_for(seconds(90));
        let read = world.engine(node).drivers[0].bytes_read - before;
        let part = read as f64 / (16 * KIB * 90) as f64;
        assert!(part > 0.7, "seed {seed}: {part:.2} of what they bring");
        world.end();
    }
}

/// A place is free, and one that never answers has it.
#[test]
fn who_is_mute_beside_the_slow_costs_little() {
    let paced = |every: u32| (Manner::Paced(every), fast(), (16 * KIB) as f64 / f64::from(every));
    let trickle = |rate: u64| (Manner::Honest, Line::new(rate, 64 * KIB, 30), rate as f64);
    for (manner, line, rate) in [paced(2), trickle(4 * KIB), trickle(8 * KIB)] {
        for seed in 560..563 {
            let parts = [0, 1, 2].map(|mute| {
                let mut world = World::new(seed, Content::single(seed, 16 * MIB, 16 * KIB as u32));
                world.audit_every = 2000;
                let node = world.add_engine(Setup::memory(8 * MIB).with_places(100), fast());
                let slow: Vec<usize> = (0..4).map(|_| world.add_script(manner, line.clone())).collect();
                world.introduce(node, &slow);
                world.run_for(seconds(1));
                world.add_driver(node, Driver::new(1, 0, [Step::Read(16 * MIB)]).by(4096));
                world.run_for(seconds(20));
                for _ in 0..mute {
                    let useless = world.add_script(Manner::Staller, fast());
                    world.introduce_by(PeerSource::MANUAL, node, &[useless]);
                }
                let before = world.engine(node).drivers[0].bytes_read;
                world.run_for(seconds(60));
                let read = world.engine(node).drivers[0].bytes_read - before;
                world.end();
                read as f64 / (rate * 4.0 * 60.0)
            });
            assert!(parts.iter().all(|part| *part > 0.9), "{manner:?} {rate} B/s, seed {seed}: {parts:.2?}");
        }
    }
}

fn gone(world: &mut World) -> usize {
    world.engine(0).count(|a| matches!(a, Alert::PeerDisconnected { .. }))
}

/// Peers that have nothing and are interested all dial a seed of ten places that has slots for two of them.
fn seeding(seed: u64, leeches: usize) -> (World, Vec<usize>) {
    let mut world = World::new(seed, Content::single(seed, MIB, 16 * KIB as u32));
    let mut setup = Setup::seed();
    (setup.settings.max_connections_per_torrent, setup.settings.unchoke_slots_limit) = (10, 2);
    let node = world.add_engine(setup, fast());
    world.run_for(seconds(1));
    let nodes: Vec<usize> = (0..leeches).map(|_| leech(&mut world, true)).collect();
    nodes.iter().for_each(|one| world.dial(*one, node));
    world.run_for(seconds(1));
    (world, nodes)
}

fn leech(world: &mut World, interested: bool) -> usize {
    let one = world.add_script(Manner::Honest, fast());
    (world.script(one).has, world.script(one).quirks.interested) = (Some(Vec::new()), interested);
    one
}

/// Nobody whom a seed has not served yet has had its chance for that; seeds have no use for its places.
#[test]
fn a_seed_keeps_those_who_wait_for_a_slot() {
    for (seed, came) in (550..553).zip([9, 8, 9]) {
        let (mut world, _) = seeding(seed, came);
        assert_eq!(world.num_conns(0), came);
        for _ in 0..4 {
            let other = world.add_script(Manner::Honest, fast());
            comes_again(&mut world, other, seconds(2), 75);
        }
        world.run_for(seconds(150));
        let leeches = world.engine(0).torrent.peers(Time::ZERO).iter().filter(|p| p.progress_ppm == 0).count();
        assert_eq!(leeches, came);
        world.end();
    }
}

/// Who wants nothing and has nothing gives way at once; who waits for a slot does after minutes, to others who wait.
#[test]
fn those_who_wait_for_a_place_at_a_seed_come_to_it() {
    for seed in 560..563 {
        let (mut world, _) = seeding(seed, 8);
        let idle = leech(&mut world, false);
        world.dial(idle, 0);
        world.run_for(seconds(15));
        let other = leech(&mut world, true);
        let comes = |world: &mut World, one: usize| {
            comes_again(world, one, seconds(2), 200);
        };
        comes(&mut world, other);
        world.run_for(seconds(4));
        assert_eq!((world.num_conns(idle), world.num_conns(other), gone(&mut world)), (0, 1, 1));
        let last = leech(&mut world, true);
        comes(&mut world, last);
        world.run_for(seconds(100));
        assert_eq!((world.num_conns(last), gone(&mut world)), (0, 1));
        world.run_for(seconds(100));
        assert_eq!((world.num_conns(last), gone(&mut world)), (1, 2));
        world.end();
    }
}

/// What nobody wants nobody can bring.
#[test]
fn a_torrent_that_nobody_reads_keeps_its_peers() {
    for seed in 565..568 {
        let mut world = crowded(seed, 4, Manner::Choking, false);
        for _ in 0..6 {
            let other = world.add_script(Manner::Honest, fast());
            world.introduce(0, &[other]);
        }
        world.run_for(seconds(60));
        assert_eq!(gone(&mut world), 0);
        world.end();
    }
}

/// More peers than places, each of which lets us ask for ten seconds of thirty, for the first time a while after it is here: those who have
/// served keep their places between two times, and the stream is about as with no more than there are places for.
#[test]
fn part_time_servers_keep_their_places() {
    for (places, peers) in [(4, 4), (4, 8), (6, 9), (6, 12), (6, 30)] {
        let mut parts = 0.0;
        let runs = 570..576;
        for seed in runs.clone() {
            let mut world = World::new(seed, Content::single(seed, 16 * MIB, 64 * KIB as u32));
            world.audit_every = 2000;
            let node = world.add_engine(Setup::memory(8 * MIB).with_places(places), fast());
            for _ in 0..peers {
                let from = world.rng.u32(5..25);
                let one = world.add_script(Manner::PartTime { on: 10, of: 30, from }, fast());
                world.script(one).quirks.plain = true;
                world.introduce(node, &[one]);
            }
            world.add_driver(node, Driver::new(1, 0, [Step::Read(16 * MIB)]).by(16 << 10));
            world.run_for(seconds(150));
            let read = world.engine(node).drivers[0].bytes_read;
            let part = read as f64 / (places as f64 * 16384.0 / 3.0 * 150.0);
            parts += part;
            world.end();
        }
        let mean = parts / runs.count() as f64;
        assert!(mean > 0.55, "{places} places, {peers} peers: {mean:.2} of what so many bring");
    }
}

/// They served once and let nobody ask any more: none of them keeps out who serves.
#[test]
fn who_served_and_does_not_come_back_gives_way() {
    for seed in 580..583 {
        let (mut world, node) = with_places(seed, 4);
        let served: Vec<usize> =
            (0..4).map(|_| world.add_script(Manner::PartTime { on: 20, of: 3000, from: 1 }, fast())).collect();
        served.iter().for_each(|one| world.script(*one).quirks.plain = true);
        world.introduce(node, &served);
        world.add_driver(node, Driver::new(1, 0, [Step::Read(4 * MIB)]).by(16 << 10));
        world.run_for(seconds(30));
        assert!(served.iter().all(|one| world.script(*one).blocks_sent > 0));
        let good = world.add_script(Manner::Honest, fast());
        world.introduce_by(PeerSource::MANUAL, node, &[good]);
        assert!(world.finish(seconds(8)), "{}", world.engine(0).torrent.describe());
        world.end();
    }
}

/// A node with four places and the addresses of thirty at which nobody answers, and somebody good.
fn unanswered(seed: u64) -> (World, usize) {
    let (mut world, node) = with_places(seed, 4);
    let nobody: Vec<usize> = (0..30).map(|_| world.add_script(Manner::Honest, fast())).collect();
    nobody.iter().for_each(|one| world.nodes[*one].swallows = true);
    let good = world.add_script(Manner::Honest, fast());
    world.introduce_by(PeerSource::MANUAL, node, &nobody);
    world.run_for(seconds(2));
    (world, good)
}

/// Addresses that nobody answers at do not hold all places for their ten seconds and more each while a read waits.
#[test]
fn dials_without_an_answer_give_way_to_who_is_named() {
    for (seed, source) in (590..596).zip([PeerSource::TRACKER, PeerSource::PEX, PeerSource::MANUAL].into_iter().cycle())
    {
        let (mut world, good) = unanswered(seed);
        read_on(&mut world);
        world.run_for(seconds(1));
        world.introduce_by(source, 0, &[good]);
        if source == PeerSource::MANUAL {
            let (now, address) = (world.now(), world.nodes[good].address);
            world.engine(0).torrent.connect_peer(now, address);
            world.settle(0);
        }
        assert!(world.finish(seconds(10)), "{source:?}: {}", world.engine(0).torrent.describe());
        world.end();
    }
}

/// Where nobody waits they have their time.
#[test]
fn without_a_read_dials_have_their_time() {
    let (mut world, good) = unanswered(597);
    world.introduce(0, &[good]);
    world.run_for(seconds(12));
    assert_eq!(world.num_conns(0), 0);
    world.end();
}

/// While no read waits nobody is hurried.
#[test]
fn without_a_read_nobody_gives_way_before_his_time() {
    let mut world = crowded(530, 4, Manner::Staller, false);
    let good = 5;
    world.introduce(0, &[good]);
    world.run_for(seconds(8));
    assert_eq!(world.engine(0).count(|a| matches!(a, Alert::PeerDisconnected { .. })), 0);
    world.end();
}

/// All places that those who come may have are held by some who bring a block now and then, and do not go by themselves.
#[test]
fn those_who_come_and_bring_little_do_not_keep_out_who_comes() {
    for (places, every, seed) in [(8, 12, 595), (40, 12, 601), (100, 12, 597)] {
        let mut world = World::new(seed, Content::single(seed, 64 * MIB, 256 * KIB as u32));
        world.audit_every = 2000;
        let node = world.add_engine(Setup::memory(8 * MIB).with_places(places), Line::new(4 * MIB, 4 * MIB, 10));
        let slow: Vec<usize> = (0..places).map(|_| world.add_script(Manner::Paced(5), fast())).collect();
        for (i, one) in slow.iter().enumerate() {
            comes_again(&mut world, *one, Duration::from_millis(6000 + (i as u64 * 7919 + seed * 104729) % 3000), 100);
        }
        world.run_for(seconds(20));
        world.add_driver(node, Driver::new(1, 0, [Step::Read(64 * MIB)]).at_rate(4 * MIB));
        world.run_for(seconds(15));
        let good = world.add_script(Manner::Honest, fast());
        let began = world.now();
        comes_again(&mut world, good, Duration::from_millis(every * 1000 + seed % 7 * 100), 20);
        let met = world.run(seconds(every * 12), |w| w.num_conns(good) > 0 && w.script(good).blocks_sent > 16);
        println!("{places} bring little, comes each {every} s: in after {:?}", world.now().since(began));
        assert!(met, "{places} places, comes each {every} s: {}", world.engine(node).torrent.describe());
        world.end();
    }
}
