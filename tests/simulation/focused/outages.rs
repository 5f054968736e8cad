//! Peers that go and come back, and who is there when somebody reads again.

use elementum_torrent::alert::{Alert, CloseReason};
use elementum_torrent::base::time::Time;
use elementum_torrent::engine::readers::reader::{ReaderId, ReaderOptions};
use elementum_torrent::engine::swarm::peer_list::PeerSource;

use super::super::zeros::{self, Seeder};
use super::*;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A memory node and one honest peer that it knows from the source; node 0 and 1.
fn lone(source: PeerSource) -> World {
    let mut world = World::new(83, Content::single(83, 8 * MIB, 64 * KIB as u32));
    let node = world.add_engine(Setup { tracker: true, ..Setup::memory(MIB) }, fast());
    let seed = world.add_script(Manner::Honest, fast());
    world.introduce_by(source, node, &[seed]);
    world
}

const SOURCES: [PeerSource; 5] =
    [PeerSource::TRACKER, PeerSource::DHT, PeerSource::PEX, PeerSource::LSD, PeerSource::MANUAL];

fn again_every(world: &mut World, every: Duration, times: u32, action: fn(&mut World)) {
    (1..=times).for_each(|i| world.act(every * i, action));
}

/// How long the reader's last wait after a seek took.
fn seek_latency(world: &mut World) -> Duration {
    let status = world.engine(0).torrent.reader_status(ReaderId(1)).expect("open");
    Duration::from_micros(u64::try_from(status.last_seek_latency_us).expect("it came"))
}

/// A seed hangs up on who wants nothing, again and again; the next read finds it at once.
#[test]
fn a_read_after_many_idle_closes_is_served_at_once() {
    for (source, seed_stays) in SOURCES.into_iter().flat_map(|s| [(s, 70), (s, 5)]) {
        let mut world = lone(source);
        again_every(&mut world, seconds(seed_stays), 400 / seed_stays as u32, |w| w.cut(1));
        let steps = [Step::Read(MIB), Step::Sleep(seconds(400)), Step::Seek(5 * MIB), Step::Read(100 * KIB)];
        world.add_driver(0, Driver::new(1, 0, steps));
        assert!(world.finish(seconds(420)), "{source:?}: nobody came");
        let latency = seek_latency(&mut world);
        assert!(latency < seconds(4), "{source:?}, closed every {seed_stays} s: {latency:?}");
        world.end();
    }
}

/// The same where it hangs up after a second: it is dialled less and less often while nobody reads, and at once when somebody does.
#[test]
fn a_peer_that_hangs_up_on_the_idle_is_dialled_at_once_for_a_read() {
    for source in SOURCES {
        for idle in [2, 9, 14, 25, 60] {
            let mut world = lone(source);
            again_every(&mut world, seconds(1), idle as u32, |w| w.cut(1));
            world.run_for(seconds(idle) + Duration::from_millis(1));
            let dialled = world.conns.len();
            assert!(dialled as u64 <= 3 + idle / 5, "{source:?}: {dialled} dials in {idle} s");
            world.add_driver(0, Driver::new(1, 0, [Step::Seek(5 * MIB), Step::Read(100 * KIB)]));
            assert!(world.finish(seconds(10)), "{source:?}: nobody came");
            let latency = seek_latency(&mut world);
            assert!(latency < seconds(1), "{source:?}, idle for {idle} s: {latency:?}");
            world.end();
        }
    }
}

/// One that hangs up though somebody waits is dialled less and less often, and no more than once a second.
#[test]
fn a_peer_that_hangs_up_on_a_read_is_not_hammered() {
    for source in SOURCES {
        let mut world = lone(source);
        world.script(1).has = Some(Vec::new());
        world.add_driver(0, Driver::new(1, 0, [Step::Read(100 * KIB)]));
        again_every(&mut world, Duration::from_millis(200), 300, |w| w.cut(1));
        world.run_for(seconds(60));
        let dialled = world.conns.len();
        assert!((2..=22).contains(&dialled), "{source:?}: {dialled} dials in a minute");
        world.end();
    }
}

