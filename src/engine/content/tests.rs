//! Tests of what the content knows of its pieces and files.

use super::completion::AfterHash;
use super::hashing::{Hashing, Verified};
use super::pieces::{Arrival, HashJob, PeerKey};
use super::*;
use crate::engine::config::StorageKind;
use crate::memory::pool::BLOCK_SIZE;
use crate::metainfo::Create;

const NOW: Time = Time::from_millis(1000);
const PEER: PeerKey = PeerKey(1);

/// Three pieces of one block, each with a hash of its own; the first file ends in the second piece.
pub fn info() -> Arc<Info> {
    let files = vec![(vec!["a".to_owned()], 20_000), (vec!["b".to_owned()], 25_000)];
    let create = Create { name: "t".into(), piece_length: BLOCK_SIZE, files, ..Create::default() };
    create.v1((0..3 * 20).collect()).expect("a torrent").info
}

fn content() -> Content {
    Content::new(info(), vec![0, 0])
}

fn receive(content: &mut Content, pool: &Arc<Pool>, piece: u32) {
    content.begin(NOW, piece, None, pool);
    let length = content.layout().block_size(piece, 0);
    let data = pool.reserve().expect("room").into_block(length).freeze();
    let arrival = content.store_mut().receive(NOW, piece, 0, data, PEER);
    assert_eq!(arrival, Arrival::Stored { others: Vec::new() });
}

fn pieces(jobs: &[HashJob]) -> Vec<u32> {
    jobs.iter().map(|job| job.piece).collect()
}

#[test]
fn a_file_is_complete_with_its_last_piece_and_again_once_it_lost_one() {
    let mut content = content();
    let completed = |content: &mut Content, piece| content.piece_had(piece).map(|had| (had.refetched, had.completed));
    assert_eq!(completed(&mut content, 1), Some((false, vec![])));
    assert_eq!(completed(&mut content, 0), Some((false, vec![0])));
    assert_eq!(completed(&mut content, 0), None, "so it was");
    content.piece_lost(1);
    assert_eq!((content.has(1), content.num_missing()), (false, 2));
    assert_eq!(completed(&mut content, 1), Some((true, vec![0])));
}

#[test]
fn a_check_finds_files_that_are_no_news() {
    let mut content = content();
    assert!((0..3).all(|piece| content.piece_had(piece).is_some()) && content.has_all());
    content.recheck();
    assert_eq!(content.num_missing(), 3);
    assert!((0..2).all(|piece| content.set_had(piece, true)));
    content.checked();
    let completed = content.piece_had(2).map(|had| had.completed);
    assert_eq!(completed, Some(vec![1]), "the first one was there before");
}

#[test]
fn a_piece_is_worth_its_most_wanted_file() {
    let mut content = content();
    assert!(content.prioritize_files(&[1]).is_err(), "there are two");
    content.prioritize_files(&[1, 6]).expect("two");
    assert_eq!(content.piece_priorities(), [1, 6, 6]);
    assert_eq!(content.set_piece_priority(2, 0), Ok(2));
    assert!(content.set_piece_priority(3, 1).is_err() && content.set_piece_priority(0, 8).is_err());
    assert_eq!(content.piece_priorities(), [1, 6, 0]);
}

#[test]
fn what_passed_is_kept_or_written() {
    let (mut content, pool) = (content(), Pool::new(1 << 20));
    receive(&mut content, &pool, 0);
    receive(&mut content, &pool, 1);
    assert!(matches!(content.passed(0, StorageKind::Memory), AfterHash::Kept));
    assert!(matches!(content.passed(1, StorageKind::Disk), AfterHash::ToWrite(blocks) if blocks.len() == 1));
    assert!(!content.write_ended(0), "nobody writes it");
    assert!(content.write_ended(1) && !content.write_ended(1));
}

#[test]
fn in_a_burst_pieces_wait_for_company() {
    let (mut content, pool, mut hashing) = (content(), Pool::new(1 << 20), Hashing::new(2));
    hashing.set_burst(PEER, true);
    receive(&mut content, &pool, 2);
    hashing.note(2);
    assert!(hashing.collect(NOW, &mut content, false).is_empty(), "one is no batch");
    let due = hashing.due(&content, false).expect("it waits");
    receive(&mut content, &pool, 0);
    hashing.note(0);
    let mut jobs = hashing.collect(NOW, &mut content, false);
    assert_eq!((pieces(&jobs), hashing.due(&content, false)), (vec![0, 2], None));
    receive(&mut content, &pool, 1);
    hashing.note(1);
    assert!(hashing.collect(NOW, &mut content, false).is_empty());
    assert_eq!(pieces(&hashing.collect(due, &mut content, false)), [1], "nobody came within its patience");
    HashJob::run_together(&mut jobs);
    let job = jobs.remove(0);
    assert!(matches!(hashing.done(NOW, job, &mut content, false), Verified::Failed), "its hash is another one");
}
