//! What crossing into C costs a Go program: `go-binding/bench/cost`, and the same through SWIG, `go-binding/bench/swig`. The two
//! run in turn; a value is the median of the pairs' ratios.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Plan;
use crate::machine::eventfd_wakes;
use crate::program::Measured;
use crate::results::{Figure, Results, quantile};

/// A figure, of the numbers that the two programs print.
struct Row {
    figure: Figure,
    value: Value,
}

/// What a figure is made of: keys of the programs' JSON.
enum Value {
    Ours(&'static str),
    /// The first over the second, both of ours.
    Ratio(&'static str, &'static str),
    /// SWIG's over ours.
    Swig(&'static str, &'static str),
    /// One of ours over an eventfd's wake-up in the same run, microseconds.
    Eventfd(&'static str),
}
use Value::{Eventfd, Ours, Ratio, Swig};

/// What was measured in one turn.
struct Turn {
    ours: Result<Measured, String>,
    swig: Result<Measured, String>,
    /// The median wake-up.
    eventfd: Option<f64>,
}

const WAKES: usize = 300;

const ROWS: [Row; 9] = [
    Row {
        figure: Figure::new("abi.call_vs_cgo", 1.3, "ratio", "an empty cgo call"),
        value: Ratio("abi_call_ns", "cgo_call_ns"),
    },
    Row {
        figure: Figure::at_least(
            "abi.status_vs_swig",
            30.0,
            "ratio",
            "libtorrent 2.0 through SWIG, 9 x status().getX()",
        ),
        value: Swig("status_ns", "status_ns"),
    },
    Row {
        figure: Figure::stated("abi.alert_ns", "ns", "one typed alert in Go, popping included"),
        value: Ours("alert_ns"),
    },
    Row {
        figure: Figure::at_least("abi.alert_vs_swig", 20.0, "ratio", "SWIG's type, category, what, message"),
        value: Swig("alert_ns", "alert_ns"),
    },
    Row {
        figure: Figure::at_least("abi.alert_text_vs_swig", 4.0, "ratio", "the same, ours with type name and message"),
        value: Swig("alert_ns", "alert_text_ns"),
    },
    Row {
        figure: Figure::new("abi.alert_allocs", 0.0, "", "allocations per alert into a reused value"),
        value: Ours("alert_allocs"),
    },
    Row {
        figure: Figure::at_least("abi.read64k_vs_memcpy", 0.9, "ratio", "rate of memcpy called by cgo"),
        value: Ratio("memcpy64k_ns", "read64k_ns"),
    },
    Row {
        figure: Figure::stated("abi.reader_wake_us", "us", "piece_finished to the end of Reader.Read"),
        value: Ours("wake_us"),
    },
    Row {
        figure: Figure::new(
            "abi.reader_wake_vs_eventfd",
            15.0,
            "ratio",
            "an eventfd's wake-up in the same run, medians",
        ),
        value: Eventfd("wake_us"),
    },
];

pub fn measure(plan: &Plan, results: &mut Results) {
    let wanted: Vec<&Row> = ROWS.iter().filter(|row| results.wants(&row.figure)).collect();
    if wanted.is_empty() {
        return;
    }
    let cost = match cost_program(plan) {
        Ok(cost) => cost,
        Err(reason) => return wanted.iter().for_each(|row| results.skip(&row.figure, &reason)),
    };
    let needs_swig = wanted.iter().any(|row| matches!(row.value, Swig(..)));
    let swig = if needs_swig { swig_program(plan) } else { Err(String::new()) };
    // The first runs are the warm-up.
    let turns: Vec<Turn> = (0..=plan.pairs)
        .map(|_| Turn {
            eventfd: quantile(&eventfd_wakes(WAKES), 0.5),
            ours: run(plan, &cost),
            swig: swig.as_ref().map_err(String::clone).and_then(|swig| run(plan, swig)),
        })
        .collect();
    for row in wanted {
        results.put_or_skip(&row.figure, turns[1..].iter().map(|turn| row.value.of(turn)).collect());
    }
}

impl Value {
    fn of(&self, turn: &Turn) -> Result<f64, String> {
        let ours = turn.ours.as_ref().map_err(String::clone)?;
        match self {
            Ours(key) => ours.number(key),
            Ratio(over, under) => Ok(ours.number(over)? / ours.number(under)?),
            Eventfd(key) => Ok(ours.number(key)? / turn.eventfd.ok_or("no eventfd")?),
            Swig(theirs, key) => Ok(turn.swig.as_ref().map_err(String::clone)?.number(theirs)? / ours.number(key)?),
        }
    }
}

pub fn stage(plan: &Plan) -> PathBuf {
    plan.target.join("stage/lib")
}

fn run(plan: &Plan, program: &Path) -> Result<Measured, String> {
    let name = program.file_name().and_then(OsStr::to_str).unwrap_or("go");
    Measured::run(name, Command::new(program).env("LD_LIBRARY_PATH", stage(plan)))
}

fn cost_program(plan: &Plan) -> Result<PathBuf, String> {
    with_library(plan, "go-cost", "./bench/cost")
}

/// The streaming service.
pub fn service_program(plan: &Plan) -> Result<PathBuf, String> {
    with_library(plan, "elementum-stream", "./cmd/elementum-stream")
}

/// Builds a program of the Go package's module, with the library as `make stage` installed it.
fn with_library(plan: &Plan, name: &str, package: &str) -> Result<PathBuf, String> {
    let pkgconfig = stage(plan).join("pkgconfig");
    if !pkgconfig.join("elementum_torrent.pc").is_file() {
        return Err("the library is not in target/stage: make stage".to_owned());
    }
    go_build(plan, name, Path::new("go-binding"), package, |go| go.env("PKG_CONFIG_PATH", pkgconfig))
}

fn swig_program(plan: &Plan) -> Result<PathBuf, String> {
    let there = |name: &str, arguments: &[&str]| {
        Command::new(name).args(arguments).output().is_ok_and(|output| output.status.success())
    };
    if !there("swig", &["-version"]) {
        return Err("swig is not installed: go-binding/bench/install.sh".to_owned());
    }
    if !there("pkg-config", &["--exists", "libtorrent-rasterbar >= 2.0"]) {
        return Err("libtorrent 2.0 is not installed: go-binding/bench/install.sh".to_owned());
    }
    go_build(plan, "go-swig", Path::new("go-binding/bench/swig"), ".", |go| go)
}

/// Builds a package's program. Always anew: Go knows itself what has changed.
pub fn go_build(
    plan: &Plan,
    name: &str,
    module: &Path,
    package: &str,
    set: impl FnOnce(&mut Command) -> &mut Command,
) -> Result<PathBuf, String> {
    let program = plan.target.join("bench").join(name);
    let mut go = Command::new("go");
    go.args(["build", "-buildvcs=false", "-o"]).arg(&program).arg(package).current_dir(module);
    let output = set(&mut go).output().map_err(|error| format!("go: {error}"))?;
    if output.status.success() {
        return Ok(program);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("go build: {}", said.lines().rfind(|line| !line.starts_with('#')).unwrap_or("failed").trim()))
}
