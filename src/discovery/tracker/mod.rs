//! Tracker clients: one announce in, a reply or a reason out. When to announce is `engine::trackers`' business.

pub mod announce;
pub(crate) mod announce_slots;
pub mod http;
pub mod redact;
pub mod reply;
pub mod udp;
pub mod udp_packet;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod opentracker_test;

use std::sync::Arc;

pub use self::announce::{AnnounceFailure, AnnounceLimits, AnnounceRequest, MAX_PEERS, TrackerOptions};
pub use self::redact::redact_url;
pub use crate::engine::trackers::{AnnounceReply, RetryIn};

use self::http::HttpClient;
use self::redact::scrub;
use self::udp::UdpClient;
use crate::base::error::{Error, Operation};
use crate::net::egress::Egress;
use crate::net::udp_ports::UdpPorts;

/// A session's tracker clients: HTTP(S), and UDP.
#[derive(Debug)]
pub struct TrackerClient {
    http: HttpClient,
    udp: Arc<UdpClient>,
    egress: Arc<Egress>,
}

impl TrackerClient {
    /// `ports`: where UDP trackers are asked from.
    pub fn new(options: &TrackerOptions, egress: Arc<Egress>, ports: Arc<UdpPorts>) -> Result<Self, Error> {
        let udp = Arc::new(UdpClient::new(egress.clone(), ports));
        Ok(Self { http: HttpClient::new(options, egress.clone())?, udp, egress })
    }

    /// One with other options, by the same way out. UDP trackers that are being asked answer it.
    pub fn with_options(&self, options: &TrackerOptions) -> Result<Self, Error> {
        let http = HttpClient::new(options, self.egress.clone())?;
        Ok(Self { http, udp: self.udp.clone(), egress: self.egress.clone() })
    }

    /// As without any settings.
    #[cfg(test)]
    fn direct(options: &TrackerOptions) -> Self {
        let ports = UdpPorts::new(fastrand::Rng::new(), crate::net::utp::notices::channel().0);
        Self::new(options, crate::net::egress::direct(), ports).expect("a client")
    }

    /// Announces once, within the limits' time. To be called inside a tokio runtime; dropped, it is cancelled.
    pub async fn announce(
        &self,
        request: &AnnounceRequest,
        limits: &AnnounceLimits,
    ) -> Result<AnnounceReply, AnnounceFailure> {
        let scheme = request.scheme();
        let timeout = limits.timeout(request.event);
        let announce = async {
            match scheme.as_deref() {
                Some("http" | "https") => self.http.announce(request, limits).await,
                Some("udp") => self.udp.announce(request, limits).await,
                _ => Err(AnnounceFailure::new(Operation::ParseAddress, "unsupported tracker protocol")),
            }
        };
        match tokio::time::timeout(timeout, self.egress.while_it_lasts(announce)).await {
            Ok(Some(result)) => result,
            Ok(None) => Err(AnnounceFailure::new(Operation::SockRead, "the way out was changed meanwhile")),
            Err(_) => Err(AnnounceFailure::timed_out(Operation::SockRead, timeout)),
        }
        .map_err(|mut failure| {
            failure.message = scrub(&failure.message, &request.url);
            failure.failure_reason = failure.failure_reason.map(|reason| scrub(&reason, &request.url));
            failure
        })
    }
}
