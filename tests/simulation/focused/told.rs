//! What a torrent tells of itself, its peers, its memory and its readers, number by number.

use std::net::SocketAddr;

use elementum_torrent::alert::{Alert, PerformanceWarning};
use elementum_torrent::engine::cache::stats::StorageStats;
use elementum_torrent::engine::readers::reader::ReaderId;
use elementum_torrent::engine::readers::status::ReaderStatus;
use elementum_torrent::engine::status::{PeerFlags, PeerInfo, TorrentStatus};
use elementum_torrent::engine::swarm::peer_list::PeerSource;

use super::super::node::Memory;
use super::*;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn status(world: &mut World, node: usize) -> TorrentStatus {
    let now = world.now();
    world.engine(node).torrent.status(now)
}

fn peers(world: &mut World, node: usize) -> Vec<PeerInfo> {
    let now = world.now();
    world.engine(node).torrent.peers(now)
}

fn memory(world: &mut World, node: usize) -> StorageStats {
    world.engine(node).torrent.storage_stats()
}

fn reader(world: &mut World, node: usize) -> ReaderStatus {
    world.engine(node).torrent.reader_status(ReaderId(1)).expect("the reader is open")
}

/// A download of 4 MiB at 256 KiB a second. Node 0 seeds, node 1 downloads.
fn slow(setup: Setup) -> World {
    let mut world = World::new(131, Content::single(131, 4 * MIB, 64 * KIB as u32));
    let seed = world.add_engine(Setup { disk_ms: 100, ..Setup::seed() }, Line::new(256 * KIB, MIB, 20));
    let node = world.add_engine(setup, fast());
    world.introduce(node, &[seed]);
    world
}

fn complete(world: &mut World) -> bool {
    world.engine(1).torrent.bytes_left() == 0
}

fn is_near(found: impl Into<u64>, expected: u64) -> bool {
    found.into().abs_diff(expected) <= expected / 5
}

#[test]
fn rates_are_those_of_the_line_and_a_change_shows_within_three_seconds() {
    let mut world = slow(Setup::disk());
    world.run_for(seconds(5));
    let told = status(&mut world, 1);
    assert!(is_near(told.download_payload_rate, 256 * KIB), "{told:?}");
    assert!(is_near(told.download_rate, 256 * KIB), "{told:?}");
    let up = status(&mut world, 0);
    assert!(is_near(up.upload_payload_rate, 256 * KIB) && is_near(up.upload_rate, 256 * KIB), "{up:?}");
    world.nodes[0].line.up = 64 * KIB;
    world.run_for(seconds(3));
    let told = status(&mut world, 1);
    // Most of the way down, from 256 KiB.
    assert!(u64::from(told.download_payload_rate) < 112 * KIB, "{}", told.download_payload_rate);
    world.nodes[0].line.up = 512 * KIB;
    assert!(world.run(minute(), complete));
    world.run_for(seconds(3));
    let told = status(&mut world, 1);
    assert!(u64::from(told.download_payload_rate) < 128 * KIB, "{}", told.download_payload_rate);
    world.run_for(seconds(30));
    assert_eq!(status(&mut world, 1).download_payload_rate, 0);
    world.end();
}

