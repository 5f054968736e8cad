//! Numbers that nobody guesses who has seen others of them: those of transactions, and the secrets behind tokens.

use sha1::{Digest, Sha1};

#[derive(Debug)]
pub struct Chance {
    key: [u8; 20],
    drawn: u64,
}

impl Chance {
    /// `key`: of a good source.
    pub fn new(key: [u8; 20]) -> Self {
        Self { key, drawn: 0 }
    }

    pub fn draw(&mut self) -> [u8; 20] {
        self.drawn += 1;
        Sha1::new_with_prefix(self.key).chain_update(self.drawn.to_be_bytes()).finalize().into()
    }
}
