//! The extended handshake (BEP 10; BEP 9 `metadata_size`, BEP 21 `upload_only`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::error::WireError;
use crate::metainfo::bencode::{Document, Entry, Limits, Value};

/// Most bytes of a client's name that are kept.
const MAX_CLIENT_BYTES: usize = 128;

/// The ids under which a peer wants extended messages. None: it said nothing of this one; 0: it wants it no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExtensionIds {
    pub ut_metadata: Option<u8>,
    pub ut_pex: Option<u8>,
    pub lt_donthave: Option<u8>,
    pub upload_only: Option<u8>,
    pub ut_holepunch: Option<u8>,
}

impl ExtensionIds {
    fn fields(&mut self) -> [(&'static str, &mut Option<u8>); 5] {
        [
            ("ut_metadata", &mut self.ut_metadata),
            ("ut_pex", &mut self.ut_pex),
            ("lt_donthave", &mut self.lt_donthave),
            ("upload_only", &mut self.upload_only),
            ("ut_holepunch", &mut self.ut_holepunch),
        ]
    }

    /// Takes a later handshake in: what it names is set, or with 0 unset; the rest stays.
    pub fn merge(&mut self, mut later: Self) {
        for ((_, ours), (_, theirs)) in self.fields().into_iter().zip(later.fields()) {
            if let Some(id) = *theirs {
                *ours = Some(id).filter(|&id| id != 0);
            }
        }
    }
}

/// What a peer says of itself in extended message 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExtendedHandshake {
    pub m: ExtensionIds,
    /// The client's name and version. Text for people, bounded and without control characters.
    pub v: Option<String>,
    /// The port it listens on.
    pub p: Option<u16>,
    /// Most requests it queues.
    pub reqq: Option<u32>,
    /// Bytes of the info dictionary.
    pub metadata_size: Option<u32>,
    /// Our address as it sees it.
    pub yourip: Option<IpAddr>,
    pub ipv4: Option<Ipv4Addr>,
    pub ipv6: Option<Ipv6Addr>,
    /// It will not download (BEP 21).
    pub upload_only: Option<bool>,
    /// It would rather have an encrypted connection.
    pub e: Option<bool>,
    /// Seconds since it became a seed; negative: it is none.
    pub complete_ago: Option<i64>,
}

impl ExtendedHandshake {
    pub fn encode(&self) -> Vec<u8> {
        let mut m = Entry::dict();
        let mut ids = self.m;
        for (name, id) in ids.fields() {
            if let Some(id) = *id {
                m.set(name, u32::from(id));
            }
        }
        let mut root = Entry::dict();
        root.set("m", m);
        let numbers = [
            ("p", self.p.map(i64::from)),
            ("reqq", self.reqq.map(i64::from)),
            ("metadata_size", self.metadata_size.map(i64::from)),
            ("upload_only", self.upload_only.map(i64::from)),
            ("e", self.e.map(i64::from)),
            ("complete_ago", self.complete_ago),
        ];
        for (key, number) in numbers {
            if let Some(number) = number {
                root.set(key, number);
            }
        }
        if let Some(v) = &self.v {
            root.set("v", v.as_str());
        }
        match self.yourip {
            Some(IpAddr::V4(ip)) => root.set("yourip", &ip.octets()[..]),
            Some(IpAddr::V6(ip)) => root.set("yourip", &ip.octets()[..]),
            None => &mut root,
        };
        if let Some(ip) = self.ipv4 {
            root.set("ipv4", &ip.octets()[..]);
        }
        if let Some(ip) = self.ipv6 {
            root.set("ipv6", &ip.octets()[..]);
        }
        root.encode()
    }

    /// Reads the payload of extended message 0. Fields of a wrong type or out of their range count as not said.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        const MESSAGE: &str = "extended handshake";
        let (document, _) = Document::parse_prefix(payload, Limits::MESSAGE)
            .map_err(|e| WireError::BadPayload { message: MESSAGE, what: e.message })?;
        let root = document.root();
        if !root.is_dict() {
            return Err(WireError::BadPayload { message: MESSAGE, what: "not a dictionary".into() });
        }
        let mut m = ExtensionIds::default();
        if let Some(names) = root.get(b"m") {
            for (name, id) in m.fields() {
                *id = names.get_int(name.as_bytes()).and_then(|n| n.try_into().ok());
            }
        }
        let flag = |key: &[u8]| root.get_int(key).map(|n| n != 0);
        Ok(Self {
            m,
            v: root.get_bytes(b"v").map(client_name).filter(|v| !v.is_empty()),
            p: number(root, b"p").filter(|&port| port != 0),
            reqq: number(root, b"reqq"),
            metadata_size: number(root, b"metadata_size").filter(|&size| size != 0),
            yourip: root.get_bytes(b"yourip").and_then(ip),
            ipv4: root.get_bytes(b"ipv4").and_then(|b| <[u8; 4]>::try_from(b).ok()).map(Ipv4Addr::from),
            ipv6: root.get_bytes(b"ipv6").and_then(|b| <[u8; 16]>::try_from(b).ok()).map(Ipv6Addr::from),
            upload_only: flag(b"upload_only"),
            e: flag(b"e"),
            complete_ago: root.get_int(b"complete_ago"),
        })
    }
}

fn number<T: TryFrom<i64>>(root: Value<'_>, key: &[u8]) -> Option<T> {
    root.get_int(key)?.try_into().ok()
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = || <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    let v6 = || <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from);
    v4().or_else(v6).map(|ip| ip.to_canonical())
}

fn client_name(bytes: &[u8]) -> String {
    let bytes = bytes.get(..MAX_CLIENT_BYTES).unwrap_or(bytes);
    let text = String::from_utf8_lossy(bytes);
    text.chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned()
}
