//! The programs that the driver runs: servers that live beside a measurement, and measured ones that print a JSON line.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use std::{fs, thread};

use serde_json::Value;

/// No run of these benchmarks takes near as long; one that does hangs.
const PATIENCE: Duration = Duration::from_secs(180);

/// A directory that is gone when this is.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A new directory in memory where the system has such a place, else among its temporary files.
pub fn scratch_directory() -> Result<Scratch, String> {
    let shared_memory = Path::new("/dev/shm");
    let parent = if shared_memory.is_dir() { shared_memory.to_owned() } else { std::env::temp_dir() };
    let path = parent.join(format!("et-bench-{}", std::process::id()));
    fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Scratch(path))
}

/// A running program, ended with its standard input and, if that does not do, killed.
pub struct Program {
    name: String,
    child: Child,
    lines: Receiver<String>,
}

impl Program {
    pub fn start(name: &str, command: &mut Command) -> Result<Self, String> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{name} does not start: {error}"))?;
        let output = BufReader::new(child.stdout.take().ok_or("no output")?);
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { name: name.to_owned(), child, lines })
    }

    /// The first line that `pick` takes.
    fn line<T>(&self, pick: impl Fn(&str) -> Option<T>) -> Result<T, String> {
        let deadline = Instant::now() + PATIENCE;
        let mut last = String::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).map_err(|_| format!("{} gave no result: {last}", self.name))?;
            if let Some(picked) = pick(&line) {
                return Ok(picked);
            }
            last = line;
        }
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What `elementum-stream` says when it is ready: the address of its page.
    pub fn listens_on_page(&self) -> Result<SocketAddr, String> {
        self.line(|line| line.strip_prefix("listening on http://")?.split('/').next()?.parse().ok())
    }

    /// What a server says when it is ready.
    pub fn port(&self) -> Result<u16, String> {
        self.line(|line| line.strip_prefix("port ")?.parse().ok())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        for _ in 0..50 {
            if self.child.try_wait().is_ok_and(|status| status.is_some()) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The JSON line of a measured program.
pub struct Measured(Value);

impl Measured {
    pub fn run(name: &str, command: &mut Command) -> Result<Self, String> {
        let program = Program::start(name, command)?;
        program.line(|line| serde_json::from_str(line).ok().filter(Value::is_object)).map(Self)
    }

    pub fn number(&self, key: &str) -> Result<f64, String> {
        self.0[key].as_f64().ok_or_else(|| format!("no {key} in {}", self.0))
    }

    pub fn numbers(&self, key: &str) -> Result<Vec<f64>, String> {
        let list = self.0[key].as_array().map(|list| list.iter().map(Value::as_f64).collect());
        list.flatten().ok_or_else(|| format!("no {key} in {}", self.0))
    }

    pub fn wall(&self) -> Result<f64, String> {
        self.number("wall")
    }

    /// User and system time, without what the program spent on comparing bytes.
    pub fn cpu(&self) -> Result<f64, String> {
        Ok(self.number("user")? + self.number("sys")? - self.number("verify_cpu")?)
    }
}
