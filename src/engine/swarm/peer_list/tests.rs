use super::*;

const LIMITS: SwarmLimits =
    SwarmLimits { max_peers: 3, max_failcount: 2, min_reconnect: Duration::from_secs(60), no_privileged_ports: false };

fn addr(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], 6881))
}

fn at(seconds: u64) -> Time {
    Time::from_millis(seconds * 1000)
}

fn swarm() -> PeerList {
    PeerList::new(Time::ZERO, 7)
}

fn with(peers: &[(u8, PeerSource)]) -> PeerList {
    let mut swarm = swarm();
    peers.iter().for_each(|(n, source)| assert!(swarm.add(Time::ZERO, addr(*n), *source, &LIMITS)));
    swarm
}

/// Dials the peer at its next time, in vain; when that was.
fn fail_once(swarm: &mut PeerList, now: Time, n: u8) -> Time {
    let now = now.max(swarm.peers[&addr(n)].not_before);
    // Others whose time it is are put off.
    let dials = swarm.next_dials(now, 9, false);
    assert!(dials.contains(&addr(n)));
    dials.into_iter().filter(|a| *a != addr(n)).for_each(|a| swarm.dial_deferred(now, a, &LIMITS));
    swarm.dial_failed(now, addr(n), &LIMITS);
    now
}

#[test]
fn fresh_peers_are_dialled_first_and_failures_wait() {
    let mut swarm = with(&[(1, PeerSource::TRACKER)]);
    assert!(!swarm.add(Time::ZERO, addr(1), PeerSource::PEX, &LIMITS));
    assert_eq!(swarm.source(addr(1)), PeerSource::TRACKER | PeerSource::PEX);
    assert_eq!(swarm.next_dials(Time::ZERO, 9, false), [addr(1)]);
    assert!(swarm.next_dials(Time::ZERO, 9, false).is_empty());
    swarm.dial_failed(Time::ZERO, addr(1), &LIMITS);
    assert!(swarm.next_dial_time(false).is_some_and(|t| t >= at(60) && t <= at(75)));
    assert!(swarm.next_dials(at(59), 9, false).is_empty());
    swarm.add(at(59), addr(2), PeerSource::DHT, &LIMITS);
    assert_eq!(swarm.next_dials(at(76), 9, false), [addr(2), addr(1)]);
    assert_eq!(swarm.num_dialling(), 2);
}

#[test]
fn pauses_grow_to_minutes_and_never_to_never() {
    let mut swarm = with(&[(1, PeerSource::TRACKER)]);
    let (mut now, mut longest) = (Time::ZERO, Duration::ZERO);
    for i in 0..40 {
        now = fail_once(&mut swarm, now, 1);
        let pause = swarm.next_dial_time(false).expect("it is never given up").since(now);
        assert!(i > 2 || pause > longest, "{pause:?} after {longest:?}");
        longest = longest.max(pause);
        assert!(pause <= LONGEST_PAUSE.mul_f64(1.25), "{pause:?}");
    }
    assert!(longest >= LONGEST_PAUSE);
    assert_eq!(swarm.num_candidates(), 1);
}

#[test]
fn those_that_failed_together_do_not_come_back_together() {
    let mut swarm = with(&[(1, PeerSource::TRACKER), (2, PeerSource::TRACKER), (3, PeerSource::TRACKER)]);
    assert_eq!(swarm.next_dials(Time::ZERO, 9, false).len(), 3);
    (1..=3).for_each(|n| swarm.dial_failed(Time::ZERO, addr(n), &LIMITS));
    let times: HashSet<Time> = swarm.peers.values().map(|p| p.not_before).collect();
    assert_eq!(times.len(), 3);
}

#[test]
fn one_that_the_caller_named_is_tried_soon_and_again_and_again() {
    let mut swarm = with(&[(1, PeerSource::MANUAL)]);
    let mut now = Time::ZERO;
    for _ in 0..30 {
        now = fail_once(&mut swarm, now, 1);
        let pause = swarm.next_dial_time(false).expect("never given up").since(now);
        assert!(pause <= LIMITS.min_reconnect.mul_f64(1.25), "{pause:?}");
    }
    swarm.add(now, addr(1), PeerSource::MANUAL, &LIMITS);
    assert_eq!(swarm.next_dials(now, 1, false), [addr(1)], "named again: at once");
    swarm.dial_failed(now, addr(1), &LIMITS);
    assert!(swarm.next_dial_time(false).is_some_and(|t| t.since(now) <= MANUAL_RETRY.mul_f64(1.25)));
}

