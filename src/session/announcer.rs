//! Carries out the announces that a torrent's core asks for, and tells it how they went.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::driver::Driver;
use super::shared::Shared;
use crate::alert::{Alert, AnnounceEvent};
use crate::base::error::{Error, Status};
use crate::base::storage_index::StorageIndex;
use crate::discovery::tracker::announce_slots::Claim;
use crate::discovery::tracker::{AnnounceFailure, AnnounceLimits, AnnounceReply, AnnounceRequest};
use crate::engine::swarm::external_ip::Voter;
use crate::engine::swarm::peer_list::PeerSource;
use crate::engine::trackers::{AnnounceJob, RetryIn};

/// Starts the announces of a torrent.
pub fn announce(driver: &Arc<Driver>, jobs: Vec<AnnounceJob>) {
    for job in jobs {
        let driver = driver.clone();
        driver.clone().spawn(async move {
            let request = request(&driver, &job);
            post(&driver.session, driver.index, Alert::TrackerAnnounce { url: job.url.clone(), event: job.event });
            let outcome = carry_out(&driver.session, request).await;
            finish(&driver, &job, outcome);
        });
    }
}

/// The last announces of a torrent that leaves. None where `stop_tracker_timeout` is 0.
pub fn goodbyes(driver: &Driver, jobs: &[AnnounceJob]) -> Vec<AnnounceRequest> {
    let patience = driver.session.settings().stop_tracker_timeout;
    jobs.iter()
        .filter(|_| patience > 0)
        .map(|job| {
            post(&driver.session, driver.index, Alert::TrackerAnnounce { url: job.url.clone(), event: job.event });
            request(driver, job)
        })
        .collect()
}

/// Carries them out. Neither for a turn nor for the answers does anybody wait longer than `stop_tracker_timeout`, so that
/// those of a great many removed torrents do not pile up before a dead tracker.
pub async fn say_goodbye(session: Arc<Shared>, requests: Vec<AnnounceRequest>) {
    let patience = limits(&session).stop_timeout;
    let all = requests.into_iter().map(|request| {
        let session = session.clone();
        tokio::spawn(async move { drop(tokio::time::timeout(patience, carry_out(&session, request)).await) })
    });
    for goodbye in all.collect::<Vec<_>>() {
        let _ = goodbye.await;
    }
}

async fn carry_out(session: &Arc<Shared>, request: AnnounceRequest) -> Result<AnnounceReply, AnnounceFailure> {
    let slots = if request.is_udp() { &session.udp_announce_slots } else { &session.announce_slots };
    let Some(_turn) = slots.take(request.turn.clone()).await else {
        return Err(AnnounceFailure::new(crate::base::error::Operation::Unknown, "the session is closing"));
    };
    let client = session.tracker_client();
    client.announce(&request, &limits(session)).await
}

fn limits(session: &Shared) -> AnnounceLimits {
    let settings = session.settings();
    let seconds = |s: i64| Duration::from_secs(u64::try_from(s).unwrap_or(0));
    AnnounceLimits {
        completion_timeout: seconds(settings.tracker_completion_timeout),
        receive_timeout: seconds(settings.tracker_receive_timeout),
        stop_timeout: seconds(settings.stop_tracker_timeout),
        max_response: usize::try_from(settings.max_http_recv_buffer_size).unwrap_or(0),
        ..AnnounceLimits::default()
    }
}

/// A user agent that many have, libtorrent's anonymous ones among them. Some trackers answer none who has none.
const ANYBODY: &str = "curl/7.81.0";

fn request(driver: &Driver, job: &AnnounceJob) -> AnnounceRequest {
    let session = &driver.session;
    let settings = session.settings();
    // Asked of the core even while the torrent is being removed: the goodbye carries the last numbers.
    let (hash, left, (downloaded, uploaded, corrupt)) = driver.totals();
    let private = driver.look(|core, _| core.is_private()).unwrap_or(false);
    AnnounceRequest {
        url: job.url.clone(),
        info_hash: hash,
        peer_id: driver.announced_id,
        // Many trackers refuse 0. At 1 nobody listens.
        port: session.told_port().max(1),
        uploaded,
        downloaded,
        left,
        corrupt,
        event: job.event,
        // Who leaves wants nobody.
        num_want: if job.event == AnnounceEvent::Stopped {
            0
        } else {
            i32::try_from(settings.num_want).unwrap_or(i32::MAX)
        },
        key: driver.announce_key,
        ip: Some(settings.announce_ip.clone()).filter(|ip| !ip.is_empty() && !settings.anonymous_mode),
        tracker_id: job.tracker_id.clone(),
        user_agent: if settings.anonymous_mode && !private { ANYBODY.to_owned() } else { settings.user_agent.clone() },
        turn: turn(driver, job),
    }
}

fn turn(driver: &Driver, job: &AnnounceJob) -> Claim {
    Claim {
        torrent: driver.index,
        waiters: driver.waiters.clone(),
        tracker: host(&job.url).into(),
        first_or_last: matches!(job.event, AnnounceEvent::Started | AnnounceEvent::Stopped),
        failed: job.failed,
    }
}

/// The host of a tracker; empty where there is none.
fn host(url: &str) -> String {
    url::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_ascii_lowercase)).unwrap_or_default()
}

fn finish(driver: &Arc<Driver>, job: &AnnounceJob, outcome: Result<AnnounceReply, AnnounceFailure>) {
    if driver.removed.load(Ordering::Acquire) {
        return;
    }
    let url = job.url.clone();
    match outcome {
        Ok(reply) => {
            let num_peers = u32::try_from(reply.peers.len()).unwrap_or(u32::MAX);
            // Whoever is told of it may remove the torrent, and the tracker is to hear of that.
            driver.run(|core, now| core.trackers_mut().reply(now, job.tracker, &reply));
            post(&driver.session, driver.index, Alert::TrackerReply { url: url.clone(), num_peers });
            if let Some(message) = reply.warning.clone() {
                post(&driver.session, driver.index, Alert::TrackerWarning { url, message });
            }
            if let Some(ip) = reply.external_ip {
                // Trackers of one name are one voter.
                driver.session.external_ip_vote(Voter::Tracker(host(&job.url)), ip);
            }
            driver.run(|core, now| core.add_peers(now, PeerSource::TRACKER, &reply.peers));
        }
        Err(failure) => {
            // One that refuses has answered, also where it names no time.
            let refused = failure.failure_reason.as_ref().map(|_| RetryIn::After(Duration::ZERO));
            let retry_in = failure.retry_in.or(refused);
            let times_in_row =
                driver.run(|core, now| core.trackers_mut().failed(now, job.tracker, &failure.message, retry_in));
            let failure_reason = failure.failure_reason.clone().unwrap_or_default();
            let error = Error {
                status: Status::Network,
                operation: failure.operation,
                os_error: failure.os_error,
                message: failure.message,
            };
            post(&driver.session, driver.index, Alert::TrackerError { url, times_in_row, error, failure_reason });
        }
    }
    driver.look_at_time();
}

fn post(session: &Shared, torrent: StorageIndex, alert: Alert) {
    session.alerts.post(torrent, &alert);
}
