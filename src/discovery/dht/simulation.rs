//! Nodes in a network with delays, losses, nodes that come and go, and liars.

mod world;

use std::net::SocketAddr;
use std::time::Duration;

use self::world::{CONFIG, SECOND, World, address};
use super::krpc::{self, Body, Message, Query, Reply};
use super::node::{Announcement, Event, Node, NodeConfig, SearchId, To};
use super::node_id::{NodeAddr, NodeId};
use crate::base::time::Time;
use crate::metainfo::info_hash::Sha1Hash;

fn hash(rng: &mut fastrand::Rng) -> Sha1Hash {
    Sha1Hash(NodeId::random(rng).0)
}

const SEED: Announcement = Announcement { port: 7000, implied_port: false, seed: true };

/// Announces so many torrents and looks for each from elsewhere. Returns how long each took to be found, where it was.
fn find(world: &mut World, honest: &[SocketAddr], torrents: usize) -> Vec<Option<Duration>> {
    let mut announced = Vec::new();
    for _ in 0..torrents {
        let (hash, at) = (hash(&mut world.rng), honest[world.rng.usize(3..honest.len())]);
        world.search(at, hash, Some(SEED));
        announced.push((hash, SocketAddr::new(at.ip(), 7000)));
    }
    world.run(SECOND * 40);
    let mut searches = Vec::new();
    for (hash, peer) in announced {
        let at = honest[world.rng.usize(3..honest.len())];
        searches.push((world.search(at, hash, None), world.now, peer));
    }
    world.found.clear();
    world.run(SECOND * 40);
    let took = |(search, begun, peer): &(SearchId, Time, SocketAddr)| {
        let found = world.found.get(search)?.iter().find(|(_, found)| found == peer)?;
        Some(found.0.since(*begun))
    };
    searches.iter().map(took).collect()
}

fn judge(mut times: Vec<Option<Duration>>, most_lost: usize, median: Duration, slowest: Duration) {
    times.sort_by_key(|time| time.unwrap_or(Duration::MAX));
    let lost = times.iter().filter(|time| time.is_none()).count();
    let found: Vec<Duration> = times.iter().flatten().copied().collect();
    let (middle, last) = (found[found.len() / 2], found[found.len() * 95 / 100]);
    println!("{lost} of {} lost, median {middle:?}, 95 % within {last:?}", times.len());
    assert!(lost <= most_lost && middle <= median && last <= slowest);
}

#[test]
fn a_network_finds_what_was_announced() {
    let mut world = World::new(1);
    let honest = world.network(300, 0.0);
    world.run(SECOND * 60);
    let known: Vec<usize> = honest.iter().map(|at| world.node(*at).node_count()).collect();
    assert!(known.iter().all(|n| *n >= 40), "{known:?}");
    let times = find(&mut world, &honest, 50);
    judge(times, 0, Duration::from_millis(400), SECOND);
    let before = world.packets;
    world.run(SECOND * 600);
    let each = (world.packets - before) as f64 / 600.0 / honest.len() as f64;
    println!("at rest a node sends {each:.2} packets a second");
    assert!(each < 2.0);
}

/// A thousand nodes of whom three in ten lie, one packet in twenty is lost, and a third of the honest ones is exchanged meanwhile.
#[test]
fn liars_losses_and_churn_do_not_hide_it() {
    let mut world = World::new(2);
    world.loss = 0.05;
    let mut honest = world.network(1000, 0.3);
    let routers: Vec<SocketAddr> = (0..3).map(address).collect();
    for n in 0..honest.len() / 3 {
        let gone = world.rng.usize(3..honest.len());
        let at = honest.swap_remove(gone);
        world.members.remove(&at);
        let new = address(2000 + n as u32);
        world.join(new, None, &routers);
        honest.push(new);
        world.run(SECOND);
    }
    let times = find(&mut world, &honest, 60);
    judge(times, 1, SECOND * 3 / 2, SECOND * 8);
}

