//! A GET over HTTP/1.1 or HTTPS, as trackers want it: one request a connection, whatever answers is taken as far as it makes
//! sense, and every part of it has a bound.
//!
//! The address is looked up here and not in a library, so that what is connected to is what the rules ([`super::ssrf`]) were
//! asked about. No proxy is taken from the environment, no `Referer` is sent along a redirect (it would hand a passkey to
//! somebody else).

use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64;
use flate2::read::MultiGzDecoder;
use percent_encoding::percent_decode_str;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use url::{Host, Position, Url};

use super::answer::{Answer, Head, too_large};
use super::ssrf::{Guard, Purpose};
use super::{FetchError, tls};
use crate::error::{Error, Operation, Status};

/// One receive brings at most so much.
const RECEIVE_BYTES: usize = 16 * 1024;
/// Most addresses of a name that are tried.
const MAX_ADDRESSES: usize = 8;
/// How long the first address family is tried before the other is, too.
const HEAD_START: Duration = Duration::from_millis(300);

#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Check certificates.
    pub validate_https: bool,
    pub ssrf_mitigation: bool,
    /// Local addresses to connect from; None: as the routing table says.
    pub bind_v4: Option<Ipv4Addr>,
    pub bind_v6: Option<Ipv6Addr>,
    pub connect_timeout: Duration,
    pub max_redirects: usize,
}

/// What to fetch.
#[derive(Debug)]
pub struct Get<'a> {
    /// As it was named from outside.
    pub named: &'a Url,
    /// With what is our own in it.
    pub url: Url,
    pub purpose: Purpose,
    pub user_agent: &'a str,
    /// Most bytes of the body, unpacked.
    pub max_body: usize,
    /// Longest wait for the next part of the body.
    pub silence: Duration,
}

/// What came.
#[derive(Debug)]
pub struct Fetched {
    pub status: u16,
    /// What the server calls it.
    pub reason: String,
    /// Unpacked.
    pub body: Vec<u8>,
    /// Why it ended before its end, if it did. Some servers promise more than they have.
    pub broken_off: Option<FetchError>,
}

