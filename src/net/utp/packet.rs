//! A uTP packet (BEP 29): a header of 20 bytes, extensions, payload.

use std::fmt;

pub const HEADER_BYTES: usize = 20;
/// The extension that tells which packets after the first missing one are here.
const SELECTIVE_ACK: u8 = 1;
/// No extension of this number exists: receivers skip it, as they skip all that they do not know.
const PADDING: u8 = 0x7f;
/// An extension has its number and its length before it.
const EXTENSION_HEAD: usize = 2;
const MOST_EXTENSION: usize = 255;
/// Selective acknowledgements come in words of 32 packets.
const WORD: usize = 4;
/// The most words that fit.
pub const MOST_SACK_BYTES: usize = MOST_EXTENSION / WORD * WORD;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketType {
    Data,
    Fin,
    /// An acknowledgement: it takes no number of the sequence.
    State,
    Reset,
    Syn,
}

impl PacketType {
    fn number(self) -> u8 {
        match self {
            Self::Data => 0,
            Self::Fin => 1,
            Self::State => 2,
            Self::Reset => 3,
            Self::Syn => 4,
        }
    }

    fn of(number: u8) -> Option<Self> {
        [Self::Data, Self::Fin, Self::State, Self::Reset, Self::Syn].into_iter().find(|t| t.number() == number)
    }
}

/// The number of a packet in its direction's sequence. Numbers wrap.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SeqNr(pub u16);

impl SeqNr {
    pub fn plus(self, n: u16) -> Self {
        Self(self.0.wrapping_add(n))
    }

    /// How far this is behind `from`, negative where it lies before it.
    pub fn distance(self, from: Self) -> i32 {
        i32::from(self.0.wrapping_sub(from.0) as i16)
    }
}

impl fmt::Debug for SeqNr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub kind: PacketType,
    pub connection_id: u16,
    /// Microseconds of the sender's clock.
    pub timestamp: u32,
    /// How long the other side's last packet was under way, in microseconds, by two clocks. 0: it is not known.
    pub timestamp_difference: u32,
    /// Bytes that its sender has room for.
    pub wnd_size: u32,
    pub seq_nr: SeqNr,
    /// The last number up to which all is here.
    pub ack_nr: SeqNr,
}

/// A packet as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    pub header: Header,
    /// A bit a packet from `ack_nr` + 2 on, the lowest bit of a byte first.
    pub sack: &'a [u8],
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// None: it is none. That is told by its first byte with some certainty: bencoded dictionaries and answers of trackers begin otherwise.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (head, mut rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        let [first, mut extension, ..] = *head;
        if first & 0x0f != 1 {
            return None;
        }
        let u16_at = |at: usize| Some(u16::from_be_bytes(head.get(at..at + 2)?.try_into().ok()?));
        let u32_at = |at: usize| Some(u32::from_be_bytes(head.get(at..at + 4)?.try_into().ok()?));
        let header = Header {
            kind: PacketType::of(first >> 4)?,
            connection_id: u16_at(2)?,
            timestamp: u32_at(4)?,
            timestamp_difference: u32_at(8)?,
            wnd_size: u32_at(12)?,
            seq_nr: SeqNr(u16_at(16)?),
            ack_nr: SeqNr(u16_at(18)?),
        };
        let mut sack: &[u8] = &[];
        while extension != 0 {
            let ([next, length], after) = rest.split_first_chunk::<EXTENSION_HEAD>()?;
            let (body, after) = after.split_at_checked(usize::from(*length))?;
            if extension == SELECTIVE_ACK {
                sack = body;
            }
            (extension, rest) = (*next, after);
        }
        Some(Self { header, sack, payload: rest })
    }
}

