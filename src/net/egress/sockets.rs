//! Sockets, as they are opened, and names, as they are looked up: the one place that does either. Whether it may is for [`super::Egress`] to
//! say.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};

use super::interfaces::Source;
use super::options::SocketOptions;

/// Connects by TCP, from such a source and port if they are named.
pub async fn connect(
    source: Option<&Source>,
    port: u16,
    address: SocketAddr,
    options: Option<&SocketOptions>,
) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(options) = options {
        options.set_on((&socket).into(), address.is_ipv6());
    }
    if port > 0 {
        // Others go elsewhere from the same port.
        socket.set_reuseaddr(true)?;
    }
    if let Some(source) = source {
        leave_by((&socket).into(), source)?;
    }
    if source.is_some() || port > 0 {
        let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        socket.bind(SocketAddr::new(source.map_or(any, |s| s.address), port))?;
    }
    socket.connect(address).await
}

pub fn listen(source: &Source, port: u16, options: &SocketOptions) -> io::Result<TcpListener> {
    let socket = of_one_family(source, Type::STREAM, Protocol::TCP)?;
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    options.set_on((&socket).into(), source.address.is_ipv6());
    socket.bind(&SocketAddr::new(source.address, port).into())?;
    socket.listen(options.backlog)?;
    TcpListener::from_std(socket.into())
}

pub fn udp(source: &Source, port: u16) -> io::Result<UdpSocket> {
    let socket = of_one_family(source, Type::DGRAM, Protocol::UDP)?;
    socket.bind(&SocketAddr::new(source.address, port).into())?;
    UdpSocket::from_std(socket.into())
}

/// The address that packets to somebody would have. None is sent.
pub fn address_towards(to: SocketAddr) -> io::Result<IpAddr> {
    let any =
        if to.is_ipv4() { SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)) } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = std::net::UdpSocket::bind(any)?;
    socket.connect(to)?;
    Ok(socket.local_addr()?.ip())
}

/// Whoever calls has a thread for it.
pub fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok((host, port).to_socket_addrs()?.collect())
}

/// What the system says of devices and addresses (rtnetlink).
#[cfg(target_os = "linux")]
pub fn route_link() -> io::Result<UdpSocket> {
    use rustix::net::netlink::SocketAddrNetlink;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};

    /// RTMGRP_LINK; of IPv4 and IPv6: RTMGRP_*_IFADDR, RTMGRP_*_ROUTE.
    const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let link = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    bind(&link, &SocketAddrNetlink::new(0, GROUPS))?;
    UdpSocket::from_std(link.into())
}

/// A socket for this address's family alone, to be bound.
fn of_one_family(source: &Source, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let v6 = source.address.is_ipv6();
    let socket = Socket::new(if v6 { Domain::IPV6 } else { Domain::IPV4 }, kind, Some(protocol))?;
    if v6 {
        // IPv4 has sockets of its own.
        socket.set_only_v6(true)?;
    }
    leave_by((&socket).into(), source)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Its packets leave by the device of the source and by no other.
#[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
fn leave_by(socket: SockRef<'_>, source: &Source) -> io::Result<()> {
    match &source.device {
        None => Ok(()),
        Some(device) => match socket.bind_device(Some(device.as_bytes())) {
            // Linux before 5.7 asks for a privilege. The address goes with the device.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            bound => bound,
        },
    }
}

/// The address goes with the device.
#[cfg(not(any(target_os = "android", target_os = "fuchsia", target_os = "linux")))]
fn leave_by(_: SockRef<'_>, _: &Source) -> io::Result<()> {
    Ok(())
}
