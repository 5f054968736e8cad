//! As much of the peer protocol (BEP 3) as the plain seeder and the floor speak.

pub const HANDSHAKE_LEN: usize = 68;
pub const PROTOCOL: &[u8; 20] = b"\x13BitTorrent protocol";

pub const CHOKE: u8 = 0;
pub const UNCHOKE: u8 = 1;
pub const INTERESTED: u8 = 2;
pub const BITFIELD: u8 = 5;
pub const REQUEST: u8 = 6;
pub const PIECE: u8 = 7;
pub const EXTENDED: u8 = 20;

/// Bit of the handshake's sixth reserved byte: the extension protocol (BEP 10).
pub const EXTENSIONS: u8 = 0x10;

pub fn handshake(reserved5: u8, info_hash: &[u8; 20], peer_id: &[u8; 20]) -> [u8; HANDSHAKE_LEN] {
    let mut out = [0; HANDSHAKE_LEN];
    out[..20].copy_from_slice(PROTOCOL);
    out[25] = reserved5;
    out[28..48].copy_from_slice(info_hash);
    out[48..].copy_from_slice(peer_id);
    out
}

/// Appends a message: its length, its number, its payload.
pub fn message(id: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(payload.len() as u32 + 1).to_be_bytes());
    out.push(id);
    out.extend_from_slice(payload);
}

pub fn request(piece: u32, begin: u32, length: u32, out: &mut Vec<u8>) {
    let mut payload = [0; 12];
    payload[..4].copy_from_slice(&piece.to_be_bytes());
    payload[4..8].copy_from_slice(&begin.to_be_bytes());
    payload[8..].copy_from_slice(&length.to_be_bytes());
    message(REQUEST, &payload, out);
}

/// The 13 bytes in front of a block.
pub fn piece_header(piece: u32, begin: u32, length: u32) -> [u8; 13] {
    let mut out = [0; 13];
    out[..4].copy_from_slice(&(length + 9).to_be_bytes());
    out[4] = PIECE;
    out[5..9].copy_from_slice(&piece.to_be_bytes());
    out[9..].copy_from_slice(&begin.to_be_bytes());
    out
}

/// The big-endian number at `at`, if `bytes` reach that far.
pub fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_be_bytes)
}
