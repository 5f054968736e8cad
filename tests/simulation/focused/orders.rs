//! What a caller orders: deadlines, flags, dials, bans.

use elementum_torrent::alert::Alert;
use elementum_torrent::engine::config::TorrentFlags;

use super::*;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// The pieces that came, in their order.
fn came(world: &mut World, node: usize) -> Vec<u32> {
    let piece = |a: &Alert| if let Alert::PieceFinished { piece } = a { Some(*piece) } else { None };
    world.engine(node).alerts.iter().filter_map(piece).collect()
}

/// A memory node, 1, of which nobody reads, and a seed that it does not know yet.
fn unread() -> World {
    let mut world = World::new(141, Content::single(141, 2 * MIB, 64 * KIB as u32));
    world.add_engine(Setup::seed(), Line::new(512 * KIB, MIB, 15));
    world.add_engine(Setup::memory(256 * KIB), fast());
    world
}

fn deadline(world: &mut World, piece: i64, ms: i64) {
    let now = world.now();
    world.engine(1).torrent.set_piece_deadline(now, piece, ms).expect("there is such a piece");
    world.settle(1);
}

#[test]
fn pieces_come_by_their_deadlines_and_setting_one_again_moves_it() {
    let mut world = unread();
    for (piece, ms) in [(3, 40_000), (7, 20_000), (9, 30_000)] {
        deadline(&mut world, piece, ms);
    }
    deadline(&mut world, 3, 10_000);
    world.introduce(1, &[0]);
    world.run_for(seconds(10));
    assert_eq!(came(&mut world, 1), [3, 7, 9]);
    world.end();
}

#[test]
fn a_deadline_is_gone_once_its_piece_is_there() {
    let mut world = unread();
    world.introduce(1, &[0]);
    deadline(&mut world, 3, 0);
    assert!(world.run(seconds(10), |w| came(w, 1) == [3]));
    // Others take its place in memory, and it is wanted no more.
    for piece in 10..20 {
        deadline(&mut world, piece, 0);
        assert!(world.run(seconds(10), |w| came(w, 1).last() == Some(&(piece as u32))), "piece {piece}");
    }
    world.run_for(seconds(10));
    let engine = world.engine(1);
    assert!(!engine.torrent.had_pieces().contains(&3), "it was to be evicted");
    assert_eq!(engine.torrent.counters().refetched_pieces, 0);
    // One that is there has none.
    let there = i64::from(engine.torrent.had_pieces()[0]);
    deadline(&mut world, there, 0);
    let now = world.now();
    world.engine(1).set_limit(now, 64 * KIB);
    world.settle(1);
    deadline(&mut world, 25, 0);
    world.run_for(seconds(10));
    assert_eq!(world.engine(1).torrent.had_pieces(), [25]);
    world.end();
}

#[test]
fn without_its_deadline_a_piece_has_its_own_priority() {
    for own in [0, 7] {
        let mut world = unread();
        let now = world.now();
        world.engine(1).torrent.set_piece_priority(now, 3, own).expect("there is such a piece");
        deadline(&mut world, 3, 0);
        deadline(&mut world, 7, 0);
        world.engine(1).torrent.reset_piece_deadline(now, 3).expect("there is such a piece");
        world.settle(1);
        world.introduce(1, &[0]);
        world.run_for(seconds(10));
        let expected: &[u32] = if own == 0 { &[7] } else { &[7, 3] };
        assert_eq!(came(&mut world, 1), expected, "its own priority is {own}");
        world.end();
    }
}

#[test]
fn all_deadlines_are_taken_away_at_once() {
    let mut world = unread();
    world.introduce(1, &[0]);
    world.run_for(seconds(1));
    for piece in [3, 7, 9] {
        deadline(&mut world, piece, 0);
    }
    let now = world.now();
    assert!(!world.engine(1).torrent.download_queue().expect("there is metadata").is_empty(), "they are asked for");
    world.engine(1).torrent.clear_piece_deadlines(now);
    world.settle(1);
    world.run_for(seconds(10));
    assert_eq!(came(&mut world, 1), [0; 0]);
    assert_eq!(world.engine(1).torrent.download_queue().expect("there is metadata"), []);
    world.end();
}

