//! The pieces of a peer: what it has, what of that we lack, and what it was told that we have.

use super::early_haves::EarlyHaves;
use crate::engine::content::bitfield::Bitfield;

/// Statements of all that a peer has, of which one is usual.
const MAX_BITFIELDS: u32 = 4;

#[derive(Debug, Default)]
pub struct Haves {
    pieces: Bitfield,
    /// The picker counts it among the seeds, not piece by piece.
    counted_seed: bool,
    /// Pieces that it has and we lack. Not kept up to date of one that is counted among the seeds.
    offers: u32,
    bitfields: u32,
    early: EarlyHaves,
    /// Pieces that we told it we have.
    told: Bitfield,
}

/// What one that lost a piece was before.
#[derive(Debug, PartialEq, Eq)]
pub struct BeforeLoss {
    pub seed: bool,
    pub counted_seed: bool,
}

impl Haves {
    /// There are so many pieces.
    pub fn know_pieces(&mut self, pieces: u32) {
        self.pieces = Bitfield::new(pieces);
        self.told = Bitfield::new(pieces);
    }

    pub fn has(&self, piece: u32) -> bool {
        self.pieces.get(piece)
    }

    pub fn pieces(&self) -> &Bitfield {
        &self.pieces
    }

    pub fn is_seed(&self) -> bool {
        !self.pieces.is_empty() && self.pieces.is_full()
    }

    /// Millionths of all pieces that it has.
    pub fn progress_ppm(&self) -> u32 {
        (u64::from(self.pieces.count()) * 1_000_000 / u64::from(self.pieces.len().max(1))) as u32
    }

    pub fn is_counted_seed(&self) -> bool {
        self.counted_seed
    }

    /// What it said before there was metadata.
    pub fn early(&self) -> &EarlyHaves {
        &self.early
    }

    pub fn early_mut(&mut self) -> &mut EarlyHaves {
        &mut self.early
    }

    pub fn take_early(&mut self) -> EarlyHaves {
        std::mem::take(&mut self.early)
    }

    /// How many pieces that we lack it has: why we are interested. `missing`: how many we lack.
    pub fn offers(&self, missing: u32) -> u32 {
        if self.counted_seed { missing } else { self.offers }
    }

    /// It has a piece. False: that is not new.
    pub fn got(&mut self, piece: u32, ours: &Bitfield) -> bool {
        let new = self.pieces.set(piece);
        self.offers += u32::from(new && !ours.get(piece));
        new
    }

    /// It has a piece no more, and is counted piece by piece from now on. None: it had not.
    pub fn lost(&mut self, piece: u32, ours: &Bitfield) -> Option<BeforeLoss> {
        let seed = self.is_seed();
        if !self.pieces.clear(piece) {
            return None;
        }
        let counted_seed = std::mem::take(&mut self.counted_seed);
        if counted_seed {
            self.offers = ours.len() - ours.count();
        }
        if !ours.get(piece) {
            self.offers = self.offers.saturating_sub(1);
        }
        Some(BeforeLoss { seed, counted_seed })
    }

    /// It is about to state all that it has. An error: once too often.
    pub fn count_bitfield(&mut self) -> Result<(), String> {
        self.bitfields += 1;
        if self.bitfields > MAX_BITFIELDS { Err("one bitfield after the other".into()) } else { Ok(()) }
    }

    /// All that it has.
    pub fn replace(&mut self, field: Bitfield, ours: &Bitfield) {
        self.counted_seed = field.is_full();
        self.pieces = field;
        self.count_offers(ours);
    }

    /// We got a piece, or lost it. How many it has for us since; None: it has not got this one.
    pub fn ours_changed(&mut self, piece: u32, had: bool) -> Option<u32> {
        if !self.has(piece) {
            return None;
        }
        self.offers = if had { self.offers.saturating_sub(1) } else { self.offers + 1 };
        Some(self.offers)
    }

    /// Counts anew what it has and we lack, who have that.
    pub fn count_offers(&mut self, ours: &Bitfield) {
        self.offers = if ours.is_empty() {
            self.pieces.count()
        } else {
            self.pieces.iter().filter(|p| !ours.get(*p)).count() as u32
        };
    }

    /// It is told that we have a piece. False: it was told before.
    pub fn tell(&mut self, piece: u32) -> bool {
        self.told.set(piece)
    }

    /// It is told of all that we have.
    pub fn tell_all(&mut self, ours: &Bitfield) {
        self.told = ours.clone();
    }

    /// We have a piece no more. BeforeLoss it told that we had it?
    pub fn take_back(&mut self, piece: u32) -> bool {
        self.told.clear(piece)
    }

    /// Is it to be looked at when we get a piece or lose one? `stays`: we lose none.
    pub fn needs_look(&self, stays: bool) -> bool {
        !self.counted_seed || !(stays || self.told.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PIECES: u32 = 5;

    proptest! {
        #[test]
        fn offers_are_what_it_has_and_we_lack(ops in proptest::collection::vec((0u8..5, 0..PIECES), 0..60)) {
            let (mut haves, mut ours) = (Haves::default(), Bitfield::new(PIECES));
            haves.know_pieces(PIECES);
            for (op, piece) in ops {
                match op {
                    0 => drop(haves.got(piece, &ours)),
                    1 => drop(haves.lost(piece, &ours)),
                    2 => haves.replace(Bitfield::full(PIECES), &ours),
                    3 if ours.set(piece) => drop(haves.ours_changed(piece, true)),
                    4 if ours.clear(piece) => drop(haves.ours_changed(piece, false)),
                    _ => {}
                }
                let lacked = haves.pieces().iter().filter(|p| !ours.get(*p)).count() as u32;
                prop_assert_eq!(haves.offers(PIECES - ours.count()), lacked);
                prop_assert!(!haves.is_counted_seed() || haves.is_seed());
            }
        }
    }

    #[test]
    fn a_seed_is_looked_at_only_for_what_it_was_told_and_may_go() {
        let (mut haves, ours) = (Haves::default(), Bitfield::new(PIECES));
        haves.know_pieces(PIECES);
        assert!(haves.needs_look(true), "it may lack what we get");
        haves.replace(Bitfield::full(PIECES), &ours);
        assert!(!haves.needs_look(true) && !haves.needs_look(false));
        assert!(haves.tell(1) && !haves.tell(1));
        assert!(haves.needs_look(false) && !haves.needs_look(true));
        assert!(haves.take_back(1) && !haves.take_back(1) && !haves.needs_look(false));
        assert_eq!(haves.lost(0, &ours), Some(BeforeLoss { seed: true, counted_seed: true }));
        assert!(haves.needs_look(true));
        assert_eq!(haves.lost(0, &ours), None);
    }
}
