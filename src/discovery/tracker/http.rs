//! HTTP and HTTPS trackers (BEP 3).

use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use url::Url;

use super::announce::{AnnounceFailure, AnnounceLimits, AnnounceRequest, TrackerOptions};
use super::reply;
use crate::alert::AnnounceEvent;
use crate::base::error::{Error, Operation};
use crate::engine::trackers::{AnnounceReply, RetryIn};
use crate::net::egress::Egress;
use crate::net::fetch::FetchError;
use crate::net::fetch::http::{Client, Get, Options};
use crate::net::fetch::ssrf::Purpose;

const MAX_REDIRECTS: usize = 5;
/// A tracker that takes no connection for so long is down; the completion timeout is for slow answers.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// RFC 3986's unreserved characters stay; everything else is escaped.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Announces over HTTP.
#[derive(Debug)]
pub struct HttpClient {
    client: Client,
}

impl HttpClient {
    pub fn new(options: &TrackerOptions, egress: Arc<Egress>) -> Result<Self, Error> {
        let options = Options {
            validate_https: options.validate_https,
            ssrf_mitigation: options.ssrf_mitigation,
            connect_timeout: CONNECT_TIMEOUT,
            max_redirects: MAX_REDIRECTS,
        };
        Ok(Self { client: Client::new(options, egress)? })
    }

    pub(super) async fn announce(
        &self,
        request: &AnnounceRequest,
        limits: &AnnounceLimits,
    ) -> Result<AnnounceReply, AnnounceFailure> {
        let parse = |url: &str| {
            Url::parse(url)
                .map_err(|e| AnnounceFailure::new(Operation::ParseAddress, format!("invalid tracker URL: {e}")))
        };
        let fetched = self
            .client
            .get(Get {
                named: &parse(&request.url)?,
                url: parse(&announce_url(request))?,
                purpose: Purpose::Tracker,
                user_agent: &request.user_agent,
                max_body: limits.max_response,
                silence: limits.receive_timeout,
            })
            .await?;
        let status = fetched.status;
        let outcome = match (reply::parse(&fetched.body), fetched.broken_off) {
            (Ok(reply), _) if status.is_success() => Ok(reply),
            // Some trackers refuse in their own words under an error status.
            (Err(failure), _) if failure.failure_reason.is_some() => Err(failure),
            // What came is no reply, because it is not all of it.
            (_, Some(error)) => Err(error.into()),
            (Err(failure), None) if status.is_success() => Err(failure),
            _ => Err(AnnounceFailure::new(Operation::Bittorrent, format!("HTTP {status}"))),
        };
        let retry_after = fetched.retry_after.map(RetryIn::After);
        outcome.map_err(|failure| AnnounceFailure { retry_in: failure.retry_in.or(retry_after), ..failure })
    }
}

impl From<FetchError> for AnnounceFailure {
    fn from(error: FetchError) -> Self {
        Self { os_error: error.os_error, ..Self::new(error.operation, error.message) }
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

#[cfg(test)]
mod tests;
