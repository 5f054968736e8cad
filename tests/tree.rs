//! The layers of docs/design.md: a folder of `src/` uses those below it only. Sockets are opened in few places, `unsafe` stands in two, and
//! nothing large is tracked.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::temp::files_under;

/// Each folder, and what it may use. Tests may use anything.
const LAYERS: [(&str, &[&str]); 13] = [
    ("base", &["sys"]),
    ("sys", &[]),
    ("alert", &["base", "metainfo"]),
    ("memory", &["base", "sys"]),
    ("metainfo", &["base", "memory"]),
    ("settings", &["base", "alert"]),
    ("wire", &["base", "sys", "alert", "memory", "metainfo"]),
    ("disk", &["base", "memory", "metainfo"]),
    ("net", &["base", "settings"]),
    ("engine", &["base", "sys", "alert", "memory", "metainfo", "settings", "wire"]),
    ("discovery", &["base", "alert", "engine", "metainfo", "net", "settings", "wire"]),
    (
        "session",
        &["base", "sys", "alert", "memory", "metainfo", "settings", "wire", "disk", "net", "engine", "discovery"],
    ),
    ("ffi", &["base", "alert", "metainfo", "session", "settings"]),
];

/// What opens a socket, or asks for a name's addresses, and the one file that does it.
const OPENS: [&str; 7] = [
    "TcpListener::bind",
    "TcpSocket::new",
    "TcpStream::connect",
    "UdpSocket::bind",
    "Socket::new",
    "lookup_host",
    "to_socket_addrs",
];
const EGRESS: &str = "net/egress.rs";

struct Source {
    /// Within `src/`.
    path: PathBuf,
    /// Without comments and tests.
    code: String,
}

impl Source {
    fn layer(&self) -> String {
        let first = self.path.components().next().expect("a path").as_os_str().to_string_lossy();
        first.trim_end_matches(".rs").to_owned()
    }

    /// The folders of `src/` that it uses.
    fn uses(&self) -> BTreeSet<String> {
        let after = |text: &str, word: &str| -> Vec<String> {
            text.match_indices(word)
                .map(|(at, _)| &text[at + word.len()..])
                .flat_map(|rest| match rest.strip_prefix('{') {
                    Some(list) => list.split([',', '}']).map(first_word).collect(),
                    None => vec![first_word(rest)],
                })
                .collect()
        };
        let up = "super::".repeat(self.path.components().count() - usize::from(self.path.ends_with("mod.rs")));
        let named = after(&self.code, "crate::").into_iter().chain(after(&self.code, &up));
        named.filter(|name| LAYERS.iter().any(|(layer, _)| layer == name)).collect()
    }
}

fn first_word(text: &str) -> String {
    text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The code as it is compiled into the library: without comments, and without what `#[cfg(test)]` stands before.
fn compiled(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.trim_start().starts_with("#[cfg(") && line.contains("test") {
            // Further attributes, and then an item: up to its end, which has the same indentation.
            let indent = line.len() - line.trim_start().len();
            for line in lines.by_ref() {
                let ends = line.len() - line.trim_start().len() == indent && !line.trim_start().starts_with("#[");
                if ends && (line.trim_end().ends_with(';') || line.trim_start().starts_with('}')) {
                    break;
                }
            }
            continue;
        }
        code.push_str(line.split("//").next().unwrap_or(""));
        code.push('\n');
    }
    code
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let is_test = |path: &Path| {
        let named = |part: &str| ["tests", "tests.rs", "fake.rs"].contains(&part);
        let ends = |part: &str| ["_tests.rs", "_test.rs", "_loom.rs"].iter().any(|end| part.ends_with(end));
        path.iter().filter_map(|part| part.to_str()).any(|part| named(part) || ends(part))
    };
    let compiles = |path: &PathBuf| path.extension().is_some_and(|e| e == "rs") && !is_test(path);
    let paths = files_under(&root).into_iter().filter(compiles).filter(|path| path != Path::new("lib.rs"));
    paths
        .map(|path| {
            let code = compiled(&std::fs::read_to_string(root.join(&path)).expect("a source"));
            Source { path, code }
        })
        .collect()
}

