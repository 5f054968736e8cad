//! A relay of TCP connections.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::{Pauses, Road, Shape, Way, filling, sleep_until, spawn};

/// Taken from a sender at once: what one packet's worth of turns between links is made of.
const CHUNK: usize = 4096;
/// How far ahead a link books. Sleeps end late by some tenths of a millisecond; with less than that in hand, the road would idle.
const AHEAD: Duration = Duration::from_millis(2);
/// Chunks on their way, delay included. More than any road here holds.
const IN_FLIGHT: usize = 8192;
/// Loopback takes 64 KiB a segment and buffers megabytes. Both ends are to see a network's sizes, or a sender that was told to
/// stop would go on out of its socket for a third of a second.
const SEGMENT: u32 = 1448;
const RECEIVE_BUFFER: usize = 64 << 10;

/// A relay in front of a server. Dropping it cuts its connections.
pub struct TcpLink {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    closed: AtomicBool,
    streams: Mutex<Vec<TcpStream>>,
}

impl TcpLink {
    /// `down` leads from the server to its clients.
    pub fn open(server: SocketAddr, shape: Shape, down: &Road, up: &Road) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::default());
        let (down, up) = (Way::new(down, shape.rate), Way::new(up, 0));
        let accepting = state.clone();
        spawn("link", move || {
            for client in listener.incoming() {
                if accepting.closed.load(Ordering::Acquire) {
                    return;
                }
                // One that comes to nothing is closed, which its client sees.
                let _ = client.and_then(|client| join(&accepting, client, server, shape, &down, &up));
            }
        })?;
        Ok(Self { address, state })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for TcpLink {
    fn drop(&mut self) {
        self.state.closed.store(true, Ordering::Release);
        for stream in self.state.streams.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

fn join(state: &State, client: TcpStream, server: SocketAddr, shape: Shape, down: &Way, up: &Way) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, None)?;
    socket.set_tcp_mss(SEGMENT)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.connect(&server.into())?;
    let server = TcpStream::from(socket);
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    state.streams.lock().unwrap_or_else(PoisonError::into_inner).extend([client.try_clone()?, server.try_clone()?]);
    carry(server.try_clone()?, client.try_clone()?, shape, down.clone())?;
    carry(client, server, Shape { pauses: None, fills_queue: false, ..shape }, up.clone())
}

/// Carries one direction.
fn carry(from: TcpStream, to: TcpStream, shape: Shape, way: Way) -> io::Result<()> {
    let (sender, receiver) = sync_channel(IN_FLIGHT);
    if shape.fills_queue {
        spawn("link in", move || filling::take(from, &sender, shape.delay, &way))?;
    } else {
        spawn("link in", move || take(from, &sender, shape.delay, shape.pauses, &way))?;
    }
    spawn("link out", move || deliver(to, &receiver))
}

fn take(
    mut from: TcpStream,
    sender: &SyncSender<(Instant, Vec<u8>)>,
    delay: Duration,
    pauses: Option<Pauses>,
    way: &Way,
) {
    let began = Instant::now();
    loop {
        let mut chunk = vec![0; CHUNK];
        let read = from.read(&mut chunk);
        acknowledge(&from);
        let Ok(n @ 1..) = read else {
            // The end takes its time, too.
            let _ = sender.send((Instant::now() + delay, Vec::new()));
            return;
        };
        chunk.truncate(n);
        if let Some(pauses) = pauses {
            thread::sleep(pauses.left(began.elapsed()));
        }
        let Some(through) = way.book(n) else { return };
        if sender.send((through + delay, chunk)).is_err() {
            return;
        }
        sleep_until(through.checked_sub(AHEAD).unwrap_or(through));
    }
}

/// A relay answers nothing itself, so the system would wait 40 ms for what to acknowledge with, and a sender of small messages as long.
fn acknowledge(stream: &TcpStream) {
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_quickack(true);
}

fn deliver(mut to: TcpStream, receiver: &Receiver<(Instant, Vec<u8>)>) {
    for (at, chunk) in receiver {
        sleep_until(at);
        if to.write_all(&chunk).is_err() {
            break;
        }
    }
    // The end of the one direction, not of the other.
    let _ = to.shutdown(Shutdown::Write);
}
