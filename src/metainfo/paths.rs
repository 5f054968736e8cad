//! Paths of a torrent's files (BEP 3), made safe: whatever a torrent says, they stay inside the save path.
//!
//! The names are those that libtorrent 2.1 writes on the same kind of system, so that what another client left on the disk is
//! found. Everywhere separators and characters that turn the writing direction are dropped, and what has no width; control characters and broken
//! UTF-8 become `_`, as do `.` and `..` (where they vanished, `a/../b` and `a/b` would be one file); an element that reaches 240
//! bytes ends there, but for a short extension behind it. On Windows what Windows reserves becomes `_` too, trailing dots and
//! spaces go, and names of devices get a `_` before them. Paths that are the same after that, in any case, or that are a
//! directory of another file, get a number.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hasher};

/// Most bytes of one path element: what file systems take.
pub const MAX_ELEMENT_BYTES: usize = 255;

/// An element that has so many bytes ends, but for its extension if that is shorter than the other bound.
const CUT_BYTES: usize = 240;
const MAX_EXTENSION_BYTES: usize = 10;

/// Whose names these are to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    Posix,
    Windows,
}

impl Rules {
    /// Those of the system that this was built for.
    pub const HERE: Self = if cfg!(windows) { Self::Windows } else { Self::Posix };
}

/// Makes one path element safe. None where it says nothing: `.`, `..`, separators alone.
pub fn sanitize_element(element: &[u8], rules: Rules) -> Option<String> {
    let mut out = String::with_capacity(element.len().min(MAX_ELEMENT_BYTES));
    let mut at = 0;
    let mut cut = false;
    while let Some(rest) = element.get(at..).filter(|rest| !rest.is_empty()) {
        let (decoded, len) = decode(rest);
        let begin = at;
        at += len;
        match decoded {
            Some(c) if is_dropped(c) => continue,
            Some(c) if is_valid(c, rules) => out.push(c),
            _ => {
                out.push('_');
                continue;
            }
        }
        if out.len() >= CUT_BYTES && !cut {
            let Some(dot) = short_extension(element, begin) else { break };
            at = dot;
            cut = true;
        }
    }
    out.truncate(floor_char_boundary(&out, MAX_ELEMENT_BYTES));
    if matches!(out.as_str(), "" | "." | "..") {
        return None;
    }
    if rules == Rules::Windows {
        tidy(&mut out);
        if out.is_empty() {
            out.push('_');
        }
        if is_device_name(&out) {
            out.insert(0, '_');
            out.truncate(floor_char_boundary(&out, MAX_ELEMENT_BYTES));
            tidy(&mut out);
        }
    }
    Some(out)
}

/// The character that bytes begin with, and how many of them it takes; none where they are no UTF-8. What is broken goes with
/// all the bytes that its first one announces, for libtorrent puts one `_` for them.
fn decode(bytes: &[u8]) -> (Option<char>, usize) {
    let len = match bytes.first() {
        Some(0xc0..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf7) => 4,
        // Of old UTF-8 the five, but not the six.
        Some(0xf8..=0xfb) => 5,
        _ => 1,
    }
    .min(bytes.len());
    let valid = bytes.get(..len).and_then(|b| std::str::from_utf8(b).ok());
    (valid.and_then(|s| s.chars().next()), len)
}

/// Where an extension begins that may stand behind an element cut at `at`.
fn short_extension(element: &[u8], at: usize) -> Option<usize> {
    let from = element.len().saturating_sub(MAX_EXTENSION_BYTES).max(at) + 1;
    let dot = element.get(from..)?.iter().rposition(|&b| b == b'.')?;
    Some(from + dot)
}

fn is_dropped(c: char) -> bool {
    match c {
        '/' | '\\' | '\0' => true,
        // Joiners, marks, embeddings, overrides, isolates and what has no width: "fdp.exe" shown as "exe.pdf", and two names
        // that look like one.
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' => true,
        '\u{2066}'..='\u{2069}' | '\u{feff}' => true,
        _ => false,
    }
}

fn is_valid(c: char, rules: Rules) -> bool {
    match c {
        '<' | '>' | ':' | '"' | '|' | '?' | '*' => rules == Rules::Posix,
        c => !c.is_control(),
    }
}

/// Windows drops dots and spaces at the end: two names would be one file.
fn tidy(element: &mut String) {
    element.truncate(element.trim_end_matches(['.', ' ']).len());
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

/// Joins the elements of a path, safe each; `_` for those that say nothing, and where there are none. `root`, safe already,
/// goes before them.
pub fn sanitize_path<'a>(root: &str, elements: impl IntoIterator<Item = &'a [u8]>, rules: Rules) -> String {
    let mut path = String::from(root);
    let mut add = |element: &str| {
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(element);
    };
    let mut empty = true;
    for element in elements {
        add(sanitize_element(element, rules).as_deref().unwrap_or("_"));
        empty = false;
    }
    if empty {
        add("_");
    }
    path
}

