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
    ("net", &["base", "settings", "wire"]),
    ("engine", &["base", "sys", "alert", "memory", "metainfo", "settings", "wire"]),
    ("discovery", &["base", "alert", "engine", "metainfo", "net", "settings", "wire"]),
    (
        "session",
        &["base", "sys", "alert", "memory", "metainfo", "settings", "wire", "disk", "net", "engine", "discovery"],
    ),
    ("ffi", &["base", "alert", "metainfo", "session", "settings"]),
];

/// What opens a socket, or asks for a name's addresses, and the one file that does it.
const OPENS: [&str; 8] = [
    "socket_with",
    "TcpListener::bind",
    "TcpSocket::new",
    "TcpStream::connect",
    "UdpSocket::bind",
    "Socket::new",
    "lookup_host",
    "to_socket_addrs",
];
const EGRESS: &str = "net/egress/sockets.rs";

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

    /// The names of its module, from the root on.
    fn module(&self) -> Vec<String> {
        let path = self.path.with_extension("");
        let names = path.iter().map(|name| name.to_string_lossy().into_owned());
        names.filter(|name| name != "mod").collect()
    }

    /// All that it names of this crate, from the root on.
    fn named(&self) -> impl Iterator<Item = Vec<String>> {
        let own = self.module();
        paths_in(&self.code).into_iter().filter_map(move |path| absolute(&own, &path))
    }

    /// The folders of `src/` that it uses.
    fn uses(&self) -> BTreeSet<String> {
        let first = self.named().filter_map(|path| path.into_iter().next());
        first.filter(|name| LAYERS.iter().any(|(layer, _)| layer == name)).collect()
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
    assert!(egress.code.contains("to_socket_addrs"), "it resolves names");
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

/// Rooms of the engine whose state is their own: none knows the torrent that they are parts of. Each may use those before it.
const ROOMS: [&str; 9] =
    ["bandwidth", "content", "peer", "readers", "cache", "requests", "trackers", "metadata", "swarm"];

#[test]
fn a_room_of_the_engine_uses_those_below() {
    let (mut wrong, mut looked_at) = (Vec::new(), BTreeSet::new());
    let level = |path: &[String]| {
        let room = path.first().filter(|first| *first == "engine").and_then(|_| path.get(1))?;
        ROOMS.iter().position(|name| name == room)
    };
    for source in sources() {
        let Some(own) = level(&source.module()) else { continue };
        looked_at.insert(own);
        let above = source.named().filter(|path| level(path).is_some_and(|used| used > own));
        wrong.extend(above.map(|path| format!("{}: it may not use {}", source.path.display(), path.join("::"))));
    }
    assert_eq!(looked_at.len(), ROOMS.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_room_knows_the_torrent() {
    let in_room = |path: &Path| ROOMS.iter().any(|room| path.starts_with(Path::new("engine").join(room)));
    let sources = sources();
    let rooms: Vec<&Source> = sources.iter().filter(|source| in_room(&source.path)).collect();
    assert!(rooms.len() > 50, "only {} sources found", rooms.len());
    let knows = |source: &&&Source| source.code.contains("torrent::Torrent") || source.code.contains("impl Torrent ");
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

/// Most files that may use each other in a circle: what is more than that can only be understood as one.
const MOST_IN_A_CIRCLE: usize = 3;

/// The files that each file uses, by the names of their modules.
fn uses_of_files(sources: &[Source]) -> BTreeMap<Vec<String>, BTreeSet<Vec<String>>> {
    let modules: BTreeSet<Vec<String>> = sources.iter().map(Source::module).collect();
    // The file is the longest beginning of the path that is one; the rest is inside it.
    let file_of = |path: Vec<String>| (1..=path.len()).rev().map(|n| path[..n].to_vec()).find(|m| modules.contains(m));
    let used = |source: &Source| -> BTreeSet<Vec<String>> {
        let own = source.module();
        source.named().filter_map(file_of).filter(|file| *file != own).collect()
    };
    sources.iter().map(|source| (source.module(), used(source))).collect()
}

/// From the root on; of a path that begins elsewhere than in this crate there is none.
fn absolute(own: &[String], path: &[String]) -> Option<Vec<String>> {
    let (mut base, mut rest) = match path.first()?.as_str() {
        "crate" => (Vec::new(), &path[1..]),
        "self" | "super" => (own.to_vec(), path),
        _ => return None,
    };
    while let Some((first, behind)) =
        rest.split_first().filter(|(first, _)| ["self", "super"].contains(&first.as_str()))
    {
        if first == "super" {
            base.pop();
        }
        rest = behind;
    }
    base.extend(rest.iter().cloned());
    Some(base)
}

/// All paths that are used, lists in braces taken apart.
fn paths_in(code: &str) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for begin in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(begin) {
            let inside = code[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':');
            let visibility = code[..at].ends_with("(in ");
            if !inside && !visibility {
                take_path(&code[at..], &mut Vec::new(), &mut paths);
            }
        }
    }
    paths
}

/// Takes one path in, with all that a list at its end names. What stands behind it.
fn take_path<'a>(text: &'a str, before: &mut Vec<String>, paths: &mut Vec<Vec<String>>) -> &'a str {
    let (depth, mut text) = (before.len(), text.trim_start());
    loop {
        if let Some(mut list) = text.strip_prefix('{') {
            loop {
                list = take_path(list, before, paths).trim_start();
                match list.strip_prefix(',') {
                    Some(next) => list = next,
                    None => break,
                }
            }
            before.truncate(depth);
            return list.strip_prefix('}').unwrap_or(list);
        }
        let name = first_word(text);
        text = &text[name.len().min(text.len())..];
        before.push(name);
        match text.strip_prefix("::") {
            Some(next) if next.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '{') => text = next,
            _ => break,
        }
    }
    paths.push(before.clone());
    before.truncate(depth);
    // Another name for it.
    let behind = text.trim_start();
    behind
        .strip_prefix("as ")
        .map_or(text, |renamed| renamed.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_'))
}

