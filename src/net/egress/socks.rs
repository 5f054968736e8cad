//! SOCKS4 with names (4a) and SOCKS5 (RFC 1928, with the user name and password of RFC 1929), once there is a connection with the proxy.
//!
//! Up to the command all is between us and the proxy, and has a time of its own: who fails there fails everybody. What comes of the command is
//! the destination's.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::proxy::{Destination, ProxyError};
use super::route::{Proxy, ProxyType};

/// A proxy that takes longer to greet us does not work.
const GREETING: Duration = Duration::from_secs(5);
const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const LOGIN: u8 = 2;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// What SOCKS5 is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    Connect = 1,
    UdpAssociate = 3,
}

/// Greets a SOCKS5 proxy, logs in, and asks for something. The address that it answers with.
pub async fn socks5(
    stream: &mut TcpStream,
    proxy: &Proxy,
    command: Command,
    to: Destination<'_>,
) -> Result<SocketAddr, ProxyError> {
    greet(stream, proxy).await?;
    let mut request = vec![VERSION, command as u8, 0];
    put_address(to, &mut request).ok_or_else(invalid)?;
    stream.write_all(&request).await.map_err(closed)?;
    let mut head = [0; 4];
    stream.read_exact(&mut head).await.map_err(closed)?;
    let [VERSION, code, _, form] = head else { return Err(ProxyError::of_proxy("this is no SOCKS5 proxy")) };
    if code != 0 {
        return Err(refused(code));
    }
    let ip = match form {
        IPV4 => IpAddr::from(bytes::<4>(stream).await?),
        IPV6 => IpAddr::from(bytes::<16>(stream).await?),
        // Of what it made for us nobody needs the name.
        NAME => {
            let [len] = bytes::<1>(stream).await?;
            let mut name = vec![0; len.into()];
            stream.read_exact(&mut name).await.map_err(closed)?;
            Ipv4Addr::UNSPECIFIED.into()
        }
        _ => return Err(ProxyError::of_proxy("the SOCKS proxy's answer makes no sense")),
    };
    let port = u16::from_be_bytes(bytes::<2>(stream).await?);
    Ok(SocketAddr::new(ip.to_canonical(), port))
}

/// Connects by a SOCKS4 proxy. It has no IPv6.
pub async fn socks4(stream: &mut TcpStream, proxy: &Proxy, to: Destination<'_>) -> Result<(), ProxyError> {
    // An address that is none says that a name follows.
    let (ip, port, name) = match to {
        Destination::Address(SocketAddr::V4(to)) => (*to.ip(), to.port(), None),
        Destination::Address(SocketAddr::V6(_)) => {
            return Err(ProxyError::of_destination(io::ErrorKind::Unsupported, "SOCKS4 has no IPv6"));
        }
        Destination::Name(name, port) => (Ipv4Addr::new(0, 0, 0, 1), port, Some(name)),
    };
    // Each text ends with a zero.
    if [Some(proxy.username.as_str()), name].into_iter().flatten().any(|text| text.contains('\0')) {
        return Err(invalid());
    }
    let mut request = vec![4, Command::Connect as u8];
    request.extend_from_slice(&port.to_be_bytes());
    request.extend_from_slice(&ip.octets());
    request.extend_from_slice(proxy.username.as_bytes());
    request.push(0);
    if let Some(name) = name {
        request.extend_from_slice(name.as_bytes());
        request.push(0);
    }
    stream.write_all(&request).await.map_err(closed)?;
    let [version, code, ..] = bytes::<8>(stream).await?;
    match (version, code) {
        (0, 90) => Ok(()),
        (0, 91) => Err(ProxyError::of_destination(
            io::ErrorKind::ConnectionRefused,
            "the SOCKS proxy does not connect: request rejected or failed",
        )),
        (0, 92 | 93) => Err(ProxyError::of_proxy("the SOCKS proxy refuses us: it cannot tell who we are")),
        _ => Err(ProxyError::of_proxy("this is no SOCKS4 proxy")),
    }
}

/// Greets a SOCKS5 proxy, and logs in.
pub async fn greet(stream: &mut TcpStream, proxy: &Proxy) -> Result<(), ProxyError> {
    let greeted = timeout(GREETING, greet_at_leisure(stream, proxy)).await;
    greeted.unwrap_or_else(|_| Err(ProxyError::of_proxy("the SOCKS proxy does not answer")))
}

