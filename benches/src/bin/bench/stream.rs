//! Start and seeks through the link emulator, libtorrent seeding; ours, libtorrent with piece deadlines and librqbit's stream in turn
//! on the same swarm.

use std::process::Command;

use elementum_bench::link::Shape;

use crate::Plan;
use crate::abi::{MEMORY_LIMIT, c_program};
use crate::program::Measured;
use crate::results::{Figure, Results, median, quantile};
use crate::rounds::{Client, ratio, take_turns, with_data};
use crate::seeders::{CONTENT_SEED, content, python, torrent};
use crate::swarm::{RATE, ROUND_TRIP, Swarm};

/// Read at the start, and at each seek.
const LENGTH: u64 = 1 << 20;
const SEEKS_A_RUN: u64 = 12;

pub const IDEAL: &str = "a round trip + the transfer of the covering pieces";
pub const LIBTORRENT: &str = "libtorrent 2.1.1 with piece deadlines";
pub const PRIORITIES: &str = "libtorrent 2.1.1 with deadlines for what is waited for, and priorities";
pub const LIBRQBIT: &str = "librqbit 9.1's stream";

/// One swarm, and the figures of its seeks.
struct Case {
    piece_length: u64,
    /// A seeder behind each, with this rate of its own; 0: the road's.
    links: &'static [u64],
    vs_libtorrent: Figure,
    /// Beside the other way to drive libtorrent, which seeks better.
    vs_priorities: Option<Figure>,
    vs_librqbit: Figure,
    over_ideal: Figure,
    p90_over_median: Option<Figure>,
    waste: Option<Figure>,
    first: Option<First>,
}

/// The figures from the adding to the first bytes.
struct First {
    vs_libtorrent: Figure,
    vs_librqbit: Figure,
    beyond_ideal: Figure,
}

const CASES: [Case; 6] = [
    Case {
        piece_length: 256 << 10,
        links: &[0],
        vs_libtorrent: Figure::new("stream.seek_vs_libtorrent", 0.3, "ratio", LIBTORRENT),
        vs_priorities: Some(Figure::stated("stream.seek_vs_libtorrent_priorities", "ratio", PRIORITIES)),
        vs_librqbit: Figure::new("stream.seek_vs_librqbit", 0.5, "ratio", LIBRQBIT),
        over_ideal: Figure::new("stream.seek_over_ideal", 1.1, "ratio", IDEAL),
        p90_over_median: Some(Figure::new("stream.seek_p90_over_median", 1.2, "ratio", "the median seek")),
        waste: Some(Figure::stated("stream.seek_waste", "ratio", "useful payload, in these seeks")),
        first: Some(First {
            vs_libtorrent: Figure::new("stream.first_mib_vs_libtorrent", 0.15, "ratio", LIBTORRENT),
            vs_librqbit: Figure::new("stream.first_mib_vs_librqbit", 1.0, "ratio", LIBRQBIT),
            beyond_ideal: Figure::new("stream.first_mib_ideal_ms", 20.0, "ms", "beyond 3 round trips + transfer"),
        }),
    },
    Case {
        piece_length: 1 << 20,
        links: &[0],
        vs_libtorrent: Figure::new("stream.seek_1m_vs_libtorrent", 0.45, "ratio", LIBTORRENT),
        vs_priorities: None,
        vs_librqbit: Figure::new("stream.seek_1m_vs_librqbit", 0.65, "ratio", LIBRQBIT),
        over_ideal: Figure::new("stream.seek_1m_over_ideal", 1.1, "ratio", IDEAL),
        p90_over_median: None,
        waste: None,
        first: None,
    },
    Case {
        piece_length: 4 << 20,
        links: &[0],
        vs_libtorrent: Figure::stated("stream.seek_4m_vs_libtorrent", "ratio", LIBTORRENT),
        vs_priorities: None,
        vs_librqbit: Figure::stated("stream.seek_4m_vs_librqbit", "ratio", LIBRQBIT),
        over_ideal: Figure::new("stream.seek_4m_over_ideal", 1.1, "ratio", IDEAL),
        p90_over_median: None,
        waste: None,
        first: None,
    },
    Case {
        piece_length: 256 << 10,
        links: &[0; 4],
        vs_libtorrent: Figure::new("stream.seek4_vs_libtorrent", 0.12, "ratio", LIBTORRENT),
        vs_priorities: Some(Figure::stated("stream.seek4_vs_libtorrent_priorities", "ratio", PRIORITIES)),
        vs_librqbit: Figure::new("stream.seek4_vs_librqbit", 0.2, "ratio", LIBRQBIT),
        over_ideal: Figure::new("stream.seek4_over_ideal", 1.15, "ratio", IDEAL),
        p90_over_median: None,
        waste: None,
        first: None,
    },
    Case {
        piece_length: 256 << 10,
        links: &[0; 8],
        vs_libtorrent: Figure::stated("stream.seek8_vs_libtorrent", "ratio", LIBTORRENT),
        vs_priorities: None,
        vs_librqbit: Figure::stated("stream.seek8_vs_librqbit", "ratio", LIBRQBIT),
        over_ideal: Figure::stated("stream.seek8_over_ideal", "ratio", IDEAL),
        p90_over_median: None,
        waste: None,
        first: None,
    },
    Case {
        piece_length: 256 << 10,
        links: &[4_000_000, 2_000_000, 1_500_000, 500_000],
        vs_libtorrent: Figure::stated("stream.seek_unequal_vs_libtorrent", "ratio", LIBTORRENT),
        vs_priorities: None,
        vs_librqbit: Figure::stated("stream.seek_unequal_vs_librqbit", "ratio", LIBRQBIT),
        over_ideal: Figure::stated("stream.seek_unequal_over_ideal", "ratio", IDEAL),
        p90_over_median: None,
        waste: None,
        first: None,
    },
];