#[test]
fn sequential_is_from_the_front_to_the_back() {
    let order = |flags: TorrentFlags| {
        let mut world = World::new(143, Content::single(143, 2 * MIB, 64 * KIB as u32));
        let seed = world.add_engine(Setup::seed(), fast());
        let node = world.add_engine(Setup { flags, ..Setup::disk() }, fast());
        world.introduce(node, &[seed]);
        assert!(world.run(minute(), |w| w.engine(node).torrent.bytes_left() == 0));
        let order = came(&mut world, node);
        world.end();
        order
    };
    let front_to_back: Vec<u32> = (0..32).collect();
    assert_eq!(order(TorrentFlags::SEQUENTIAL_DOWNLOAD), front_to_back);
    assert_ne!(order(TorrentFlags::empty()), front_to_back);
}

#[test]
fn without_peer_exchange_nobody_hears_of_others() {
    for disabled in [false, true] {
        let mut world = World::new(147, Content::single(147, MIB, 64 * KIB as u32));
        let flags = if disabled { TorrentFlags::DISABLE_PEX } else { TorrentFlags::empty() };
        let node = world.add_engine(Setup { flags, ..Setup::memory(MIB) }, fast());
        let gossip = world.add_script(Manner::Gossip, fast());
        let other = world.add_script(Manner::Honest, fast());
        world.script(gossip).gossip = vec![world.nodes[other].address];
        world.introduce(node, &[gossip]);
        world.add_driver(node, Driver::new(1, 0, read_all()));
        assert!(world.finish(minute()));
        world.run_for(seconds(5));
        let now = world.now();
        let told = world.engine(node).torrent.status(now);
        let expected = if disabled { 1 } else { 2 };
        assert_eq!((told.list_peers, told.num_peers), (expected, expected), "disabled: {disabled}");
        world.end();
    }
}

#[test]
fn a_paused_torrent_dials_when_it_is_resumed() {
    let mut world = World::new(149, Content::single(149, MIB, 64 * KIB as u32));
    let node = world.add_engine(Setup::memory(MIB), fast());
    let seed = world.add_script(Manner::Honest, fast());
    let address = world.nodes[seed].address;
    let connected = |w: &mut World| w.engine(0).count(|a| matches!(a, Alert::PeerConnect { .. }));
    let told = |w: &mut World| {
        let of_peers = |a: &Alert| matches!(a, Alert::PeerConnect { .. } | Alert::PeerDisconnected { .. });
        w.engine(0).count(of_peers)
    };
    let now = world.now();
    let torrent = &mut world.engine(node).torrent;
    torrent.pause(now);
    torrent.connect_peer(now, address);
    world.settle(node);
    world.run_for(seconds(30));
    assert_eq!((told(&mut world), world.num_conns(node)), (0, 0), "it is paused");
    let now = world.now();
    world.engine(node).torrent.resume(now);
    world.settle(node);
    world.run_for(seconds(1));
    assert_eq!((connected(&mut world), told(&mut world)), (1, 1));
    // It is here: nothing more is told, however often it is asked for.
    for _ in 0..3 {
        let now = world.now();
        world.engine(node).torrent.connect_peer(now, address);
        world.settle(node);
        world.run_for(seconds(5));
    }
    assert_eq!(told(&mut world), 1);
    world.end();
}

#[test]
fn a_banned_address_is_cut_off_and_not_let_in() {
    let mut world = World::new(151, Content::single(151, MIB, 64 * KIB as u32));
    let node = world.add_engine(Setup::seed(), fast());
    let other = world.add_engine(Setup::memory(MIB), fast());
    world.introduce(other, &[node]);
    world.run_for(seconds(1));
    assert_eq!(world.engine(node).torrent.num_peers(), 1);
    let (now, ip) = (world.now(), world.nodes[other].address.ip());
    world.engine(node).torrent.ban(now, ip);
    world.settle(node);
    assert_eq!(world.engine(node).torrent.num_peers(), 0, "its connection ends");
    assert_eq!(world.engine(node).banned().iter().map(|a| a.ip()).collect::<Vec<_>>(), [ip]);
    // It comes again by itself, and is shown the door; and it is not dialled.
    world.add_driver(other, Driver::new(1, 0, read_all()));
    let now = world.now();
    let address = world.nodes[other].address;
    world.engine(node).torrent.connect_peer(now, address);
    world.settle(node);
    let (dialled, door) = (world.conns.len(), world.nodes[node].address);
    for _ in 0..40 {
        let now = world.now();
        world.engine(other).torrent.connect_peer(now, door);
        world.settle(other);
        world.run_for(seconds(3));
        assert_eq!(world.engine(node).torrent.num_peers(), 0, "it was let in");
    }
    assert_eq!(world.engine(node).count(|a| matches!(a, Alert::PeerConnect { .. })), 1, "the one before the ban");
    assert_eq!(world.conns.len(), dialled, "no connection came about");
    world.end();
}
