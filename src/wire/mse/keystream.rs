//! RC4, without the first bytes of its stream: those betray the key.

use rc4::{KeyInit, Rc4, StreamCipher};

const DISCARDED: usize = 1024;

/// What one direction is encrypted with, and decrypted.
pub struct Keystream(Rc4);

impl Keystream {
    pub fn new(key: &[u8; 20]) -> Self {
        let mut cipher = Rc4::new_from_slice(key).expect("RC4 takes keys of 20 bytes");
        cipher.apply_keystream(&mut [0; DISCARDED]);
        Self(cipher)
    }

    /// Encrypts or decrypts in place.
    pub fn apply(&mut self, bytes: &mut [u8]) {
        self.0.apply_keystream(bytes);
    }
}

impl std::fmt::Debug for Keystream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keystream")
    }
}