#[test]
fn a_source_that_names_a_peer_again_has_it_dialled_again() {
    for (source, soonest) in
        [(PeerSource::TRACKER, 5), (PeerSource::LSD, 5), (PeerSource::DHT, 60), (PeerSource::PEX, 60)]
    {
        let mut swarm = with(&[(1, source)]);
        let mut now = Time::ZERO;
        for _ in 0..9 {
            now = fail_once(&mut swarm, now, 1);
        }
        swarm.add(now, addr(1), source, &LIMITS);
        assert!(swarm.next_dials(now, 1, false).is_empty(), "{source:?}: not within moments");
        let due = swarm.next_dial_time(false).expect("waiting");
        assert_eq!(due.since(now), Duration::from_secs(soonest), "{source:?}");
        assert_eq!(swarm.peers[&addr(1)].fails, 8, "one is forgiven");
        // However often it is said.
        (0..1000).for_each(|_| assert!(!swarm.add(now, addr(1), source, &LIMITS)));
        assert_eq!(swarm.next_dial_time(false), Some(due));
    }
}

#[test]
fn an_idle_close_is_no_failure() {
    let mut swarm = with(&[(1, PeerSource::TRACKER)]);
    let mut now = Time::ZERO;
    for _ in 0..20 {
        now = now.max(swarm.next_dial_time(false).expect("waiting"));
        assert_eq!(swarm.next_dials(now, 1, false), [addr(1)]);
        swarm.connected(now, addr(1), false, &LIMITS);
        now = now + Duration::from_secs(30);
        swarm.disconnected(now, addr(1), Parting::Fair, &LIMITS);
        let pause = swarm.next_dial_time(false).expect("waiting").since(now);
        assert!(pause <= LIMITS.min_reconnect.mul_f64(1.25), "{pause:?}");
    }
}

#[test]
fn what_failed_with_the_network_is_forgiven_when_somebody_answers() {
    let mut swarm = with(&[(1, PeerSource::TRACKER), (2, PeerSource::DHT), (3, PeerSource::PEX)]);
    assert_eq!(swarm.next_dials(Time::ZERO, 9, false).len(), 3);
    (1..=3).for_each(|n| swarm.connected(Time::ZERO, addr(n), false, &LIMITS));
    (1..=3).for_each(|n| swarm.disconnected(at(100), addr(n), Parting::Fair, &LIMITS));
    let mut now = at(100);
    for _ in 0..5 {
        now = (1..=3).map(|n| fail_once(&mut swarm, now, n)).max().expect("three");
    }
    now = now.max(swarm.peers[&addr(2)].not_before);
    assert!(swarm.next_dials(now, 9, false).contains(&addr(2)));
    swarm.connected(now, addr(2), false, &LIMITS);
    for n in [1, 3] {
        let p = &swarm.peers[&addr(n)];
        assert!(p.dialling || (p.fails == 0 && p.not_before.since(now) <= FORGIVEN_WITHIN), "{p:?}");
    }
}

#[test]
fn one_that_comes_and_goes_does_not_have_the_dead_dialled_all_the_time() {
    let mut swarm = with(&[(1, PeerSource::TRACKER), (2, PeerSource::TRACKER)]);
    let mut dials = 0;
    for second in 0..600 {
        let now = at(second);
        for address in swarm.next_dials(now, 9, false) {
            if address == addr(2) {
                dials += 1;
                swarm.dial_failed(now, address, &LIMITS);
            } else {
                swarm.connected(now, address, false, &LIMITS);
            }
        }
        if second % 5 == 4 && swarm.peers[&addr(1)].connected {
            swarm.disconnected(now, addr(1), Parting::Fair, &LIMITS);
            swarm.add(now, addr(1), PeerSource::MANUAL, &LIMITS);
        }
    }
    assert!((2..=12).contains(&dials), "{dials} dials of a dead peer in ten minutes");
}

