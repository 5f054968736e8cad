//! Magnet links (BEP 9; BEP 52 `btmh`, BEP 53 `so`).
//!
//! Taken too, because it is written by people and programs and can mean but one thing: `magnet:///?` and `magnet://?`, and an
//! info-hash alone. Of what a torrent has but one of, a hash of a kind or the name, the last that can be read counts, as in
//! libtorrent: so that a link names one torrent, whoever opens it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::RangeInclusive;

use percent_encoding::percent_decode_str;

use super::error::ParseError;
use super::info_hash::{InfoHashes, Sha1Hash, Sha256Hash};
use super::torrent_file::{MAX_NODES, MAX_TRACKERS, MAX_WEB_SEEDS, clean_url};

/// Most bytes of a link.
pub const MAX_URI_BYTES: usize = 256 * 1024;
/// Most peers and most ranges of files that are taken; further ones are left out.
pub const MAX_PEERS: usize = 100;
pub const MAX_RANGES: usize = 1000;
/// A name is cut to this many bytes.
const MAX_NAME_BYTES: usize = 1024;
/// Before the digest in `btmh`: it is SHA-256 (0x12), and of 32 bytes (0x20).
const MULTIHASH_SHA256: &str = "1220";

/// What a magnet link says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Magnet {
    pub info_hashes: InfoHashes,
    /// As it stands there: not a path.
    pub name: Option<String>,
    /// Each `tr` is a tier of its own.
    pub trackers: Vec<Vec<String>>,
    pub web_seeds: Vec<String>,
    /// Host (an IPv6 address without brackets) and port.
    pub peers: Vec<(String, u16)>,
    /// Nodes of the DHT, in the same form.
    pub nodes: Vec<(String, u16)>,
    /// The files wanted, by index. Empty: nothing was said. The numbers are the link's: nothing may grow with them.
    pub select_only: Vec<RangeInclusive<u32>>,
}

impl Magnet {
    /// Parses a link. Parameters that mean nothing here are passed over, but one usable `xt` must be there.
    pub fn parse(uri: &str) -> Result<Self, ParseError> {
        let uri = uri.trim();
        if uri.len() > MAX_URI_BYTES {
            return Err(ParseError::new(format!("magnet link of more than {MAX_URI_BYTES} bytes")));
        }
        let mut magnet = Self::default();
        if magnet.info_hash(uri) {
            return Ok(magnet);
        }
        if any_v1(uri).is_some() || Sha256Hash::from_hex(uri).is_some() {
            return Err(ParseError::new("an info-hash of all zeros names no torrent"));
        }
        let query = uri
            .get(..7)
            .filter(|scheme| scheme.eq_ignore_ascii_case("magnet:"))
            .and_then(|scheme| uri.get(scheme.len()..))
            .and_then(|rest| ["?", "///?", "//?"].iter().find_map(|begin| rest.strip_prefix(begin)))
            .ok_or_else(|| ParseError::new("not a magnet link: it does not begin with `magnet:?`"))?;
        let mut seen = HashSet::new();
        for parameter in query.split('&') {
            // Copied out of HTML, separators are `&amp;`.
            let parameter = parameter.strip_prefix("amp;").unwrap_or(parameter);
            if let Some((key, value)) = parameter.split_once('=') {
                magnet.parameter(base_key(key), value, &mut seen);
            }
        }
        if magnet.info_hashes.is_empty() {
            return Err(ParseError::new("magnet link without a usable `xt` (urn:btih or urn:btmh, and not all zeros)"));
        }
        Ok(magnet)
    }

