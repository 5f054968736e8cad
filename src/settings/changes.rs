//! Settings that were named, and no others: what a caller gives to be put over what there is.

use std::collections::BTreeSet;

use super::names::{descriptor, descriptors};
use super::table::Settings;
use super::value::Value;
use crate::base::error::Result;

/// Values of some settings. Those that nobody named stay as they are wherever it is put over; until then they read as their
/// defaults.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    values: Settings,
    named: BTreeSet<&'static str>,
}

impl Changes {
    /// Names a setting. One that is refused is not named.
    pub fn set(&mut self, key: &str, value: Value<'_>) -> Result<()> {
        self.values.set(key, value)?;
        self.named.insert(descriptor(key)?.name);
        Ok(())
    }

    /// The values, with the defaults of those that nobody named.
    pub fn values(&self) -> &Settings {
        &self.values
    }

    /// `base`, with what was named in its place.
    pub fn over(&self, base: &Settings) -> Settings {
        let mut merged = base.clone();
        for name in &self.named {
            if let Ok(value) = self.values.get(name) {
                merged.put(name, value);
            }
        }
        merged
    }
}

/// All of them are named: a copy of a session's settings leaves nothing open.
impl From<Settings> for Changes {
    fn from(values: Settings) -> Self {
        let effective = descriptors().iter().filter(|d| d.effective).map(|d| d.name);
        let named = effective.chain(values.ignored.keys().copied()).collect();
        Self { values, named }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_named_is_put_over() {
        let mut base = Settings::default();
        base.set_int("connections_limit", 17).expect("in range");
        base.set_int("cache_size", 5).expect("accepted");
        let mut changes = Changes::default();
        assert_eq!(changes.over(&base), base);
        changes.set("enable_pex", Value::Bool(false)).expect("a bool");
        // Its default, but named: that is what it is to be.
        changes.set("memory_limit", Settings::default().get("memory_limit").expect("known")).expect("in range");
        changes.set("lazy_bitfields", Value::Bool(true)).expect("accepted");
        assert!(changes.set("connections_limit", Value::Int(0)).is_err());
        base.set_int("memory_limit", 1 << 20).expect("in range");
        let merged = changes.over(&base);
        assert_eq!((merged.connections_limit, merged.enable_pex, merged.memory_limit), (17, false, 64 << 20));
        assert_eq!((merged.get_int("cache_size"), merged.get_bool("lazy_bitfields")), (Ok(5), Ok(true)));
    }

    #[test]
    fn a_whole_set_leaves_nothing_open() {
        let mut base = Settings::default();
        base.set_int("connections_limit", 17).expect("in range");
        assert_eq!(Changes::from(Settings::default()).over(&base), Settings::default());
    }
}