/// Nobody names the peer again, and the reader that waits has it back soon after it is there again.
#[test]
fn the_only_seed_is_found_again_soon_after_an_outage() {
    for (source, away) in SOURCES.into_iter().flat_map(|s| [(s, 10), (s, 40), (s, 300)]) {
        let mut world = lone(source);
        world.act(seconds(1), |w| w.set_away(1, true));
        world.act(seconds(1 + away), |w| w.set_away(1, false));
        world.add_driver(0, Driver::new(1, 0, [Step::ReadFor(seconds(30 + away))]).at_rate(256 * KIB));
        assert!(world.run(seconds(away + 3), |w| w.now() >= Time::BEGINNING + seconds(away + 1)));
        let back = world.now();
        assert!(world.run(seconds(60), |w| w.num_conns(0) > 0), "{source:?}: lost after {away} s");
        let took = world.now().since(back);
        assert!(took < seconds(8), "{source:?} away for {away} s: back after {took:?}");
        world.end();
    }
}

/// The same for a download that nobody watches: it takes longer, and goes on.
#[test]
fn a_download_finds_its_only_seed_again() {
    for away in [10, 40, 300, 3000] {
        let mut world = World::new(89, Content::single(89, 8 * MIB, 64 * KIB as u32));
        let node = world.add_engine(Setup::disk(), Line::new(MIB, 256 * KIB, 20));
        let seed = world.add_script(Manner::Honest, fast());
        world.introduce(node, &[seed]);
        world.act(seconds(5), move |w| w.set_away(seed, true));
        world.act(seconds(5 + away), move |w| w.set_away(seed, false));
        let done = |w: &mut World| w.engine(0).torrent.bytes_left() == 0;
        assert!(world.run(seconds(5 + away + 150), done), "away for {away} s");
        world.end();
    }
}

/// A magnet's only peer goes before the metadata is here.
#[test]
fn a_magnet_finds_its_only_peer_again() {
    for source in SOURCES {
        let mut world = World::new(97, Content::single(97, MIB, 64 * KIB as u32));
        let node = world.add_engine(Setup { magnet: true, ..Setup::memory(MIB) }, fast());
        let seed = world.add_script(Manner::Honest, fast());
        world.set_away(seed, true);
        world.introduce_by(source, node, &[seed]);
        world.act(seconds(120), move |w| w.set_away(seed, false));
        let there = |w: &mut World| w.engine(0).torrent.info().is_some();
        assert!(!world.run(seconds(120), there));
        assert!(world.run(seconds(80), there), "{source:?}");
        world.end();
    }
}

/// The tracker names the only seed every ten seconds: that is enough, without anybody who waits.
#[test]
fn a_tracker_that_names_a_peer_brings_it_back() {
    let mut world = lone(PeerSource::TRACKER);
    world.run_for(seconds(2));
    world.set_away(1, true);
    again_every(&mut world, seconds(10), 40, |w| w.introduce(0, &[1]));
    world.run_for(seconds(300));
    world.set_away(1, false);
    assert!(world.run(seconds(11), |w| w.num_conns(0) > 0));
    world.end();
}

/// Our own network was away: all peers failed together, and are forgiven together.
#[test]
fn when_the_network_is_back_everybody_is() {
    let mut world = World::new(101, Content::single(101, 64 * MIB, 256 * KIB as u32));
    let node = world.add_engine(Setup::disk(), Line::new(MIB, 256 * KIB, 20));
    let seeds: Vec<usize> = (0..12).map(|_| world.add_script(Manner::Honest, fast())).collect();
    world.introduce(node, &seeds);
    world.run_for(seconds(5));
    assert_eq!(world.num_conns(node), 12);
    world.set_away(node, true);
    world.run_for(seconds(900));
    world.set_away(node, false);
    assert!(world.run(seconds(80), |w| w.num_conns(0) > 0), "the first");
    world.run_for(seconds(5));
    assert_eq!(world.num_conns(node), 12);
    world.end();
}

