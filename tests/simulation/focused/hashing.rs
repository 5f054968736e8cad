//! When what came is hashed: at once, or, while it pours in, in company.

use std::time::Duration;

use elementum_torrent::base::time::Time;
use elementum_torrent::engine::Torrent;
use elementum_torrent::engine::content::pieces::HashJob;
use elementum_torrent::engine::readers::reader::{ReaderId, ReaderOptions};
use elementum_torrent::memory::pool::BLOCK_SIZE;
use elementum_torrent::wire::BlockRequest;

use crate::zeros::{self, Seeder};

const PIECE: u32 = 16 * BLOCK_SIZE;

struct Pour {
    torrent: Torrent,
    seeder: Seeder,
    now: Time,
    asked: Vec<BlockRequest>,
}

impl Pour {
    fn new(piece_length: u32) -> Self {
        Self::by_lanes(piece_length, 4)
    }

    fn by_lanes(piece_length: u32, lanes: usize) -> Self {
        let now = Time::from_millis(1000);
        let total = 64 * u64::from(piece_length);
        let mut torrent = zeros::torrent_by_lanes(now, total, piece_length, 128 << 20, lanes);
        let seeder = Seeder::connect(&mut torrent, now, 1);
        let options = ReaderOptions { lookahead: Some(64 << 20), ..Default::default() };
        torrent.open_reader(now, ReaderId(1), 0, options).expect("a reader");
        Self { torrent, seeder, now, asked: Vec::new() }
    }

    /// So many blocks come, and, with `more`, others are there to be received. The pieces that are to be hashed then.
    fn blocks(&mut self, n: usize, more: bool) -> Vec<HashJob> {
        for _ in 0..n {
            self.now = self.now + Duration::from_micros(20);
            while self.asked.is_empty() {
                self.asked = self.seeder.requests(&mut self.torrent, self.now);
                assert!(!self.asked.is_empty(), "nothing is asked for: {}", self.torrent.describe());
            }
            let mut batch = self.seeder.blocks(&[self.asked.remove(0)]);
            let (now, key, bytes) = (self.now, self.seeder.key, u64::from(BLOCK_SIZE));
            if more {
                self.torrent.peer_goes_on(now, key, &mut batch, bytes);
            } else {
                self.torrent.peer_received(now, key, &mut batch, bytes);
            }
        }
        self.torrent.take_output().hashes
    }

    fn hash(&mut self, mut jobs: Vec<HashJob>) -> Vec<HashJob> {
        HashJob::run_together(&mut jobs);
        jobs.into_iter().for_each(|job| self.torrent.hash_done(self.now, job));
        self.torrent.take_output().hashes
    }

    fn verified(&self) -> u32 {
        self.torrent.status(self.now).num_pieces
    }
}

fn pieces(jobs: &[HashJob]) -> Vec<(u32, usize)> {
    jobs.iter().map(|job| (job.piece, job.blocks().len())).collect()
}

/// Before the last block comes, which may take a while, the others are done: who waits for it waits for its own hash and no other.
#[test]
fn what_found_no_company_is_hashed_after_a_while_though_nothing_happens() {
    let mut pour = Pour::new(PIECE);
    assert!(pour.blocks(15, false).is_empty());
    let due = pour.torrent.next_timeout().expect("something to do");
    assert!(due <= pour.now + Duration::from_millis(10), "{due:?}");
    let ticks = pour.torrent.next_timeout();
    pour.now = due;
    pour.torrent.handle_timeout(due);
    let stretch = pour.torrent.take_output().hashes;
    assert_eq!(pieces(&stretch), [(0, 15)]);
    assert!(pour.torrent.next_timeout() > ticks, "nothing more is due for it");
    assert!(pour.hash(stretch).is_empty());
    let last = pour.blocks(1, false);
    assert_eq!(pieces(&last), [(0, 1)]);
    pour.hash(last);
    assert_eq!(pour.verified(), 1);
}

#[test]
fn what_comes_with_pauses_is_hashed_when_it_is_whole() {
    let mut pour = Pour::new(PIECE);
    assert!(pour.blocks(15, false).is_empty());
    let whole = pour.blocks(1, false);
    assert_eq!(pieces(&whole), [(0, 16)]);
    assert!(pour.hash(whole).is_empty());
    assert_eq!(pour.verified(), 1);
}

#[test]
fn what_comes_slowly_is_hashed_on_the_way() {
    let mut pour = Pour::new(PIECE);
    assert!(pour.blocks(4, false).is_empty());
    pour.now = pour.now + Duration::from_millis(11);
    let stretch = pour.blocks(1, false);
    assert_eq!(pieces(&stretch), [(0, 5)]);
    assert!(pour.blocks(11, false).is_empty(), "the job is out");
    let rest = pour.hash(stretch);
    assert_eq!(pieces(&rest), [(0, 11)]);
    assert!(pour.hash(rest).is_empty());
    assert_eq!(pour.verified(), 1);
}

#[test]
fn what_pours_in_waits_for_company() {
    let mut pour = Pour::new(PIECE);
    assert!(pour.blocks(3 * 16 + 15, true).is_empty());
    let company = pour.blocks(1, true);
    assert_eq!(pieces(&company), [(0, 16), (1, 16), (2, 16), (3, 16)]);
    // The next ones come in meanwhile.
    assert!(pour.blocks(20, true).is_empty());
    assert!(pour.hash(company).is_empty());
    assert_eq!(pour.verified(), 4);
}

#[test]
fn it_does_not_wait_for_long() {
    let mut pour = Pour::new(PIECE);
    assert!(pour.blocks(20, true).is_empty());
    pour.now = pour.now + Duration::from_millis(11);
    assert_eq!(pieces(&pour.blocks(1, true)), [(0, 16), (1, 5)]);
}

#[test]
fn the_pour_ends() {
    type End = fn(&mut Pour);
    let ends: [End; 3] = [
        |pour| pour.torrent.peer_paused(pour.now, pour.seeder.key),
        |pour| pour.torrent.peer_closed(pour.now, pour.seeder.key, None),
        |pour| pour.torrent.peer_received(pour.now, pour.seeder.key, &mut Vec::new(), 0),
    ];
    for end in ends {
        let mut pour = Pour::new(PIECE);
        assert!(pour.blocks(20, true).is_empty());
        end(&mut pour);
        let jobs = pour.torrent.take_output().hashes;
        assert_eq!(pieces(&jobs), [(0, 16), (1, 4)]);
        assert!(pour.hash(jobs).is_empty());
        assert_eq!(pour.verified(), 1);
    }
}

#[test]
fn where_company_gains_nothing_whole_pieces_do_not_wait() {
    let mut pour = Pour::by_lanes(PIECE, 1);
    for piece in 0..2 {
        assert!(pour.blocks(15, true).is_empty());
        assert_eq!(pieces(&pour.blocks(1, true)), [(piece, 16)]);
    }
}

/// Four of them would be waited for too long, and take too much memory.
#[test]
fn large_pieces_hardly_wait() {
    let mut pour = Pour::new(8 << 20);
    assert!(pour.blocks(3, true).is_empty());
    pour.now = pour.now + Duration::from_millis(1);
    let begun = pour.blocks(1, true);
    assert_eq!(pieces(&begun), [(0, 4)]);
    pour.now = pour.now + Duration::from_millis(1);
    assert!(pour.blocks(5, true).is_empty(), "the job is out");
    assert_eq!(pieces(&pour.hash(begun)), [(0, 5)]);
}