#[test]
fn a_node_that_comes_back_needs_nobody_to_begin_by() {
    let mut world = World::new(3);
    let honest = world.network(100, 0.0);
    let at = honest[50];
    let state = world.node(at).state();
    assert!(state.nodes.len() >= 20);
    world.members.remove(&at);
    world.run(SECOND * 3600);
    world.join(at, Some(state.clone()), &[]);
    let begun = world.now;
    let announced = hash(&mut world.rng);
    world.search(honest[20], announced, Some(SEED));
    let search = world.search(at, announced, None);
    world.run(SECOND);
    assert_eq!(world.events[&at].iter().filter(|e| **e == Event::Bootstrapped).count(), 2, "once each life");
    world.run(SECOND * 20);
    let again = world.search(at, announced, None);
    world.run(SECOND);
    assert!(world.found[&again].iter().any(|(_, peer)| peer.ip() == honest[20].ip()));
    assert!(world.over.iter().any(|(at, _, over)| *over == search && at.since(begun) < SECOND * 15));
    assert_eq!(world.node(at).state().id4, state.id4);
}

/// No way out for an hour: nobody is forgotten, and a search that began meanwhile ends soon after.
#[test]
fn an_outage_costs_no_node() {
    let mut world = World::new(4);
    let honest = world.network(100, 0.0);
    let at = honest[40];
    let known = world.node(at).node_count();
    world.cut = true;
    world.run(SECOND * 1800);
    let announced = hash(&mut world.rng);
    world.search(honest[7], announced, Some(SEED));
    let search = world.search(at, announced, None);
    world.run(SECOND * 1800);
    assert!(world.node(at).node_count() * 10 >= known * 9, "{} of {known}", world.node(at).node_count());
    assert!(!world.over.iter().any(|(_, _, over)| *over == search), "it goes on");
    world.cut = false;
    world.run(SECOND * 90);
    assert!(world.over.iter().any(|(_, _, over)| *over == search));
    let again = world.search(at, announced, None);
    world.run(SECOND * 2);
    assert!(world.found.contains_key(&again));
}

/// Who is gone is found out, also where nobody else is asked meanwhile.
#[test]
fn whoever_is_gone_is_forgotten() {
    let mut world = World::new(10);
    let honest = world.network(60, 0.0);
    let (at, gone) = (honest[40], &honest[3..33]);
    gone.iter().for_each(|gone| drop(world.members.remove(gone)));
    world.run(SECOND * 4 * 3600);
    let nodes = world.node(at).state().nodes;
    let left = nodes.iter().filter(|node| gone.contains(&node.addr)).count();
    // With nobody to follow it is kept for twenty failures.
    let told = world.node(at).closest(&NodeId([7; 20]));
    assert!(told.iter().all(|node| !gone.contains(&node.addr)) && left <= 30, "{left}");
    assert!(nodes.len() >= 25);
}

/// With nobody to begin by it waits, as long as it takes.
#[test]
fn whoever_is_named_later_leads_in() {
    let mut world = World::new(5);
    let honest = world.network(50, 0.0);
    let late = address(900);
    world.join(late, None, &[address(5000)]);
    let announced = hash(&mut world.rng);
    world.search(honest[9], announced, Some(SEED));
    let search = world.search(late, announced, None);
    world.run(SECOND * 7200);
    assert!(!world.found.contains_key(&search));
    let asked = world.events[&late].iter().filter(|event| **event == Event::Lost).count();
    assert!((800..1000).contains(&asked), "each eight seconds, since somebody searches: {asked}");
    world.search(honest[9], announced, Some(SEED));
    world.run(SECOND * 10);
    let now = world.now;
    world.node(late).add_node(now, honest[3]);
    world.flush(late);
    world.run(SECOND * 2);
    assert!(world.found[&search].iter().any(|(_, peer)| peer.port() == 7000), "at once, by the search that waited");
    world.run(SECOND * 60);
    assert!(world.node(late).node_count() >= 20);
}

/// Who comes to be known while a search is under way is asked by it, before the dead node is given up by which it began.
#[test]
fn a_search_under_way_hears_of_who_comes_to_be_known() {
    let mut world = World::new(12);
    let honest = world.network(30, 0.0);
    let announced = hash(&mut world.rng);
    world.search(honest[9], announced, Some(SEED));
    world.run(SECOND * 10);
    let late = address(900);
    world.join(late, None, &[address(5000)]);
    let search = world.search(late, announced, None);
    world.run(SECOND);
    let now = world.now;
    world.node(late).set_routers(now, vec![honest[3]], Vec::new());
    world.flush(late);
    world.run(SECOND);
    assert!(world.found[&search].iter().any(|(_, peer)| peer.port() == 7000));
}