#[test]
fn every_folder_has_its_layer_and_uses_those_below() {
    let sources = sources();
    assert!(sources.len() > 150, "only {} sources found", sources.len());
    let allowed: BTreeMap<&str, &[&str]> = LAYERS.into_iter().collect();
    let mut wrong = Vec::new();
    for source in &sources {
        let layer = source.layer();
        let Some(may) = allowed.get(layer.as_str()) else {
            wrong.push(format!("{}: no layer has this name", source.path.display()));
            continue;
        };
        for used in source.uses() {
            if used != layer && !may.contains(&used.as_str()) {
                wrong.push(format!("{}: {layer} may not use {used}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_layer_uses_one_that_uses_it() {
    let allowed: BTreeMap<&str, &[&str]> = LAYERS.into_iter().collect();
    for (layer, may) in LAYERS {
        for below in may {
            assert!(!allowed[below].contains(&layer), "{layer} and {below} use each other");
        }
    }
}

#[test]
fn unsafe_code_stands_in_ffi_and_sys() {
    let has = |code: &str| {
        code.match_indices("unsafe").any(|(at, word)| {
            let next = code[at + word.len()..].chars().next();
            next.is_some_and(|c| c.is_whitespace())
        })
    };
    for source in sources() {
        let layer = source.layer();
        assert!(["ffi", "sys"].contains(&layer.as_str()) || !has(&source.code), "{}", source.path.display());
    }
}

#[test]
fn sockets_are_opened_and_names_resolved_in_one_place() {
    let (mut wrong, sources) = (Vec::new(), sources());
    let egress = sources.iter().find(|s| s.path == Path::new(EGRESS)).expect("it is there");
    assert!(egress.code.contains("lookup_host"), "it resolves names");
    for source in sources.iter().filter(|s| s.path != Path::new(EGRESS)) {
        for word in OPENS.iter().filter(|word| source.code.contains(**word)) {
            wrong.push(format!("{}: {word}", source.path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_it_looks_for_is_found() {
    let text = "use crate::engine::{a, b};\n// crate::ffi\nuse crate::{session::x, net};\n\
                #[cfg(test)]\nmod tests {\n    use crate::ffi;\n}\nfn f() { super::super::disk::g() }\n";
    let source = Source { path: PathBuf::from("wire/decoder.rs"), code: compiled(text) };
    let uses: Vec<String> = source.uses().into_iter().collect();
    assert_eq!(uses, ["disk", "engine", "net", "session"]);
}

/// Rooms of the engine whose state is their own: none knows the torrent that they are parts of.
const ROOMS: [&str; 7] = ["bandwidth", "content", "metadata", "peer", "readers", "swarm", "trackers"];

#[test]
fn no_room_knows_the_torrent() {
    let in_room = |path: &Path| ROOMS.iter().any(|room| path.starts_with(Path::new("engine").join(room)));
    let sources = sources();
    let rooms: Vec<&Source> = sources.iter().filter(|source| in_room(&source.path)).collect();
    assert!(rooms.len() > 50, "only {} sources found", rooms.len());
    let knows = |source: &&&Source| source.code.contains("torrent::Torrent") || source.code.contains("impl Torrent");
    let wrong: Vec<_> = rooms.iter().filter(knows).map(|source| source.path.display()).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// Tracked files that may be larger: the clip that the demo plays.
const LARGE: [&str; 1] = ["go-binding/cmd/elementum-stream/demo/clip.webm"];

#[test]
fn nothing_large_is_tracked() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output().expect("git");
    if !listed.status.success() {
        return; // an unpacked archive
    }
    let tracked = String::from_utf8(listed.stdout).expect("names in UTF-8");
    let tracked: Vec<&str> = tracked.split_terminator('\0').collect();
    assert!(tracked.contains(&"Cargo.toml"), "{tracked:?}");
    let size = |path: &str| std::fs::symlink_metadata(root.join(path)).map_or(0, |m| m.len());
    let large: Vec<&str> = tracked.into_iter().filter(|path| size(path) > 1 << 20 && !LARGE.contains(path)).collect();
    assert!(large.is_empty(), "more than 1 MiB: {large:?}");
}