/// Pauses end connections, and so do checks. Neither costs a peer.
#[test]
fn pauses_and_checks_lose_nobody() {
    let mut world = World::new(103, Content::single(103, 4 * MIB, 64 * KIB as u32));
    let node = world.add_engine(Setup::disk(), Line::new(MIB, 64 * KIB, 20));
    let seeds: Vec<usize> = (0..3).map(|_| world.add_script(Manner::Honest, fast())).collect();
    world.introduce(node, &seeds);
    for round in 0..8 {
        world.run_for(Duration::from_millis(1500));
        assert_eq!(world.num_conns(node), 3, "round {round}");
        let now = world.now();
        if round % 2 == 0 {
            world.engine(node).torrent.pause(now);
            world.settle(node);
            world.run_for(seconds(1));
            let now = world.now();
            world.engine(node).torrent.resume(now);
        } else {
            world.engine(node).torrent.force_recheck(now).expect("it has its metadata");
        }
        world.settle(node);
    }
    world.end();
}

/// A read that waits with nobody to ask has trackers and DHT asked at once, and then not more than once a minute.
#[test]
fn a_read_without_peers_asks_trackers_and_dht() {
    let mut world = lone(PeerSource::PEX);
    let other = world.add_script(Manner::Honest, fast());
    world.run_for(seconds(100));
    assert_eq!(world.engine(0).announces.len(), 1);
    world.leave(1);
    world.run_for(seconds(20));
    assert_eq!(world.engine(0).announces.len(), 1, "nobody waits");
    let asked = world.now();
    world.add_driver(0, Driver::new(1, 0, read_all()));
    assert_eq!((world.engine(0).announces.len(), world.engine(0).searches.len()), (2, 1));
    assert_eq!(world.engine(0).announces[1], asked);
    world.run_for(seconds(600));
    let (announces, searches) = (world.engine(0).announces.len(), world.engine(0).searches.len());
    assert!((8..=12).contains(&announces) && (8..=11).contains(&searches), "{announces} {searches}");
    world.tracked = vec![other];
    assert!(world.finish(seconds(62)));
    world.end();
}

/// Each answer of the tracker names the only seed among thousands of others at which nobody is. It is found, and found again.
#[test]
fn a_seed_that_is_named_among_thousands_of_dead_ones_is_found() {
    for seed in 120..124 {
        let mut world = World::new(seed, Content::single(seed, 64 * MIB, 64 * KIB as u32));
        world.audit_every = 1000;
        world.tracked = vec![1];
        (world.dead_named, world.min_interval_s) = (4000, 0);
        let mut setup = Setup { tracker: true, ..Setup::memory(MIB) };
        setup.settings.max_peerlist_size = 600;
        let node = world.add_engine(setup, fast());
        world.add_script(Manner::Honest, fast());
        world.add_driver(node, Driver::new(1, 0, [Step::ReadFor(seconds(400))]).at_rate(MIB));
        let here = |w: &mut World| w.num_conns(0) > 0;
        assert!(world.run(seconds(170), here), "seed {seed}: {:?}", world.engine(node).announces);
        world.run_for(seconds(5));
        world.set_away(1, true);
        world.run_for(seconds(30));
        world.set_away(1, false);
        assert!(world.run(seconds(30), here), "seed {seed}: found again");
        world.end();
    }
}

