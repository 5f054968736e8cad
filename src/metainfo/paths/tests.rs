//! Tests of safe paths. What is expected of names on a Posix system was read off libtorrent 2.1.1; the interop tests compare
//! more of it.

use proptest::prelude::*;

use std::collections::HashSet;

use super::*;

fn posix(bytes: &[u8]) -> Option<String> {
    sanitize_element(bytes, Rules::Posix)
}

fn windows(bytes: &[u8]) -> String {
    sanitize_element(bytes, Rules::Windows).expect("an element")
}

#[test]
fn plain_names_stay() {
    for name in ["a", "Big Buck Bunny (2008).mkv", ".hidden", "日本語.txt", "a..b", "console", "com10", "lpt", "..a"]
    {
        assert_eq!(posix(name.as_bytes()).as_deref(), Some(name));
        assert_eq!(windows(name.as_bytes()), name);
    }
}

/// What only Windows minds is found under the name that libtorrent wrote.
#[test]
fn names_that_only_windows_refuses_stay_elsewhere() {
    for name in ["a:b?c*d<e>f|g\"h", "trailing. .", "CON.txt", "con", "...", ". .", "aux .x"] {
        assert_eq!(posix(name.as_bytes()).as_deref(), Some(name));
    }
}

#[test]
fn nothing_climbs_out() {
    for dots in [&b"."[..], b"..", b"./", b"/..", b"..\\", b".\xe2\x80\xae.", b"/", b"", b"\0", b"\0.\0."] {
        assert_eq!(posix(dots), None, "{}", dots.escape_ascii());
        assert_eq!(sanitize_element(dots, Rules::Windows), None, "{}", dots.escape_ascii());
    }
    assert_eq!((windows(b"..."), windows(b". .")), ("_".into(), "_".into()));
    assert_eq!(posix(b"../../etc/passwd").as_deref(), Some("....etcpasswd"));
    assert_eq!((posix(b"C:\\Windows").as_deref(), windows(b"C:\\Windows")), (Some("C:Windows"), "C_Windows".into()));
    let path = |root: &str, elements: &[&[u8]]| sanitize_path(root, elements.iter().copied(), Rules::Posix);
    assert_eq!(path("", &[b"..", b"."]), "_/_");
    assert_eq!(path("t", &[]), "t/_");
    assert_eq!(path("t", &[b".."]), "t/_");
    assert_eq!(path("t", &[b"a", b"..", b"/b"]), "t/a/_/b");
    assert_eq!(path("t", &[b"/", b"etc"]), "t/_/etc");
}

#[test]
fn hostile_characters() {
    assert_eq!(posix(b"a\0b\nc\x7f").as_deref(), Some("ab_c_"));
    assert_eq!(windows(b"<>:\"|?*"), "_______");
    assert_eq!(posix("exe\u{202e}fdp\u{2066}.\u{200f}x\u{61c}".as_bytes()).as_deref(), Some("exefdp.x"));
    assert_eq!(windows(b"name. . ."), "name");
}

#[test]
fn broken_utf8_becomes_one_mark_a_sequence() {
    for (bytes, name) in [
        (&b"\xff\xfe"[..], "__"),
        (b"a\xffb", "a_b"),
        (b"\xed\xa0\x80", "_"),
        (b"\xf4\x90\x80\x80", "_"),
        (b"\xc0\x80", "_"),
        (b"\xe2\x82", "_"),
        (b"\xe2(\xa1", "_"),
        (b"\xc3/x", "_x"),
        (b"\xf8\x88\x80\x80\x80a", "_a"),
        (b"\xfbabcdefg", "_efg"),
        (b"\xf9a", "_"),
        (b"\xfcab\xfd", "_ab_"),
    ] {
        assert_eq!(posix(bytes).as_deref(), Some(name), "{}", bytes.escape_ascii());
    }
}

#[test]
fn device_names() {
    for (name, safe) in
        [("con", "_con"), ("CON.txt", "_CON.txt"), ("Lpt9", "_Lpt9"), ("aux .x", "_aux .x"), ("com¹", "_com¹")]
    {
        assert_eq!(windows(name.as_bytes()), safe);
    }
    // Cutting makes a device of it.
    assert_eq!(windows(format!("con{}x", " ".repeat(300)).as_bytes()), "_con");
}

/// An element may pass 240 bytes by its last character and a short extension, as libtorrent has it.
#[test]
fn long_names_keep_their_extension() {
    let a = |n: usize| "a".repeat(n);
    for (name, cut) in [
        (a(249), a(240)),
        (a(245) + ".mkv", a(240) + ".mkv"),
        (a(300) + ".mkv", a(240) + ".mkv"),
        (a(240) + ".mkv", a(240) + ".mkv"),
        (a(239) + ".mkv", a(239) + "."),
        (a(238) + "日本.mkv", a(238) + "日.mkv"),
        (a(260) + ".abcdefghij", a(240)),
        (a(260) + ".12345678", a(240) + ".12345678"),
        ("é".repeat(200) + ".mkv", "é".repeat(120) + ".mkv"),
    ] {
        assert_eq!(posix(name.as_bytes()).as_deref(), Some(cut.as_str()), "{name}");
    }
    // Marks for broken bytes do not cut in libtorrent; no file system takes what comes of it.
    assert_eq!(posix(&[0xff; 300]).map(|e| e.len()), Some(MAX_ELEMENT_BYTES));
}

