//! UDP through a SOCKS5 proxy (RFC 1928, 7): the proxy names a relay, which carries packets while a connection with the proxy stands.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::proxy::{Destination, ProxyError};
use super::route::Proxy;
use super::socks::{Command, put_address, socks5, take_address};

/// What the relay is needed for stands as long as this does.
#[derive(Debug)]
pub struct Association {
    stream: TcpStream,
    /// Where packets are sent to, and come from.
    pub relay: SocketAddr,
}

impl Association {
    /// Asks for a relay. `stream`: a connection with the proxy.
    pub async fn ask(mut stream: TcpStream, proxy: &Proxy) -> Result<Self, ProxyError> {
        // From where our packets come is not known yet.
        let anywhere = Destination::Address((Ipv4Addr::UNSPECIFIED, 0).into());
        let mut relay = socks5(&mut stream, proxy, Command::UdpAssociate, anywhere).await?;
        if relay.ip().is_unspecified() {
            // Many say "where I am".
            let own = stream.peer_addr().map_err(|e| ProxyError::of_destination(e.kind(), e.to_string()))?;
            relay.set_ip(own.ip().to_canonical());
        }
        if relay.port() == 0 {
            let message = "the SOCKS proxy's relay has no port";
            return Err(ProxyError::of_destination(io::ErrorKind::Unsupported, message));
        }
        Ok(Self { stream, relay })
    }

    /// Waits until the proxy ends it.
    pub async fn ended(mut self) {
        // Nothing is to come by it.
        let mut ignored = [0; 256];
        while matches!(self.stream.read(&mut ignored).await, Ok(n) if n > 0) {}
    }
}

/// What stands before a packet to somebody.
pub fn header(to: Destination<'_>) -> Vec<u8> {
    // Reserved, and no fragment.
    let mut header = vec![0, 0, 0];
    // Of a name that is none the relay makes nothing.
    let _ = put_address(to, &mut header);
    header
}

/// Who sent a packet that the relay brings, and what. None: it is a fragment, or not of this form.
pub fn parse(packet: &[u8]) -> Option<(SocketAddr, &[u8])> {
    let ([_, _, fragment], rest) = packet.split_first_chunk::<3>()?;
    if *fragment == 0 { take_address(rest) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_says_whose_it_is_and_a_fragment_is_not_taken() {
        let to = "192.0.2.1:80".parse().expect("an address");
        let mut packet = header(Destination::Address(to));
        packet.push(b'x');
        assert_eq!(packet, b"\0\0\0\x01\xc0\0\x02\x01\0\x50x");
        assert_eq!(parse(&packet), Some((to, &b"x"[..])));
        packet[2] = 1;
        assert_eq!((parse(&packet), parse(b"\0\0"), parse(b"")), (None, None, None));
    }
}
