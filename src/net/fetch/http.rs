//! A GET over HTTP/1.1 or HTTPS, as trackers want it: one request a connection, whatever answers is taken as far as it makes
//! sense, and every part of it has a bound.
//!
//! The address is looked up here and not in a library, so that what is connected to is what the rules ([`super::ssrf`]) were
//! asked about. No proxy is taken from the environment, no `Referer` is sent along a redirect (it would hand a passkey to
//! somebody else).

use std::error::Error as _;
use std::future::poll_fn;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use data_encoding::BASE64;
use flate2::read::MultiGzDecoder;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use url::{Host, Position, Url};

use super::ssrf::{Guard, Purpose, Reach};
use super::{FetchError, tls};
use crate::base::error::{Error, Operation, Status};
use crate::net::egress::proxy::Destination;
use crate::net::egress::route::{Proxy, Traffic};
use crate::net::egress::{Egress, http_connect};

/// Most bytes of an answer's head, and most fields in it.
const MAX_HEAD: usize = 64 * 1024;
const MAX_FIELDS: usize = 4096;
/// Most bytes of all that comes before a head is whole: interim answers have no end of their own. What was read ahead of the
/// body is among it.
const MAX_BEFORE_HEAD: usize = 3 * MAX_HEAD;
/// Most bytes that come after a head: so many times the longest body, since frames of chunks may be larger than what they
/// frame, and what else is around a body. Sizes and frames of chunks have no end of their own either.
const BODY_FRAMES: usize = 4;
const MAX_AROUND_BODY: usize = 2 * MAX_HEAD;
/// Most addresses of a name that are tried.
const MAX_ADDRESSES: usize = 8;
/// How long the first address family is tried before the other is, too.
const HEAD_START: Duration = Duration::from_millis(300);

#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Check certificates.
    pub validate_https: bool,
    pub ssrf_mitigation: bool,
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
    /// Longest wait for the next bytes, once connected.
    pub silence: Duration,
}

/// What came.
#[derive(Debug)]
pub struct Fetched {
    pub status: StatusCode,
    /// Unpacked.
    pub body: Vec<u8>,
    /// `Retry-After` in seconds. Its dates are passed over: clocks differ.
    pub retry_after: Option<Duration>,
    /// Why it ended before its end, if it did. Some servers promise more than they have.
    pub broken_off: Option<FetchError>,
}

/// Fetches. One a session, with its own TLS configuration.
pub struct Client {
    options: Options,
    tls: TlsConnector,
    egress: Arc<Egress>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Client {
    pub fn new(options: Options, egress: Arc<Egress>) -> Result<Self, Error> {
        let config = tls::config(options.validate_https)
            .map_err(|e| Error::new(Status::Network, format!("HTTP client: {e}")))?;
        Ok(Self { options, tls: TlsConnector::from(Arc::new(config)), egress })
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
        let traffic = match get.purpose {
            Purpose::Tracker => Traffic::Trackers,
            Purpose::WebSeed => Traffic::Peers,
        };
        let mut url = get.url.clone();
        for _ in 0..=self.options.max_redirects {
            let proxy = self.egress.takes_requests(traffic).filter(|_| url.scheme() == "http");
            let (stream, reach) = match proxy {
                Some(proxy) => self.connect_proxy(proxy, &url, &guard).await?,
                None => self.connect(&url, &guard, traffic).await?,
            };
            guard.went(reach);
            let after_head = Arc::new(AtomicUsize::new(0));
            let last_bytes = LastBytes::now();
            let stream = Counted { stream, read: 0, after_head: after_head.clone(), last_bytes: last_bytes.clone() };
            let answer = async {
                if url.scheme() == "https" {
                    let stream = self.tls.connect(server_name(&url)?, stream).await;
                    let stream = stream.map_err(|e| FetchError::io(Operation::SslHandshake, &e))?;
                    ask(stream, request(&url, get.user_agent, None)?).await
                } else {
                    ask(stream, request(&url, get.user_agent, proxy)?).await
                }
            };
            let (response, _connection) = last_bytes.unless_silent(get.silence, answer).await?;
            if proxy.is_some() {
                if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
                    return Err(FetchError::io(Operation::Connect, &self.egress.proxy_refused()));
                }
                self.egress.proxy_answered();
            }
            let around = BODY_FRAMES.saturating_mul(get.max_body).saturating_add(MAX_AROUND_BODY);
            after_head.store(around, Ordering::Relaxed);
            match redirect(&response, &url)? {
                Some(next) => url = next,
                None => return read(response, &get).await,
            }
        }
        Err(FetchError::new(Operation::Bittorrent, format!("more than {} redirects", self.options.max_redirects)))
    }

