//! Tests of the bencode parser and encoder.

use proptest::prelude::*;

use crate::metainfo::bencode::{Document, Entry, Limits};

fn parse(input: &[u8]) -> Result<Document<'_>, String> {
    Document::parse(input, Limits::FILE).map_err(|e| e.message)
}

#[test]
fn scalars() {
    for (input, n) in [
        (&b"i0e"[..], 0),
        (b"i-1e", -1),
        (b"i9223372036854775807e", i64::MAX),
        (b"i-9223372036854775808e", i64::MIN),
        // lenient
        (b"i007e", 7),
        (b"i-0e", 0),
    ] {
        assert_eq!(parse(input).expect("an integer").root().as_int(), Some(n));
    }
    for (input, s) in [(&b"0:"[..], &b""[..]), (b"4:spam", b"spam"), (b"02:ab", b"ab")] {
        let document = parse(input).expect("a string");
        assert_eq!((document.root().as_bytes(), document.root().raw()), (Some(s), input));
        assert_eq!(document.root().as_int(), None);
    }
}

/// A number of any length is an integer (BEP 3). Only who wants its value goes without.
#[test]
fn integers_beyond_64_bits_spoil_nothing_else() {
    let long = [b"i-".to_vec(), b"9".repeat(100_000), b"e".to_vec()].concat();
    for number in [&b"i9223372036854775808e"[..], b"i18446744073709551615e", b"i-9223372036854775809e", &long] {
        let input = [b"d1:a", number, b"1:bi7e1:cl", number, b"1:xee"].concat();
        let document = parse(&input).expect("an integer");
        let root = document.root();
        assert_eq!((root.get_int(b"a"), root.get_int(b"b")), (None, Some(7)));
        let big = root.get(b"a").expect("a value");
        assert!(big.is_int() && big.raw() == number && !big.is_dict() && !big.is_list());
        assert_eq!(root.get(b"c").map(|c| c.items().count()), Some(2));
        // A copy keeps it to the digit.
        assert_eq!(Entry::from(root).encode(), input);
    }
}

/// What stands for a number and is none has no value, and spoils nothing else. It has an end that is near.
#[test]
fn integers_that_cannot_be_read_spoil_nothing_else() {
    let longest = [b"i".to_vec(), b"x".repeat(64), b"e".to_vec()].concat();
    for number in [
        &b"i+5e"[..],
        b"ie",
        b"i-e",
        b"i1.5e",
        b"i 5e",
        b"i5 e",
        b"i0x5e",
        b"i--5e",
        b"i5\xffe",
        b"i5-e",
        b"i\0e",
        b"iie",
        &longest,
    ] {
        let input = [b"d1:a", number, b"1:bi7e1:cl", number, b"1:xee"].concat();
        let document = parse(&input).expect("an integer");
        let root = document.root();
        let name = number.escape_ascii();
        assert_eq!((root.get_int(b"a"), root.get_int(b"b")), (None, Some(7)), "{name}");
        let value = root.get(b"a").expect("a value");
        assert!(value.is_int() && value.raw() == number && value.as_bytes().is_none(), "{name}");
        assert_eq!(root.get(b"c").map(|c| c.items().count()), Some(2), "{name}");
        assert_eq!(Entry::from(root).encode(), input, "{name}");
    }
    for far in
        [[b"i".to_vec(), b"x".repeat(65), b"e".to_vec()], [b"i5".to_vec(), b" ".repeat(1_000_000), b"e".to_vec()]]
    {
        assert_eq!(parse(&far.concat()).expect_err("no end"), "bencode: not an integer at offset 0");
    }
}

#[test]
fn containers() {
    let input = b"d1:ai1e4:listl0:i2el3:xyzed1:ki3eee1:z1:ye";
    let document = parse(input).expect("valid");
    let root = document.root();
    assert!(root.is_dict() && !root.is_list() && root.raw() == input);
    assert_eq!(root.entries().map(|(key, _)| key).collect::<Vec<_>>(), [&b"a"[..], b"list", b"z"]);
    assert_eq!((root.get_int(b"a"), root.get_str(b"z")), (Some(1), Some("y")));
    let list = root.get(b"list").expect("list");
    assert_eq!((list.raw(), list.offset()), (&b"l0:i2el3:xyzed1:ki3eee"[..], 13));
    let items: Vec<_> = list.items().collect();
    assert_eq!(items.len(), 4);
    assert_eq!(items[3].get_int(b"k"), Some(3));
    assert_eq!(items[2].items().next().and_then(|v| v.as_str()), Some("xyz"));
    // Other kinds have no items, entries or keys.
    assert_eq!((root.items().count(), list.entries().count()), (0, 0));
    assert!(list.get(b"k").is_none() && items[1].get(b"k").is_none());
    // Raw bytes of a value inside parse alone.
    assert_eq!(parse(items[3].raw()).expect("valid").root().get_int(b"k"), Some(3));
}

