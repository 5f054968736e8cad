//! What `out_enc_policy` and `in_enc_policy` say: libtorrent's `enc_policy`.

use crate::settings::Settings;

/// Whether connections of one direction are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncryptionPolicy {
    /// All are.
    Forced,
    /// Those of peers that want it.
    Enabled,
    /// None is.
    Disabled,
}

impl EncryptionPolicy {
    pub fn outgoing(settings: &Settings) -> Self {
        Self::of(settings.out_enc_policy)
    }

    pub fn incoming(settings: &Settings) -> Self {
        Self::of(settings.in_enc_policy)
    }

    fn of(setting: i64) -> Self {
        match setting {
            0 => Self::Forced,
            2 => Self::Disabled,
            _ => Self::Enabled,
        }
    }
}
