//! Torrent files (BEP 3; BEP 12 trackers, BEP 19 web seeds, BEP 27 private, BEP 47 file attributes) and the info
//! dictionary within, which magnets fetch from peers (BEP 9). Hybrids (BEP 52) are read through their v1 part.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::bencode::{Document, Entry, Limits, Value};
use super::error::ParseError;
use super::info_hash::{InfoHashes, Sha1Hash, Sha256Hash};
use super::layout::{FileEntry, FileFlags, FileLayout, MAX_PIECE_LENGTH};
use super::paths;
use super::paths::Rules;
use super::symlinks;

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
            return Err(ParseError::new(format!("info dictionary of more than {MAX_FILE_BYTES} bytes")));
        }
        Self::from_value(Document::parse(info_bytes, Limits::FILE)?.root())
    }

    fn from_value(info: Value<'_>) -> Result<Self, ParseError> {
        if !info.is_dict() {
            return Err(ParseError::new("the info value is not a dictionary"));
        }
        let is_v2 = info.get_int(b"meta version") == Some(2);
        let Some(pieces) = info.get(b"pieces") else {
            return Err(if is_v2 || info.get(b"file tree").is_some() {
                ParseError::unsupported(
                    "a torrent of BitTorrent v2 only: it has no `pieces` (SHA-1 piece hashes), without which its data \
                     cannot be verified here; hybrid torrents, which have them, work",
                )
            } else {
                ParseError::new("info dictionary without `pieces`")
            });
        };
        let hashes = pieces.as_bytes().ok_or_else(|| ParseError::new("`pieces` is not a string"))?;

        let bytes = info.raw();
        let v1 = Sha1Hash::of(bytes);
        let info_hashes = InfoHashes { v1: Some(v1), v2: is_v2.then(|| Sha256Hash::of(bytes)) };
        let name = info.get_bytes(b"name.utf-8").or_else(|| info.get_bytes(b"name"));
        let name = name.ok_or_else(|| ParseError::new("info dictionary without `name`"))?;
        let multi = info.get(b"files").is_some_and(|files| files.is_list());
        // A directory without a name is libtorrent's `_`; what is left of other names that say nothing is the info-hash.
        let nameless = || if multi && name.is_empty() { "_".to_owned() } else { v1.to_hex() };
        let name = paths::sanitize_element(name, Rules::HERE).unwrap_or_else(nameless);

        let layout = FileLayout::new(files(info, &name)?, piece_length(info)?)?;
        if hashes.len() as u64 != u64::from(layout.num_pieces()) * 20 {
            return Err(ParseError::new(format!(
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
            // One that has no number is not 0, and what is meant to be private stays so.
            private: info.get(b"private").is_some_and(|v| v.is_int() && v.as_int() != Some(0)),
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
    let length = info
        .get(b"piece length")
        .ok_or_else(|| ParseError::new("info dictionary without `piece length`"))?
        .as_int()
        .ok_or_else(|| ParseError::new("`piece length` is not a number, or beyond 64 bits"))?;
    u32::try_from(length)
        .map_err(|_| ParseError::new(format!("piece length {length} is not within 1..={MAX_PIECE_LENGTH}")))
}

fn files(info: Value<'_>, name: &str) -> Result<Vec<FileEntry>, ParseError> {
    let Some(list) = info.get(b"files").filter(Value::is_list) else {
        return Ok(vec![file(info, name.to_owned())?]);
    };
    let mut files = Vec::new();
    for value in list.items() {
        let utf8 = value.get(b"path.utf-8").filter(Value::is_list);
        let elements = utf8.or_else(|| value.get(b"path").filter(Value::is_list));
        // Nobody sees a pad file: many have no path, and are named as libtorrent names them.
        let is_pad = flags(value).contains(FileFlags::PAD);
        let path = match elements {
            Some(elements) if !is_pad || elements.items().next().is_some() => join(name, elements)?,
            _ if is_pad => format!(".pad/{}", length(value).unwrap_or(0)),
            _ => return Err(ParseError::new(format!("file {} without a `path` list", files.len()))),
        };
        files.push(file(value, path)?);
    }
    // Links name files as the torrent does, whatever number these get.
    symlinks::resolve(&mut files, name);
    if paths::are_distinct(files.iter().map(|f| f.path.as_str()), Rules::HERE) {
        return Ok(files);
    }
    let names = files.iter_mut().map(|f| (&mut f.path, Some(f.size).filter(|_| f.flags.contains(FileFlags::PAD))));
    paths::make_distinct(names, Rules::HERE);
    Ok(files)
}

/// A path below the torrent's directory.
fn join(name: &str, elements: Value<'_>) -> Result<String, ParseError> {
    if elements.items().count() >= MAX_PATH_DEPTH {
        return Err(ParseError::new(format!("a file more than {MAX_PATH_DEPTH} directories deep")));
    }
    Ok(paths::sanitize_path(name, elements.items().filter_map(|e| e.as_bytes()), Rules::HERE))
}

/// What a symlink says it points to, as a path; empty where it says nothing of use.
fn link_target(elements: Value<'_>) -> String {
    // Links' own `.` and `..` are of no account, as in libtorrent: no target lies outside the torrent.
    let elements = elements.items().filter_map(|e| e.as_bytes()).filter(|e| !matches!(*e, b"." | b".."));
    let elements: Vec<&[u8]> = elements.take(MAX_PATH_DEPTH).collect();
    if elements.is_empty() || elements.len() >= MAX_PATH_DEPTH {
        return String::new();
    }
    paths::sanitize_path("", elements, Rules::HERE)
}

fn flags(value: Value<'_>) -> FileFlags {
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
    flags
}

fn length(value: Value<'_>) -> Option<u64> {
    value.get_int(b"length")?.try_into().ok()
}

/// The file that `value` describes: an item of `files`, or the info dictionary itself.
fn file(value: Value<'_>, path: String) -> Result<FileEntry, ParseError> {
    let mut flags = flags(value);
    // BitComet padded before there was an attribute for it.
    if path.rsplit('/').next().is_some_and(|name| name.starts_with("_____padding_file_")) {
        flags |= FileFlags::PAD;
    }
    let target = value.get(b"symlink path").filter(|v| v.is_list() && flags.contains(FileFlags::SYMLINK));
    let symlink_target = target.filter(|elements| elements.items().next().is_some()).map(link_target);
    if symlink_target.is_none() {
        flags.remove(FileFlags::SYMLINK);
    }
    let size = match length(value) {
        // A symlink has no bytes of its own.
        _ if symlink_target.is_some() => 0,
        Some(length) => length,
        None if value.get(b"length").is_some_and(|v| v.is_int()) => {
            return Err(ParseError::new(format!(
                "`{path}` has a size that is not a number, negative or beyond 64 bits"
            )));
        }
        None => return Err(ParseError::new(format!("`{path}` has no `length`"))),
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
    /// The rest of the dictionary that the file is: a hybrid's `piece layers` (BEP 52), what nobody here knows, and fields that
    /// say more than what is held of them. [`Self::encode`] takes it over byte for byte, so that nothing is lost.
    others: Vec<u8>,
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
            others: Vec::new(),
        }
    }

    /// Parses a torrent file. What follows the dictionary is ignored: some files have a line's end there.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        if bytes.len() > MAX_FILE_BYTES {
            return Err(ParseError::new(format!("torrent file of more than {MAX_FILE_BYTES} bytes")));
        }
        let (document, _) = Document::parse_prefix(bytes, Limits::FILE)?;
        let root = document.root();
        if !root.is_dict() {
            return Err(ParseError::new("not a torrent file: not a dictionary"));
        }
        let info = root.get(b"info").ok_or_else(|| ParseError::new("not a torrent file: no `info`"))?;
        let info = Info::from_value(info)?;
        let mut file = Self {
            trackers: trackers(root),
            web_seeds: web_seeds(root, wants_slash(&info)),
            nodes: nodes(root),
            comment: root.get_bytes(b"comment.utf-8").or_else(|| root.get_bytes(b"comment")).map(text),
            created_by: root.get_bytes(b"created by.utf-8").or_else(|| root.get_bytes(b"created by")).map(text),
            creation_date: root.get_int(b"creation date"),
            ..Self::new(info)
        };
        file.others = others(root, &file.own_fields());
        Ok(file)
    }

    /// A torrent file again: the info dictionary byte for byte, and what nobody here knows as it stood in the file.
    pub fn encode(&self) -> Vec<u8> {
        let mut root = self.own_fields();
        if let Ok(others) = Document::parse(&self.others, Limits::FILE) {
            for (key, value) in others.root().entries() {
                // The field was read from there.
                root.remove(key.strip_suffix(b".utf-8").unwrap_or_default());
                root.insert(key.to_vec(), Entry::Raw(value.raw().to_vec()));
            }
        }
        root.insert(b"info".to_vec(), Entry::Raw(self.info.bytes.to_vec()));
        if let Some(first) = self.trackers.iter().flatten().next() {
            root.insert(b"announce".to_vec(), first.as_str().into());
        }
        if self.trackers.iter().flatten().count() > 1 {
            let tiers = self.trackers.iter().map(|tier| strings(tier)).collect::<Vec<_>>();
            root.insert(b"announce-list".to_vec(), tiers.into());
        }
        if !self.web_seeds.is_empty() {
            root.insert(b"url-list".to_vec(), strings(&self.web_seeds));
        }
        Entry::Dict(root).encode()
    }

    /// Of the fields that do not change while a torrent runs, those that are set.
    fn own_fields(&self) -> BTreeMap<Vec<u8>, Entry> {
        let node = |(host, port): &(String, u16)| Entry::List(vec![host.as_str().into(), u32::from(*port).into()]);
        let nodes = (!self.nodes.is_empty()).then(|| self.nodes.iter().map(node).collect::<Vec<_>>().into());
        let fields = [
            ("comment", self.comment.as_deref().map(Entry::from)),
            ("created by", self.created_by.as_deref().map(Entry::from)),
            ("creation date", self.creation_date.map(Entry::from)),
            ("nodes", nodes),
        ];
        fields.into_iter().filter_map(|(key, value)| Some((key.as_bytes().to_vec(), value?))).collect()
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

/// All entries that would be lost without it: those that have no field, and those that say more than their field holds.
/// Sorted, of equal keys the first.
fn others(root: Value<'_>, own: &BTreeMap<Vec<u8>, Entry>) -> Vec<u8> {
    let held = |key: &[u8], value: &Value<'_>| match key {
        b"info" | b"announce" | b"announce-list" | b"url-list" => true,
        _ => own.get(key).is_some_and(|own| own.encode() == value.raw()),
    };
    let mut entries: Vec<_> = root.entries().collect();
    entries.sort_by_key(|(key, _)| *key);
    entries.dedup_by_key(|(key, _)| *key);
    entries.retain(|(key, value)| !held(key, value));
    if entries.is_empty() {
        return Vec::new();
    }
    let mut out = vec![b'd'];
    for (key, value) in entries {
        Entry::from(key).encode_into(&mut out);
        out.extend_from_slice(value.raw());
    }
    out.push(b'e');
    out
}

/// `url-list`: a string or a list of strings.
fn web_seeds(root: Value<'_>, slash: bool) -> Vec<String> {
    let Some(value) = root.get(b"url-list") else { return Vec::new() };
    let mut seeds: Vec<String> = Vec::new();
    // A list of millions that repeats a hundred is not compared with all of them each time.
    let mut seen = HashSet::new();
    for url in value.items().chain(Some(value)).filter_map(|v| clean_url(v.as_str()?)) {
        if seeds.len() >= MAX_WEB_SEEDS {
            break;
        }
        let url = web_seed_url(url, slash);
        if seen.insert(url.clone()) {
            seeds.push(url);
        }
    }
    seeds
}

/// Are a torrent's web seeds directories? Those of several files are (BEP 19).
pub fn wants_slash(info: &Info) -> bool {
    info.layout.num_files() > 1
}

/// Characters that stand in no URL; a `%` is taken for the beginning of an escape.
const NOT_IN_URLS: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\\').add(b'^').add(b'`').add(b'{').add(b'|').add(b'}');

/// A web seed's URL as it can be fetched: what may not stand in one is escaped, and a directory ends with `/`.
pub fn web_seed_url(url: &str, slash: bool) -> String {
    let mut url = utf8_percent_encode(url, NOT_IN_URLS).to_string();
    if slash && !url.ends_with('/') {
        url.push('/');
    }
    url
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
