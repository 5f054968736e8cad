//! Settings: string keys with libtorrent's names at the border, typed fields inside.
//!
//! Every name of libtorrent 1.1 to 2.1 is known. Those that mean something here are fields of [`Settings`]; the rest is
//! accepted, so that a program which set them for libtorrent still starts, checked for its type, and does nothing. Two
//! exceptions: a name nobody knows is an error that tells the nearest one, and a setting that hides or protects its user
//! (a proxy, an interface to go out by) is refused, not ignored, as long as it is not carried out.

mod changes;
mod check;
mod descriptor;
mod ignored;
mod names;
mod parse;
mod table;
mod value;

use crate::base::error::{Error, Result, Status};
pub use crate::settings::changes::Changes;
pub use crate::settings::check::{Check, MAX_TEXT};
pub use crate::settings::descriptor::Descriptor;
pub use crate::settings::names::{descriptor, descriptors};
pub use crate::settings::parse::{
    Interface, ListenInterface, parse_host_ports, parse_listen_interfaces, parse_outgoing_interfaces,
};
pub use crate::settings::table::Settings;
pub use crate::settings::value::{Kind, Stored, Value};

impl Settings {
    /// Sets a value of any kind. Unknown names, other kinds and values that are not allowed are refused.
    pub fn set(&mut self, key: &str, value: Value<'_>) -> Result<()> {
        let descriptor = descriptor(key)?;
        expect_kind(descriptor, value.kind())?;
        descriptor.check.check(descriptor.name, value)?;
        self.put(descriptor.name, value);
        Ok(())
    }

    /// Takes in a value that was checked, of a name that is known.
    fn put(&mut self, name: &'static str, value: Value<'_>) {
        if self.field(name).is_some() {
            self.store_field(name, value);
        } else {
            self.ignored.insert(name, Stored::of(value));
        }
    }

    /// The value now, or the default.
    pub fn get(&self, key: &str) -> Result<Value<'_>> {
        let descriptor = descriptor(key)?;
        let stored = || self.ignored.get(descriptor.name).map_or(descriptor.default, Stored::value);
        Ok(self.field(descriptor.name).unwrap_or_else(stored))
    }

    pub fn set_int(&mut self, key: &str, value: i64) -> Result<()> {
        self.set(key, Value::Int(value))
    }

    pub fn set_bool(&mut self, key: &str, value: bool) -> Result<()> {
        self.set(key, Value::Bool(value))
    }

    pub fn set_str(&mut self, key: &str, value: &str) -> Result<()> {
        self.set(key, Value::Str(value))
    }

    pub fn get_int(&self, key: &str) -> Result<i64> {
        expect_kind(descriptor(key)?, Kind::Int)?;
        Ok(if let Value::Int(v) = self.get(key)? { v } else { 0 })
    }

    pub fn get_bool(&self, key: &str) -> Result<bool> {
        expect_kind(descriptor(key)?, Kind::Bool)?;
        Ok(self.get(key)? == Value::Bool(true))
    }

    pub fn get_str(&self, key: &str) -> Result<&str> {
        expect_kind(descriptor(key)?, Kind::Str)?;
        Ok(if let Value::Str(v) = self.get(key)? { v } else { "" })
    }

    /// Checks every field: they are public, so that Rust callers can have set anything.
    pub fn validate(&self) -> Result<()> {
        table::EFFECTIVE.iter().try_for_each(|d| self.field(d.name).map_or(Ok(()), |v| d.check.check(d.name, v)))
    }

    /// Checks that `new` differs only in settings that can be changed while the session runs.
    pub fn check_live_change(&self, new: &Self) -> Result<()> {
        let fixed = table::EFFECTIVE.iter().find(|d| !d.live && self.field(d.name) != new.field(d.name));
        fixed.map_or(Ok(()), |d| {
            let message = format!("{} is set when the session opens, and cannot be changed while it runs", d.name);
            Err(Error::new(Status::Unsupported, message))
        })
    }

    /// The alert categories of `alert_mask`, -1 meaning all.
    pub fn alert_categories(&self) -> u64 {
        u64::try_from(self.alert_mask).unwrap_or(u64::MAX)
    }
}

