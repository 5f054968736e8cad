//! `plain-seeder`: the cheapest seeder there can be, so that a benchmark measures the leecher.
//!
//! One thread a connection; all requests that a read brought are answered by as few `writev` calls as the kernel allows,
//! straight from the content's pattern: nothing is copied here and nothing is hashed after the start.
//! Prints `port N` once it listens, and ends when its standard input does.

use std::io::{self, IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{fs, thread};

use elementum_bench::args::{Args, end};
use elementum_bench::content::{BLOCK, Content, STAMP};
use elementum_bench::torrent::Torrent;
use elementum_bench::wire;

const USAGE: &str = "plain-seeder --size BYTES --torrent PATH [--piece-length BYTES] [--seed N] [--name NAME]
             [--rate BYTES_A_SECOND] [--corrupt N (every N-th block is wrong)] [--host IP] [--port N]
             [--write PATH (the content as a file, too)]
             [--torrents N (as many of the same content, which have other names; their paths end in .0, .1 and so on)]";

/// Blocks in one `writev`: two slices a block, and Linux takes 1024 slices.
const BATCH: usize = 512;
/// Longest request that is answered, as in libtorrent.
const MAX_REQUEST: u32 = 128 * 1024;

struct Seeder {
    content: Content,
    torrents: Vec<Torrent>,
    /// Every so many blocks one is wrong; 0: none.
    corrupt: u64,
    sent: AtomicU64,
    pace: Option<Mutex<Pace>>,
}

/// Spends `rate` bytes a second, over all connections.
struct Pace {
    rate: f64,
    /// When the bytes promised so far will have gone out.
    free_at: Instant,
}

impl Pace {
    fn spend(&mut self, bytes: usize) -> Duration {
        let now = Instant::now();
        self.free_at = self.free_at.max(now) + Duration::from_secs_f64(bytes as f64 / self.rate);
        self.free_at - now
    }
}

fn main() -> ExitCode {
    end("plain-seeder", USAGE, run().map(|()| String::new()))
}

fn run() -> Result<(), String> {
    let valued =
        ["size", "piece-length", "seed", "torrent", "name", "rate", "corrupt", "host", "port", "write", "torrents"];
    let args = Args::parse(&valued, &[])?;
    let size = args.number("size", 0u64)?;
    let piece_length = args.number("piece-length", 1u32 << 20)?;
    if size == 0 || piece_length == 0 || !piece_length.is_multiple_of(BLOCK as u32) {
        return Err("--size must be given, and --piece-length be a multiple of 16 KiB".to_owned());
    }
    let content = Content::new(args.number("seed", 1)?, size);
    let name = args.text("name").unwrap_or("content.bin");
    let torrent = Torrent::of(&content, name, piece_length);
    if let Some(path) = args.text("write") {
        let file = fs::File::create(Path::new(path)).map_err(|error| format!("{path}: {error}"))?;
        content.write_to(&mut &file).map_err(|error| format!("{path}: {error}"))?;
    }
    let path = args.required("torrent")?;
    let torrents = match args.number("torrents", 0)? {
        0 => vec![(path.to_owned(), torrent)],
        count => (0..count).map(|n| (format!("{path}.{n}"), torrent.renamed(&format!("{name}.{n}")))).collect(),
    };
    for (path, torrent) in &torrents {
        fs::write(path, torrent.encode()).map_err(|error| format!("{path}: {error}"))?;
    }
    let torrents = torrents.into_iter().map(|(_, torrent)| torrent).collect();

    let rate: f64 = args.number("rate", 0.0)?;
    let pace = (rate > 0.0).then(|| Mutex::new(Pace { rate, free_at: Instant::now() }));
    let corrupt = args.number("corrupt", 0)?;
    let listener = TcpListener::bind((args.text("host").unwrap_or("127.0.0.1"), args.number("port", 0)?))
        .map_err(|error| error.to_string())?;
    println!("port {}", listener.local_addr().map_err(|error| error.to_string())?.port());
    let seeder = Arc::new(Seeder { content, torrents, corrupt, sent: AtomicU64::new(0), pace });
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let seeder = Arc::clone(&seeder);
            // A peer that goes away or breaks the protocol ends its own thread, and nobody else's.
            thread::spawn(move || seeder.serve(stream));
        }
    });
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
    Ok(())
}

/// This process's own: of two peers with one id a client keeps one.
fn peer_id() -> [u8; 20] {
    let mut id = *b"-PS0001-000000000000";
    id[8..].copy_from_slice(format!("{:012}", std::process::id()).as_bytes());
    id
}

