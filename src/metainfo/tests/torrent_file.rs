//! Tests of torrent files and info dictionaries.

use std::collections::HashSet;
use std::path::{Component, Path};

use proptest::prelude::*;

use super::bencode::any_entry;
use crate::metainfo::bencode::Entry;
use crate::metainfo::create::Create;
use crate::metainfo::info_hash::{Sha1Hash, Sha256Hash};
use crate::metainfo::layout::FileFlags;
use crate::metainfo::torrent_file::{Info, MAX_NODES, MAX_TRACKERS, MAX_WEB_SEEDS, TorrentFile};

/// A file of a torrent: its path, size, and other entries.
fn file(path: &[&str], length: i64) -> Entry {
    let mut file = Entry::dict();
    file.set("length", length).set("path", list(path));
    file
}

fn list(items: &[&str]) -> Entry {
    Entry::List(items.iter().map(|&s| s.into()).collect())
}

/// An info dictionary with enough piece hashes for `size` bytes in pieces of 16.
fn info(size: usize) -> Entry {
    let mut info = Entry::dict();
    info.set("name", "t").set("piece length", 16u32).set("pieces", vec![7u8; size.div_ceil(16) * 20]);
    info
}

fn single(size: i64) -> Entry {
    let mut info = info(size as usize);
    info.set("length", size);
    info
}

fn multi(files: Vec<Entry>, size: usize) -> Entry {
    let mut info = info(size);
    info.set("files", files);
    info
}

fn parse(info: &Entry) -> Result<Info, String> {
    Info::parse(&info.encode()).map_err(|e| e.message)
}

fn torrent(set: impl FnOnce(&mut Entry) -> &mut Entry) -> TorrentFile {
    let mut root = Entry::dict();
    root.set("info", single(20));
    set(&mut root);
    TorrentFile::parse(&root.encode()).expect("a torrent file")
}

#[test]
fn single_file() {
    let mut info = single(40);
    info.set("private", 1u32).set("source", "X").set("mtime", 5u32);
    let bytes = info.encode();
    let info = Info::parse(&bytes).expect("valid");
    assert_eq!(info.info_hashes.v1, Some(Sha1Hash::of(&bytes)));
    assert_eq!((info.info_hashes.v2, &*info.bytes), (None, &bytes[..]));
    assert_eq!((info.name.as_str(), info.private, info.source.as_deref()), ("t", true, Some("X")));
    let [file] = info.layout.files() else { panic!("one file") };
    assert_eq!((file.path.as_str(), file.size, file.offset, file.mtime), ("t", 40, 0, Some(5)));
    assert_eq!((info.layout.num_pieces(), info.piece_hashes()), (3, &[7u8; 60][..]));
    assert_eq!((info.piece_hash(2), info.piece_hash(3)), (Some(Sha1Hash([7; 20])), None));
    assert_eq!(info.piece_hash(u32::MAX), None);
}

#[test]
fn multi_file() {
    let mut attributes = file(&["d", "b.bin"], 20);
    attributes.set("attr", "hx");
    let mut pad = file(&[".pad", "12"], 12);
    pad.set("attr", "p");
    let mut link = file(&["link"], 99);
    link.set("attr", "l").set("symlink path", list(&["d", ".", "b.bin"]));
    let mut broken_link = file(&["d", "B.BIN"], 0);
    broken_link.set("attr", "l");
    let bitcomet = file(&["_____padding_file_0_if you see this file"], 1);
    let mut utf8 = file(&["wrong"], 1);
    utf8.set("path.utf-8", list(&["é"]));
    let files = vec![attributes, pad.clone(), pad, link, broken_link, bitcomet, utf8];
    let mut info = multi(files, 46);
    info.set("name.utf-8", "ü");
    let info = parse(&info).expect("valid");
    let files: Vec<_> = info.layout.files().iter().map(|f| (f.path.as_str(), f.offset, f.size, f.flags)).collect();
    assert_eq!(
        files,
        [
            ("ü/d/b.bin", 0, 20, FileFlags::HIDDEN | FileFlags::EXECUTABLE),
            ("ü/.pad/12", 20, 12, FileFlags::PAD),
            ("ü/.pad/12", 32, 12, FileFlags::PAD),
            ("ü/link", 44, 0, FileFlags::SYMLINK),
            ("ü/d/B.1.BIN", 44, 0, FileFlags::empty()),
            ("ü/_____padding_file_0_if you see this file", 44, 1, FileFlags::PAD),
            ("ü/é", 45, 1, FileFlags::empty()),
        ]
    );
    assert_eq!(info.layout.files()[3].symlink_target.as_deref(), Some("ü/d/b.bin"));
}

