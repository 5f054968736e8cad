//! What the swarm is judged by: the rest of the torrent, as it stands.

use std::time::Duration;

use super::urgency::Urgency;
use crate::base::time::Time;
use crate::engine::config::Config;
use crate::engine::content::Content;
use crate::engine::metadata::fetch::MetadataFetch;
use crate::engine::peer::Peer;
use crate::engine::peer::peers::Peers;
use crate::engine::readers::Readers;
use crate::engine::readers::reader::Reader;

#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct TorrentView<'a> {
    pub config: &'a Config,
    pub content: Option<&'a Content>,
    pub peers: &'a Peers,
    pub readers: &'a Readers,
    pub fetch: &'a MetadataFetch,
    /// The torrent runs, and is not being checked.
    pub active: bool,
    /// Payload that comes in, bytes a second.
    pub rate: u32,
    /// A limit of ours holds it back.
    pub limited: bool,
}

/// Does somebody watch what it reads?
pub(in crate::engine) fn plays(reader: &Reader) -> bool {
    !reader.options().background
}

impl TorrentView<'_> {
    pub fn has_all(&self) -> bool {
        self.content.is_some_and(|c| c.has_all())
    }

    pub fn a_read_waits(&self) -> bool {
        self.readers.values().any(Reader::reads_wait)
    }

    /// Does a read wait, or a download?
    pub fn somebody_waits(&self) -> bool {
        let Some(content) = self.content else { return true };
        self.a_read_waits() || !self.readers.deadlines().is_empty() || content.picker().has_wanted()
    }

    pub fn urgency(&self) -> Urgency {
        if self.a_read_waits() || !self.readers.deadlines().is_empty() {
            Urgency::Read
        } else if self.content.is_none() {
            Urgency::Metadata
        } else {
            Urgency::Nobody
        }
    }

    /// The missing pieces that reads of such readers wait for, and since when.
    pub fn awaited(&self, of: impl Fn(&Reader) -> bool) -> impl Iterator<Item = (u32, Time)> {
        let content = self.content;
        let waits = self.readers.values().filter(move |r| of(r));
        let waits = waits.flat_map(|r| r.waits().map(|(offset, since)| (r.span().piece_at(offset), since)));
        waits.filter(move |(piece, _)| content.is_some_and(|c| c.is_missing(*piece)))
    }

    /// Has it been of no use for so long to a read that has waited for as long?
    pub fn is_of_no_use(&self, now: Time, peer: &Peer, time: Duration) -> bool {
        let pieces = self.awaited(plays).filter(|(_, since)| now.since(*since) >= time);
        let pieces: Vec<u32> = pieces.map(|(piece, _)| piece).collect();
        !pieces.is_empty() && peer.of_no_use_since(now, &pieces).is_some_and(|since| now.since(since) >= time)
    }
}
