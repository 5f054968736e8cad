//! The block pool: the one currency of memory.
//!
//! Every payload byte between a socket and a reader lies in a 16 KiB block of the session's pool, and every block is
//! charged *before* it is asked of a peer. So `charged <= limit` holds by construction, whatever peers, readers and
//! disks do:
//!
//! * [`Pool::reserve`] charges one block, or refuses. No memory is touched yet.
//! * [`Reservation::into_block`] turns the charge into a buffer to fill; [`BlockMut::freeze`] into a shared [`Block`].
//! * Dropping any of the three gives the charge back, and the buffer to a list of idle ones.
//!
//! A connection's outstanding requests hold their charges in [`Credits`](super::credits::Credits), from which the wire decoder
//! takes the buffer for an arriving block without a lock on the torrent: a block nobody paid for gets no memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

pub use super::buffers::BLOCK_SIZE;
use super::buffers::{Buffer, Buffers};
use super::queue::MemoryQueue;

/// What padding reads as.
static ZEROS: [u8; BLOCK_SIZE as usize] = [0; BLOCK_SIZE as usize];

/// Most blocks of a pool: 32 TiB. They are counted in 31 bits; a numbered count has its number above them.
const BLOCKS: u64 = (1 << 31) - 1;

/// The counts of a pool, in one word, so that they change together: blocks charged in the low half, above them those
/// promised, and on top whether anybody waits.
#[derive(Debug, Clone, Copy)]
struct Counts(u64);

impl Counts {
    const PROMISED: u64 = 1 << 32;
    const WAITING: u64 = 1 << 63;

    fn charged(self) -> u64 {
        self.0 & u64::from(u32::MAX)
    }

    fn promised(self) -> u64 {
        (self.0 & !Self::WAITING) >> 32
    }

    fn taken(self) -> u64 {
        self.charged() + self.promised()
    }

    fn anybody_waits(self) -> bool {
        self.0 & Self::WAITING != 0
    }
}

/// A session's pool of blocks.
///
/// A block is charged from its request on until its last holder drops it. Before a piece is begun all its blocks are promised
/// (see `queue`): what is charged and what is promised together stay below the limit. What is promised may be lent (see `idle`): then it is
/// charged to somebody else, and owed.
#[derive(Debug)]
pub struct Pool {
    /// The limit, in blocks, under the number of times that it was set (mod 2^33): what was charged under an older one is no
    /// peak of this one.
    limit: AtomicU64,
    counts: AtomicU64,
    /// The most that was charged at once, under the same number.
    peak: AtomicU64,
    /// Blocks that uploads hold (see `outgoing`).
    pub(crate) outgoing: AtomicU64,
    /// Blocks that were promised and are lent (see `idle`).
    pub(super) owed: AtomicU64,
    buffers: Mutex<Buffers>,
    pub(crate) queue: Mutex<MemoryQueue>,
}

impl Pool {
    /// A pool of `limit_bytes`, rounded down to whole blocks, at least one.
    pub fn new(limit_bytes: u64) -> Arc<Self> {
        Arc::new(Self {
            limit: AtomicU64::new(blocks_of(limit_bytes)),
            counts: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            outgoing: AtomicU64::new(0),
            owed: AtomicU64::new(0),
            buffers: Mutex::default(),
            queue: Mutex::default(),
        })
    }

    /// Most blocks that may be charged at once.
    pub fn limit(&self) -> u64 {
        self.limit.load(Ordering::Acquire) & BLOCKS
    }

    fn counts(&self) -> Counts {
        Counts(self.counts.load(Ordering::Acquire))
    }

    /// Blocks charged now: in flight, stored, being hashed, written, uploaded or read.
    pub fn charged(&self) -> u64 {
        self.counts().charged()
    }

    /// Blocks promised to pieces that are begun, and not charged to them yet.
    pub fn promised(&self) -> u64 {
        self.idle() + self.owed()
    }

    /// Those of them that are not lent.
    pub fn idle(&self) -> u64 {
        self.counts().promised()
    }

    /// The most that was charged at once since the limit was set, that moment included: above the limit only where more was
    /// charged when it was lowered.
    pub fn peak(&self) -> u64 {
        self.limit_and_peak().1
    }

