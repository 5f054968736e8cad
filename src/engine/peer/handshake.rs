//! The first words on both sides (BEP 3, 6 and 10).

use std::net::{IpAddr, SocketAddr};

use super::extensions::{LT_DONTHAVE, UT_PEX};
use super::wire_peer::Peer;
use crate::base::address::is_of_name;
use crate::base::time::Time;
use crate::engine::config::{Config, TorrentFlags};
use crate::engine::content::Content;
use crate::wire::{ExtendedHandshake, ExtensionIds, Message, allowed_fast};

/// What an extended handshake brought.
#[derive(Debug)]
pub(in crate::engine) struct HandshakeNews {
    /// The address on which a peer listens that came to us.
    pub listens: Option<SocketAddr>,
    /// It understands from now on that pieces go again.
    pub learned_donthave: bool,
    /// Bytes of the metadata, if it has them.
    pub metadata_size: Option<u32>,
    /// Our address, as it sees it, the first time that it tells.
    pub our_ip: Option<IpAddr>,
}

impl Peer {
    /// What we have: it must come before anything else (BEP 3), so the extended handshake follows it.
    pub(in crate::engine) fn greet(&mut self, now: Time, config: &Config, content: Option<&Content>) {
        let Some(content) = content else {
            if self.supports_fast() {
                self.send(now, &Message::HaveNone);
            }
            return;
        };
        let (have, stays) = (content.have(), config.keeps_pieces());
        // Pieces in memory may leave any time: they are told one by one, to peers that understand that they went.
        let message = if stays && have.is_full() && self.supports_fast() {
            Some(Message::HaveAll)
        } else if stays && !have.is_empty() {
            Some(Message::Bitfield(have.as_bytes().to_vec()))
        } else {
            self.supports_fast().then_some(Message::HaveNone)
        };
        if stays {
            self.haves.tell_all(have);
        }
        if let Some(message) = message {
            self.send(now, &message);
        }
        if self.supports_fast()
            && let IpAddr::V4(ip) = self.address().ip().to_canonical()
            && !self.is_incoming()
        {
            let pieces = content.layout().num_pieces();
            let n = usize::try_from(config.settings.allowed_fast_set_size).unwrap_or(0).min(pieces as usize);
            let set = allowed_fast::allowed_fast_set(ip, &config.info_hashes.best(), pieces, n);
            for piece in set.into_iter().filter(|p| have.get(*p) && stays) {
                self.send(now, &Message::AllowedFast(piece));
                self.choking.allow_to_peer(piece);
            }
        }
    }

    /// Where our node of the DHT is, to who has one itself (BEP 5): it is a way into the network for each other.
    pub(in crate::engine) fn tell_dht_port(&mut self, now: Time, config: &Config, content: Option<&Content>) {
        let settings = &config.settings;
        let is_private = content.is_some_and(|c| c.info().private) || config.flags.contains(TorrentFlags::DISABLE_DHT);
        // Nobody is led to one that answers nobody.
        let is_open = settings.enable_dht && !settings.dht_read_only && config.listen_port != 0;
        if self.supports_dht() && is_open && !is_private {
            self.send(now, &Message::Port(config.told_port()));
        }
    }

    pub(in crate::engine) fn send_extended_handshake(
        &mut self,
        now: Time,
        config: &Config,
        content: Option<&Content>,
        pex: bool,
    ) {
        let agent = &config.settings.handshake_client_version;
        let agent = if agent.is_empty() { &config.settings.user_agent } else { agent };
        let open = content.filter(|c| !c.info().private);
        let m = ExtensionIds {
            ut_metadata: self.extensions.offer_metadata(content.is_some() && open.is_none()),
            ut_pex: pex.then_some(UT_PEX),
            lt_donthave: Some(LT_DONTHAVE),
            ..Default::default()
        };
        let hello = ExtendedHandshake {
            m,
            v: (!config.settings.anonymous_mode).then(|| agent.clone()),
            p: Some(config.told_port()).filter(|port| *port != 0),
            reqq: u32::try_from(config.settings.max_allowed_in_request_queue).ok(),
            metadata_size: open.and_then(|c| u32::try_from(c.info().bytes.len()).ok()),
            yourip: Some(self.address().ip().to_canonical()).filter(|ip| !is_of_name(*ip)),
            upload_only: content.map(Content::has_all),
            ..Default::default()
        };
        self.send(now, &Message::Extended { id: 0, payload: hello.encode() });
    }

    pub(in crate::engine) fn extended_handshake(&mut self, payload: &[u8]) -> Result<HandshakeNews, String> {
        let hello = ExtendedHandshake::parse(payload).map_err(|e| format!("extended handshake: {e}"))?;
        let metadata_size = hello.metadata_size;
        let news = self.extensions.hear(hello);
        Ok(HandshakeNews {
            listens: news.listen_port.and_then(|_| self.listens()),
            learned_donthave: news.learned_donthave,
            metadata_size,
            our_ip: news.our_ip,
        })
    }
}
