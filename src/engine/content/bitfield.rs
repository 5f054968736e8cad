//! Which pieces somebody has (BEP 3): bits, most significant first.

/// A set of pieces of fixed size, with its count kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bitfield {
    bytes: Vec<u8>,
    len: u32,
    ones: u32,
}

impl Bitfield {
    /// No piece of `len`.
    pub fn new(len: u32) -> Self {
        Self { bytes: vec![0; len.div_ceil(8) as usize], len, ones: 0 }
    }

    /// Every piece of `len`.
    pub fn full(len: u32) -> Self {
        let mut field = Self { bytes: vec![0xff; len.div_ceil(8) as usize], len, ones: len };
        if let Some(last) = field.bytes.last_mut()
            && !len.is_multiple_of(8)
        {
            *last = 0xffu8 << (8 - len % 8);
        }
        field
    }

    /// A peer's bitfield message. None if the length is off. Spare bits are to be zero (BEP 3); where they are not they are taken
    /// for nothing, as libtorrent does: they harm nobody, and the peer behind them may be the only one.
    pub fn from_bytes(mut bytes: Vec<u8>, len: u32) -> Option<Self> {
        if bytes.len() != len.div_ceil(8) as usize {
            return None;
        }
        let spare = (8 - len % 8) % 8;
        if let Some(last) = bytes.last_mut() {
            *last &= 0xff << spare;
        }
        let ones = bytes.iter().map(|b| b.count_ones()).sum();
        Some(Self { bytes, len, ones })
    }

    /// The same, or what is wrong with it.
    pub fn from_message(bytes: Vec<u8>, pieces: u32) -> Result<Self, String> {
        Self::from_bytes(bytes, pieces).ok_or_else(|| does_not_fit(pieces))
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn len(&self) -> u32 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.ones == 0
    }

    pub fn is_full(&self) -> bool {
        self.ones == self.len
    }

    pub fn count(&self) -> u32 {
        self.ones
    }

    pub fn get(&self, i: u32) -> bool {
        i < self.len && self.bytes.get((i / 8) as usize).is_some_and(|b| b & (0x80 >> (i % 8)) != 0)
    }

    /// Adds a piece; true if that was new. Outside the range nothing happens.
    pub fn set(&mut self, i: u32) -> bool {
        if i >= self.len || self.get(i) {
            return false;
        }
        if let Some(b) = self.bytes.get_mut((i / 8) as usize) {
            *b |= 0x80 >> (i % 8);
            self.ones += 1;
        }
        true
    }

    /// Takes a piece out; true if it was there.
    pub fn clear(&mut self, i: u32) -> bool {
        if !self.get(i) {
            return false;
        }
        if let Some(b) = self.bytes.get_mut((i / 8) as usize) {
            *b &= !(0x80 >> (i % 8));
            self.ones -= 1;
        }
        true
    }

    /// The pieces in it, ascending from one on, then those before it.
    pub fn iter_from(&self, from: u32) -> impl Iterator<Item = u32> + '_ {
        (from..self.len).chain(0..from.min(self.len)).filter(|i| self.get(*i))
    }

    /// The pieces in it, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.bytes.iter().enumerate().filter(|(_, b)| **b != 0).flat_map(|(byte, bits)| {
            let base = byte as u32 * 8;
            (0..8).filter(move |i| bits & (0x80 >> i) != 0).map(move |i| base + i)
        })
    }
}

/// What is wrong with a peer's statement of all its pieces, of which there are so many.
pub fn does_not_fit(pieces: u32) -> String {
    format!("bitfield does not fit {pieces} pieces")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_are_checked_and_spare_bits_say_nothing() {
        assert!(Bitfield::from_bytes(vec![0xff, 0x80], 9).is_some_and(|b| b.is_full()));
        let spare = Bitfield::from_bytes(vec![0xff, 0xff], 9).expect("spare bits say nothing");
        assert_eq!((spare.count(), spare.as_bytes()), (9, [0xff, 0x80].as_slice()));
        assert!(Bitfield::from_bytes(vec![0xff], 9).is_none());
        assert_eq!(Bitfield::full(9).as_bytes(), [0xff, 0x80]);
        assert_eq!(Bitfield::full(16).as_bytes(), [0xff, 0xff]);
        assert!(Bitfield::from_bytes(vec![], 0).is_some());
    }

    proptest! {
        #[test]
        fn behaves_like_a_set(len in 1u32..200, ops in proptest::collection::vec((any::<bool>(), 0u32..220), 0..200)) {
            let mut field = Bitfield::new(len);
            let mut set = std::collections::BTreeSet::new();
            for (add, i) in ops {
                if add {
                    prop_assert_eq!(field.set(i), i < len && set.insert(i));
                } else {
                    prop_assert_eq!(field.clear(i), set.remove(&i));
                }
            }
            prop_assert_eq!(field.iter().collect::<Vec<_>>(), set.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(field.count() as usize, set.len());
            let again = Bitfield::from_bytes(field.as_bytes().to_vec(), len);
            prop_assert_eq!(again, Some(field));
        }
    }
}