/// Where nobody answered for long, a node that is named again is asked at once: whoever names it knows more.
#[test]
fn a_node_that_is_named_again_is_asked_at_once() {
    let mut world = World::new(14);
    let honest = world.network(20, 0.0);
    let at = honest[10];
    world.cut = true;
    world.run(SECOND * 1000);
    world.run(SECOND * 2);
    world.cut = false;
    let (now, packets) = (world.now, world.packets);
    world.node(at).take_output();
    world.node(at).add_node(now, honest[3]);
    world.flush(at);
    assert_eq!(world.packets, packets + 1);
    world.run(SECOND / 2);
    assert!(world.packets > packets + 10, "it leads in");
}

/// With nobody who searches the way in is tried ever more rarely.
#[test]
fn nobody_is_asked_often_for_nothing() {
    let mut world = World::new(13);
    let alone = address(900);
    world.join(alone, None, &[address(5000)]);
    world.run(SECOND * 7200);
    let asked = world.events[&alone].iter().filter(|event| **event == Event::Lost).count();
    assert!((100..150).contains(&asked), "{asked}");
}

/// Announced peers are stored where they are looked for, each at the port that it named, or that its packets come from.
#[test]
fn implied_ports_are_those_of_the_packets() {
    let mut world = World::new(6);
    let honest = world.network(60, 0.0);
    let announced = hash(&mut world.rng);
    world.search(honest[9], announced, Some(Announcement { implied_port: true, ..SEED }));
    world.search(honest[10], announced, Some(SEED));
    world.run(SECOND * 20);
    let search = world.search(honest[30], announced, None);
    world.run(SECOND * 20);
    let mut found: Vec<SocketAddr> = world.found[&search].iter().map(|(_, peer)| *peer).collect();
    found.sort_unstable();
    assert_eq!(found, [honest[9], SocketAddr::new(honest[10].ip(), 7000)]);
    let stored = honest.iter().filter(|at| world.node(**at).stored().0 > 0).count();
    assert!((6..=12).contains(&stored), "at the nearest: {stored}");
    // Three quarters of an hour later nobody knows of them.
    world.run(SECOND * 2800);
    assert!(honest.iter().all(|at| world.node(*at).stored() == (0, 0)));
}

/// A read-only node (BEP 43) answers nobody and stands in nobody's table.
#[test]
fn a_read_only_node_finds_and_is_not_found() {
    let mut world = World::new(7);
    let honest = world.network(60, 0.0);
    let at = address(901);
    world.join(at, None, &[]);
    let now = world.now;
    world.node(at).set_config(NodeConfig { read_only: true, ..CONFIG });
    world.node(at).set_routers(now, vec![honest[0]], Vec::new());
    world.flush(at);
    let announced = hash(&mut world.rng);
    world.search(honest[9], announced, Some(SEED));
    world.run(SECOND * 20);
    let search = world.search(at, announced, None);
    world.run(SECOND * 600);
    assert!(world.found.contains_key(&search));
    let knows = |node: &Node| node.state().nodes.iter().any(|node| node.addr == at);
    assert!(!honest.clone().iter().any(|other| knows(world.node(*other))));
    let ping = krpc::encode_query(*b"abcd", NodeId([1; 20]), false, krpc::Want::default(), &Query::Ping);
    let now = world.now;
    assert_eq!(world.node(at).hear(now, honest[1], &ping), None);
    assert!(world.node(honest[2]).hear(now, honest[1], &ping).is_some());
}

