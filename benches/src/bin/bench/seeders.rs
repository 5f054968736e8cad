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
    pub fn start(name: &str, command: &mut Command) -> Result<Self, String> {
        let program = Program::start(name, command)?;
        Ok(Self { address: SocketAddr::from(([127, 0, 0, 1], program.port()?)), _program: program })
    }

    /// Makes the torrent of the content, and seeds it. `write`: writes the content, too, for seeders that have it on disk.
    pub fn plain(plan: &Plan, piece_length: u64, write: bool) -> Result<Self, String> {
        let mut command = plain(plan, plan.size, piece_length);
        if write {
            command.arg("--write").arg(content(plan));
        }
        Self::start("plain-seeder", &mut command)
    }

    /// Makes so many torrents of the first `size` bytes of the content, and seeds them all.
    pub fn plain_many(plan: &Plan, size: u64, piece_length: u64, count: usize) -> Result<(Self, Vec<PathBuf>), String> {
        let mut command = plain(plan, size, piece_length);
        let seeder = Self::start("plain-seeder", command.args(["--torrents", &count.to_string()]))?;
        let path = torrent(plan);
        Ok((seeder, (0..count).map(|n| PathBuf::from(format!("{}.{n}", path.display()))).collect()))
    }

    /// libtorrent, seeding what [`Seeder::plain`] wrote.
    pub fn libtorrent(plan: &Plan) -> Result<Self, String> {
        Self::libtorrent_by(plan, &[])
    }

    /// The same, which takes connections of one kind only, as `options` say.
    pub fn libtorrent_by(plan: &Plan, options: &[&str]) -> Result<Self, String> {
        let mut command = Command::new(python()?);
        command.args(["tests/peers/lt_peer.py", "seed"]).args(options).arg("--torrent").arg(torrent(plan));
        Self::start("libtorrent seeding", command.arg("--data").arg(&plan.scratch))
    }
}

fn plain(plan: &Plan, size: u64, piece_length: u64) -> Command {
    let mut command = Command::new(plan.target.join("release/plain-seeder"));
    command.args(["--size", &size.to_string(), "--piece-length", &piece_length.to_string()]);
    command.args(["--seed", &CONTENT_SEED.to_string()]).arg("--torrent").arg(torrent(plan));
    command
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