#[test]
fn a_call_dials_those_who_were_here_before_and_nobody_twice_at_once() {
    let mut swarm = with(&[(1, PeerSource::TRACKER), (2, PeerSource::PEX), (3, PeerSource::DHT)]);
    assert_eq!(swarm.next_dials(Time::ZERO, 9, false).len(), 3);
    swarm.connected(Time::ZERO, addr(3), false, &LIMITS);
    [1, 2].into_iter().for_each(|n| swarm.dial_failed(Time::ZERO, addr(n), &LIMITS));
    swarm.disconnected(at(10), addr(3), Parting::Fair, &LIMITS);
    swarm.call(at(10), 1);
    assert_eq!(swarm.next_dials(at(10), 9, false), [addr(3)], "that it left is no failure");
    swarm.connected(at(10), addr(3), false, &LIMITS);
    swarm.disconnected(at(10), addr(3), Parting::Idle, &LIMITS);
    swarm.call(at(10), 1);
    let others = swarm.next_dials(at(10), 9, false);
    assert!(others.len() == 1 && others != [addr(3)], "it is called once a second: {others:?}");
    swarm.call(at(11), 1);
    assert_eq!(swarm.next_dials(at(11), 9, false), [addr(3)]);
    swarm.dial_failed(at(11), addr(3), &LIMITS);
    swarm.call(at(12), 9);
    assert_eq!(swarm.next_dials(at(12), 9, false).len(), 1);
    swarm.call(at(13), 9);
    assert!(swarm.next_dials(at(13), 9, false).is_empty());
}

#[test]
fn a_torrent_that_begins_anew_forgives_everybody() {
    let mut swarm = with(&[(1, PeerSource::TRACKER)]);
    let mut now = Time::ZERO;
    for _ in 0..9 {
        now = fail_once(&mut swarm, now, 1);
    }
    swarm.forgive_all();
    assert_eq!(swarm.next_dials(now, 1, false), [addr(1)]);
}

#[test]
fn a_caller_is_told_once() {
    let mut swarm = with(&[(1, PeerSource::MANUAL)]);
    assert!(!swarm.take_awaited(addr(1)) && !swarm.await_dial(Time::ZERO, addr(2)));
    assert!(swarm.await_dial(Time::ZERO, addr(1)));
    assert!(swarm.take_awaited(addr(1)) && !swarm.take_awaited(addr(1)));
    swarm.connected(Time::ZERO, addr(1), false, &LIMITS);
    assert!(swarm.await_dial(Time::ZERO, addr(1)) && !swarm.take_awaited(addr(1)), "it is here");
}

#[test]
fn a_seed_wakes_for_no_other_seed() {
    let mut swarm = with(&[(1, PeerSource::TRACKER)]);
    swarm.set_seed(addr(1), true);
    assert_eq!((swarm.next_dial_time(true), swarm.next_dial_time(false)), (None, Some(Time::ZERO)));
    assert!(swarm.next_dials(Time::ZERO, 9, true).is_empty());
    // But for who asks for it, once.
    assert!(swarm.await_dial(Time::ZERO, addr(1)));
    assert_eq!(swarm.next_dial_time(true), Some(Time::ZERO));
    assert_eq!(swarm.next_dials(Time::ZERO, 9, true), [addr(1)]);
    assert!(swarm.take_awaited(addr(1)));
    swarm.dial_failed(Time::ZERO, addr(1), &LIMITS);
    assert_eq!(swarm.next_dial_time(true), None);
}

#[test]
fn who_is_banned_before_the_dial_is_named_if_a_caller_waits_for_it() {
    let mut swarm = with(&[(1, PeerSource::MANUAL), (2, PeerSource::MANUAL), (3, PeerSource::PEX)]);
    assert!(swarm.await_dial(Time::ZERO, addr(1)));
    assert_eq!(swarm.ban_ip(addr(1).ip()), [addr(1)]);
    assert_eq!(swarm.ban_ip(addr(1).ip()), [], "once");
    assert_eq!(swarm.ban_ip(addr(3).ip()), [], "nobody waits for it");
    // Of one that is being dialled the dial tells.
    assert!(swarm.await_dial(Time::ZERO, addr(2)));
    assert_eq!(swarm.next_dials(Time::ZERO, 9, false), [addr(2)]);
    assert_eq!(swarm.ban_ip(addr(2).ip()), []);
    assert!(swarm.take_awaited(addr(2)));
}

