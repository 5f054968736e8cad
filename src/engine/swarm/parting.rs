//! What the end of a connection tells of the peer.

use std::time::Duration;

use super::peer_list::Parting;
use crate::alert::CloseReason;
use crate::base::time::Time;
use crate::engine::peer::Peer;

/// A peer whose connection did nothing for either side and was over within this time hung up on us: if something was wanted, that is
/// a failure.
const HUNG_UP: Duration = Duration::from_secs(10);

impl Peer {
    /// `wanted`: a read waits, or a download.
    pub(in crate::engine) fn parting(&self, now: Time, reason: CloseReason, wanted: bool) -> Parting {
        let useless = self.activity().payload().total() == 0 && self.upload.payload().total() == 0;
        let hung_up = useless && now.since(self.activity().connected_at()) < HUNG_UP;
        if reason.is_misconduct() || self.activity().is_useless() || (hung_up && wanted) {
            Parting::Failed
        } else if hung_up {
            Parting::Idle
        } else {
            Parting::Fair
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::content::pieces::PeerKey;

    const NOW: Time = Time::BEGINNING;

    #[test]
    fn who_hangs_up_at_once_has_failed_where_something_is_wanted() {
        let mut peer = Peer::silent(NOW, PeerKey(1));
        let reason = CloseReason::None;
        assert_eq!(peer.parting(NOW, reason, true), Parting::Failed);
        assert_eq!(peer.parting(NOW, reason, false), Parting::Idle);
        assert_eq!(peer.parting(NOW + HUNG_UP, reason, true), Parting::Fair);
        assert_eq!(peer.parting(NOW + HUNG_UP, CloseReason::InvalidMessage, false), Parting::Failed);
        peer.sent(NOW, 1, 1);
        assert_eq!(peer.parting(NOW, reason, true), Parting::Fair);
        peer.found_useless();
        assert_eq!(peer.parting(NOW, reason, false), Parting::Failed);
    }
}
