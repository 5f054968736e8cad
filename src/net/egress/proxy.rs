//! A connection through a proxy, once there is one with it. A fault of the proxy is told from one of its destination: the one is everybody's.

use std::fmt::{self, Display};
use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::http_connect;
use super::route::{Proxy, ProxyType};
use super::socks::{Command, greet, socks4, socks5};

/// Of a host, as in DNS.
const MAX_NAME: usize = 253;

/// Where a connection is to lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination<'a> {
    Address(SocketAddr),
    /// A host's name, which the proxy looks up.
    Name(&'a str, u16),
}

/// Why a proxy leads nowhere.
#[derive(Debug)]
pub struct ProxyError {
    /// It is the proxy's: others fare no better.
    pub of_proxy: bool,
    kind: io::ErrorKind,
    message: String,
}

impl ProxyError {
    pub fn of_proxy(message: impl Into<String>) -> Self {
        Self { of_proxy: true, kind: io::ErrorKind::Other, message: message.into() }
    }

    pub fn of_destination(kind: io::ErrorKind, message: impl Into<String>) -> Self {
        Self { of_proxy: false, kind, message: message.into() }
    }
}

impl Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<ProxyError> for io::Error {
    fn from(error: ProxyError) -> Self {
        Self::new(error.kind, error.message)
    }
}

impl Display for Destination<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

impl Proxy {
    /// Does it answer on this connection, as far as that can be told without asking it for anything?
    pub async fn greets(&self, mut stream: TcpStream) -> bool {
        match self.kind {
            ProxyType::Socks5 | ProxyType::Socks5Password => greet(&mut stream, self).await.is_ok(),
            ProxyType::Socks4 | ProxyType::Http | ProxyType::HttpPassword => true,
        }
    }

    /// Goes on through it. `stream`: a connection with it, which becomes one with the destination.
    pub async fn pass(&self, mut stream: TcpStream, to: Destination<'_>) -> Result<TcpStream, ProxyError> {
        if matches!(to, Destination::Name(host, _) if host.len() > MAX_NAME) {
            return Err(ProxyError::of_destination(io::ErrorKind::InvalidInput, "the host's name is too long"));
        }
        match self.kind {
            ProxyType::Socks4 => socks4(&mut stream, self, to).await?,
            ProxyType::Socks5 | ProxyType::Socks5Password => {
                socks5(&mut stream, self, Command::Connect, to).await?;
            }
            ProxyType::Http | ProxyType::HttpPassword => {
                return http_connect::connect(stream, self, &to.to_string()).await;
            }
        }
        Ok(stream)
    }
}
