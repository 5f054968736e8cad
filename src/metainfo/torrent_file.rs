//! Torrent files (BEP 3; BEP 12 trackers, BEP 19 web seeds, BEP 27 private, BEP 47 file attributes) and the info
//! dictionary within, which magnets fetch from peers (BEP 9). Hybrids (BEP 52) are read through their v1 part.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::ParseError;
use super::bencode::{Document, Entry, Limits, Value};
use super::files::{FileEntry, FileFlags, FileLayout, MAX_PIECE_LENGTH};
use super::info_hash::{InfoHashes, Sha1Hash, Sha256Hash};
use super::paths;

/// Most bytes of a torrent file.
pub const MAX_FILE_BYTES: usize = 64 * 1024 * 1024;
/// Most path elements of a file, the torrent's name included.
pub const MAX_PATH_DEPTH: usize = 100;
/// Most trackers, web seeds or nodes that are taken; further ones are left out.
pub const MAX_TRACKERS: usize = 1000;
pub const MAX_WEB_SEEDS: usize = 100;
pub const MAX_NODES: usize = 100;
/// A longer URL is left out.
pub const MAX_URL_BYTES: usize = 4096;

/// The info dictionary: what the info-hash is over.
#[derive(Clone, PartialEq, Eq)]
pub struct Info {
    pub info_hashes: InfoHashes,
    /// Sanitised: one path element, never empty.
    pub name: String,
    pub layout: FileLayout,
    /// Peers only from trackers (BEP 27).
    pub private: bool,
    /// Which tracker it was made for; there to change the info-hash.
    pub source: Option<String>,
    /// The dictionary, byte-exact.
    pub bytes: Arc<[u8]>,
    /// Where the piece hashes stand in `bytes`: 20 bytes a piece, checked.
    pieces: Range<usize>,
}

impl Info {
    /// Parses an info dictionary, the whole of `info_bytes`.
    pub fn parse(info_bytes: &[u8]) -> Result<Self, ParseError> {
        if info_bytes.len() > MAX_FILE_BYTES {
            return Err(ParseError(format!("info dictionary of more than {MAX_FILE_BYTES} bytes")));
        }
        Self::from_value(Document::parse(info_bytes, Limits::FILE)?.root())
    }

    fn from_value(info: Value<'_>) -> Result<Self, ParseError> {
        if !info.is_dict() {
            return Err(ParseError::new("the info value is not a dictionary"));
        }
        let is_v2 = info.get_int(b"meta version") == Some(2);
        let Some(pieces) = info.get(b"pieces") else {
            return Err(ParseError::new(if is_v2 || info.get(b"file tree").is_some() {
                "a torrent of BitTorrent v2 only: it has no `pieces` (SHA-1 piece hashes), without which its data \
                 cannot be verified here; hybrid torrents, which have them, work"
            } else {
                "info dictionary without `pieces`"
            }));
        };
        let hashes = pieces.as_bytes().ok_or_else(|| ParseError::new("`pieces` is not a string"))?;

        let bytes = info.raw();
        let v1 = Sha1Hash::of(bytes);
        let info_hashes = InfoHashes { v1: Some(v1), v2: is_v2.then(|| Sha256Hash::of(bytes)) };
        let name = info.get_bytes(b"name.utf-8").or_else(|| info.get_bytes(b"name"));
        let name = name.ok_or_else(|| ParseError::new("info dictionary without `name`"))?;
        let name =
            Some(name).filter(|n| !n.is_empty()).and_then(paths::sanitize_element).unwrap_or_else(|| v1.to_hex());

        let layout = FileLayout::new(files(info, &name)?, piece_length(info)?)?;
        if hashes.len() as u64 != u64::from(layout.num_pieces()) * 20 {
            return Err(ParseError(format!(
                "`pieces` has {} bytes, but the {} pieces need 20 each",
                hashes.len(),
                layout.num_pieces()
            )));
        }
        // Strings end where their value ends.
        let end = pieces.offset() - info.offset() + pieces.raw().len();
        Ok(Self {
            info_hashes,
            name,
            layout,
            private: info.get_int(b"private").is_some_and(|n| n != 0),
            source: info.get_bytes(b"source").map(text).filter(|s| !s.is_empty()),
            bytes: bytes.into(),
            pieces: end - hashes.len()..end,
        })
    }

    /// All piece hashes, 20 bytes each.
    pub fn piece_hashes(&self) -> &[u8] {
        self.bytes.get(self.pieces.clone()).unwrap_or_default()
    }

    pub fn piece_hash(&self, piece: u32) -> Option<Sha1Hash> {
        let begin = usize::try_from(piece).ok()?.checked_mul(20)?;
        Sha1Hash::from_slice(self.piece_hashes().get(begin..begin.checked_add(20)?)?)
    }
}

