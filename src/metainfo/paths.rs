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
    tidy(&mut out);
    if out.is_empty() {
        out.push('_');
    }
    if is_device_name(&out) {
        out.insert(0, '_');
        tidy(&mut out);
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

/// Windows drops dots and spaces at the end: two names would be one file.
fn tidy(element: &mut String) {
    cut(element);
    element.truncate(element.trim_end_matches(['.', ' ']).len());
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
    // Remembering the next number of a name keeps a million files of that name from being quadratic.
    let mut next_number: HashMap<u64, u32> = HashMap::new();
    for path in &mut paths {
        if taken.insert(fold(path)) {
            continue;
        }
        let (stem, extension) = split_for_number(path);
        let number = next_number.entry(fold(&format!("{stem}{extension}"))).or_insert(0);
        loop {
            *number = number.saturating_add(1);
            let candidate = numbered(stem, *number, extension);
            if taken.insert(fold(&candidate)) || *number == u32::MAX {
                **path = candidate;
                break;
            }
        }
    }
}

/// A path cut in two where its number goes. What does not fit beside the longest number is cut off.
fn split_for_number(path: &str) -> (&str, &str) {
    const ROOM: usize = MAX_ELEMENT_BYTES - "_".len() - ".4294967295".len();
    let name = path.rfind('/').map_or(0, |slash| slash + 1);
    let extension = match path.rfind('.') {
        Some(dot) if dot > name && path.len() - dot <= MAX_EXTENSION_BYTES => dot,
        _ => path.len(),
    };
    let end = floor_char_boundary(path, extension.min(name + ROOM - (path.len() - extension)));
    (path.get(..end).unwrap_or_default(), path.get(extension..).unwrap_or_default())
}

fn numbered(stem: &str, number: u32, extension: &str) -> String {
    let path = format!("{stem}.{number}{extension}");
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", &path));
    // Cut short, a stem may have become the name of a device.
    if is_device_name(name) { sanitize_path(directory, [name.as_bytes()]) } else { path }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn element(bytes: &[u8]) -> String {
        sanitize_element(bytes).expect("an element")
    }

    #[test]
    fn plain_names_stay() {
        for name in
            ["a", "Big Buck Bunny (2008).mkv", ".hidden", "日本語.txt", "a..b", "console", "com10", "lpt", "..a"]
        {
            assert_eq!(element(name.as_bytes()), name);
        }
    }

    #[test]
    fn nothing_climbs_out() {
        for dots in [&b"."[..], b"..", b"./", b"/..", b"..\\", b".\xe2\x80\xae."] {
            assert_eq!(sanitize_element(dots), None, "{}", dots.escape_ascii());
        }
        assert_eq!(element(b"..."), "_");
        assert_eq!(element(b". ."), "_");
        assert_eq!(element(b"../../etc/passwd"), "....etcpasswd");
        assert_eq!(element(b"C:\\Windows"), "C_Windows");
        assert_eq!(element(b""), "_");
        assert_eq!(sanitize_path("", [&b".."[..], b"."]), "_");
        assert_eq!(sanitize_path("t", [&b".."[..]]), "t/_");
        assert_eq!(sanitize_path("t", [&b"a"[..], b"..", b"/b"]), "t/a/b");
    }

    #[test]
    fn hostile_characters() {
        assert_eq!(element(b"a\0b\nc\x7f"), "a_b_c_");
        assert_eq!(element(b"<>:\"|?*"), "_______");
        assert_eq!(element(b"a\xff\xfeb"), "a__b");
        assert_eq!(element("exe\u{202e}fdp\u{2066}.\u{200f}x".as_bytes()), "exefdp.x");
        assert_eq!(element(b"name. . ."), "name");
    }

    #[test]
    fn device_names() {
        for (name, safe) in
            [("con", "_con"), ("CON.txt", "_CON.txt"), ("Lpt9", "_Lpt9"), ("aux .x", "_aux .x"), ("com¹", "_com¹")]
        {
            assert_eq!(element(name.as_bytes()), safe);
        }
        // Cutting makes a device of it, and the mark would make it too long.
        let long = format!("con{}x", " ".repeat(300));
        assert_eq!(element(long.as_bytes()), "_con");
        assert_eq!(element(format!("nul.{}", "a".repeat(236)).as_bytes()).len(), MAX_ELEMENT_BYTES);
    }

    #[test]
    fn long_names_keep_their_extension() {
        let cut = element(format!("{}.mkv", "é".repeat(200)).as_bytes());
        assert_eq!(cut, format!("{}.mkv", "é".repeat(118)));
        let cut = element(format!("{}.{}", "a".repeat(200), "b".repeat(100)).as_bytes());
        assert_eq!(cut.len(), MAX_ELEMENT_BYTES);
    }

    fn distinct(paths: &[&str]) -> Vec<String> {
        let mut paths: Vec<String> = paths.iter().map(|&p| p.to_owned()).collect();
        make_distinct(&mut paths);
        paths
    }

    #[test]
    fn duplicates_get_numbers() {
        assert_eq!(distinct(&["t/a.mkv", "t/A.MKV", "t/a.mkv"]), ["t/a.mkv", "t/A.1.MKV", "t/a.2.mkv"]);
        assert_eq!(distinct(&["a.1", "a", "a", "a"]), ["a.1", "a", "a.2", "a.3"]);
        // Whatever the order, a file yields to a directory.
        assert_eq!(distinct(&["t/d", "t/D/x"]), ["t/d.1", "t/D/x"]);
        assert_eq!(distinct(&["t/.x", "t/.x"]), ["t/.x", "t/.x.1"]);
        let long = "a".repeat(MAX_ELEMENT_BYTES);
        let names = distinct(&[&long, &long]);
        assert!(names[0] != names[1] && names[1].len() <= MAX_ELEMENT_BYTES && names[1].ends_with(".1"));
        let device = format!("con{}x", " ".repeat(236));
        assert_eq!(distinct(&[&device, &device])[1].get(..4), Some("_con"));
    }

    /// Long names that differ only where they are cut must not try each other's numbers.
    #[test]
    fn many_duplicates_are_not_quadratic() {
        let mut paths: Vec<String> = (0..20_000).map(|i| format!("{}{:020}", "a".repeat(220), i / 2)).collect();
        make_distinct(&mut paths);
        let all: HashSet<&String> = paths.iter().collect();
        assert_eq!(all.len(), paths.len());
    }

    /// What holds for any element of any path.
    fn check_element(element: &str) {
        assert!(!element.is_empty() && element.len() <= MAX_ELEMENT_BYTES, "{element:?}");
        assert!(!matches!(element, "." | "..") && !element.ends_with(['.', ' ']), "{element:?}");
        assert!(!is_device_name(element), "{element:?}");
        assert!(!element.contains(|c: char| c.is_control() || "/\\<>:\"|?*\u{202e}".contains(c)), "{element:?}");
    }

    fn hostile_element() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..300),
            "[./\\\\ a\u{202e}]{0,6}".prop_map(String::into_bytes),
            "(?i)(con|aux|a|b|com1)[. ]{0,3}(mkv)?".prop_map(String::into_bytes),
            "[a.é ]{200,300}".prop_map(String::into_bytes),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn any_element_is_safe_and_stays_so(bytes in hostile_element()) {
            if let Some(element) = sanitize_element(&bytes) {
                check_element(&element);
                prop_assert_eq!(sanitize_element(element.as_bytes()), Some(element));
            }
        }

        #[test]
        fn any_paths_are_safe_and_distinct(
            paths in proptest::collection::vec(proptest::collection::vec(hostile_element(), 0..4), 0..20)
        ) {
            let mut paths: Vec<String> =
                paths.iter().map(|p| sanitize_path("t", p.iter().map(Vec::as_slice))).collect();
            make_distinct(&mut paths);
            let mut seen = HashSet::new();
            let directories: HashSet<String> = paths
                .iter()
                .flat_map(|p| p.match_indices('/').map(|(at, _)| p[..at].to_lowercase()).collect::<Vec<_>>())
                .collect();
            for path in &paths {
                prop_assert!(path.starts_with("t/"));
                path.split('/').for_each(check_element);
                prop_assert!(seen.insert(path.to_lowercase()), "{} twice", path);
                prop_assert!(!directories.contains(&path.to_lowercase()), "{} is a directory", path);
            }
        }
    }
}
