//! One gigabyte from one peer: ours into bounded RAM, read by one reader, beside libtorrent, librqbit and the floor.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use elementum_bench::content::Content;

use crate::Plan;
use crate::abi::{MEMORY_LIMIT, c_program};
use crate::program::{Measured, Program};
use crate::results::{Figure, Results};

const CONTENT_SEED: u64 = 1;
const PIECE_LENGTH: u32 = 1 << 20;

/// What ours is set against in one swarm.
struct Figures {
    wall_vs_libtorrent: Figure,
    cpu_vs_libtorrent: Figure,
    wall_vs_librqbit: Figure,
    cpu_vs_librqbit: Figure,
    /// The floor speaks with the plain seeder only: it wants blocks in the order of its requests.
    cpu_vs_floor: Option<Figure>,
}

const LIBTORRENT: &str = "libtorrent 2.1.1 to tmpfs";
const LIBRQBIT: &str = "librqbit 9.1 to tmpfs";

const PLAIN: Figures = Figures {
    wall_vs_libtorrent: Figure::new("download.ram.wall_vs_libtorrent", 0.8, "ratio", LIBTORRENT),
    cpu_vs_libtorrent: Figure::new("download.ram.cpu_vs_libtorrent", 0.7, "ratio", LIBTORRENT),
    wall_vs_librqbit: Figure::new("download.ram.wall_vs_librqbit", 0.4, "ratio", LIBRQBIT),
    cpu_vs_librqbit: Figure::new("download.ram.cpu_vs_librqbit", 0.35, "ratio", LIBRQBIT),
    cpu_vs_floor: Some(Figure::new("download.ram.cpu_vs_floor", 1.6, "ratio", "receive+SHA-1 loop")),
};
const FROM_LIBTORRENT: Figures = Figures {
    wall_vs_libtorrent: Figure::new("download.ram.from_libtorrent.wall_vs_libtorrent", 0.8, "ratio", LIBTORRENT),
    cpu_vs_libtorrent: Figure::new("download.ram.from_libtorrent.cpu_vs_libtorrent", 0.7, "ratio", LIBTORRENT),
    wall_vs_librqbit: Figure::new("download.ram.from_libtorrent.wall_vs_librqbit", 0.4, "ratio", LIBRQBIT),
    cpu_vs_librqbit: Figure::new("download.ram.from_libtorrent.cpu_vs_librqbit", 0.35, "ratio", LIBRQBIT),
    cpu_vs_floor: None,
};
const PEAK: Figure = Figure::new("memory.peak_over_limit", 1.0, "ratio", "memory_limit of 64 MiB");
const CONSTANT: Figure = Figure::stated("memory.rss_constant_mib", "MiB", "peak RSS - memory_limit, 1 GiB streamed");

impl Figures {
    fn all(&self) -> impl Iterator<Item = &Figure> {
        [&self.wall_vs_libtorrent, &self.cpu_vs_libtorrent, &self.wall_vs_librqbit, &self.cpu_vs_librqbit]
            .into_iter()
            .chain(&self.cpu_vs_floor)
    }
}

/// A seeder that the runs download from.
struct Swarm {
    torrent: PathBuf,
    peer: String,
    _seeder: Program,
}

pub fn measure(plan: &Plan, results: &mut Results) {
    let plain = PLAIN.all().chain([&PEAK, &CONSTANT]).any(|figure| results.wants(figure));
    let from_libtorrent = FROM_LIBTORRENT.all().any(|figure| results.wants(figure));
    if !plain && !from_libtorrent {
        return;
    }
    let swarm = match plain_swarm(plan, from_libtorrent) {
        Ok(swarm) => swarm,
        Err(reason) => {
            let all = PLAIN.all().chain(FROM_LIBTORRENT.all()).chain([&PEAK, &CONSTANT]);
            return all.for_each(|figure| results.skip(figure, &reason));
        }
    };
    if plain {
        compare(plan, &swarm, &PLAIN, results);
    }
    if from_libtorrent {
        match libtorrent_swarm(plan, &swarm.torrent) {
            Ok(swarm) => compare(plan, &swarm, &FROM_LIBTORRENT, results),
            Err(reason) => FROM_LIBTORRENT.all().for_each(|figure| results.skip(figure, &reason)),
        }
    }
}