/// Those who have the piece and bring nothing of it are nobody, whatever they do instead.
#[test]
fn a_read_with_useless_peers_alone_asks_trackers_and_dht() {
    let manners = [Manner::Staller, Manner::Dripper(64), Manner::Liar, Manner::Choking];
    for (manner, number, seed) in manners.into_iter().flat_map(|m| [(m, 1, 110), (m, 1, 111), (m, 3, 112)]) {
        let mut world = World::new(seed, Content::single(seed, 8 * MIB, 64 * KIB as u32));
        let node = world.add_engine(Setup { tracker: true, ..Setup::memory(MIB) }, fast());
        let useless: Vec<usize> = (0..number).map(|_| world.add_script(manner, fast())).collect();
        let other = world.add_script(Manner::Honest, fast());
        world.introduce_by(PeerSource::PEX, node, &useless);
        world.run_for(seconds(100));
        assert_eq!(world.engine(node).announces.len(), 1, "nobody waits");
        world.add_driver(node, Driver::new(1, 0, read_all()));
        world.run_for(seconds(13));
        let asked = |w: &mut World| (w.engine(node).announces.len(), w.engine(node).searches.len());
        assert_eq!(asked(&mut world), (2, 1), "{number} {manner:?} {}", world.engine(node).torrent.describe());
        world.run_for(seconds(300));
        let (announces, searches) = asked(&mut world);
        assert!((4..=8).contains(&announces) && (4..=7).contains(&searches), "{announces} {searches}");
        world.tracked = vec![other];
        let done = world.finish(seconds(90));
        assert!(done, "{number} {manner:?}: {}", world.engine(node).torrent.describe());
        world.end();
    }
}

/// What comes is too little: trackers and the DHT are asked for more, ever less often. Where enough comes nobody asks.
#[test]
fn a_read_that_gets_too_little_asks_for_more_peers() {
    for (rate, number, seed) in [(500, 1, 115), (4 * KIB, 1, 116), (2 * KIB, 4, 117), (100 * KIB, 1, 118)] {
        for named in [true, false] {
            let mut world = World::new(seed, Content::single(seed, 64 * MIB, 64 * KIB as u32));
            world.audit_every = 2000;
            world.min_interval_s = 45;
            let node = world.add_engine(Setup { tracker: true, ..Setup::memory(MIB).with_places(4) }, fast());
            let slow: Vec<usize> =
                (0..number).map(|_| world.add_script(Manner::Honest, Line::new(rate, 64 * KIB, 30))).collect();
            let other = world.add_script(Manner::Honest, fast());
            world.introduce_by(PeerSource::PEX, node, &slow);
            world.run_for(seconds(40));
            world.tracked = if named { vec![other] } else { Vec::new() };
            world.add_driver(node, Driver::new(1, 0, [Step::Read(8 * MIB)]).by(4096));
            let what = format!("{number} of {rate} B/s");
            if !named || rate > 64 * KIB {
                world.run_for(seconds(300));
                let asked = (world.engine(node).announces.len(), world.engine(node).searches.len());
                let fine = if rate > 64 * KIB {
                    asked == (1, 0)
                } else {
                    (4..=7).contains(&asked.0) && (1..=2).contains(&asked.1)
                };
                assert!(fine, "{what}: {asked:?} {}", world.engine(node).torrent.describe());
            } else {
                let done = world.finish(seconds(50));
                assert!(done, "{what}: {}", world.engine(node).torrent.describe());
            }
            world.end();
        }
    }
}

/// A caller that gives up after a second and reads again waits as long as one that goes on.
#[test]
fn reads_that_are_tried_again_are_one_wait() {
    for (at_position, pause) in [(true, 0), (false, 0), (true, 4000), (true, 6000)] {
        let begun = Time::BEGINNING + seconds(100);
        let mut torrent = zeros::torrent(Time::BEGINNING, 64 * MIB, 64 * KIB as u32, 8 * MIB);
        let _mute = Seeder::connect(&mut torrent, begun, 1);
        torrent.open_reader(begun, ReaderId(1), 0, ReaderOptions::default()).expect("a reader");
        let mut now = begun;
        while now.since(begun) < seconds(20) {
            if at_position {
                let _ = torrent.read(now, ReaderId(1), 1000).expect("it waits");
            } else {
                let _ = torrent.read_at(now, ReaderId(1), 0, 1000, false).expect("it waits");
            }
            now = now + seconds(1);
            torrent.handle_timeout(now);
            torrent.stop_waiting(now, ReaderId(1));
            torrent.stop_probe(now, ReaderId(1), 0);
            now = now + Duration::from_millis(pause);
            torrent.handle_timeout(now);
        }
        assert_eq!(torrent.take_output().search_dht, pause < 5000, "{at_position} {pause}");
    }
}

