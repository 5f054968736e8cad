//! A uTP stream, as it is read and written. It is ended by being dropped: what was written still goes out.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::budget::Budget;
use super::connection::{Connection, Ended};
use super::packet::Packet;
use super::socket::UtpSocket;
use crate::base::time::Time;

/// What the socket, the timer and the user of a stream share.
#[derive(Debug)]
pub struct Shared {
    pub(super) remote: SocketAddr,
    /// The address of ours that the other side knows.
    local: Option<IpAddr>,
    state: Mutex<State>,
    readable: Notify,
    writable: Notify,
    /// The timer is to look again: it sleeps for too long.
    pub(super) sooner: Notify,
}

#[derive(Debug)]
struct State {
    connection: Connection,
    /// So much of it is counted in the budget.
    counted: usize,
    /// Packets that the system did not take.
    stuck: Option<(Vec<u8>, usize)>,
    reads: bool,
    writes: bool,
    /// When the timer looks again.
    timer: Time,
}

#[derive(Debug)]
pub struct UtpStream {
    socket: Arc<UtpSocket>,
    shared: Arc<Shared>,
}

impl Shared {
    pub(super) fn new(remote: SocketAddr, local: Option<IpAddr>, connection: Connection) -> Self {
        let state = State { connection, counted: 0, stuck: None, reads: false, writes: false, timer: Time::ZERO };
        Self {
            remote,
            local,
            state: Mutex::new(state),
            readable: Notify::new(),
            writable: Notify::new(),
            sooner: Notify::new(),
        }
    }

    /// Does something with the connection, sends what is to be sent then, and wakes who waits for it.
    pub(super) fn with<R>(&self, socket: &UtpSocket, change: impl FnOnce(&mut Connection, Time) -> R) -> R {
        let mut state = self.state.lock();
        let now = socket.now();
        let result = change(&mut state.connection, now);
        state.send(socket, self, now);
        state.count(&socket.budget);
        let State { connection, timer, .. } = &mut *state;
        let sooner = connection.timeout() < *timer;
        if sooner {
            *timer = connection.timeout();
        }
        let read = connection.is_readable() && std::mem::take(&mut state.reads);
        let written = state.connection.is_writable() && std::mem::take(&mut state.writes);
        drop(state);
        for (is, of) in [(sooner, &self.sooner), (read, &self.readable), (written, &self.writable)] {
            if is {
                of.notify_one();
            }
        }
        result
    }

    /// A packet of the stream came then. What is to be said of it is said when all is taken in that came with it.
    pub(super) fn hear(&self, socket: &UtpSocket, at: Time, packet: &Packet<'_>) {
        let mut state = self.state.lock();
        let room = socket.budget.room(state.connection.held());
        state.connection.set_room(room);
        state.connection.receive(at, packet);
        state.count(&socket.budget);
    }

    /// The system takes packets again. False: no more of them.
    pub(super) fn send_stuck(&self, socket: &UtpSocket) -> bool {
        let mut state = self.state.lock();
        let now = socket.now();
        state.send(socket, self, now)
    }

    /// Nobody hears of it any more.
    pub(super) fn end(&self, socket: &UtpSocket) {
        self.with(socket, |connection, now| connection.close(now));
        self.with(socket, |connection, _| connection.abort());
    }

    /// What the timer is to do: the time at which it looks again. None: the stream is over.
    pub(super) fn next_timeout(&self, socket: &UtpSocket) -> Option<(Time, bool)> {
        let over = self.with(socket, |connection, now| {
            if connection.timeout() <= now {
                connection.handle_timeout(now);
            }
            connection.is_over(now)
        });
        if over {
            return None;
        }
        let mut state = self.state.lock();
        state.timer = state.connection.timeout();
        Some((state.timer, state.stuck.is_some()))
    }
}

impl State {
    fn count(&mut self, budget: &Budget) {
        let held = if self.connection.ended().is_some() { 0 } else { self.connection.held() };
        budget.changed(self.counted, held);
        self.counted = held;
    }

