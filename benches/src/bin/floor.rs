//! `floor`: what receiving and hashing the content costs at the very least, for the others to be measured against.
//!
//! One thread, one connection, a fixed deep pipeline of requests in order, one large buffer that is received into and
//! hashed from while it is hot. It keeps nothing. Prints one JSON line of what it spent.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;

use elementum_bench::args::{Args, end};
use elementum_bench::content::BLOCK;
use elementum_bench::torrent::Torrent;
use elementum_bench::usage::Stretch;
use elementum_bench::wire;
use sha1::{Digest, Sha1};

const USAGE: &str = "floor --torrent PATH --peer IP:PORT [--receive-only] [--pipeline BLOCKS] [--buffer BYTES]";

fn main() -> ExitCode {
    end("floor", USAGE, run())
}

fn run() -> Result<String, String> {
    let args = Args::parse(&["torrent", "peer", "pipeline", "buffer"], &["receive-only"])?;
    let path = args.required("torrent")?;
    let bytes = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    let torrent = Torrent::decode(&bytes).ok_or("not a torrent of plain-seeder")?;
    let hash = !args.flag("receive-only");
    let stretch = Stretch::begin();
    let stream = TcpStream::connect(args.required("peer")?).map_err(|error| error.to_string())?;
    let mut floor =
        Floor { torrent, stream, hash, hasher: Sha1::new(), next: 0, left: 0, requested: (0, 0), asked: 0, got: 0 };
    floor.receive(args.number("pipeline", 512)?, args.number("buffer", 512 * 1024)?)?;
    Ok(stretch.end().json("floor"))
}

struct Floor {
    torrent: Torrent,
    stream: TcpStream,
    hash: bool,
    hasher: Sha1,
    /// The piece that is being received, and how much of the block in the stream is still to come.
    next: u32,
    left: usize,
    /// Piece and offset of the next block to ask for.
    requested: (u32, u32),
    asked: u64,
    got: u64,
}

impl Floor {
    fn receive(&mut self, pipeline: u64, buffer: usize) -> Result<(), String> {
        let io = |error: std::io::Error| error.to_string();
        self.stream.set_nodelay(true).map_err(io)?;
        let mut out = wire::handshake(0, &self.torrent.info_hash, b"-FL0001-floorfloorfl").to_vec();
        wire::message(wire::INTERESTED, &[], &mut out);
        self.stream.write_all(&out).map_err(io)?;
        let mut hello = [0; wire::HANDSHAKE_LEN];
        self.stream.read_exact(&mut hello).map_err(io)?;

        let mut buffer = vec![0; buffer.max(4 * BLOCK)];
        let mut filled = 0;
        let mut received = 0u64;
        let mut piece_left = self.torrent.piece_size(0);
        let mut choked = true;
        while self.next < self.torrent.num_pieces() {
            let read = self.stream.read(&mut buffer[filled..]).map_err(io)?;
            if read == 0 {
                return Err("the seeder closed the connection".to_owned());
            }
            filled += read;
            let mut at = 0;
            while at < filled {
                if self.left > 0 {
                    let payload = &buffer[at..filled.min(at + self.left)];
                    if self.hash {
                        self.hasher.update(payload);
                    }
                    at += payload.len();
                    self.left -= payload.len();
                    received += payload.len() as u64;
                    piece_left -= payload.len() as u32;
                    if self.left == 0 {
                        self.got += 1;
                    }
                    if piece_left == 0 {
                        self.piece_ends()?;
                        piece_left = self.torrent.piece_size(self.next);
                    }
                    continue;
                }
                let Some(length) = wire::be32(&buffer[..filled], at) else { break };
                let id = buffer.get(at + 4).copied().filter(|_| at + 4 < filled && length > 0);
                if id == Some(wire::PIECE) {
                    if filled - at < 13 {
                        break;
                    }
                    let offset = u64::from(self.next) * u64::from(self.torrent.piece_length)
                        + u64::from(self.torrent.piece_size(self.next) - piece_left);
                    let begin = offset - u64::from(self.next) * u64::from(self.torrent.piece_length);
                    let expected = wire::piece_header(self.next, begin as u32, length.saturating_sub(9));
                    if buffer[at..at + 13] != expected || length - 9 > piece_left {
                        return Err(format!("a block out of order after {received} bytes"));
                    }
                    self.left = length as usize - 9;
                    at += 13;
                    continue;
                }
                let end = at + 4 + length as usize;
                if end > filled {
                    break;
                }
                choked &= id != Some(wire::UNCHOKE);
                at = end;
            }
            buffer.copy_within(at..filled, 0);
            filled -= at;
            // Asking again only at half of the pipeline makes one write of hundreds of requests.
            if !choked && self.asked - self.got <= pipeline / 2 {
                self.ask(pipeline)?;
            }
        }
        Ok(())
    }

    fn ask(&mut self, pipeline: u64) -> Result<(), String> {
        let mut out = Vec::new();
        while self.asked - self.got < pipeline && self.requested.0 < self.torrent.num_pieces() {
            let (piece, begin) = self.requested;
            let size = self.torrent.piece_size(piece);
            let length = (size - begin).min(BLOCK as u32);
            wire::request(piece, begin, length, &mut out);
            self.requested = if begin + length == size { (piece + 1, 0) } else { (piece, begin + length) };
            self.asked += 1;
        }
        self.stream.write_all(&out).map_err(|error| error.to_string())
    }

    fn piece_ends(&mut self) -> Result<(), String> {
        if self.hash && self.hasher.finalize_reset().as_slice() != self.torrent.piece_hash(self.next) {
            return Err(format!("piece {} has another hash", self.next));
        }
        self.next += 1;
        Ok(())
    }
}