#[test]
fn a_peer_that_sends_is_told_of() {
    let mut world = slow(Setup::disk());
    world.run_for(seconds(5));
    let [peer] = &peers(&mut world, 1)[..] else { panic!("one peer") };
    assert!(is_near(peer.payload_down_speed, 256 * KIB) && is_near(peer.down_speed, 256 * KIB), "{peer:?}");
    assert!(peer.download_queue_length > 0 && peer.target_dl_queue_length > 0, "{peer:?}");
    assert_eq!(peer.queue_bytes, peer.download_queue_length * 16 * 1024, "{peer:?}");
    // Two times 35 ms of way, and 62 ms of line for a block.
    assert!((70..2000).contains(&peer.rtt_ms), "{peer:?}");
    assert!(peer.last_active_ms < 200 && peer.last_request_ms < 1000, "{peer:?}");
    assert_eq!((peer.num_hashfails, peer.num_pieces, peer.progress_ppm), (0, 64, 1_000_000));
    let [other] = &peers(&mut world, 0)[..] else { panic!("one peer") };
    assert!(is_near(other.payload_up_speed, 256 * KIB) && is_near(other.up_speed, 256 * KIB), "{other:?}");
    let mut unanswered = false;
    assert!(world.run(minute(), |w| {
        unanswered |= peers(w, 0).iter().any(|p| p.upload_queue_length > 0);
        complete(w)
    }));
    assert!(unanswered, "no request was ever seen waiting");
    world.run_for(seconds(10));
    for peer in peers(&mut world, 1) {
        assert!(peer.last_active_ms >= 5000 && peer.last_request_ms >= 5000, "{peer:?}");
        assert_eq!((peer.download_queue_length, peer.queue_bytes, peer.downloading_piece), (0, 0, -1), "{peer:?}");
    }
    world.end();
}

#[test]
fn a_peer_is_what_its_flags_say() {
    use PeerFlags as F;
    let mut world = slow(Setup::disk());
    let flags = |w: &mut World, node| {
        let [peer] = &peers(w, node)[..] else { panic!("one peer") };
        (peer.flags, peer.source)
    };
    world.run_for(seconds(5));
    // The seed, as it is seen by who fetches from it, and the other way round.
    let (of_seed, source) = flags(&mut world, 1);
    assert_eq!(of_seed, F::INTERESTING | F::CHOKED | F::SUPPORTS_EXTENSIONS | F::OUTGOING | F::SEED | F::UPLOAD_ONLY);
    assert!(!source.contains(PeerSource::INCOMING) && !source.is_empty(), "{source:?}");
    let (of_leech, source) = flags(&mut world, 0);
    assert_eq!(of_leech - F::OPTIMISTIC_UNCHOKE, F::REMOTE_INTERESTED | F::REMOTE_CHOKED | F::SUPPORTS_EXTENSIONS);
    assert_eq!(source, PeerSource::INCOMING);
    assert!(world.run(minute(), complete));
    world.run_for(seconds(1));
    assert!(!flags(&mut world, 1).0.contains(F::INTERESTING), "nothing is wanted any more");
    // A seed is not told of what it has; who has all of it wants nothing.
    assert!(!flags(&mut world, 0).0.contains(F::REMOTE_INTERESTED));
    world.end();
}

/// A piece that comes in is told of block by block, until it is written.
#[test]
fn blocks_are_asked_for_then_here_then_written() {
    let mut world = slow(Setup { disk_ms: 300, ..Setup::disk() });
    let (mut both, mut writing, mut none) = (false, false, false);
    assert!(world.run(minute(), |w| {
        for piece in w.engine(1).torrent.download_queue().expect("there is metadata") {
            let count = |state: u8| piece.blocks.iter().filter(|b| **b == state).count() as u32;
            assert_eq!((piece.blocks.len(), piece.blocks_in_piece), (4, 4), "{piece:?}");
            assert_eq!((count(1), count(2), count(3)), (piece.requested, piece.writing, piece.finished), "{piece:?}");
            assert!(count(2) == 0 || count(2) == 4, "{piece:?}");
            both |= piece.requested > 0 && piece.finished > 0;
            writing |= piece.writing == 4;
            none |= count(0) > 0;
        }
        complete(w)
    }));
    assert!(both && writing && none, "{both} {writing} {none}");
    world.run_for(seconds(1));
    assert_eq!(world.engine(1).torrent.download_queue().expect("there is metadata"), []);
    world.end();
}