/// Is there nothing for [`make_distinct`] to do? True for almost all torrents, which then need not remember every name.
pub fn are_distinct<'a>(paths: impl IntoIterator<Item = &'a str>, rules: Rules) -> bool {
    let mut directories = HashSet::new();
    let mut names = Vec::new();
    for path in paths {
        fold_prefixes(path, rules, |prefix, whole| {
            if whole {
                names.push(prefix);
            } else {
                directories.insert(prefix);
            }
        });
    }
    names.sort_unstable();
    names.is_sorted_by(|a, b| a < b) && !names.iter().any(|name| directories.contains(name))
}

/// Gives distinct names to paths that a file system without upper and lower case would take for one, and to files that
/// bear the name of a directory. The first keeps its name; `a/b.mkv` becomes `a/b.1.mkv`. Pad files come with their size:
/// those of one size may share a name, and mostly do.
pub fn make_distinct<'a>(paths: impl IntoIterator<Item = (&'a mut String, Option<u64>)>, rules: Rules) {
    let paths: Vec<(&mut String, Option<u64>)> = paths.into_iter().collect();
    // Hashes stand for the names, so that a deep hostile tree stays small. Where two collide, a file is numbered
    // without need, which harms nobody.
    let mut taken: HashMap<u64, Option<u64>> = HashMap::new();
    for (path, _) in &paths {
        fold_prefixes(path, rules, |prefix, whole| {
            if !whole {
                taken.insert(prefix, None);
            }
        });
    }
    // Remembering the next number of a name keeps a million files of that name from being quadratic.
    let mut next_number: HashMap<u64, u32> = HashMap::new();
    for (path, pad) in paths {
        let mut take = |path: &str| match taken.entry(fold(path, rules)) {
            Entry::Vacant(place) => {
                place.insert(pad);
                true
            }
            Entry::Occupied(by) => pad.is_some() && *by.get() == pad,
        };
        if take(path) {
            continue;
        }
        let (stem, extension) = split_for_number(path);
        // Names that differ only where the longest number would cut them count together.
        let counted = fitting(stem, NUMBER_BYTES + extension.len());
        let number = next_number.entry(fold(&format!("{counted}{extension}"), rules)).or_insert(0);
        loop {
            *number = number.saturating_add(1);
            let candidate = numbered(stem, *number, extension, rules);
            if take(&candidate) || *number == u32::MAX {
                *path = candidate;
                break;
            }
        }
    }
}

/// Bytes of the longest number that a name may get, and the mark of a device's name.
const NUMBER_BYTES: usize = "_.4294967295".len();

/// A path cut in two where its number goes: before the name's last dot.
fn split_for_number(path: &str) -> (&str, &str) {
    let name = path.rfind('/').map_or(0, |slash| slash + 1);
    let dot = path.rfind('.').filter(|dot| *dot >= name && path.len() - dot <= MAX_ELEMENT_BYTES - NUMBER_BYTES);
    path.split_at(dot.unwrap_or(path.len()))
}

/// The stem as far as it fits before so many bytes.
fn fitting(stem: &str, behind: usize) -> &str {
    let name = stem.rfind('/').map_or(0, |slash| slash + 1);
    let end = floor_char_boundary(stem, name + MAX_ELEMENT_BYTES.saturating_sub(behind));
    stem.get(..end).unwrap_or_default()
}

fn numbered(stem: &str, number: u32, extension: &str, rules: Rules) -> String {
    let suffix = format!(".{number}{extension}");
    let path = format!("{}{suffix}", fitting(stem, suffix.len()));
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", &path));
    // Cut short, a stem may have become the name of a device.
    if rules == Rules::Windows && is_device_name(name) {
        sanitize_path(directory, [name.as_bytes()], rules)
    } else {
        path
    }
}

/// The hash of a path without its case.
fn fold(path: &str, rules: Rules) -> u64 {
    let mut hash = 0;
    fold_prefixes(path, rules, |prefix, _| hash = prefix);
    hash
}

/// Calls back with the hash of each directory above the path, and at last, marked so, of the path itself. Beyond ASCII only
/// Windows takes two cases for one.
fn fold_prefixes(path: &str, rules: Rules, mut f: impl FnMut(u64, bool)) {
    let mut hasher = DefaultHasher::new();
    for c in path.chars() {
        if c == '/' {
            f(hasher.finish(), false);
        }
        match rules {
            Rules::Posix => hasher.write_u32(c.to_ascii_lowercase().into()),
            Rules::Windows => c.to_lowercase().for_each(|c| hasher.write_u32(c.into())),
        }
    }
    f(hasher.finish(), true);
}

#[cfg(test)]
mod tests;
