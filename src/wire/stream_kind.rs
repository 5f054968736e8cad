//! By what kind of stream a peer is connected.

/// How a stream is encrypted (MSE).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encryption {
    #[default]
    None,
    /// The handshake alone.
    Plaintext,
    Rc4,
}

/// The kind of a peer's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamKind {
    /// By uTP (BEP 29), not TCP.
    pub utp: bool,
    pub encryption: Encryption,
}

impl StreamKind {
    /// Did it begin with the encrypted handshake?
    pub fn is_encrypted(self) -> bool {
        self.encryption != Encryption::None
    }
}