/// The only seed moves to another port again and again, and only the tracker knows: a read has it back soon. Where the tracker names a
/// shortest interval that is kept to, but for one announce in a minute.
#[test]
fn a_seed_that_moves_its_port_is_followed() {
    for (seed, given) in (113..116).flat_map(|seed| [(seed, 0), (seed, 900)]) {
        let mut world = World::new(seed, Content::single(seed, 64 * MIB, 64 * KIB as u32));
        let node = world.add_engine(Setup { tracker: true, ..Setup::memory(MIB) }, fast());
        world.tracked = vec![world.add_script(Manner::Honest, fast())];
        world.min_interval_s = given;
        world.run_for(seconds(1));
        world.introduce(node, &[1]);
        world.add_driver(node, Driver::new(1, 0, [Step::ReadFor(seconds(900))]).at_rate(256 * KIB));
        for moves in 0..6 {
            world.run_for(seconds(20));
            assert_eq!(world.num_conns(node), 1, "move {moves}, {given} s");
            world.cut(1);
            let port = world.nodes[1].address.port();
            world.nodes[1].address.set_port(port + 1);
            world.run_for(seconds(1));
            let back = world.run(seconds(if given > 0 { 75 } else { 15 }), |w| w.num_conns(0) > 0);
            let engine = world.engine(node);
            assert!(back, "move {moves}, {given} s: announced at {:?}", engine.announces);
        }
        let announces = &world.engine(node).announces;
        let closest = announces[1..].windows(2).map(|w| w[1].since(w[0])).min().expect("several");
        assert!(closest >= seconds(if given > 0 { 50 } else { 9 }), "{closest:?}");
        world.end();
    }
}

/// The only seed goes, and the tracker is away, too. When it is back and names another seed, a read has that within seconds; meanwhile
/// it was asked now and then.
#[test]
fn a_tracker_that_was_away_is_asked_soon_after_its_return() {
    for (seed, away) in (118..122).flat_map(|seed| [(seed, 10), (seed, 40), (seed, 100)]) {
        let mut world = World::new(seed, Content::single(seed, 64 * MIB, 64 * KIB as u32));
        let node = world.add_engine(Setup { tracker: true, ..Setup::memory(MIB) }, fast());
        let (first, other) = (world.add_script(Manner::Honest, fast()), world.add_script(Manner::Honest, fast()));
        (world.tracked, world.min_interval_s) = (vec![first], 0);
        world.add_driver(node, Driver::new(1, 0, [Step::ReadFor(seconds(900))]).at_rate(256 * KIB));
        world.run_for(seconds(20));
        assert_eq!(world.num_conns(node), 1);
        world.leave(first);
        world.tracker_away = true;
        world.run_for(seconds(away));
        world.tracker_away = false;
        world.tracked = vec![other];
        let back = world.run(seconds(14), |w| w.num_conns(0) > 0);
        let engine = world.engine(node);
        assert!(back, "away for {away} s: {:?} {}", engine.announces, engine.torrent.describe());
        let announces = &world.engine(node).announces;
        assert!(announces.len() as u64 <= 3 + away / 8, "away for {away} s: {announces:?}");
        assert!(announces.windows(2).all(|w| w[1].since(w[0]) >= seconds(5)), "{announces:?}");
        world.end();
    }
}

/// The only peer comes and leaves again each few seconds: the haste of its tracker does not begin anew each time.
#[test]
fn who_comes_and_leaves_again_asks_no_tracker_more_often() {
    let mut world = World::new(117, Content::single(117, 64 * MIB, 64 * KIB as u32));
    let node = world.add_engine(Setup { tracker: true, ..Setup::memory(MIB) }, fast());
    let seed = world.add_script(Manner::Honest, Line::new(30 * KIB, MIB, 15));
    (world.tracked, world.min_interval_s) = (vec![seed], 0);
    world.add_driver(node, Driver::new(1, 0, [Step::ReadFor(seconds(900))]).at_rate(256 * KIB));
    for _ in 0..54 {
        world.run_for(seconds(5));
        world.cut(seed);
    }
    let engine = world.engine(node);
    assert!((4..=10).contains(&engine.announces.len()), "{:?}", engine.announces);
    assert!(engine.drivers[0].bytes_read > 0);
}