impl fmt::Debug for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Info")
            .field("info_hashes", &self.info_hashes)
            .field("name", &self.name)
            .field("num_files", &self.layout.num_files())
            .field("total_size", &self.layout.total_size())
            .field("piece_length", &self.layout.piece_length())
            .field("private", &self.private)
            .finish_non_exhaustive()
    }
}

fn piece_length(info: Value<'_>) -> Result<u32, ParseError> {
    let length =
        info.get_int(b"piece length").ok_or_else(|| ParseError::new("info dictionary without `piece length`"))?;
    u32::try_from(length).map_err(|_| ParseError(format!("piece length {length} is not within 1..={MAX_PIECE_LENGTH}")))
}

fn files(info: Value<'_>, name: &str) -> Result<Vec<FileEntry>, ParseError> {
    let Some(list) = info.get(b"files").filter(Value::is_list) else {
        return Ok(vec![file(info, name.to_owned(), name)?]);
    };
    let mut files = Vec::new();
    for value in list.items() {
        let utf8 = value.get(b"path.utf-8").filter(Value::is_list);
        let elements = utf8.or_else(|| value.get(b"path").filter(Value::is_list));
        let elements = elements.ok_or_else(|| ParseError(format!("file {} without a `path` list", files.len())))?;
        files.push(file(value, join(name, elements)?, name)?);
    }
    // Pad files are never written: they may share a name, and mostly do.
    paths::make_distinct(files.iter_mut().filter(|f| !f.flags.contains(FileFlags::PAD)).map(|f| &mut f.path));
    Ok(files)
}

/// A path below the torrent's directory.
fn join(name: &str, elements: Value<'_>) -> Result<String, ParseError> {
    if elements.items().count() >= MAX_PATH_DEPTH {
        return Err(ParseError(format!("a file more than {MAX_PATH_DEPTH} directories deep")));
    }
    Ok(paths::sanitize_path(name, elements.items().filter_map(|e| e.as_bytes())))
}

/// The file that `value` describes: an item of `files`, or the info dictionary itself.
fn file(value: Value<'_>, path: String, root: &str) -> Result<FileEntry, ParseError> {
    let mut flags = FileFlags::empty();
    for attribute in value.get_bytes(b"attr").unwrap_or_default() {
        flags |= match attribute {
            b'p' => FileFlags::PAD,
            b'h' => FileFlags::HIDDEN,
            b'x' => FileFlags::EXECUTABLE,
            b'l' => FileFlags::SYMLINK,
            _ => FileFlags::empty(),
        };
    }
    // BitComet padded before there was an attribute for it.
    if path.rsplit('/').next().is_some_and(|name| name.starts_with("_____padding_file_")) {
        flags |= FileFlags::PAD;
    }
    let target = value.get(b"symlink path").filter(|v| v.is_list() && flags.contains(FileFlags::SYMLINK));
    let symlink_target = target.map(|elements| join(root, elements)).transpose()?;
    if symlink_target.is_none() {
        flags.remove(FileFlags::SYMLINK);
    }
    let size = match value.get_int(b"length") {
        // A symlink has no bytes of its own.
        _ if symlink_target.is_some() => 0,
        Some(length) => u64::try_from(length).map_err(|_| ParseError(format!("`{path}` has a negative size")))?,
        None => return Err(ParseError(format!("`{path}` has no `length`"))),
    };
    Ok(FileEntry { path, offset: 0, size, flags, mtime: value.get_int(b"mtime"), symlink_target })
}

/// A torrent file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TorrentFile {
    pub info: Arc<Info>,
    /// Tiers (BEP 12), none of them empty, no URL twice.
    pub trackers: Vec<Vec<String>>,
    pub web_seeds: Vec<String>,
    /// DHT nodes (BEP 5): host and port.
    pub nodes: Vec<(String, u16)>,
    pub comment: Option<String>,
    pub created_by: Option<String>,
    /// Unix seconds; negative ones are out there.
    pub creation_date: Option<i64>,
    /// A hybrid's `piece layers` (BEP 52), still encoded, so that [`Self::encode`] does not lose them.
    pub piece_layers: Option<Vec<u8>>,
}

impl TorrentFile {
    /// A torrent file with nothing but its info dictionary.
    pub fn new(info: Info) -> Self {
        Self {
            info: Arc::new(info),
            trackers: Vec::new(),
            web_seeds: Vec::new(),
            nodes: Vec::new(),
            comment: None,
            created_by: None,
            creation_date: None,
            piece_layers: None,
        }
    }