fn expect_kind(descriptor: &Descriptor, kind: Kind) -> Result<()> {
    if descriptor.kind() == kind {
        return Ok(());
    }
    Err(Error::invalid(format!("{} is {}, not {kind}", descriptor.name, descriptor.kind())))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn defaults_pass_their_own_checks_and_read_back() {
        let settings = Settings::default();
        assert_eq!(settings.validate(), Ok(()));
        for d in descriptors() {
            assert_eq!(d.check.check(d.name, d.default), Ok(()), "{}", d.name);
            assert_eq!(settings.get(d.name), Ok(d.default), "{}", d.name);
            assert_eq!(settings.field(d.name).is_some(), d.effective, "{}", d.name);
        }
    }

    #[test]
    fn names_are_unique_and_documented() {
        let names: HashSet<_> = descriptors().iter().map(|d| d.name).collect();
        assert_eq!(names.len(), descriptors().len());
        for d in descriptors() {
            assert!(!d.doc.is_empty() && !d.doc.contains('\n') && d.doc.len() < 256, "{}", d.name);
            assert!(d.name.len() < 64, "{}", d.name);
        }
    }

    #[test]
    fn every_setting_can_be_set_and_read() {
        let mut settings = Settings::default();
        for d in descriptors() {
            let value = match (d.default, d.check) {
                (Value::Bool(v), _) => Value::Bool(!v),
                (Value::Int(_), Check::Range(_, max)) => Value::Int(max),
                (Value::Int(v), _) => Value::Int(v + 1),
                (Value::Str(_), Check::OneOf(_)) => Value::Str("disk"),
                (Value::Str(_), Check::IpOrEmpty) => Value::Str("192.0.2.1"),
                (Value::Str(_), Check::HostPorts | Check::ListenInterfaces) => Value::Str("192.0.2.1:7"),
                (Value::Str(_), _) => Value::Str("other"),
            };
            settings.set(d.name, value).unwrap_or_else(|e| panic!("{}: {e}", d.name));
            assert_eq!(settings.get(d.name), Ok(value), "{}", d.name);
        }
        assert_eq!(settings.validate(), Ok(()));
    }

    #[test]
    fn unknown_names_tell_the_nearest() {
        let mut settings = Settings::default();
        let error = settings.set_bool("allows_i2p_mixed", true).expect_err("no such name");
        assert_eq!(error.status, Status::UnknownSetting);
        assert!(error.message.contains("\"allow_i2p_mixed\""), "{error}");
        let error = settings.set_int("conections_limit", 5).expect_err("no such name");
        assert!(error.message.contains("\"connections_limit\""), "{error}");
        let error = settings.get_int(&"x".repeat(10_000)).expect_err("no such name");
        assert!(error.status == Status::UnknownSetting && error.message.len() < 256, "{error}");
    }

    #[test]
    fn wrong_kinds_and_ranges_are_refused() {
        let mut settings = Settings::default();
        for error in [
            settings.set_bool("connections_limit", true).expect_err("an integer"),
            settings.set_int("enable_dht", 1).expect_err("a bool"),
            settings.set_str("cache_size", "1").expect_err("ignored, but an integer"),
            settings.set_int("memory_limit", 1).expect_err("too small"),
            settings.set_str("storage", "tape").expect_err("no such storage"),
            settings.get_str("connections_limit").map(drop).expect_err("an integer"),
        ] {
            assert_eq!(error.status, Status::InvalidArgument, "{error}");
        }
        assert_eq!(settings, Settings::default());
        let error = settings.set_int("memory_limit", 7).expect_err("too small");
        assert!(error.message.contains("memory_limit is 7, allowed is 262144 to"), "{error}");
    }

    #[test]
    fn old_names_do_nothing_but_read_back() {
        let mut settings = Settings::default();
        settings.set_int("cache_size", -1).expect("accepted");
        settings.set_bool("lazy_bitfields", true).expect("accepted");
        assert_eq!(settings.get_int("cache_size"), Ok(-1));
        assert_eq!(settings.get_bool("lazy_bitfields"), Ok(true));
        assert!(!descriptor("cache_size").expect("known").effective);
    }

    #[test]
    fn changes_at_start_only_are_told() {
        let old = Settings::default();
        let mut new = old.clone();
        new.connections_limit = 10;
        assert_eq!(old.check_live_change(&new), Ok(()));
        new.worker_threads = 2;
        let error = old.check_live_change(&new).expect_err("fixed at start");
        assert!(error.message.contains("worker_threads"), "{error}");
    }

    proptest! {
        #[test]
        fn any_key_and_value_gets_an_answer(key in "\\PC*", int in any::<i64>(), text in "\\PC*") {
            let mut settings = Settings::default();
            let _ = settings.set_int(&key, int);
            let _ = settings.set_str(&key, &text);
            for d in descriptors() {
                let _ = settings.set_int(d.name, int);
                let _ = settings.set_str(d.name, &text);
            }
            prop_assert_eq!(settings.validate(), Ok(()));
        }
    }
}