    /// Both, of one moment.
    pub fn limit_and_peak(&self) -> (u64, u64) {
        loop {
            let (limit, peak) = (self.limit.load(Ordering::SeqCst), self.peak.load(Ordering::SeqCst));
            if limit & !BLOCKS == peak & !BLOCKS {
                return (limit & BLOCKS, peak & BLOCKS);
            }
            // The limit is just being set, and the peak is of the one before: whoever sets it holds this lock meanwhile.
            drop(self.buffers.lock());
        }
    }

    /// Blocks that can be charged or promised now.
    pub fn available(&self) -> u64 {
        self.limit().saturating_sub(self.counts().taken())
    }

    /// Is more charged and promised than the limit, which was lowered, allows?
    pub fn is_overdrawn(&self) -> bool {
        self.is_beyond(self.limit())
    }

    /// Is more charged and promised than so many blocks?
    pub fn is_beyond(&self, blocks: u64) -> bool {
        self.counts().taken() > blocks
    }

    /// Does anybody wait for memory?
    pub fn anybody_waits(&self) -> bool {
        self.counts().anybody_waits()
    }

    /// Sets the limit. Lowered below what is charged, nothing is taken away here: reservations are refused until the
    /// owners have evicted enough.
    pub fn set_limit(&self, limit_bytes: u64) {
        {
            let mut buffers = self.buffers.lock();
            let blocks = blocks_of(limit_bytes);
            let number = (self.limit.load(Ordering::Acquire) & !BLOCKS).wrapping_add(BLOCKS + 1);
            // From here on blocks are charged under the new number. Those that were so before the next line are in `counts`.
            self.limit.store(number | blocks, Ordering::SeqCst);
            self.peak.store(number | self.charged(), Ordering::SeqCst);
            buffers.shrink(blocks);
        }
        self.call_next();
    }

    /// Charges one block that was promised to nobody.
    pub fn reserve(self: &Arc<Self>) -> Option<Reservation> {
        self.take(1, 0, true)?;
        Some(Reservation::of_charge(self.clone()))
    }

    /// Charges and promises so many blocks if they are there; unless `past_those_who_wait`, nobody may wait.
    pub(crate) fn take(&self, charged: u64, promised: u64, past_those_who_wait: bool) -> Option<()> {
        self.change(|now, limit| {
            let may = past_those_who_wait || !now.anybody_waits();
            let fits = charged.saturating_add(promised) <= limit.saturating_sub(now.taken());
            (may && fits).then_some(now.0 + charged + promised * Counts::PROMISED)
        })
    }

    /// A promised block is charged; not while more is charged than a lowered limit allows, nor while it is lent.
    pub(crate) fn redeem(self: &Arc<Self>) -> Option<Reservation> {
        if self.charge_promised(1).is_none() {
            // It is lent, and there is memory that is nobody's.
            if self.pay_back(1) == 0 {
                return None;
            }
            if self.take(1, 0, true).is_none() {
                self.owed.fetch_add(1, Ordering::SeqCst);
                return None;
            }
        }
        Some(Reservation::of_charge(self.clone()))
    }

    /// Promised blocks are charged.
    pub(super) fn charge_promised(&self, blocks: u64) -> Option<()> {
        self.change(|now, limit| {
            let fits = now.charged().saturating_add(blocks) <= limit && now.promised() >= blocks;
            fits.then(|| now.0 + blocks - blocks * Counts::PROMISED)
        })
    }

    /// Blocks that were promised and are lent.
    pub fn owed(&self) -> u64 {
        self.owed.load(Ordering::SeqCst)
    }

