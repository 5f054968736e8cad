//! The figures of a run: their bars, their table, and the file that the README's figures are taken from.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::{fs, thread};

use serde_json::{Map, Value, json};

/// A figure's name, what it is held to, and what it is measured against.
pub struct Figure {
    pub name: &'static str,
    pub bar: Option<f64>,
    pub unit: &'static str,
    pub against: &'static str,
    better: &'static str,
}

const LOWER: &str = "lower";
const HIGHER: &str = "higher";

impl Figure {
    pub const fn new(name: &'static str, bar: f64, unit: &'static str, against: &'static str) -> Self {
        Self { name, bar: Some(bar), unit, against, better: LOWER }
    }

    /// A figure that is better when higher.
    pub const fn at_least(name: &'static str, bar: f64, unit: &'static str, against: &'static str) -> Self {
        Self { name, bar: Some(bar), unit, against, better: HIGHER }
    }

    pub const fn stated(name: &'static str, unit: &'static str, against: &'static str) -> Self {
        Self { name, bar: None, unit, against, better: LOWER }
    }
}

pub struct Results {
    only: Vec<String>,
    entries: Map<String, Value>,
    machine: String,
    /// The machine's own, by their names.
    speeds: Map<String, Value>,
    commit: String,
}

impl Results {
    /// `only`: prefixes of the figures that are wanted; empty: all.
    pub fn new(only: Vec<String>) -> Self {
        Self { only, entries: Map::new(), machine: machine(), speeds: Map::new(), commit: commit() }
    }

    pub fn wants(&self, figure: &Figure) -> bool {
        self.only.is_empty() || self.only.iter().any(|prefix| figure.name.starts_with(prefix.as_str()))
    }

    /// Enters a figure: the value is the median of its runs.
    pub fn put(&mut self, figure: &Figure, runs: &[f64]) {
        self.enter_value(figure, runs, median(runs));
    }

    /// Enters a figure of which no run may be bad: the value is the worst of its runs.
    pub fn put_worst(&mut self, figure: &Figure, runs: &[f64]) {
        let worse = if figure.better == HIGHER { f64::min } else { f64::max };
        self.enter_value(figure, runs, runs.iter().copied().reduce(worse));
    }

    fn enter_value(&mut self, figure: &Figure, runs: &[f64], value: Option<f64>) {
        let Some(value) = value else {
            return self.skip(figure, "no run finished");
        };
        let runs: Vec<f64> = runs.iter().copied().map(round).collect();
        self.enter(figure, json!({ "value": round(value), "runs": runs }));
    }

    /// Enters one of the machine's own speeds, and tells it beside each figure that is entered later.
    pub fn note(&mut self, figure: &Figure, value: f64) {
        let value = round(value);
        self.speeds.insert(figure.name.trim_start_matches("machine.").to_owned(), json!(value));
        let entry = self.described(figure, json!({ "value": value, "runs": [value] }));
        self.entries.insert(figure.name.to_owned(), entry);
    }

    /// Enters a figure that could not be measured, and why. Never a made-up number.
    pub fn skip(&mut self, figure: &Figure, reason: &str) {
        self.enter(figure, json!({ "skipped": reason }));
    }

    /// Enters what came of the runs.
    pub fn put_or_skip(&mut self, figure: &Figure, runs: Result<Vec<f64>, String>) {
        match runs {
            Ok(runs) => self.put(figure, &runs),
            Err(reason) => self.skip(figure, &reason),
        }
    }

    fn enter(&mut self, figure: &Figure, entry: Value) {
        if self.wants(figure) {
            let entry = self.described(figure, entry);
            self.entries.insert(figure.name.to_owned(), entry);
        }
    }

    fn described(&self, figure: &Figure, mut entry: Value) -> Value {
        entry["bar"] = json!(figure.bar);
        entry["better"] = json!(figure.better);
        entry["unit"] = json!(figure.unit);
        entry["against"] = json!(figure.against);
        entry["machine"] = json!(self.machine);
        entry["commit"] = json!(self.commit);
        entry["speeds"] = Value::Object(self.speeds.clone());
        entry
    }

    /// Whether every bar was met. A skipped figure meets none.
    pub fn all_hold(&self) -> bool {
        self.entries.values().all(|entry| holds(entry) != Some(false))
    }