async fn greet_at_leisure(stream: &mut TcpStream, proxy: &Proxy) -> Result<(), ProxyError> {
    let broken = |e: io::Error| ProxyError::of_proxy(format!("the SOCKS proxy breaks off: {e}"));
    let method = if proxy.kind == ProxyType::Socks5Password { LOGIN } else { NO_LOGIN };
    stream.write_all(&[VERSION, 1, method]).await.map_err(broken)?;
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen).await.map_err(broken)?;
    if chosen[0] != VERSION {
        return Err(ProxyError::of_proxy("this is no SOCKS5 proxy"));
    }
    if chosen[1] != method {
        return Err(ProxyError::of_proxy("the SOCKS proxy refuses us: it wants another way to log in"));
    }
    if method == LOGIN {
        stream.write_all(&login(proxy)?).await.map_err(broken)?;
        let mut answer = [0; 2];
        stream.read_exact(&mut answer).await.map_err(broken)?;
        if answer[1] != 0 {
            return Err(ProxyError::of_proxy("the SOCKS proxy refuses us: it wants another user name or password"));
        }
    }
    Ok(())
}

fn login(proxy: &Proxy) -> Result<Vec<u8>, ProxyError> {
    let mut login = vec![1];
    for text in [&proxy.username, &proxy.password] {
        let len = u8::try_from(text.len()).ok().filter(|len| *len > 0);
        login.push(len.ok_or_else(|| ProxyError::of_proxy("SOCKS5 takes user names and passwords of 1 to 255 bytes"))?);
        login.extend_from_slice(text.as_bytes());
    }
    Ok(login)
}

/// An address and port, or a name and port. None: there is no such name.
pub fn put_address(to: Destination<'_>, out: &mut Vec<u8>) -> Option<()> {
    let port = match to {
        Destination::Address(SocketAddr::V4(to)) => {
            out.push(IPV4);
            out.extend_from_slice(&to.ip().octets());
            to.port()
        }
        Destination::Address(SocketAddr::V6(to)) => {
            out.push(IPV6);
            out.extend_from_slice(&to.ip().octets());
            to.port()
        }
        Destination::Name(name, port) => {
            let len = u8::try_from(name.len()).ok().filter(|len| *len > 0)?;
            out.extend_from_slice(&[NAME, len]);
            out.extend_from_slice(name.as_bytes());
            port
        }
    };
    out.extend_from_slice(&port.to_be_bytes());
    Some(())
}

/// An address and port, and what follows. None: it is none.
pub fn take_address(bytes: &[u8]) -> Option<(SocketAddr, &[u8])> {
    let (form, rest) = bytes.split_first()?;
    let (ip, rest): (IpAddr, _) = match *form {
        IPV4 => {
            let (ip, rest) = rest.split_first_chunk::<4>()?;
            (Ipv4Addr::from(*ip).into(), rest)
        }
        IPV6 => {
            let (ip, rest) = rest.split_first_chunk::<16>()?;
            (Ipv6Addr::from(*ip).into(), rest)
        }
        _ => return None,
    };
    let (port, rest) = rest.split_first_chunk::<2>()?;
    Some((SocketAddr::new(ip.to_canonical(), u16::from_be_bytes(*port)), rest))
}

async fn bytes<const N: usize>(stream: &mut TcpStream) -> Result<[u8; N], ProxyError> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await.map_err(closed)?;
    Ok(bytes)
}

/// Some close the connection where they cannot connect.
fn closed(e: io::Error) -> ProxyError {
    ProxyError::of_destination(e.kind(), format!("the SOCKS proxy does not connect: {e}"))
}

fn invalid() -> ProxyError {
    ProxyError::of_destination(io::ErrorKind::InvalidInput, "SOCKS has no such name")
}

/// Tor has codes of its own.
fn refused(code: u8) -> ProxyError {
    use io::ErrorKind as K;
    let (kind, why) = match code {
        2 => (K::PermissionDenied, "its rules forbid it"),
        3 => (K::NetworkUnreachable, "network unreachable"),
        4 => (K::HostUnreachable, "host unreachable"),
        5 => (K::ConnectionRefused, "connection refused"),
        6 => (K::TimedOut, "TTL expired"),
        7 => (K::Unsupported, "it does not know the command"),
        8 => (K::Unsupported, "it does not know the kind of address"),
        _ => (K::Other, "it failed"),
    };
    ProxyError::of_destination(kind, format!("the SOCKS proxy does not connect: {why} ({code})"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn addresses_come_back(to: SocketAddr, more: Vec<u8>) {
            let mut bytes = Vec::new();
            put_address(Destination::Address(to), &mut bytes).expect("an address");
            bytes.extend_from_slice(&more);
            let to = SocketAddr::new(to.ip().to_canonical(), to.port());
            prop_assert_eq!(take_address(&bytes), Some((to, more.as_slice())));
        }

        #[test]
        fn any_bytes_get_an_answer(bytes: Vec<u8>) {
            let _ = take_address(&bytes);
        }
    }

    #[test]
    fn names_have_a_length() {
        let mut out = Vec::new();
        put_address(Destination::Name("t.example", 80), &mut out).expect("a name");
        assert_eq!(out, b"\x03\x09t.example\0\x50");
        assert_eq!(take_address(&out), None, "an address is wanted");
        for bad in ["", &"x".repeat(256)] {
            assert_eq!(put_address(Destination::Name(bad, 80), &mut Vec::new()), None);
        }
    }
}
