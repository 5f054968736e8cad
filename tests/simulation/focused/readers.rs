//! Readers: seeks, several at once, what is wanted first.

use elementum_torrent::alert::Alert;
use elementum_torrent::base::error::Status;
use elementum_torrent::base::time::Time;
use elementum_torrent::engine::readers::reader::{ReaderId, ReaderOptions};
use elementum_torrent::wire::{Message, Received};

use super::*;
use crate::zeros::{self, Seeder};

#[test]
fn a_file_is_read_from_one_seed() {
    let mut world = pair(4 * MIB + 12_345, 256 * KIB, 2 * MIB);
    let begun = world.now();
    must_read(&mut world, 1);
    // 4 MiB at 8 MiB/s, a few round trips.
    let took = world.now().since(begun);
    assert!(took < Duration::from_millis(1500), "{took:?}");
    world.end();
}

#[test]
fn seek_cancels_and_refetches() {
    let mut world = pair(16 * MIB, 256 * KIB, 4 * MIB);
    let steps = [Step::Read(MIB), Step::Seek(10 * MIB), Step::Read(MIB), Step::Seek(2 * MIB), Step::Read(MIB)];
    let driver = world.add_driver(1, Driver::new(1, 0, steps));
    assert!(world.finish(minute()));
    let engine = world.engine(1);
    assert!(engine.torrent.counters().cancelled_blocks > 0, "a seek takes back what is not wanted any more");
    let latencies: Vec<_> = engine.drivers[driver].gauge.seeks().iter().filter_map(|s| s.first).collect();
    // A round trip (60 ms) and a piece (31 ms), and a little for what was in flight.
    assert!(latencies.len() == 2 && latencies.iter().all(|l| *l < Duration::from_millis(160)), "{latencies:?}");
    // What comes for cancelled requests is little, and costs no request its memory.
    assert!(world.bytes_into(1) < 9 * MIB, "{} bytes for 3 MiB read", world.bytes_into(1));
    world.end();
}

#[test]
fn a_seek_there_and_back_gets_an_answer() {
    let mut world = pair(4 * MIB, 64 * KIB, MIB);
    let mut steps = vec![Step::Read(200 * KIB)];
    for i in 0..20 {
        steps.extend([Step::Seek((i % 2) * 3 * MIB), Step::Sleep(Duration::from_millis(i * 3))]);
    }
    steps.extend([Step::Seek(0), Step::Read(u64::MAX)]);
    world.add_driver(1, Driver::new(1, 0, steps));
    assert!(world.finish(minute()), "a reject for a cancelled request was taken for a refusal");
    world.end();
}

#[test]
fn back_seek_inside_lookbehind_costs_no_network() {
    let mut world = pair(8 * MIB, 128 * KIB, 4 * MIB);
    let options = ReaderOptions { lookbehind: Some(MIB), lookahead: Some(512 * KIB), ..Default::default() };
    let driver = world.add_driver(1, Driver::new(1, 0, [Step::Read(3 * MIB)]).with(options));
    assert!(world.finish(minute()));
    world.run_for(Duration::from_secs(2));
    let before = world.bytes_into(1);
    let steps = [Step::Seek(2 * MIB + 200 * KIB), Step::Read(500 * KIB)];
    world.engine(1).drivers[driver].steps.extend(steps);
    world.poll_driver(1, driver);
    assert!(world.engine(1).is_done(), "it is all there: no wait; {}", world.engine(1).torrent.describe());
    world.run_for(Duration::from_secs(1));
    assert!(world.bytes_into(1) - before < KIB, "{} bytes came", world.bytes_into(1) - before);
    world.end();
}

/// One in the background that plays from now on comes before one that plays no more: at once, not after what was asked for already.
#[test]
fn a_background_reader_is_promoted() {
    let mut world = pair(32 * MIB, 256 * KIB, 16 * MIB);
    let background = ReaderOptions { background: true, ..Default::default() };
    world.add_driver(1, Driver::new(1, 0, read_all()));
    world.add_driver(1, Driver::new(2, 0, [Step::Seek(24 * MIB), Step::Read(u64::MAX)]).with(background.clone()));
    let read = |world: &mut World, id: u64| {
        world.engine(1).torrent.reader_status(ReaderId(id)).expect("the reader is open").bytes_read
    };
    assert!(world.run(minute(), |w| read(w, 1) > 4 * MIB), "it does not play");
    let (plays, waits) = (read(&mut world, 1), read(&mut world, 2));
    assert!(waits < plays / 4, "{waits} bytes in the background, {plays} that play");

    let now = world.now();
    let torrent = &mut world.engine(1).torrent;
    torrent.set_reader_options(now, ReaderId(2), ReaderOptions::default()).expect("the reader is open");
    torrent.set_reader_options(now, ReaderId(1), background).expect("the reader is open");
    assert!(world.run(minute(), |w| read(w, 2) > waits + 2 * MIB), "it does not play now");
    let behind = read(&mut world, 1) - plays;
    // What was on its way to the other one, or here already, is still its own.
    assert!(behind < 2 * MIB, "{behind} bytes for the one that went into the background");
    assert!(world.finish(minute()));
    world.end();
}