#[test]
fn the_list_is_bounded_and_bans_hold() {
    let mut swarm = with(&[(1, PeerSource::PEX), (2, PeerSource::PEX), (3, PeerSource::PEX)]);
    let now = Time::ZERO;
    assert!(!swarm.add(now, addr(4), PeerSource::PEX, &LIMITS), "nobody failed: no room");
    assert_eq!(swarm.next_dials(now, 1, false).len(), 1);
    swarm.dial_failed(now, addr(1), &LIMITS);
    assert!(swarm.add(now, addr(4), PeerSource::PEX, &LIMITS));
    assert_eq!(swarm.ban(addr(4)), []);
    assert!(!swarm.add(now, addr(4), PeerSource::MANUAL, &LIMITS));
    assert!(swarm.is_banned("[::ffff:10.0.0.4]:99".parse().expect("an address")));
    assert_eq!(swarm.ban("127.0.0.1:5".parse().expect("an address")), []);
    assert!(!swarm.is_banned("127.0.0.1:6".parse().expect("an address")));
}

#[test]
fn hostile_addresses_are_refused() {
    let mut swarm = swarm();
    for bad in ["0.0.0.0:1", "10.0.0.1:0", "224.0.0.1:5", "255.255.255.255:5", "[::]:1", "[ff02::1]:1"] {
        assert!(!swarm.add(Time::ZERO, bad.parse().expect("an address"), PeerSource::PEX, &LIMITS), "{bad}");
    }
}

#[test]
fn incoming_peers_are_forgotten_when_they_leave() {
    let mut swarm = swarm();
    swarm.connected(Time::ZERO, addr(9), true, &LIMITS);
    assert_eq!(swarm.len(), 1);
    swarm.disconnected(Time::ZERO, addr(9), Parting::Fair, &LIMITS);
    assert!(swarm.is_empty());
}

/// Of two that came, the one that brought something is known when they go, and is dialled in its turn.
#[test]
fn incoming_peers_that_served_are_remembered() {
    let mut swarm = swarm();
    for n in [1, 2] {
        assert!(swarm.add(Time::ZERO, addr(n), PeerSource::INCOMING, &LIMITS));
        swarm.connected(Time::ZERO, addr(n), true, &LIMITS);
    }
    swarm.remember(addr(1));
    [1, 2].into_iter().for_each(|n| swarm.disconnected(at(10), addr(n), Parting::Fair, &LIMITS));
    assert_eq!(swarm.source(addr(1)), PeerSource::INCOMING);
    assert_eq!(swarm.len(), 1);
    assert!(swarm.next_dials(at(69), 9, false).is_empty());
    assert_eq!(swarm.next_dials(at(86), 9, false), [addr(1)]);
    swarm.forget_connections();
    assert_eq!((swarm.len(), swarm.num_dialling()), (1, 0));
    // What others know of too is not for this list to forget.
    swarm.add(at(90), addr(1), PeerSource::PEX, &LIMITS);
    swarm.remember(SocketAddr::from(([10, 0, 0, 1], 9)));
    assert_eq!(swarm.len(), 1);
}

#[test]
fn who_connects_does_not_make_the_list_longer_than_its_limit() {
    let mut swarm = swarm();
    for n in 1..=9 {
        swarm.connected(Time::ZERO, addr(n), true, &LIMITS);
    }
    assert_eq!(swarm.len(), 3);
    (1..=9).for_each(|n| swarm.disconnected(Time::ZERO, addr(n), Parting::Fair, &LIMITS));
    assert!(swarm.is_empty());
}

#[test]
fn gossip_gives_way_to_what_others_tell() {
    let mut swarm = with(&[(1, PeerSource::PEX), (2, PeerSource::PEX), (3, PeerSource::PEX)]);
    assert!(!swarm.add(Time::ZERO, addr(4), PeerSource::PEX, &LIMITS));
    (5..=7).for_each(|n| assert!(swarm.add(Time::ZERO, addr(n), PeerSource::TRACKER, &LIMITS)));
    assert!(!swarm.add(Time::ZERO, addr(8), PeerSource::DHT, &LIMITS), "nobody failed");
}

