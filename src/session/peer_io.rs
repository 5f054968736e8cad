//! A peer connection's two halves: what arrives is decoded outside the torrent's lock and handed over in batches; what is to
//! be written is taken in batches and written with one system call each.

use std::future::Future;
use std::io::{self, IoSliceMut};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use super::driver::{ConnectionHandle, Driver};
use super::receive_buffers::RECEIVE_BYTES;
use super::{hash_batch, runtime};
use crate::base::error::{Error, Operation, Status};
use crate::base::time::Time;
use crate::engine::Torrent;
use crate::engine::content::pieces::PeerKey;
use crate::engine::peer::budget::Reading;
use crate::engine::peer::outbox::Chunk;
use crate::memory::credits::Credits;
use crate::memory::pool::BLOCK_SIZE;
use crate::net::connection_limit::ConnectionPermit;
use crate::net::peer_stream::{PeerStream, ReadHalf, WriteHalf};
use crate::net::rate_limit::Standing;
use crate::wire::{Decoder, DecoderLimits, MOST_PLACES, Received};

/// Messages taken in under one hold of the torrent's lock, and as many are kept room for.
const BATCH: usize = 1024;
/// One write takes at most so many chunks and bytes.
const WRITE_CHUNKS: usize = 64;
const WRITE_BYTES: usize = 256 * 1024;
/// Under a limit a block at a time: what is taken can neither be cancelled nor overtaken by what is more urgent.
const LIMITED_WRITE_BYTES: usize = BLOCK_SIZE as usize;

/// A peer that the core let in.
pub struct LetIn {
    pub key: PeerKey,
    pub credits: Arc<Credits>,
    /// Its place under the session's connection limit.
    pub permit: ConnectionPermit,
}

/// Starts the task of a peer that was let in.
pub fn start(driver: &Arc<Driver>, stream: PeerStream, let_in: LetIn) {
    let LetIn { key, credits, permit } = let_in;
    let handle = driver.add_connection(key);
    let driver = driver.clone();
    // Not the driver's `spawn`: it is ended through its handle, which costs nothing where much arrives.
    driver.session.clone().spawn(async move {
        let run = run(driver.clone(), stream, key, credits, handle);
        if let Err(message) = runtime::guarded(run).await {
            driver.drop_connection(key);
            driver.panicked(message);
            driver.run(|core, now| core.peer_closed(now, key, None));
        }
        drop(permit);
    });
}

/// Runs the connection until either side ends it.
async fn run(
    driver: Arc<Driver>,
    mut stream: PeerStream,
    key: PeerKey,
    credits: Arc<Credits>,
    handle: Arc<ConnectionHandle>,
) {
    // Requests are small and urgent.
    let _ = stream.set_nodelay();
    // The core may have changed its mind before the connection was known to be closed.
    if !driver.has_peer(key) {
        driver.drop_connection(key);
        return;
    }
    handle.wake.notify_one();
    let (reader, writer) = stream.split();
    let error = tokio::select! {
        end = receive(&driver, reader, key, credits, &handle) => end,
        end = transmit(&driver, writer, key, &handle) => end,
        () = handle.close.notified() => None,
    };
    driver.drop_connection(key);
    driver.run(|core, now| core.peer_closed(now, key, error));
}

