//! What the extended handshakes of a peer told (BEP 10), and what ours told it.

use std::net::IpAddr;

use crate::wire::{ExtendedHandshake, ExtensionIds};

/// The extended message ids that we ask peers to use.
pub const UT_PEX: u8 = 1;
pub const UT_METADATA: u8 = 2;
pub const LT_DONTHAVE: u8 = 3;

/// Requests that a peer is taken to queue that does not say.
const USUAL_REQQ: usize = 250;
const MOST_REQQ: usize = 1 << 16;

#[derive(Debug)]
pub struct Extensions {
    ids: ExtensionIds,
    listen_port: Option<u16>,
    client: String,
    upload_only: bool,
    reqq: usize,
    /// Our last extended handshake said that it may ask for metadata.
    offered_metadata: bool,
    told_our_ip: bool,
    told_dht_port: bool,
}

/// What an extended handshake brought that was not known.
#[derive(Debug, PartialEq, Eq)]
pub struct News {
    pub listen_port: Option<u16>,
    /// It understands from now on that pieces go again.
    pub learned_donthave: bool,
    /// Our address, as it sees it, the first time that it tells.
    pub our_ip: Option<IpAddr>,
}

impl Default for Extensions {
    fn default() -> Self {
        Self {
            ids: ExtensionIds::default(),
            listen_port: None,
            client: String::new(),
            upload_only: false,
            reqq: USUAL_REQQ,
            offered_metadata: false,
            told_our_ip: false,
            told_dht_port: false,
        }
    }
}

impl Extensions {
    /// The extended message ids that the peer chose.
    pub fn ids(&self) -> ExtensionIds {
        self.ids
    }

    /// Where it listens, if it told.
    pub fn listen_port(&self) -> Option<u16> {
        self.listen_port
    }

    /// Its name and version, as it says.
    pub fn client(&self) -> &str {
        &self.client
    }

    /// It will not download (BEP 21).
    pub fn upload_only(&self) -> bool {
        self.upload_only
    }

    /// What it says it queues at most.
    pub fn reqq(&self) -> usize {
        self.reqq
    }

    /// The id that we name for metadata. A private torrent's is not for peers to ask for; those who were offered it while it was not known
    /// to be private hear that it is over: an id of 0.
    pub fn offer_metadata(&mut self, private: bool) -> Option<u8> {
        let offered = std::mem::replace(&mut self.offered_metadata, !private);
        if private { offered.then_some(0) } else { Some(UT_METADATA) }
    }

    pub fn hear(&mut self, hello: ExtendedHandshake) -> News {
        let knew_donthave = self.ids.lt_donthave.is_some();
        self.ids.merge(hello.m);
        if let Some(client) = hello.v {
            self.client = client;
        }
        if let Some(reqq) = hello.reqq {
            self.reqq = (reqq as usize).clamp(1, MOST_REQQ);
        }
        self.upload_only = hello.upload_only.unwrap_or(self.upload_only);
        // A peer listens on one port: the first that it names.
        let port = hello.p.filter(|p| *p != 0 && self.listen_port.is_none());
        self.listen_port = port.or(self.listen_port);
        let our_ip = hello.yourip.filter(|_| !self.told_our_ip);
        self.told_our_ip |= our_ip.is_some();
        News { listen_port: port, learned_donthave: !knew_donthave && self.ids.lt_donthave.is_some(), our_ip }
    }

    /// It tells on which port its DHT node listens. False: it did so before, or names none.
    pub fn hear_dht_port(&mut self, port: u16) -> bool {
        port != 0 && !std::mem::replace(&mut self.told_dht_port, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_our_address_are_news_once() {
        let hello = |p, ip: [u8; 4]| ExtendedHandshake { p: Some(p), yourip: Some(ip.into()), ..Default::default() };
        let mut extensions = Extensions::default();
        let first = extensions.hear(ExtendedHandshake { p: Some(0), ..Default::default() });
        assert_eq!(first, News { listen_port: None, learned_donthave: false, our_ip: None });
        let second = extensions.hear(hello(6881, [1, 2, 3, 4]));
        assert_eq!((second.listen_port, second.our_ip), (Some(6881), Some([1, 2, 3, 4].into())));
        let third = extensions.hear(hello(6882, [1, 2, 3, 5]));
        assert_eq!((third.listen_port, third.our_ip, extensions.listen_port()), (None, None, Some(6881)));
        assert!(!extensions.hear_dht_port(0) && extensions.hear_dht_port(7) && !extensions.hear_dht_port(8));
    }

    #[test]
    fn what_a_later_handshake_does_not_say_stays() {
        let mut extensions = Extensions::default();
        assert_eq!(extensions.reqq(), USUAL_REQQ);
        let m = ExtensionIds { lt_donthave: Some(7), ..Default::default() };
        let hello = ExtendedHandshake { m, reqq: Some(0), upload_only: Some(true), ..Default::default() };
        assert!(extensions.hear(hello).learned_donthave);
        assert!(!extensions.hear(ExtendedHandshake::default()).learned_donthave);
        assert_eq!((extensions.reqq(), extensions.upload_only(), extensions.ids()), (1, true, m));
        extensions.hear(ExtendedHandshake { reqq: Some(u32::MAX), ..Default::default() });
        assert_eq!(extensions.reqq(), MOST_REQQ);
    }

    #[test]
    fn an_offer_of_metadata_is_taken_back_once() {
        let mut extensions = Extensions::default();
        assert_eq!(extensions.offer_metadata(true), None);
        assert_eq!(extensions.offer_metadata(false), Some(UT_METADATA));
        assert_eq!(extensions.offer_metadata(true), Some(0));
        assert_eq!(extensions.offer_metadata(true), None);
    }
}