/// Fetches. One a session, with its own TLS configuration.
pub struct Client {
    options: Options,
    tls: TlsConnector,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Client {
    pub fn new(options: Options) -> Result<Self, Error> {
        let config = tls::config(options.validate_https)
            .map_err(|e| Error::new(Status::Network, format!("HTTP client: {e}")))?;
        Ok(Self { options, tls: TlsConnector::from(Arc::new(config)) })
    }

    /// Fetches, along redirects. How long all of it may take is for the caller to say.
    pub async fn get(&self, get: Get<'_>) -> Result<Fetched, FetchError> {
        let mut guard = Guard::new(self.options.ssrf_mitigation, get.purpose);
        if !guard.admits_url(get.named) {
            return Err(FetchError::new(
                Operation::Bittorrent,
                "blocked by ssrf_mitigation: the URL has arguments of an announce in it",
            ));
        }
        let mut url = get.url.clone();
        for _ in 0..=self.options.max_redirects {
            let (stream, ip) = self.connect(&url, &guard).await?;
            guard.went(ip);
            let (answer, broken_off) = if url.scheme() == "https" {
                let stream = self.tls.connect(server_name(&url)?, stream).await;
                ask(stream.map_err(|e| FetchError::io(Operation::SslHandshake, &e))?, &url, &get).await?
            } else {
                ask(stream, &url, &get).await?
            };
            let (head, body) = answer.into_parts();
            match redirect(&head, &url)? {
                Some(next) => url = next,
                None => return fetched(head, body, broken_off, get.max_body),
            }
        }
        Err(FetchError::new(Operation::Bittorrent, format!("more than {} redirects", self.options.max_redirects)))
    }

    /// Connects to the host of a URL, at an address that the rules allow.
    async fn connect(&self, url: &Url, guard: &Guard) -> Result<(TcpStream, IpAddr), FetchError> {
        let failed = |what: &str| FetchError::new(Operation::ParseAddress, format!("invalid URL: {what}"));
        if !matches!(url.scheme(), "http" | "https") {
            return Err(failed("neither http nor https"));
        }
        let port = url.port_or_known_default().filter(|port| *port != 0).ok_or_else(|| failed("no port"))?;
        let found: Vec<SocketAddr> = match url.host().ok_or_else(|| failed("no host"))? {
            Host::Ipv4(ip) => vec![(ip, port).into()],
            Host::Ipv6(ip) => vec![(ip, port).into()],
            Host::Domain(name) => tokio::net::lookup_host((name, port))
                .await
                .map_err(|e| FetchError::io(Operation::HostnameLookup, &e))?
                .take(MAX_ADDRESSES)
                .collect(),
        };
        if found.is_empty() {
            return Err(FetchError::new(Operation::HostnameLookup, "the name has no address"));
        }
        let allowed: Vec<SocketAddr> = found.into_iter().filter(|a| guard.admits(url, a.ip())).collect();
        if allowed.is_empty() {
            return Err(FetchError::new(
                Operation::Bittorrent,
                "blocked by ssrf_mitigation: the address is of this host or network, which others' words do not open",
            ));
        }
        let timeout = self.options.connect_timeout;
        match tokio::time::timeout(timeout, self.reach(&allowed)).await {
            Ok(reached) => reached,
            Err(_) => Err(FetchError::timed_out(Operation::Connect, timeout)),
        }
    }

    /// The first address that answers. Where a name has addresses of both families, that of the first is given a head start.
    async fn reach(&self, addresses: &[SocketAddr]) -> Result<(TcpStream, IpAddr), FetchError> {
        let first_is_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
        let (first, second): (Vec<_>, Vec<_>) = addresses.iter().partition(|a| a.is_ipv4() == first_is_v4);
        let first = self.try_in_turn(first);
        if second.is_empty() {
            return first.await;
        }
        let second = self.try_in_turn(second);
        tokio::pin!(first, second);
        match tokio::time::timeout(HEAD_START, &mut first).await {
            Ok(Ok(reached)) => return Ok(reached),
            Ok(Err(_)) => return second.await,
            Err(_) => {}
        }
        tokio::select! {
            reached = &mut first => match reached {
                Ok(reached) => Ok(reached),
                Err(_) => second.await,
            },
            reached = &mut second => match reached {
                Ok(reached) => Ok(reached),
                Err(_) => first.await,
            },
        }
    }

    async fn try_in_turn(&self, addresses: Vec<SocketAddr>) -> Result<(TcpStream, IpAddr), FetchError> {
        // None of them may use up the others' time.
        let patience = self.options.connect_timeout / u32::try_from(addresses.len().max(1)).unwrap_or(1);
        let mut last = FetchError::timed_out(Operation::Connect, patience);
        for address in addresses {
            match tokio::time::timeout(patience, self.dial(address)).await {
                Ok(Ok(stream)) => return Ok((stream, address.ip())),
                Ok(Err(e)) => last = FetchError::io(Operation::Connect, &e),
                Err(_) => {}
            }
        }
        Err(last)
    }

    async fn dial(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let (socket, bind) = match address {
            SocketAddr::V4(_) => (TcpSocket::new_v4()?, self.options.bind_v4.map(IpAddr::from)),
            SocketAddr::V6(_) => (TcpSocket::new_v6()?, self.options.bind_v6.map(IpAddr::from)),
        };
        if let Some(ip) = bind {
            socket.bind(SocketAddr::new(ip, 0))?;
        }
        socket.connect(address).await
    }
}

fn server_name(url: &Url) -> Result<ServerName<'static>, FetchError> {
    match url.host() {
        Some(Host::Ipv4(ip)) => Ok(IpAddr::from(ip).into()),
        Some(Host::Ipv6(ip)) => Ok(IpAddr::from(ip).into()),
        Some(Host::Domain(name)) => ServerName::try_from(name.to_owned())
            .map_err(|_| FetchError::new(Operation::ParseAddress, "invalid URL: the host's name cannot be one")),
        None => Err(FetchError::new(Operation::ParseAddress, "invalid URL: no host")),
    }
}