/// Our id is one of our address, once that is known (BEP 42), and others stay in the table.
#[test]
fn the_id_follows_the_address() {
    let mut world = World::new(8);
    let honest = world.network(60, 0.0);
    let at = honest[30];
    assert!(!world.node(at).state().id4.fits(at.ip()));
    let told = world.events[&at].iter().filter(|e| matches!(e, Event::OurIp { ip, .. } if *ip == at.ip())).count();
    assert!(told > 10);
    let (now, known) = (world.now, world.node(at).node_count());
    world.node(at).set_external_ip(now, at.ip());
    let id = world.node(at).state().id4;
    assert!(id.fits(at.ip()) && world.node(at).node_count() >= known - 10);
    world.node(at).set_external_ip(now, at.ip());
    assert_eq!(world.node(at).state().id4, id, "once");
    world.flush(at);
    // Who insists on it refuses who has another id.
    let strict = NodeConfig { enforce_node_id: true, ..CONFIG };
    world.node(honest[5]).set_config(strict);
    let code = |world: &mut World, id, from| {
        let ping = krpc::encode_query(*b"abcd", id, true, krpc::Want::default(), &Query::Ping);
        let now = world.now;
        let answer = world.node(honest[5]).hear(now, from, &ping).expect("an answer");
        matches!(Message::parse(&answer).expect("a message").body, Body::Reply { .. })
    };
    assert!(code(&mut world, id, at));
    assert!(!code(&mut world, NodeId([7; 20]), at));
}

/// Of this host and its network only those tell who are of it: nobody else leads us there.
#[test]
fn nobody_far_away_leads_us_to_who_is_near() {
    let mut world = World::new(11);
    let (at, router) = (address(1), address(2));
    world.join(at, None, &[router]);
    let now = world.now;
    let near = ["127.0.0.1:1", "192.168.1.1:80", "10.0.0.1:53", "169.254.1.1:1"].map(|addr| {
        let addr: SocketAddr = addr.parse().expect("an address");
        NodeAddr { id: NodeId([addr.port() as u8; 20]), addr }
    });
    let reply = Reply { nodes: near.to_vec(), peers: near.iter().map(|node| node.addr).collect(), ..Reply::default() };
    let packet = krpc::encode_reply(&world.transaction(), NodeId([3; 20]), at, &reply);
    world.node(at).hear(now, router, &packet);
    let sent = world.node(at).take_output().packets;
    assert!(!sent.iter().any(|(to, _)| near.iter().any(|node| *to == To::Address(node.addr))), "{sent:?}");
    assert_eq!(world.node(at).node_count(), 1);
}

/// Who floods is not answered; what is forged is not believed.
#[test]
fn hostile_packets_change_nothing() {
    let mut world = World::new(9);
    let honest = world.network(40, 0.0);
    let at = honest[5];
    let (now, state) = (world.now, world.node(at).state());
    let ping = krpc::encode_query(*b"abcd", NodeId([1; 20]), true, krpc::Want::default(), &Query::Ping);
    let answered = (0..1000).filter(|_| world.node(at).hear(now, address(950), &ping).is_some()).count();
    assert!(answered <= 50, "{answered}");
    let forged = krpc::encode_reply(b"abcd", NodeId([1; 20]), at, &Reply::default());
    for n in 0..1000 {
        assert_eq!(world.node(at).hear(now, address(960 + n), &forged), None);
    }
    let mut garbage = vec![0; 100];
    for n in 0..1000 {
        world.rng.fill(&mut garbage);
        garbage[0] = b'd';
        world.node(at).hear(now, address(960 + n), &garbage);
    }
    // An announcement with no token, or somebody else's.
    let announce =
        krpc::Announce { info_hash: Sha1Hash([1; 20]), port: 1, implied_port: false, seed: false, token: vec![1; 8] };
    let query = krpc::encode_query(*b"abcd", NodeId([1; 20]), true, krpc::Want::default(), &Query::Announce(announce));
    world.node(at).hear(now, address(951), &query);
    assert_eq!(world.node(at).stored(), (0, 0));
    assert_eq!(world.node(at).state().nodes.len(), state.nodes.len());
    // Queries from everywhere: what is sent for them is bounded.
    world.run(SECOND * 10);
    let now = world.now;
    let find = krpc::encode_query(
        *b"abcd",
        NodeId([1; 20]),
        true,
        krpc::Want { v4: true, v6: true },
        &Query::FindNode(NodeId([5; 20])),
    );
    let sent: usize =
        (0..5000).filter_map(|n| world.node(at).hear(now, address(3000 + n), &find)).map(|a| a.len()).sum();
    assert!(sent < 25_000, "{sent}");
}
