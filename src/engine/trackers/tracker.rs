//! What is known of one tracker, and what it may be told next.

use super::{AnnounceJob, FIRST_HURRY_SPACING, HURRY_SPACING, Hurried, MANY_FAILS, MIN_SPACING, TrackerId};
use crate::alert::AnnounceEvent;
use crate::base::time::Time;

/// Has the `completed` event gone out?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Completed {
    No,
    Due,
    Sent,
}

#[derive(Debug, Clone)]
pub(super) struct Tracker {
    pub(super) id: TrackerId,
    pub(super) url: String,
    pub(super) tier: u32,
    pub(super) enabled: bool,
    /// It told us never to come back.
    pub(super) refused: bool,
    pub(super) verified: bool,
    pub(super) fails: u32,
    pub(super) in_flight: Option<AnnounceEvent>,
    pub(super) started: bool,
    pub(super) completed: Completed,
    pub(super) next_announce: Time,
    pub(super) min_announce: Time,
    /// It asks not to be asked before then, by its minimum or as it refused. Within a bound, and so even who waits keeps to it.
    pub(super) put_off_until: Time,
    /// When it failed last, it had answered: it did not want us then.
    pub(super) put_us_off: bool,
    /// When it was last asked, when it failed, when it was hurried, and how often for those who wait now.
    pub(super) asked: Time,
    pub(super) failed: Time,
    pub(super) hurried: Option<Time>,
    pub(super) hurries: u32,
    pub(super) tracker_id: Option<Vec<u8>>,
    pub(super) message: String,
    pub(super) last_error: String,
    pub(super) num_peers: Option<u32>,
    pub(super) complete: Option<u32>,
    pub(super) incomplete: Option<u32>,
}

impl Tracker {
    pub(super) fn new(id: TrackerId, url: String, tier: u32) -> Self {
        let message = match unusable(&url) {
            Some(why) => why.to_owned(),
            None => String::new(),
        };
        Self {
            id,
            url,
            tier,
            enabled: message.is_empty(),
            refused: false,
            verified: false,
            fails: 0,
            in_flight: None,
            started: false,
            completed: Completed::No,
            next_announce: Time::ZERO,
            min_announce: Time::ZERO,
            put_off_until: Time::ZERO,
            put_us_off: false,
            asked: Time::ZERO,
            failed: Time::ZERO,
            hurried: None,
            hurries: 0,
            tracker_id: None,
            message,
            last_error: String::new(),
            num_peers: None,
            complete: None,
            incomplete: None,
        }
    }

    pub(super) fn usable(&self) -> bool {
        self.enabled && !self.refused
    }

    /// It answered last time, or was not tried yet: the ones after it need not be asked.
    pub(super) fn holds(&self) -> bool {
        self.usable() && self.fails == 0
    }

    pub(super) fn completed_due(&self) -> bool {
        self.started && self.completed == Completed::Due
    }

    /// When it may be announced to, if it may.
    pub(super) fn due(&self) -> Option<Time> {
        if !self.usable() || self.in_flight.is_some() {
            return None;
        }
        Some(if self.completed_due() { self.next_announce } else { self.next_announce.max(self.min_announce) })
    }

    pub(super) fn may_be_hurried(&self, now: Time, by: Hurried) -> bool {
        if now < self.put_off_until {
            return false;
        }
        let allows = self.fails == 0 && self.min_announce <= now;
        let soon = FIRST_HURRY_SPACING * (1 << self.hurries.saturating_sub(1).min(10));
        let spacing = match by {
            Hurried::ByRead if allows => soon.min(HURRY_SPACING),
            Hurried::ByRead if self.is_away() => return now >= self.asked_again(),
            Hurried::ByRead => HURRY_SPACING,
            Hurried::Gently if allows => soon,
            Hurried::Gently => return false,
        };
        self.hurried.is_none_or(|at| now.since(at) >= spacing)
    }

    /// It did not answer last time.
    pub(super) fn is_away(&self) -> bool {
        self.fails > 0 && !self.put_us_off
    }

    /// When one that is away is asked again for a read: soon, as it costs nobody much, and later where it has been so for long.
    fn asked_again(&self) -> Time {
        let spacing = FIRST_HURRY_SPACING * (1 + self.fails / MANY_FAILS);
        (self.asked + spacing.min(HURRY_SPACING)).max(self.soonest())
    }

    /// Before then it is not asked again, whoever waits. A silent one has kept a place from others until it failed.
    pub(super) fn soonest(&self) -> Time {
        self.asked.max(self.failed) + MIN_SPACING
    }

    pub(super) fn event(&self) -> AnnounceEvent {
        if !self.started {
            AnnounceEvent::Started
        } else if self.completed_due() {
            AnnounceEvent::Completed
        } else {
            AnnounceEvent::None
        }
    }

    pub(super) fn job(&self, event: AnnounceEvent) -> AnnounceJob {
        AnnounceJob {
            tracker: self.id,
            url: self.url.clone(),
            event,
            tracker_id: self.tracker_id.clone(),
            failed: self.fails > 0,
        }
    }
}

/// Why a URL cannot be announced to, if it cannot.
fn unusable(url: &str) -> Option<&'static str> {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("http" | "https" | "udp") => None,
        Some("ws" | "wss") => Some("WebTorrent trackers are not supported"),
        Some(_) => Some("unsupported tracker protocol"),
        None => Some("not a URL"),
    }
}
