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

/// What a stream runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Carrier {
    #[default]
    Tcp,
    /// TCP by a SOCKS proxy.
    Socks,
    /// TCP by an HTTP proxy.
    Http,
    /// BEP 29, by a SOCKS5 proxy or not.
    Utp,
}

/// The kind of a peer's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamKind {
    pub carrier: Carrier,
    pub encryption: Encryption,
}

impl StreamKind {
    pub fn is_utp(self) -> bool {
        self.carrier == Carrier::Utp
    }

    /// Did it begin with the encrypted handshake?
    pub fn is_encrypted(self) -> bool {
        self.encryption != Encryption::None
    }
}
