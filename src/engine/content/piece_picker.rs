//! The piece picker's order for what nobody waits for: priority first, rarest first inside a priority.
//!
//! Pieces lie in buckets by rank = (priority, availability); a piece moves between buckets in constant time, so a HAVE
//! costs the same with a thousand pieces and with a million. Seeds are counted apart, since they shift all pieces alike.
//! What readers and deadlines want is asked before this order is looked at (see `requests::demand`).

use super::bitfield::Bitfield;

/// The highest piece priority (libtorrent's `top_priority`).
pub const TOP_PRIORITY: u8 = 7;
/// libtorrent's `default_priority`.
pub const DEFAULT_PRIORITY: u8 = 4;

/// Availability from here on ranks alike.
const MAX_AVAILABILITY: usize = 32;
const NOWHERE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Piece {
    /// Peers that have it, seeds not counted.
    availability: u16,
    priority: u8,
    /// We have it, or it is whole and being verified: nothing to pick.
    done: bool,
    /// Blocks of it are asked for or here: others go on with it.
    begun: bool,
    /// Index in its bucket, NOWHERE if it is in none.
    at: u32,
}

/// Availability and priority of every piece, and the order that follows.
#[derive(Debug)]
pub struct Picker {
    pieces: Vec<Piece>,
    buckets: Vec<Vec<u32>>,
    /// All buckets before this one are empty.
    best: usize,
    seeds: u32,
    /// Pieces of each priority that are not done, begun or not. Those of priority 0 are not wanted.
    undone: [u32; TOP_PRIORITY as usize + 1],
    /// Pieces begun that are not wanted by their priority.
    unwanted_begun: u32,
    /// No fresh piece of a priority lies before this one.
    first: [u32; TOP_PRIORITY as usize + 1],
}

impl Picker {
    pub fn new(num_pieces: u32, priority: u8) -> Self {
        let piece = Piece { availability: 0, priority: 0, done: false, begun: false, at: NOWHERE };
        let mut undone = [0; TOP_PRIORITY as usize + 1];
        undone[0] = num_pieces;
        let mut picker = Self {
            pieces: vec![piece; num_pieces as usize],
            buckets: vec![Vec::new(); usize::from(TOP_PRIORITY) * MAX_AVAILABILITY],
            best: 0,
            seeds: 0,
            undone,
            unwanted_begun: 0,
            first: [0; TOP_PRIORITY as usize + 1],
        };
        if priority > 0 {
            for i in 0..num_pieces {
                picker.set_priority(i, priority);
            }
        }
        picker
    }

    pub fn num_pieces(&self) -> u32 {
        self.pieces.len() as u32
    }

    pub fn priority(&self, piece: u32) -> u8 {
        self.pieces.get(piece as usize).map_or(0, |p| p.priority)
    }

    /// Peers that have the piece, seeds included.
    pub fn availability(&self, piece: u32) -> u32 {
        self.pieces.get(piece as usize).map_or(0, |p| u32::from(p.availability) + self.seeds)
    }

    pub fn set_priority(&mut self, piece: u32, priority: u8) {
        self.change(piece, |p| p.priority = priority.min(TOP_PRIORITY));
    }

    /// We have the piece (or not any more).
    pub fn set_done(&mut self, piece: u32, done: bool) {
        self.change(piece, |p| p.done = done);
    }

    pub fn peer_has(&mut self, piece: u32) {
        self.change(piece, |p| p.availability = p.availability.saturating_add(1));
    }

    pub fn peer_lost(&mut self, piece: u32) {
        self.change(piece, |p| p.availability = p.availability.saturating_sub(1));
    }

    /// A peer that was counted as a seed went, or is none any more.
    pub fn seed_left(&mut self) {
        self.seeds = self.seeds.saturating_sub(1);
    }

    /// A peer went whose pieces were counted one by one.
    pub fn pieces_left(&mut self, field: &Bitfield) {
        field.iter().for_each(|i| self.peer_lost(i));
    }

    /// A peer's pieces, to be counted one by one.
    pub fn pieces_joined(&mut self, field: &Bitfield) {
        field.iter().for_each(|i| self.peer_has(i));
    }

    /// A peer with this bitfield came.
    pub fn peer_joined(&mut self, field: &Bitfield) {
        if field.is_full() {
            self.seeds += 1;
        } else {
            field.iter().for_each(|i| self.peer_has(i));
        }
    }

