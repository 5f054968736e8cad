//! Paths of a torrent's files (BEP 3), made safe: whatever a torrent says, they stay inside the save path.
//!
//! The rules are libtorrent's, on every system the strict ones, so that a torrent has the same names everywhere:
//! separators and characters that turn the writing direction are dropped; control characters, what Windows reserves and
//! broken UTF-8 become `_`; trailing dots and spaces go; device names of Windows get a `_` before them; elements end at 240
//! bytes, keeping a short extension; `.` and `..` vanish. Paths that are the same after that, in any case, or that are a
//! directory of another file, get a number.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hasher};

/// Most bytes of one path element.
pub const MAX_ELEMENT_BYTES: usize = 240;

/// The longest extension, with its dot, that survives the cutting of an element.
const MAX_EXTENSION_BYTES: usize = 10;

/// Makes one path element safe. None where it says nothing (`.`, `..`) and is to be left out.
pub fn sanitize_element(element: &[u8]) -> Option<String> {
    if matches!(element, b"." | b"..") {
        return None;
    }
    let mut out = String::with_capacity(element.len().min(MAX_ELEMENT_BYTES * 2));
    for chunk in element.utf8_chunks() {
        out.extend(chunk.valid().chars().filter_map(safe_character));
        out.extend(chunk.invalid().iter().map(|_| '_'));
    }
    // What is only dots now was made to become so, by separators or direction marks between them.
    if matches!(out.as_str(), "." | "..") {
        return None;
    }
    cut(&mut out);
    let end = out.trim_end_matches(['.', ' ']).len();
    out.truncate(end);
    if out.is_empty() {
        out.push('_');
    }
    if is_device_name(&out) {
        out.insert(0, '_');
    }
    Some(out)
}

/// The character to put for `c`, if any.
fn safe_character(c: char) -> Option<char> {
    match c {
        '/' | '\\' => None,
        // Marks, embeddings, overrides and isolates: "fdp.exe" shown as "exe.pdf".
        '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => None,
        '<' | '>' | ':' | '"' | '|' | '?' | '*' => Some('_'),
        c if c.is_control() => Some('_'),
        c => Some(c),
    }
}

/// Cuts an element to its limit at a character's border, and keeps its extension if it has a short one.
fn cut(element: &mut String) {
    if element.len() <= MAX_ELEMENT_BYTES {
        return;
    }
    let extension = element
        .rfind('.')
        .and_then(|dot| element.get(dot..))
        .filter(|extension| extension.len() > 1 && extension.len() <= MAX_EXTENSION_BYTES)
        .map_or(String::new(), str::to_owned);
    element.truncate(floor_char_boundary(element, MAX_ELEMENT_BYTES - extension.len()));
    element.push_str(&extension);
}

fn floor_char_boundary(s: &str, at: usize) -> usize {
    (0..=at.min(s.len())).rev().find(|&i| s.is_char_boundary(i)).unwrap_or(0)
}

/// Windows opens a device under these names, with any extension.
fn is_device_name(element: &str) -> bool {
    let stem = element.split('.').next().unwrap_or_default().trim_end();
    let stem = stem.to_ascii_lowercase();
    if matches!(stem.as_str(), "con" | "prn" | "aux" | "nul" | "clock$" | "conin$" | "conout$") {
        return true;
    }
    let number = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
    number.is_some_and(|n| matches!(n, "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³"))
}

/// Joins the elements of a path, safe each; `_` if nothing is left. `root`, safe already, goes before them.
pub fn sanitize_path<'a>(root: &str, elements: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut path = String::from(root);
    let mut empty = true;
    for element in elements.into_iter().filter_map(sanitize_element) {
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(&element);
        empty = false;
    }
    if empty {
        path.push_str(if path.is_empty() { "_" } else { "/_" });
    }
    path
}

/// Gives distinct names to paths that a file system without upper and lower case would take for one, and to files that
/// bear the name of a directory. The first keeps its name; `a/b.mkv` becomes `a/b.1.mkv`.
pub fn make_distinct<'a>(paths: impl IntoIterator<Item = &'a mut String>) {
    let mut paths: Vec<&mut String> = paths.into_iter().collect();
    // Hashes stand for the names, so that a deep hostile tree stays small. Where two collide, a file is numbered
    // without need, which harms nobody.
    let mut taken: HashSet<u64> = HashSet::new();
    for path in &paths {
        fold_prefixes(path, |prefix, whole| {
            if !whole {
                taken.insert(prefix);
            }
        });
    }
    let mut next_number: HashMap<u64, u32> = HashMap::new();
    for path in &mut paths {
        let original = fold(path);
        if taken.insert(original) {
            continue;
        }
        // Remembering the number keeps a million files of one name from being quadratic.
        let number = next_number.entry(original).or_insert(0);
        loop {
            *number = number.saturating_add(1);
            let candidate = numbered(path, *number);
            if taken.insert(fold(&candidate)) || *number == u32::MAX {
                **path = candidate;
                break;
            }
        }
    }
}

fn numbered(path: &str, number: u32) -> String {
    let (directory, name) =
        path.rsplit_once('/').map_or(("", path), |(_, name)| path.split_at(path.len() - name.len()));
    let (stem, extension) = match name.rfind('.') {
        Some(dot) if dot > 0 && name.len() - dot <= MAX_EXTENSION_BYTES => name.split_at(dot),
        _ => (name, ""),
    };
    let suffix = format!(".{number}{extension}");
    let stem =
        stem.get(..floor_char_boundary(stem, MAX_ELEMENT_BYTES.saturating_sub(suffix.len()))).unwrap_or_default();
    format!("{directory}{stem}{suffix}")
}

/// The hash of a path without its case.
fn fold(path: &str) -> u64 {
    let mut hash = 0;
    fold_prefixes(path, |prefix, _| hash = prefix);
    hash
}

/// Calls back with the hash of each directory above the path, and at last, marked so, of the path itself.
fn fold_prefixes(path: &str, mut f: impl FnMut(u64, bool)) {
    let mut hasher = DefaultHasher::new();
    for c in path.chars() {
        if c == '/' {
            f(hasher.finish(), false);
        }
        c.to_lowercase().for_each(|c| hasher.write_u32(c.into()));
    }
    f(hasher.finish(), true);
}
