//! Seeks: until the first byte, and until a MiB is read.

use elementum_torrent::engine::readers::reader::ReaderOptions;

use super::swarm::Person;
use super::*;

/// Seeks to all parts of the film, one after the other, in any order, and a MiB read in each.
pub fn seek_about(swarm: &mut Swarm, seeks: u64) {
    let size = swarm.world.content.info.layout.files()[0].size;
    let mut parts: Vec<u64> = (1..=seeks).collect();
    swarm.rng.shuffle(&mut parts);
    let part = size / (seeks + 1);
    let mut steps = vec![Step::Read(2 * MIB)];
    for n in parts {
        steps.extend([Step::Seek(n * part + swarm.rng.u64(0..part / 2)), Step::Read(MIB)]);
    }
    swarm.open(Driver::new(1, 0, steps));
    swarm.finish(600 * SECOND);
}

fn seeks_on_the_line(seed: u64, piece_length: u64, seeders: usize) -> Figures {
    let mut swarm = Swarm::behind_one_line(seed, film(piece_length), MEMORY, seeders);
    seek_about(&mut swarm, if piece_length > MIB { 15 } else { 30 });
    Figures::of(swarm)
}

pub fn small_pieces_1(seed: u64) -> Figures {
    seeks_on_the_line(seed, 256 * KIB, 1)
}

pub fn small_pieces_4(seed: u64) -> Figures {
    seeks_on_the_line(seed, 256 * KIB, 4)
}

pub fn pieces_of_a_mib_1(seed: u64) -> Figures {
    seeks_on_the_line(seed, MIB, 1)
}

pub fn pieces_of_a_mib_4(seed: u64) -> Figures {
    seeks_on_the_line(seed, MIB, 4)
}

pub fn large_pieces_1(seed: u64) -> Figures {
    seeks_on_the_line(seed, 4 * MIB, 1)
}

pub fn large_pieces_4(seed: u64) -> Figures {
    seeks_on_the_line(seed, 4 * MIB, 4)
}

/// Seeks out of a film that plays, at a fraction of what the line brings: most of the time there is little to ask for.
fn seeks_while_it_plays(seed: u64, seeders: usize) -> Figures {
    let mut swarm = Swarm::behind_one_line(seed, film(256 * KIB), 16 * MIB, seeders);
    let mut steps = vec![Step::Read(2 * MIB)];
    for n in 1..6 {
        steps.extend([
            Step::Rate(600_000),
            Step::Read(9 * MIB),
            Step::Rate(0),
            Step::Seek(n * 40 * MIB),
            Step::Read(MIB),
        ]);
    }
    swarm.open(Driver::new(1, 0, steps));
    swarm.finish(600 * SECOND);
    Figures::of(swarm)
}

pub fn playing_1(seed: u64) -> Figures {
    seeks_while_it_plays(seed, 1)
}

pub fn playing_4(seed: u64) -> Figures {
    seeks_while_it_plays(seed, 4)
}

/// Seeks that are over before anything is found out of a seeder, and then some that read more. What is kept of the former must
/// not stand in the latter's way.
pub fn after_short_ones(seed: u64) -> Figures {
    let mut swarm = Swarm::behind_one_line(seed, film(256 * KIB), MEMORY, 4);
    let size = swarm.world.content.info.layout.files()[0].size;
    let mut steps = Vec::new();
    for n in 0..60 {
        let place = swarm.rng.u64(0..size - 2 * MIB);
        steps.extend([Step::Seek(place), Step::Read(if n < 40 { 300 * KIB } else { MIB })]);
    }
    swarm.open(Driver::new(1, 0, steps));
    swarm.finish(600 * SECOND);
    Figures::of(swarm)
}

/// Seeders behind one line whose answers take 0 to 40 ms longer, by chance.
pub fn jitter(seed: u64) -> Figures {
    let mut swarm = Swarm::new(seed, film(256 * KIB), Setup::memory(MEMORY), line());
    swarm.admit(vec![Person { jitter: 40 * MS, ..Person::honest(100_000_000, 30 * MS) }; 4]);
    seek_about(&mut swarm, 30);
    Figures::of(swarm)
}

fn seeks_in_a_crowd(seed: u64, like: fn(&mut fastrand::Rng) -> Person) -> Figures {
    let mut swarm = Swarm::crowd(seed, 50, like);
    seek_about(&mut swarm, 10);
    Figures::of(swarm)
}

pub fn crowd(seed: u64) -> Figures {
    seeks_in_a_crowd(seed, Person::anybody)
}

pub fn decent_crowd(seed: u64) -> Figures {
    seeks_in_a_crowd(seed, Person::decent)
}