/// Each value counts, keys too: a file in one folder has six.
#[test]
fn a_torrent_has_three_million_values_at_most() {
    let with = |values: usize| {
        let mut torrent = Entry::dict();
        torrent.set("info", single(16)).set("x", Entry::List(vec![Entry::from(""); values]));
        TorrentFile::parse(&torrent.encode())
    };
    // The file has thirteen beside them.
    assert!(with(3_000_000 - 13).is_ok());
    let error = with(3_000_000 - 12).expect_err("one too many");
    assert!(error.message.contains("too many values"), "{}", error.message);
}

#[test]
fn names() {
    for (name, safe) in
        [("..", None), ("", None), ("a/b", Some("ab")), ("/etc", Some("etc")), ("a: b?.", Some("a: b?."))]
    {
        let mut info = single(10);
        info.set("name", name);
        let info = parse(&info).expect("valid");
        let hash = info.info_hashes.best().to_hex();
        assert_eq!(info.name, safe.unwrap_or(&hash));
        assert_eq!(info.layout.files()[0].path, info.name);
        let mut info = multi(vec![file(&["f", ".."], 10)], 10);
        info.set("name", name);
        let info = parse(&info).expect("valid");
        let hash = info.info_hashes.best().to_hex();
        let safe = if name.is_empty() { Some("_") } else { safe };
        assert_eq!(info.layout.files()[0].path, format!("{}/f/_", safe.unwrap_or(&hash)));
    }
}

/// Numbers that nobody needs may be of any size, wherever they stand; one that is needed is named.
#[test]
fn numbers_beyond_64_bits_spoil_their_own_field() {
    const HUGE: &str = "i18446744073709551615e";
    let with = |key: &str, number: &str| {
        let mut info = single(40);
        info.set(key, Entry::Raw(number.into()));
        parse(&info)
    };
    for key in ["mtime", "meta version", "x", "source", "md5sum", "files"] {
        assert_eq!(
            with(key, HUGE).map(|info| (info.layout.total_size(), info.info_hashes.v2)),
            Ok((40, None)),
            "{key}"
        );
    }
    assert!(with("length", HUGE).expect_err("needed").contains("size"));
    assert!(with("piece length", HUGE).expect_err("needed").contains("piece length"));
    // What is not 0 is meant to be private.
    for (number, private) in
        [(HUGE, true), ("i-99999999999999999999e", true), ("i1e", true), ("i000e", false), ("1:1", false)]
    {
        assert_eq!(with("private", number).map(|info| info.private), Ok(private), "{number}");
    }
    let file = torrent(|t| {
        let node = vec![Entry::from("h"), Entry::Raw(HUGE.into())];
        t.set("creation date", Entry::Raw(HUGE.into()))
            .set("nodes", vec![Entry::List(node)])
            .set("url-list", Entry::Raw(HUGE.into()))
    });
    assert_eq!((file.creation_date, file.nodes.len(), file.web_seeds.len()), (None, 0, 0));
    assert!(file.encode().escape_ascii().to_string().contains("13:creation datei18446744073709551615e"));
}

/// So may be what stands for a number and is none.
#[test]
fn numbers_that_cannot_be_read_spoil_their_own_field() {
    for number in ["i+5e", "ie", "i-e", "i1.5e", "i 5e", "i0x5e", "i--5e"] {
        let with = |key: &str| {
            let mut info = single(40);
            info.set(key, Entry::Raw(number.into()));
            let bytes = info.encode();
            parse(&info).map(|info| (info.layout.total_size(), info.bytes.to_vec() == bytes))
        };
        for key in ["mtime", "meta version", "x", "source", "private"] {
            assert_eq!(with(key), Ok((40, true)), "{key} {number}");
        }
        assert!(with("length").expect_err("needed").contains("has a size that is not a number"), "{number}");
        assert!(with("piece length").expect_err("needed").contains("`piece length` is not a number"), "{number}");
        let file = torrent(|t| t.set("creation date", Entry::Raw(number.into())).set("x", Entry::Raw(number.into())));
        assert_eq!(file.creation_date, None);
        let again = file.encode().escape_ascii().to_string();
        assert!(again.contains(&format!("13:creation date{number}")) && again.contains(&format!("1:x{number}")));
    }
}