    /// Parses a torrent file. What follows the dictionary is ignored: some files have a line's end there.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        if bytes.len() > MAX_FILE_BYTES {
            return Err(ParseError(format!("torrent file of more than {MAX_FILE_BYTES} bytes")));
        }
        let (document, _) = Document::parse_prefix(bytes, Limits::FILE)?;
        let root = document.root();
        if !root.is_dict() {
            return Err(ParseError::new("not a torrent file: not a dictionary"));
        }
        let info = root.get(b"info").ok_or_else(|| ParseError::new("not a torrent file: no `info`"))?;
        Ok(Self {
            info: Arc::new(Info::from_value(info)?),
            trackers: trackers(root),
            web_seeds: web_seeds(root),
            nodes: nodes(root),
            comment: root.get_bytes(b"comment.utf-8").or_else(|| root.get_bytes(b"comment")).map(text),
            created_by: root.get_bytes(b"created by.utf-8").or_else(|| root.get_bytes(b"created by")).map(text),
            creation_date: root.get_int(b"creation date"),
            piece_layers: root.get(b"piece layers").filter(Value::is_dict).map(|v| v.raw().to_vec()),
        })
    }

    /// A torrent file again, the info dictionary byte-exact.
    pub fn encode(&self) -> Vec<u8> {
        let mut root = Entry::dict();
        root.set("info", Entry::Raw(self.info.bytes.to_vec()));
        if let Some(first) = self.trackers.iter().flatten().next() {
            root.set("announce", first.as_str());
        }
        if self.trackers.iter().flatten().count() > 1 {
            root.set("announce-list", self.trackers.iter().map(|tier| strings(tier)).collect::<Vec<_>>());
        }
        if !self.web_seeds.is_empty() {
            root.set("url-list", strings(&self.web_seeds));
        }
        if !self.nodes.is_empty() {
            let node = |(host, port): &(String, u16)| Entry::List(vec![host.as_str().into(), u32::from(*port).into()]);
            root.set("nodes", self.nodes.iter().map(node).collect::<Vec<Entry>>());
        }
        for (key, value) in [("comment", &self.comment), ("created by", &self.created_by)] {
            if let Some(value) = value {
                root.set(key, value.as_str());
            }
        }
        if let Some(date) = self.creation_date {
            root.set("creation date", date);
        }
        if let Some(layers) = &self.piece_layers {
            root.set("piece layers", Entry::Raw(layers.clone()));
        }
        root.encode()
    }
}

fn strings(list: &[String]) -> Entry {
    Entry::List(list.iter().map(|s| s.as_str().into()).collect())
}

/// Text for people: UTF-8, broken parts replaced.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A URL without the blanks around it, if it can be one.
pub(super) fn clean_url(url: &str) -> Option<&str> {
    let url = url.trim();
    (!url.is_empty() && url.len() <= MAX_URL_BYTES && !url.contains(char::is_control)).then_some(url)
}

/// `announce-list` if it names any, else `announce`, as BEP 12 has it.
fn trackers(root: Value<'_>) -> Vec<Vec<String>> {
    let mut seen = HashSet::new();
    let mut clean = |url: Value<'_>| {
        let url = clean_url(url.as_str()?)?;
        (seen.len() < MAX_TRACKERS && seen.insert(url.to_owned())).then(|| url.to_owned())
    };
    let mut tiers = Vec::new();
    for tier in root.get(b"announce-list").iter().flat_map(Value::items) {
        // Some writers forget the inner lists: then each URL is a tier.
        let urls: Vec<_> = tier.items().chain(Some(tier).filter(|t| !t.is_list())).filter_map(&mut clean).collect();
        if !urls.is_empty() {
            tiers.push(urls);
        }
    }
    if tiers.is_empty() {
        tiers.extend(root.get(b"announce").and_then(clean).map(|url| vec![url]));
    }
    tiers
}

/// `url-list`: a string or a list of strings.
fn web_seeds(root: Value<'_>) -> Vec<String> {
    let Some(value) = root.get(b"url-list") else { return Vec::new() };
    let mut seeds: Vec<String> = Vec::new();
    for url in value.items().chain(Some(value)).filter_map(|v| clean_url(v.as_str()?)) {
        if seeds.len() < MAX_WEB_SEEDS && !seeds.iter().any(|s| s == url) {
            seeds.push(url.to_owned());
        }
    }
    seeds
}

fn nodes(root: Value<'_>) -> Vec<(String, u16)> {
    let node = |value: Value<'_>| {
        let mut parts = value.items();
        let host = parts.next()?.as_str().filter(|host| !host.is_empty() && host.len() <= 255)?;
        let port = u16::try_from(parts.next()?.as_int()?).ok().filter(|&port| port != 0)?;
        Some((host.to_owned(), port))
    };
    root.get(b"nodes").iter().flat_map(Value::items).filter_map(node).take(MAX_NODES).collect()
}
