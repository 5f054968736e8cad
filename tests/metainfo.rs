//! Torrent files as libtorrent reads them: the same names, so that what it wrote is found; the same files; the same links.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use common::peers::python;
use elementum_torrent::metainfo::bencode::Entry;
use elementum_torrent::metainfo::{FileFlags, TorrentFile};
use serde_json::Value;

/// A hostile path element, of what has a meaning somewhere.
fn element(rng: &mut fastrand::Rng) -> Vec<u8> {
    const PARTS: &[&[u8]] = &[
        b"a",
        b"A",
        b"b",
        b".",
        b"..",
        b" ",
        b"/",
        b"\\",
        b"\0",
        b"\n",
        b"\x7f",
        b":",
        b"?",
        b"*",
        b"<",
        b"|",
        b"\"",
        b".mkv",
        b".x",
        b"con",
        b"\xff",
        b"\xc3",
        b"\xe2\x82",
        b"\xf0\x9f\x98",
        b"\xf8\x88\x80",
        b"\xfb",
        b"\xfc",
        b"\xed\xa0\x80",
        "é".as_bytes(),
        "É".as_bytes(),
        "日".as_bytes(),
        "\u{202e}".as_bytes(),
        "\u{2067}".as_bytes(),
        "\u{200e}".as_bytes(),
        "\u{61c}".as_bytes(),
        "\u{85}".as_bytes(),
        "\u{feff}".as_bytes(),
        "😀".as_bytes(),
    ];
    let mut element = Vec::new();
    if rng.u8(0..4) == 0 {
        // Long enough to be cut, or nearly.
        let filler = rng.choice([&b"a"[..], "é".as_bytes(), "日".as_bytes(), b"a."]).unwrap_or(b"a");
        element.extend(filler.repeat(rng.usize(225..260) / filler.len()));
    }
    for _ in 0..rng.usize(0..5) {
        element.extend_from_slice(rng.choice(PARTS).unwrap_or(&&b"a"[..]));
    }
    element
}

fn path(rng: &mut fastrand::Rng, plain: bool) -> Vec<Vec<u8>> {
    let one = |rng: &mut fastrand::Rng| match plain {
        true => vec![*rng.choice(b"abcAB").unwrap_or(&b'a')],
        false => element(rng),
    };
    (0..rng.usize(1..4)).map(|_| one(rng)).collect()
}

fn list(path: Vec<Vec<u8>>) -> Entry {
    path.into_iter().map(Entry::from).collect::<Vec<_>>().into()
}

/// A torrent of several files, whatever they are called. `plain`: of few short names, so that many meet.
fn torrent(rng: &mut fastrand::Rng, plain: bool, links: bool) -> Vec<u8> {
    let mut files = Vec::new();
    for _ in 0..rng.usize(2..12) {
        let mut file = Entry::dict();
        file.set("length", rng.i64(0..50)).set("path", list(path(rng, plain)));
        match rng.u8(0..10) {
            0 => _ = file.set("attr", "p"),
            1 => _ = file.set("attr", "hx"),
            2..=5 if links => {
                let mut target = path(rng, plain);
                if rng.bool() {
                    target.insert(0, rng.choice([&b".."[..], b".", b"/", b""]).unwrap_or(b".").to_vec());
                }
                file.set("attr", "l").set("length", 0u32).set("symlink path", list(target));
            }
            _ => {}
        }
        files.push(file);
    }
    files.push({
        let mut last = Entry::dict();
        last.set("length", 100u32).set("path", list(vec![b"last".to_vec()]));
        last
    });
    let mut info = Entry::dict();
    let name = if plain { b"t".to_vec() } else { element(rng) };
    // All files have less than a piece together.
    info.set("name", name).set("piece length", 16_384u32).set("pieces", vec![7u8; 20]).set("files", files);
    let mut root = Entry::dict();
    root.set("info", info).set("url-list", vec![Entry::from("http://h/a b"), Entry::from("http://h/c/")]);
    root.encode()
}

fn compare(plain: bool, with_links: bool, seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut libtorrent =
        python("lt_names.py").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("libtorrent starts");
    let mut to = libtorrent.stdin.take().unwrap();
    let mut from = BufReader::new(libtorrent.stdout.take().unwrap()).lines();
    let (mut compared, mut links, mut gave_up) = (0, 0, 0);
    for _ in 0..600 {
        let bytes = torrent(&mut rng, plain, with_links);
        writeln!(to, "{}", data_encoding::HEXLOWER.encode(&bytes)).unwrap();
        let theirs = from.next().unwrap().unwrap();
        let ours = TorrentFile::parse(&bytes).expect("a torrent");
        if theirs == "error" {
            continue;
        }
        let theirs: Value = serde_json::from_str(&theirs).unwrap();
        let files = theirs["files"].as_array().unwrap();
        compared += 1;
        assert_eq!(files.len(), ours.info.layout.num_files());
        for (theirs, ours) in files.iter().zip(ours.info.layout.files()) {
            let is_pad = ours.flags.contains(FileFlags::PAD);
            assert_eq!(theirs[1].as_u64().unwrap() & 1 != 0, is_pad, "{}", bytes.escape_ascii());
            assert_eq!(theirs[0].as_str().unwrap(), ours.path, "{}", bytes.escape_ascii());
            assert_eq!(theirs[2].as_u64().unwrap(), ours.size);
            let target = ours.symlink_target.as_deref().unwrap_or("");
            links += usize::from(!target.is_empty());
            if theirs[3].as_str().unwrap() != target {
                // Where links of one name lead through each other it gives up sooner.
                gave_up += 1;
                let itself = theirs[0].as_str().unwrap();
                let said = theirs[3].as_str().unwrap();
                assert!(itself.starts_with(said), "{said} or {target}: {}", bytes.escape_ascii());
            }
        }
        let seeds: Vec<&str> = theirs["seeds"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert_eq!(seeds, ours.web_seeds);
    }
    assert!(compared > 200, "libtorrent read {compared}");
    assert!(gave_up * 50 <= links, "of {links} links {gave_up} point elsewhere");
    drop(to);
    libtorrent.wait().unwrap();
}

#[test]
fn hostile_names_are_those_of_libtorrent() {
    compare(false, false, 1);
}

#[test]
fn names_that_meet_are_numbered_as_libtorrent_does() {
    compare(true, false, 2);
}

#[test]
fn symlinks_point_where_libtorrent_has_them() {
    compare(true, true, 3);
}
