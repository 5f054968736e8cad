//! Real clients, driven by the programs of `tests/peers` and `benches`: other implementations for ours to meet.
//!
//! Each is a process that prints one fact a line and ends when its standard input does, so a test cannot leave one behind.
//! Nothing here is skipped when a client is missing: the test fails and says what to install.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::temp::TempDir;

/// How long a fact may take. Transmission becomes interested and unchokes in 10 s steps; CI has two busy cores.
pub const PATIENCE: Duration = Duration::from_secs(90);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Python of the project's virtual environment, which has libtorrent.
pub fn python(script: &str) -> Command {
    let python = root().join(".venv/bin/python");
    assert!(python.exists(), "no {}: run `make deps`", python.display());
    let mut command = Command::new(python);
    command.arg(root().join("tests/peers").join(script));
    command
}

/// A program of the `benches` package. It is looked for where this test was built, so that any target directory will do.
pub fn bench_program(name: &str) -> Command {
    let here = std::env::current_exe().unwrap();
    let built = here
        .ancestors()
        .flat_map(|dir| [dir.join(name), dir.join("debug").join(name), dir.join("release").join(name)])
        .find(|path| path.is_file());
    Command::new(built.unwrap_or_else(|| panic!("{name} is not built: run `make peers`")))
}

/// A running client.
pub struct Peer {
    name: String,
    child: Child,
    lines: Receiver<String>,
    /// Facts that came while another was waited for.
    early: VecDeque<String>,
    /// All facts, for the message of a failure.
    heard: Vec<String>,
}

