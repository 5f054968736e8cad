//! Little memory, large pieces.

use elementum_torrent::engine::readers::reader::ReaderOptions;

use super::*;

fn play_half(seed: u64, piece_length: u64, memory: u64, options: ReaderOptions) -> Figures {
    let mut swarm = Swarm::behind_one_line(seed, film(piece_length), memory, 2);
    swarm.open(Driver::new(1, 0, [Step::Read(60_000_000)]).at_rate(4_000_000).with(options));
    swarm.finish(120 * SECOND);
    Figures::of(swarm)
}

/// Memory for three pieces, at half of what the line brings.
pub fn three_pieces(seed: u64) -> Figures {
    play_half(seed, MIB, 3 * MIB, ReaderOptions::default())
}

/// Large pieces, and a player that does not wait until they are verified.
pub fn unverified(seed: u64) -> Figures {
    let mut swarm = Swarm::behind_one_line(seed, film(4 * MIB), MEMORY, 1);
    let options = ReaderOptions { unverified: true, ..Default::default() };
    swarm.open(Driver::new(1, 0, [Step::Read(4 * MIB)]).with(options));
    swarm.finish(120 * SECOND);
    Figures::of(swarm)
}

/// Memory for a quarter of a piece: what is read cannot be verified.
pub fn less_than_a_piece(seed: u64) -> Figures {
    play_half(seed, 4 * MIB, MIB, ReaderOptions { unverified: true, ..Default::default() })
}

/// Memory for one piece, and no more: the next one comes while this one is read.
pub fn one_piece(seed: u64) -> Figures {
    play_half(seed, 4 * MIB, 4 * MIB, ReaderOptions { unverified: true, ..Default::default() })
}

pub fn pieces_of_16_mib(seed: u64) -> Figures {
    play_half(seed, 16 * MIB, MEMORY, ReaderOptions::default())
}

/// Seeks where each costs a piece of two seconds.
pub fn seeks_by_16_mib(seed: u64) -> Figures {
    let mut swarm = Swarm::behind_one_line(seed, film(16 * MIB), MEMORY, 4);
    seeks::seek_about(&mut swarm, 5);
    Figures::of(swarm)
}

fn plays_well(name: &str, scenario: impl Fn(u64) -> Figures) {
    let figures = measure(name, 0..1, scenario);
    assert_eq!(figures.stall_time, Duration::ZERO, "{} stalls after 5 s", figures.stalls);
    assert!(figures.waste() <= 0.03, "{} came for nothing", figures.waste());
}

#[test]
fn memory_for_three_pieces() {
    plays_well("memory: 3 pieces", three_pieces);
}

#[test]
fn memory_for_less_than_a_piece() {
    plays_well("memory: a quarter of a piece", less_than_a_piece);
}

#[test]
fn memory_for_one_piece() {
    plays_well("memory: 1 piece", one_piece);
}

#[test]
fn blocks_are_read_before_their_piece_is_whole() {
    let figures = measure("start: line, 1 seeder, unverified, 4 MiB", 0..1, unverified);
    assert!(figures.start_beyond_ms(50) <= 20.0, "{} ms beyond", figures.start_beyond_ms(50));
}

#[test]
fn memory_for_four_pieces_of_16_mib() {
    plays_well("memory: 4 pieces of 16 MiB", pieces_of_16_mib);
}

#[test]
fn seeks_in_pieces_of_16_mib() {
    let figures = measure("seek: line, 16 MiB, 4 seeders", 0..1, seeks_by_16_mib);
    assert!(figures.seek_over_ideal(50) <= 1.1, "{} of what is possible", figures.seek_over_ideal(50));
}
