//! Playing on: no stall, nothing for nothing.

use super::swarm::Person;
use super::*;

/// Plays for so long at so many bytes a second.
fn play(swarm: &mut Swarm, rate: u64, time: Duration) {
    let bytes = rate * time.as_secs();
    let size = swarm.world.content.info.layout.files()[0].size;
    assert!(bytes <= size, "the film is too short");
    swarm.open(Driver::new(1, 0, [Step::Read(bytes)]).at_rate(rate));
    swarm.finish(time * 10);
}

/// What six people of a swarm bring, in thousands of bytes a second: 5 MB/s in all.
const SIX: [u64; 6] = [1500, 1200, 800, 600, 500, 400];
/// 80 % of it.
const FOUR_K: u64 = 4_000_000;

fn six(swarm: &mut Swarm) -> Vec<Person> {
    SIX.iter().map(|kb| Person::honest(kb * 1000, MS * swarm.rng.u32(15..150))).collect()
}

pub fn four_k(seed: u64) -> Figures {
    let mut swarm = Swarm::new(seed, film(MIB), Setup::memory(MEMORY), wide_line());
    let people = six(&mut swarm);
    swarm.admit(people);
    play(&mut swarm, FOUR_K, 40 * SECOND);
    Figures::of(swarm)
}

/// With one that hardly moves, one that never answers, and one that stops answering.
pub fn four_k_and_bad_ones(seed: u64) -> Figures {
    let mut swarm = Swarm::new(seed, film(MIB), Setup::memory(MEMORY), wide_line());
    let mut people = six(&mut swarm);
    people.push(Person::honest(30_000, 200 * MS));
    people.push(Person { manner: Manner::Staller, ..Person::honest(1_000_000, 20 * MS) });
    swarm.rng.shuffle(&mut people);
    people.push(Person::honest(800_000, 25 * MS));
    swarm.admit(people);
    let quitter = swarm.people[8].0;
    swarm.world.act(12 * SECOND, move |world| world.script(quitter).manner = Manner::Staller);
    play(&mut swarm, FOUR_K, 40 * SECOND);
    Figures::of(swarm)
}

pub fn on_the_line(seed: u64) -> Figures {
    let mut swarm = Swarm::behind_one_line(seed, film(MIB), MEMORY, 4);
    play(&mut swarm, 6_400_000, 30 * SECOND);
    Figures::of(swarm)
}

pub fn jitter(seed: u64) -> Figures {
    let mut swarm = Swarm::new(seed, film(MIB), Setup::memory(MEMORY), line());
    swarm.admit(vec![Person { jitter: 40 * MS, ..Person::honest(100_000_000, 30 * MS) }; 4]);
    play(&mut swarm, 6_400_000, 30 * SECOND);
    Figures::of(swarm)
}

/// 20 Mbit/s out of fifty, of whom one leaves and another one comes each second.
pub fn crowd_that_changes(seed: u64) -> Figures {
    let mut swarm = Swarm::crowd(seed, 50, Person::anybody);
    swarm.change(SECOND, 30);
    play(&mut swarm, 2_500_000, 30 * SECOND);
    Figures::of(swarm)
}

/// The same out of fifty who mean well and stay.
pub fn decent_crowd(seed: u64) -> Figures {
    let mut swarm = Swarm::crowd(seed, 50, Person::decent);
    play(&mut swarm, 2_500_000, 30 * SECOND);
    Figures::of(swarm)
}

/// As the crowd that changes, out of five hundred.
pub fn large_crowd(seed: u64) -> Figures {
    let mut swarm = Swarm::crowd(seed, 500, Person::anybody);
    swarm.change(SECOND / 5, 60);
    play(&mut swarm, 2_500_000, 12 * SECOND);
    Figures::of(swarm)
}

fn plays_well(name: &str, seeds: std::ops::Range<u64>, scenario: impl Fn(u64) -> Figures) {
    let figures = measure(name, seeds, scenario);
    assert_eq!(figures.stall_time, Duration::ZERO, "{} stalls after 5 s", figures.stalls);
    assert!(figures.waste() <= 0.03, "{} came for nothing", figures.waste());
}

/// Crowds of whom some cheat and some leave: once in a while a block is with one who does. A player stands still for a hundredth of
/// its time at most.
fn plays_on(name: &str, seeds: std::ops::Range<u64>, played: Duration, scenario: impl Fn(u64) -> Figures) {
    let most = played * (seeds.end - seeds.start) as u32 / 100;
    let figures = measure(name, seeds, scenario);
    assert!(figures.stall_time <= most, "{} stalls after 5 s, {:?} in all", figures.stalls, figures.stall_time);
    assert!(figures.waste() <= 0.04, "{} came for nothing", figures.waste());
}

#[test]
fn close_to_what_the_swarm_brings() {
    plays_well("play: 80 % of 6 peers", 0..2, four_k);
}

#[test]
fn close_to_what_the_good_ones_bring() {
    plays_well("play: 80 % of 6 peers and 3 bad ones", 0..2, four_k_and_bad_ones);
}

#[test]
fn close_to_what_the_line_brings() {
    plays_well("play: 80 % of the line, 4 seeders", 0..1, on_the_line);
}

#[test]
fn close_to_what_the_line_brings_with_jitter() {
    plays_well("play: the same with jitter", 0..1, jitter);
}

#[test]
fn a_decent_crowd() {
    plays_well("play: 50 decent peers", 0..2, decent_crowd);
}

#[test]
fn a_crowd_that_changes() {
    plays_on("play: 50 peers, changing", 0..6, 30 * SECOND, crowd_that_changes);
}

#[test]
fn a_large_crowd_that_changes() {
    plays_on("play: 500 peers, changing", 0..3, 12 * SECOND, large_crowd);
}
