//! A connection through an HTTP proxy: CONNECT (RFC 9110, 9.3.6), with Basic authentication (RFC 7617) where there is a password.

use std::io;

use data_encoding::BASE64;
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, body::Incoming, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::proxy::ProxyError;
use super::route::{Proxy, ProxyType};

pub const WRONG_LOGIN: &str = "the HTTP proxy wants another user name or password";
/// Most bytes of the answer's head.
const MAX_HEAD: usize = 16 * 1024;

/// Asks for a connection with `authority`, host and port.
pub async fn connect(stream: TcpStream, proxy: &Proxy, authority: &str) -> Result<TcpStream, ProxyError> {
    let broken = |e: hyper::Error| ProxyError::of_proxy(format!("the HTTP proxy breaks off: {e}"));
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(MAX_HEAD).handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let request = request(proxy, authority)?;
    // Dropped with this future, it is closed.
    let mut driving = std::pin::pin!(connection.with_upgrades());
    let mut asked = std::pin::pin!(sender.send_request(request));
    let response = tokio::select! {
        biased;
        response = &mut asked => response.map_err(broken)?,
        driven = &mut driving => {
            driven.map_err(broken)?;
            asked.await.map_err(broken)?
        }
    };
    allowed(&response)?;
    let mut upgraded = std::pin::pin!(hyper::upgrade::on(response));
    let upgraded = tokio::select! {
        biased;
        upgraded = &mut upgraded => upgraded,
        _ = &mut driving => upgraded.await,
    };
    let parts = upgraded.map_err(broken)?.downcast::<TokioIo<TcpStream>>();
    let parts = parts.map_err(|_| ProxyError::of_proxy("the HTTP proxy's connection is lost"))?;
    // Neither peers nor trackers speak before they are spoken to.
    if !parts.read_buf.is_empty() {
        return Err(ProxyError::of_proxy("the HTTP proxy sends what nobody asked for"));
    }
    Ok(parts.io.into_inner())
}

/// What a request says that the proxy asks a password for.
pub fn login(proxy: &Proxy) -> Option<String> {
    let login = format!("{}:{}", proxy.username, proxy.password);
    (proxy.kind == ProxyType::HttpPassword).then(|| format!("Basic {}", BASE64.encode(login.as_bytes())))
}

fn request(proxy: &Proxy, authority: &str) -> Result<Request<String>, ProxyError> {
    let mut request = Request::builder().method(Method::CONNECT).uri(authority).header(header::HOST, authority);
    if let Some(login) = login(proxy) {
        request = request.header(header::PROXY_AUTHORIZATION, login);
    }
    request.body(String::new()).map_err(|e| ProxyError::of_destination(io::ErrorKind::InvalidInput, e.to_string()))
}

fn allowed(response: &Response<Incoming>) -> Result<(), ProxyError> {
    match response.status().as_u16() {
        200..=299 => Ok(()),
        // tinyproxy says 401.
        401 | 407 => Err(ProxyError::of_proxy(WRONG_LOGIN)),
        status => Err(ProxyError::of_destination(
            io::ErrorKind::ConnectionRefused,
            format!("the HTTP proxy does not connect: status {status}"),
        )),
    }
}