#[test]
fn keys_in_any_order_and_the_first_counts() {
    let document = parse(b"d1:bi1e1:ai2e1:bi3ee").expect("valid");
    assert_eq!((document.root().get_int(b"b"), document.root().get_int(b"a")), (Some(1), Some(2)));
    assert_eq!(Entry::from(document.root()).encode(), b"d1:ai2e1:bi1ee");
}

#[test]
fn errors_name_the_offset() {
    for (input, message) in [
        (&b""[..], "unexpected end at offset 0"),
        (b"x", "expected a value at offset 0"),
        (b"e", "unexpected 'e' at offset 0"),
        (b"i1", "an integer without end at offset 0"),
        (b"i-", "an integer without end at offset 0"),
        (b"i+5", "an integer without end at offset 0"),
        (b"li1.5", "an integer without end at offset 1"),
        (b"5:spam", "a string longer than the input at offset 0"),
        (b"99999999999999999999999:a", "a string longer than the input at offset 0"),
        (b"18446744073709551615:a", "a string longer than the input at offset 0"),
        (b"0", "unexpected end at offset 1"),
        (b"0a", "expected a digit or ':' at offset 1"),
        (b"-1:a", "expected a value at offset 0"),
        (b"l", "unexpected end at offset 1"),
        (b"d1:a", "unexpected end at offset 4"),
        (b"d1:ae", "a dictionary key without a value at offset 4"),
        (b"di1ei2ee", "a dictionary key is not a string at offset 1"),
        (b"dlei1ee", "a dictionary key is not a string at offset 1"),
        (b"i1ei2e", "data after the value at offset 3"),
    ] {
        assert_eq!(parse(input).expect_err("an error"), format!("bencode: {message}"), "{}", input.escape_ascii());
    }
}

#[test]
fn limits_hold() {
    let nested = |n: usize| [b"l".repeat(n), b"e".repeat(n)].concat();
    assert!(parse(&nested(100)).is_ok());
    assert_eq!(parse(&nested(101)).expect_err("deep"), "bencode: nested too deep at offset 100");
    assert!(parse(&b"l".repeat(1_000_000)).is_err());
    // A message is read to the same depth.
    assert!(Document::parse(&nested(100), Limits::MESSAGE).is_ok());
    let limits = Limits { depth: 1, tokens: 3 };
    assert!(Document::parse(b"l0:0:e", limits).is_ok());
    let error = Document::parse(b"l0:0:0:e", limits).expect_err("many");
    assert_eq!(error.message, "bencode: too many values at offset 5");
}

#[test]
fn a_prefix_leaves_the_rest() {
    let (document, rest) = Document::parse_prefix(b"d1:ai1eepayload", Limits::MESSAGE).expect("valid");
    assert_eq!((document.root().get_int(b"a"), rest), (Some(1), &b"payload"[..]));
}

#[test]
fn encoding() {
    let mut dict = Entry::dict();
    dict.set("z", 1u32).set("a", "x").set("raw", Entry::Raw(b"li7ee".to_vec())).set("m", true);
    dict.set("l", vec![Entry::from(-5i64), Entry::from(&b"\xff"[..])]).set("a", String::from("y"));
    assert_eq!(dict.encode(), b"d1:a1:y1:lli-5e1:\xffe1:mi1e3:rawli7ee1:zi1ee");
    let mut list = Entry::List(Vec::new());
    assert_eq!(list.set("a", 1u32).encode(), b"le");
}

pub fn any_entry() -> impl Strategy<Value = Entry> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Entry::Int),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(Entry::Bytes)
    ];
    leaf.prop_recursive(5, 40, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Entry::List),
            proptest::collection::btree_map(proptest::collection::vec(any::<u8>(), 0..6), inner, 0..8)
                .prop_map(Entry::Dict),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn round_trip(entry in any_entry()) {
        let bytes = entry.encode();
        let document = parse(&bytes).expect("own encoding");
        prop_assert_eq!(Entry::from(document.root()), entry);
        prop_assert_eq!(document.root().raw(), &bytes[..]);
    }

    #[test]
    fn any_bytes_end_well(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok((document, rest)) = Document::parse_prefix(&bytes, Limits::MESSAGE) {
            let again = Entry::from(document.root()).encode();
            prop_assert!(parse(&again).is_ok());
            prop_assert_eq!(document.root().raw().len() + rest.len(), bytes.len());
        }
    }

    #[test]
    fn bencode_like_bytes_end_well(text in "[ilde0-9:+ .-]{0,60}") {
        if let Ok(document) = parse(text.as_bytes()) {
            prop_assert!(parse(&Entry::from(document.root()).encode()).is_ok());
        }
    }
}