/// Pad files that have no path, or an empty one, are named as libtorrent names them; other files need one.
#[test]
fn pad_files_need_no_path() {
    let pad = |set: &dyn Fn(&mut Entry)| {
        let mut pad = Entry::dict();
        pad.set("length", 12u32).set("attr", "p");
        set(&mut pad);
        pad
    };
    let pads = vec![
        pad(&|_| {}),
        file(&["a"], 4),
        pad(&|p| _ = p.set("path", list(&[]))),
        pad(&|p| _ = p.set("path", "a")),
        file(&[".pad", "12"], 4),
        pad(&|p| _ = p.set("path", list(&["x", "y"]))),
    ];
    let info = parse(&multi(pads, 56)).expect("valid");
    let files: Vec<_> = info.layout.files().iter().map(|f| (f.path.as_str(), f.flags == FileFlags::PAD)).collect();
    let own = (".pad/12", true);
    assert_eq!(files, [own, ("t/a", false), own, own, ("t/.pad/12", false), ("t/x/y", true)]);
    let mut no_path = Entry::dict();
    no_path.set("length", 12u32).set("attr", "x");
    assert!(parse(&multi(vec![no_path], 12)).expect_err("no path").contains("without a `path`"));
}

/// A target is looked for below the torrent's directory, then in the link's own, then through other links.
#[test]
fn symlinks() {
    let link = |path: &[&str], target: &[&str]| {
        let mut link = file(path, 0);
        link.set("attr", "l").set("symlink path", list(target));
        link
    };
    let targets = |links: Vec<Entry>| {
        let files = vec![file(&["Versions", "A", "bin"], 5), file(&["top"], 5), file(&["x", "y", "z", "deep"], 5)];
        let info = parse(&multi(files.into_iter().chain(links).collect(), 15)).expect("valid");
        info.layout.files()[3..].iter().map(|f| f.symlink_target.clone().expect("a link")).collect::<Vec<_>>()
    };
    for (path, target, want) in [
        (&["Versions", "Current"][..], &["A"][..], "t/Versions/A"),
        (&["Versions", "Current"], &["Versions", "A"], "t/Versions/A"),
        (&["Versions", "A", "q"], &["bin"], "t/Versions/A/bin"),
        (&["l"], &["top"], "t/top"),
        (&["l"], &["t", "top"], "t/l"),
        (&["x", "l"], &["y", "z", "deep"], "t/x/y/z/deep"),
        (&["x", "l"], &["..", "top"], "t/top"),
        (&["x", "l"], &[".", "y"], "t/x/y"),
        (&["x", "l"], &["x"], "t/x"),
        (&["x", "y", "l"], &["y"], "t/x/y/l"),
        (&["l"], &["..", "..", "etc"], "t/l"),
        (&["l"], &["/", "top"], "t/l"),
        (&["l"], &["nope"], "t/l"),
        (&["l"], &["TOP"], "t/l"),
        (&["l"], &[""], "t/l"),
    ] {
        assert_eq!(targets(vec![link(path, target)]), [want], "{path:?} -> {target:?}");
    }
    // Through other links, whichever comes first; in a circle, to itself.
    let current = || link(&["Versions", "Current"], &["A"]);
    let through = link(&["bin"], &["Versions", "Current", "bin"]);
    let want = ["t/Versions/A", "t/Versions/Current/bin", "t/bin", "t/bad"];
    let chain = [through.clone(), link(&["bin2"], &["bin"]), link(&["bad"], &["Versions", "Current", "nope"])];
    assert_eq!(targets([current()].into_iter().chain(chain).collect()), want);
    assert_eq!(targets(vec![through, current()]), [want[1], want[0]]);
    let circle = [link(&["a"], &["b"]), link(&["b"], &["a"]), link(&["c"], &["a", "x"])];
    assert_eq!(targets(circle.into()), ["t/b", "t/a", "t/c"]);
}

/// Links of links, as many as fit, are walked through a bounded number of times.
#[test]
fn many_symlinks_end() {
    let mut files = vec![file(&["d", "f"], 5)];
    for i in 0..5_000 {
        let mut link = file(&[&format!("l{i}")], 0);
        let first = if i == 0 { "d".to_owned() } else { format!("l{}", i - 1) };
        link.set("attr", "l").set("symlink path", list(&[&first, &["x"; 40].join("/"), "f"]));
        files.push(link);
    }
    assert!(parse(&multi(files, 5)).is_ok());
}

