//! The other half of `make run`: a session that seeds a generated file on loopback.
//!
//! `demo_seeder DIRECTORY MIB RATE` writes the file and `demo.torrent` into the directory, seeds at RATE bytes a second,
//! prints `port N` when it is ready, and lives until its standard input ends.

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::PathBuf;
use std::time::Duration;

use elementum_torrent::metainfo::Create;
use elementum_torrent::session::{AddTorrentParams, Session, StorageKind, TorrentSource};
use elementum_torrent::settings::Settings;
use sha1::{Digest, Sha1};

const PIECE: usize = 1 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let mut next = || args.next().ok_or("usage: demo_seeder DIRECTORY MIB RATE");
    let directory = PathBuf::from(next()?);
    let (mib, rate): (usize, u32) = (next()?.parse()?, next()?.parse()?);

    let mut file = BufWriter::new(File::create(directory.join("demo.bin"))?);
    let mut hashes = Vec::new();
    let mut random = fastrand::Rng::with_seed(1);
    let mut piece = vec![0; PIECE];
    for _ in 0..mib {
        random.fill(&mut piece);
        file.write_all(&piece)?;
        hashes.extend_from_slice(&Sha1::digest(&piece));
    }
    file.flush()?;
    let torrent = Create::single("demo.bin", (mib * PIECE) as u64, PIECE as u32).v1(hashes)?;
    std::fs::write(directory.join("demo.torrent"), torrent.encode())?;

    let mut settings = Settings::default();
    settings.set_str("listen_interfaces", "127.0.0.1:0")?;
    settings.set_bool("enable_dht", false)?;
    let session = Session::open(settings, &[])?;
    let mut params = AddTorrentParams::new(TorrentSource::File(torrent));
    params.storage = Some(StorageKind::Disk);
    params.save_path = Some(directory);
    params.upload_limit = rate;
    let index = session.add_torrent(params).map_err(|e| e.error)?;
    while !session.torrent(index)?.status()?.is_seeding {
        std::thread::sleep(Duration::from_millis(20));
    }
    println!("port {}", session.listen_port()?);
    std::io::stdin().read_to_end(&mut Vec::new())?;
    session.close(Some(Duration::from_secs(5)))?;
    Ok(())
}
