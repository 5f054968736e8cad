//! How the library gets out: every connection is begun here, every other socket bound, every name resolved.
//!
//! Today that is TCP and UDP, directly. What is to hold for all of it (an interface, a proxy) belongs here.

use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream, ToSocketAddrs, UdpSocket, lookup_host};

use super::udp_port::UdpPort;

const BACKLOG: i32 = 128;

/// Connects by TCP, from a local address of the same family if one is named.
pub async fn connect(local: Option<IpAddr>, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(local) = local {
        socket.bind(SocketAddr::new(local, 0))?;
    }
    socket.connect(address).await
}

/// Listens for TCP connections. One socket serves one family.
pub fn listen(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = of_one_family(address, Type::STREAM, Protocol::TCP)?;
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from_std(socket.into())?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// A socket for this address's family alone, to be bound.
fn of_one_family(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        // IPv4 has sockets of its own.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A UDP socket.
pub async fn udp(local: SocketAddr) -> io::Result<UdpSocket> {
    UdpSocket::bind(local).await
}

/// A UDP socket on a listen address, as large packets are sent in trains.
pub fn udp_port(local: SocketAddr) -> io::Result<UdpPort> {
    let socket = of_one_family(local, Type::DGRAM, Protocol::UDP)?;
    socket.bind(&local.into())?;
    UdpPort::new(UdpSocket::from_std(socket.into())?)
}

/// The port that a UDP socket would have there: one is bound for a moment. For who opens his own socket.
pub fn probe_udp(local: SocketAddr) -> io::Result<SocketAddr> {
    std::net::UdpSocket::bind(local)?.local_addr()
}

/// The addresses of a host and port. Whoever calls bounds the time, and how many are used.
pub async fn resolve(host: impl ToSocketAddrs) -> io::Result<Vec<SocketAddr>> {
    Ok(lookup_host(host).await?.collect())
}
