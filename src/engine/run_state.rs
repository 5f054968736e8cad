//! Where a torrent stands in its run_state: what its state follows from.

use std::time::Duration;

use super::config::{Config, StorageKind, TorrentFlags};
use super::content::Content;
use crate::alert::{Alert, TorrentState};
use crate::base::error::Error;
use crate::base::time::Time;
use crate::memory::pool::BLOCK_SIZE;

/// Where a torrent stands in its life.
#[derive(Debug)]
pub(in crate::engine) struct RunState {
    pub(in crate::engine) state: TorrentState,
    pub(in crate::engine) error: Option<Error>,
    pub(in crate::engine) session_paused: bool,
    pub(in crate::engine) checking: bool,
    pub(in crate::engine) check_progress: u32,
    /// It failed before it was over: what it did not get to is not known to be missing.
    pub(in crate::engine) check_cut_short: bool,
    /// Work on disk carries the number under which it was begun. A check and a failure begin a new one.
    pub(in crate::engine) disk_generation: u64,
    /// Bytes left as trackers are told where there is no content: a removed torrent's last number.
    pub(in crate::engine) left_without_content: u64,
    /// `torrent_finished` was said, and nothing further is wanted since.
    pub(in crate::engine) finished_told: bool,
    pub(in crate::engine) active: Duration,
    pub(in crate::engine) finished_for: Duration,
    pub(in crate::engine) seeding_for: Duration,
    pub(in crate::engine) last_tick: Time,
}

impl RunState {
    pub(in crate::engine) fn new(now: Time) -> Self {
        Self {
            state: TorrentState::DownloadingMetadata,
            error: None,
            session_paused: false,
            checking: false,
            check_progress: 0,
            check_cut_short: false,
            disk_generation: 0,
            left_without_content: u64::from(BLOCK_SIZE),
            finished_told: false,
            active: Duration::ZERO,
            finished_for: Duration::ZERO,
            seeding_for: Duration::ZERO,
            last_tick: now,
        }
    }

    /// Not paused, by itself or by its session, and not in an error.
    pub(in crate::engine) fn is_running(&self, config: &Config) -> bool {
        !config.flags.contains(TorrentFlags::PAUSED) && !self.session_paused && self.error.is_none()
    }

    /// It runs, and is not being checked.
    pub(in crate::engine) fn is_active(&self, config: &Config) -> bool {
        self.is_running(config) && !self.checking
    }

    /// It runs, and may fetch what is wanted.
    pub(in crate::engine) fn may_download(&self, config: &Config) -> bool {
        self.is_active(config) && !config.flags.contains(TorrentFlags::UPLOAD_MODE)
    }

    pub(in crate::engine) fn enter(&mut self, state: TorrentState, alerts: &mut Vec<Alert>) {
        let prev_state = std::mem::replace(&mut self.state, state);
        if prev_state != state {
            alerts.push(Alert::StateChanged { state, prev_state });
        }
    }

    /// The state that follows from what is had and wanted; its alerts. True: all of it is here now, and was not.
    pub(in crate::engine) fn review(
        &mut self,
        content: &Content,
        storage: StorageKind,
        alerts: &mut Vec<Alert>,
    ) -> bool {
        let all = content.has_all();
        // On memory storage nothing is wanted by itself: it is finished only when something was wanted and came.
        let wanted_some = storage == StorageKind::Disk || content.file_priorities().iter().any(|p| *p > 0);
        let state = if all {
            TorrentState::Seeding
        } else if wanted_some && !content.picker().has_wanted() {
            TorrentState::Finished
        } else {
            TorrentState::Downloading
        };
        let before = self.state;
        self.enter(state, alerts);
        let done = |s| matches!(s, TorrentState::Finished | TorrentState::Seeding);
        let is_news = done(state) && before == TorrentState::Downloading;
        if is_news && !std::mem::replace(&mut self.finished_told, true) {
            alerts.push(Alert::TorrentFinished);
        }
        all && before == TorrentState::Downloading
    }
}
