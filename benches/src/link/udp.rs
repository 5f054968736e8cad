//! A relay of datagrams.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::{Road, Shape, Way, sleep_until, spawn};

/// Who sends in bursts is to find the road's queue full, never a socket's: that holds a hundred packets unless it is asked for more.
const SOCKET_BYTES: usize = 4 << 20;
const IN_FLIGHT: usize = 8192;
/// How often threads look whether they are to end.
const LOOK: Duration = Duration::from_millis(100);

/// A relay in front of a server. Each client address gets a socket of its own towards the server.
pub struct UdpLink {
    address: SocketAddr,
    closed: Arc<AtomicBool>,
    carried: Arc<AtomicU64>,
}

impl UdpLink {
    /// `down` leads from the server to its clients.
    pub fn open(server: SocketAddr, shape: Shape, down: &Road, up: &Road) -> io::Result<Self> {
        let socket = Arc::new(bind()?);
        socket.set_read_timeout(Some(LOOK))?;
        let address = socket.local_addr()?;
        let closed = Arc::new(AtomicBool::new(false));
        let carried = Arc::new(AtomicU64::new(0));
        let down = Counted { way: Way::new(down, shape.rate), carried: carried.clone() };
        let up = Counted { way: Way::new(up, 0), carried: Arc::default() };
        let ending = closed.clone();
        spawn("link udp", move || {
            let mut clients: HashMap<SocketAddr, Lane> = HashMap::new();
            each_datagram(&ending, &socket, |datagram, client| {
                if !clients.contains_key(&client)
                    && let Ok(lane) = welcome(&ending, &socket, client, server, shape, &up, &down)
                {
                    clients.insert(client, lane);
                }
                if let Some(lane) = clients.get_mut(&client) {
                    lane.put(datagram);
                }
            });
        })?;
        Ok(Self { address, closed, carried })
    }

    /// Where clients send to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes that it let onto the road towards clients.
    pub fn carried(&self) -> u64 {
        self.carried.load(Ordering::Relaxed)
    }
}

impl Drop for UdpLink {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Release);
    }
}

/// A socket towards the server for this client, and a thread for what comes back. The lane to the server.
fn welcome(
    ending: &Arc<AtomicBool>,
    socket: &Arc<UdpSocket>,
    client: SocketAddr,
    server: SocketAddr,
    shape: Shape,
    up: &Counted,
    down: &Counted,
) -> io::Result<Lane> {
    let own = Arc::new(bind()?);
    own.connect(server)?;
    own.set_read_timeout(Some(LOOK))?;
    let mut back = Lane::new(down, shape, socket.clone(), Some(client))?;
    let (ending, from) = (ending.clone(), own.clone());
    spawn("link udp back", move || each_datagram(&ending, &from, |datagram, _| back.put(datagram)))?;
    Lane::new(up, shape, own, None)
}

fn bind() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket2::SockRef::from(&socket).set_recv_buffer_size(SOCKET_BYTES)?;
    Ok(socket)
}

fn each_datagram(ending: &AtomicBool, socket: &UdpSocket, mut take: impl FnMut(&[u8], SocketAddr)) {
    let mut buffer = vec![0; 1 << 16];
    while !ending.load(Ordering::Acquire) {
        // A refusal by the server's host is an error of the next receive; it is not the end.
        if let Ok((n, from)) = socket.recv_from(&mut buffer) {
            take(&buffer[..n], from);
        }
    }
}

/// A direction, and how much went that way.
#[derive(Clone)]
struct Counted {
    way: Way,
    carried: Arc<AtomicU64>,
}

/// One direction to one address.
struct Lane {
    to: Counted,
    delay: Duration,
    loss_ppm: u32,
    chance: fastrand::Rng,
    sender: SyncSender<(Instant, Vec<u8>)>,
}

impl Lane {
    fn new(to: &Counted, shape: Shape, socket: Arc<UdpSocket>, client: Option<SocketAddr>) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(IN_FLIGHT);
        spawn("link udp out", move || deliver(&socket, client, &receiver))?;
        // The same losses in each run.
        Ok(Self {
            to: to.clone(),
            delay: shape.delay,
            loss_ppm: shape.loss_ppm,
            chance: fastrand::Rng::with_seed(1),
            sender,
        })
    }

    fn put(&mut self, datagram: &[u8]) {
        if self.chance.u32(..1_000_000) < self.loss_ppm || self.to.way.is_full() {
            return;
        }
        if let Some(through) = self.to.way.book(datagram.len()) {
            self.to.carried.fetch_add(datagram.len() as u64, Ordering::Relaxed);
            let _ = self.sender.try_send((through + self.delay, datagram.to_vec()));
        }
    }
}

fn deliver(socket: &UdpSocket, to: Option<SocketAddr>, receiver: &Receiver<(Instant, Vec<u8>)>) {
    for (at, datagram) in receiver {
        sleep_until(at);
        let _ = match to {
            Some(to) => socket.send_to(&datagram, to),
            None => socket.send(&datagram),
        };
    }
}