#[test]
fn bad_pieces_are_held_against_who_had_a_part_in_them() {
    let mut world = beside(2 * MIB, 256 * KIB, 2 * MIB, &[Manner::CorruptBlock, Manner::Honest]);
    world.add_driver(0, Driver::new(1, 0, read_all()));
    let suspects = |w: &mut World| {
        let suspect = |p: &PeerInfo| (p.num_hashfails > 0).then_some(p.endpoint);
        peers(w, 0).iter().filter_map(suspect).collect::<Vec<SocketAddr>>()
    };
    assert!(world.run(minute(), |w| !suspects(w).is_empty()), "nobody is suspected");
    for peer in peers(&mut world, 0) {
        assert_eq!(peer.flags.contains(PeerFlags::ON_PAROLE), peer.num_hashfails > 0, "{peer:?}");
    }
    let failed = world.engine(0).count(|a| matches!(a, Alert::HashFailed { .. })) as u64;
    let told = status(&mut world, 0);
    assert_eq!((failed, told.total_failed_bytes), (1, 256 * KIB));
    assert_eq!(world.engine(0).hash_failures(), failed);
    assert!(world.finish(minute()));
    world.end();
}

#[test]
fn the_piece_that_failed_is_named_and_fetched_again() {
    let mut world = beside(MIB, 256 * KIB, 2 * MIB, &[Manner::Corrupt(1)]);
    world.add_driver(0, Driver::new(1, 0, [Step::Seek(600 * KIB), Step::Read(100)]));
    let failed = |w: &mut World| {
        let piece = |a: &Alert| if let Alert::HashFailed { piece } = a { Some(*piece) } else { None };
        w.engine(0).alerts.iter().filter_map(piece).collect::<Vec<u32>>()
    };
    assert!(world.run(minute(), |w| !failed(w).is_empty()));
    assert_eq!(failed(&mut world), [2], "the piece that was read");
    let seed = world.add_script(Manner::Honest, fast());
    world.introduce(0, &[seed]);
    assert!(world.finish(minute()), "it was not fetched again");
    world.end();
}

#[test]
fn what_came_twice_is_redundant() {
    let mut world = beside(MIB, 64 * KIB, 2 * MIB, &[Manner::Double]);
    must_read(&mut world, 0);
    let told = status(&mut world, 0);
    assert!(told.total_redundant_bytes >= 512 * KIB, "{told:?}");
    assert_eq!(told.total_failed_bytes, 0);
    world.end();
}

#[test]
fn peers_seeds_and_candidates_are_counted() {
    let mut world = beside(MIB, 64 * KIB, 2 * MIB, &[Manner::Honest, Manner::Honest, Manner::Honest, Manner::Honest]);
    let told = status(&mut world, 0);
    assert_eq!((told.num_peers, told.list_peers, told.num_connections), (0, 4, 4), "all are dialled");
    world.script(2).has = Some(vec![1, 2, 3]);
    world.set_away(3, true);
    world.leave(4);
    world.add_driver(0, Driver::new(1, 0, read_all()));
    world.run_for(seconds(2));
    let told = status(&mut world, 0);
    assert_eq!((told.num_peers, told.num_seeds, told.num_connections), (2, 1, 2), "{told:?}");
    assert_eq!((told.list_peers, told.list_seeds, told.connect_candidates), (4, 1, 2), "{told:?}");
    world.end();
}

#[test]
fn time_counts_while_it_runs_and_by_what_is_there() {
    let mut world = slow(Setup::disk());
    let began = world.now();
    assert!(world.run(minute(), complete));
    let took = world.now().since(began).as_secs();
    world.run_for(seconds(20));
    let running = status(&mut world, 1);
    let near = |found: u64, expected: u64| found.abs_diff(expected) <= 5;
    assert!(near(running.active_duration, took + 20), "{running:?}");
    assert!(near(running.finished_duration, 20) && near(running.seeding_duration, 20), "{running:?}");
    let now = world.now();
    world.engine(1).torrent.pause(now);
    world.settle(1);
    world.run_for(seconds(100));
    let paused = status(&mut world, 1);
    assert!(near(paused.active_duration, took + 20) && near(paused.seeding_duration, 20), "{paused:?}");
    world.end();

    // All that is wanted, and not all that there is.
    let shape = super::super::content::Shape { piece_length: 64 * KIB as u32, files: vec![(MIB, false), (MIB, false)] };
    let mut world = World::new(133, Content::new(133, &shape));
    let seed = world.add_engine(Setup::seed(), fast());
    let node = world.add_engine(Setup { file_priorities: vec![4, 0], ..Setup::disk() }, fast());
    world.introduce(node, &[seed]);
    world.run_for(seconds(30));
    let told = status(&mut world, node);
    assert!(near(told.finished_duration, 30) && told.seeding_duration == 0, "{told:?}");
    world.end();
}