/// With peers that have the piece there is no call, however long the read waits for them; with peers that have not, there is.
#[test]
fn peers_without_the_piece_are_nobody() {
    for (has, calls) in [(vec![0, 1], true), ((0..128).collect(), false)] {
        let mut world = lone(PeerSource::PEX);
        world.min_interval_s = 0;
        world.script(1).has = Some(has);
        world.run_for(seconds(10));
        world.add_driver(0, Driver::new(1, 0, [Step::Seek(4 * MIB), Step::Read(100 * KIB)]).at_rate(10 * KIB));
        world.run_for(seconds(5));
        assert_eq!(world.engine(0).announces.len() > 1, calls);
        world.end();
    }
}

/// What becomes of a dial that the caller asked for is told, once.
#[test]
fn a_dial_that_was_asked_for_is_told_of() {
    let mut world = World::new(107, Content::single(107, MIB, 64 * KIB as u32));
    let node = world.add_engine(Setup::memory(MIB), fast());
    let seed = world.add_script(Manner::Honest, fast());
    let address = world.nodes[seed].address;
    let ended = |w: &mut World| {
        let reason = |a: &Alert| match a {
            Alert::PeerDisconnected { endpoint, reason, .. } if *endpoint == address => Some(*reason),
            _ => None,
        };
        w.engine(0).alerts.iter().filter_map(reason).collect::<Vec<_>>()
    };
    let connect = |w: &mut World| {
        let now = w.now();
        w.engine(0).torrent.connect_peer(now, address);
        w.settle(0);
    };
    world.set_away(seed, true);
    connect(&mut world);
    world.run_for(seconds(30));
    assert_eq!(ended(&mut world), [CloseReason::None], "one dial was asked for");
    world.set_away(seed, false);
    connect(&mut world);
    world.run_for(seconds(2));
    assert_eq!(ended(&mut world).len(), 1);
    assert_eq!(world.engine(node).count(|a| matches!(a, Alert::PeerConnect { .. })), 1);
    connect(&mut world);
    world.run_for(seconds(2));
    assert_eq!(ended(&mut world).len(), 1, "it is here already");
    let now = world.now();
    world.engine(node).torrent.ban(now, address.ip());
    world.settle(node);
    connect(&mut world);
    assert_eq!(ended(&mut world)[1..], [CloseReason::Blocked; 2], "its connection, and the dial");
    world.end();
}

/// For how long a player stands still in the half minute after a seed was silent for so long: it answers as before then. Beside it there may be
/// a slow one, which had all to itself meanwhile.
fn stands_after_a_silence(silent: u64, fast: Line, slow: Option<Line>, rate: u64, seed: u64) -> Duration {
    let mut world = World::new(seed, Content::single(seed, 256 * MIB, 512 * KIB as u32));
    world.audit_every = 5000;
    let node = world.add_engine(Setup::memory(16 * MIB), Line::new(16 * MIB, 16 * MIB, 1));
    let seeds: Vec<usize> =
        [Some(fast), slow].into_iter().flatten().map(|line| world.add_script(Manner::Honest, line)).collect();
    world.introduce(node, &seeds);
    world.add_driver(node, Driver::new(1, 0, [Step::ReadFor(seconds(900))]).at_rate(rate));
    world.run_for(seconds(20));
    world.script(seeds[0]).silent = true;
    world.run_for(seconds(silent));
    world.script(seeds[0]).silent = false;
    let before = world.engine(node).drivers[0].bytes_read;
    world.run_for(seconds(30));
    let read = world.engine(node).drivers[0].bytes_read - before;
    seconds(30).saturating_sub(Duration::from_secs_f64(read as f64 / rate as f64))
}