    /// Somebody was asked for blocks of the piece (or all of it is to be asked for again).
    pub fn set_begun(&mut self, piece: u32, begun: bool) {
        self.change(piece, |p| p.begun = begun);
    }

    /// Is the piece wanted, and nothing of it asked for?
    pub fn is_fresh(&self, piece: u32) -> bool {
        self.pieces.get(piece as usize).is_some_and(|p| Self::rank(*p).is_some())
    }

    /// Wanted pieces of which nothing is asked for, best first: highest priority, then rarest. Pieces of one rank come in no
    /// particular, but stable order.
    pub fn in_order(&self) -> impl Iterator<Item = u32> + '_ {
        self.buckets.iter().skip(self.best).flatten().copied()
    }

    /// The same, in the order of the file inside each priority.
    pub fn in_file_order(&mut self) -> impl Iterator<Item = u32> + '_ {
        for priority in 1..=TOP_PRIORITY {
            let fresh = |p: &Piece| p.priority == priority && Self::rank(*p).is_some();
            if let Some(first) = self.first.get_mut(usize::from(priority)) {
                let rest = self.pieces.get(*first as usize..).unwrap_or_default();
                *first += rest.iter().position(fresh).unwrap_or(rest.len()) as u32;
            }
        }
        let (firsts, pieces) = (&self.first, &self.pieces);
        (1..=TOP_PRIORITY).rev().flat_map(move |priority| {
            let first = firsts.get(usize::from(priority)).copied().unwrap_or_default();
            let rest = pieces.get(first as usize..).unwrap_or_default();
            let fresh = move |p: &Piece| p.priority == priority && Self::rank(*p).is_some();
            (first..).zip(rest).filter(move |(_, p)| fresh(p)).map(|(i, _)| i)
        })
    }

    /// Is there anything left to pick, begun or not?
    pub fn has_wanted(&self) -> bool {
        self.top_priority() > 0
    }

    /// The highest priority of what is wanted and not done; 0: nothing is.
    pub fn top_priority(&self) -> u8 {
        let highest = (1..=TOP_PRIORITY).rev().find(|p| self.undone.get(usize::from(*p)).is_some_and(|n| *n > 0));
        highest.unwrap_or(0)
    }

    /// Is there a wanted piece of which nothing is asked for?
    pub fn has_fresh(&self) -> bool {
        self.in_order().next().is_some()
    }

    /// Is any piece begun that is not wanted by its priority?
    pub fn has_unwanted_begun(&self) -> bool {
        self.unwanted_begun > 0
    }

    fn rank(piece: Piece) -> Option<usize> {
        (piece.priority > 0 && !piece.done && !piece.begun).then(|| {
            let availability = usize::from(piece.availability).min(MAX_AVAILABILITY - 1);
            usize::from(TOP_PRIORITY - piece.priority) * MAX_AVAILABILITY + availability
        })
    }

    fn change(&mut self, index: u32, edit: impl FnOnce(&mut Piece)) {
        let Some(piece) = self.pieces.get_mut(index as usize) else { return };
        let undone = |p: &Piece| u32::from(!p.done);
        let unwanted_begun = |p: &Piece| u32::from(p.priority == 0 && p.begun);
        let before = Self::rank(*piece);
        if let Some(n) = self.undone.get_mut(usize::from(piece.priority)) {
            *n -= undone(piece);
        }
        self.unwanted_begun -= unwanted_begun(piece);
        edit(piece);
        if let Some(n) = self.undone.get_mut(usize::from(piece.priority)) {
            *n += undone(piece);
        }
        self.unwanted_begun += unwanted_begun(piece);
        let after = Self::rank(*piece);
        if after.is_some()
            && let Some(first) = self.first.get_mut(usize::from(piece.priority))
        {
            *first = index.min(*first);
        }
        if before == after {
            return;
        }
        if let Some(bucket) = before.and_then(|r| self.buckets.get_mut(r)) {
            let at = std::mem::replace(&mut piece.at, NOWHERE) as usize;
            if at < bucket.len() {
                bucket.swap_remove(at);
                let moved = bucket.get(at).copied();
                if let Some(p) = moved.and_then(|m| self.pieces.get_mut(m as usize)) {
                    p.at = at as u32;
                }
            }
        }
        if let Some(bucket) = after.and_then(|r| self.buckets.get_mut(r)) {
            let at = bucket.len() as u32;
            bucket.push(index);
            if let Some(p) = self.pieces.get_mut(index as usize) {
                p.at = at;
            }
        }
        self.best = self.best.min(after.unwrap_or(usize::MAX));
        while self.buckets.get(self.best).is_some_and(Vec::is_empty) {
            self.best += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn priority_then_rarest() {
        let mut picker = Picker::new(5, DEFAULT_PRIORITY);
        picker.set_priority(4, 7);
        picker.set_priority(3, 0);
        for piece in [0, 0, 1, 2, 2, 2, 4] {
            picker.peer_has(piece);
        }
        assert_eq!(picker.in_order().collect::<Vec<_>>(), [4, 1, 0, 2]);
        picker.set_done(1, true);
        assert_eq!(picker.in_order().collect::<Vec<_>>(), [4, 0, 2]);
        assert_eq!(picker.in_file_order().collect::<Vec<_>>(), [4, 0, 2]);
        picker.set_done(1, false);
        assert_eq!(picker.in_order().collect::<Vec<_>>(), [4, 1, 0, 2]);
    }

    #[derive(Debug, Clone)]
    enum Op {
        Priority(u32, u8),
        Done(u32, bool),
        Begun(u32, bool),
        Have(u32),
        Join(Vec<bool>),
        LeaveLast,
    }

    fn op(n: u32) -> impl Strategy<Value = Op> {
        prop_oneof![
            (0..n, 0u8..9).prop_map(|(i, p)| Op::Priority(i, p)),
            (0..n, any::<bool>()).prop_map(|(i, d)| Op::Done(i, d)),
            (0..n, any::<bool>()).prop_map(|(i, b)| Op::Begun(i, b)),
            (0..n).prop_map(Op::Have),
            proptest::collection::vec(any::<bool>(), n as usize).prop_map(Op::Join),
            Just(Op::LeaveLast),
        ]
    }

    proptest! {
        /// Whatever happens, the order holds exactly the wanted pieces that are not begun, sorted by (priority, availability).
        #[test]
        fn order_matches_a_sort(ops in proptest::collection::vec(op(20), 0..120)) {
            let mut picker = Picker::new(20, DEFAULT_PRIORITY);
            let mut model: Vec<(u8, i64, bool)> = vec![(4, 0, false); 20];
            let mut begun = [false; 20];
            let mut joined: Vec<Bitfield> = Vec::new();
            for op in ops {
                match op {
                    Op::Priority(i, p) => { picker.set_priority(i, p); model[i as usize].0 = p.min(7); }
                    Op::Done(i, d) => { picker.set_done(i, d); model[i as usize].2 = d; }
                    Op::Begun(i, b) => { picker.set_begun(i, b); begun[i as usize] = b; }
                    Op::Have(i) => { picker.peer_has(i); model[i as usize].1 += 1; }
                    Op::Join(bits) => {
                        let mut field = Bitfield::new(20);
                        for (i, b) in bits.iter().enumerate() { if *b { field.set(i as u32); model[i].1 += 1; } }
                        picker.peer_joined(&field);
                        joined.push(field);
                    }
                    Op::LeaveLast => if let Some(field) = joined.pop() {
                        field.iter().for_each(|i| model[i as usize].1 -= 1);
                        if field.is_full() { picker.seed_left() } else { picker.pieces_left(&field) }
                    }
                }
            }
            let order: Vec<u32> = picker.in_order().collect();
            let top = model.iter().filter(|m| !m.2).map(|m| m.0).max();
            prop_assert_eq!(picker.top_priority(), top.unwrap_or(0));
            let is_fresh = |i: &u32| { let m = model[*i as usize]; m.0 > 0 && !m.2 && !begun[*i as usize] };
            let mut expect: Vec<u32> = (0..20).filter(is_fresh).collect();
            prop_assert_eq!(picker.has_fresh(), !expect.is_empty());
            for i in 0..20u32 { prop_assert_eq!(i64::from(picker.availability(i)), model[i as usize].1); }
            let seeds = joined.iter().filter(|f| f.is_full()).count() as i64;
            let key = |i: &u32| { let m = model[*i as usize]; (7 - m.0, (m.1 - seeds).min(31)) };
            prop_assert!(order.windows(2).all(|w| key(&w[0]) <= key(&w[1])));
            let mut sorted = order.clone();
            sorted.sort_unstable();
            expect.sort_unstable();
            prop_assert_eq!(sorted, expect);
        }
    }
}