impl Header {
    /// Appends the header and its extensions; the payload comes behind it. `padding`: so many bytes more, as extensions that nobody knows.
    pub fn encode(&self, sack: &[u8], padding: usize, out: &mut Vec<u8>) {
        let sack = sack.get(..MOST_SACK_BYTES).unwrap_or(sack);
        let after = if padding >= EXTENSION_HEAD { PADDING } else { 0 };
        let first = if sack.is_empty() { after } else { SELECTIVE_ACK };
        out.extend([self.kind.number() << 4 | 1, first]);
        out.extend(self.connection_id.to_be_bytes());
        for number in [self.timestamp, self.timestamp_difference, self.wnd_size] {
            out.extend(number.to_be_bytes());
        }
        out.extend(self.seq_nr.0.to_be_bytes());
        out.extend(self.ack_nr.0.to_be_bytes());
        if !sack.is_empty() {
            out.extend([after, sack.len() as u8]);
            out.extend(sack);
        }
        let mut left = padding;
        while left >= EXTENSION_HEAD {
            let mut length = (left - EXTENSION_HEAD).min(MOST_EXTENSION);
            // What is left over has room for its own head.
            if left - EXTENSION_HEAD - length == 1 {
                length -= 1;
            }
            left -= EXTENSION_HEAD + length;
            out.extend([if left >= EXTENSION_HEAD { PADDING } else { 0 }, length as u8]);
            out.resize(out.len() + length, 0);
        }
    }
}

/// How many bytes a selective acknowledgement takes in a packet.
pub fn sack_bytes(sack: &[u8]) -> usize {
    if sack.is_empty() { 0 } else { EXTENSION_HEAD + sack.len().min(MOST_SACK_BYTES) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header() -> Header {
        Header {
            kind: PacketType::Data,
            connection_id: 0x0102,
            timestamp: 0x03040506,
            timestamp_difference: 0x0708090a,
            wnd_size: 0x0b0c0d0e,
            seq_nr: SeqNr(0x0f10),
            ack_nr: SeqNr(0x1112),
        }
    }

    #[test]
    fn the_bytes_are_those_of_bep_29() {
        let mut out = Vec::new();
        header().encode(&[], 0, &mut out);
        assert_eq!(out, [1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]);
        out.clear();
        Header { kind: PacketType::Syn, ..header() }.encode(&[0, 1, 2, 3], 0, &mut out);
        assert_eq!(&out[..2], [0x41, 1]);
        assert_eq!(&out[20..], [0, 4, 0, 1, 2, 3]);
    }

    #[test]
    fn numbers_wrap() {
        assert_eq!(SeqNr(2).distance(SeqNr(65_534)), 4);
        assert_eq!(SeqNr(65_534).distance(SeqNr(2)), -4);
        assert_eq!(SeqNr(65_535).plus(2), SeqNr(1));
    }

    #[test]
    fn what_is_no_packet_is_none() {
        let mut good = Vec::new();
        header().encode(&[1, 2, 3, 4], 0, &mut good);
        assert!(Packet::parse(&good).is_some());
        for cut in 0..good.len() {
            assert_eq!(Packet::parse(&good[..cut]), None, "cut at {cut}");
        }
        for (at, byte) in [(0, 0x02), (0, 0x51), (0, b'd')] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert_eq!(Packet::parse(&bad), None);
        }
        // An extension says that it is longer than the packet.
        let mut long = good.clone();
        long[21] = 5;
        assert_eq!(Packet::parse(&long), None);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_parsed(
            sack in proptest::collection::vec(any::<u8>(), 0..300),
            padding in 0usize..1500,
            payload in proptest::collection::vec(any::<u8>(), 0..50),
        ) {
            let mut out = Vec::new();
            header().encode(&sack, padding, &mut out);
            let head = out.len();
            prop_assert_eq!(head, HEADER_BYTES + sack_bytes(&sack) + if padding == 1 { 0 } else { padding });
            out.extend(&payload);
            let packet = Packet::parse(&out).expect("a packet");
            prop_assert_eq!(packet.header, header());
            prop_assert_eq!(packet.sack, &sack[..sack.len().min(MOST_SACK_BYTES)]);
            prop_assert_eq!(packet.payload, &payload[..]);
        }

        #[test]
        fn any_bytes_are_taken(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(packet) = Packet::parse(&bytes) {
                prop_assert!(packet.payload.len() + packet.sack.len() + HEADER_BYTES <= bytes.len());
            }
        }
    }
}