#[test]
fn a_seed_that_was_silent_for_a_while_is_asked_as_before() {
    let (far, near) = (|| Line::new(8 * MIB, 8 * MIB, 75), || Line::new(10 * MIB, 10 * MIB, 1));
    let slow = || Line::new(60 * KIB, 60 * KIB, 100);
    for (seed, silent) in (700..).zip([2, 4, 5, 8, 10, 12, 20, 40, 90]) {
        let alone = stands_after_a_silence(silent, far(), None, MIB / 2, seed);
        let beside = stands_after_a_silence(silent, near(), Some(slow()), 3 * MIB / 2, seed);
        println!("silent for {silent} s: stands {alone:?} alone, {beside:?} beside a slow one");
        // By then it may have been parted with.
        let most = seconds(if silent > 60 { 9 } else { 2 });
        assert!(alone < most, "alone, silent for {silent} s: {alone:?} of 30 s");
        assert!(beside < most, "beside a slow one, silent for {silent} s: {beside:?} of 30 s");
    }
}

/// A viewer drags the slider while the only seed says nothing: what it is asked for meanwhile stands before what is wanted when it is back.
#[test]
fn seeks_while_the_only_seed_is_silent_do_not_pile_up() {
    let mut world = World::new(89, Content::single(89, 64 * MIB, 256 * KIB as u32));
    let node = world.add_engine(Setup { tracker: true, ..Setup::memory(4 * MIB) }, fast());
    let seed = world.add_script(Manner::Honest, fast());
    world.introduce(node, &[seed]);
    let mut rng = fastrand::Rng::with_seed(5);
    let mut steps = vec![Step::Read(MIB)];
    for _ in 0..400 {
        steps.extend([Step::Seek(rng.u64(0..64) * MIB), Step::ReadFor(Duration::from_millis(20))]);
    }
    steps.extend([Step::Seek(32 * MIB), Step::Read(MIB)]);
    world.add_driver(node, Driver::new(1, 0, steps));
    world.act(seconds(2), |w| w.script(1).manner = Manner::Staller);
    world.run_for(seconds(2));
    let before = world.engine(0).torrent.counters().cancelled_blocks;
    world.run_for(seconds(6));
    let cancelled = world.engine(0).torrent.counters().cancelled_blocks - before;
    println!("{cancelled} requests taken back");
    assert!(cancelled < 2500, "{cancelled}");
    world.script(1).manner = Manner::Honest;
    assert!(world.finish(seconds(20)), "it goes on");
    world.end();
}

/// The connection with the only seed dies without a word (a NAT forgot it, a VPN began anew), while the seed can be dialled: at once, or after
/// a while. It dialled us, or we it.
#[test]
fn a_seed_whose_connection_died_silently_is_dialled_beside_it() {
    for (seed, away, came) in [(97, 0, false), (98, 0, true), (99, 40, false), (100, 90, false)] {
        let mut world = World::new(seed, Content::single(seed, 256 * MIB, 512 * KIB as u32));
        world.audit_every = 5000;
        let node = world.add_engine(Setup::memory(16 * MIB), fast());
        let other = world.add_script(Manner::Honest, fast());
        if came {
            world.script(other).quirks.tells_port = true;
            world.dial(other, node);
        } else {
            world.introduce(node, &[other]);
        }
        world.add_driver(node, Driver::new(1, 0, [Step::ReadFor(seconds(900))]).at_rate(MIB));
        world.run_for(seconds(20));
        world.forget_connections(other);
        world.nodes[other].swallows = away > 0;
        world.run_for(seconds(away));
        world.nodes[other].swallows = false;
        let before = world.engine(node).drivers[0].bytes_read;
        let plays = |w: &mut World| w.engine(node).drivers[0].bytes_read >= before + 20 * MIB;
        assert!(world.run(seconds(20 + 25), plays), "away for {away} s, came {came}: it stands");
    }
}
