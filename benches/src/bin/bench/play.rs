//! Playing through the link emulator, at most of what the swarm brings, while one of its peers is slow and one falls silent again and
//! again; ours, libtorrent and librqbit in turn on the same swarm. How playing goes: `benches/c/play.c`.

use std::time::Duration;

use elementum_bench::link::{Pauses, Shape};

use crate::Plan;
use crate::abi::{MEMORY_LIMIT, c_program};
use crate::program::Measured;
use crate::results::{Figure, Results};
use crate::rounds::{Client, Runs, take_turns};
use crate::seeders::{CONTENT_SEED, torrent};
use crate::stream::{LIBRQBIT, PRIORITIES, librqbit, libtorrent};
use crate::swarm::{RATE, Swarm};

const PIECE_LENGTH: u64 = 256 << 10;
const BITRATE: u64 = RATE / 10 * 8;
const SECONDS: u64 = 40;
const SLOW: u64 = 100_000;
/// The silent peer brings much, and then nothing for longer than anybody has buffered for it.
const PAUSES: Pauses = Pauses { open: Duration::from_secs(4), shut: Duration::from_secs(12) };

const STALL: Figure = Figure::new("stream.stall_ms", 0.0, "ms", "playing at 80 % of the swarm, after 5 s, worst run");
const STALL_LIBTORRENT: Figure = Figure::stated("stream.stall_ms_libtorrent", "ms", PRIORITIES);
const STALL_LIBRQBIT: Figure = Figure::stated("stream.stall_ms_librqbit", "ms", LIBRQBIT);
const WASTE: Figure = Figure::new("stream.waste", 0.03, "ratio", "useful payload, in the same playing");
const FIGURES: [&Figure; 4] = [&STALL, &STALL_LIBTORRENT, &STALL_LIBRQBIT, &WASTE];

pub fn measure(plan: &Plan, results: &mut Results) {
    if !FIGURES.iter().any(|figure| results.wants(figure)) {
        return;
    }
    let shapes = [
        Shape::default(),
        Shape::default(),
        Shape { rate: SLOW, ..Shape::default() },
        Shape { pauses: Some(PAUSES), ..Shape::default() },
    ];
    match Swarm::start(plan, PIECE_LENGTH, &shapes) {
        Ok(swarm) => compare(plan, &swarm, results),
        Err(reason) => FIGURES.iter().for_each(|figure| results.skip(figure, &reason)),
    }
}

/// What one run of one client took.
struct Run {
    stalls: f64,
    stall_ms: f64,
    payload: f64,
    redundant: f64,
}

fn compare(plan: &Plan, swarm: &Swarm, results: &mut Results) {
    let seconds = SECONDS.min(plan.size / BITRATE).to_string();
    let peer_options = ["--bitrate", &BITRATE.to_string(), "--seconds", &seconds];
    let clients = [
        Client {
            name: "ours",
            wanted: results.wants(&STALL) || results.wants(&WASTE),
            run: &|_| ours(plan, swarm, &seconds),
        },
        Client {
            name: "libtorrent",
            wanted: results.wants(&STALL_LIBTORRENT),
            run: &|_| run(&libtorrent(plan, swarm, &peer_options)?),
        },
        Client {
            name: "librqbit",
            wanted: results.wants(&STALL_LIBRQBIT),
            run: &|_| run(&librqbit(plan, swarm, &peer_options)?),
        },
    ];
    // Nothing needs to be warm: the first seconds do not count. Fewer rounds than elsewhere, of long runs of which none may be bad.
    let rounds = 1..=plan.pairs.div_ceil(2);
    let [ours, libtorrent, librqbit] = take_turns(rounds, &clients, |name, round, run: &Run| {
        eprintln!("round {round} {name:10} stood still {:2.0} times, {:8.1} ms", run.stalls, run.stall_ms);
    });
    for (figure, runs) in [(&STALL, &ours), (&STALL_LIBTORRENT, &libtorrent), (&STALL_LIBRQBIT, &librqbit)] {
        put_stalls(results, figure, runs);
    }
    let waste = |run: &Run| run.redundant / (run.payload - run.redundant);
    results.put_or_skip(&WASTE, ours.map(|runs| runs.iter().map(waste).collect()));
}

fn put_stalls(results: &mut Results, figure: &Figure, runs: &Runs<Run>) {
    match runs {
        Ok(runs) => results.put_worst(figure, &runs.iter().map(|run| run.stall_ms).collect::<Vec<_>>()),
        Err(reason) => results.skip(figure, reason),
    }
}

fn ours(plan: &Plan, swarm: &Swarm, seconds: &str) -> Result<Run, String> {
    let mut command = c_program(plan, "play")?;
    command.arg(torrent(plan)).args([&CONTENT_SEED.to_string(), &BITRATE.to_string(), seconds]);
    command.arg(MEMORY_LIMIT.to_string()).args(swarm.addresses());
    run(&Measured::run("ours", &mut command)?)
}

fn run(measured: &Measured) -> Result<Run, String> {
    Ok(Run {
        stalls: measured.number("stalls")?,
        stall_ms: measured.number("stall_ms")?,
        payload: measured.number("payload")?,
        redundant: measured.number("redundant").unwrap_or(0.0),
    })
}
