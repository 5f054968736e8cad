//! `wake-floor`: what the wake-up of a read takes without the library, for it to be measured against. One thread receives with plain reads
//! into memory that was used before and hashes each block as it comes, another one waits on an eventfd and copies the piece.
//!
//! Prints one JSON line: when the read of each piece was called, and when it returned.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;

use elementum_bench::args::{Args, end};
use elementum_bench::content::{BLOCK, Content};
use elementum_bench::torrent::Torrent;
use elementum_bench::usage::nanoseconds;
use elementum_bench::wire;
use nix::sys::eventfd::{EfdFlags, EventFd};
use sha1::{Digest, Sha1};

const USAGE: &str = "wake-floor --torrent PATH --seed NUMBER --memory BYTES --peer IP:PORT";

/// Pieces asked for beyond the one that comes.
const AHEAD: usize = 4;

fn main() -> ExitCode {
    end("wake-floor", USAGE, run())
}

/// When the reads of each piece were called and when they returned, nanoseconds.
#[derive(Default)]
struct Times {
    called: Vec<u64>,
    returned: Vec<u64>,
}

/// Fetches all pieces from the seeder, with so many bytes of memory for them.
fn run() -> Result<String, String> {
    let args = Args::parse(&["torrent", "seed", "memory", "peer"], &[])?;
    let path = args.required("torrent")?;
    let bytes = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    let torrent = Torrent::decode(&bytes).ok_or("not a torrent of plain-seeder")?;
    let length = torrent.piece_length as usize;
    let content = Content::new(args.number("seed", 0)?, u64::from(torrent.num_pieces()) * length as u64);
    let slots = args.number("memory", 0)? / length;
    let slots: Vec<_> = (0..slots.max(1)).map(|_| Mutex::new(vec![1; length])).collect();
    let whole = EventFd::from_value_and_flags(0, EfdFlags::EFD_SEMAPHORE).map_err(|error| error.to_string())?;
    let stream = TcpStream::connect(args.required("peer")?).map_err(|error| error.to_string())?;
    let times = thread::scope(|scope| {
        let reader = scope.spawn(|| read(&content, &torrent, &slots, &whole));
        let received = receive(stream, &torrent, &slots, &whole);
        if received.is_err() {
            // The reader is not left waiting.
            let _ = whole.write(u64::from(torrent.num_pieces()));
        }
        let times = reader.join().map_err(|_| "the reader failed")?;
        received.and(times).map_err(|error| error.to_string())
    })?;
    Ok(format!(r#"{{"peer":"floor","called_ns":{:?},"returned_ns":{:?}}}"#, times.called, times.returned))
}

fn read(content: &Content, torrent: &Torrent, slots: &[Mutex<Vec<u8>>], whole: &EventFd) -> io::Result<Times> {
    let mut times = Times::default();
    let mut piece = vec![1; torrent.piece_length as usize];
    for n in 0..torrent.num_pieces() as usize {
        times.called.push(nanoseconds()?);
        whole.read()?;
        piece.clone_from(&slots[n % slots.len()].lock().unwrap_or_else(PoisonError::into_inner));
        times.returned.push(nanoseconds()?);
        if !content.matches((n * piece.len()) as u64, &piece) {
            return Err(io::Error::other(format!("wrong bytes in piece {n}")));
        }
    }
    Ok(times)
}

fn receive(mut stream: TcpStream, source: &Torrent, slots: &[Mutex<Vec<u8>>], whole: &EventFd) -> io::Result<()> {
    let count = source.num_pieces() as usize;
    stream.set_nodelay(true)?;
    let mut out = wire::handshake(0, &source.info_hash, b"-WF0001-floorfloorfl").to_vec();
    wire::message(wire::INTERESTED, &[], &mut out);
    (0..count.min(AHEAD)).for_each(|n| request(source, n, &mut out));
    stream.write_all(&out)?;
    stream.read_exact(&mut [0; wire::HANDSHAKE_LEN])?;
    for n in 0..count {
        let mut hash = Sha1::new();
        {
            let mut piece = slots[n % slots.len()].lock().unwrap_or_else(PoisonError::into_inner);
            for block in piece.chunks_mut(BLOCK) {
                next_block(&mut stream)?;
                stream.read_exact(block)?;
                hash.update(&*block);
            }
        }
        if hash.finalize()[..] != source.pieces[n * 20..n * 20 + 20] {
            return Err(io::Error::other(format!("piece {n} is broken")));
        }
        whole.write(1)?;
        if n + AHEAD < count {
            out.clear();
            request(source, n + AHEAD, &mut out);
            stream.write_all(&out)?;
        }
    }
    Ok(())
}

fn request(source: &Torrent, piece: usize, out: &mut Vec<u8>) {
    for begin in (0..source.piece_length).step_by(BLOCK) {
        wire::request(piece as u32, begin, BLOCK as u32, out);
    }
}

/// Steps over what is no block, up to the bytes of the next one.
fn next_block(stream: &mut TcpStream) -> io::Result<()> {
    loop {
        let mut head = [0; 5];
        stream.read_exact(&mut head)?;
        let left = wire::be32(&head, 0).unwrap_or(0).saturating_sub(1) as usize;
        if head[4] == wire::PIECE {
            return stream.read_exact(&mut [0; 8]);
        }
        stream.read_exact(&mut vec![0; left])?;
    }
}
