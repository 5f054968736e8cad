//! Tests that measure their process: each runs in one of its own, where nothing else counts.

use std::fs;
use std::process::Command;

const ALONE: &str = "ELEMENTUM_TEST_ALONE";

/// Runs `body` in a new process that does nothing else. `test` is the whole name of the test that calls this.
pub fn alone(test: &str, body: impl FnOnce()) {
    if std::env::var(ALONE).is_ok_and(|running| running == test) {
        return body();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--include-ignored", "--nocapture", "--test-threads=1"]).env(ALONE, test);
    let output = command.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{test} by itself: {}\n{said}", output.status);
    assert!(said.contains("1 passed"), "{test} is no test: {said}");
    // What it measured.
    said.lines().filter_map(|line| line.find("measured ").map(|at| &line[at..])).for_each(|line| println!("{line}"));
}

/// Bytes of a line like `VmHWM` or `VmRSS` of this process's status.
pub fn memory(what: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().unwrap() * 1024
}

/// Sets `VmHWM` back to what is resident now.
pub fn forget_memory_peak() {
    fs::write("/proc/self/clear_refs", "5").unwrap();
}

pub fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

pub fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Milliseconds of processor time that this process has used.
pub fn cpu_ms() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    // The name, in parentheses, may have spaces in it. User and system time are the 14th and 15th field, in 10 ms.
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
    10 * (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap())
}