#[test]
fn refusals() {
    let changed = |key: &str, value: Entry| {
        let mut info = single(40);
        info.set(key, value);
        parse(&info).expect_err(key)
    };
    assert!(changed("piece length", 0u32.into()).contains("piece length 0"));
    assert!(changed("piece length", (-16i64).into()).contains("piece length -16"));
    assert!(changed("piece length", (1i64 << 32).into()).contains("piece length 4294967296"));
    assert!(changed("piece length", "16".into()).contains("`piece length` is not a number"));
    assert!(changed("length", (-1i64).into()).contains("negative"));
    assert!(changed("length", 0u32.into()).contains("without a byte"));
    assert!(changed("length", i64::MAX.into()).contains("pieces"));
    assert!(changed("length", "40".into()).contains("`length`"));
    assert!(changed("pieces", vec![0u8; 59].into()).contains("59 bytes"));
    assert!(changed("pieces", vec![0u8; 80].into()).contains("80 bytes"));
    assert!(changed("pieces", 1u32.into()).contains("not a string"));
    assert!(changed("name", 1u32.into()).contains("`name`"));
    assert!(changed("files", Entry::List(Vec::new())).contains("without files"));
    let error = |files, size| parse(&multi(files, size)).expect_err("an error");
    assert!(error(vec![file(&["a"], i64::MAX), file(&["b"], i64::MAX)], 16).contains("64-bit"));
    assert!(error(vec![file(&["a"], -5)], 16).contains("negative"));
    assert!(error(vec![file(&["a"], 5), Entry::from("x")], 16).contains("file 1 without a `path`"));
    assert!(error(vec![file(&["a"; 100], 5)], 16).contains("deep"));
    assert!(parse(&multi(vec![file(&["a"; 99], 5)], 5)).is_ok());
    assert!(Info::parse(b"le").is_err() && Info::parse(b"").is_err());
    // Bytes behind the dictionary would change the hash.
    assert!(Info::parse(&[&single(5).encode()[..], b"\n"].concat()).is_err());
    for bad in [&b""[..], b"le", b"de", b"d4:infoi1ee", b"<html>"] {
        assert!(TorrentFile::parse(bad).is_err());
    }
}

#[test]
fn hybrid_and_v2() {
    let mut hybrid = single(40);
    hybrid.set("meta version", 2u32).set("file tree", Entry::dict());
    let bytes = hybrid.encode();
    let mut root = Entry::dict();
    root.set("info", hybrid).set("piece layers", Entry::dict());
    let file = TorrentFile::parse(&root.encode()).expect("valid");
    assert_eq!(file.info.info_hashes.v1, Some(Sha1Hash::of(&bytes)));
    assert_eq!(file.info.info_hashes.v2, Some(Sha256Hash::of(&bytes)));
    assert_eq!(TorrentFile::parse(&file.encode()), Ok(file));

    let mut v2 = Entry::dict();
    v2.set("name", "t").set("piece length", 16384u32).set("meta version", 2u32).set("file tree", Entry::dict());
    let error = Info::parse(&v2.encode()).expect_err("no v1 part");
    assert!(error.unsupported && error.message.contains("v2 only") && error.message.contains("`pieces`"), "{error}");
    v2.set("meta version", 1u32);
    assert!(Info::parse(&v2.encode()).expect_err("a file tree").unsupported);
    let neither = Info::parse(b"d4:name1:t12:piece lengthi16384ee").expect_err("no pieces");
    assert!(!neither.unsupported);
}

#[test]
fn info_bytes_are_exact_however_odd() {
    // Keys out of order, a leading zero, an unknown entry.
    let info = b"d4:name1:t6:lengthi05e3:xyzle12:piece lengthi16e6:pieces20:AAAAAAAAAAAAAAAAAAAAe";
    let bytes = [b"d8:announce8:http://t4:info", &info[..], b"e\r\n"].concat();
    let file = TorrentFile::parse(&bytes).expect("lenient");
    assert_eq!((&*file.info.bytes, file.info.info_hashes.v1), (&info[..], Some(Sha1Hash::of(info))));
    assert_eq!(file.info.piece_hash(0), Some(Sha1Hash(*b"AAAAAAAAAAAAAAAAAAAA")));
    assert!(file.encode().windows(info.len()).any(|w| w == info));
}

