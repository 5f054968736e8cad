//! The peers that everybody downloads from, and the content that they have.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Plan;
use crate::program::Program;

pub const CONTENT_SEED: u64 = 1;

/// A running seeder, and where it listens.
pub struct Seeder {
    pub address: SocketAddr,
    _program: Program,
}

impl Seeder {
    fn start(name: &str, command: &mut Command) -> Result<Self, String> {
        let program = Program::start(name, command)?;
        Ok(Self { address: SocketAddr::from(([127, 0, 0, 1], program.port()?)), _program: program })
    }

    /// Makes the torrent of the content, and seeds it. `write`: writes the content, too, for seeders that have it on disk.
    pub fn plain(plan: &Plan, piece_length: u64, write: bool) -> Result<Self, String> {
        let mut command = Command::new(plan.target.join("release/plain-seeder"));
        command.args(["--size", &plan.size.to_string(), "--piece-length", &piece_length.to_string()]);
        command.args(["--seed", &CONTENT_SEED.to_string()]).arg("--torrent").arg(torrent(plan));
        if write {
            command.arg("--write").arg(content(plan));
        }
        Self::start("plain-seeder", &mut command)
    }

    /// libtorrent, seeding what [`Seeder::plain`] wrote.
    pub fn libtorrent(plan: &Plan) -> Result<Self, String> {
        let mut command = Command::new(python()?);
        command.args(["tests/peers/lt_peer.py", "seed"]).arg("--torrent").arg(torrent(plan));
        Self::start("libtorrent seeding", command.arg("--data").arg(&plan.scratch))
    }
}

pub fn torrent(plan: &Plan) -> PathBuf {
    plan.scratch.join("content.torrent")
}

pub fn content(plan: &Plan) -> PathBuf {
    plan.scratch.join("content.bin")
}

/// The Python that has libtorrent.
pub fn python() -> Result<&'static Path, String> {
    let python = Path::new(".venv/bin/python");
    python.exists().then_some(python).ok_or_else(|| "libtorrent is not installed: run `make deps`".to_owned())
}
