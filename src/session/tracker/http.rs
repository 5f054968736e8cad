//! HTTP and HTTPS trackers (BEP 3).
//!
//! One client a session, with its own TLS configuration: nothing is installed for the process. Certificates are checked
//! against Mozilla's roots, which are built in, as small boxes often have no store of their own. No proxy is taken from the
//! environment, no `Referer` is sent along a redirect (it would hand a passkey to somebody else).

use std::error::Error as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use reqwest::header::{HeaderValue, USER_AGENT};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use super::{AnnounceFailure, AnnounceLimits, AnnounceReply, AnnounceRequest, TrackerOptions, reply};
use crate::alert::AnnounceEvent;
use crate::error::{Error, Operation, Status};

const MAX_REDIRECTS: usize = 5;
/// A tracker that takes no connection for so long is down; the completion timeout is for slow answers.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// RFC 3986's unreserved characters stay; everything else is escaped.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Announces over HTTP.
#[derive(Debug)]
pub struct HttpClient {
    client: reqwest::Client,
}

impl HttpClient {
    pub fn new(options: &TrackerOptions) -> Result<Self, Error> {
        let failed = |e: &dyn std::fmt::Display| Error::new(Status::Network, format!("HTTP client: {e}"));
        let tls = tls_config(options.validate_https).map_err(|e| failed(&e))?;
        let local = options.bind_v4.map(IpAddr::from).or_else(|| options.bind_v6.map(IpAddr::from));
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .referer(false)
            .redirect(reqwest::redirect::Policy::limited(MAX_REDIRECTS))
            .connect_timeout(CONNECT_TIMEOUT)
            // Announces are minutes apart: an idle connection is of no use to anybody.
            .pool_max_idle_per_host(0)
            .local_address(local)
            .build()
            .map_err(|e| failed(&e))?;
        Ok(Self { client })
    }

    pub(super) async fn announce(
        &self,
        request: &AnnounceRequest,
        limits: &AnnounceLimits,
    ) -> Result<AnnounceReply, AnnounceFailure> {
        let url = reqwest::Url::parse(&announce_url(request))
            .map_err(|e| AnnounceFailure::new(Operation::ParseAddress, format!("invalid tracker URL: {e}")))?;
        let mut http = self.client.get(url);
        if let Ok(user_agent) = HeaderValue::from_str(&request.user_agent) {
            http = http.header(USER_AGENT, user_agent);
        }
        let mut response = http.send().await.map_err(failure_of)?;
        let status = response.status();
        let body = read_body(&mut response, limits).await;
        match body.and_then(|body| reply::parse(&body)) {
            Ok(reply) if status.is_success() => Ok(reply),
            // Some trackers refuse in their own words under an error status.
            Err(failure) if status.is_success() || failure.failure_reason.is_some() => Err(failure),
            _ => Err(AnnounceFailure::new(Operation::Bittorrent, format!("HTTP {status}"))),
        }
    }
}

async fn read_body(response: &mut reqwest::Response, limits: &AnnounceLimits) -> Result<Vec<u8>, AnnounceFailure> {
    let mut body = Vec::new();
    loop {
        let chunk = match tokio::time::timeout(limits.receive_timeout, response.chunk()).await {
            Ok(chunk) => chunk.map_err(failure_of)?,
            Err(_) => return Err(AnnounceFailure::timed_out(Operation::SockRead, limits.receive_timeout)),
        };
        let Some(chunk) = chunk else { return Ok(body) };
        if body.len() + chunk.len() > limits.max_response {
            let message = format!("the tracker's answer is larger than {} bytes", limits.max_response);
            return Err(AnnounceFailure::new(Operation::SockRead, message));
        }
        body.extend_from_slice(&chunk);
    }
}

/// The request as a URL: the tracker's own, with its query kept, and ours behind it. Pure.
pub fn announce_url(request: &AnnounceRequest) -> String {
    let base = request.url.split_once('#').map_or(request.url.as_str(), |(base, _)| base);
    let mut url = base.to_owned();
    match base.split_once('?') {
        None => url.push('?'),
        Some((_, query)) if query.is_empty() || query.ends_with('&') => {}
        Some(_) => url.push('&'),
    }
    url.push_str(&format!(
        "info_hash={}&peer_id={}&port={}&uploaded={}&downloaded={}&left={}&corrupt={}&key={:08X}",
        percent_encode(&request.info_hash.0, ESCAPED),
        percent_encode(&request.peer_id, ESCAPED),
        request.port,
        request.uploaded,
        request.downloaded,
        request.left,
        request.corrupt,
        request.key,
    ));
    match request.event {
        AnnounceEvent::None => {}
        AnnounceEvent::Started => url.push_str("&event=started"),
        AnnounceEvent::Completed => url.push_str("&event=completed"),
        AnnounceEvent::Stopped => url.push_str("&event=stopped"),
    }
    if request.num_want >= 0 {
        url.push_str(&format!("&numwant={}", request.num_want));
    }
    url.push_str("&compact=1&no_peer_id=1");
    if let Some(ip) = &request.ip {
        url.push_str(&format!("&ip={}", percent_encode(ip.as_bytes(), ESCAPED)));
    }
    if let Some(tracker_id) = &request.tracker_id {
        url.push_str(&format!("&trackerid={}", percent_encode(tracker_id, ESCAPED)));
    }
    url
}

/// What went wrong, without the URL.
fn failure_of(error: reqwest::Error) -> AnnounceFailure {
    let error = error.without_url();
    let mut message = error.to_string();
    let mut os_error = 0;
    let mut tls = false;
    let mut source = error.source();
    while let Some(e) = source {
        tls |= e.is::<rustls::Error>();
        // An I/O error does not name what it wraps as its source, but skips it.
        let mut io = e.downcast_ref::<std::io::Error>();
        while let Some(wrapper) = io {
            os_error = wrapper.raw_os_error().unwrap_or(os_error);
            tls |= wrapper.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
            io = wrapper.get_ref().and_then(|inner| inner.downcast_ref());
        }
        let text = e.to_string();
        if !message.contains(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        source = e.source();
    }
    let operation = if tls {
        Operation::SslHandshake
    } else if message.contains("dns error") {
        Operation::HostnameLookup
    } else if error.is_connect() {
        Operation::Connect
    } else if error.is_builder() {
        Operation::ParseAddress
    } else if error.is_redirect() {
        Operation::Bittorrent
    } else {
        Operation::SockRead
    };
    AnnounceFailure { os_error, ..AnnounceFailure::new(operation, message) }
}

fn tls_config(validate: bool) -> Result<rustls::ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        rustls::ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    Ok(if validate {
        let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        builder.with_root_certificates(roots).with_no_client_auth()
    } else {
        let any = Arc::new(AnyCertificate(provider));
        builder.dangerous().with_custom_certificate_verifier(any).with_no_client_auth()
    })
}

/// For those who turned `validate_https_trackers` off: any certificate will do, but its holder has to own its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