    /// Connects to the host of a URL, at an address that the rules allow.
    async fn connect(&self, url: &Url, guard: &Guard, traffic: Traffic) -> Result<(TcpStream, Reach), FetchError> {
        let failed = |what: &str| FetchError::new(Operation::ParseAddress, format!("invalid URL: {what}"));
        if !matches!(url.scheme(), "http" | "https") {
            return Err(failed("neither http nor https"));
        }
        let port = url.port_or_known_default().filter(|port| *port != 0).ok_or_else(|| failed("no port"))?;
        let found: Vec<SocketAddr> = match url.host().ok_or_else(|| failed("no host"))? {
            Host::Ipv4(ip) => vec![(ip, port).into()],
            Host::Ipv6(ip) => vec![(ip, port).into()],
            Host::Domain(name) if !self.egress.route().resolves(traffic) => {
                let connect = self.egress.connect(traffic, Destination::Name(name, port));
                return self.connect_unresolved(url, Reach::of_name(name), guard, connect).await;
            }
            Host::Domain(name) => self
                .egress
                .resolve(traffic, name, port)
                .await
                .map_err(|e| FetchError::io(Operation::HostnameLookup, &e))?
                .into_iter()
                .take(MAX_ADDRESSES)
                .collect(),
        };
        if found.is_empty() {
            return Err(FetchError::new(Operation::HostnameLookup, "the name has no address"));
        }
        let allowed: Vec<SocketAddr> = found.into_iter().filter(|a| guard.admits(url, Reach::of(a.ip()))).collect();
        if allowed.is_empty() {
            return Err(too_near());
        }
        let (stream, ip) = self.in_time(self.reach(&allowed, traffic)).await?;
        Ok((stream, Reach::of(ip)))
    }

    /// The proxy is asked for it, and looks its name up.
    async fn connect_proxy(&self, proxy: &Proxy, url: &Url, guard: &Guard) -> Result<(TcpStream, Reach), FetchError> {
        let reach = match url.host() {
            Some(Host::Ipv4(ip)) => Reach::of(ip.into()),
            Some(Host::Ipv6(ip)) => Reach::of(ip.into()),
            Some(Host::Domain(name)) => Reach::of_name(name),
            None => return Err(FetchError::new(Operation::ParseAddress, "invalid URL: no host")),
        };
        self.connect_unresolved(url, reach, guard, self.egress.connect_proxy(proxy)).await
    }

    /// The proxy looks the name up: of where it leads only so much is known.
    async fn connect_unresolved(
        &self,
        url: &Url,
        reach: Reach,
        guard: &Guard,
        connect: impl Future<Output = io::Result<TcpStream>>,
    ) -> Result<(TcpStream, Reach), FetchError> {
        if !guard.admits(url, reach) {
            return Err(too_near());
        }
        let stream = self.in_time(async { connect.await.map_err(|e| FetchError::io(Operation::Connect, &e)) }).await?;
        Ok((stream, reach))
    }

    async fn in_time<T>(&self, connect: impl Future<Output = Result<T, FetchError>>) -> Result<T, FetchError> {
        let timeout = self.options.connect_timeout;
        let connected = tokio::time::timeout(timeout, connect).await;
        connected.unwrap_or_else(|_| Err(FetchError::timed_out(Operation::Connect, timeout)))
    }

