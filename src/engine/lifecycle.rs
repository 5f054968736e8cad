//! A torrent's run_state: checked, paused, resumed, failed, finished, removed.

use super::config::{StorageKind, TorrentFlags};
use super::metadata::fetch::MetadataFetch;
use super::swarm::smart_ban::SmartBan;
use super::swarm_events::socket_type;
use super::torrent::Torrent;
use super::trackers::AnnounceJob;
use crate::alert::{Alert, CloseReason, TorrentState};
use crate::base::error::{Error, Operation, Result, Status};
use crate::base::time::Time;

impl Torrent {
    pub(super) fn begin_check(&mut self) {
        self.run_state.checking = true;
        self.run_state.check_cut_short = false;
        self.run_state.check_progress = 0;
        self.run_state.disk_generation += 1;
        self.out.check = Some(self.run_state.disk_generation);
        self.run_state.enter(TorrentState::CheckingFiles, &mut self.out.alerts);
    }

    /// Looks at everything again that is on disk, from the start where a check is under way. What memory storage has was verified
    /// when it came, and cannot have changed since: there the check is over at once.
    pub fn force_recheck(&mut self, now: Time) -> Result<()> {
        if self.content.is_none() {
            return Err(Error::no_metadata());
        }
        let failed = self.run_state.error.take().is_some();
        if failed && self.is_running() {
            self.trackers.restart(now);
        }
        if self.config.storage != StorageKind::Disk {
            self.alert(Alert::TorrentChecked);
            if failed {
                self.readers_changed();
                self.handle_timeout(now);
            }
            return Ok(());
        }
        self.close_all(now, CloseReason::None);
        // What the check finds missing and is fetched again is news.
        self.run_state.finished_told = false;
        let Some(content) = &mut self.content else { return Ok(()) };
        self.requests.demand_changed();
        content.recheck();
        self.begin_check();
        self.readers_changed();
        Ok(())
    }

    /// Is what the shell does on disk still wanted? Not what was begun before the last check began, or the last failure.
    pub fn is_current(&self, generation: u64) -> bool {
        generation == self.run_state.disk_generation
    }

    /// The checker found a piece whole on disk, or not.
    pub fn piece_checked(&mut self, generation: u64, piece: u32, good: bool) {
        let current = self.run_state.checking && self.is_current(generation);
        let Some(content) = self.content.as_mut().filter(|_| current) else { return };
        self.run_state.check_progress = piece + 1;
        if good {
            content.set_had(piece, true);
        }
    }

    pub fn check_finished(&mut self, now: Time, generation: u64) {
        if !self.is_current(generation) || !std::mem::take(&mut self.run_state.checking) {
            return;
        }
        if let Some(content) = &mut self.content {
            content.checked();
        }
        // It ended their connections.
        self.swarm.list_mut().forgive_all();
        self.alert(Alert::TorrentChecked);
        self.requests.demand_changed();
        self.pieces_found(now);
        self.update_state(now);
        self.readers_changed();
    }

    pub fn is_checking(&self) -> bool {
        self.run_state.checking
    }

    /// Work on disk of that generation failed. Of an older one it says nothing of what is there now, and one that has failed already
    /// fails no more for those who read on.
    pub fn disk_failed(&mut self, now: Time, generation: u64, error: Error, filename: String) {
        if self.is_current(generation) && self.run_state.error.is_none() {
            self.fail(now, error, filename);
        }
    }

    /// The disk failed, or we did.
    pub fn fail(&mut self, now: Time, error: Error, filename: String) {
        if error.status != Status::Panic {
            self.alert(Alert::FileError { error: error.clone(), filename: filename.clone() });
        }
        self.stop_with(now, error, filename);
    }

    /// Something failed for good: the torrent stops until it is resumed or checked, and nobody waits for it.
    pub(super) fn stop_with(&mut self, now: Time, error: Error, filename: String) {
        self.run_state.disk_generation += 1;
        self.run_state.check_cut_short |= std::mem::take(&mut self.run_state.checking);
        if self.run_state.error.is_none() {
            self.alert(Alert::TorrentError { error: error.clone(), filename });
            let jobs = self.trackers.stop();
            self.out.announces.extend(jobs);
        }
        self.run_state.error = Some(error);
        self.close_all(now, CloseReason::None);
        self.rest_from_memory(now);
        self.readers_changed();
    }