#[test]
fn trackers() {
    let tiers = |lists: &[&[&str]]| Entry::List(lists.iter().map(|l| list(l)).collect());
    let only = torrent(|t| t.set("announce", " http://a "));
    assert_eq!(only.trackers, [["http://a"]]);
    let both = torrent(|t| {
        t.set("announce", "http://x")
            .set("announce-list", tiers(&[&["http://b ", "", "udp://c"], &[], &["http://b"], &["http://d"]]))
    });
    assert_eq!(both.trackers, [vec!["http://b", "udp://c"], vec!["http://d"]]);
    let empty = torrent(|t| t.set("announce", "http://x").set("announce-list", tiers(&[&[""], &["a\nb"]])));
    assert_eq!(empty.trackers, [["http://x"]]);
    let flat = torrent(|t| t.set("announce-list", list(&["http://a", "http://b"])));
    assert_eq!(flat.trackers, [["http://a"], ["http://b"]]);
    let urls: Vec<String> = (0..3000).map(|i| format!("http://{i}")).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let many = torrent(|t| t.set("announce-list", tiers(&[&urls])).set("url-list", list(&urls)));
    assert_eq!((many.trackers[0].len(), many.web_seeds.len()), (MAX_TRACKERS, MAX_WEB_SEEDS));
}

#[test]
fn other_fields() {
    let node = |host: &str, port: i64| Entry::List(vec![host.into(), port.into()]);
    let file = torrent(|t| {
        t.set("url-list", "http://w/")
            .set("comment", &b"a\xff"[..])
            .set("created by", "me")
            .set("creation date", -5i64);
        t.set(
            "nodes",
            vec![node("h", 6881), node("h", 0), node("h", 70000), node("", 1), Entry::from("x"), list(&["h"])],
        )
    });
    assert_eq!(
        (file.web_seeds.clone(), file.nodes.clone()),
        (vec!["http://w/".to_owned()], vec![("h".to_owned(), 6881)])
    );
    assert_eq!((file.comment.as_deref(), file.created_by.as_deref()), (Some("a\u{fffd}"), Some("me")));
    assert_eq!(file.creation_date, Some(-5));
    let list = torrent(|t| t.set("url-list", list(&["http://a", "", "http://a", " http://b"])));
    assert_eq!(list.web_seeds, ["http://a", "http://b"]);
    assert_eq!(file.encode().escape_ascii().to_string().matches("7:comment2:a\\xff").count(), 1, "as it stood there");
    let many = torrent(|t| t.set("nodes", vec![node("h", 1); 500]));
    assert_eq!(many.nodes.len(), MAX_NODES);
}

/// The directory of a torrent of several files ends with a slash, and what may stand in no URL is escaped.
#[test]
fn web_seeds_can_be_fetched() {
    let seeds = |files: Vec<Entry>, urls: &[&str]| {
        let mut root = Entry::dict();
        root.set("info", multi(files, 20)).set("url-list", list(urls));
        TorrentFile::parse(&root.encode()).expect("a torrent file").web_seeds
    };
    let two = || vec![file(&["a"], 10), file(&["b"], 10)];
    let urls = ["http://h/a b", "http://h/a%20b/", "http://h", "http://h/é|\"", "http://h/x?y=1"];
    let want = ["http://h/a%20b/", "http://h/", "http://h/%C3%A9%7C%22/", "http://h/x?y=1/"];
    assert_eq!(seeds(two(), &urls), want);
    assert_eq!(seeds(vec![file(&["a"], 20)], &["http://h/a b", "http://h/y/"]), ["http://h/a%20b", "http://h/y/"]);
    let again = torrent(|t| t.set("url-list", "http://h/a b"));
    assert_eq!(
        (&again.web_seeds[..], TorrentFile::parse(&again.encode())),
        (&["http://h/a%20b".to_owned()][..], Ok(again.clone()))
    );
}