/// How far is looked ahead may change while a reader is open; whether its bytes are verified may not.
#[test]
fn lookahead_changes_while_a_reader_is_open() {
    let mut world = pair(16 * MIB, 128 * KIB, 8 * MIB);
    let options = |ahead: u64| ReaderOptions { lookahead: Some(ahead), ..Default::default() };
    world.add_driver(1, Driver::new(1, 0, [Step::Read(MIB)]).with(options(256 * KIB)));
    assert!(world.finish(minute()));
    let window = |world: &mut World| {
        let status = world.engine(1).torrent.reader_status(ReaderId(1)).expect("the reader is open");
        (status.window_end - status.position) / KIB
    };
    let mut change = |ahead: u64| {
        let now = world.now();
        world.engine(1).torrent.set_reader_options(now, ReaderId(1), options(ahead)).expect("the reader is open");
        world.run_for(Duration::from_secs(2));
        (window(&mut world), world.bytes_into(1))
    };
    let (ahead, before) = change(256 * KIB);
    assert!((256..=384).contains(&ahead), "{ahead} KiB");
    let (ahead, after) = change(3 * MIB);
    assert!((3072..=3200).contains(&ahead), "{ahead} KiB");
    assert!(after - before > 5 * MIB / 2, "{} bytes were fetched for it", after - before);
    let (ahead, last) = change(256 * KIB);
    assert!((256..=384).contains(&ahead), "{ahead} KiB");
    assert!(last - after < MIB / 8, "{} bytes were fetched for less", last - after);

    let now = world.now();
    let torrent = &mut world.engine(1).torrent;
    let unverified = ReaderOptions { unverified: true, ..options(MIB) };
    let refused = torrent.set_reader_options(now, ReaderId(1), unverified).expect_err("it was opened verified");
    assert_eq!(refused.status, Status::InvalidArgument);
    assert!(torrent.set_reader_options(now, ReaderId(77), options(MIB)).is_err(), "there is no such reader");
    world.end();
}

/// A reader that waits stands at the start of a missing piece, with what it has read right behind it.
#[test]
fn a_stalled_reader_has_its_lookbehind() {
    let mut world = pair(8 * MIB, 128 * KIB, 4 * MIB);
    world.add_driver(1, Driver::new(1, 0, [Step::Read(MIB)]));
    assert!(world.finish(minute()));
    world.leave(0);
    world.engine(1).drivers[0].steps.extend([Step::Read(8 * MIB)]);
    world.poll_driver(1, 0);
    world.run_for(Duration::from_secs(5));
    let id = world.engine(1).drivers[0].id;
    let status = world.engine(1).torrent.reader_status(id).expect("it is open");
    assert!(status.position.is_multiple_of(128 * KIB) && status.buffered_ahead == 0, "{status:?}");
    assert!(status.buffered_behind >= 256 * KIB, "{status:?}");
    world.end();
}

/// The block at its position wakes it, not only the piece.
#[test]
fn an_unverified_reader_is_woken_by_its_block() {
    let mut world = pair(64 * MIB, 4 * MIB, 32 * MIB);
    let options = ReaderOptions { unverified: true, ..Default::default() };
    let steps = [Step::Read(5 * MIB), Step::Sleep(minute()), Step::Seek(48 * MIB), Step::Read(1)];
    world.add_driver(1, Driver::new(1, 0, steps).with(options.clone()));
    world.run_for(Duration::from_secs(30));
    world.add_driver(1, Driver::new(2, 0, [Step::ReadAt(40 * MIB, 1)]).with(options));
    let began = world.now();
    assert!(world.run(minute(), |w| w.engine(1).drivers[1].is_done()));
    let took = world.now().since(began);
    assert!(took < Duration::from_millis(100), "{took:?} to read in a new piece");
    assert!(world.finish(minute() * 2));
    let latencies: Vec<_> = world.engine(1).drivers[0].gauge.runs.iter().skip(1).filter_map(|r| r.first).collect();
    // A round trip is 60 ms; the whole piece would take half a second.
    assert!(latencies.iter().all(|l| *l < Duration::from_millis(100)), "{latencies:?}");
    world.end();
}