    /// A panic came out of the core: what it counts may be wrong, in the middle of whatever it did. So nothing of it is driven on: peers
    /// go, nothing counts as had, and what is on disk is checked anew when the torrent is resumed.
    pub fn panicked(&mut self, now: Time, error: Error) {
        for peer in self.peers.take_all() {
            peer.source.credits().clear();
            self.alert(Alert::PeerDisconnected {
                endpoint: peer.address(),
                peer_id: peer.peer_id(),
                socket_type: socket_type(peer.kind()),
                operation: Operation::Exception,
                reason: CloseReason::None,
                error: None,
            });
            self.out.close.push((peer.key(), CloseReason::None));
        }
        self.choker.peers_gone();
        self.requests.start_over();
        self.smart_ban = SmartBan::default();
        self.hashing.start_over();
        self.fetch = MetadataFetch::default();
        self.swarm.list_mut().forget_connections();
        if let Some(content) = &mut self.content {
            content.start_over();
            self.run_state.check_cut_short = self.config.storage == StorageKind::Disk;
        }
        self.fail(now, error, String::new());
    }

    pub fn pause(&mut self, now: Time) {
        if self.config.flags.contains(TorrentFlags::PAUSED) {
            return;
        }
        self.config.flags |= TorrentFlags::PAUSED;
        // Where its session is paused, it stands already.
        if !self.run_state.session_paused {
            self.stopped(now);
        }
    }

    /// Starts again, after a pause or an error.
    pub fn resume(&mut self, now: Time) {
        let failed = self.run_state.error.take().is_some();
        if failed {
            // A wait is a wait again.
            self.readers_changed();
        }
        if failed && self.run_state.check_cut_short {
            self.begin_check();
        }
        if self.config.flags.contains(TorrentFlags::PAUSED) || failed {
            self.config.flags -= TorrentFlags::PAUSED;
            self.started(now);
        }
    }

    pub fn set_session_paused(&mut self, now: Time, paused: bool) {
        if std::mem::replace(&mut self.run_state.session_paused, paused) == paused
            || self.config.flags.contains(TorrentFlags::PAUSED)
        {
            return;
        }
        if paused { self.stopped(now) } else { self.started(now) }
    }

    fn stopped(&mut self, now: Time) {
        self.close_all(now, CloseReason::None);
        self.rest_from_memory(now);
        let jobs = self.trackers.stop();
        self.out.announces.extend(jobs);
        self.alert(Alert::TorrentPaused);
    }

    fn started(&mut self, now: Time) {
        if !self.is_running() {
            return;
        }
        self.begin_anew(now);
        self.alert(Alert::TorrentResumed);
        self.handle_timeout(now);
    }

    /// What failed before counts no more: trackers are announced to, and everybody may be dialled.
    pub(super) fn begin_anew(&mut self, now: Time) {
        self.trackers.restart(now);
        self.swarm.started();
    }

    /// The torrent goes away: the last announces, and nobody waits any more.
    pub fn remove(&mut self, now: Time) -> Vec<AnnounceJob> {
        self.close_all(now, CloseReason::TorrentRemoved);
        self.readers.clear();
        // At once: the torrent itself may live on until its last task has ended.
        self.cache.give_up();
        self.run_state.left_without_content = self.bytes_left();
        self.content = None;
        // Whatever the shell still asks of it, it does nothing any more.
        self.config.flags |= TorrentFlags::PAUSED;
        self.readers_changed();
        self.trackers.stop()
    }

    /// The state that follows from what is had and wanted; its alerts.
    pub(super) fn update_state(&mut self, now: Time) {
        if self.run_state.checking {
            return;
        }
        self.scheduler().review_interests(now);
        let Some(content) = &self.content else { return };
        if self.run_state.review(content, self.config.storage, &mut self.out.alerts) {
            self.trackers.completed(now);
        }
    }
}