async fn receive(
    driver: &Arc<Driver>,
    mut stream: ReadHalf<'_>,
    key: PeerKey,
    credits: Arc<Credits>,
    handle: &ConnectionHandle,
) -> Option<Error> {
    let (mut limits, _) = driver.rate_limits();
    // Whether a block came that it was asked for.
    let mut proven = false;
    let mut decoder = Decoder::new(credits, DecoderLimits::default());
    if let Some(pieces) = driver.num_pieces() {
        decoder.set_num_pieces(pieces);
    }
    let mut batch = Vec::new();
    let mut burst = false;
    // What it sent waits for a limit, as far as the core knows.
    let mut held = false;
    let pause = |burst: &mut bool| {
        if std::mem::take(burst) {
            driver.run(|core, now| core.peer_paused(now, key));
        }
    };
    loop {
        if let Err(e) = stream.readable().await {
            return Some(lost(Operation::SockRead, &e));
        }
        let unlimited = limits.is_unlimited();
        if !unlimited {
            pause(&mut burst);
        }
        // The rest of a block that was asked for is known to be of use: so much and no more is taken for it beforehand.
        let of_use = decoder.block_in_progress().map(|(.., got)| BLOCK_SIZE.saturating_sub(got).max(1));
        let want = of_use.filter(|_| !proven).unwrap_or(RECEIVE_BYTES as u32);
        limits.gives_way = driver.gives_way.load(Ordering::Relaxed);
        limits.standing = if proven || of_use.is_some() { Standing::Proven } else { Standing::Unproven };
        let granted = if unlimited {
            RECEIVE_BYTES
        } else {
            let mut acquired = pin!(limits.acquire(want));
            match at_once(acquired.as_mut()).await {
                Some(granted) => granted as usize,
                None => {
                    if !std::mem::replace(&mut held, true) {
                        driver.run(|core, now| core.peer_held(now, key, true));
                    }
                    acquired.await as usize
                }
            }
        };
        // The buffer is the session's, not the connection's: none is held across an await. It is for what is no block.
        let mut buffer = driver.session.receive_buffers.take();
        decoder.aim();
        let mut places = Vec::with_capacity(MOST_PLACES);
        places.extend(decoder.places(&mut buffer, granted).map(IoSliceMut::new));
        let got = stream.try_read(&mut places);
        drop(places);
        let at_end = matches!(got, Ok(0)) && granted > 0;
        let n = match got {
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => 0,
            Err(e) => {
                driver.session.receive_buffers.give_back(buffer);
                return Some(lost(Operation::SockRead, &e));
            }
        };
        let decoded = decoder.landed(n, &buffer, &mut batch);
        proven = proven || batch.iter().any(|r| matches!(r, Received::Block { .. }));
        driver.session.receive_buffers.give_back(buffer);
        if n < granted && !unlimited {
            limits.refund((granted - n) as u32);
        }
        // Of what there is more of the rest waits on, without a moment between in which it would seem to be late.
        let released = held && (unlimited || n < granted);
        held = held && !released;
        if n == 0 {
            if released {
                driver.run(|core, now| core.peer_held(now, key, false));
            }
            if at_end {
                return Some(ended());
            }
            pause(&mut burst);
            continue;
        }
        // There is more to receive than was taken: a second thread may help, and the core may wait for it with the hashes.
        burst = unlimited && n == granted;
        let mut taken = n as u64;
        // Who sends very many messages does not hold the lock for all of them at once.
        while batch.len() > BATCH {
            let rest = batch.split_off(BATCH);
            driver.run(|core, now| core.peer_received(now, key, &mut batch, std::mem::take(&mut taken)));
            batch = rest;
            give_way().await;
        }
        let event = |core: &mut Torrent, now| {
            if burst {
                core.peer_goes_on(now, key, &mut batch, taken);
            } else {
                core.peer_received(now, key, &mut batch, taken);
            }
            core.peer_receiving(key, decoder.block_in_progress());
            if released {
                core.peer_held(now, key, false);
            }
            if let Err(e) = &decoded {
                core.peer_violated(now, key, e);
            }
            (core.outgoing_bytes(key) > 0, core.reading(now, key))
        };
        let (waiting, reading) = run_received(driver, burst, event);
        batch.clear();
        if batch.capacity() > BATCH {
            batch = Vec::new();
        }
        if decoded.is_err() || handle.closed.load(Ordering::Acquire) {
            return None;
        }
        if waiting {
            handle.wake.notify_one();
        }
        if reading != Reading::Now {
            pause(&mut burst);
            hear_again(driver, key, handle, reading).await;
        }
        // The other half's turn: requests go out before the next batch comes in, and nobody holds a thread for ever by
        // sending without a pause.
        give_way().await;
    }
}

/// Waits until more may be read from a peer that says more than it hears, or more than is good.
async fn hear_again(driver: &Arc<Driver>, key: PeerKey, handle: &ConnectionHandle, mut reading: Reading) {
    loop {
        match reading {
            Reading::Now => return,
            Reading::WhenWritten => handle.written.notified().await,
            Reading::At(time) => tokio::time::sleep(time.since(driver.session.now())).await,
        }
        reading = driver.run(|core, now| core.reading(now, key));
    }
}