#[test]
fn create_makes_what_parses() {
    let create = Create {
        name: "dir".into(),
        piece_length: 16,
        files: vec![(vec!["a".into()], 20), (vec!["b".into(), "c".into()], 13)],
        private: true,
        trackers: vec![vec!["http://a".into(), "http://b".into()], vec!["http://c".into()]],
        web_seeds: vec!["http://w/".into()],
        comment: Some("c".into()),
        created_by: Some("d".into()),
        creation_date: Some(7),
        ..Create::default()
    };
    let file = create.clone().v1(vec![1; 60]).expect("a torrent");
    assert!(file.info.private);
    assert_eq!(file.info.layout.files()[1].path, "dir/b/c");
    assert_eq!(TorrentFile::parse(&file.encode()), Ok(file));
    assert!(create.v1(vec![1; 40]).is_err());
    let single = Create::single("x.bin", 100, 64).v1(vec![2; 40]).expect("a torrent");
    assert_eq!((single.info.layout.files()[0].path.as_str(), single.info.layout.num_pieces()), ("x.bin", 2));
    assert!(Create { files: Vec::new(), ..Create::single("x", 1, 1) }.v1(vec![0; 20]).is_err());
    assert!(Create::single("x", u64::MAX, 1).v1(Vec::new()).is_err());
}

fn any_element() -> impl Strategy<Value = Entry> {
    prop_oneof![
        "[./\\\\a-c ]{0,4}".prop_map(Entry::from),
        proptest::collection::vec(any::<u8>(), 0..12).prop_map(Entry::Bytes),
        any_entry(),
    ]
}

/// A torrent file that is valid, whatever its names, attributes and other entries say, and the size of its content. Only
/// where that is 0 it is not.
fn any_torrent() -> impl Strategy<Value = (Vec<u8>, i64)> {
    let path = || proptest::collection::vec(any_element(), 0..4).prop_map(Entry::List);
    let file = (path(), 0i64..50, proptest::option::of("[phlxz]{0,3}"), path());
    let extra = proptest::collection::btree_map(
        prop_oneof![
            "announce|announce-list|url-list|nodes|comment|creation date|created by|piece layers|x"
                .prop_map(String::into_bytes)
        ],
        any_entry(),
        0..4,
    );
    let name = any_element().prop_map(|e| if let Entry::Bytes(_) = e { e } else { "..".into() });
    (name, proptest::collection::vec(file, 1..6), extra).prop_map(|(name, files, extra)| {
        let symlink = |attr: &Option<String>, target: &Entry| {
            attr.as_ref().is_some_and(|a| a.contains('l')) && *target != Entry::List(Vec::new())
        };
        let size: i64 = files.iter().filter(|f| !symlink(&f.2, &f.3)).map(|f| f.1).sum();
        let files = files.into_iter().map(|(path, length, attr, target)| {
            let mut file = Entry::dict();
            file.set("path", path).set("length", length).set("symlink path", target);
            if let Some(attr) = attr {
                file.set("attr", attr);
            }
            file
        });
        let mut info = multi(files.collect(), size as usize);
        info.set("name", name);
        let mut root = Entry::Dict(extra);
        root.set("info", info);
        (root.encode(), size)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_torrents_paths_stay_inside((bytes, size) in any_torrent()) {
        let file = match TorrentFile::parse(&bytes) {
            Ok(file) => file,
            Err(error) => {
                prop_assert_eq!(size, 0, "{}", error);
                return Ok(());
            }
        };
        prop_assert_eq!(file.info.layout.total_size(), size as u64);
        let mut seen = HashSet::new();
        for entry in file.info.layout.files() {
            for path in [Some(&entry.path), entry.symlink_target.as_ref()].into_iter().flatten() {
                prop_assert!(!path.contains('\\') && !path.contains('\0'));
                prop_assert!(Path::new(path).components().all(|c| matches!(c, Component::Normal(_))), "{}", path);
                let own = entry.flags.contains(FileFlags::PAD) && path.starts_with(".pad/");
                prop_assert!(own || path.starts_with(&format!("{}/", file.info.name)), "{}", path);
            }
            prop_assert!(entry.flags.contains(FileFlags::PAD) || seen.insert(entry.path.to_ascii_lowercase()), "{}", entry.path);
        }
        prop_assert_eq!(TorrentFile::parse(&file.encode()), Ok(file));
    }

    #[test]
    fn mutations_end_well(
        (mut bytes, _) in any_torrent(), edits in proptest::collection::vec((any::<prop::sample::Index>(), 0u8..3, any::<u8>()), 1..4)
    ) {
        for (at, kind, byte) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        if let Ok(file) = TorrentFile::parse(&bytes) {
            prop_assert_eq!(Info::parse(&file.info.bytes), Ok((*file.info).clone()));
            prop_assert_eq!(TorrentFile::parse(&file.encode()), Ok(file));
        }
    }
}
