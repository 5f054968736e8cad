//! All scenarios over many seeds, to see what a change of the engine does.
//!
//! `ET_SIM_SEEDS=0..50 ET_SIM_ONLY=seek cargo test --release --test simulation tuning -- --ignored --nocapture`

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;

type Scenario = fn(u64) -> Figures;

const ALL: &[(&str, Scenario)] = &[
    ("start: 1 peer", start::start_of_1),
    ("start: 8 peers", start::start_of_8),
    ("start: 50 peers", start::start_of_50),
    ("start: 50 decent peers", start::start_of_50_decent),
    ("start: 50 of 200 answer", start::start_of_50_of_200),
    ("start: 6 who never answer, a seeder", start::start_among_the_silent),
    ("start: 500 peers", start::start_of_500),
    ("start: line, 1 seeder", start::start_on_the_line_of_1),
    ("start: line, 4 seeders", start::start_on_the_line_of_4),
    ("start: line, 1 seeder, unverified, 4 MiB", memory::unverified),
    ("seek: line, 256 KiB, 1 seeder", seeks::small_pieces_1),
    ("seek: line, 256 KiB, 4 seeders", seeks::small_pieces_4),
    ("seek: line, 1 MiB, 1 seeder", seeks::pieces_of_a_mib_1),
    ("seek: line, 1 MiB, 4 seeders", seeks::pieces_of_a_mib_4),
    ("seek: line, 4 MiB, 1 seeder", seeks::large_pieces_1),
    ("seek: line, 4 MiB, 4 seeders", seeks::large_pieces_4),
    ("seek: line, 16 MiB, 4 seeders", memory::seeks_by_16_mib),
    ("seek: line, while it plays, 1 seeder", seeks::playing_1),
    ("seek: line, while it plays, 4 seeders", seeks::playing_4),
    ("seek: line, after short ones, 4 seeders", seeks::after_short_ones),
    ("seek: line, 256 KiB, 4 seeders, jitter", seeks::jitter),
    ("seek: crowd of 50, 1 MiB", seeks::crowd),
    ("seek: 50 decent peers, 1 MiB", seeks::decent_crowd),
    ("seek storm: line, 4 seeders", seeks::storm_on_the_line),
    ("seek storm: crowd of 50", seeks::storm_in_a_crowd),
    ("play: 80 % of 6 peers", playback::four_k),
    ("play: 80 % of 6 peers and 3 bad ones", playback::four_k_and_bad_ones),
    ("play: 80 % of the line, 4 seeders", playback::on_the_line),
    ("play: the same with jitter", playback::jitter),
    ("play: 50 peers, changing", playback::crowd_that_changes),
    ("play: 50 decent peers", playback::decent_crowd),
    ("play: 500 peers, changing", playback::large_crowd),
    ("several: two viewers, 75 % of the line", several::two_viewers),
    ("several: episode and the next one", several::next_episode),
    ("memory: 3 pieces", memory::three_pieces),
    ("memory: a quarter of a piece", memory::less_than_a_piece),
    ("memory: 4 pieces of 16 MiB", memory::pieces_of_16_mib),
];

#[test]
#[ignore = "as long as one likes"]
fn all_scenarios() {
    let range = std::env::var("ET_SIM_SEEDS").unwrap_or_default();
    let (from, to) = range.split_once("..").unwrap_or(("0", "10"));
    let seeds = from.parse().expect("a seed")..to.parse().expect("a seed");
    let only = std::env::var("ET_SIM_ONLY").unwrap_or_default();
    for (name, scenario) in ALL.iter().filter(|(name, _)| name.contains(&only)) {
        let outcome = catch_unwind(AssertUnwindSafe(|| measure(name, seeds.clone(), scenario)));
        if outcome.is_err() {
            println!("{name:<40} does not end");
        }
    }
}
