//! The first words on both sides (BEP 3, 6 and 10).

use std::net::{IpAddr, SocketAddr};

use super::Peer;
use crate::base::time::Time;
use crate::engine::config::Config;
use crate::engine::content::Content;
use crate::wire::{ExtendedHandshake, ExtensionIds, Message, allowed_fast};

/// The extended message ids that we ask peers to use (BEP 10).
pub const UT_PEX: u8 = 1;
pub const UT_METADATA: u8 = 2;
pub const LT_DONTHAVE: u8 = 3;

/// What an extended handshake brought.
#[derive(Debug)]
pub(in crate::engine) struct Heard {
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
            if self.fast {
                self.send(now, &Message::HaveNone);
            }
            return;
        };
        let (have, stays) = (content.have(), config.keeps_pieces());
        // Pieces in memory may leave any time: they are told one by one, to peers that understand that they went.
        let message = if stays && have.is_full() && self.fast {
            Some(Message::HaveAll)
        } else if stays && !have.is_empty() {
            Some(Message::Bitfield(have.as_bytes().to_vec()))
        } else {
            self.fast.then_some(Message::HaveNone)
        };
        if stays {
            self.told = have.clone();
        }
        if let Some(message) = message {
            self.send(now, &message);
        }
        if self.fast
            && let IpAddr::V4(ip) = self.address.ip().to_canonical()
            && !self.incoming
        {
            let pieces = content.layout().num_pieces();
            let n = usize::try_from(config.settings.allowed_fast_set_size).unwrap_or(0).min(pieces as usize);
            let set = allowed_fast::allowed_fast_set(ip, &config.info_hashes.best(), pieces, n);
            for piece in set.into_iter().filter(|p| have.get(*p) && stays) {
                self.send(now, &Message::AllowedFast(piece));
                self.allowed_to_peer.push(piece);
            }
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
        // A private torrent's metadata is not for peers to ask for; those who were offered it while it was not known to be
        // private hear that it is over (BEP 10: an id of 0).
        let ut_metadata =
            if content.is_some() && open.is_none() { self.offered_metadata.then_some(0) } else { Some(UT_METADATA) };
        let m = ExtensionIds {
            ut_metadata,
            ut_pex: pex.then_some(UT_PEX),
            lt_donthave: Some(LT_DONTHAVE),
            ..Default::default()
        };
        let hello = ExtendedHandshake {
            m,
            v: Some(agent.clone()),
            p: Some(config.told_port()).filter(|port| *port != 0),
            reqq: u32::try_from(config.settings.max_allowed_in_request_queue).ok(),
            metadata_size: open.and_then(|c| u32::try_from(c.info().bytes.len()).ok()),
            yourip: Some(self.address.ip().to_canonical()),
            upload_only: content.map(Content::has_all),
            ..Default::default()
        };
        self.offered_metadata = ut_metadata.is_some_and(|id| id != 0);
        self.send(now, &Message::Extended { id: 0, payload: hello.encode() });
    }

    pub(in crate::engine) fn extended_handshake(&mut self, payload: &[u8]) -> Result<Heard, String> {
        let hello = ExtendedHandshake::parse(payload).map_err(|e| format!("extended handshake: {e}"))?;
        let knew_donthave = self.ids.lt_donthave.is_some();
        self.ids.merge(hello.m);
        if let Some(client) = hello.v {
            self.client = client;
        }
        if let Some(reqq) = hello.reqq {
            self.reqq = (reqq as usize).clamp(1, 1 << 16);
        }
        self.upload_only = hello.upload_only.unwrap_or(self.upload_only);
        // A peer listens on one port: the first that it names.
        let port = hello.p.filter(|p| *p != 0 && self.listen_port.is_none());
        self.listen_port = port.or(self.listen_port);
        let our_ip = hello.yourip.filter(|_| !self.told_our_ip);
        self.told_our_ip |= our_ip.is_some();
        Ok(Heard {
            listens: port.filter(|_| self.incoming).map(|port| SocketAddr::new(self.address.ip(), port)),
            learned_donthave: !knew_donthave && self.ids.lt_donthave.is_some(),
            metadata_size: hello.metadata_size,
            our_ip,
        })
    }
}
