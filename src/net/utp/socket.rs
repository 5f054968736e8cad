//! The uTP streams of one UDP socket: whose packet is whose, who asks for a new one, and the time of each.
//!
//! What comes with one system call is taken in before anything is sent: a stream acknowledges all of it at once, and its reader is woken once.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::budget::Budget;
use super::connection::Connection;
use super::notices::Notices;
use super::packet::{Header, Packet, PacketType, SeqNr};
use super::stream::{Shared, UtpStream};
use super::syn_cookie::{Begin, SynCookies};
use crate::base::address::canonical;
use crate::base::error::Operation;
use crate::base::time::Time;
use crate::net::egress::proxy::Destination;
use crate::net::udp_port::{Datagram, Trains, UdpPort};

/// Streams of a socket, those that end included.
const MOST_STREAMS: usize = 4096;
/// Streams that were asked for and wait to be taken.
pub const MOST_WAITING: usize = 64;
/// Answers a second to packets of streams that are not known.
const MOST_RESETS: u32 = 50;
/// Errors of packets that are looked at with what comes: to find whose they are costs a look at all streams.
const MOST_ERRORS: usize = 8;
const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct UtpSocket {
    pub(super) port: UdpPort,
    pub(super) budget: Budget,
    epoch: Instant,
    streams: Mutex<Streams>,
    accepts: AtomicBool,
    cookies: SynCookies,
    asked: mpsc::Sender<UtpStream>,
    /// All ends.
    stop: CancellationToken,
    notices: Notices,
}

#[derive(Debug)]
struct Streams {
    /// By the other side, and the number of packets from it.
    by_id: HashMap<(SocketAddr, u16), Arc<Shared>>,
    rng: fastrand::Rng,
    resets: u32,
    resets_since: Time,
}

impl UtpSocket {
    /// Streams that others ask for come out of the receiver, while `accepts` says so.
    pub fn over(
        port: UdpPort,
        accepts: bool,
        rng: fastrand::Rng,
        stop: CancellationToken,
        notices: Notices,
    ) -> (Arc<Self>, mpsc::Receiver<UtpStream>) {
        let (asked, incoming) = mpsc::channel(MOST_WAITING);
        let streams = Streams { by_id: HashMap::new(), rng, resets: 0, resets_since: Time::ZERO };
        let socket = Self {
            port,
            budget: Budget::default(),
            epoch: Instant::now(),
            streams: Mutex::new(streams),
            accepts: AtomicBool::new(accepts),
            cookies: SynCookies::default(),
            asked,
            stop,
            notices,
        };
        (Arc::new(socket), incoming)
    }

    pub fn local(&self) -> SocketAddr {
        self.port.local()
    }

    pub fn set_accepts(&self, accepts: bool) {
        self.accepts.store(accepts, Ordering::Relaxed);
    }

    pub(super) fn now(&self) -> Time {
        Time::BEGINNING + self.epoch.elapsed()
    }

    /// Sends a packet that is not of uTP. One that the system has no room for is lost, as others are on the way.
    pub fn send_other(&self, to: Destination<'_>, packet: &[u8]) -> io::Result<()> {
        let (sent, endpoint) = match to {
            Destination::Address(to) => (self.port.send(to, None, packet, packet.len()).map(drop), to),
            Destination::Name(name, port) => (self.port.send_by_name(name, port, packet), self.local()),
        };
        sent.inspect_err(|e| self.send_failed(endpoint, e))
    }

    /// Answers a packet that is not of uTP, from where it came to.
    pub fn answer_other(&self, datagram: &Datagram<'_>, packet: &[u8]) -> io::Result<()> {
        self.port.send(datagram.from, datagram.to, packet, packet.len()).map(drop)
    }

    /// Connects. Whoever calls bounds the time.
    pub async fn connect(self: &Arc<Self>, remote: SocketAddr) -> io::Result<UtpStream> {
        let remote = canonical(remote);
        let stream = self.begin(remote, None, |streams, now| Some(Connection::connect(now, remote, &mut streams.rng)));
        let stream = stream.ok_or_else(|| io::Error::other("no more uTP streams fit on this socket"))?;
        stream.connected().await?;
        Ok(stream)
    }

    /// A stream that is begun by either side. None: there is no room for it.
    fn begin(
        self: &Arc<Self>,
        remote: SocketAddr,
        local: Option<IpAddr>,
        make: impl Fn(&mut Streams, Time) -> Option<Connection>,
    ) -> Option<UtpStream> {
        let mut streams = self.streams.lock();
        if streams.by_id.len() >= MOST_STREAMS || self.stop.is_cancelled() {
            return None;
        }
        // A number that is taken is not taken twice.
        let connection = (0..8).find_map(|_| {
            let connection = make(&mut streams, self.now())?;
            let taken = streams.by_id.contains_key(&(remote, connection.receive_id()));
            (!taken).then_some(connection)
        })?;
        let id = connection.receive_id();
        let shared = Arc::new(Shared::new(remote, local, connection));
        streams.by_id.insert((remote, id), shared.clone());
        drop(streams);
        shared.with(self, |_, _| ());
        tokio::spawn(keep_time(self.clone(), shared.clone(), id));
        Some(UtpStream::new(self.clone(), shared))
    }

