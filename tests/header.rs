//! The header is what cbindgen makes of the source, docs/settings.md and docs/alerts.md what settings and alerts say of
//! themselves. `ET_UPDATE_HEADER=1 cargo test --test header` writes all anew.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::temp::files_under;

/// What the header is made of, in its order.
const SOURCES: &[&str] = &[
    "src/ffi/version.rs",
    "src/ffi/error.rs",
    "src/ffi/bytes.rs",
    "src/alert/types.rs",
    "src/alert/record.rs",
    "src/ffi/constants.rs",
    "src/ffi/record.rs",
    "src/ffi/info_hash.rs",
    "src/ffi/endpoint.rs",
    "src/ffi/settings.rs",
    "src/ffi/session.rs",
    "src/ffi/port_filter.rs",
    "src/ffi/session_stats.rs",
    "src/ffi/add_torrent.rs",
    "src/alert/records.rs",
    "src/ffi/alert.rs",
    "src/ffi/torrent.rs",
    "src/ffi/torrent_status.rs",
    "src/ffi/files.rs",
    "src/ffi/priorities.rs",
    "src/ffi/pieces.rs",
    "src/ffi/download_queue.rs",
    "src/ffi/peers.rs",
    "src/ffi/trackers.rs",
    "src/ffi/storage.rs",
    "src/ffi/reader.rs",
    "src/ffi/reader_status.rs",
    "src/ffi/explanation.rs",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The structs that no function names: C programs cast to them.
fn records() -> Vec<String> {
    ["src/alert/record.rs", "src/alert/records.rs", "src/ffi/files.rs", "src/ffi/peers.rs", "src/ffi/trackers.rs"]
        .iter()
        .chain(&["src/ffi/download_queue.rs"])
        .flat_map(|file| structs(&root().join(file)))
        .collect()
}

fn structs(file: &Path) -> Vec<String> {
    let source = fs::read_to_string(file).expect("a source file");
    let names = source.lines().filter_map(|l| l.strip_prefix("pub struct ")?.split([' ', '(']).next());
    names.map(str::to_owned).collect()
}

/// Type aliases that only constants and records use.
fn aliases() -> Vec<String> {
    let sources = ["src/alert/types.rs", "src/ffi/constants.rs", "src/ffi/settings.rs", "src/ffi/reader.rs"];
    let lines = sources.iter().map(|f| fs::read_to_string(root().join(f)).expect("a source file"));
    let names = lines.flat_map(|source| {
        let names = source.lines().filter_map(|l| Some(l.strip_prefix("pub type ")?.split(' ').next()?.to_owned()));
        names.collect::<Vec<_>>()
    });
    names.collect()
}

fn generate() -> String {
    let mut config = cbindgen::Config::from_file(root().join("cbindgen.toml")).expect("cbindgen.toml");
    config.export.include.extend(records());
    config.export.include.extend(aliases());
    let builder = SOURCES.iter().fold(cbindgen::Builder::new().with_config(config), |b, s| b.with_src(root().join(s)));
    let mut header = Vec::new();
    builder.generate().expect("bindings").write(&mut header);
    String::from_utf8(header).expect("UTF-8")
}

/// A file that is made from the source is what the source makes of it. Where it was asked for, it is written anew.
fn is_up_to_date(name: &str, made: &str) {
    let path = root().join(name);
    if std::env::var_os("ET_UPDATE_HEADER").is_some() {
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(&path, made).expect("a file");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let differs = found.lines().zip(made.lines()).position(|(a, b)| a != b);
    assert!(
        found == made,
        "{name} is not what the source says, from line {} on; ET_UPDATE_HEADER=1 cargo test --test header writes it anew",
        differs.unwrap_or_else(|| found.lines().count().min(made.lines().count())) + 1
    );
}

#[test]
fn header_is_up_to_date() {
    is_up_to_date("include/elementum_torrent.h", &generate());
}

/// The settings that do something, as a table.
fn settings_table() -> String {
    use std::fmt::Write as _;

    use elementum_torrent::settings::{Value, descriptors};
    let mut text = String::from(
        "# Settings\n\n\
         Generated from the source by `ET_UPDATE_HEADER=1 cargo test --test header`; do not edit.\n\n\
         These do something. All other names of libtorrent 1.1 to 2.1 are accepted, checked for their type, read back, and do \
         nothing; a name that nobody knows is refused. *Live* settings can be changed while a session runs, and count at once, for all that \
         begins from then on; the others are read when it opens. `et_settings_describe` and Go's `DescribeSettings` tell the same at run time.\n\n\
         | setting | type | default | range | live | what it does |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    for d in descriptors().iter().filter(|d| d.effective) {
        let (kind, default, range) = match d.default {
            Value::Bool(v) => ("bool", v.to_string(), String::new()),
            Value::Str(v) => {
                ("string", if v.is_empty() { "empty".to_owned() } else { format!("`{v}`") }, String::new())
            }
            Value::Int(v) => ("int", v.to_string(), format!("{} to {}", d.range().0, d.range().1)),
        };
        let live = if d.live { "yes" } else { "no" };
        let doc = d.doc.replace('|', "\\|");
        let _ = writeln!(text, "| `{}` | {kind} | {default} | {range} | {live} | {doc} |", d.name);
    }
    text
}

#[test]
fn settings_table_is_up_to_date() {
    let table = settings_table();
    is_up_to_date("docs/settings.md", &table);
    // It can fail: a setting that does nothing is not in it.
    assert!(table.contains("| `memory_limit` |") && !table.contains("piece_timeout"));
}

/// The types of alerts, as a table: their categories, and which are posted by default.
fn alerts_table() -> String {
    use std::fmt::Write as _;

    use elementum_torrent::alert::{category, kind};
    let bits = [
        ("error", category::ERROR),
        ("peer", category::PEER),
        ("storage", category::STORAGE),
        ("tracker", category::TRACKER),
        ("connect", category::CONNECT),
        ("status", category::STATUS),
        ("ip_block", category::IP_BLOCK),
        ("performance_warning", category::PERFORMANCE_WARNING),
        ("dht", category::DHT),
        ("file_progress", category::FILE_PROGRESS),
        ("piece_progress", category::PIECE_PROGRESS),
        ("reader", category::READER),
        ("memory", category::MEMORY),
    ];
    let mut text = String::from(
        "# Alerts\n\n\
         Generated from the source by `ET_UPDATE_HEADER=1 cargo test --test header`; do not edit.\n\n\
         The types of alerts and their categories: `piece_finished` is `ET_ALERT_PIECE_FINISHED` and `et_piece_finished_alert`, \
         *piece_progress* is `ET_ALERT_CATEGORY_PIECE_PROGRESS`. A type is posted where the mask (setting `alert_mask`, \
         `et_session_set_alert_mask`) has any of its categories. *Always*: whatever the mask.\n\n\
         | alert | number | categories | by default |\n\
         | --- | --- | --- | --- |\n",
    );
    for k in kind::ALL {
        let of_it = || bits.iter().filter(|(_, bit)| k.category & bit != 0);
        assert_eq!(of_it().map(|(_, bit)| bit).sum::<u64>(), k.category, "{} has a category without a name", k.name);
        let names: Vec<&str> = of_it().map(|(name, _)| *name).collect();
        let by_default = match () {
            () if k.always => "always",
            () if k.category & category::DEFAULT != 0 => "yes",
            () => "no",
        };
        let _ = writeln!(text, "| `{}` | {} | {} | {by_default} |", k.name, k.id, names.join(", "));
    }
    text
}

#[test]
fn alerts_table_is_up_to_date() {
    let table = alerts_table();
    is_up_to_date("docs/alerts.md", &table);
    // It can fail: what has several categories has them all, and one that nobody asked for is not posted.
    assert!(table.contains("| `file_error` | 43 | error, storage, status | yes |"));
    assert!(
        table.contains("| `peer_connect` | 23 | connect | no |")
            && table.contains("| `torrent_removed` | 4 | status | always |")
    );
}

/// Every file of the ABI is in the list above: an extern function elsewhere would be missing in the header.
#[test]
fn every_extern_function_is_in_a_listed_file() {
    let ffi = Path::new("src/ffi");
    for path in files_under(&root().join(ffi)).into_iter().map(|path| ffi.join(path)) {
        let source = fs::read_to_string(root().join(&path)).expect("a source file");
        let name = path.to_str().expect("ASCII");
        assert!(SOURCES.contains(&name) || !source.contains("extern \"C\" fn"), "{name}");
    }
}
