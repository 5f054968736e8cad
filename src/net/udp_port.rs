//! A UDP socket whose packets come and go in trains: one system call for many. They may go by the relay of a SOCKS5 proxy.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, TransportErrorPayload, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::Notify;

use super::egress::proxy::Destination;
use super::egress::udp_associate;
use crate::base::address::canonical;

/// A train of what one sender sent.
const TRAIN_BYTES: usize = 64 * 1024;
/// Trains taken in with one call. Of what comes packet by packet each touches one page of its place.
const TRAINS: usize = BATCH_SIZE;
/// What the system is asked to keep until we come: it may allow less.
const SYSTEM_BYTES: usize = 2 * 1024 * 1024;
/// A packet is not believed to have waited longer for us: the system's clock may have been set.
const MOST_WAIT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct UdpPort {
    socket: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    /// Packets go to it and come from it, whoever they are of.
    relay: Option<SocketAddr>,
    /// There are errors of packets to be taken.
    errors: Notify,
}

/// Where packets are taken in.
pub struct Trains {
    buffer: Vec<u8>,
    metas: [RecvMeta; TRAINS],
    count: usize,
    relay: Option<SocketAddr>,
}

/// A packet that came.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    pub from: SocketAddr,
    /// The address of ours that it was sent to, where the system tells it.
    pub to: Option<IpAddr>,
    /// How long ago it came.
    pub age: Duration,
    pub bytes: &'a [u8],
}

impl UdpPort {
    /// `relay`: by whom all packets go.
    pub fn new(socket: UdpSocket, relay: Option<SocketAddr>) -> io::Result<Self> {
        let state = UdpSocketState::new((&socket).into())?;
        // As much as it gives.
        let _ = state.set_recv_buffer_size((&socket).into(), SYSTEM_BYTES);
        let _ = state.set_send_buffer_size((&socket).into(), SYSTEM_BYTES);
        // Where there is no such thing, who does not listen is silent.
        let _ = state.enable_transport_errors((&socket).into());
        let local = socket.local_addr()?;
        Ok(Self { socket, state, local, relay, errors: Notify::new() })
    }

    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Sends packets of `packet` bytes, the last one may be shorter. How many bytes the system took: less than all of them, and it takes no more
    /// now.
    pub fn send(&self, to: SocketAddr, from: Option<IpAddr>, packets: &[u8], packet: usize) -> io::Result<usize> {
        // It shows by a failure that it cannot send trains.
        let together = packet * self.state.max_gso_segments().max(1);
        let mut sent = 0;
        for train in packets.chunks(together.max(1)) {
            let outcome = match self.relay {
                None => self.send_train(to, from, train, packet),
                Some(relay) => {
                    let (train, packet) = relayed(Destination::Address(to), train, packet);
                    self.send_train(relay, None, &train, packet)
                }
            };
            match outcome {
                Ok(()) => sent += train.len(),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    // So that the next wait is one.
                    let _ = self.socket.try_io::<()>(Interest::WRITABLE, || Err(e));
                    break;
                }
                Err(e) => return Err(e),
            }
        }
        Ok(sent)
    }

    /// Sends a packet to a host by its name, which the relay looks up. There is one.
    pub fn send_by_name(&self, name: &str, port: u16, packet: &[u8]) -> io::Result<()> {
        let relay = self.relay.ok_or(io::ErrorKind::Unsupported)?;
        let (train, len) = relayed(Destination::Name(name, port), packet, packet.len().max(1));
        self.send_train(relay, None, &train, len)
    }

    fn send_train(&self, to: SocketAddr, from: Option<IpAddr>, train: &[u8], packet: usize) -> io::Result<()> {
        let segment_size = (packet < train.len()).then_some(packet);
        let transmit = Transmit { destination: to, ecn: None, contents: train, segment_size, src_ip: from };
        let send = || self.state.try_send((&self.socket).into(), &transmit);
        match send() {
            // About a packet to somebody else.
            Err(e) if is_of_another(&e) => {
                self.errors.notify_one();
                send()
            }
            sent => sent,
        }
    }

    /// An address at which a packet of ours reached nobody, as an answer says: anybody on the way can say so. The port is not told.
    pub fn take_unreachable(&self) -> Option<IpAddr> {
        loop {
            let error = self.state.recv_transport_error((&self.socket).into()).ok()??;
            // Of a relay it says nothing of anybody behind it.
            if let (TransportErrorPayload::Unreachable, Some(address), None) = (error.payload, error.addr, self.relay) {
                return Some(address.ip().to_canonical());
            }
        }
    }

    /// Waits until the system may take packets again.
    pub async fn writable(&self) -> io::Result<()> {
        self.socket.writable().await
    }

    /// Waits for packets, and takes in what is there. It may be nothing: then there are errors.
    pub async fn receive(&self, trains: &mut Trains) -> io::Result<()> {
        let Trains { buffer, metas, count, relay } = trains;
        (*count, *relay) = (0, self.relay);
        if buffer.is_empty() {
            // Pages that nothing ever came into are not there.
            *buffer = vec![0; TRAINS * TRAIN_BYTES];
        }
        let receive = || {
            let mut places: Vec<IoSliceMut<'_>> = buffer.chunks_mut(TRAIN_BYTES).map(IoSliceMut::new).collect();
            self.state.recv((&self.socket).into(), &mut places, metas)
        };
        *count = tokio::select! {
            biased;
            () = self.errors.notified() => 0,
            received = self.socket.async_io(Interest::READABLE | Interest::ERROR, receive) => match received {
                Err(e) if is_of_another(&e) => 0,
                received => received?,
            },
        };
        Ok(())
    }
}

