//! Carries out what a torrent's core wants done: wakes readers and connections, starts dials, announces and disk jobs.

use std::sync::Arc;

use super::driver::Driver;
use super::{announcer, dialer, disk_tasks};
use crate::engine::Output;
use crate::engine::content::hash_job::HashJob;
use crate::engine::content::piece_hash;
use crate::engine::swarm::external_ip::Voter;

/// Hashing goes first, and here: its blocks came in on this core.
pub fn carry_out(driver: &Arc<Driver>, mut output: Output) {
    while !output.hashes.is_empty() {
        let mut jobs = batch(&mut output.hashes);
        HashJob::run_together(&mut jobs);
        output.append(driver.take_hashed(jobs));
    }
    act(driver, output);
}

/// Readers first: somebody watches what they read. Each of the others may cost a system call.
fn act(driver: &Arc<Driver>, output: Output) {
    if output.readers_changed {
        driver.wake_readers();
    }
    if !output.wake.is_empty() || !output.close.is_empty() {
        driver.tell_connections(output.wake, output.close.into_iter().map(|(key, _reason)| key));
    }
    for dial in output.dial {
        dialer::dial(driver, dial);
    }
    // Some wait for their turn already.
    if output.urgency_changed {
        driver.session.announce_slots.rank_anew(driver.index);
        driver.session.udp_announce_slots.rank_anew(driver.index);
    }
    if !output.announces.is_empty() {
        announcer::announce(driver, output.announces);
    }
    for job in output.disk {
        disk_tasks::start(driver, job);
    }
    if let Some(generation) = output.check {
        disk_tasks::check(driver, generation);
    }
    for node in output.dht_nodes {
        driver.session.add_dht_endpoint(node);
    }
    for (voter, ip) in output.external_ips {
        driver.session.external_ip_vote(Voter::Peer(voter), ip);
    }
    if output.search_dht {
        driver.dht.stop();
        driver.look_at_time();
    }
    if output.memory_wanted {
        driver.session.memory_wanted();
    }
    if output.shares_changed {
        driver.session.shares_changed();
    }
}

/// Splits off what is worth hashing at once; what remains is handed back, or to others, sooner.
fn batch(jobs: &mut Vec<HashJob>) -> Vec<HashJob> {
    jobs.drain(..jobs.len().min(piece_hash::lanes())).collect()
}