/// The largest sets of files of which each uses each other, by way of others.
fn circles(uses: &BTreeMap<Vec<String>, BTreeSet<Vec<String>>>) -> Vec<Vec<String>> {
    let reached_from = |file: &Vec<String>| -> BTreeSet<Vec<String>> {
        let (mut reached, mut pending) = (BTreeSet::new(), vec![file.clone()]);
        while let Some(next) = pending.pop() {
            pending.extend(uses[&next].iter().filter(|used| reached.insert((*used).clone())).cloned());
        }
        reached
    };
    let reached: BTreeMap<&Vec<String>, BTreeSet<Vec<String>>> =
        uses.keys().map(|file| (file, reached_from(file))).collect();
    let circle_of = |file: &Vec<String>| -> Vec<String> {
        let back = reached[file].iter().filter(|other| reached[other].contains(file));
        back.map(|other| other.join("/")).collect()
    };
    let all: BTreeSet<Vec<String>> = uses.keys().map(circle_of).filter(|circle| circle.len() > 1).collect();
    all.into_iter().collect()
}

/// A path that begins with the name of a module beside it would not be seen here.
#[test]
fn paths_within_the_crate_say_where_they_begin() {
    let sources = sources();
    let modules: BTreeSet<Vec<String>> = sources.iter().map(Source::module).collect();
    let mut wrong = Vec::new();
    for source in &sources {
        for line in source.code.lines().filter(|line| line.contains("use ") && line.contains("::")) {
            let first = first_word(line.split("use ").nth(1).unwrap_or(""));
            let beside: Vec<String> = source.module().into_iter().chain([first]).collect();
            if modules.contains(&beside) {
                wrong.push(format!("{}: {}", source.path.display(), line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_circle_ties_more_than_a_few_files() {
    let found = circles(&uses_of_files(&sources()));
    let large: Vec<_> = found.iter().filter(|circle| circle.len() > MOST_IN_A_CIRCLE).collect();
    assert!(large.is_empty(), "{large:#?}");
}

#[test]
fn paths_are_taken_apart_and_circles_are_found() {
    let code = "use crate::a::{b::{C, self}, d as e, f::G};\nfn x(y: super::super::h::I) { self::j::k() }\npub(in crate::l) fn m() {}\n";
    let found: Vec<String> = paths_in(code).iter().map(|path| path.join("::")).collect();
    let expected =
        ["crate::a::b::C", "crate::a::b::self", "crate::a::d", "crate::a::f::G", "super::super::h::I", "self::j::k"];
    assert_eq!(found, expected);
    let names = |names: &str| names.split('/').map(str::to_owned).collect::<Vec<String>>();
    assert_eq!(absolute(&names("p/q/r"), &names("super/super/h")), Some(names("p/h")));
    assert_eq!(absolute(&names("p"), &names("std/h")), None);
    let file = |path: &str, code: &str| Source { path: PathBuf::from(path), code: code.to_owned() };
    let files = [
        file("a/mod.rs", "use self::b::B; mod c;"),
        file("a/b.rs", "use super::c::C;"),
        file("a/c.rs", "fn f() { crate::a::b::g() }"),
        file("d.rs", "use crate::a::b::B;"),
    ];
    assert_eq!(circles(&uses_of_files(&files)), [["a/b", "a/c"]]);
}