/// In the middle of a piece it does not wait for the blocks before its own, and at the end of one not for those before it either.
#[test]
fn an_unverified_reader_begins_where_it_stands() {
    let mut world = pair(64 * MIB, 4 * MIB, 64 * MIB);
    let options = ReaderOptions { unverified: true, lookahead: Some(4 * MIB), ..Default::default() };
    let mut steps = vec![Step::Read(MIB)];
    for (to, n) in [(30 * MIB, MIB), (16 * MIB - 100 * KIB, MIB), (44 * MIB - 5, 100 * KIB)] {
        steps.extend([Step::Sleep(minute()), Step::Seek(to), Step::Read(n)]);
    }
    steps.push(Step::Sleep(minute()));
    world.add_driver(1, Driver::new(1, 0, steps).with(options));
    assert!(world.finish(minute() * 4));
    let runs = world.engine(1).drivers[0].gauge.seeks().to_vec();
    // A round trip is 60 ms; a MiB takes 125 more.
    assert!(runs.iter().all(|r| r.first.is_some_and(|t| t < Duration::from_millis(75))), "{runs:?}");
    assert!(runs.iter().filter_map(|r| r.goal).all(|t| t < Duration::from_millis(220)), "{runs:?}");
    world.run_for(minute());
    let began = world.now();
    world.engine(1).drivers[0].steps.extend([Step::ReadAt(55 * MIB, 1)]);
    world.poll_driver(1, 0);
    world.settle(1);
    assert!(world.finish(minute()));
    let took = world.now().since(began);
    assert!(took < Duration::from_millis(75), "{took:?} for a byte in the middle of a piece");
    world.end();
}

#[test]
fn two_readers_share() {
    let mut world = pair(4 * MIB, 128 * KIB, 3 * MIB);
    world.add_driver(1, Driver::new(1, 0, read_all()).at_rate(2 * MIB));
    world.add_driver(1, Driver::new(2, 0, read_all()).at_rate(2 * MIB));
    assert!(world.finish(minute()));
    assert!(world.bytes_into(1) < 4 * MIB + 600 * KIB, "{} bytes for one file read twice", world.bytes_into(1));
    world.end();
}

#[test]
fn many_readers_take_turns_in_memory_for_one_piece() {
    let mut world = pair(MIB, 64 * KIB, 64 * KIB);
    for id in 1..=4 {
        let steps = [Step::Seek(id * 200 * KIB), Step::Read(100 * KIB), Step::Close];
        world.add_driver(1, Driver::new(id, 0, steps));
    }
    assert!(world.finish(minute() * 5), "readers stood in each other's way for ever");
    world.end();
}

#[test]
fn an_idle_reader_gives_up_its_share_not_its_pins() {
    let mut world = pair(16 * MIB, 128 * KIB, 4 * MIB);
    let sleeper = world.add_driver(1, Driver::new(1, 0, [Step::Read(MIB)]));
    assert!(world.finish(minute()));
    world.run_for(Duration::from_secs(15));
    world.add_driver(1, Driver::new(2, 0, [Step::Seek(8 * MIB), Step::Read(4 * MIB)]).at_rate(MIB));
    assert!(world.finish(minute()));
    let id = world.engine(1).drivers[sleeper].id;
    let engine = world.engine(1);
    let share = engine.torrent.reader_status(id).expect("open");
    assert!(share.window_end - share.window_begin <= 128 * KIB, "{share:?}");
    let had = engine.torrent.had_pieces();
    assert!(had.contains(&0) && had.contains(&127), "head and tail are pinned: {had:?}");
    world.end();
}

#[test]
fn read_at_finds_its_piece_beside_a_full_window() {
    let mut world = pair(2 * MIB, 64 * KIB, 192 * KIB);
    let steps = [Step::Read(300 * KIB), Step::ReadAt(MIB, 10_000), Step::ReadAt(100, 10_000), Step::Read(u64::MAX)];
    world.add_driver(1, Driver::new(1, 0, steps));
    assert!(world.finish(minute()));
    world.end();
}

