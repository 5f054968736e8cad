//! A connection through a proxy, once there is one with it: SOCKS4 (with names, 4a), SOCKS5 (RFC 1928, 1929), HTTP CONNECT.
//!
//! The protocols are those of tokio-socks and hyper. Here a fault of the proxy is told from one of its destination: the one is
//! everybody's.

use std::fmt::{self, Display};
use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;
use tokio_socks::TargetAddr;
use tokio_socks::tcp::{Socks4Stream, Socks5Stream};

use super::http_connect;
use super::route::{Proxy, ProxyType};

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

impl<'a> From<Destination<'a>> for TargetAddr<'a> {
    fn from(destination: Destination<'a>) -> Self {
        match destination {
            Destination::Address(address) => Self::Ip(address),
            Destination::Name(name, port) => Self::Domain(name.into(), port),
        }
    }
}

impl Proxy {
    /// Goes on through it. `stream`: a connection with it, which becomes one with the destination.
    pub async fn pass(&self, stream: TcpStream, to: Destination<'_>) -> Result<TcpStream, ProxyError> {
        let (name, password) = (self.username.as_str(), self.password.as_str());
        if matches!(to, Destination::Name(host, _) if host.len() > MAX_NAME) {
            return Err(ProxyError::of_destination(io::ErrorKind::InvalidInput, "the host's name is too long"));
        }
        let target = TargetAddr::from(to);
        let through = match self.kind {
            ProxyType::Socks4 if matches!(to, Destination::Address(SocketAddr::V6(_))) => {
                return Err(ProxyError::of_destination(io::ErrorKind::Unsupported, "SOCKS4 has no IPv6"));
            }
            ProxyType::Socks4 => {
                let through = if name.is_empty() {
                    Socks4Stream::connect_with_socket(stream, target).await
                } else {
                    Socks4Stream::connect_with_userid_and_socket(stream, target, name).await
                };
                through.map(Socks4Stream::into_inner)
            }
            ProxyType::Socks5 => Socks5Stream::connect_with_socket(stream, target).await.map(Socks5Stream::into_inner),
            ProxyType::Socks5Password => {
                let through = Socks5Stream::connect_with_password_and_socket(stream, target, name, password).await;
                through.map(Socks5Stream::into_inner)
            }
            ProxyType::Http | ProxyType::HttpPassword => {
                return http_connect::connect(stream, self, &to.to_string()).await;
            }
        };
        through.map_err(socks)
    }
}

fn socks(error: tokio_socks::Error) -> ProxyError {
    use tokio_socks::Error as E;
    let kind = match &error {
        E::ConnectionRefused => io::ErrorKind::ConnectionRefused,
        E::NetworkUnreachable => io::ErrorKind::NetworkUnreachable,
        E::HostUnreachable => io::ErrorKind::HostUnreachable,
        E::TtlExpired => io::ErrorKind::TimedOut,
        E::ConnectionNotAllowedByRuleset => io::ErrorKind::PermissionDenied,
        E::InvalidTargetAddress(_) => io::ErrorKind::InvalidInput,
        // Some close the connection where they cannot connect.
        E::Io(e) => e.kind(),
        // Tor has codes of its own.
        E::GeneralSocksServerFailure | E::AddressTypeNotSupported | E::UnknownError => io::ErrorKind::Other,
        _ => return ProxyError::of_proxy(format!("the SOCKS proxy refuses us: {error}")),
    };
    ProxyError::of_destination(kind, format!("the SOCKS proxy does not connect: {error}"))
}