    /// The first address that answers. Where a name has addresses of both families, that of the first is given a head start.
    async fn reach(&self, addresses: &[SocketAddr], traffic: Traffic) -> Result<(TcpStream, IpAddr), FetchError> {
        let first_is_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
        let (first, second): (Vec<_>, Vec<_>) = addresses.iter().partition(|a| a.is_ipv4() == first_is_v4);
        let first = self.try_in_turn(first, traffic);
        if second.is_empty() {
            return first.await;
        }
        let second = self.try_in_turn(second, traffic);
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

    async fn try_in_turn(
        &self,
        addresses: Vec<SocketAddr>,
        traffic: Traffic,
    ) -> Result<(TcpStream, IpAddr), FetchError> {
        // None of them may use up the others' time.
        let patience = self.options.connect_timeout / u32::try_from(addresses.len().max(1)).unwrap_or(1);
        let mut last = FetchError::timed_out(Operation::Connect, patience);
        for address in addresses {
            match tokio::time::timeout(patience, self.egress.connect(traffic, Destination::Address(address))).await {
                Ok(Ok(stream)) => return Ok((stream, address.ip())),
                Ok(Err(e)) => last = FetchError::io(Operation::Connect, &e),
                Err(_) => {}
            }
        }
        Err(last)
    }
}

fn too_near() -> FetchError {
    FetchError::new(
        Operation::Bittorrent,
        "blocked by ssrf_mitigation: the address is of this host or network, which others' words do not open",
    )
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

/// When the last bytes came.
#[derive(Debug, Clone)]
struct LastBytes(Arc<Mutex<Instant>>);

impl LastBytes {
    fn now() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    /// Waits for what is to come as long as no silence is longer than this.
    async fn unless_silent<T>(
        &self,
        silence: Duration,
        coming: impl Future<Output = Result<T, FetchError>>,
    ) -> Result<T, FetchError> {
        tokio::pin!(coming);
        loop {
            let last = *self.0.lock();
            match tokio::time::timeout_at(last + silence, &mut coming).await {
                Ok(outcome) => return outcome,
                Err(_) if *self.0.lock() == last => return Err(FetchError::timed_out(Operation::SockRead, silence)),
                Err(_) => {}
            }
        }
    }
}

/// A connection that ends when it is dropped.
struct Connection(AbortHandle);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sends the request and waits for the head of the answer.
async fn ask<S>(stream: S, request: Request<String>) -> Result<(Response<Incoming>, Connection), FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .max_header_size(MAX_HEAD)
        .max_headers(MAX_FIELDS)
        .ignore_invalid_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|e| answer_error(&e))?;
    let connection = Connection(tokio::spawn(async move { _ = connection.await }).abort_handle());
    let response = sender.send_request(request).await.map_err(|e| answer_error(&e))?;
    Ok((response, connection))
}

/// `proxy`: it is asked, for the whole URL (RFC 9112, 3.2.2).
fn request(url: &Url, user_agent: &str, proxy: Option<&Proxy>) -> Result<Request<String>, FetchError> {
    let path = &url[Position::BeforePath..Position::AfterQuery];
    let target = match proxy {
        Some(_) => format!("{}://{}{path}", url.scheme(), &url[Position::BeforeHost..Position::AfterPort]),
        None => path.to_owned(),
    };
    let mut request = Request::get(target)
        .header(header::HOST, &url[Position::BeforeHost..Position::AfterPort])
        .header(header::ACCEPT, "*/*")
        .header(header::ACCEPT_ENCODING, "gzip")
        .header(header::CONNECTION, "close");
    if let Ok(user_agent) = HeaderValue::from_str(user_agent)
        && !user_agent.is_empty()
    {
        request = request.header(header::USER_AGENT, user_agent);
    }
    if let Some(login) = proxy.and_then(http_connect::login) {
        request = request.header(header::PROXY_AUTHORIZATION, login);
    }
    if !url.username().is_empty() || url.password().is_some() {
        let mut login: Vec<u8> = percent_decode_str(url.username()).collect();
        login.push(b':');
        login.extend(percent_decode_str(url.password().unwrap_or_default()));
        request = request.header(header::AUTHORIZATION, format!("Basic {}", BASE64.encode(&login)));
    }
    request.body(String::new()).map_err(|e| FetchError::new(Operation::ParseAddress, format!("invalid URL: {e}")))
}