fn plain_swarm(plan: &Plan, write: bool) -> Result<Swarm, String> {
    let torrent = plan.scratch.join("content.torrent");
    let mut command = Command::new(plan.target.join("release/plain-seeder"));
    command.args(["--size", &plan.size.to_string(), "--piece-length", &PIECE_LENGTH.to_string()]);
    command.args(["--seed", &CONTENT_SEED.to_string()]).arg("--torrent").arg(&torrent);
    if write {
        command.arg("--write").arg(plan.scratch.join("content.bin"));
    }
    let seeder = Program::start("plain-seeder", &mut command)?;
    let peer = format!("127.0.0.1:{}", seeder.port()?);
    Ok(Swarm { torrent, peer, _seeder: seeder })
}

fn libtorrent_swarm(plan: &Plan, torrent: &Path) -> Result<Swarm, String> {
    let mut command = Command::new(python()?);
    command.args(["tests/peers/lt_peer.py", "seed"]).arg("--torrent").arg(torrent).arg("--data").arg(&plan.scratch);
    let seeder = Program::start("libtorrent seeding", &mut command)?;
    let peer = format!("127.0.0.1:{}", seeder.port()?);
    Ok(Swarm { torrent: torrent.to_owned(), peer, _seeder: seeder })
}

pub fn python() -> Result<&'static Path, String> {
    let python = Path::new(".venv/bin/python");
    python.exists().then_some(python).ok_or_else(|| "libtorrent is not installed: run `make deps`".to_owned())
}

type Runs = Result<Vec<Measured>, String>;
type Run<'a> = &'a dyn Fn() -> Result<Measured, String>;

fn compare(plan: &Plan, swarm: &Swarm, figures: &Figures, results: &mut Results) {
    let peers: [(&str, Run); 4] = [
        ("ours", &|| ours(plan, swarm)),
        ("libtorrent", &|| libtorrent(plan, swarm)),
        ("librqbit", &|| librqbit(plan, swarm)),
        ("floor", &|| floor(plan, swarm)),
    ];
    let mut runs: [Runs; 4] = [const { Ok(Vec::new()) }; 4];
    // Round 0 is the warm-up. A peer that failed once is not asked again: its figures say why.
    for round in 0..=plan.pairs {
        for ((name, run), runs) in peers.iter().zip(&mut runs) {
            let skipped = *name == "floor" && figures.cpu_vs_floor.is_none();
            if let (Ok(so_far), false) = (runs.as_mut(), skipped) {
                match run() {
                    Ok(measured) => {
                        report(name, round, &measured);
                        if round > 0 {
                            so_far.push(measured);
                        }
                    }
                    Err(reason) => *runs = Err(reason),
                }
            }
        }
    }
    let [ours, libtorrent, librqbit, floor] = runs;
    ratio(results, &figures.wall_vs_libtorrent, &ours, &libtorrent, Measured::wall);
    ratio(results, &figures.cpu_vs_libtorrent, &ours, &libtorrent, Measured::cpu);
    ratio(results, &figures.wall_vs_librqbit, &ours, &librqbit, Measured::wall);
    ratio(results, &figures.cpu_vs_librqbit, &ours, &librqbit, Measured::cpu);
    if let Some(figure) = &figures.cpu_vs_floor {
        ratio(results, figure, &ours, &floor, Measured::cpu);
        stated(results, &PEAK, &ours, |run| Ok(run.number("storage_peak")? / MEMORY_LIMIT as f64));
        stated(results, &CONSTANT, &ours, |run| {
            Ok((run.number("rss_peak_kib")? * 1024.0 - MEMORY_LIMIT as f64) / (1 << 20) as f64)
        });
    }
}

fn report(name: &str, round: usize, measured: &Measured) {
    let round = if round == 0 { "warm-up".to_owned() } else { format!("round {round}") };
    if let (Ok(wall), Ok(cpu)) = (measured.wall(), measured.cpu()) {
        eprintln!("{round:8} {name:10} {wall:6.2} s wall {cpu:6.2} s CPU");
    }
}