#[test]
fn memory_is_told_by_what_it_is_for() {
    let mut world = slow(Setup::memory(2 * MIB));
    world.add_driver(1, Driver::new(1, 0, read_all()));
    let mut coming = false;
    assert!(world.run(minute(), |w| {
        let told = memory(w, 1);
        assert!(told.resident + told.partial + told.in_flight <= told.session_charged, "{told:?}");
        assert!(told.pinned <= told.resident + told.partial + told.in_flight, "{told:?}");
        assert!(told.session_peak <= told.session_limit && told.share == told.session_limit, "{told:?}");
        coming |= told.partial > 0 && told.in_flight > 0 && told.resident > 0;
        w.engine(1).is_done()
    }));
    assert!(coming, "nothing was ever told to be on its way");
    world.run_for(seconds(2));
    let told = memory(&mut world, 1);
    assert_eq!((told.partial, told.in_flight), (0, 0));
    assert_eq!(told.resident, u64::from(told.resident_pieces) * 64 * KIB);
    assert_eq!(told.pinned, 128 * KIB, "the first piece and the last");
    assert_eq!((told.session_limit, told.session_charged), (2 * MIB, told.resident));
    world.end();
}

#[test]
fn two_that_are_read_share_the_limit() {
    let mut world = World::new(137, Content::single(137, 8 * MIB, 64 * KIB as u32));
    let seed = world.add_engine(Setup::seed(), fast());
    let shared = Memory::new(2 * MIB);
    let setup = Setup { shared: Some(shared), ..Setup::memory(2 * MIB) };
    let nodes = [1, 2].map(|_| world.add_engine(setup.clone(), fast()));
    world.introduce(nodes[0], &[seed]);
    world.add_driver(nodes[0], Driver::new(1, 0, read_all()).at_rate(100 * KIB));
    world.run_for(seconds(3));
    assert_eq!(memory(&mut world, nodes[0]).share, 2 * MIB, "nobody else is there");
    world.introduce(nodes[1], &[seed]);
    world.add_driver(nodes[1], Driver::new(1, 0, read_all()).at_rate(100 * KIB));
    world.run_for(seconds(3));
    let shares = nodes.map(|node| memory(&mut world, node).share);
    assert!(shares[0] + shares[1] <= 2 * MIB && shares.iter().all(|s| *s >= 512 * KIB), "{shares:?}");
    world.end();
}

#[test]
fn too_little_memory_for_three_pieces_is_told_of_what_lives_in_memory() {
    let warned = |setup: Setup| {
        let mut world = World::new(139, Content::single(139, 2 * MIB, 256 * KIB as u32));
        let node = world.add_engine(setup, fast());
        let told = |a: &Alert| matches!(a, Alert::Performance { warning: PerformanceWarning::MemoryLimitTooLow });
        let count = world.engine(node).count(told);
        world.end();
        count
    };
    assert_eq!(warned(Setup::memory(512 * KIB)), 1);
    assert_eq!(warned(Setup::memory(768 * KIB)), 0, "three fit");
    assert_eq!(warned(Setup { memory: 256 * KIB, ..Setup::disk() }), 0, "it does not live there");
    assert_eq!(warned(Setup { memory: 128 * KIB, ..Setup::disk() }), 1, "but it comes through there");
    assert_eq!(
        warned(Setup { magnet: true, ..Setup::memory(512 * KIB) }),
        0,
        "it is not known yet how large pieces are"
    );
}