/// Where an answer sends us, if it does.
fn redirect(response: &Response<Incoming>, url: &Url) -> Result<Option<Url>, FetchError> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = response.headers().get(header::LOCATION) else { return Ok(None) };
    let location = String::from_utf8_lossy(location.as_bytes());
    let bad = |e| FetchError::new(Operation::Bittorrent, format!("a redirect to an invalid URL: {e}"));
    url.join(&location).map(Some).map_err(bad)
}

/// Reads an answer's body, as far as it comes.
async fn read(mut response: Response<Incoming>, get: &Get<'_>) -> Result<Fetched, FetchError> {
    let status = response.status();
    let mut packed = Vec::new();
    let mut broken_off = None;
    loop {
        let body = response.body_mut();
        let next = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx));
        let frame = match tokio::time::timeout(get.silence, next).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(e))) => {
                broken_off = Some(answer_error(&e));
                break;
            }
            Ok(None) => break,
            Err(_) => {
                broken_off = Some(FetchError::timed_out(Operation::SockRead, get.silence));
                break;
            }
        };
        let data = frame.data_ref().map_or(&[][..], |data| data);
        if packed.len() + data.len() > get.max_body {
            return Err(too_large(get.max_body));
        }
        packed.extend_from_slice(data);
    }
    let retry_after =
        response.headers().get(header::RETRY_AFTER).and_then(|after| after.to_str().ok()?.trim().parse().ok());
    let retry_after = retry_after.map(Duration::from_secs);
    let body = if is_gzip(response.headers()) { unpack(&packed, get.max_body, &mut broken_off)? } else { packed };
    Ok(Fetched { status, body, retry_after, broken_off })
}

fn too_large(max: usize) -> FetchError {
    FetchError::new(Operation::SockRead, format!("the answer is larger than {max} bytes"))
}

/// Its names are not told apart by case, and have an old form (RFC 9110).
fn is_gzip(headers: &HeaderMap) -> bool {
    let gzip = |coding: &str| ["gzip", "x-gzip"].iter().any(|name| coding.trim().eq_ignore_ascii_case(name));
    let codings = headers.get_all(header::CONTENT_ENCODING);
    codings.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(gzip)
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

/// A stream that brings no more than [`MAX_BEFORE_HEAD`] until the head of the answer is there, and so much more after it.
struct Counted {
    stream: TcpStream,
    read: usize,
    /// 0 until the head is there.
    after_head: Arc<AtomicUsize>,
    last_bytes: LastBytes,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.read += buf.filled().len() - before;
        *self.last_bytes.0.lock() = Instant::now();
        let after_head = self.after_head.load(Ordering::Relaxed);
        let max = MAX_BEFORE_HEAD.saturating_add(after_head);
        if self.read <= max {
            return Poll::Ready(Ok(()));
        }
        let what = if after_head == 0 { "no answer among them" } else { "no end of the answer among them" };
        let message = format!("more than {max} bytes, and {what}");
        Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, message)))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// What went wrong with an answer.
fn answer_error(error: &hyper::Error) -> FetchError {
    let mut message = error.to_string();
    let mut os_error = 0;
    let mut source = error.source();
    while let Some(e) = source {
        if let Some(e) = e.downcast_ref::<io::Error>() {
            os_error = e.raw_os_error().unwrap_or(os_error);
        }
        let text = e.to_string();
        if !message.contains(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        source = e.source();
    }
    FetchError { os_error, ..FetchError::new(Operation::SockRead, message) }
}
