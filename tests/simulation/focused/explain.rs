//! Why a reader waits: every reason, brought about.

use elementum_torrent::alert::Alert;
use elementum_torrent::base::error::{Error, Status};
use elementum_torrent::engine::config::{StorageKind, TorrentFlags};
use elementum_torrent::engine::readers::explanation::{Explanation, Reason};
use elementum_torrent::engine::readers::reader::{ReaderId, ReaderOptions};
use elementum_torrent::wire::{Message, Received};

use super::*;
use crate::content::Content;

const READER: ReaderId = ReaderId(99);

fn explain(world: &mut World, node: usize) -> Explanation {
    explain_of(world, node, READER)
}

fn explain_of(world: &mut World, node: usize, reader: ReaderId) -> Explanation {
    let now = world.now();
    world.engine(node).torrent.explain(now, reader).expect("the reader is open")
}

fn reason(world: &mut World, node: usize) -> Reason {
    explain(world, node).reason
}

/// A reader of the whole file that begins at once.
fn play(world: &mut World, node: usize) {
    world.add_driver(node, Driver::new(READER.0, 0, read_all()));
}

/// A message from each of a node's peers, by itself.
fn all_say(world: &mut World, node: usize, message: &Message) {
    let now = world.now();
    let engine = world.engine(node);
    let keys: Vec<_> = engine.plugs.keys().copied().collect();
    for key in &keys {
        engine.torrent.peer_received(now, *key, &mut vec![Received::Message(message.clone())], 5);
    }
    let conns: Vec<usize> = engine.plugs.values().map(|plug| plug.conn).collect();
    for conn in conns {
        let side = world.side(conn, node);
        world.pump(conn, side);
    }
    world.settle(node);
}

#[test]
fn what_is_here_is_ready_and_what_ends_has_ended() {
    let mut world = pair(MIB, 64 * KIB, 2 * MIB);
    world.add_driver(1, Driver::new(READER.0, 0, [Step::Read(100 * KIB)]));
    assert!(world.finish(minute()));
    world.run_for(Duration::from_secs(2));
    let told = explain(&mut world, 1);
    assert_eq!((told.reason, told.offset, told.piece, told.block), (Reason::Ready, 100 * KIB, Some(1), None));
    assert_eq!((told.blocks.total, told.blocks.here, told.waited), (4, 4, None));
    world.engine(1).drivers[0].steps.extend(read_all());
    world.poll_driver(1, 0);
    assert!(world.finish(minute()));
    let told = explain(&mut world, 1);
    assert_eq!((told.reason, told.offset, told.piece), (Reason::EndOfFile, MIB, None));
    world.end();
}

#[test]
fn nobody_is_there() {
    let mut world = pair(MIB, 64 * KIB, 2 * MIB);
    play(&mut world, 1);
    let told = explain(&mut world, 1);
    assert_eq!((told.reason, told.peers.dialling, told.waited), (Reason::NoPeers, 1, Some(Duration::ZERO)));
    assert!(told.to_string().contains("1 being dialled"), "{told}");
    assert_eq!((told.block, told.blocks.here), (Some(0), 0));
    world.leave(0);
    world.run_for(Duration::from_secs(5));
    let told = explain(&mut world, 1);
    assert_eq!((told.reason, told.waited), (Reason::NoPeers, Some(Duration::from_secs(5))));
    world.end();
}

#[test]
fn a_torrent_that_stands_still_says_why() {
    let mut world = pair(MIB, 64 * KIB, 2 * MIB);
    play(&mut world, 1);
    let now = world.now();
    world.engine(1).torrent.set_session_paused(now, true);
    assert_eq!(reason(&mut world, 1), Reason::SessionPaused);
    world.engine(1).torrent.pause(now);
    assert_eq!(reason(&mut world, 1), Reason::TorrentPaused);
    world.engine(1).torrent.resume(now);
    world.engine(1).torrent.set_session_paused(now, false);
    world.engine(1).torrent.set_flags(now, TorrentFlags::UPLOAD_MODE, true);
    assert_eq!(reason(&mut world, 1), Reason::UploadMode);
    world.engine(1).torrent.set_flags(now, TorrentFlags::UPLOAD_MODE, false);
    world.engine(1).torrent.fail(now, Error::new(Status::Io, "the disk is full"), "file".into());
    let told = explain(&mut world, 1);
    assert_eq!((told.reason, told.error), (Reason::Error, Some(Status::Io)));
    world.engine(1).torrent.resume(now);
    world.settle(1);
    assert!(world.finish(minute()), "it reads on");
    world.end();
}

