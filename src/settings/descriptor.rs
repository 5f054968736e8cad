//! What is known of a setting beside its value.

use super::check::Check;
use super::value::{Kind, Value};

/// What is known of one setting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Descriptor {
    pub name: &'static str,
    pub default: Value<'static>,
    pub check: Check,
    /// One line, with the unit.
    pub doc: &'static str,
    /// Can it be changed while the session runs?
    pub live: bool,
    /// Does it do anything?
    pub effective: bool,
}

impl Descriptor {
    pub fn kind(&self) -> Kind {
        self.default.kind()
    }

    /// Least and greatest integer.
    pub fn range(&self) -> (i64, i64) {
        self.check.range()
    }
}