    /// Pays back so many blocks, as far as so many are owed.
    pub(super) fn pay_back(&self, blocks: u64) -> u64 {
        if self.owed() == 0 {
            return 0;
        }
        let less = |owed: u64| Some(owed - owed.min(blocks));
        self.owed.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).map_or(0, |owed| owed.min(blocks))
    }

    /// Charges so many blocks that are promised to others.
    pub(super) fn lend(self: &Arc<Self>, blocks: u64) -> Option<()> {
        // First of all they are owed: who gives a promise back meanwhile finds it either there or lent.
        self.owed.fetch_add(blocks, Ordering::SeqCst);
        let lent = self.charge_promised(blocks);
        if lent.is_none() {
            // What others paid back meanwhile is nobody's.
            let paid = blocks - self.pay_back(blocks);
            self.take_back_promise(paid);
        }
        lent
    }

    /// Is there something for those who were promised it?
    pub fn may_redeem(&self) -> bool {
        self.charged() < self.limit() && (self.idle() > 0 || self.available() > 0)
    }

    /// Changes the counts if `change` does, and remembers the peak as it is: were the limit ever broken, it would show.
    fn change(&self, change: impl Fn(Counts, u64) -> Option<u64>) -> Option<()> {
        let numbered = self.limit.load(Ordering::SeqCst);
        let (number, limit) = (numbered & !BLOCKS, numbered & BLOCKS);
        let with = |counts| change(Counts(counts), limit);
        let before = self.counts.fetch_update(Ordering::AcqRel, Ordering::Acquire, with).ok()?;
        let after = change(Counts(before), limit).map_or(0, |after| Counts(after).charged());
        self.note_peak(number | after);
        // The limit was set meanwhile: what is charged now counts under the new one.
        let now = self.limit.load(Ordering::SeqCst) & !BLOCKS;
        if now != number {
            self.note_peak(now | self.charged());
        }
        Some(())
    }

    /// So much was charged, under the limit of that number.
    fn note_peak(&self, numbered: u64) {
        let higher = |p: u64| (p & !BLOCKS == numbered & !BLOCKS && p < numbered).then_some(numbered);
        // An error: it was higher, or the limit is another one by now.
        let _ = self.peak.fetch_update(Ordering::SeqCst, Ordering::SeqCst, higher);
    }

    /// A charged block is promised again.
    pub(crate) fn promise_again(&self, reservation: Reservation) {
        reservation.keep_charged();
        self.counts.fetch_add(Counts::PROMISED - 1, Ordering::AcqRel);
    }

    /// Where it was lent, it stays with those who have it. What was there a moment ago may be lent by now, and the other way round.
    pub(crate) fn take_back_promise(&self, blocks: u64) {
        let mut left = blocks;
        let mut somebody_waits = false;
        while left > 0 {
            left -= self.pay_back(left);
            let less = |counts: u64| Some(counts - Counts(counts).promised().min(left) * Counts::PROMISED);
            let before = self.counts.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
            let before = Counts(before.unwrap_or_else(|counts| counts));
            left -= before.promised().min(left);
            somebody_waits |= before.anybody_waits();
        }
        if somebody_waits {
            self.call_next();
        }
    }

    /// What comes free goes to those first whose own was lent.
    pub(crate) fn uncharge(&self, n: u64) {
        // It is promised again before it is owed no more: who gives a promise back meanwhile finds it either there or lent.
        let owed = self.owed().min(n);
        let change = (owed * Counts::PROMISED).wrapping_sub(n);
        let before = Counts(self.counts.fetch_add(change, Ordering::AcqRel));
        debug_assert!(before.charged() >= n, "a block was given back twice");
        let paid = self.pay_back(owed);
        if paid < owed {
            self.take_back_promise(owed - paid);
        }
        if before.anybody_waits() {
            self.call_next();
        }
    }

    /// Remembers whether anybody waits; whoever gives blocks back after that looks who is next.
    pub(crate) fn set_anybody_waits(&self, waits: bool) {
        if waits {
            self.counts.fetch_or(Counts::WAITING, Ordering::AcqRel);
        } else {
            self.counts.fetch_and(!Counts::WAITING, Ordering::AcqRel);
        }
    }

    fn buffer(&self) -> Buffer {
        self.buffers.lock().take(self.limit())
    }

    fn recycle(&self, buffer: Buffer) {
        self.buffers.lock().put(buffer, self.limit());
    }

    /// Frees the memory that no block is in.
    pub fn release_idle(&self) {
        self.buffers.lock().shrink(0);
    }
}

fn blocks_of(bytes: u64) -> u64 {
    (bytes / u64::from(BLOCK_SIZE)).clamp(1, BLOCKS)
}

/// One charged block, without memory yet.
#[derive(Debug)]
pub struct Reservation {
    pool: Arc<Pool>,
    armed: bool,
}