/// The user drags the slider: twenty places, a moment at each, and then he watches. Only the last one counts; the player reads
/// a MiB before it plays.
fn storm(mut swarm: Swarm) -> Figures {
    let size = swarm.world.content.info.layout.files()[0].size;
    let mut steps = vec![Step::Read(8 * MIB)];
    for _ in 0..20 {
        let moment = MS * swarm.rng.u32(50..300);
        steps.extend([Step::Seek(swarm.rng.u64(0..size / 2)), Step::ReadFor(moment)]);
    }
    steps.extend([Step::Seek(swarm.rng.u64(size / 2..size - 16 * MIB)), Step::Read(MIB)]);
    steps.extend([Step::Rate(2_500_000), Step::Read(15 * MIB)]);
    let driver = swarm.open(Driver::new(1, 0, steps));
    swarm.finish(120 * SECOND);
    let last = swarm.waits(driver).pop();
    let mut figures = Figures::of(swarm);
    figures.waits.retain(|w| w.is_start);
    figures.waits.extend(last);
    figures
}

pub fn storm_on_the_line(seed: u64) -> Figures {
    storm(Swarm::behind_one_line(seed, film(256 * KIB), MEMORY, 4))
}

pub fn storm_in_a_crowd(seed: u64) -> Figures {
    storm(Swarm::crowd(seed, 50, Person::anybody))
}

fn at_most(name: &str, seeds: std::ops::Range<u64>, bar: f64, scenario: impl Fn(u64) -> Figures) {
    let figures = measure(name, seeds, scenario);
    let over = figures.seek_over_ideal(50);
    assert!(over <= bar, "{over} of what is possible");
}

#[test]
fn small_pieces_of_one_seeder() {
    at_most("seek: line, 256 KiB, 1 seeder", 0..2, 1.1, small_pieces_1);
}

#[test]
fn small_pieces_of_four_seeders() {
    at_most("seek: line, 256 KiB, 4 seeders", 0..2, 1.15, small_pieces_4);
}

#[test]
fn pieces_of_a_mib_of_one_seeder() {
    at_most("seek: line, 1 MiB, 1 seeder", 0..2, 1.1, pieces_of_a_mib_1);
}

#[test]
fn pieces_of_a_mib_of_four_seeders() {
    at_most("seek: line, 1 MiB, 4 seeders", 0..2, 1.15, pieces_of_a_mib_4);
}

#[test]
fn large_pieces_of_one_seeder() {
    at_most("seek: line, 4 MiB, 1 seeder", 0..1, 1.1, large_pieces_1);
}

#[test]
fn large_pieces_of_four_seeders() {
    at_most("seek: line, 4 MiB, 4 seeders", 0..1, 1.15, large_pieces_4);
}

#[test]
fn out_of_a_film_of_one_seeder() {
    at_most("seek: line, while it plays, 1 seeder", 0..2, 1.1, playing_1);
}

#[test]
fn out_of_a_film_of_four_seeders() {
    at_most("seek: line, while it plays, 4 seeders", 0..2, 1.15, playing_4);
}

#[test]
fn some_that_read_more_after_short_ones() {
    at_most("seek: line, after short ones, 4 seeders", 0..2, 1.2, after_short_ones);
}

#[test]
fn answers_with_jitter() {
    at_most("seek: line, 256 KiB, 4 seeders, jitter", 0..2, 1.3, jitter);
}

#[test]
#[ignore = "2.8 times what is possible, if all rates were known before"]
fn in_a_decent_crowd() {
    at_most("seek: 50 decent peers, 1 MiB", 0..3, 1.5, decent_crowd);
}

#[test]
#[ignore = "2.4 times what is possible, if all rates were known before"]
fn in_a_crowd() {
    at_most("seek: crowd of 50, 1 MiB", 0..3, 1.5, crowd);
}

#[test]
fn a_dragged_slider() {
    at_most("seek storm: line, 4 seeders", 0..9, 1.2, storm_on_the_line);
}

#[test]
#[ignore = "2.4 times what is possible, if all rates were known before"]
fn a_dragged_slider_in_a_crowd() {
    at_most("seek storm: crowd of 50", 0..5, 1.5, storm_in_a_crowd);
}

#[test]
fn a_little_back_costs_nothing() {
    let mut swarm = Swarm::behind_one_line(1, film(256 * KIB), MEMORY, 4);
    let options = ReaderOptions { lookahead: Some(8 * MIB), lookbehind: Some(8 * MIB), ..Default::default() };
    let driver = swarm.open(Driver::new(1, 0, [Step::Read(24 * MIB)]).with(options));
    swarm.finish(60 * SECOND);
    swarm.world.run_for(5 * SECOND);
    let before = swarm.world.payload_into(swarm.viewer);
    for back in [MIB, 3 * MIB, 7 * MIB] {
        let engine = swarm.world.engine(swarm.viewer);
        let to = 24 * MIB - back;
        engine.drivers[driver].steps.extend([Step::Seek(to), Step::Read(back)]);
        swarm.world.poll_driver(swarm.viewer, driver);
        assert!(swarm.world.engine(swarm.viewer).is_done(), "{back} bytes back: it waits");
        swarm.world.run_for(SECOND);
    }
    assert_eq!(swarm.world.payload_into(swarm.viewer), before);
    swarm.world.end();
}
