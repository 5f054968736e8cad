//! Reads out of memory into buffers at every offset from a page: none is much slower than the others. The C library's memcpy of
//! the same bytes is told beside it.

use crate::Plan;
use crate::abi::c_program;
use crate::program::Measured;
use crate::results::{Figure, Results, median};
use crate::seeders::{CONTENT_SEED, Seeder};

const READ: Figure = Figure::at_least(
    "abi.read_worst_offset",
    0.8,
    "ratio",
    "rate at the slowest of 128 offsets of a buffer in its page / at the median one",
);
const MEMCPY: Figure = Figure::stated("abi.memcpy_worst_offset", "ratio", "the same of memcpy, blocks of 16 KiB");
const OVER_MEMCPY: Figure = Figure::stated(
    "abi.read_vs_memcpy_at_16",
    "ratio",
    "rate of memcpy, 16 bytes after a page, where malloc's buffers are",
);

/// What is read over and over: more than the smaller caches hold, less than the largest.
const PIECE_LENGTH: u64 = 4 << 20;
/// The offsets begin with 0, 1, 2 …
const AT_MALLOCS: usize = 16;

pub fn measure(plan: &Plan, results: &mut Results) {
    if ![&READ, &MEMCPY, &OVER_MEMCPY].iter().any(|figure| results.wants(figure)) {
        return;
    }
    let runs = (0..plan.pairs).map(|_| run(plan)).collect::<Result<Vec<_>, _>>();
    let of = |value: fn(&Run) -> Option<f64>| {
        let runs = runs.as_ref().map_err(String::clone)?.iter();
        runs.map(|run| value(run).ok_or_else(|| "no offsets were measured".to_owned())).collect()
    };
    results.put_or_skip(&READ, of(|run| worst(&run.reads)));
    results.put_or_skip(&MEMCPY, of(|run| worst(&run.copies)));
    results.put_or_skip(&OVER_MEMCPY, of(|run| Some(run.copies.get(AT_MALLOCS)? / run.reads.get(AT_MALLOCS)?)));
}

/// The times of the fastest reads at each offset, and those of memcpy.
struct Run {
    reads: Vec<f64>,
    copies: Vec<f64>,
}

fn run(plan: &Plan) -> Result<Run, String> {
    let (seeder, torrents) = Seeder::plain_many(plan, PIECE_LENGTH, PIECE_LENGTH, 1)?;
    let mut command = c_program(plan, "copy")?;
    command.arg(torrents.first().ok_or("no torrent was made")?);
    command.args([CONTENT_SEED.to_string(), PIECE_LENGTH.to_string(), seeder.address.to_string()]);
    let measured = Measured::run("copy", &mut command)?;
    Ok(Run { reads: measured.numbers("read_ns")?, copies: measured.numbers("memcpy_ns")? })
}

/// The rate at the slowest offset over that at the median one.
fn worst(times: &[f64]) -> Option<f64> {
    Some(median(times)? / times.iter().copied().reduce(f64::max)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_offset_is_seen() {
        assert_eq!(worst(&[]), None);
        assert_eq!(worst(&[2.0, 2.0, 2.0]), Some(1.0));
        assert_eq!(worst(&[2.0, 20.0, 2.0]), Some(0.1));
    }
}
