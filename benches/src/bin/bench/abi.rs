//! What the shared library costs a C program: its size, an idle session, popping alerts. And how the C programs are built.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::Plan;
use crate::program::Measured;
use crate::results::{Figure, Results};

/// What ours may keep in RAM while it downloads.
pub const MEMORY_LIMIT: u64 = 64 << 20;

const LIBRARY: &str = "libelementum_torrent.so";

const POP: Figure = Figure::new("abi.pop_c_ns", 30.0, "ns", "a record, batches of 256");
const IDLE: Figure =
    Figure::new("memory.idle_session_mib", 8.0, "MiB", "private memory of a process, before and after");
const OPEN: Figure = Figure::new("time.open_session_ms", 5.0, "ms", "et_session_open to a listening port");
const SIZE: Figure = Figure::new("size.so_mib", 8.0, "MiB", "stripped shared library");

pub fn measure(plan: &Plan, results: &mut Results) {
    let programs = [("alerts", &POP, "pop_ns"), ("idle", &IDLE, "idle_mib"), ("idle", &OPEN, "open_ms")];
    for (program, figure, key) in programs {
        if !results.wants(figure) {
            continue;
        }
        // The first run is the warm-up.
        let runs = (0..=plan.pairs)
            .map(|_| Measured::run(program, &mut c_program(plan, program)?)?.number(key))
            .collect::<Result<Vec<f64>, String>>();
        results.put_or_skip(figure, runs.map(|runs| runs[1..].to_vec()));
    }
    if results.wants(&SIZE) {
        results.put_or_skip(&SIZE, stripped_size(plan).map(|bytes| vec![bytes as f64 / (1 << 20) as f64]));
    }
}

fn stripped_size(plan: &Plan) -> Result<u64, String> {
    let stripped = plan.scratch.join(LIBRARY);
    let mut command = Command::new("strip");
    run(command.arg("-o").arg(&stripped).arg(plan.target.join("release").join(LIBRARY)))?;
    fs::metadata(&stripped).map(|metadata| metadata.len()).map_err(|error| error.to_string())
}

/// Builds `benches/c/NAME.c` against the header and the release library, and gives the command that runs it.
pub fn c_program(plan: &Plan, name: &str) -> Result<Command, String> {
    let release = plan.target.join("release");
    let program = plan.target.join("bench").join(name);
    // Always anew: it takes a moment, and a stale program would measure another library's header.
    fs::create_dir_all(plan.target.join("bench")).map_err(|error| error.to_string())?;
    let source: PathBuf = ["benches", "c", &format!("{name}.c")].iter().collect();
    let mut compiler = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
    compiler.args(["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-Iinclude", "-o"]).arg(&program).arg(source);
    run(compiler.arg("-L").arg(&release).arg("-lelementum_torrent"))?;
    let mut command = Command::new(program);
    // The path is the measured process's alone; the program itself carries none.
    command.env("LD_LIBRARY_PATH", release);
    Ok(command)
}

fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{name}: {}", said.lines().find(|line| line.contains("error")).unwrap_or("failed").trim()))
}
