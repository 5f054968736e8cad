//! A session as bytes: settings, counters, and the DHT's nodes and identity (bencoded, with a version in front).

use crate::base::error::{Error, Result, Status};
use crate::metainfo::bencode::{Document, Entry, Limits, Value};
use crate::settings;
use crate::settings::{Kind, Settings};

/// Grows when older readers would misunderstand.
const VERSION: i64 = 1;
const FORMAT: &str = "libelementum_torrent session";

/// What was saved.
#[derive(Debug, Default)]
pub struct Saved {
    pub settings: Settings,
    pub dht: Vec<u8>,
    pub counters: SavedCounters,
}

/// Payload of all sessions that handed their state on, bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SavedCounters {
    pub download: u64,
    pub upload: u64,
}

pub fn encode(settings: &Settings, dht: &[u8], counters: SavedCounters) -> Vec<u8> {
    let mut all = Entry::dict();
    for d in settings::descriptors().iter().filter(|d| d.effective) {
        let value = match d.kind() {
            Kind::Int => settings.get_int(d.name).map(Entry::from),
            Kind::Bool => settings.get_bool(d.name).map(Entry::from),
            Kind::Str => settings.get_str(d.name).map(Entry::from),
        };
        if let Ok(value) = value {
            all.set(d.name, value);
        }
    }
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let mut counted = Entry::dict();
    counted.set("download", number(counters.download)).set("upload", number(counters.upload));
    let mut root = Entry::dict();
    root.set("format", FORMAT).set("version", VERSION).set("settings", all).set("dht", dht.to_vec());
    root.set("counters", counted);
    root.encode()
}

/// Reads what `encode` wrote. Settings of a later version that are unknown here are left out.
pub fn parse(bytes: &[u8]) -> Result<Saved> {
    let damaged = |what: &str| Error::new(Status::Parse, format!("session state: {what}"));
    let document = Document::parse(bytes, Limits::FILE).map_err(|e| damaged(&e.message))?;
    let root = document.root();
    if root.get_str(b"format") != Some(FORMAT) {
        return Err(damaged("this is something else"));
    }
    match root.get_int(b"version") {
        Some(VERSION) => {}
        Some(v) => return Err(damaged(&format!("version {v} is not known, {VERSION} is"))),
        None => return Err(damaged("the version is missing")),
    }
    let mut settings = Settings::default();
    let saved = root.get(b"settings").filter(Value::is_dict).ok_or_else(|| damaged("the settings are missing"))?;
    for d in settings::descriptors().iter().filter(|d| d.effective) {
        let Some(value) = saved.get(d.name.as_bytes()) else { continue };
        let wrong = || damaged(&format!("setting {} is of a wrong type", d.name));
        let taken = match d.kind() {
            Kind::Int => settings.set_int(d.name, value.as_int().ok_or_else(wrong)?),
            Kind::Bool => settings.set_bool(d.name, value.as_int().ok_or_else(wrong)? != 0),
            Kind::Str => settings.set_str(d.name, value.as_str().ok_or_else(wrong)?),
        };
        taken.map_err(|e| damaged(&e.message))?;
    }
    // A state of before there were any has none; a wrong number is no reason to lose the rest.
    let counters = root.get(b"counters");
    let counter = |key: &[u8]| {
        let value = counters.as_ref().and_then(|c| c.get(key)).and_then(|v| v.as_int());
        value.and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
    };
    let counters = SavedCounters { download: counter(b"download"), upload: counter(b"upload") };
    Ok(Saved { settings, dht: root.get_bytes(b"dht").unwrap_or_default().to_vec(), counters })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_and_dht_come_back() {
        let mut settings = Settings::default();
        settings.set_int("memory_limit", 5 << 20).expect("in range");
        settings.set_bool("enable_dht", false).expect("a bool");
        settings.set_str("user_agent", "test/1").expect("a string");
        let counters = SavedCounters { download: 7 << 40, upload: 5 };
        let saved = parse(&encode(&settings, b"nodes", counters)).expect("parses");
        assert_eq!((&saved.settings, saved.counters), (&settings, counters));
        assert_eq!(saved.dht, b"nodes");
    }

    /// What was written before there were counters, and what counted wrongly.
    #[test]
    fn without_counters_the_rest_is_taken() {
        let with = encode(&Settings::default(), b"nodes", SavedCounters { download: 1, upload: 2 });
        let with = String::from_utf8(with).expect("ASCII");
        for (counters, expected) in [
            ("", (0, 0)),
            ("8:countersd8:downloadi-1e6:uploadi2ee", (0, 2)),
            ("8:countersd8:download1:x6:uploadi2ee", (0, 2)),
            ("8:countersle", (0, 0)),
            ("8:countersd8:downloadi9223372036854775807e6:uploadi18446744073709551615ee", (i64::MAX as u64, 0)),
        ] {
            let state = with.replace("8:countersd8:downloadi1e6:uploadi2ee", counters);
            assert_ne!(state, with);
            let saved = parse(state.as_bytes()).unwrap_or_else(|e| panic!("{counters}: {e}"));
            assert_eq!((saved.counters.download, saved.counters.upload), expected, "{counters}");
            assert_eq!(saved.dht, b"nodes");
        }
    }

    /// Numbers that nobody asks for may be of any size; those of settings may not.
    #[test]
    fn numbers_beyond_64_bits() {
        const HUGE: &str = "i18446744073709551615e";
        let state = String::from_utf8(encode(&Settings::default(), b"", SavedCounters::default())).expect("ASCII");
        let with = |from: &str, to: &str| {
            let changed = state.replace(from, to);
            assert_ne!(changed, state);
            parse(changed.as_bytes()).map_err(|e| (e.status, e.message))
        };
        let more = with("8:settingsd", &format!("7:settinx{HUGE}8:settingsd4:a.b.{HUGE}")).expect("passed over");
        assert_eq!(more.settings, Settings::default());
        for number in [HUGE, "i-9223372036854775809e", "i-1e", "le", "3:200"] {
            let (status, message) =
                with("17:connections_limiti200e", &format!("17:connections_limit{number}")).expect_err(number);
            assert!(status == Status::Parse && message.contains("connections_limit"), "{number}: {message}");
        }
        assert!(with("7:versioni1e", &format!("7:version{HUGE}")).is_err());
    }

    /// A setting that this version does not allow is the state's fault, not the caller's.
    #[test]
    fn a_value_out_of_range_is_damage() {
        let state = encode(&Settings::default(), b"", SavedCounters::default());
        let state =
            String::from_utf8(state).expect("ASCII").replace("17:connections_limiti200e", "17:connections_limiti0e");
        let error = parse(state.as_bytes()).expect_err("out of range");
        assert!(error.status == Status::Parse && error.message.contains("connections_limit"), "{error}");
    }

    #[test]
    fn damaged_state_is_refused_with_a_reason() {
        let good = encode(&Settings::default(), b"", SavedCounters::default());
        for cut in 0..good.len() {
            let error = parse(&good[..cut]).expect_err("cut short");
            assert_eq!(error.status, Status::Parse);
        }
        assert!(parse(b"d6:format3:fooe").is_err());
    }
}