    /// Takes in packets until it is stopped. Those that are not of uTP are `others`.
    pub async fn run(self: Arc<Self>, others: impl Fn(Datagram<'_>)) {
        let mut trains = Trains::default();
        loop {
            let received = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                received = self.port.receive(&mut trains) => received,
            };
            match received {
                Ok(()) => self.take_in(&trains, &others),
                // About an earlier packet, or one that stays.
                Err(e) => {
                    self.notices.failed(self.now(), self.local(), Operation::SockRead, &e);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    fn take_in(self: &Arc<Self>, trains: &Trains, others: &impl Fn(Datagram<'_>)) {
        for address in std::iter::from_fn(|| self.port.take_unreachable()).take(MOST_ERRORS) {
            let of_it = |stream: &&Arc<Shared>| stream.remote.ip() == address;
            let streams: Vec<Arc<Shared>> = self.streams.lock().by_id.values().filter(of_it).cloned().collect();
            // Of several at one address it could be any.
            if let [only] = streams.as_slice() {
                only.with(self, |connection, _| connection.unreachable());
            }
        }
        let now = self.now();
        let mut last: Option<((SocketAddr, u16), Arc<Shared>)> = None;
        let mut heard: Vec<Arc<Shared>> = Vec::new();
        for datagram in trains.datagrams() {
            let Some(packet) = Packet::parse(datagram.bytes) else {
                others(datagram);
                continue;
            };
            let key = (datagram.from, packet.header.connection_id);
            let known = match &last {
                Some((of, stream)) if *of == key && packet.header.kind != PacketType::Syn => Some(stream.clone()),
                _ => self.find(datagram.from, &packet.header),
            };
            let Some(stream) = known else {
                self.stranger(&datagram, &packet);
                continue;
            };
            stream.hear(self, now - datagram.age, &packet);
            if !heard.iter().any(|h| Arc::ptr_eq(h, &stream)) {
                heard.push(stream.clone());
            }
            last = Some((key, stream));
        }
        for stream in heard {
            stream.with(self, |_, _| ());
        }
    }

    fn find(&self, from: SocketAddr, header: &Header) -> Option<Arc<Shared>> {
        let id = header.connection_id;
        let streams = self.streams.lock();
        let of = |id: u16| streams.by_id.get(&(from, id)).cloned();
        match header.kind {
            PacketType::Syn => of(id.wrapping_add(1)),
            // It has the number of our packets, where the other side did not know us.
            PacketType::Reset => of(id).or_else(|| of(id.wrapping_add(1))).or_else(|| of(id.wrapping_sub(1))),
            _ => of(id),
        }
    }

    /// A packet of no stream: somebody asks for one, or goes on with one that is gone.
    fn stranger(self: &Arc<Self>, datagram: &Datagram<'_>, packet: &Packet<'_>) {
        match packet.header.kind {
            PacketType::Syn if self.accepts.load(Ordering::Relaxed) => {
                self.answer(datagram, &self.cookies.answer(self.now(), datagram.from, &packet.header));
            }
            PacketType::Syn => self.notices.refused(datagram.from),
            PacketType::Reset => {}
            PacketType::Data | PacketType::Fin | PacketType::State => {
                match self.cookies.check(datagram.from, &packet.header) {
                    Some(begin) => self.accept(datagram, packet, begin),
                    None => self.reset(datagram, &packet.header),
                }
            }
        }
    }

    /// One who asked and was answered goes on. Where there is no room now he tries again.
    fn accept(self: &Arc<Self>, datagram: &Datagram<'_>, packet: &Packet<'_>, begin: Begin) {
        let Ok(place) = self.asked.try_reserve() else { return };
        let (remote, header, at) = (datagram.from, packet.header, self.now() - datagram.age);
        let accept =
            |streams: &mut Streams, now| Some(Connection::accept(now, remote, &header, begin, &mut streams.rng));
        if let Some(stream) = self.begin(remote, datagram.to, accept) {
            stream.hear(at, packet);
            place.send(stream);
        }
    }

    fn answer(&self, datagram: &Datagram<'_>, header: &Header) {
        let mut bytes = Vec::new();
        header.encode(&[], 0, &mut bytes);
        if let Err(e) = self.port.send(datagram.from, datagram.to, &bytes, bytes.len()) {
            self.send_failed(datagram.from, &e);
        }
    }

    /// A packet is lost here, and not on the way.
    pub(super) fn send_failed(&self, to: SocketAddr, error: &io::Error) {
        self.notices.failed(self.now(), to, Operation::SockWrite, error);
    }

    fn reset(&self, datagram: &Datagram<'_>, header: &Header) {
        let now = self.now();
        {
            let mut streams = self.streams.lock();
            if now.since(streams.resets_since) >= SECOND {
                (streams.resets, streams.resets_since) = (0, now);
            }
            streams.resets += 1;
            if streams.resets > MOST_RESETS {
                return;
            }
        }
        let reset = Header {
            kind: PacketType::Reset,
            connection_id: header.connection_id,
            timestamp: now.micros() as u32,
            timestamp_difference: 0,
            wnd_size: 0,
            seq_nr: SeqNr(0),
            ack_nr: header.seq_nr,
        };
        self.answer(datagram, &reset);
    }

    fn forget(&self, remote: SocketAddr, id: u16) {
        self.streams.lock().by_id.remove(&(remote, id));
    }
}

/// A stream's timer, to its end.
async fn keep_time(socket: Arc<UtpSocket>, stream: Arc<Shared>, id: u16) {
    while let Some((at, stuck)) = stream.next_timeout(&socket) {
        let wake = socket.epoch + at.since(Time::BEGINNING).min(Duration::from_secs(3600));
        tokio::select! {
            () = sleep_until(wake.into()) => {}
            () = stream.sooner.notified() => {}
            writable = socket.port.writable(), if stuck => {
                // Without the wait an error that stays would be a loop.
                if writable.is_err() || !stream.send_stuck(&socket) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            () = socket.stop.cancelled() => break,
        }
    }
    socket.forget(stream.remote, id);
    stream.end(&socket);
}