#[test]
fn a_check_is_waited_for() {
    let mut world = World::new(11, Content::single(7, MIB, 64 << 10));
    let seed = world.add_engine(Setup::seed(), fast());
    let node = world.add_engine(Setup { disk_ms: 500, ..Setup::disk() }, fast());
    world.introduce(node, &[seed]);
    let now = world.now();
    world.engine(node).torrent.open_reader(now, READER, 0, ReaderOptions::default()).expect("a reader");
    assert_eq!(reason(&mut world, node), Reason::CheckingFiles);
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.engine(node).setup.storage, StorageKind::Disk);
    assert_eq!(reason(&mut world, node), Reason::Ready);
    world.end();
}

#[test]
fn a_piece_is_being_hashed() {
    let mut world = World::new(11, Content::single(7, MIB, 64 << 10));
    let seed = world.add_engine(Setup::seed(), fast());
    let node = world.add_engine(Setup { hash_ms: 700, ..Setup::memory(2 * MIB) }, fast());
    world.introduce(node, &[seed]);
    play(&mut world, node);
    assert!(world.run(minute(), |w| reason(w, node) == Reason::Verifying), "never");
    let told = explain(&mut world, node);
    assert_eq!((told.blocks.here, told.blocks.asked, told.block), (4, 0, None));
    // It is no less being hashed while the torrent is paused.
    let now = world.now();
    world.engine(node).torrent.pause(now);
    assert_eq!(reason(&mut world, node), Reason::Verifying);
    world.engine(node).torrent.resume(now);
    world.settle(node);
    assert!(world.finish(minute() * 5), "it reads on");
    world.end();
}

#[test]
fn peers_have_it_not_or_choke_or_refuse() {
    let mut world = World::new(13, Content::single(9, MIB, 64 << 10));
    let node = world.add_engine(Setup::memory(2 * MIB), fast());
    let others: Vec<usize> = (0..2).map(|_| world.add_script(Manner::Liar, fast())).collect();
    for other in &others {
        world.script(*other).has = Some(vec![1, 2]);
    }
    world.introduce(node, &others);
    play(&mut world, node);
    world.run_for(Duration::from_secs(1));
    let told = explain(&mut world, node);
    assert_eq!((told.reason, told.peers.connected, told.peers.with_piece), (Reason::NoPeerHasIt, 2, 0), "{told}");
    assert_eq!(told.to_string(), "none of 2 peers has piece 0");

    all_say(&mut world, node, &Message::Choke);
    all_say(&mut world, node, &Message::Have(0));
    let told = explain(&mut world, node);
    assert_eq!((told.reason, told.peers.with_piece, told.peers.unchoked), (Reason::Choked, 2, 0), "{told}");

    all_say(&mut world, node, &Message::Unchoke);
    assert!(world.run(minute(), |w| reason(w, node) == Reason::Refused), "{}", explain(&mut world, node));
    let told = explain(&mut world, node);
    assert_eq!((told.peers.unchoked, told.peers.refusing, told.peers.asked), (2, 2, 0), "{told}");
    world.end();
}

#[test]
fn a_request_is_expected_then_overdue_then_the_peer_stalls() {
    let mut world = beside(MIB, 64 * KIB, 2 * MIB, &[Manner::Staller]);
    play(&mut world, 0);
    assert!(world.run(minute(), |w| reason(w, 0) == Reason::Requested), "never");
    let peer = world.nodes[1].address;
    let told = explain(&mut world, 0);
    assert_eq!((told.asked_of, told.block, told.peers.asked), (Some(peer), Some(0), 1), "{told}");
    assert!(told.overdue.is_zero() && told.expected.is_some_and(|e| e <= Duration::from_secs(1)), "{told}");
    assert_eq!((told.blocks.total, told.blocks.here, told.blocks.asked), (4, 0, 4));
    world.run_for(Duration::from_secs(5));
    let told = explain(&mut world, 0);
    assert_eq!((told.reason, told.expected), (Reason::Requested, None));
    assert!(told.overdue > Duration::from_secs(4) && told.overdue < Duration::from_secs(6), "{told}");
    assert!(world.run(minute() * 5, |w| reason(w, 0) == Reason::Snubbed), "{}", explain(&mut world, 0));
    let told = explain(&mut world, 0);
    assert_eq!((told.peers.snubbed, told.asked_of), (1, Some(peer)), "{told}");
    world.end();
}

