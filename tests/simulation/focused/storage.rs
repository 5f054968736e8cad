//! Disk storage, states, pauses.

use elementum_torrent::alert::{Alert, TorrentState};

use super::*;

fn disk_pair(setup: Setup) -> World {
    let mut world = World::new(67, Content::single(67, 2 * MIB + 5, 64 * KIB as u32));
    let seed = world.add_engine(Setup::seed(), fast());
    let node = world.add_engine(setup, fast());
    world.introduce(node, &[seed]);
    world
}

fn complete(world: &mut World) -> bool {
    world.engine(1).torrent.bytes_left() == 0
}

#[test]
fn a_download_to_disk_tells_each_thing_once() {
    let mut world = disk_pair(Setup::disk());
    assert!(world.run(minute(), complete));
    world.run_for(Duration::from_secs(5));
    let engine = world.engine(1);
    assert_eq!(engine.count(|a| matches!(a, Alert::TorrentFinished)), 1);
    assert_eq!(engine.count(|a| matches!(a, Alert::PieceFinished { .. })), 33);
    assert_eq!(engine.count(|a| matches!(a, Alert::FileCompleted { .. })), 1);
    let states: Vec<TorrentState> = engine
        .alerts
        .iter()
        .filter_map(|a| match a {
            Alert::StateChanged { state, .. } => Some(*state),
            _ => None,
        })
        .collect();
    assert_eq!(states, [TorrentState::CheckingFiles, TorrentState::Downloading, TorrentState::Seeding]);
    assert_eq!(engine.pool.charged(), 0, "what is on disk takes no memory");
    world.end();
}

#[test]
fn disk_write_error_stops_with_alert() {
    let mut world = disk_pair(Setup { write_errors: 10, ..Setup::disk() });
    world.run_for(Duration::from_secs(3));
    let now = world.now();
    let engine = world.engine(1);
    assert_eq!(engine.count(|a| matches!(a, Alert::FileError { .. })), 1);
    assert_eq!(engine.count(|a| matches!(a, Alert::TorrentError { .. })), 1);
    assert!(engine.torrent.status(now).error.is_some());
    assert_eq!(engine.torrent.num_peers(), 0);
    assert_eq!(engine.torrent.next_timeout(), None);
    // The world resumes it five seconds later, each time.
    assert!(world.run(minute() * 20, complete));
    world.end();
}

#[test]
fn pause_stops_everything_and_resume_goes_on() {
    let mut world = disk_pair(Setup::disk());
    world.run_for(Duration::from_millis(200));
    let now = world.now();
    let torrent = &mut world.engine(1).torrent;
    torrent.pause(now);
    torrent.set_session_paused(now, true);
    torrent.resume(now);
    world.settle(1);
    world.run_for(Duration::from_millis(200));
    let before = world.bytes_into(1);
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.bytes_into(1), before, "the session is paused still");
    let now = world.now();
    world.engine(1).torrent.set_session_paused(now, false);
    world.settle(1);
    assert!(world.run(minute() * 3, complete));
    let engine = world.engine(1);
    assert_eq!(engine.count(|a| matches!(a, Alert::TorrentPaused)), 1);
    assert_eq!(engine.count(|a| matches!(a, Alert::TorrentResumed)), 1);
    world.end();
}

#[test]
fn a_recheck_finds_what_is_there() {
    let mut world = disk_pair(Setup::disk());
    assert!(world.run(minute(), complete));
    world.engine(1).disk.remove(&5);
    let now = world.now();
    world.engine(1).torrent.force_recheck(now).expect("there is metadata");
    world.settle(1);
    world.run_for(Duration::from_millis(100));
    assert!(!complete(&mut world));
    assert!(world.run(minute() * 3, complete), "the missing piece was not fetched again");
    world.end();
}

#[test]
fn files_not_wanted_are_not_fetched() {
    let shape = super::super::content::Shape {
        piece_length: 64 * KIB as u32,
        files: vec![(MIB, false), (MIB, false), (100 * KIB, false)],
    };
    let mut world = World::new(71, Content::new(71, &shape));
    let seed = world.add_engine(Setup::seed(), fast());
    let node = world.add_engine(Setup { file_priorities: vec![0, 4, 0], ..Setup::disk() }, fast());
    world.introduce(node, &[seed]);
    world.run_for(Duration::from_secs(10));
    let now = world.now();
    let engine = world.engine(node);
    assert_eq!(engine.torrent.had_pieces(), (16..32).collect::<Vec<_>>());
    assert_eq!(engine.torrent.status(now).state, TorrentState::Finished);
    assert!(!engine.torrent.peers(now)[0].flags.contains(elementum_torrent::engine::status::PeerFlags::INTERESTING));
    engine.torrent.set_file_priority(now, 0, 1).expect("a file");
    world.settle(node);
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.engine(node).torrent.had_pieces(), (0..32).collect::<Vec<_>>());
    assert_eq!(world.engine(node).count(|a| matches!(a, Alert::TorrentFinished)), 2);
    world.end();
}

#[test]
fn memory_that_evicts_is_not_finished_again_and_again() {
    let mut world = pair(MIB, 64 * KIB, MIB);
    must_read(&mut world, 1);
    for limit in [512 * KIB, MIB, 512 * KIB, MIB] {
        let now = world.now();
        world.engine(1).set_limit(now, limit);
        world.settle(1);
        world.add_driver(1, Driver::new(limit, 0, read_all()));
        assert!(world.finish(minute()));
    }
    let finished = world.engine(1).count(|a| matches!(a, Alert::TorrentFinished));
    assert!(finished <= 1, "finished {finished} times");
    world.end();
}

#[test]
fn removal_while_busy_gives_everything_back() {
    let mut world = pair(4 * MIB, 64 * KIB, MIB);
    world.add_driver(1, Driver::new(1, 0, read_all()));
    world.run_for(Duration::from_millis(300));
    world.end();
}

#[test]
fn what_somebody_was_asked_for_who_goes_is_asked_of_others() {
    let mut world = World::new(71, Content::single(71, 128 * KIB, 64 * KIB as u32));
    let node = world.add_engine(Setup::disk(), fast());
    let silent = world.add_script(Manner::Staller, fast());
    world.introduce(node, &[silent]);
    assert!(world.run(minute(), |w| w.script(1).requests_seen == 8), "all that there is");
    let honest = world.add_script(Manner::Honest, fast());
    world.introduce(node, &[honest]);
    world.run_for(Duration::from_secs(1));
    world.leave(silent);
    assert!(world.run(minute(), |w| w.engine(0).torrent.bytes_left() == 0), "nobody is asked for the rest");
    world.end();
}