fn distinct_by(rules: Rules, paths: &[&str]) -> Vec<String> {
    let mut paths: Vec<String> = paths.iter().map(|&p| p.to_owned()).collect();
    let before = paths.clone();
    make_distinct(paths.iter_mut().map(|p| (p, None)), rules);
    assert_eq!(are_distinct(before.iter().map(String::as_str), rules), before == paths, "{before:?}");
    paths
}

fn distinct(paths: &[&str]) -> Vec<String> {
    distinct_by(Rules::Posix, paths)
}

#[test]
fn duplicates_get_numbers() {
    assert_eq!(distinct(&["t/a.mkv", "t/A.MKV", "t/a.mkv"]), ["t/a.mkv", "t/A.1.MKV", "t/a.2.mkv"]);
    assert_eq!(distinct(&["a.1", "a", "a", "a"]), ["a.1", "a", "a.2", "a.3"]);
    // Whatever the order, a file yields to a directory.
    assert_eq!(distinct(&["t/d", "t/D/x"]), ["t/d.1", "t/D/x"]);
    assert_eq!(distinct(&["t/.x", "t/.x"]), ["t/.x", "t/.1.x"]);
    assert_eq!(distinct(&["t/b.", "t/b.", "x.y/n", "x.y/n"]), ["t/b.", "t/b.1.", "x.y/n", "x.y/n.1"]);
    let long = format!("a.{}", "b".repeat(30));
    assert_eq!(distinct(&[&long, &long])[1], format!("a.1.{}", "b".repeat(30)));
    let long = "a".repeat(240);
    assert_eq!(distinct(&[&long, &long])[1], format!("{long}.1"));
    let longest = format!("t/{}", "a".repeat(MAX_ELEMENT_BYTES));
    let names = distinct(&[&longest, &longest]);
    assert!(names[0] != names[1] && names[1].len() == longest.len() && names[1].ends_with(".1"));
    let device = format!("con{}x", " ".repeat(MAX_ELEMENT_BYTES - 4));
    assert_eq!(distinct_by(Rules::Windows, &[&device, &device])[1].get(..4), Some("_con"));
}

/// Pad files are not written. Those of one size share a name; with any other file they do not.
#[test]
fn pad_files_share_their_names() {
    let mut paths = ["x", "x", "x", "x", "y", "Y"].map(str::to_owned);
    let pads = [Some(5), Some(5), Some(7), None, None, Some(5)];
    make_distinct(paths.iter_mut().zip(pads), Rules::Posix);
    assert_eq!(paths, ["x", "x", "x.1", "x.2", "y", "Y.1"]);
}

/// Windows takes É and é for one; elsewhere libtorrent writes two files.
#[test]
fn case_beyond_ascii() {
    assert_eq!(distinct(&["É", "é"]), ["É", "é"]);
    assert_eq!(distinct_by(Rules::Windows, &["É", "é"]), ["É", "é.1"]);
}

/// Long names that differ only where they are cut must not try each other's numbers.
#[test]
fn many_duplicates_are_not_quadratic() {
    let mut paths: Vec<String> = (0..20_000).map(|i| format!("{}{:020}", "a".repeat(235), i / 2)).collect();
    make_distinct(paths.iter_mut().map(|p| (p, None)), Rules::Posix);
    let all: HashSet<&String> = paths.iter().collect();
    assert_eq!(all.len(), paths.len());
}

/// What holds for any element of any path.
fn check_element(element: &str, rules: Rules) {
    assert!(!element.is_empty() && element.len() <= MAX_ELEMENT_BYTES, "{element:?}");
    assert!(!matches!(element, "." | ".."), "{element:?}");
    assert!(!element.contains(|c: char| c.is_control() || "/\\\u{202e}".contains(c)), "{element:?}");
    if rules == Rules::Windows {
        assert!(
            !element.ends_with(['.', ' ']) && !element.contains(['<', '>', ':', '"', '|', '?', '*']),
            "{element:?}"
        );
        assert!(!is_device_name(element), "{element:?}");
    }
}

fn hostile_element() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        "[./\\\\ a\u{202e}]{0,6}".prop_map(String::into_bytes),
        "(?i)(con|aux|a|b|com1)[. ]{0,3}(mkv)?".prop_map(String::into_bytes),
        "[a.é ]{200,300}".prop_map(String::into_bytes),
    ]
}

fn any_rules() -> impl Strategy<Value = Rules> {
    prop_oneof![Just(Rules::Posix), Just(Rules::Windows)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_element_is_safe(bytes in hostile_element(), rules in any_rules()) {
        if let Some(element) = sanitize_element(&bytes, rules) {
            check_element(&element, rules);
        }
    }

    #[test]
    fn any_paths_are_safe_and_distinct(
        paths in proptest::collection::vec(proptest::collection::vec(hostile_element(), 0..4), 0..20), rules in any_rules()
    ) {
        let mut paths: Vec<String> =
            paths.iter().map(|p| sanitize_path("t", p.iter().map(Vec::as_slice), rules)).collect();
        make_distinct(paths.iter_mut().map(|p| (p, None)), rules);
        let case = |p: &str| if rules == Rules::Windows { p.to_lowercase() } else { p.to_ascii_lowercase() };
        let mut seen = HashSet::new();
        let directories: HashSet<String> = paths
            .iter()
            .flat_map(|p| p.match_indices('/').map(|(at, _)| case(&p[..at])).collect::<Vec<_>>())
            .collect();
        for path in &paths {
            prop_assert!(path.starts_with("t/"));
            path.split('/').for_each(|element| check_element(element, rules));
            prop_assert!(seen.insert(case(path)), "{} twice", path);
            prop_assert!(!directories.contains(&case(path)), "{} is a directory", path);
        }
    }
}