/// So many addresses that nobody was named by before.
fn dead(rng: &mut fastrand::Rng, n: usize) -> Vec<SocketAddr> {
    let mut one = || SocketAddr::from((rng.u32(0x0b00_0000..0xdf00_0000).to_be_bytes(), 1 + rng.u16(0..9)));
    (0..n).map(|_| one()).collect()
}

const MANY: SwarmLimits = SwarmLimits { max_peers: 600, ..LIMITS };

/// Each answer names 3000 others that are dead, and the good one in their midst.
#[test]
fn one_that_every_answer_names_is_found_among_the_dead_of_all() {
    for seed in 0..50 {
        let (mut swarm, mut rng) = (PeerList::new(Time::ZERO, seed), fastrand::Rng::with_seed(seed));
        let good = SocketAddr::from(([99, 0, 0, 1], 6881));
        let dialled_in = (0..10).find(|round| {
            let now = at(round * 15);
            let mut answer = dead(&mut rng, 3000);
            answer.insert(1500, good);
            swarm.add_answer(now, &answer, PeerSource::TRACKER, &MANY);
            assert!(swarm.len() <= MANY.max_peers);
            let dials = swarm.next_dials(now, 60, false);
            dials.iter().filter(|a| **a != good).for_each(|a| swarm.dial_failed(now, *a, &MANY));
            dials.contains(&good)
        });
        assert!(dialled_in.is_some_and(|round| round <= 3), "seed {seed}: {dialled_in:?}");
    }
}

/// Each answer names the same 3000 dead ones, and the good one.
#[test]
fn one_among_the_same_dead_in_each_answer_is_found_before_they_are_tried_again() {
    let rounds: Vec<u64> = (0..50)
        .map(|seed| {
            let (mut swarm, mut rng) = (PeerList::new(Time::ZERO, seed), fastrand::Rng::with_seed(seed));
            let good = SocketAddr::from(([99, 0, 0, 1], 6881));
            let mut answer = dead(&mut rng, 3000);
            answer.insert(1500, good);
            let dialled_in = (0..200).find(|round| {
                let now = at(round * 15);
                swarm.add_answer(now, &answer, PeerSource::TRACKER, &MANY);
                let dials = swarm.next_dials(now, 60, false);
                dials.iter().filter(|a| **a != good).for_each(|a| swarm.dial_failed(now, *a, &MANY));
                dials.contains(&good)
            });
            dialled_in.unwrap_or(200)
        })
        .collect();
    // At 60 a round.
    assert!(rounds.iter().all(|n| *n <= 3000 / 60), "{rounds:?}");
}

#[test]
fn a_short_answer_does_not_wait_for_a_long_one() {
    for (seed, before) in (0..20).flat_map(|seed| [(seed, 500), (seed, 5000)]) {
        let (mut swarm, mut rng) = (PeerList::new(Time::ZERO, seed), fastrand::Rng::with_seed(seed));
        swarm.add_answer(at(0), &dead(&mut rng, before), PeerSource::TRACKER, &MANY);
        let good = SocketAddr::from(([250, 0, 0, 1], 6881));
        assert!(swarm.add(at(1), good, PeerSource::TRACKER, &MANY), "{before}");
        // Now and then one of them looks as if it was named twice.
        assert!(swarm.next_dials(at(1), ONE_TURN + 3, false).contains(&good), "{before}");
    }
}

/// Of a long answer any part may be dialled first, not the same one each time.
#[test]
fn of_a_long_answer_some_are_taken_at_random() {
    let answer = dead(&mut fastrand::Rng::with_seed(1), 3000);
    let first = |seed| {
        let mut swarm = PeerList::new(Time::ZERO, seed);
        swarm.add_answer(at(0), &answer, PeerSource::TRACKER, &MANY);
        swarm.next_dials(at(0), 50, false)
    };
    let (one, other) = (first(1), first(2));
    assert!(one.len() == 50 && one.iter().filter(|a| other.contains(a)).count() < 10);
    assert!(one.iter().any(|a| answer[1000..].contains(a)));
}

