//! A session as bytes: settings, and the DHT's nodes and identity (bencoded, with a version in front).

use crate::error::{Error, Result, Status};
use crate::metainfo::bencode::{Document, Entry, Limits, Value};
use crate::settings::{self, Kind, Settings};

/// Grows when older readers would misunderstand.
const VERSION: i64 = 1;
const FORMAT: &str = "libelementum_torrent session";

/// What was saved.
#[derive(Debug)]
pub struct Saved {
    pub settings: Settings,
    pub dht: Vec<u8>,
}

pub fn encode(settings: &Settings, dht: &[u8]) -> Vec<u8> {
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
    let mut root = Entry::dict();
    root.set("format", FORMAT).set("version", VERSION).set("settings", all).set("dht", dht.to_vec());
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
        match d.kind() {
            Kind::Int => settings.set_int(d.name, value.as_int().ok_or_else(wrong)?)?,
            Kind::Bool => settings.set_bool(d.name, value.as_int().ok_or_else(wrong)? != 0)?,
            Kind::Str => settings.set_str(d.name, value.as_str().ok_or_else(wrong)?)?,
        }
    }
    Ok(Saved { settings, dht: root.get_bytes(b"dht").unwrap_or_default().to_vec() })
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
        let saved = parse(&encode(&settings, b"nodes")).expect("parses");
        assert_eq!(saved.settings, settings);
        assert_eq!(saved.dht, b"nodes");
    }

    #[test]
    fn damaged_state_is_refused_with_a_reason() {
        let good = encode(&Settings::default(), b"");
        for cut in 0..good.len() {
            let error = parse(&good[..cut]).expect_err("cut short");
            assert_eq!(error.status, Status::Parse);
        }
        assert!(parse(b"d6:format3:fooe").is_err());
    }
}