/// The estimate of the whole piece is about right: its blocks are asked for one after the other.
#[test]
fn the_byte_comes_when_it_is_expected() {
    let mut world = pair(16 * MIB, 2 * MIB, 8 * MIB);
    world.add_driver(1, Driver::new(READER.0, 0, [Step::Read(2 * MIB), Step::Seek(9 * MIB), Step::Read(100)]));
    let seeked = |w: &mut World| w.engine(1).drivers[0].gauge.runs.len() > 1;
    assert!(world.run(minute(), seeked));
    world.run_for(Duration::from_millis(100));
    let told = explain(&mut world, 1);
    let expected = told.expected.expect("it is known how fast the peer is");
    assert_eq!((told.reason, told.piece, told.blocks.total), (Reason::Requested, Some(4), 128), "{told}");
    let began = world.now();
    assert!(world.finish(minute()));
    let took = world.now().since(began);
    assert!(took < expected * 3 / 2 && expected < took * 3 / 2, "{took:?}, {told}");
    world.end();
}

/// An unverified reader waits for its block, another one for the piece.
#[test]
fn who_reads_unverified_is_ready_before() {
    let mut world = pair(MIB, 256 * KIB, 2 * MIB);
    let options = ReaderOptions { unverified: true, ..Default::default() };
    world.add_driver(1, Driver::new(READER.0, 0, [Step::Sleep(minute())]).with(options));
    world.add_driver(1, Driver::new(98, 0, [Step::Sleep(minute())]));
    assert!(world.run(minute(), |w| reason(w, 1) == Reason::Ready), "never");
    let told = explain_of(&mut world, 1, ReaderId(98));
    assert_eq!((told.reason, told.piece), (Reason::Requested, Some(0)), "{told}");
    assert!(told.blocks.here > 0 && told.block.is_some_and(|b| b > 0), "{told}");
    world.end();
}

#[test]
fn what_comes_first_is_asked_for_first() {
    let mut world = beside(8 * MIB, 512 * KIB, 4 * MIB, &[Manner::Staller]);
    play(&mut world, 0);
    let background = ReaderOptions { background: true, ..Default::default() };
    world.add_driver(0, Driver::new(98, 0, [Step::Seek(4 * MIB), Step::Read(100)]).with(background));
    world.run_for(Duration::from_secs(1));
    let told = explain_of(&mut world, 0, ReaderId(98));
    assert_eq!((told.reason, told.piece, told.peers.unchoked), (Reason::Queued, Some(8), 1), "{told}");
    assert_eq!((told.block, told.peers.asked, told.expected), (Some(0), 0, None));
    world.end();
}

#[test]
fn memory_is_full_of_what_is_worth_as_much() {
    let mut world = beside(MIB, 64 * KIB, 64 * KIB, &[Manner::Staller]);
    world.add_driver(0, Driver::new(1, 0, read_all()));
    world.run_for(Duration::from_secs(1));
    world.add_driver(0, Driver::new(READER.0, 0, [Step::Seek(640 * KIB), Step::Read(100)]));
    let told = explain(&mut world, 0);
    assert_eq!((told.reason, told.piece), (Reason::MemoryFull, Some(10)), "{told}");
    let memory = told.memory;
    assert_eq!((memory.limit, memory.charged, memory.requested), (64 * KIB, 64 * KIB, 64 * KIB), "{told}");
    assert_eq!(memory.other_torrents + memory.idle + memory.pinned, 0, "{memory:?}");
    world.end();
}

fn pressures(world: &mut World, node: usize) -> Vec<(u64, u64, u64)> {
    let told = |a: &Alert| match a {
        Alert::MemoryPressure { limit_bytes, charged_bytes, needed_bytes } => {
            Some((*limit_bytes, *charged_bytes, *needed_bytes))
        }
        _ => None,
    };
    world.engine(node).alerts.iter().filter_map(told).collect()
}

/// That players wait because memory is full is told, and not again and again.
#[test]
fn memory_that_keeps_players_waiting_is_told() {
    for patience in [1_000_000, 1000, 300] {
        let mut world = beside(MIB, 64 * KIB, 64 * KIB, &[Manner::Staller]);
        world.add_driver(0, Driver::new(1, 0, read_all()));
        world.run_for(Duration::from_secs(1));
        let reader = Driver::new(READER.0, 0, [Step::Seek(640 * KIB), Step::Read(100)]);
        world.add_driver(0, reader.with_patience(Duration::from_millis(patience)));
        world.run_for(Duration::from_secs(5));
        assert_eq!(pressures(&mut world, 0), [(64 * KIB, 64 * KIB, 64 * KIB)], "{patience}");
        world.run_for(Duration::from_secs(10));
        assert_eq!(pressures(&mut world, 0).len(), 2, "it is still so");
        world.end();
    }
}