#[test]
fn a_stall_is_told_once_and_its_end_too() {
    let mut world = World::new(3, Content::single(3, 2 * MIB, 64 * KIB as u32));
    let seed = world.add_engine(Setup::seed(), Line::new(100 * KIB, MIB, 10));
    let node = world.add_engine(Setup::memory(MIB), fast());
    world.introduce(node, &[seed]);
    must_read(&mut world, node);
    let engine = world.engine(node);
    let stalled = engine.count(|a| matches!(a, Alert::ReaderStalled { .. }));
    let ready = engine.count(|a| matches!(a, Alert::ReaderReady { .. }));
    assert!(stalled > 0 && stalled == ready, "{stalled} stalls, {ready} ends");
    world.end();
}

#[test]
fn a_slow_peer_that_alone_has_the_piece_is_asked() {
    let mut world = World::new(5, Content::single(5, MIB, 64 * KIB as u32));
    let node = world.add_engine(Setup::memory(MIB), fast());
    let quick = world.add_script(Manner::Honest, fast());
    let slow = world.add_script(Manner::Honest, Line::new(40 * KIB, MIB, 100));
    world.script(quick).has = Some((0..16).filter(|p| *p != 5).collect());
    world.introduce(node, &[quick, slow]);
    must_read(&mut world, node);
    world.end();
}

#[test]
fn prebuffer_tells_its_progress_to_the_end() {
    let mut world = pair(4 * MIB, 128 * KIB, 4 * MIB);
    let steps = [Step::Prebuffer(MIB, 256 * KIB), Step::Sleep(Duration::from_secs(5))];
    world.add_driver(1, Driver::new(1, 0, steps));
    world.run_for(Duration::from_secs(6));
    let told: Vec<(u64, u64)> = world
        .engine(1)
        .alerts
        .iter()
        .filter_map(|a| match a {
            Alert::PrebufferProgress { bytes_done, bytes_total, .. } => Some((*bytes_done, *bytes_total)),
            _ => None,
        })
        .collect();
    let (done, total) = told.last().copied().expect("progress was told");
    assert_eq!(done, total, "{told:?}");
    assert!(total >= MIB + 256 * KIB, "{told:?}");
    world.end();
}

/// A player that seeks by closing one reader and opening another: what was on its way for the first is told by the second.
#[test]
fn what_a_closed_reader_left_on_its_way_is_counted_to_the_next() {
    let mut world = World::new(127, Content::single(127, 8 * MIB, 256 * KIB as u32));
    let node = world.add_engine(Setup::memory(4 * MIB), fast());
    let seed = world.add_script(Manner::Honest, Line::new(MIB, MIB, 80));
    world.introduce(node, &[seed]);
    let steps = [Step::Seek(3 * MIB), Step::ReadFor(minute() / 60), Step::Close];
    world.add_driver(node, Driver::new(1, 0, steps));
    world.run_for(Duration::from_millis(1001));
    world.add_driver(node, Driver::new(2, 0, [Step::Seek(6 * MIB), Step::Read(MIB)]));
    assert!(world.finish(minute()));
    let status = world.engine(node).torrent.reader_status(ReaderId(2)).expect("open");
    let stray = world.engine(node).torrent.counters().redundant_bytes;
    assert!(status.wasted_bytes > 0 && status.wasted_bytes <= stray, "{} of {stray}", status.wasted_bytes);
    world.end();
}

/// The file's head and tail, not what lies at the position, and before what does.
#[test]
fn a_prebuffer_is_of_the_files_ends_wherever_the_position_is() {
    let mut world = World::new(5, Content::single(5, 8 * MIB, 64 * KIB as u32));
    let node = world.add_engine(Setup::memory(8 * MIB), fast());
    let seed = world.add_script(Manner::Honest, Line::new(256 * KIB, MIB, 20));
    world.introduce(node, &[seed]);
    let steps = [Step::Seek(4 * MIB), Step::Prebuffer(512 * KIB, 256 * KIB)];
    world.add_driver(node, Driver::new(1, 0, steps));
    let ends = (0..8).chain(124..128);
    let all = |w: &mut World| (0..8).chain(124..128).all(|p| w.engine(0).torrent.had_pieces().contains(&p));
    assert!(world.run(minute(), all), "{:?}", world.engine(node).torrent.had_pieces());
    let had = world.engine(node).torrent.had_pieces();
    assert_eq!(had, ends.collect::<Vec<_>>(), "something else came first");
    world.end();
}