impl Reservation {
    /// One that stands for a charge made before; see [`Reservation::keep_charged`].
    pub(crate) fn of_charge(pool: Arc<Pool>) -> Self {
        Self { pool, armed: true }
    }

    /// Leaves the block charged, for the caller to account for.
    pub(crate) fn keep_charged(mut self) {
        self.armed = false;
    }

    pub fn into_block(mut self, len: u32) -> BlockMut {
        self.armed = false;
        BlockMut::new(&self.pool, Some(self.pool.buffer()), len)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.armed {
            self.pool.uncharge(1);
        }
    }
}

/// A block being filled.
#[derive(Debug)]
pub struct BlockMut {
    data: Option<Buffer>,
    len: u32,
    pool: Arc<Pool>,
    /// The last holder sees what the others did by a fence in `Arc`, of which ThreadSanitizer knows nothing. In its build they say so here.
    #[cfg(tsan)]
    let_go: AtomicU64,
}

impl BlockMut {
    fn new(pool: &Arc<Pool>, data: Option<Buffer>, len: u32) -> Self {
        Self {
            data,
            len: len.min(BLOCK_SIZE),
            pool: pool.clone(),
            #[cfg(tsan)]
            let_go: AtomicU64::new(0),
        }
    }

    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        let len = self.len as usize;
        self.data.as_mut().and_then(|d| d.as_mut_slice().get_mut(..len)).unwrap_or_default()
    }

    pub fn freeze(self) -> Block {
        Block(Arc::new(self))
    }

    /// Gives the memory back, not the charge.
    pub(crate) fn into_reservation(mut self) -> Reservation {
        if let Some(data) = self.data.take() {
            self.pool.recycle(data);
        }
        Reservation::of_charge(self.pool.clone())
    }
}

impl Drop for BlockMut {
    /// Buffer back first, charge after: who charges the block next finds the buffer.
    fn drop(&mut self) {
        #[cfg(tsan)]
        self.let_go.load(Ordering::Acquire);
        if let Some(data) = self.data.take() {
            self.pool.recycle(data);
            self.pool.uncharge(1);
        }
    }
}

/// A filled block, shared by reference; charged until the last holder drops it.
#[derive(Debug, Clone)]
pub struct Block(Arc<BlockMut>);

#[cfg(tsan)]
impl Drop for Block {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// Blocks that follow one another, shared all together: one count is taken for them, not one each.
#[derive(Debug, Clone)]
pub struct Blocks(Arc<[Block]>);

#[cfg(tsan)]
impl Drop for Blocks {
    /// Whoever holds them all lets each of them go, though its own count stays as it is.
    fn drop(&mut self) {
        for block in self.0.iter() {
            block.let_go();
        }
    }
}

impl FromIterator<Block> for Blocks {
    fn from_iter<I: IntoIterator<Item = Block>>(blocks: I) -> Self {
        Self(blocks.into_iter().collect())
    }
}

impl std::ops::Deref for Blocks {
    type Target = [Block];

    fn deref(&self) -> &[Block] {
        &self.0
    }
}

impl Blocks {
    /// How many hold them all.
    pub fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

impl Block {
    /// Bytes of padding: zeros that take no memory, and are charged to nobody.
    pub fn padding(pool: &Arc<Pool>, len: u32) -> Self {
        BlockMut::new(pool, None, len).freeze()
    }

    pub fn is_padding(&self) -> bool {
        self.0.data.is_none()
    }

    pub fn as_slice(&self) -> &[u8] {
        let bytes = self.0.data.as_ref().map_or(ZEROS.as_slice(), Buffer::as_slice);
        bytes.get(..self.0.len as usize).unwrap_or_default()
    }

    pub fn len(&self) -> u32 {
        self.0.len
    }

    pub fn is_empty(&self) -> bool {
        self.0.len == 0
    }

    /// What its holder did with it is seen by the last one.
    #[cfg(tsan)]
    fn let_go(&self) {
        self.0.let_go.fetch_add(1, Ordering::Release);
    }