/// It was here, and is away for a moment while answers name many that are dead.
#[test]
fn who_was_here_stays_in_a_list_full_of_the_dead() {
    let (mut swarm, mut rng) = (swarm(), fastrand::Rng::with_seed(3));
    swarm.add(at(0), addr(1), PeerSource::TRACKER, &MANY);
    assert_eq!(swarm.next_dials(at(0), 1, false), [addr(1)]);
    swarm.connected(at(0), addr(1), false, &MANY);
    swarm.disconnected(at(10), addr(1), Parting::Failed, &MANY);
    for round in 0..10 {
        let now = at(10 + round);
        swarm.add_answer(now, &dead(&mut rng, 3000), PeerSource::TRACKER, &MANY);
        let dials = swarm.next_dials(now, 60, false);
        dials.iter().for_each(|a| swarm.dial_failed(now, *a, &MANY));
    }
    assert!(swarm.peers.contains_key(&addr(1)));
}

#[test]
fn whom_a_caller_named_and_others_take_turns() {
    let limits = SwarmLimits { max_peers: 20, ..LIMITS };
    let mut swarm = swarm();
    (1..=6).for_each(|n| assert!(swarm.add(Time::ZERO, addr(n), PeerSource::MANUAL, &limits)));
    (11..=13).for_each(|n| assert!(swarm.add(Time::ZERO, addr(n), PeerSource::TRACKER, &limits)));
    let one = |swarm: &mut PeerList| swarm.next_dials(Time::ZERO, 1, false)[0];
    assert_eq!([(); 3].map(|()| one(&mut swarm)), [addr(1), addr(11), addr(2)]);
    // A caller waits to be told of that one.
    assert!(swarm.await_dial(Time::ZERO, addr(5)));
    assert_eq!(one(&mut swarm), addr(5));
    // The last that it named comes first.
    assert!(!swarm.has_named_since(Time::from_millis(1)));
    assert!(swarm.await_dial(Time::from_millis(1), addr(4)) && swarm.await_dial(Time::from_millis(2), addr(6)));
    assert!(swarm.has_named_since(Time::from_millis(2)));
    assert_eq!(swarm.next_dials(Time::ZERO, 9, false), [6, 4, 12, 3, 13].map(addr));
}

/// A connection that may be dead: the peer is dialled beside it, once, and not again soon if it answers.
#[test]
fn who_says_nothing_is_dialled_beside_its_connection() {
    let mut swarm = with(&[(1, PeerSource::TRACKER)]);
    swarm.call_beside(Time::ZERO, addr(1));
    assert_eq!(swarm.next_dials(Time::ZERO, 9, false), [addr(1)], "an ordinary dial");
    swarm.connected(Time::ZERO, addr(1), false, &LIMITS);
    swarm.call_beside(at(20), addr(1));
    assert_eq!((swarm.next_dial_time(false), swarm.next_dials(at(20), 9, false)), (Some(at(20)), vec![addr(1)]));
    swarm.call_beside(at(20), addr(1));
    assert!(swarm.next_dials(at(20), 9, false).is_empty(), "it is being dialled");
    swarm.dial_failed(at(21), addr(1), &LIMITS);
    swarm.call_beside(at(22), addr(1));
    assert!(swarm.next_dials(at(22), 9, false).is_empty());
    swarm.call_beside(at(24), addr(1));
    assert_eq!(swarm.next_dials(at(24), 9, false), [addr(1)]);
    swarm.disconnected(at(25), addr(1), Parting::Fair, &LIMITS);
    swarm.connected(at(25), addr(1), false, &LIMITS);
    assert_eq!((swarm.num_dialling(), swarm.num_candidates()), (0, 0));
    swarm.call_beside(at(40), addr(1));
    assert!(swarm.next_dials(at(40), 9, false).is_empty(), "it answered a moment ago, and was silent again");
    swarm.call_beside(at(150), addr(1));
    assert_eq!(swarm.next_dials(at(150), 9, false), [addr(1)]);
    // Banned meanwhile: the connection ends before the dial does, or after it.
    assert_eq!(swarm.ban(addr(1)), []);
    swarm.disconnected(at(151), addr(1), Parting::Fair, &LIMITS);
    assert_eq!((swarm.len(), swarm.num_dialling()), (1, 1));
    swarm.dial_failed(at(152), addr(1), &LIMITS);
    assert_eq!((swarm.len(), swarm.num_dialling()), (0, 0));
}
