//! A torrent learns what another source of it knows: the same torrent was added again.

use std::sync::Arc;

use super::torrent::Torrent;
use crate::alert::Alert;
use crate::base::time::Time;
use crate::metainfo::torrent_file::{MAX_WEB_SEEDS, wants_slash, web_seed_url};
use crate::metainfo::{Info, InfoHashes};

impl Torrent {
    /// Takes in what is not known yet. What is there keeps its state, and what exceeds the limits is left out.
    pub fn merge(&mut self, now: Time, info: Option<&Arc<Info>>, tiers: &[Vec<String>], web_seeds: &[String]) {
        if let Some(info) =
            info.filter(|info| self.content.is_none() && names(&self.config.info_hashes, &info.info_hashes))
        {
            let pieces = i64::from(info.layout.num_pieces());
            if pieces <= self.config.settings.max_piece_count {
                self.adopt_metadata(now, info.clone());
            }
        }
        for (tier, urls) in (0..).zip(tiers) {
            for url in urls {
                let _ = self.trackers.add(url, tier);
            }
        }
        self.add_web_seeds(web_seeds);
    }

    /// The metadata is here, from peers or from a caller: everybody is told.
    pub(super) fn adopt_metadata(&mut self, now: Time, info: Arc<Info>) {
        self.fetch = super::metadata::MetadataFetch::default();
        self.set_info(now, info);
        self.alert(Alert::MetadataReceived);
        self.part_with_strangers(now);
        self.offer_metadata(now);
        self.readers_changed();
        self.fill_all(now);
    }

    /// In the form that the metadata asks for: those of several files are directories.
    pub(super) fn add_web_seeds(&mut self, urls: &[String]) {
        let slash = self.info().is_some_and(|info| wants_slash(info));
        for url in urls {
            if self.config.web_seeds.len() >= MAX_WEB_SEEDS {
                return;
            }
            let url = web_seed_url(url, slash);
            if !self.config.web_seeds.contains(&url) {
                self.config.web_seeds.push(url);
            }
        }
    }
}

/// Is all that we call the torrent among its hashes? A hybrid may be known by one of its two.
fn names(ours: &InfoHashes, of_info: &InfoHashes) -> bool {
    (ours.v1.is_none() || ours.v1 == of_info.v1) && (ours.v2.is_none() || ours.v2 == of_info.v2)
}

#[cfg(test)]
mod tests;