async fn transmit(
    driver: &Arc<Driver>,
    mut stream: WriteHalf<'_>,
    key: PeerKey,
    handle: &ConnectionHandle,
) -> Option<Error> {
    let (_, limits) = driver.rate_limits();
    let mut chunks: Vec<Chunk> = Vec::new();
    loop {
        let most = if limits.is_unlimited() { WRITE_BYTES } else { LIMITED_WRITE_BYTES };
        let bytes = driver.run(|core, now| {
            let mut bytes = 0;
            while bytes < most && chunks.len() < WRITE_CHUNKS {
                let Some(chunk) = core.take_chunk(now, key) else { break };
                bytes += chunk.as_slice().len();
                chunks.push(chunk);
            }
            bytes
        });
        if bytes == 0 {
            handle.wake.notified().await;
            continue;
        }
        let (mut done, mut blocked) = (0, false);
        loop {
            match write_on(&mut stream, &chunks, &mut done, &limits).await {
                Ok(Written::All) => break,
                Ok(Written::Granted) if !blocked => {}
                // What is written already is free for others while the rest waits for the peer.
                Ok(written) => {
                    blocked = written == Written::Some;
                    let (payload, bytes) = drop_written(&mut chunks, &mut done);
                    driver.run(|core, now| {
                        core.peer_blocked(now, key, blocked);
                        core.peer_sent(now, key, payload, bytes);
                    });
                }
                Err(e) => return Some(lost(Operation::SockWrite, &e)),
            }
        }
        let (payload, bytes) = drop_written(&mut chunks, &mut done);
        driver.run(|core, now| {
            core.peer_blocked(now, key, false);
            core.peer_sent(now, key, payload, bytes);
        });
        handle.written.notify_one();
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Written {
    All,
    /// As much as the limit granted.
    Granted,
    /// The socket takes no more now.
    Some,
}

/// Lets go of the chunks that are written whole. How many bytes they had: of payload, and in all.
fn drop_written(chunks: &mut Vec<Chunk>, done: &mut usize) -> (u64, u64) {
    let (mut payload, mut bytes) = (0, 0);
    let mut whole = 0;
    for chunk in chunks.iter() {
        let length = chunk.as_slice().len();
        if bytes + length > *done {
            break;
        }
        bytes += length;
        payload += if matches!(chunk, Chunk::Payload { .. }) { length } else { 0 };
        whole += 1;
    }
    chunks.drain(..whole);
    *done -= bytes;
    (payload as u64, bytes as u64)
}

/// Writes on from `done` as the limit lets it, to the end or until the socket takes no more.
async fn write_on(
    stream: &mut WriteHalf<'_>,
    chunks: &[Chunk],
    done: &mut usize,
    limits: &crate::net::rate_limit::RateLimits,
) -> io::Result<Written> {
    let total: usize = chunks.iter().map(|c| c.as_slice().len()).sum();
    stream.writable().await?;
    let unlimited = limits.is_unlimited();
    let wanted = u32::try_from(total - *done).unwrap_or(u32::MAX);
    let mut left = if unlimited { total - *done } else { limits.acquire(wanted).await as usize };
    while left > 0 {
        match stream.try_write(&slices(chunks, *done, left)) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                *done += n;
                left -= n.min(left);
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                if !unlimited {
                    limits.refund(u32::try_from(left).unwrap_or(u32::MAX));
                }
                return Ok(Written::Some);
            }
            Err(e) => return Err(e),
        }
    }
    Ok(if *done == total { Written::All } else { Written::Granted })
}

/// `len` bytes of the chunks' concatenation from `skip` on.
fn slices(chunks: &[Chunk], mut skip: usize, mut len: usize) -> Vec<io::IoSlice<'_>> {
    let mut slices = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        let bytes = chunk.as_slice();
        if skip >= bytes.len() {
            skip -= bytes.len();
            continue;
        }
        let end = (skip + len).min(bytes.len());
        let part = bytes.get(skip..end).unwrap_or(&[]);
        skip = 0;
        len -= part.len();
        slices.push(io::IoSlice::new(part));
        if len == 0 {
            break;
        }
    }
    slices
}

/// What a future has without a wait. It goes on where it is if it has nothing yet.
async fn at_once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

/// Lets the task's other half run, and the thread's other tasks. Without the trip to the event queue that the runtime's own
/// `yield_now` makes.
async fn give_way() {
    let mut given = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut given, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn lost(operation: Operation, error: &io::Error) -> Error {
    Error {
        status: Status::Network,
        operation,
        os_error: error.raw_os_error().unwrap_or(0),
        message: error.to_string(),
    }
}

fn ended() -> Error {
    Error::new(Status::Network, "the peer closed the connection").with_operation(Operation::SockRead)
}

/// An event of what the peer sent. `burst`: its task goes on with the next one at once. Then, and where other torrents hash, what there is
/// to hash goes to tasks of their own.
fn run_received<R>(driver: &Arc<Driver>, burst: bool, event: impl FnOnce(&mut Torrent, Time) -> R) -> R {
    let (result, mut output) = driver.enter(event);
    if !output.hashes.is_empty() {
        let in_batch = driver.session.hash_batch.has_batch(driver.index, driver.session.now());
        if burst || in_batch {
            hash_batch::hash_later(driver, std::mem::take(&mut output.hashes));
        }
    }
    driver.carry_out(output);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_cut_across_chunks() {
        let chunks = [Chunk::Bytes(vec![1, 2, 3]), Chunk::Bytes(vec![4, 5]), Chunk::Bytes(vec![6])];
        let all = |skip, len| -> Vec<u8> { slices(&chunks, skip, len).iter().flat_map(|s| s.to_vec()).collect() };
        assert_eq!(all(0, 6), [1, 2, 3, 4, 5, 6]);
        assert_eq!(all(2, 2), [3, 4]);
        assert_eq!(all(3, 9), [4, 5, 6]);
    }
}