    /// `seen`: the URLs taken so far, so that a link that repeats them does not compare each with all.
    fn parameter(&mut self, key: &str, raw: &str, seen: &mut HashSet<(&'static str, String)>) {
        let value: Cow<'_, str> = percent_decode_str(raw).decode_utf8_lossy();
        match key.to_ascii_lowercase().as_str() {
            "xt" => self.exact_topic(&value),
            "dn" => {
                let decoded = raw.replace('+', " ");
                let name = percent_decode_str(&decoded).decode_utf8_lossy();
                let mut name: String = name.trim().chars().filter(|c| !c.is_control()).collect();
                while name.len() > MAX_NAME_BYTES {
                    name.pop();
                }
                self.name = Some(name).filter(|n| !n.is_empty()).or(self.name.take());
            }
            "tr" => {
                if let Some(url) = clean_url(&value)
                    && self.trackers.len() < MAX_TRACKERS
                    && seen.insert(("tr", url.to_owned()))
                {
                    self.trackers.push(vec![url.to_owned()]);
                }
            }
            "ws" => {
                if let Some(url) = clean_url(&value)
                    && self.web_seeds.len() < MAX_WEB_SEEDS
                    && !self.web_seeds.iter().any(|s| s == url)
                {
                    self.web_seeds.push(url.to_owned());
                }
            }
            "x.pe" => add_endpoint(&mut self.peers, &value, MAX_PEERS),
            "dht" => add_endpoint(&mut self.nodes, &value, MAX_NODES),
            "so" => {
                let room = MAX_RANGES.saturating_sub(self.select_only.len());
                self.select_only.extend(value.split(',').filter_map(range).take(room));
            }
            _ => {}
        }
    }

    fn exact_topic(&mut self, urn: &str) {
        let prefix = urn.get(..9).unwrap_or_default();
        let hash = urn.get(9..).unwrap_or_default();
        if prefix.eq_ignore_ascii_case("urn:btih:") {
            self.info_hashes.v1 = v1(hash).or(self.info_hashes.v1);
        } else if prefix.eq_ignore_ascii_case("urn:btmh:") {
            self.info_hashes.v2 = hash.strip_prefix(MULTIHASH_SHA256).and_then(v2).or(self.info_hashes.v2);
        }
    }

    /// A text that is nothing but an info-hash: v1 in hex or base32, v2 in hex.
    fn info_hash(&mut self, text: &str) -> bool {
        self.info_hashes.v1 = v1(text);
        self.info_hashes.v2 = v2(text);
        !self.info_hashes.is_empty()
    }
}

/// `tr.1` is `tr`: some writers number what they repeat.
fn base_key(key: &str) -> &str {
    match key.rsplit_once('.') {
        Some((base, number)) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => base,
        _ => key,
    }
}

fn add_endpoint(list: &mut Vec<(String, u16)>, text: &str, most: usize) {
    if let Some(endpoint) = endpoint(text)
        && list.len() < most
        && !list.contains(&endpoint)
    {
        list.push(endpoint);
    }
}

/// `host:port` or `[IPv6]:port`.
fn endpoint(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.trim().rsplit_once(':')?;
    let port = port.parse().ok().filter(|&port: &u16| port != 0)?;
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.strip_suffix(']').filter(|v6| v6.parse::<std::net::Ipv6Addr>().is_ok())?,
        None => Some(host).filter(|h| !h.is_empty() && !h.contains([':', '[', ']', ' ', '/']))?,
    };
    (host.len() <= 255 && !host.contains(char::is_control)).then(|| (host.to_owned(), port))
}

/// `3` or `3-7`. A number that is too large names the last file that there could be: none of the torrent's.
fn range(text: &str) -> Option<RangeInclusive<u32>> {
    let (start, end) = text.split_once('-').unwrap_or((text, text));
    let digits = |s: &str| {
        let s = s.trim();
        (!s.is_empty() && s.bytes().all(|b| b.is_ascii_digit())).then(|| s.parse().unwrap_or(u32::MAX))
    };
    let range = digits(start)?..=digits(end)?;
    (!range.is_empty()).then_some(range)
}

/// Zeros stand for no hash everywhere, so they name no torrent.
fn v1(text: &str) -> Option<Sha1Hash> {
    any_v1(text).filter(|hash| hash.0 != [0; 20])
}

fn v2(text: &str) -> Option<Sha256Hash> {
    Sha256Hash::from_hex(text).filter(|hash| hash.0 != [0; 32])
}

fn any_v1(text: &str) -> Option<Sha1Hash> {
    Sha1Hash::from_hex(text).or_else(|| Sha1Hash::from_base32(text))
}
