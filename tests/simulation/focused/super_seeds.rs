//! Peers that show one piece at a time.

use elementum_torrent::engine::config::StorageKind;

use super::*;

/// What nobody wants is taken, or what is wanted would never be shown.
#[test]
fn a_super_seeder_is_not_waited_for() {
    let kinds = [(StorageKind::Memory, 4 * MIB), (StorageKind::Memory, MIB), (StorageKind::Disk, MIB)];
    for (i, (storage, memory)) in kinds.into_iter().chain(kinds).enumerate() {
        let told = i < kinds.len();
        let mut world = World::new(501, Content::single(501, 2 * MIB, 64 * KIB as u32));
        let node = world.add_engine(Setup { storage, ..Setup::memory(memory) }, fast());
        let shower = world.add_script(Manner::Shower { told }, fast());
        world.introduce(node, &[shower]);
        world.add_driver(node, Driver::new(1, 0, [Step::Read(256 * KIB)]));
        let told = format!("{storage:?}, {memory}, told {told}");
        assert!(world.finish(Duration::from_secs(15)), "{told}: {}", world.engine(node).torrent.describe());
        assert_eq!(world.engine(node).hash_failures(), 0, "{told}");
        world.end();
    }
}

/// It shows again what we lost, and has no other use for what it showed before.
#[test]
fn what_is_shown_again_is_taken_again() {
    for (seed, memory) in (504..506).flat_map(|seed| [(seed, 512 * KIB), (seed, MIB), (seed, 4 * MIB)]) {
        for background in [false, true] {
            let mut world = World::new(seed, Content::single(seed, 2 * MIB, 64 * KIB as u32));
            let node = world.add_engine(Setup::memory(memory), fast());
            let shower = world.add_script(Manner::SuperSeeder, fast());
            world.introduce(node, &[shower]);
            let mut driver = Driver::new(1, 0, [Step::Read(2 * MIB)]);
            if background {
                driver = driver.at_rate(512 * KIB);
            }
            world.add_driver(node, driver);
            let told = format!("{seed}, {memory}, {background}");
            assert!(world.finish(minute()), "{told}: {}", world.engine(node).torrent.describe());
            assert_eq!(world.engine(node).hash_failures(), 0, "{told}");
            world.end();
        }
    }
}

/// A deadline waits, too.
#[test]
fn what_is_shown_is_taken_for_a_deadline() {
    let mut world = beside(2 * MIB, 64 * KIB, 4 * MIB, &[Manner::Shower { told: false }]);
    let now = world.now();
    world.engine(0).torrent.set_piece_deadline(now, 3, 0).expect("a piece");
    world.settle(0);
    let had = |w: &mut World| w.engine(0).torrent.had_pieces().contains(&3);
    assert!(world.run(Duration::from_secs(15), had), "{}", world.engine(0).torrent.describe());
    world.end();
}

/// A peer that shows pieces beside one that is slow, and has what is read.
#[test]
fn nothing_is_taken_while_anybody_has_what_is_waited_for() {
    let mut world = World::new(502, Content::single(502, 2 * MIB, 64 * KIB as u32));
    let mut setup = Setup::memory(512 * KIB);
    setup.settings.reader_lookbehind_percent = 0;
    let node = world.add_engine(setup, fast());
    let slow = world.add_script(Manner::Honest, Line::new(32 * KIB, MIB, 30));
    let shower = world.add_script(Manner::Shower { told: false }, fast());
    world.script(shower).has = Some(Vec::new());
    // Far from what is read.
    world.script(shower).unshown = (16..28).collect();
    world.introduce(node, &[slow, shower]);
    world.add_driver(node, Driver::new(1, 0, [Step::Read(256 * KIB)]));
    assert!(world.finish(minute()), "{}", world.engine(node).torrent.describe());
    let sent = world.script(shower).blocks_sent;
    assert_eq!(sent, 0, "taken of what nobody wants");
    world.end();
}

/// What is taken is not taken again, and pushes out nothing that is kept.
#[test]
fn a_peer_that_shows_what_is_of_no_use_costs_what_it_shows() {
    let mut world = World::new(503, Content::single(503, 4 * MIB, 64 * KIB as u32));
    let node = world.add_engine(Setup::memory(MIB), fast());
    let shower = world.add_script(Manner::Shower { told: false }, fast());
    world.script(shower).has = Some(Vec::new());
    world.script(shower).unshown = (1..64).collect();
    world.introduce(node, &[shower]);
    world.add_driver(node, Driver::new(1, 0, [Step::Read(64 * KIB)]));
    world.run_for(minute());
    let sent = world.script(shower).blocks_sent;
    assert!((4 * 40..=4 * 63).contains(&sent), "{sent} blocks");
    world.end();
}