/// Sends the request and takes in the answer as far as it comes; the body of one that sends us elsewhere is not waited for.
async fn ask<S>(mut stream: S, url: &Url, get: &Get<'_>) -> Result<(Answer, Option<FetchError>), FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let sent = stream.write_all(request(url, get.user_agent).as_bytes()).await;
    sent.map_err(|e| FetchError::io(Operation::SockWrite, &e))?;
    stream.flush().await.map_err(|e| FetchError::io(Operation::SockWrite, &e))?;
    let mut answer = Answer::new(get.max_body);
    let mut buffer = vec![0; RECEIVE_BYTES];
    loop {
        // Some take their time to begin.
        let silence = answer.head().map(|_| get.silence);
        let received = match silence {
            Some(silence) => tokio::time::timeout(silence, stream.read(&mut buffer)).await,
            None => Ok(stream.read(&mut buffer).await),
        };
        let lost = match received {
            Ok(Ok(0)) => match answer.ended() {
                Ok(()) => return Ok((answer, None)),
                Err(e) => e,
            },
            Ok(Ok(n)) => {
                answer.take(buffer.get(..n).unwrap_or_default())?;
                if answer.is_whole() || answer.head().is_some_and(|head| head.location().is_some()) {
                    return Ok((answer, None));
                }
                continue;
            }
            Ok(Err(e)) => FetchError::io(Operation::SockRead, &e),
            Err(_) => FetchError::timed_out(Operation::SockRead, get.silence),
        };
        // What came before the connection broke off may be all that was needed.
        return if answer.head().is_some() { Ok((answer, Some(lost))) } else { Err(lost) };
    }
}

fn request(url: &Url, user_agent: &str) -> String {
    let path = &url[Position::BeforePath..Position::AfterQuery];
    let host = &url[Position::BeforeHost..Position::AfterPort];
    let mut request =
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\nAccept-Encoding: gzip\r\nConnection: close\r\n");
    // One that cannot stand in a field is not sent.
    if !user_agent.is_empty() && user_agent.bytes().all(|b| matches!(b, b' '..=b'~')) {
        request.push_str(&format!("User-Agent: {user_agent}\r\n"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        let mut login: Vec<u8> = percent_decode_str(url.username()).collect();
        login.push(b':');
        login.extend(percent_decode_str(url.password().unwrap_or_default()));
        request.push_str(&format!("Authorization: Basic {}\r\n", BASE64.encode(&login)));
    }
    request.push_str("\r\n");
    request
}

/// Where an answer sends us, if it does.
fn redirect(head: &Head, url: &Url) -> Result<Option<Url>, FetchError> {
    let Some(location) = head.location() else { return Ok(None) };
    let bad = |e| FetchError::new(Operation::Bittorrent, format!("a redirect to an invalid URL: {e}"));
    url.join(location).map(Some).map_err(bad)
}

fn fetched(
    head: Head,
    body: Vec<u8>,
    mut broken_off: Option<FetchError>,
    max_body: usize,
) -> Result<Fetched, FetchError> {
    let body = if head.gzip { unpack(&body, max_body, &mut broken_off)? } else { body };
    Ok(Fetched { status: head.status, reason: head.reason, body, broken_off })
}

fn unpack(packed: &[u8], max: usize, broken_off: &mut Option<FetchError>) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    let outcome = MultiGzDecoder::new(packed).take(limit).read_to_end(&mut body);
    if body.len() > max {
        return Err(too_large(max));
    }
    if let Err(e) = outcome {
        broken_off.get_or_insert(FetchError::new(Operation::SockRead, format!("the answer cannot be unpacked: {e}")));
    }
    Ok(body)
}