#[test]
fn the_first_byte_and_the_last_seek_are_timed() {
    let mut world = slow(Setup::memory(2 * MIB));
    world.add_driver(1, Driver::new(1, 0, [Step::Read(100), Step::Seek(2 * MIB), Step::Read(100)]));
    let none = reader(&mut world, 1);
    assert_eq!((none.time_to_first_byte_us, none.last_seek_latency_us), (-1, -1));
    assert!(world.run(minute(), |w| w.engine(1).drivers[0].steps.len() < 3));
    let first = reader(&mut world, 1);
    let took = world.engine(1).drivers[0].gauge.runs[0].first.expect("it was read");
    assert_eq!((first.time_to_first_byte_us, first.last_seek_latency_us), (took.as_micros() as i64, -1));
    assert!(world.finish(minute()));
    let second = reader(&mut world, 1);
    let seek = world.engine(1).drivers[0].gauge.runs[1].first.expect("it was read");
    assert_eq!(second.last_seek_latency_us, seek.as_micros() as i64);
    assert_eq!(second.time_to_first_byte_us, first.time_to_first_byte_us);
    world.end();
}

#[test]
fn other_options_end_a_prebuffer() {
    let mut world = slow(Setup::memory(2 * MIB));
    world.add_driver(1, Driver::new(1, 0, [Step::Prebuffer(256 * KIB, 128 * KIB), Step::Sleep(minute())]));
    world.run_for(seconds(1));
    let told = reader(&mut world, 1);
    assert!(told.prebuffer_total >= 384 * KIB && told.prebuffer_done < told.prebuffer_total, "{told:?}");
    let progress = |w: &mut World| w.engine(1).count(|a| matches!(a, Alert::PrebufferProgress { .. }));
    let before = progress(&mut world);
    assert!(before > 0);
    let now = world.now();
    let options = Default::default();
    world.engine(1).torrent.set_reader_options(now, ReaderId(1), options).expect("the reader is open");
    world.settle(1);
    world.run_for(seconds(10));
    let told = reader(&mut world, 1);
    assert_eq!((told.prebuffer_done, told.prebuffer_total), (0, 0));
    assert_eq!(progress(&mut world), before, "nothing more is told of it");
    world.end();
}

/// The same world goes the same way, whether it is asked all the time why its readers wait, or never.
#[test]
fn who_asks_why_changes_nothing() {
    let trace = |asks: bool| {
        let mut world = slow(Setup::memory(512 * KIB));
        world.audit_every = u64::MAX;
        world.add_driver(1, Driver::new(1, 0, read_all()));
        let mut asked = 0;
        assert!(world.run(minute(), |w| {
            if asks {
                let now = w.now();
                asked += u32::from(w.engine(1).torrent.explain(now, ReaderId(1)).is_ok());
            }
            w.engine(1).is_done()
        }));
        world.end();
        (asked, world.trace, world.steps)
    };
    let (asked, quiet) = (trace(true), trace(false));
    assert!(asked.0 > 1000 && quiet.0 == 0, "asked {} and {} times", asked.0, quiet.0);
    assert_eq!((asked.1, asked.2), (quiet.1, quiet.2));
}

/// The last announce is written when it has gone.
#[test]
fn the_numbers_for_trackers_stay_when_the_torrent_is_removed() {
    for (after, left) in [(4, 1..4 * MIB), (30, 0..1)] {
        let mut world = slow(Setup::disk());
        world.run_for(seconds(after));
        let now = world.now();
        let torrent = &mut world.engine(1).torrent;
        let before = (torrent.bytes_left(), torrent.totals());
        assert!(left.contains(&before.0), "{before:?}");
        torrent.remove(now);
        assert_eq!((torrent.bytes_left(), torrent.totals()), before);
    }
}