    /// Sends what is to be sent. False: the system takes no more now.
    fn send(&mut self, socket: &UtpSocket, shared: &Shared, now: Time) -> bool {
        loop {
            let (mut bytes, packet) = match self.stuck.take() {
                Some(stuck) => stuck,
                None => {
                    let mut bytes = Vec::new();
                    let Some(packet) = self.connection.transmit(now, &mut bytes) else { return true };
                    (bytes, packet)
                }
            };
            match socket.port.send(shared.remote, shared.local, &bytes, packet) {
                Ok(sent) if sent == bytes.len() => {}
                Ok(sent) => {
                    self.stuck = Some((bytes.split_off(sent), packet));
                    shared.sooner.notify_one();
                    return false;
                }
                Err(e) if quinn_udp::is_msg_size_err(&e) => self.connection.refused(packet),
                // They are lost, as on the way.
                Err(e) => socket.send_failed(shared.remote, &e),
            }
        }
    }
}

impl UtpStream {
    pub(super) fn new(socket: Arc<UtpSocket>, shared: Arc<Shared>) -> Self {
        Self { socket, shared }
    }

    /// The address of our end. Unspecified: any.
    pub fn local_ip(&self) -> IpAddr {
        self.shared.local.unwrap_or(self.socket.local().ip())
    }

    pub fn remote(&self) -> SocketAddr {
        self.shared.remote
    }

    /// The packet that it began with.
    pub(super) fn hear(&self, at: Time, packet: &Packet<'_>) {
        self.shared.hear(&self.socket, at, packet);
        self.shared.with(&self.socket, |_, _| ());
    }

    /// Waits until the other side has answered.
    pub(super) async fn connected(&self) -> io::Result<()> {
        let done = |state: &mut State| match state.connection.ended() {
            Some(ended) => Some(Err(error(ended))),
            None if state.connection.is_connecting() => {
                state.writes = true;
                None
            }
            None => Some(Ok(())),
        };
        self.wait(&self.shared.writable, done).await
    }

    pub async fn readable(&self) -> io::Result<()> {
        let is = |state: &mut State| {
            state.reads = !state.connection.is_readable();
            (!state.reads).then_some(Ok(()))
        };
        self.wait(&self.shared.readable, is).await
    }

    pub async fn writable(&self) -> io::Result<()> {
        let is = |state: &mut State| {
            state.writes = !state.connection.is_writable();
            (!state.writes).then_some(Ok(()))
        };
        self.wait(&self.shared.writable, is).await
    }

    /// Waits until `done` says so, which notes otherwise what is waited for.
    async fn wait<T>(&self, woken: &Notify, done: impl Fn(&mut State) -> Option<T>) -> T {
        loop {
            if let Some(done) = done(&mut self.shared.state.lock()) {
                return done;
            }
            woken.notified().await;
        }
    }

    /// Reads into the places, in their order, what is there. 0: the end.
    pub fn try_read_vectored(&self, places: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if places.iter().all(|p| p.is_empty()) {
            return Ok(0);
        }
        self.shared.with(&self.socket, |connection, _| match connection.read(places) {
            Some(read) => Ok(read),
            None => Err(connection.ended().map_or(io::ErrorKind::WouldBlock.into(), error)),
        })
    }

    /// Writes what there is room for.
    pub fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.shared.with(&self.socket, |connection, now| match connection.ended() {
            Some(ended) => Err(error(ended)),
            None => connection.write(now, slices).ok_or_else(|| io::ErrorKind::WouldBlock.into()),
        })
    }
}

impl Drop for UtpStream {
    fn drop(&mut self) {
        self.shared.with(&self.socket, |connection, now| connection.close(now));
        self.shared.sooner.notify_one();
    }
}

fn error(ended: Ended) -> io::Error {
    match ended {
        Ended::Refused => io::ErrorKind::ConnectionRefused.into(),
        Ended::Reset => io::ErrorKind::ConnectionReset.into(),
        Ended::TimedOut => io::ErrorKind::TimedOut.into(),
    }
}