    /// Writes the entries into the file, beside those of other programs.
    pub fn save(&self, path: &Path) -> Result<(), String> {
        let mut all: Map<String, Value> = match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| format!("{}: {error}", path.display()))?,
            Err(_) => Map::new(),
        };
        for (name, entry) in &self.entries {
            all.insert(name.clone(), entry.clone());
        }
        let text = serde_json::to_string_pretty(&all).map_err(|error| error.to_string())? + "\n";
        let directory = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(directory)
            .and_then(|()| fs::write(path, text))
            .map_err(|error| format!("{}: {error}", path.display()))
    }

    /// The figures that were not measured, and why: what a long table buries.
    pub fn skipped(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().filter_map(|(name, entry)| Some((name.as_str(), entry["skipped"].as_str()?)))
    }

    pub fn table(&self) -> String {
        let mut out = format!("{}, commit {}\n", self.machine, self.commit);
        let width = self.entries.keys().map(String::len).max().unwrap_or(0);
        for (name, entry) in &self.entries {
            let _ = write!(out, "{name:width$}  ");
            if let Some(reason) = entry["skipped"].as_str() {
                let _ = writeln!(out, "skipped: {reason}");
                continue;
            }
            let runs: Vec<f64> = entry["runs"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
            let (low, high) = runs.iter().fold((f64::MAX, f64::MIN), |(low, high), &run| (low.min(run), high.max(run)));
            let bar = entry["bar"].as_f64().map_or("   stated".to_owned(), |bar| format!("bar {bar:>5}"));
            let verdict = match holds(entry) {
                Some(true) => "holds",
                Some(false) => "MISSED",
                None => "",
            };
            let unit = entry["unit"].as_str().unwrap_or_default();
            let value = entry["value"].as_f64().unwrap_or(f64::NAN);
            let _ = writeln!(out, "{value:>9.3} {unit:<5} {bar}  {verdict:<6} [{low:.3} .. {high:.3}]");
        }
        out
    }
}

fn round(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

fn holds(entry: &Value) -> Option<bool> {
    let bar = entry["bar"].as_f64()?;
    let higher = entry["better"] == HIGHER;
    Some(entry["value"].as_f64().is_some_and(|value| if higher { value >= bar } else { value <= bar }))
}

pub fn median(runs: &[f64]) -> Option<f64> {
    let mut sorted = runs.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        Some((sorted.get(middle.checked_sub(1)?)? + sorted.get(middle)?) / 2.0)
    } else {
        sorted.get(middle).copied()
    }
}

/// The value that so much of the runs, of 1, do not exceed.
pub fn quantile(runs: &[f64], part: f64) -> Option<f64> {
    let mut sorted = runs.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() as f64 * part) as usize;
    sorted.get(at.min(sorted.len().checked_sub(1)?)).copied()
}

fn machine() -> String {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("unknown processor", |(_, name)| name.trim());
    let kernel = read("/proc/sys/kernel/osrelease");
    let tcp = read("/proc/sys/net/ipv4/tcp_congestion_control");
    format!("{cores} cores, {model}, Linux {}, TCP {}", kernel.trim(), tcp.trim())
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short", "HEAD"]) else { return "unknown".to_owned() };
    let clean = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|changes| changes.is_empty());
    if clean { commit } else { commit + "-changed" }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Figure = Figure::new("a.fast", 0.5, "ratio", "itself");
    const SLOW: Figure = Figure::new("b.slow", 0.5, "ratio", "itself");

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn quantiles() {
        assert_eq!(quantile(&[], 0.5), None);
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!((quantile(&hundred, 0.9), quantile(&hundred, 1.0)), (Some(91.0), Some(100.0)));
    }

    #[test]
    fn a_missed_bar_and_a_skipped_figure_do_not_hold() {
        let mut results = Results::new(Vec::new());
        results.put(&FAST, &[0.4, 0.3, 0.9]);
        assert!(results.all_hold(), "the median holds");
        results.put(&SLOW, &[0.6]);
        assert!(!results.all_hold());
        assert!(results.table().contains("MISSED"));
        results.skip(&SLOW, "not installed");
        assert!(!results.all_hold());
        assert!(results.table().contains("skipped: not installed"));
    }

    #[test]
    fn the_worst_run_of_a_figure_may_count() {
        let mut results = Results::new(Vec::new());
        results.put_worst(&FAST, &[0.4, 0.3, 0.9]);
        assert!(!results.all_hold());
        results.put_worst(&Figure::at_least("a.fast", 0.4, "ratio", "itself"), &[0.9, 0.4, 0.8]);
        assert!(results.all_hold());
    }

    #[test]
    fn a_figure_may_be_better_when_higher() {
        let mut results = Results::new(Vec::new());
        let figure = Figure::at_least("c.many", 4.0, "ratio", "itself");
        results.put(&figure, &[4.5]);
        assert!(results.all_hold());
        results.put(&figure, &[3.5]);
        assert!(!results.all_hold());
    }

    #[test]
    fn only_what_is_wanted_is_entered_and_other_entries_stay() {
        let path = std::env::temp_dir().join(format!("et-bench-results-{}.json", std::process::id()));
        let mut first = Results::new(Vec::new());
        first.put(&FAST, &[0.4]);
        first.save(&path).unwrap();
        let mut second = Results::new(vec!["b.".to_owned()]);
        second.put(&FAST, &[9.0]);
        second.put(&SLOW, &[0.1]);
        second.save(&path).unwrap();
        let all: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!((all["a.fast"]["value"].as_f64(), all["b.slow"]["value"].as_f64()), (Some(0.4), Some(0.1)));
        for key in ["bar", "better", "unit", "runs", "against", "machine", "commit", "speeds"] {
            assert!(!all["b.slow"][key].is_null(), "{key}");
        }
    }
}
