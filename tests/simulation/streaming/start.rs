//! From adding the torrent to the first byte.

use super::*;

fn start_in_a_crowd(seed: u64, size: usize) -> Figures {
    let mut swarm = Swarm::crowd(seed, film(MIB), size);
    swarm.open(Driver::new(1, 0, [Step::Read(4 * MIB)]));
    swarm.finish(60 * SECOND);
    Figures::of(swarm)
}

pub fn start_of_1(seed: u64) -> Figures {
    start_in_a_crowd(seed, 1)
}

pub fn start_of_8(seed: u64) -> Figures {
    start_in_a_crowd(seed, 8)
}

pub fn start_of_50(seed: u64) -> Figures {
    start_in_a_crowd(seed, 50)
}

pub fn start_of_500(seed: u64) -> Figures {
    let mut swarm = Swarm::crowd(seed, film(MIB), 500);
    swarm.open(Driver::new(1, 0, [Step::Read(4 * MIB), Step::Sleep(5 * SECOND)]));
    swarm.finish(60 * SECOND);
    let connected = swarm.world.num_conns(swarm.viewer);
    assert!(connected > 450, "{connected} connections");
    Figures::of(swarm)
}

fn start_on_the_line(seed: u64, seeders: usize) -> Figures {
    let mut swarm = Swarm::behind_one_line(seed, film(256 * KIB), MEMORY, seeders);
    swarm.open(Driver::new(1, 0, [Step::Read(4 * MIB)]));
    swarm.finish(60 * SECOND);
    Figures::of(swarm)
}

pub fn start_on_the_line_of_1(seed: u64) -> Figures {
    start_on_the_line(seed, 1)
}

pub fn start_on_the_line_of_4(seed: u64) -> Figures {
    start_on_the_line(seed, 4)
}

#[test]
fn one_peer() {
    let figures = measure("start: 1 peer", 0..9, start_of_1);
    assert!(figures.start_beyond_ms(90) <= 20.0, "{} ms beyond", figures.start_beyond_ms(90));
}

#[test]
#[ignore = "2.12 times what is possible, 1648 ms in the median"]
fn eight_peers() {
    let figures = measure("start: 8 peers", 0..9, start_of_8);
    assert!(figures.start_over_ideal(50) <= 2.0, "{} of what is possible", figures.start_over_ideal(50));
}

#[test]
#[ignore = "3.85 times what is possible, 1298 ms in the median"]
fn fifty_peers() {
    let figures = measure("start: 50 peers", 0..9, start_of_50);
    assert!(figures.start_over_ideal(50) <= 2.0, "{} of what is possible", figures.start_over_ideal(50));
}

#[test]
#[ignore = "5.5 times what is possible, 1519 ms in the median"]
fn five_hundred_peers() {
    let figures = measure("start: 500 peers", 0..3, start_of_500);
    assert!(figures.start_over_ideal(50) <= 2.0, "{} of what is possible", figures.start_over_ideal(50));
}

#[test]
fn a_line_of_one_seeder() {
    let figures = measure("start: line, 1 seeder", 0..1, start_on_the_line_of_1);
    assert!(figures.start_beyond_ms(50) <= 20.0, "{} ms beyond", figures.start_beyond_ms(50));
}

#[test]
#[ignore = "62 ms beyond what is possible"]
fn a_line_of_four_seeders() {
    let figures = measure("start: line, 4 seeders", 0..1, start_on_the_line_of_4);
    assert!(figures.start_beyond_ms(50) <= 20.0, "{} ms beyond", figures.start_beyond_ms(50));
}