impl Peer {
    pub fn start(name: &str, mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name}: {command:?}: {error}"));
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { name: name.to_owned(), child, lines, early: VecDeque::new(), heard: Vec::new() }
    }

    /// Waits for the fact `word` and returns what follows the word. Panics when it does not come or the client fails.
    pub fn wait(&mut self, word: &str) -> String {
        self.wait_within(word, PATIENCE)
            .unwrap_or_else(|| panic!("{}: no `{word}` in {PATIENCE:?}; heard {:?}", self.name, self.heard))
    }

    /// As [`wait`](Self::wait), but `None` when the time is over.
    pub fn wait_within(&mut self, word: &str, time: Duration) -> Option<String> {
        let rest = |line: &str| {
            let rest = line.strip_prefix(word)?;
            (rest.is_empty() || rest.starts_with(' ')).then(|| rest.trim_start().to_owned())
        };
        if let Some(at) = self.early.iter().position(|line| rest(line).is_some()) {
            return self.early.remove(at).as_deref().and_then(rest);
        }
        let deadline = Instant::now() + time;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.heard.push(line.clone());
                    if let Some(rest) = rest(&line) {
                        return Some(rest);
                    }
                    assert!(!line.starts_with("error"), "{}: {line}", self.name);
                    self.early.push_back(line);
                }
                Err(RecvTimeoutError::Timeout) => return None,
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("{} ended before `{word}`; heard {:?}", self.name, self.heard)
                }
            }
        }
    }

    /// The port that it has said, now or before.
    pub fn port(&mut self) -> u16 {
        let said = self.heard.iter().find_map(|line| line.strip_prefix("port ")?.parse().ok());
        said.unwrap_or_else(|| self.wait("port").parse().unwrap())
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends the client without a goodbye, in the middle of whatever it does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Where the client listens, once it does.
    pub fn address(&mut self) -> SocketAddr {
        let port = self.wait("port").parse().unwrap();
        (Ipv4Addr::LOCALHOST, port).into()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // The scripts take their clients along when they end by themselves; a kill is for one that hangs.
        for _ in 0..100 {
            if self.child.try_wait().is_ok_and(|status| status.is_some()) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An implementation of BitTorrent that is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    Libtorrent,
    Transmission,
    Aria2,
    Rqbit,
    Qbittorrent,
}

/// What a leecher starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    File,
    Magnet,
}

impl Client {
    pub const ALL: [Self; 4] = [Self::Libtorrent, Self::Transmission, Self::Aria2, Self::Rqbit];

    /// Whether the client connects to peers on loopback that it is told of. Transmission never does, so there the
    /// other side must connect to it.
    pub fn dials_loopback(self) -> bool {
        self != Self::Transmission
    }

    fn command(self) -> Command {
        match self {
            Self::Libtorrent => python("lt_peer.py"),
            Self::Transmission => python("transmission_peer.py"),
            Self::Aria2 => python("aria2_peer.py"),
            Self::Rqbit => bench_program("rqbit-peer"),
            Self::Qbittorrent => python("qbittorrent_peer.py"),
        }
    }

    /// Seeds the torrent's content. It is ready when it says its port ([`Peer::address`]).
    pub fn seed(self, torrent: &Torrent, options: &[&str]) -> Peer {
        Peer::start(&format!("{self:?} seeding"), self.seeding(torrent, options))
    }

    /// What is run to seed.
    pub fn seeding(self, torrent: &Torrent, options: &[&str]) -> Command {
        let mut command = self.command();
        command.arg("seed").arg("--torrent").arg(&torrent.file).arg("--data").arg(torrent.dir.path()).args(options);
        command
    }

    /// Downloads the torrent to the directory `to`; says `metadata` (from a magnet) and `done`.
    pub fn leech(self, torrent: &Torrent, source: Source, to: &Path, options: &[&str]) -> Peer {
        let mut command = self.command();
        command.arg("leech").arg("--data").arg(to);
        match source {
            Source::File => command.arg("--torrent").arg(&torrent.file),
            Source::Magnet => command.arg("--magnet").arg(&torrent.magnet),
        };
        command.args(options);
        Peer::start(&format!("{self:?} leeching by {source:?}"), command)
    }
}

/// A torrent made by libtorrent, with its content.
pub struct Torrent {
    /// Holds the content, `dir/name`.
    pub dir: TempDir,
    pub name: String,
    /// Path of the .torrent file.
    pub file: PathBuf,
    /// Hex.
    pub info_hash: String,
    pub magnet: String,
}

impl Torrent {
    /// `files` 1 makes a single-file torrent; `options` are more of `lt_peer.py make`.
    pub fn make(name: &str, size: u64, files: u32, options: &[&str]) -> Self {
        let dir = TempDir::new();
        let mut command = python("lt_peer.py");
        command.arg("make").arg("--out").arg(dir.path()).args(["--name", name]);
        command.args(["--size", &size.to_string(), "--files", &files.to_string()]).args(options);
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let fact =
            |word: &str| said.lines().find_map(|line| line.strip_prefix(word)).map(|rest| rest.trim().to_owned());
        match (fact("torrent "), fact("info-hash "), fact("magnet ")) {
            (Some(file), Some(info_hash), Some(magnet)) => {
                Self { dir, name: name.to_owned(), file: file.into(), info_hash, magnet }
            }
            _ => panic!("lt_peer.py make: {said}{}", String::from_utf8_lossy(&output.stderr)),
        }
    }

    /// The file or directory that a leecher should get.
    pub fn content(&self) -> PathBuf {
        self.dir.path().join(&self.name)
    }
}

/// The bench's seeder: content made from a number, any size, at any rate, with wrong blocks if told so.
/// Returns it with the path of its torrent, in `dir`. Says its port.
pub fn plain_seeder(dir: &Path, size: u64, options: &[&str]) -> (Peer, PathBuf) {
    let torrent = dir.join("plain.torrent");
    let mut command = bench_program("plain-seeder");
    command.args(["--size", &size.to_string(), "--torrent"]).arg(&torrent).args(options);
    (Peer::start("plain-seeder", command), torrent)
}

/// opentracker, for these torrents. Says `http URL`, `udp URL`, `port N`.
pub fn opentracker(torrents: &[&Torrent]) -> Peer {
    let mut command = python("opentracker.py");
    for torrent in torrents {
        command.args(["--info-hash", &torrent.info_hash]);
    }
    Peer::start("opentracker", command)
}

/// A DHT of libtorrent nodes. Says `node IP:PORT` for each and `ready`; with a torrent to announce also `port N`, `announced`.
pub fn dht(nodes: u32, seeding: Option<&Torrent>) -> Peer {
    let mut command = python("dht_nodes.py");
    command.args(["--nodes", &nodes.to_string()]);
    if let Some(torrent) = seeding {
        command.arg("--torrent").arg(&torrent.file).arg("--data").arg(torrent.dir.path());
    }
    Peer::start("dht", command)
}