impl Case {
    fn figures(&self) -> impl Iterator<Item = &Figure> {
        let first = self.first.iter().flat_map(|f| [&f.vs_libtorrent, &f.vs_librqbit, &f.beyond_ideal]);
        [&self.vs_libtorrent, &self.vs_librqbit, &self.over_ideal]
            .into_iter()
            .chain(&self.vs_priorities)
            .chain(&self.p90_over_median)
            .chain(&self.waste)
            .chain(first)
    }
}

/// Milliseconds for the pieces that cover a read from there on.
fn transfer(piece_length: u64, offset: u64) -> f64 {
    let pieces = (offset + LENGTH - 1) / piece_length - offset / piece_length + 1;
    (pieces * piece_length) as f64 * 1e3 / RATE as f64
}

fn trip() -> f64 {
    ROUND_TRIP.as_secs_f64() * 1e3
}

/// What one run of one client took.
pub struct Run {
    first: f64,
    seeks: Vec<f64>,
    payload: f64,
    redundant: f64,
}

impl Run {
    pub fn seek(&self) -> Result<f64, String> {
        median(&self.seeks).ok_or_else(|| "no seeks".to_owned())
    }
}

pub fn tell(name: &str, round: usize, run: &Run) {
    let seek = median(&run.seeks).unwrap_or(f64::NAN);
    eprintln!("round {round} {name:10} first {:8.1} ms, seek {seek:8.1} ms", run.first);
}

/// Each seek of ours to the least that it can take.
pub fn over_ideal(plan: &Plan, piece_length: u64, ours: &[Run]) -> Vec<f64> {
    let of = |offset| trip() + transfer(piece_length, offset);
    let runs = ours.iter().zip(1..);
    runs.flat_map(|(run, round)| run.seeks.iter().zip(offsets(plan, round)).map(|(took, at)| took / of(at))).collect()
}

pub fn measure(plan: &Plan, results: &mut Results) {
    for case in &CASES {
        if !case.figures().any(|figure| results.wants(figure)) {
            continue;
        }
        let shapes: Vec<Shape> = case.links.iter().map(|&rate| Shape { rate, ..Shape::default() }).collect();
        match Swarm::start(plan, case.piece_length, &shapes) {
            Ok(swarm) => compare(plan, case, &swarm, results),
            Err(reason) => case.figures().for_each(|figure| results.skip(figure, &reason)),
        }
    }
}

/// Offsets for one run, the same for all clients; each in a part of the file that no other seek touches.
fn offsets(plan: &Plan, round: u64) -> Vec<u64> {
    let rounds = plan.pairs as u64 + 1;
    let part = plan.size / (SEEKS_A_RUN * rounds + 1);
    let mut chance = fastrand::Rng::with_seed(round);
    (0..SEEKS_A_RUN)
        .map(|n| {
            // Forward and back in turn, and never the part at the start, which is read first.
            let place = if n % 2 == 0 { n / 2 } else { SEEKS_A_RUN - 1 - n / 2 };
            (place * rounds + round + 1) * part + chance.u64(..part.saturating_sub(LENGTH).max(1))
        })
        .collect()
}

