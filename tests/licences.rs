//! Whatever is linked into the library is linked into its users' services, so every crate of it must be permissive,
//! or be named here with the reason why it does no harm.
//! Build tools and test programs may be anything that is free to use: they are not shipped.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

const PERMISSIVE: [&str; 12] = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates that are let in though their licence is not on the list: name, licence.
/// MPL-2.0 binds the crate's own files alone, and this one (eighty lines, by way of librqbit's `directories`) is used as it is published.
const EXCEPTIONS: [(&str, &str); 1] = [("option-ext", "MPL-2.0")];

/// Whether an SPDX expression can be met with permissive licences alone. An exception (`WITH`) only adds to what is allowed.
fn permissive(expression: &str) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let met = any_of(&words, &mut at);
    met && at == words.len()
}

fn any_of(words: &[&str], at: &mut usize) -> bool {
    let mut met = all_of(words, at);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        met |= all_of(words, at);
    }
    met
}

fn all_of(words: &[&str], at: &mut usize) -> bool {
    let mut met = one(words, at);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(words, at);
    }
    met
}

fn one(words: &[&str], at: &mut usize) -> bool {
    let Some(&word) = words.get(*at) else { return false };
    *at += 1;
    if word == "(" {
        let met = any_of(words, at);
        *at += 1;
        return met && words.get(*at - 1) == Some(&")");
    }
    if words.get(*at) == Some(&"WITH") {
        *at += 2;
    }
    PERMISSIVE.contains(&word)
}

#[test]
fn expressions() {
    for yes in [
        "MIT",
        "MIT OR Apache-2.0",
        "MIT/Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
        "(MIT OR GPL-3.0) AND ISC",
        "GPL-2.0 OR MIT",
    ] {
        assert!(permissive(yes), "{yes}");
    }
    for no in ["", "GPL-3.0", "MIT AND GPL-3.0", "MPL-2.0", "(MIT", "MIT MIT", "ISC AND (GPL-2.0 OR LGPL-2.1)", "OR"] {
        assert!(!permissive(no), "{no}");
    }
}

#[test]
fn every_crate_of_the_library_is_permissive() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let by_id = |list: &Value| -> BTreeMap<String, Value> {
        let entries = list.as_array().unwrap().iter();
        entries.map(|entry| (entry["id"].as_str().unwrap().to_owned(), entry.clone())).collect()
    };
    let (packages, nodes) = (by_id(&metadata["packages"]), by_id(&metadata["resolve"]["nodes"]));
    let root = packages.iter().find(|(_, package)| package["name"] == env!("CARGO_PKG_NAME")).unwrap().0;

    let (mut linked, mut pending) = (BTreeSet::new(), vec![root.clone()]);
    while let Some(id) = pending.pop() {
        for dependency in nodes[&id]["deps"].as_array().unwrap() {
            // A kind of null is an ordinary dependency; the others are "dev" and "build".
            let ordinary = dependency["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null());
            let id = dependency["pkg"].as_str().unwrap().to_owned();
            if ordinary && linked.insert(id.clone()) {
                pending.push(id);
            }
        }
    }
    assert!(linked.len() > 20, "only {} crates found: the walk is wrong", linked.len());
    let refused: Vec<String> = linked
        .iter()
        .map(|id| &packages[id])
        .filter(|package| {
            let text = |key: &str| package[key].as_str().unwrap_or_default();
            !permissive(text("license")) && !EXCEPTIONS.contains(&(text("name"), text("license")))
        })
        .map(|package| format!("{} {}: {}", package["name"], package["version"], package["license"]))
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
}