    /// How many hold it: this, and the uploads, readers and writers that have a clone.
    pub fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_holds_and_everything_comes_back() {
        let pool = Pool::new(3 * u64::from(BLOCK_SIZE));
        let a = pool.reserve().expect("first");
        let b = pool.reserve().expect("second").into_block(100);
        let c = pool.reserve().expect("third").into_block(BLOCK_SIZE).freeze();
        assert!(pool.reserve().is_none());
        let shared = c.clone();
        drop(c);
        assert_eq!(pool.charged(), 3);
        assert_eq!(shared.len(), BLOCK_SIZE);
        drop((a, b, shared));
        assert_eq!((pool.charged(), pool.peak()), (0, 3));
    }

    #[test]
    fn padding_is_zeros_and_takes_no_room() {
        let pool = Pool::new(u64::from(BLOCK_SIZE));
        let all: Vec<Block> = (0..100).map(|n| Block::padding(&pool, n)).collect();
        assert!(
            all.iter().zip(0..).all(|(b, n)| b.is_padding() && b.len() == n && b.as_slice() == vec![0; n as usize])
        );
        let real = pool.reserve().expect("room").into_block(5).freeze();
        drop(all);
        assert!(!real.is_padding());
        assert_eq!((pool.charged(), pool.peak()), (1, 1));
    }

    #[test]
    fn lowering_the_limit_refuses_until_room() {
        let pool = Pool::new(10 * u64::from(BLOCK_SIZE));
        let held: Vec<_> = (0..8).filter_map(|_| pool.reserve()).map(|r| r.into_block(1)).collect();
        pool.set_limit(4 * u64::from(BLOCK_SIZE));
        assert!(pool.reserve().is_none());
        assert_eq!((pool.charged(), pool.limit(), pool.peak()), (8, 4, 8));
        drop(held);
        assert!(pool.reserve().is_some());
    }

    /// What is charged beyond the limit shows in the peak, however it came to that, and stays there until the limit is set anew.
    #[test]
    fn a_breach_of_the_limit_shows_in_the_peak() {
        let pool = Pool::new(4 * u64::from(BLOCK_SIZE));
        pool.change(|now, _| Some(now.0 + 7)).expect("nobody looks at the limit");
        assert_eq!((pool.charged(), pool.limit_and_peak()), (7, (4, 7)));
        pool.uncharge(7);
        assert_eq!((pool.charged(), pool.limit_and_peak()), (0, (4, 7)));
        pool.set_limit(5 * u64::from(BLOCK_SIZE));
        assert_eq!(pool.limit_and_peak(), (5, 0));
    }

    #[test]
    fn the_peak_is_of_the_limit_that_holds() {
        let pool = Pool::new(10 * u64::from(BLOCK_SIZE));
        drop((0..9).filter_map(|_| pool.reserve()).collect::<Vec<_>>());
        assert_eq!(pool.peak(), 9);
        for (limit, used) in [(4, 3), (20, 17), (1, 1), (BLOCKS, 5)] {
            pool.set_limit(limit * u64::from(BLOCK_SIZE));
            assert_eq!(pool.peak(), 0);
            drop((0..used).filter_map(|_| pool.reserve()).collect::<Vec<_>>());
            assert_eq!((pool.limit(), pool.peak()), (limit, used));
        }
    }

    /// While the limit goes up and down under those who charge, the peak is one of what any of the limits allowed.
    #[test]
    fn no_peak_is_seen_above_what_was_allowed() {
        const LIMITS: [u64; 4] = [64, 8, 32, 2];
        let pool = Pool::new(64 * u64::from(BLOCK_SIZE));
        let over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        drop((0..64).map_while(|_| pool.reserve()).collect::<Vec<_>>());
                    }
                });
            }
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let (limit, peak) = pool.limit_and_peak();
                    assert!(LIMITS.contains(&limit) && peak <= 64, "{peak} of {limit}");
                }
            });
            for n in 0..20_000 {
                pool.set_limit(LIMITS[n % 4] * u64::from(BLOCK_SIZE));
                let (limit, peak) = pool.limit_and_peak();
                assert!(limit == LIMITS[n % 4] && peak <= 64, "{peak} of {limit}");
            }
            over.store(true, Ordering::Relaxed);
        });
        // Nobody charges any more: the limit that is set now is that of its own peak.
        pool.set_limit(64 * u64::from(BLOCK_SIZE));
        drop((0..100).map_while(|_| pool.reserve()).collect::<Vec<_>>());
        assert_eq!(pool.limit_and_peak(), (64, 64));
    }
}