fn compare(plan: &Plan, case: &Case, swarm: &Swarm, results: &mut Results) {
    let first = |figure: fn(&First) -> &Figure| case.first.as_ref().is_some_and(|f| results.wants(figure(f)));
    let drive = |way: &str, round: usize| seek_libtorrent(plan, swarm, way, round, &[]);
    let clients = [
        Client { name: "ours", wanted: true, run: &|round| ours(plan, swarm, &seeks(plan, round), "") },
        Client {
            name: "libtorrent",
            wanted: results.wants(&case.vs_libtorrent) || first(|f| &f.vs_libtorrent),
            run: &|round| drive("deadlines", round),
        },
        Client {
            name: "priorities",
            wanted: case.vs_priorities.as_ref().is_some_and(|figure| results.wants(figure)),
            run: &|round| drive("priorities", round),
        },
        Client {
            name: "librqbit",
            wanted: results.wants(&case.vs_librqbit) || first(|f| &f.vs_librqbit),
            run: &|round| {
                run(&librqbit(plan, swarm, &["--seeks", &seeks(plan, round), "--length", &LENGTH.to_string()])?)
            },
        },
    ];
    let [ours, libtorrent, priorities, librqbit] = take_turns(0..=plan.pairs, &clients, tell);
    ratio(results, &case.vs_libtorrent, &ours, &libtorrent, Run::seek);
    if let Some(figure) = &case.vs_priorities {
        ratio(results, figure, &ours, &priorities, Run::seek);
    }
    ratio(results, &case.vs_librqbit, &ours, &librqbit, Run::seek);
    let ours = match ours {
        Ok(ours) => ours,
        Err(reason) => return case.figures().for_each(|figure| results.skip(figure, &reason)),
    };
    let over = over_ideal(plan, case.piece_length, &ours);
    results.put(&case.over_ideal, &over);
    if let (Some(figure), Some(middle), Some(p90)) = (&case.p90_over_median, median(&over), quantile(&over, 0.9)) {
        results.put(figure, &[p90 / middle]);
    }
    if let Some(figure) = &case.waste {
        let waste: Vec<f64> = ours.iter().map(|run| run.redundant / (run.payload - run.redundant)).collect();
        results.put(figure, &waste);
    }
    if let Some(first) = &case.first {
        let took = |run: &Run| Ok(run.first);
        let ours = Ok(ours);
        ratio(results, &first.vs_libtorrent, &ours, &libtorrent, took);
        ratio(results, &first.vs_librqbit, &ours, &librqbit, took);
        let ideal = 3.0 * trip() + transfer(case.piece_length, 0);
        let beyond: Vec<f64> = ours.iter().flatten().map(|run| run.first - ideal).collect();
        results.put(&first.beyond_ideal, &beyond);
    }
}

/// The offsets of a round, as clients take them.
pub fn seeks(plan: &Plan, round: usize) -> String {
    offsets(plan, round as u64).iter().map(u64::to_string).collect::<Vec<_>>().join(",")
}

/// `settings`: what else is set.
pub fn ours(plan: &Plan, swarm: &Swarm, seeks: &str, settings: &str) -> Result<Run, String> {
    let mut command = c_program(plan, "stream")?;
    command.arg(torrent(plan)).args([CONTENT_SEED.to_string(), LENGTH.to_string(), MEMORY_LIMIT.to_string()]);
    command.env("BENCH_SETTINGS", settings);
    run(&Measured::run("ours", command.arg(seeks).args(swarm.addresses()))?)
}

/// libtorrent's seeks of a round, driven in one of its ways.
pub fn seek_libtorrent(plan: &Plan, swarm: &Swarm, way: &str, round: usize, settings: &[&str]) -> Result<Run, String> {
    let (seeks, length) = (seeks(plan, round), LENGTH.to_string());
    let mut options = vec!["--ahead", way, "--seeks", &seeks, "--length", &length];
    options.extend(settings.iter().flat_map(|setting| ["--setting", setting]));
    run(&libtorrent(plan, swarm, &options)?)
}

/// The peers' clients write files. They compare what they read with the content by themselves.
pub fn libtorrent(plan: &Plan, swarm: &Swarm, options: &[&str]) -> Result<Measured, String> {
    let mut command = Command::new(python()?);
    to_files(plan, swarm, "libtorrent", options, command.arg("benches/peers/libtorrent_stream.py"))
}

pub fn librqbit(plan: &Plan, swarm: &Swarm, options: &[&str]) -> Result<Measured, String> {
    let mut command = Command::new(plan.target.join("release/rqbit-peer"));
    to_files(plan, swarm, "librqbit", options, command.arg("stream"))
}

fn to_files(
    plan: &Plan,
    swarm: &Swarm,
    name: &str,
    options: &[&str],
    command: &mut Command,
) -> Result<Measured, String> {
    command.arg("--torrent").arg(torrent(plan)).arg("--content").arg(content(plan)).args(options);
    for address in swarm.addresses() {
        command.args(["--peer", &address]);
    }
    with_data(plan, |data| Measured::run(name, command.arg("--data").arg(data)))
}

fn run(measured: &Measured) -> Result<Run, String> {
    let seeks = measured.numbers("seek_ms")?;
    if seeks.len() as u64 != SEEKS_A_RUN {
        return Err(format!("{} of {SEEKS_A_RUN} seeks", seeks.len()));
    }
    Ok(Run {
        first: measured.number("first_ms")?,
        seeks,
        payload: measured.number("payload")?,
        redundant: measured.number("redundant").unwrap_or(0.0),
    })
}