/// A request's piece, begin and length, if they lie inside the torrent.
fn request(torrent: &Torrent, payload: &[u8]) -> Option<(u32, u32, u32)> {
    let [piece, begin, length] = [0, 4, 8].map(|at| wire::be32(payload, at).unwrap_or(u32::MAX));
    let fits = piece < torrent.num_pieces()
        && length <= MAX_REQUEST
        && begin.checked_add(length).is_some_and(|end| end <= torrent.piece_size(piece));
    fits.then_some((piece, begin, length))
}

impl Seeder {
    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut hello = [0; wire::HANDSHAKE_LEN];
        stream.read_exact(&mut hello)?;
        let torrent = self.torrents.iter().find(|torrent| hello[28..48] == torrent.info_hash);
        let Some(torrent) = torrent.filter(|_| &hello[..20] == wire::PROTOCOL) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let extensions = hello[25] & wire::EXTENSIONS;
        let mut greeting = wire::handshake(extensions, &torrent.info_hash, &peer_id()).to_vec();
        if extensions != 0 {
            // Without a `reqq` clients assume a queue too short for a fast link.
            wire::message(wire::EXTENDED, b"\0d1:mde4:reqqi2000ee", &mut greeting);
        }
        let mut bitfield = vec![0; torrent.num_pieces().div_ceil(8) as usize];
        for piece in 0..torrent.num_pieces() as usize {
            bitfield[piece / 8] |= 0x80 >> (piece % 8);
        }
        wire::message(wire::BITFIELD, &bitfield, &mut greeting);
        wire::message(wire::UNCHOKE, &[], &mut greeting);
        stream.write_all(&greeting)?;

        let mut buffer = vec![0; 64 * 1024];
        let mut filled = 0;
        let mut requests = Vec::new();
        loop {
            let read = stream.read(&mut buffer[filled..])?;
            if read == 0 {
                return Ok(());
            }
            filled += read;
            let mut at = 0;
            while let Some(length) = wire::be32(&buffer[..filled], at) {
                let end = at + 4 + length as usize;
                if end - at > buffer.len() {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                if end > filled {
                    break;
                }
                if length == 13 && buffer[at + 4] == wire::REQUEST {
                    requests.extend(request(torrent, &buffer[at + 5..end]));
                }
                at = end;
            }
            buffer.copy_within(at..filled, 0);
            filled -= at;
            // A paced seeder sends a few blocks at a time, so that its rate is even.
            for batch in requests.chunks(if self.pace.is_some() { 4 } else { BATCH }) {
                self.answer(&mut stream, torrent, batch)?;
            }
            requests.clear();
        }
    }

    fn answer(&self, stream: &mut TcpStream, torrent: &Torrent, requests: &[(u32, u32, u32)]) -> io::Result<()> {
        let bytes = requests.iter().map(|request| request.2 as usize).sum();
        if let Some(pace) = &self.pace {
            let wait = pace.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).spend(bytes);
            thread::sleep(wait);
        }
        // What is not in the pattern: headers and stamps, and whole blocks that were asked for at odd offsets.
        let mut heads = Vec::with_capacity(requests.len());
        for &(piece, begin, length) in requests {
            let offset = u64::from(piece) * u64::from(torrent.piece_length) + u64::from(begin);
            let block = offset / BLOCK as u64;
            let mut head = wire::piece_header(piece, begin, length).to_vec();
            let aligned = offset.is_multiple_of(BLOCK as u64) && (STAMP..=BLOCK).contains(&(length as usize));
            let lent = if aligned {
                head.extend_from_slice(&self.content.stamp(block));
                &self.content.tail(block)[..length as usize - STAMP]
            } else {
                head.resize(13 + length as usize, 0);
                self.content.read(offset, &mut head[13..]);
                &[]
            };
            let count = self.sent.fetch_add(1, Relaxed) + 1;
            if self.corrupt != 0
                && count.is_multiple_of(self.corrupt)
                && let Some(byte) = head.get_mut(13)
            {
                *byte ^= 0xff;
            }
            heads.push((head, lent));
        }
        let mut slices: Vec<IoSlice> =
            heads.iter().flat_map(|(head, lent)| [IoSlice::new(head), IoSlice::new(lent)]).collect();
        let mut slices = slices.as_mut_slice();
        // Drops leading empty slices, so that a write of nothing cannot look like a closed connection.
        IoSlice::advance_slices(&mut slices, 0);
        while !slices.is_empty() {
            match stream.write_vectored(slices)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => IoSlice::advance_slices(&mut slices, written),
            }
        }
        Ok(())
    }
}
