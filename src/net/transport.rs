//! What a peer's bytes come by: TCP or uTP.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::IpAddr;

use tokio::net::TcpStream;

use super::utp::stream::UtpStream;

#[derive(Debug)]
pub enum Transport {
    Tcp(TcpStream),
    Utp(UtpStream),
}

impl Transport {
    /// The address of our end, where it is bound to one.
    pub fn local_ip(&self) -> Option<IpAddr> {
        let local = match self {
            Self::Tcp(tcp) => tcp.local_addr().ok()?.ip(),
            Self::Utp(utp) => utp.local_ip(),
        };
        Some(local.to_canonical()).filter(|ip| !ip.is_unspecified())
    }

    /// Small messages are sent at once, as uTP sends them anyway.
    pub fn set_nodelay(&self) -> io::Result<()> {
        match self {
            Self::Tcp(tcp) => tcp.set_nodelay(true),
            Self::Utp(_) => Ok(()),
        }
    }

    /// What was read is acknowledged now, as uTP does it anyway: Linux would wait up to 40 ms for something to send with it, and a sender that
    /// holds small messages back until then (Nagle) as long.
    pub fn acknowledge(&self) {
        #[cfg(target_os = "linux")]
        if let Self::Tcp(tcp) = self {
            // Without it all goes on as well, only later.
            let _ = socket2::SockRef::from(tcp).set_tcp_quickack(true);
        }
    }

    /// Waits until there may be something to read.
    pub async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(tcp) => tcp.readable().await,
            Self::Utp(utp) => utp.readable().await,
        }
    }

    /// Reads into the places, in their order, what is there. 0: the end.
    pub fn try_read_vectored(&self, places: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.try_read_vectored(places),
            Self::Utp(utp) => utp.try_read_vectored(places),
        }
    }

    /// Waits until something may be written.
    pub async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(tcp) => tcp.writable().await,
            Self::Utp(utp) => utp.writable().await,
        }
    }

    /// Writes what is taken now.
    pub fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.try_write_vectored(slices),
            Self::Utp(utp) => utp.try_write_vectored(slices),
        }
    }
}
