//! `bench`: the driver of `make bench` and `make bench-stream`. It runs ours and each peer in turn on the same work, compares the bytes with the
//! source every time, and writes ratios, never bare times, to `results.json` and a table.
//!
//! Ours is measured through the C ABI by the C programs in `benches/c`; so is what a user's program would see.

mod abi;
mod copies;
mod download;
mod go;
mod http;
mod machine;
mod many;
mod mse;
mod play;
mod program;
mod results;
mod rounds;
mod scale;
mod seeders;
mod stream;
mod swarm;
mod utp;
mod wake;
mod ways;
mod yielding;

use std::path::PathBuf;
use std::process::ExitCode;

use elementum_bench::args::Args;
use results::Results;

const USAGE: &str = "bench [--only PREFIX (of figures, of all there are)]... [--pairs N] [--size BYTES] [--results PATH] \
     [--stream (through the link emulator, and nothing else)] [--strict (fail when a bar does not hold)]";

/// Where things are, and how much to do. The driver runs in the repository's root, as `make` does.
pub struct Plan {
    /// Cargo's target directory, the one that this program is in.
    pub target: PathBuf,
    /// A directory on tmpfs, ours alone, gone at the end.
    pub scratch: PathBuf,
    pub pairs: usize,
    pub size: u64,
}

impl Plan {
    /// The same with less content.
    fn smaller(&self, size: u64) -> Self {
        Self { size, target: self.target.clone(), scratch: self.scratch.clone(), pairs: self.pairs }
    }
}

type Measure = fn(&Plan, &mut Results);

const LOOPBACK: &[Measure] = &[
    abi::measure,
    copies::measure,
    go::measure,
    download::measure,
    http::measure,
    many::measure,
    wake::measure,
    scale::measure,
    ways::measure,
];
const EMULATED: &[Measure] = &[stream::measure, play::measure, utp::measure, yielding::measure, mse::measure];

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("bench: {message}\n{USAGE}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool, String> {
    let args = Args::parse(&["only", "pairs", "size", "results"], &["strict", "stream"])?;
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let target = program.ancestors().nth(2).ok_or("not in a target directory")?.to_owned();
    let scratch = program::scratch_directory()?;
    let plan = Plan {
        scratch: scratch.path().to_owned(),
        pairs: args.number("pairs", 5)?,
        size: args.number("size", 1u64 << 30)?,
        target,
    };
    if plan.pairs == 0 || plan.size == 0 {
        return Err("--pairs and --size are at least 1".to_owned());
    }
    let path = args.text("results").map_or_else(|| plan.target.join("bench/results.json"), PathBuf::from);
    let mut results = Results::new(args.all("only").to_vec());
    eprintln!("measuring the machine itself");
    machine::measure(&mut results);
    // What is asked for by name is measured whichever part it belongs to.
    let named = !args.all("only").is_empty();
    let parts: [(bool, &[Measure]); 2] =
        [(named || !args.flag("stream"), LOOPBACK), (named || args.flag("stream"), EMULATED)];
    for measure in parts.iter().filter(|(wanted, _)| *wanted).flat_map(|(_, part)| *part) {
        measure(&plan, &mut results);
        // A run that is cut short leaves what it has measured.
        results.save(&path)?;
    }
    print!("{}", results.table());
    println!("written to {}", path.display());
    let skipped: Vec<_> = results.skipped().collect();
    if !skipped.is_empty() {
        // Last, and in words: a table without a peer looks like one that was measured.
        println!("\nNOT MEASURED, {} of the figures above:", skipped.len());
        skipped.iter().for_each(|(name, reason)| println!("  {name}: {reason}"));
    }
    Ok(results.all_hold() || !args.flag("strict"))
}