/// Who waits for the network, or for nobody, is under no pressure.
#[test]
fn a_wait_for_peers_is_no_memory_pressure() {
    for manners in [&[Manner::Staller][..], &[Manner::Liar], &[]] {
        let mut world = beside(MIB, 64 * KIB, 4 * MIB, manners);
        play(&mut world, 0);
        world.run_for(Duration::from_secs(20));
        assert_eq!(pressures(&mut world, 0), []);
        world.end();
    }
}

/// All that is charged is told of, once.
#[test]
fn memory_is_accounted_for() {
    let mut world = pair(8 * MIB, 128 * KIB, 4 * MIB);
    play(&mut world, 1);
    world.engine(1).drivers[0].rate = MIB;
    for _ in 0..20 {
        world.run_for(Duration::from_millis(170));
        let memory = explain(&mut world, 1).memory;
        let told = memory.requested + memory.pinned + memory.protected + memory.wanted + memory.idle + memory.held;
        // One block may be half here.
        assert!(memory.charged - told <= 32 * KIB && memory.other_torrents == memory.charged - told, "{memory:?}");
    }
    let piece = |p: u32| world.content.info.layout.piece_size(p);
    let pins = u64::from(piece(0) + piece(63));
    assert_eq!(explain(&mut world, 1).memory.pinned, pins);
    let now = world.now();
    world.engine(1).torrent.set_lookbehind(now, &[1, 2]).expect("there is room");
    let memory = explain(&mut world, 1).memory;
    assert!(memory.protected <= 256 * KIB && memory.wanted > MIB, "{memory:?}");
    world.end();
}

#[test]
fn a_reader_falls_asleep() {
    let mut world = pair(16 * MIB, 128 * KIB, 2 * MIB);
    world.add_driver(1, Driver::new(READER.0, 0, [Step::Read(MIB), Step::Seek(12 * MIB), Step::Sleep(minute())]));
    assert!(world.run(minute(), |w| w.engine(1).drivers[0].position == 12 * MIB));
    world.add_driver(1, Driver::new(98, 0, [Step::Read(6 * MIB)]).at_rate(128 * KIB));
    world.run_for(Duration::from_secs(35));
    let told = explain(&mut world, 1);
    assert_eq!((told.reason, told.waited), (Reason::ReaderAsleep, None), "{told}");
    world.end();
}

#[test]
fn what_a_seek_takes_back_and_comes_is_wasted() {
    let mut world = pair(64 * MIB, 256 * KIB, 8 * MIB);
    let mut steps = vec![Step::Read(2 * MIB)];
    for i in 0..10 {
        steps.extend([Step::Seek(i * 17 % 60 * MIB), Step::Read(MIB)]);
    }
    world.add_driver(1, Driver::new(READER.0, 0, steps));
    assert!(world.finish(minute()));
    world.run_for(Duration::from_secs(2));
    let engine = world.engine(1);
    let status = engine.torrent.reader_status(READER).expect("open");
    let redundant = engine.torrent.counters().redundant_bytes;
    assert!(status.wasted_bytes > 0, "{status:?}");
    assert!(status.wasted_bytes + status.duplicate_bytes <= redundant, "{redundant}: {status:?}");
    // One peer, and no other reader: whatever came for nothing was the seeks'.
    assert!(status.wasted_bytes >= redundant * 9 / 10, "{redundant}: {status:?}");
    assert_eq!(status.duplicate_bytes, 0);
    world.end();
}

#[test]
fn what_comes_twice_is_duplicate() {
    let mut world = beside(2 * MIB, 64 * KIB, 4 * MIB, &[Manner::Double]);
    play(&mut world, 0);
    assert!(world.finish(minute()));
    let status = world.engine(0).torrent.reader_status(READER).expect("open");
    let redundant = world.engine(0).torrent.counters().redundant_bytes;
    assert!(redundant > 0 && status.duplicate_bytes == redundant, "{redundant}: {status:?}");
    assert_eq!(status.wasted_bytes, 0);
    world.end();
}