/// What came of an earlier packet, whoever sent it.
fn is_of_another(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    matches!(error.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable)
}

impl Default for Trains {
    fn default() -> Self {
        Self { buffer: Vec::new(), metas: [RecvMeta::default(); TRAINS], count: 0, relay: None }
    }
}

impl Trains {
    /// What was taken in last.
    pub fn datagrams(&self) -> impl Iterator<Item = Datagram<'_>> {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let trains = self.buffer.chunks(TRAIN_BYTES).zip(&self.metas).take(self.count);
        trains.flat_map(move |(train, meta)| {
            let age = meta.timestamp.map_or(Duration::ZERO, |at| clock.saturating_sub(at).min(MOST_WAIT));
            let from = canonical(meta.addr);
            let bytes = train.get(..meta.len).unwrap_or_default();
            let packets = bytes.chunks(meta.stride.max(1));
            packets.filter_map(move |bytes| match self.relay {
                None => Some(Datagram { from, to: meta.dst_ip, age, bytes }),
                // Nobody reaches us but by it.
                Some(relay) if relay == from => {
                    let (from, bytes) = udp_associate::parse(bytes)?;
                    Some(Datagram { from, to: None, age, bytes })
                }
                Some(_) => None,
            })
        })
    }
}

/// The packets of a train, each with what the relay needs to know before it, and their length. The last one may be shorter.
fn relayed(to: Destination<'_>, train: &[u8], packet: usize) -> (Vec<u8>, usize) {
    let header = udp_associate::header(to);
    let packets = train.len().div_ceil(packet.max(1));
    let mut out = Vec::with_capacity(train.len() + packets * header.len());
    for packet in train.chunks(packet.max(1)) {
        out.extend_from_slice(&header);
        out.extend_from_slice(packet);
    }
    (out, packet + header.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::egress::{self, route::Traffic};

    fn port() -> UdpPort {
        let here = std::net::IpAddr::from(std::net::Ipv4Addr::LOCALHOST).into();
        egress::direct().udp_port(Traffic::Peers, &here, 0).expect("bound")
    }

    #[tokio::test]
    async fn trains_arrive_as_the_packets_they_are_made_of() {
        let (a, b) = (port(), port());
        let packets: Vec<u8> = (0..10_000u32).map(|n| n as u8).collect();
        assert_eq!(a.send(b.local(), None, &packets, 1400).expect("sent"), packets.len());
        let (mut trains, mut got) = (Trains::default(), Vec::new());
        while got.len() < 8 {
            b.receive(&mut trains).await.expect("received");
            for datagram in trains.datagrams() {
                assert_eq!((datagram.from, datagram.to), (a.local(), Some(a.local().ip())));
                assert!(datagram.age < MOST_WAIT);
                got.push(datagram.bytes.to_vec());
            }
        }
        assert_eq!(got.concat(), packets);
        assert_eq!(got.iter().map(Vec::len).collect::<Vec<_>>(), [1400, 1400, 1400, 1400, 1400, 1400, 1400, 200]);
    }

    #[tokio::test]
    async fn a_relay_carries_trains_and_only_what_comes_by_it_is_taken() {
        let relay = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let port = UdpPort::new(socket, Some(relay.local_addr().expect("bound"))).expect("a port");
        let to: SocketAddr = "192.0.2.1:6881".parse().expect("an address");
        let packets: Vec<u8> = (0..3000u32).map(|n| n as u8).collect();
        assert_eq!(port.send(to, None, &packets, 1400).expect("sent"), packets.len());
        let (mut got, mut buf) = (Vec::new(), [0; 2000]);
        while got.len() < packets.len() {
            let n = relay.recv(&mut buf).await.expect("came");
            let (at, payload) = udp_associate::parse(&buf[..n]).expect("of the form");
            assert_eq!(at, to);
            got.extend_from_slice(payload);
        }
        assert_eq!(got, packets);
        port.send_by_name("t.example", 80, b"hello").expect("sent");
        let n = relay.recv(&mut buf).await.expect("came");
        assert!(buf[..n].ends_with(b"t.example\0\x50hello"));

        // Somebody else, then a fragment, and then a packet.
        let stranger = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        stranger.send_to(b"\0\0\0\x01\xc0\0\x02\x01\0\x50bad", port.local()).await.expect("sent");
        relay.send_to(b"\0\0\x01\x01\xc0\0\x02\x01\0\x50bad", port.local()).await.expect("sent");
        relay.send_to(b"\0\0\0\x01\xc0\0\x02\x01\0\x50good", port.local()).await.expect("sent");
        let (mut trains, mut heard) = (Trains::default(), Vec::new());
        while heard.is_empty() {
            port.receive(&mut trains).await.expect("received");
            heard.extend(trains.datagrams().map(|d| (d.from.to_string(), d.bytes.to_vec())));
        }
        assert_eq!(heard, [("192.0.2.1:80".to_owned(), b"good".to_vec())]);
    }

    #[tokio::test]
    async fn an_address_where_nobody_listens_is_told() {
        let (a, closed) = (port(), port().local());
        a.send(closed, None, b"anybody?", 8).expect("sent");
        let mut trains = Trains::default();
        a.receive(&mut trains).await.expect("woken");
        assert_eq!(
            (trains.datagrams().count(), a.take_unreachable(), a.take_unreachable()),
            (0, Some(closed.ip()), None)
        );
    }
}