/// The ratios of the pairs: ours of a round to the peer's of the same round.
fn ratio(
    results: &mut Results,
    figure: &Figure,
    ours: &Runs,
    peer: &Runs,
    of: impl Fn(&Measured) -> Result<f64, String>,
) {
    let ratios = match (ours, peer) {
        (Err(reason), _) | (_, Err(reason)) => Err(reason.clone()),
        (Ok(ours), Ok(peer)) => {
            ours.iter().zip(peer).map(|(ours, peer)| Ok(of(ours)? / of(peer)?)).collect::<Result<Vec<_>, _>>()
        }
    };
    enter(results, figure, ratios);
}

fn stated(results: &mut Results, figure: &Figure, ours: &Runs, of: impl Fn(&Measured) -> Result<f64, String>) {
    enter(results, figure, ours.as_ref().map_err(Clone::clone).and_then(|runs| runs.iter().map(of).collect()));
}

fn enter(results: &mut Results, figure: &Figure, runs: Result<Vec<f64>, String>) {
    match runs {
        Ok(runs) => results.put(figure, &runs),
        Err(reason) => results.skip(figure, &reason),
    }
}

fn ours(plan: &Plan, swarm: &Swarm) -> Result<Measured, String> {
    let mut command = c_program(plan, "download")?;
    command.arg(&swarm.torrent).arg(&swarm.peer);
    command.args([CONTENT_SEED.to_string(), plan.size.to_string(), MEMORY_LIMIT.to_string()]);
    let measured = Measured::run("ours", &mut command)?;
    // The program stops at the first wrong byte; this is for one that would stop without a word.
    if measured.number("verified_bytes")? != plan.size as f64 {
        return Err("not every byte was compared".to_owned());
    }
    Ok(measured)
}

fn libtorrent(plan: &Plan, swarm: &Swarm) -> Result<Measured, String> {
    let mut command = Command::new(python()?);
    command.arg("benches/peers/libtorrent_leech.py").args(["--peer", &swarm.peer]);
    to_files(plan, "libtorrent", command.arg("--torrent").arg(&swarm.torrent))
}

fn librqbit(plan: &Plan, swarm: &Swarm) -> Result<Measured, String> {
    let mut command = Command::new(plan.target.join("release/rqbit-peer"));
    command.args(["leech", "--measure", "--peer", &swarm.peer]);
    to_files(plan, "librqbit", command.arg("--torrent").arg(&swarm.torrent))
}

fn floor(plan: &Plan, swarm: &Swarm) -> Result<Measured, String> {
    // It compares the hash of every piece with the torrent's, which the seeder made from the source.
    let mut command = Command::new(plan.target.join("release/floor"));
    Measured::run("floor", command.args(["--peer", &swarm.peer]).arg("--torrent").arg(&swarm.torrent))
}

/// Runs a client that writes files, and compares what it wrote.
fn to_files(plan: &Plan, name: &str, command: &mut Command) -> Result<Measured, String> {
    let data = plan.scratch.join("got");
    fs::create_dir_all(&data).map_err(|error| error.to_string())?;
    let measured = Measured::run(name, command.arg("--data").arg(&data));
    let same = measured.is_err() || is_content(&data.join("content.bin"), plan.size).unwrap_or(false);
    fs::remove_dir_all(&data).map_err(|error| error.to_string())?;
    if !same {
        return Err(format!("{name} wrote other bytes"));
    }
    measured
}

fn is_content(path: &Path, size: u64) -> std::io::Result<bool> {
    use std::io::Read;
    let content = Content::new(CONTENT_SEED, size);
    let mut file = fs::File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    let mut offset = 0;
    while offset < size {
        let part = &mut buffer[..(size - offset).min(1 << 20) as usize];
        file.read_exact(part)?;
        if !content.matches(offset, part) {
            return Ok(false);
        }
        offset += part.len() as u64;
    }
    Ok(file.read(&mut [0])? == 0)
}