/// They stay while the reader plays through many times the memory, as far as a quarter of it goes.
#[test]
fn what_was_prebuffered_is_kept_while_the_reader_is_open() {
    let mut world = pair(16 * MIB, 64 * KIB, 4 * MIB);
    world.add_driver(1, Driver::new(1, 0, [Step::Prebuffer(512 * KIB, 256 * KIB), Step::Read(15 * MIB)]));
    assert!(world.finish(minute()));
    let kept: Vec<u32> = (0..8).chain(252..256).collect();
    let had = world.engine(1).torrent.had_pieces();
    assert!(kept.iter().all(|piece| had.contains(piece)) && !had.contains(&40), "{had:?}");
    // More than a quarter is asked for: an eighth of each is kept.
    world.add_driver(1, Driver::new(2, 0, [Step::Prebuffer(3 * MIB, MIB), Step::Read(15 * MIB)]));
    world.engine(1).drivers[0].steps.push_back(Step::Close);
    world.poll_driver(1, 0);
    world.settle(1);
    assert!(world.finish(minute()));
    let had = world.engine(1).torrent.had_pieces();
    let kept: Vec<u32> = (0..8).chain(248..256).collect();
    assert!(kept.iter().all(|piece| had.contains(piece)) && !had.contains(&20), "{had:?}");
    world.end();
}

/// The first 4 MiB and then play: what is more than may be pinned comes as lookahead.
#[test]
fn a_prebuffer_of_more_than_may_be_pinned_comes_all_the_same() {
    let mut world = pair(16 * MIB, 64 * KIB, 4 * MIB);
    world.add_driver(1, Driver::new(1, 0, [Step::Prebuffer(2 * MIB, 0)]));
    let there = |w: &mut World| (0..32).all(|piece| w.engine(1).torrent.had_pieces().contains(&piece));
    assert!(world.run(minute(), there), "{:?}", world.engine(1).torrent.had_pieces());
    world.end();
}

/// One reader's prebuffer is no more urgent than what another plays.
#[test]
fn a_prebuffer_does_not_starve_another_reader() {
    let mut world = World::new(5, Content::single(5, 16 * MIB, 64 * KIB as u32));
    let node = world.add_engine(Setup::memory(16 * MIB), fast());
    let seed = world.add_script(Manner::Honest, Line::new(2 * MIB, MIB, 20));
    world.introduce(node, &[seed]);
    world.add_driver(node, Driver::new(1, 0, [Step::Seek(4 * MIB), Step::Read(8 * MIB)]).at_rate(MIB));
    world.run_for(Duration::from_secs(3));
    let stalls = |w: &mut World| w.engine(node).count(|a| matches!(a, Alert::ReaderStalled { .. }));
    let before = stalls(&mut world);
    world.add_driver(node, Driver::new(2, 0, [Step::Prebuffer(3 * MIB, MIB)]));
    world.run_for(Duration::from_secs(4));
    assert_eq!(stalls(&mut world), before);
    world.end();
}

/// A peer with the fast extension answers what was taken back, too. Of very many such answers we do not know any more which they are:
/// they refuse nothing that was asked for since.
#[test]
fn late_answers_to_very_many_cancels_refuse_nothing() {
    let now = Time::BEGINNING;
    let mut torrent = zeros::torrent(now, 64 * MIB, 64 * KIB as u32, 64 * MIB);
    let mut seeder = Seeder::connect(&mut torrent, now, 1);
    torrent.open_reader(now, ReaderId(1), 0, ReaderOptions::default()).expect("a reader");
    let (mut answered, mut asked) = (Vec::new(), seeder.requests(&mut torrent, now));
    for n in 0.. {
        if answered.len() > 6000 {
            break;
        }
        torrent.seek(now, ReaderId(1), if n % 2 == 0 { 32 * MIB } else { 0 }).expect("a seek");
        answered.append(&mut asked);
        asked = seeder.requests(&mut torrent, now);
        assert!(!asked.is_empty(), "{}", torrent.describe());
    }
    for batch in answered.chunks(100) {
        let mut rejects = batch.iter().map(|r| Received::Message(Message::Reject(*r))).collect();
        torrent.peer_received(now, seeder.key, &mut rejects, 1700);
    }
    assert_eq!(seeder.blocks(&asked).len(), asked.len(), "what was asked for last is paid for still");
}
