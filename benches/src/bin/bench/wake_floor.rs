//! The floor of a read's wake-up: what it takes without the library. One thread receives with plain reads into memory that was used before
//! and hashes each block as it comes, another one waits on an eventfd and copies the piece.

use std::hint::black_box;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::thread;

use elementum_bench::content::BLOCK;
use elementum_bench::torrent::Torrent;
use elementum_bench::wire;
use nix::sys::eventfd::{EfdFlags, EventFd};
use sha1::{Digest, Sha1};

use super::{Times, nanoseconds};

/// Pieces asked for beyond the one that comes.
const AHEAD: usize = 4;

/// Fetches all pieces from the seeder, with so many bytes of memory for them.
pub fn fetch(address: SocketAddr, source: &Torrent, memory: usize) -> Result<Times, String> {
    let (length, count) = (source.piece_length as usize, source.num_pieces() as usize);
    let slots: Vec<_> = (0..memory / length).map(|_| Mutex::new(vec![1; length])).collect();
    let whole = EventFd::from_value_and_flags(0, EfdFlags::EFD_SEMAPHORE).map_err(|error| error.to_string())?;
    thread::scope(|scope| {
        let reader = scope.spawn(|| read(count, &slots, &whole));
        let received = receive(address, source, &slots, &whole);
        if received.is_err() {
            // The reader is not left waiting.
            let _ = whole.write(count as u64);
        }
        let times = reader.join().map_err(|_| "the reader failed")?;
        received.and(times).map_err(|error| error.to_string())
    })
}

fn read(count: usize, slots: &[Mutex<Vec<u8>>], whole: &EventFd) -> io::Result<Times> {
    let mut times = Times::default();
    let mut piece = Vec::new();
    for n in 0..count {
        times.called.push(nanoseconds()?);
        whole.read()?;
        piece.clone_from(&slots[n % slots.len()].lock().unwrap_or_else(PoisonError::into_inner));
        times.returned.push(nanoseconds()?);
        black_box(&piece);
    }
    Ok(times)
}

fn receive(address: SocketAddr, source: &Torrent, slots: &[Mutex<Vec<u8>>], whole: &EventFd) -> io::Result<()> {
    let count = source.num_pieces() as usize;
    let mut stream = TcpStream::connect(address)?;
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
        black_box(hash.finalize());
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
