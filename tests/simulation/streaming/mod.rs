//! Streaming at the limit: how long until it plays, after a start and after a seek, where it stalls, what comes for nothing. All of it
//! beside what is possible at best with the same peers and lines.
//!
//! `cargo test --test simulation streaming -- --nocapture` prints a line of figures for each scenario;
//! `cargo test --test simulation tuning -- --ignored --nocapture` a table over many seeds.

mod figures;
mod ideal;
mod memory;
mod playback;
mod seeks;
mod several;
mod start;
mod swarm;
mod tuning;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::content::{Content, Shape};
use super::driver::{Driver, Step};
use super::link::Line;
use super::manner::Manner;
use super::node::Setup;
use figures::{Figures, measure};
use swarm::Swarm;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// What a service has without setting anything.
const MEMORY: u64 = 64 * MIB;

/// Files one after the other, made once for all scenarios.
fn films(sizes: &[u64], piece_length: u64) -> Arc<Content> {
    type Made = BTreeMap<(Vec<u64>, u64), Arc<Content>>;
    static MADE: Mutex<Made> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().expect("no scenario fails while it makes one");
    let content = made.entry((sizes.to_vec(), piece_length)).or_insert_with(|| {
        let shape = Shape { piece_length: piece_length as u32, files: sizes.iter().map(|s| (*s, false)).collect() };
        Content::repeating(piece_length, &shape)
    });
    content.clone()
}

fn film(piece_length: u64) -> Arc<Content> {
    films(&[256 * MIB], piece_length)
}

/// The line that all peers share: 8 MB/s, 30 ms there and back.
fn line() -> Line {
    Line::new(100_000_000, 8_000_000, 15)
}

/// The line of a home, wider than what most swarms bring.
fn wide_line() -> Line {
    Line::new(5_000_000, 12_500_000, 1)
}

/// The same scenario twice from one seed, with a crowd that has everybody in it and changes all the time.
#[test]
fn the_same_seed_gives_the_same_figures() {
    let run = |seed| playback::crowd_that_changes(seed);
    assert_eq!(run(7), run(7));
    assert_ne!(run(7).trace, run(8).trace);
}
